//! Lanes as Server-Sent Events: `GET /rollup/{id}/stream?from=`.
//!
//! The id of an event is the cursor after it, so a client that connects again with `Last-Event-ID`, as browsers do by
//! themselves, goes on where it was. Between a stream and its reader wait at most [`BUFFERED`] events, and there are at most
//! `rpc.max_streams` streams.

use super::get::plain;
use super::lane_stream::{From, LaneEvent, LaneStream, STALL, check_stage};
use crate::handle::NodeHandle;
use bytes::Bytes;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http_body::Frame;
use jsonrpsee::server::{HttpBody, HttpRequest, HttpResponse};
use outrider_types::RollupId;
use std::convert::Infallible;
use std::fmt::Display;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Events that wait for a reader, besides the last word.
const BUFFERED: usize = 4;

/// Opens streams.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    handle: NodeHandle,
    permits: Arc<Semaphore>,
}

/// The events of a stream, as they are sent.
struct Events {
    events: Receiver<Bytes>,
}

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let event = self.events.poll_recv(context);
        event.map(|event| event.map(|event| Ok(Frame::data(event))))
    }
}

impl Streams {
    pub(super) fn new(handle: NodeHandle, streams_max: usize) -> Self {
        let permits = Arc::new(Semaphore::new(streams_max));
        Self { handle, permits }
    }

    /// The rollup whose stream is at this path.
    pub(super) fn rollup(path: &str) -> Option<RollupId> {
        let id = path.strip_prefix("/rollup/")?.strip_suffix("/stream")?;
        id.parse().ok().map(RollupId)
    }

    /// Answer with a stream, or why not.
    pub(super) async fn answer(self, rollup: RollupId, request: HttpRequest) -> HttpResponse {
        let from = match from(&request) {
            Ok(from) => from,
            Err(why) => return refusal(StatusCode::BAD_REQUEST, &why),
        };
        let Ok(permit) = self.permits.clone().try_acquire_owned() else {
            let why = "rpc.max_streams streams are open; try again later, or at another member";
            let mut answer = refusal(StatusCode::SERVICE_UNAVAILABLE, &why);
            let headers = answer.headers_mut();
            headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
            return answer;
        };
        let stream = match LaneStream::open(self.handle, rollup, from).await {
            Ok(stream) => stream,
            Err(error) => return refusal(StatusCode::SERVICE_UNAVAILABLE, &error),
        };
        // One place is kept for the last word.
        let (sender, events) = mpsc::channel(BUFFERED + 1);
        tokio::spawn(send(stream, sender, permit));
        let mut answer = HttpResponse::new(HttpBody::new(Events { events }));
        for (name, value) in [
            (CONTENT_TYPE, "text/event-stream"),
            (CACHE_CONTROL, "no-store"),
        ] {
            let value = HeaderValue::from_static(value);
            answer.headers_mut().insert(name, value);
        }
        answer
    }
}

fn refusal(status: StatusCode, why: &dyn Display) -> HttpResponse {
    plain(status, "text/plain", format!("{why}\n").into())
}

/// Where to begin: `Last-Event-ID`, else `?from=`, else at the beginning of the lane.
fn from(request: &HttpRequest) -> Result<From, String> {
    let mut from = None;
    let query = request.uri().query().unwrap_or_default();
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        match name {
            "from" => from = Some(value),
            "stage" => check_stage(Some(value)).map_err(|error| error.message().to_owned())?,
            other => {
                return Err(format!(
                    "there is no parameter {other:?}; there are from and stage"
                ));
            }
        }
    }
    let last = request.headers().get("last-event-id");
    if let Some(last) = last.filter(|last| !last.is_empty()) {
        from = Some(last.to_str().map_err(|error| error.to_string())?);
    }
    let from = from.unwrap_or("1").parse();
    from.map_err(|error: super::lane_stream::NotFrom| error.to_string())
}

/// Send events until the reader is gone or too slow.
async fn send(mut stream: LaneStream, sender: Sender<Bytes>, _permit: OwnedSemaphorePermit) {
    let Ok(last_word) = sender.clone().reserve_owned().await else {
        return;
    };
    let mut last_word = Some(last_word);
    loop {
        let place = tokio::select! {
            biased;
            place = sender.reserve() => place,
            () = tokio::time::sleep(STALL) => {
                if let Some(last_word) = last_word.take() {
                    last_word.send(text(&stream.lagged()));
                }
                return;
            }
        };
        let Ok(place) = place else { return };
        let event = tokio::select! {
            biased;
            () = sender.closed() => return,
            event = stream.next() => event,
        };
        let Ok(event) = event else { return };
        place.send(text(&event));
        if event.is_last() {
            return;
        }
    }
}

/// As it stands in a stream of events.
fn text(event: &LaneEvent) -> Bytes {
    let id = match event {
        LaneEvent::Lane(lane) => format!("id: {}\n", lane.cursor),
        _ => String::new(),
    };
    // It is of plain fields alone.
    let data = serde_json::to_string(event).unwrap_or_default();
    Bytes::from(format!("{id}event: {}\ndata: {data}\n\n", event.name()))
}
