//! Lanes as streams: without a gap, whatever is cut.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

mod mock;

use jsonrpsee::core::client::{ClientT as _, Subscription, SubscriptionClientT as _};
use jsonrpsee::rpc_params;
use jsonrpsee::ws_client::{WsClient, WsClientBuilder};
use mock::{MockDriver, config};
use outrider_node::api::{self, BEHIND_MAX, LaneEvent, RunningApi, ServedRange, StreamedLane};
use outrider_node::handle::NodeHandle;
use outrider_types::{Bytes, LaneHash, LaneHeight, RollupId, Transaction};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

const ROLLUP: RollupId = RollupId(7);
const OTHER: RollupId = RollupId(1001);

async fn serve(handle: &NodeHandle, sets: &[&str]) -> RunningApi {
    let config = config(sets);
    api::serve(handle.clone(), &config.rpc, &config.mempool)
        .await
        .unwrap()
}

/// Order transactions, each in a block of its own.
async fn order(handle: &NodeHandle, rollup: RollupId, list: impl IntoIterator<Item = Vec<u8>>) {
    let transaction = |data| Transaction {
        rollup,
        data: Bytes::from(data),
    };
    let list = list.into_iter().map(transaction).collect();
    for answer in handle.submit_many(list).await {
        answer.unwrap();
    }
}

fn numbered(numbers: std::ops::Range<u64>) -> impl Iterator<Item = Vec<u8>> {
    numbers.map(|number| number.to_be_bytes().to_vec())
}

/// A reader of Server-Sent Events, which knows nothing of the code that writes them.
struct Reader {
    stream: BufReader<TcpStream>,
    status: u16,
}

impl Reader {
    /// None if the server is not there.
    async fn open(address: SocketAddr, query: &str, last: Option<&str>) -> Option<Self> {
        let mut stream = TcpStream::connect(address).await.ok()?;
        let last = last
            .map(|last| format!("Last-Event-ID: {last}\r\n"))
            .unwrap_or_default();
        let request = format!(
            "GET /rollup/{ROLLUP}/stream{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{last}\r\n"
        );
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let status = line.split(' ').nth(1)?.parse().ok()?;
        while line != "\r\n" {
            line.clear();
            if stream.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
        }
        Some(Self { stream, status })
    }

    /// The next event with its id; none at the end.
    async fn next(&mut self) -> Option<(Option<String>, LaneEvent)> {
        let (mut id, mut data) = (None, None);
        let mut line = String::new();
        loop {
            line.clear();
            if self.stream.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            match line.trim_end_matches('\n').split_once(": ") {
                Some(("id", text)) => id = Some(text.to_owned()),
                Some(("data", text)) => data = Some(serde_json::from_str(text).ok()?),
                // The sizes of chunks, the kind of the event, the end of it.
                _ => {}
            }
            if line == "\n"
                && let Some(event) = data.take()
            {
                return Some((id, event));
            }
        }
    }

    /// The next lane block.
    async fn lane(&mut self) -> Option<(String, StreamedLane)> {
        loop {
            match self.next().await? {
                (Some(id), LaneEvent::Lane(lane)) => return Some((id, *lane)),
                (None, LaneEvent::Heartbeat { .. }) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Checks that lane blocks come each once and in order.
#[derive(Default)]
struct Chain {
    height: LaneHeight,
    hash: Option<LaneHash>,
    cursor: Option<String>,
}

impl Chain {
    fn take(&mut self, id: &str, streamed: &StreamedLane) {
        let lane = &streamed.lane;
        assert_eq!(lane.height, self.height.next(), "no gap, and none twice");
        assert_eq!(lane.parent, self.hash.unwrap_or(LaneHash::NONE));
        assert_eq!(id, streamed.cursor);
        let ids: Vec<_> = streamed
            .transactions
            .iter()
            .map(|text| {
                let data = hex::decode(text.strip_prefix("0x").unwrap()).unwrap();
                Transaction {
                    rollup: ROLLUP,
                    data: Bytes::from(data),
                }
                .id()
            })
            .collect();
        assert!(lane.is_of(&ids));
        self.height = lane.height;
        self.hash = Some(lane.hash());
        self.cursor = Some(id.to_owned());
    }
}

#[tokio::test]
async fn stream_begins_where_the_reader_says() {
    let (handle, _) = MockDriver::spawn();
    let api = serve(&handle, &[]).await;
    order(&handle, ROLLUP, numbered(0..40)).await;
    order(&handle, OTHER, numbered(0..3)).await;
    let mut chain = Chain::default();
    let mut reader = Reader::open(api.local_addr(), "", None).await.unwrap();
    for _ in 0..40 {
        let (id, lane) = reader.lane().await.unwrap();
        chain.take(&id, &lane);
    }
    // Then what is new comes as it is committed.
    order(&handle, OTHER, numbered(3..4)).await;
    order(&handle, ROLLUP, numbered(40..41)).await;
    let (id, lane) = reader.lane().await.unwrap();
    chain.take(&id, &lane);

    let cursor = chain.cursor.clone().unwrap();
    for (query, last, height) in [
        ("?from=17", None, 17),
        ("?from=0", None, 1),
        ("?from=41&stage=soft", None, 41),
        ("?from=head", None, 42),
        (&*format!("?from={cursor}"), None, 42),
        ("?from=5", Some(&*cursor), 42),
    ] {
        let mut reader = Reader::open(api.local_addr(), query, last).await.unwrap();
        assert_eq!(reader.status, 200);
        if height == 42 {
            // Nothing is there yet: a heartbeat says so.
            let Some((None, LaneEvent::Heartbeat { tip, lag, head, .. })) = reader.next().await
            else {
                panic!("a heartbeat");
            };
            assert_eq!((tip.0, lag, head.0), (41, 0, 45), "{query}");
            continue;
        }
        let (_, lane) = reader.lane().await.unwrap();
        assert_eq!(lane.lane.height.0, height, "{query}");
    }
}

#[tokio::test]
async fn bad_requests_and_too_many_streams_are_refused() {
    let (handle, _) = MockDriver::spawn();
    let api = serve(&handle, &["rpc.max_streams=1"]).await;
    for query in [
        "?from=tail",
        "?from=-1",
        "?from=1-2",
        "?stage=final",
        "?since=1",
        "?from=",
    ] {
        let reader = Reader::open(api.local_addr(), query, None).await.unwrap();
        assert_eq!(reader.status, 400, "{query}");
    }
    let bad = Reader::open(api.local_addr(), "", Some("x")).await.unwrap();
    assert_eq!(bad.status, 400);
    let first = Reader::open(api.local_addr(), "", None).await.unwrap();
    assert_eq!(first.status, 200);
    assert_eq!(
        Reader::open(api.local_addr(), "", None)
            .await
            .unwrap()
            .status,
        503
    );
    drop(first);
    // Its place is free once the server has noticed.
    while Reader::open(api.local_addr(), "", None)
        .await
        .unwrap()
        .status
        != 200
    {
        tokio::task::yield_now().await;
    }
}

/// Numbers from a seed, which is printed.
struct Dice(u64);

impl Dice {
    fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let seed = std::env::var("OUTRIDER_SEED")
            .ok()
            .and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or(u64::from(now.subsec_nanos()));
        println!("OUTRIDER_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, limit: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

#[tokio::test]
async fn thousands_of_resumes_at_random_points_leave_no_gap_and_repeat_nothing() {
    const RESUMES: u64 = 3_000;
    let mut dice = Dice::new();
    let (handle, _) = MockDriver::spawn();
    let mut api = serve(&handle, &[]).await;
    let mut chain = Chain::default();
    let mut ordered = 0;
    let mut others = 0;
    let mut restarts = 0;
    let mut resumes = 0;
    while resumes < RESUMES {
        if dice.below(20) == 0 {
            // The server dies in the middle of everything, and another one serves the same chain.
            drop(api);
            api = serve(&handle, &[]).await;
            restarts += 1;
        }
        let some = dice.below(6);
        order(&handle, ROLLUP, numbered(ordered..ordered + some)).await;
        ordered += some;
        if dice.below(4) == 0 {
            order(&handle, OTHER, numbered(others..others + 1)).await;
            others += 1;
        }
        let last = chain.cursor.clone();
        let mut reader = Reader::open(api.local_addr(), "", last.as_deref())
            .await
            .unwrap();
        resumes += 1;
        // More may come while it reads.
        let more = dice.below(3);
        order(&handle, ROLLUP, numbered(ordered..ordered + more)).await;
        ordered += more;
        let take = dice.below(ordered - chain.height.0 + 1);
        for _ in 0..take {
            let (id, lane) = reader.lane().await.unwrap();
            chain.take(&id, &lane);
        }
    }
    assert!(
        restarts > 50 && chain.height.0 > 1_000,
        "{restarts} {}",
        chain.height
    );
    let last = chain.cursor.clone();
    let mut reader = Reader::open(api.local_addr(), "", last.as_deref())
        .await
        .unwrap();
    while chain.height.0 < ordered {
        let (id, lane) = reader.lane().await.unwrap();
        chain.take(&id, &lane);
    }
}

#[tokio::test]
async fn cursor_of_another_chain_is_told_so_and_one_of_the_future_waits() {
    let (handle, _) = MockDriver::spawn();
    let api = serve(&handle, &[]).await;
    order(&handle, ROLLUP, numbered(0..3)).await;
    for height in [1, 2, 3] {
        let foreign = format!("{height}-{}", "11".repeat(32));
        let mut reader = Reader::open(api.local_addr(), "", Some(&foreign))
            .await
            .unwrap();
        assert_eq!(
            reader.next().await,
            Some((None, LaneEvent::Foreign)),
            "{height}"
        );
        assert_eq!(reader.next().await, None, "nothing follows");
    }
    // A member that is behind gets a cursor of one that is ahead.
    let (ahead, _) = MockDriver::spawn();
    order(&ahead, ROLLUP, numbered(0..6)).await;
    let page = ahead.lane_range(ROLLUP, LaneHeight(5), 1).await.unwrap();
    let cursor = api::Cursor::after(&page.lanes.unwrap()[0].lane).to_string();
    let mut reader = Reader::open(api.local_addr(), "", Some(&cursor))
        .await
        .unwrap();
    order(&handle, ROLLUP, numbered(3..6)).await;
    let (_, lane) = reader.lane().await.unwrap();
    assert_eq!(lane.lane.height, LaneHeight(6));
}

#[tokio::test]
async fn slow_reader_hears_that_it_lags_and_goes_on_with_the_cursor() {
    let (handle, _) = MockDriver::spawn();
    let api = serve(&handle, &[]).await;
    order(&handle, ROLLUP, numbered(0..1)).await;
    let mut chain = Chain::default();
    let mut reader = Reader::open(api.local_addr(), "", None).await.unwrap();
    let (id, lane) = reader.lane().await.unwrap();
    chain.take(&id, &lane);
    // It has come to the end once a heartbeat is there. Then it reads nothing while far more comes than sockets hold.
    assert!(matches!(
        reader.next().await,
        Some((None, LaneEvent::Heartbeat { .. }))
    ));
    let large = |number: u64| [number.to_be_bytes().to_vec(), vec![0; 8_000]].concat();
    for first in (1..3 * BEHIND_MAX).step_by(64) {
        order(&handle, ROLLUP, (first..first + 64).map(large)).await;
    }
    let cursor = loop {
        match reader.next().await.unwrap() {
            (Some(id), LaneEvent::Lane(lane)) => chain.take(&id, &lane),
            (None, LaneEvent::Heartbeat { .. }) => {}
            (None, LaneEvent::Lagged { cursor }) => break cursor,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(cursor, chain.cursor);
    assert_eq!(reader.next().await, None, "nothing follows");
    let mut reader = Reader::open(api.local_addr(), "", cursor.as_deref())
        .await
        .unwrap();
    while chain.height.0 < 3 * BEHIND_MAX {
        let (id, lane) = reader.lane().await.unwrap();
        chain.take(&id, &lane);
    }
}

async fn subscribe(
    api: &RunningApi,
    topic: Value,
) -> Result<(WsClient, Subscription<LaneEvent>), String> {
    let url = format!("ws://{}", api.local_addr());
    let socket = WsClientBuilder::default().build(url).await.unwrap();
    let parameters = rpc_params!["lane", topic];
    let events = socket
        .subscribe("outrider_subscribe", parameters, "outrider_unsubscribe")
        .await
        .map_err(|error| error.to_string())?;
    Ok((socket, events))
}

#[tokio::test]
async fn subscription_over_a_websocket_says_the_same() {
    let (handle, _) = MockDriver::spawn();
    let api = serve(&handle, &[]).await;
    order(&handle, ROLLUP, numbered(0..5)).await;
    let mut chain = Chain::default();
    for from in [json!(1), Value::Null, Value::Null] {
        let from = if from.is_null() {
            json!(chain.cursor)
        } else {
            from
        };
        let topic = json!({ "rollup": ROLLUP, "from": from, "stage": "soft" });
        let (_socket, mut events) = subscribe(&api, topic).await.unwrap();
        for _ in 0..2 {
            let LaneEvent::Lane(lane) = events.next().await.unwrap().unwrap() else {
                continue;
            };
            let id = lane.cursor.clone();
            chain.take(&id, &lane);
        }
        order(
            &handle,
            ROLLUP,
            numbered(100 + chain.height.0..101 + chain.height.0),
        )
        .await;
    }
    assert!(chain.height.0 >= 4);
    for bad in [
        json!({ "rollup": ROLLUP }),
        json!({ "rollup": ROLLUP, "from": "tail" }),
        json!({ "rollup": ROLLUP, "from": 1, "stage": "final" }),
        json!({ "rollup": ROLLUP, "from": 1.5 }),
        json!({ "rollup": ROLLUP, "from": 1, "more": 1 }),
    ] {
        assert!(subscribe(&api, bad.clone()).await.is_err(), "{bad}");
    }
}

#[tokio::test]
async fn range_and_proofs_of_a_lane_by_call() {
    let (handle, _) = MockDriver::spawn();
    let api = serve(&handle, &[]).await;
    order(&handle, ROLLUP, numbered(0..5)).await;
    let url = format!("ws://{}", api.local_addr());
    let socket = WsClientBuilder::default().build(url).await.unwrap();
    let range = rpc_params![ROLLUP, 2, 3];
    let range: ServedRange = socket.request("outrider_laneRange", range).await.unwrap();
    let heights: Vec<_> = range.lanes.iter().map(|lane| lane.lane.height.0).collect();
    assert_eq!((heights, range.tip.height.0), (vec![2, 3, 4], 5));
    for (method, parameters) in [
        ("outrider_laneProof", rpc_params![ROLLUP, 3]),
        ("outrider_laneProof", rpc_params![OTHER, 3]),
        ("outrider_laneRangeProof", rpc_params![ROLLUP, 2, 4]),
        ("outrider_skipProof", rpc_params![1, 4]),
    ] {
        let proof: Value = socket.request(method, parameters).await.unwrap();
        assert!(proof["version"].is_u64(), "{method}: {proof}");
    }
}

#[tokio::test]
async fn other_methods_at_the_path_of_a_stream_are_no_stream() {
    let (handle, _) = MockDriver::spawn();
    let api = serve(&handle, &[]).await;
    for path in ["/rollup/x/stream", "/rollup/7/stream/", "/rollup//stream"] {
        let mut stream = TcpStream::connect(api.local_addr()).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 405"), "{path}: {answer}");
    }
}
