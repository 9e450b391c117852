//! What GET answers beside JSON-RPC on the same port: files that are built in, and event streams.
//!
//! [`FILES`] is the one table of files: a page is added by adding rows. Requests that become a WebSocket, and all other
//! methods, go on to the JSON-RPC server.

use super::sse::Streams;
use super::{openrpc, ui};
use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, UPGRADE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{Method, StatusCode};
use jsonrpsee::core::BoxError;
use jsonrpsee::server::{HttpBody, HttpRequest, HttpResponse};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tower::{Layer, Service};

/// A file that is served.
pub(super) struct File {
    /// Its whole path.
    pub(super) path: &'static str,
    /// Its media type.
    pub(super) kind: &'static str,
    /// What is in it.
    pub(super) body: fn() -> Bytes,
}

/// Every file there is, beside those of the page.
pub(super) const FILES: &[File] = &[File {
    path: "/openrpc.json",
    kind: "application/json",
    body: || Bytes::from(openrpc::to_json()),
}];

/// A page may use what it was served with and what this node answers, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Puts [`Gets`] in front of the JSON-RPC server.
#[derive(Clone, Debug)]
pub(super) struct GetLayer {
    pub(super) streams: Streams,
}

impl<S> Layer<S> for GetLayer {
    type Service = Gets<S>;

    fn layer(&self, inner: S) -> Gets<S> {
        let streams = self.streams.clone();
        Gets { inner, streams }
    }
}

/// Answers GET itself.
#[derive(Clone, Debug)]
pub(super) struct Gets<S> {
    inner: S,
    streams: Streams,
}

type Answer<E> = Pin<Box<dyn Future<Output = Result<HttpResponse, E>> + Send>>;

impl<S> Service<HttpRequest> for Gets<S>
where
    S: Service<HttpRequest, Response = HttpResponse, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = HttpResponse;
    type Error = BoxError;
    type Future = Answer<BoxError>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: HttpRequest) -> Self::Future {
        let asks = request.method() == Method::GET || request.method() == Method::HEAD;
        if !asks || upgrades(&request) {
            return Box::pin(self.inner.call(request));
        }
        if let Some(rollup) = Streams::rollup(request.uri().path())
            && request.method() == Method::GET
        {
            let streams = self.streams.clone();
            return Box::pin(async move { Ok(streams.answer(rollup, request).await) });
        }
        let answer = file(request.uri().path(), request.method());
        Box::pin(std::future::ready(Ok(answer)))
    }
}

/// Whether it wants to be a WebSocket.
fn upgrades(request: &HttpRequest) -> bool {
    request.headers().contains_key(UPGRADE) && request.headers().contains_key(CONNECTION)
}

/// A file, or the word that there is none.
fn file(path: &str, method: &Method) -> HttpResponse {
    let Some(file) = FILES
        .iter()
        .chain(&ui::FILES)
        .find(|file| file.path == path)
    else {
        let text =
            "nothing is served here with GET; JSON-RPC is called with POST or over a WebSocket\n";
        // As the JSON-RPC server says it: the paths exist, the method is wrong.
        let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "text/plain", text.into());
        let headers = answer.headers_mut();
        headers.insert(ALLOW, HeaderValue::from_static("POST"));
        return answer;
    };
    let body = if method == Method::HEAD {
        Bytes::new()
    } else {
        (file.body)()
    };
    plain(StatusCode::OK, file.kind, body)
}

/// An answer that is whole.
pub(super) fn plain(status: StatusCode, kind: &'static str, body: Bytes) -> HttpResponse {
    let mut answer = HttpResponse::new(HttpBody::from(body.to_vec()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, "no-cache"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    answer
}
