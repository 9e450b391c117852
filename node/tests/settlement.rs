//! What rollups learn of the settlement chain: tags of Ethereum, finality of transactions, the subscription, heartbeats, metrics.
//! What L1 says is put into the report as a member that follows it does; the execution node is a stand-in.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

mod mock;

use axum::Json;
use axum::extract::State;
use jsonrpsee::core::client::{ClientT, Error, Subscription, SubscriptionClientT};
use jsonrpsee::core::params::ArrayParams;
use jsonrpsee::http_client::{HttpClient, HttpClientBuilder};
use jsonrpsee::rpc_params;
use jsonrpsee::ws_client::WsClientBuilder;
use mock::{MockDriver, config};
use outrider_node::api::{self, ErrorCode, RunningApi};
use outrider_node::handle::{Finality, NodeHandle, SettlementReport, TransactionStatus};
use outrider_node::metrics::{self, Metrics};
use outrider_types::{BlockId, Bytes, Height, RollupId, Transaction, TransactionId};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const ROLLUP: u64 = 1001;
const SECOND_US: u64 = 1_000_000;
/// Ends a test that hangs. Nothing is measured against it.
const HANG: Duration = Duration::from_secs(60);
/// Blocks of the chain; each is a second after the one before.
const BLOCKS: u64 = 100;

/// Blocks of an execution node, by their timestamps; and what was asked.
#[derive(Clone, Default)]
struct ExecutionStandIn {
    times: Arc<Mutex<Vec<u64>>>,
    asked: Arc<Mutex<usize>>,
}

impl ExecutionStandIn {
    async fn serve(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = axum::Router::new()
            .fallback(answer)
            .with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        address
    }

    fn taken(&self) -> usize {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

/// A block with its number and its time; of all else, the parameters as they came.
async fn answer(State(node): State<ExecutionStandIn>, Json(call): Json<Value>) -> Json<Value> {
    let mut result = call["params"].clone();
    if call["method"] == "eth_getBlockByNumber" {
        *node.asked.lock().unwrap() += 1;
        let times = node.times.lock().unwrap();
        let number = match result[0].as_str().unwrap() {
            "latest" => times.len() - 1,
            tag => usize::from_str_radix(&tag[2..], 16).unwrap(),
        };
        result = times.get(number).map_or(
            Value::Null,
            |time| json!({ "number": format!("{number:#x}"), "timestamp": format!("{time:#x}") }),
        );
    }
    Json(json!({ "jsonrpc": "2.0", "id": 1, "result": result }))
}

struct World {
    handle: NodeHandle,
    node: ExecutionStandIn,
    api: RunningApi,
    /// The second of genesis.
    genesis: u64,
}

impl World {
    /// A chain of [`BLOCKS`] blocks.
    async fn new(sets: &[&str]) -> Self {
        let (handle, _) = MockDriver::spawn_stepping(2, u64::MAX, SECOND_US);
        for number in 0..BLOCKS {
            let data = Bytes::from(number.to_be_bytes().to_vec());
            let rollup = RollupId(7);
            handle.submit(Transaction { rollup, data }).await.unwrap();
        }
        let node = ExecutionStandIn::default();
        let execution = format!("rpc.execution={ROLLUP}=http://{}", node.serve().await);
        let mut all = vec![execution.as_str()];
        all.extend(sets);
        let config = config(&all);
        let api = api::serve(handle.clone(), &config.rpc, &config.mempool);
        let genesis = handle.epoch().base.timestamp.0 / SECOND_US;
        Self {
            api: api.await.unwrap(),
            handle,
            node,
            genesis,
        }
    }

    /// Execution blocks at these seconds of the chain, over a first one from before it.
    fn executed(&self, seconds: impl IntoIterator<Item = u64>) {
        let mut times = vec![0];
        times.extend(seconds.into_iter().map(|second| self.genesis + second));
        *self.node.times.lock().unwrap() = times;
    }

    /// What L1 says.
    fn l1(&self, settled: u64, finalized: u64) {
        report(&self.handle, |report| {
            report.known = true;
            report.heights.l1(Height(settled), Height(finalized));
        });
    }

    fn wallet(&self) -> HttpClient {
        let url = format!("http://{}/rollup/{ROLLUP}", self.api.local_addr());
        HttpClientBuilder::default().build(url).unwrap()
    }

    /// What the node is asked instead of a tag.
    async fn tag(&self, tag: &str) -> Value {
        let asked = ask(&self.wallet(), "eth_getBalance", rpc_params!["0x00", tag]).await;
        asked.unwrap()[1].clone()
    }

    /// The numbers of safe and finalized; never the wrong way round.
    async fn tags(&self) -> [u64; 2] {
        let number = |tag: Value| u64::from_str_radix(&tag.as_str().unwrap()[2..], 16).unwrap();
        let found = [
            number(self.tag("safe").await),
            number(self.tag("finalized").await),
        ];
        let latest = self.node.times.lock().unwrap().len() as u64 - 1;
        assert!(found[1] <= found[0] && found[0] <= latest, "{found:?}");
        found
    }
}

fn report(handle: &NodeHandle, change: impl FnOnce(&mut SettlementReport)) {
    handle
        .settlement_report()
        .send_modify(|report| change(report.get_or_insert_default()));
}

async fn ask(client: &impl ClientT, method: &str, params: ArrayParams) -> Result<Value, Error> {
    client.request(method, params).await
}

fn refused(result: Result<Value, Error>) -> i32 {
    match result {
        Err(Error::Call(error)) => error.code(),
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn safe_and_finalized_are_made_of_what_is_settled_and_final_on_l1() {
    let world = World::new(&[]).await;
    // An execution block each three seconds: 1 at 3 s, up to 30 at 90 s.
    world.executed((1..=30).map(|number| 3 * number));
    for tag in ["safe", "finalized", "latest", "soft", "pending"] {
        assert_eq!(world.tag(tag).await, json!("latest"), "without L1: {tag}");
    }

    // After a start nothing is known, which is something else than nothing settled.
    report(&world.handle, |_| ());
    for tag in ["safe", "finalized"] {
        let params = rpc_params!["0x00", tag];
        let code = refused(ask(&world.wallet(), "eth_getBalance", params).await);
        assert_eq!(code, ErrorCode::UnknownBlock.describe().0);
        assert_eq!(code, -39_001);
    }
    world.l1(0, 0);
    assert_eq!(world.tags().await, [0, 0]);

    // At 10 s block 3 has begun, which may have more in it; block 2 has ended. At 4 s block 1 has begun.
    world.l1(10, 4);
    assert_eq!(world.tags().await, [2, 0]);
    world.l1(12, 6);
    assert_eq!(world.tags().await, [3, 1]);
    // L1 reorganises: safe goes back, finalized does not.
    world.l1(7, 6);
    assert_eq!(world.tags().await, [1, 1]);
    world.l1(99, 40);
    assert_eq!(world.tags().await, [29, 12]);
    // L1 knows more than this member that catches up.
    world.l1(5_000, 50);
    assert_eq!(world.tags().await, [29, 15]);
}

#[tokio::test]
async fn last_block_of_a_quiet_rollup_is_safe_when_no_interval_is_longer() {
    let world = World::new(&[]).await;
    world.executed([5, 11]);
    world.l1(70, 0);
    assert_eq!(world.tags().await, [1, 0]);
    world.l1(71, 70);
    assert_eq!(world.tags().await, [2, 1]);
    // It stays so when there is another block.
    world.executed([5, 11, 80]);
    assert_eq!(world.tags().await, [2, 1]);
    // An execution node that is behind, or was begun anew, has less.
    world.executed([5]);
    assert_eq!(world.tags().await, [1, 1]);
    world.executed([]);
    assert_eq!(world.tags().await, [0, 0]);
}

#[tokio::test]
async fn tags_stand_for_the_same_blocks_wherever_they_are_and_cost_few_questions() {
    let world = World::new(&[]).await;
    world.executed(1..=90);
    world.l1(60, 30);
    let wallet = world.wallet();
    let (safe, finalized) = ("0x3b", "0x1d");
    for (method, before, after) in [
        (
            "eth_call",
            rpc_params![json!({ "data": "safe" }), "safe"],
            json!([{ "data": "safe" }, safe]),
        ),
        (
            "eth_getLogs",
            rpc_params![json!({ "fromBlock": "finalized", "toBlock": "safe" })],
            json!([{ "fromBlock": finalized, "toBlock": safe }]),
        ),
        (
            "eth_feeHistory",
            rpc_params!["0x1", "finalized", [1.5]],
            json!(["0x1", finalized, [1.5]]),
        ),
        (
            "eth_getTransactionCount",
            rpc_params!["0x00", json!({ "blockNumber": "finalized" })],
            json!(["0x00", { "blockNumber": finalized }]),
        ),
    ] {
        let found = ask(&wallet, method, before).await.unwrap();
        assert_eq!(found, after, "{method}");
    }
    let block = ask(&wallet, "eth_getBlockByNumber", rpc_params!["safe", false]).await;
    assert_eq!(block.unwrap()["number"], json!(safe));
    // The last block, what was found before, and the one behind it.
    world.node.taken();
    world.tag("safe").await;
    assert_eq!(world.node.taken(), 3);
    world.tag("latest").await;
    assert_eq!(world.node.taken(), 0);
}

#[tokio::test]
async fn engine_that_op_node_drives_is_asked_for_its_own_heads() {
    let password = format!("rpc.conductor={ROLLUP}=at least sixteen letters");
    let world = World::new(&[&password]).await;
    world.l1(60, 30);
    assert_eq!(world.tag("safe").await, json!("safe"));
    assert_eq!(world.tag("finalized").await, json!("finalized"));
    assert_eq!(world.tag("soft").await, json!("latest"));
}

#[tokio::test]
async fn transaction_says_how_final_it_is_and_its_stage_stays_soft() {
    let world = World::new(&[]).await;
    let url = format!("http://{}", world.api.local_addr());
    let root = HttpClientBuilder::default().build(url).unwrap();
    let data = 41u64.to_be_bytes();
    let transaction = Transaction {
        rollup: RollupId(7),
        data: Bytes::from(data.to_vec()),
    };
    let id: TransactionId = transaction.id();
    let status = async || {
        let status = ask(&root, "outrider_transactionStatus", rpc_params![id]).await;
        let status = status.unwrap();
        assert_eq!(
            (&status["stage"], &status["height"]),
            (&json!("soft"), &json!(42))
        );
        // Sent again it says the same.
        let again = rpc_params![7, const_hex::encode_prefixed(data)];
        let Err(Error::Call(error)) = ask(&root, "outrider_submit", again).await else {
            panic!("it is known");
        };
        let told: Value = serde_json::from_str(error.data().unwrap().get()).unwrap();
        assert_eq!(told["status"], status);
        status["finality"].clone()
    };
    assert_eq!(status().await, json!("soft"));
    world.l1(41, 40);
    assert_eq!(status().await, json!("soft"));
    world.l1(42, 41);
    assert_eq!(status().await, json!("settled"));
    world.l1(41, 41);
    assert_eq!(status().await, json!("soft"));
    world.l1(60, 42);
    assert_eq!(status().await, json!("final"));
}

#[test]
fn status_has_no_other_form_for_who_knows_nothing_of_settlement() {
    let status = TransactionStatus::Soft {
        height: Height(1),
        block: BlockId([0; 32]),
        position: 3,
        finality: Finality::Final,
    };
    let mut status = json!(status);
    assert_eq!(status["finality"].take(), json!("final"));
    assert_eq!(
        (&status["stage"], &status["position"]),
        (&json!("soft"), &json!(3))
    );
}

async fn next(subscription: &mut Subscription<Value>) -> Value {
    let next = tokio::time::timeout(HANG, subscription.next()).await;
    next.expect("it hangs").unwrap().unwrap()
}

#[tokio::test]
async fn settlement_is_followed_by_who_subscribes() {
    let world = World::new(&[]).await;
    let url = format!("ws://{}", world.api.local_addr());
    let socket = WsClientBuilder::default().build(url).await.unwrap();
    let subscribe = async |params| {
        let (start, end) = ("outrider_subscribe", "outrider_unsubscribe");
        socket.subscribe::<Value, _>(start, params, end).await
    };
    let Err(Error::Call(error)) = subscribe(rpc_params!["settlement"]).await else {
        panic!("there is nothing to follow");
    };
    assert_eq!(error.code(), ErrorCode::InvalidParams.describe().0);

    world.l1(10, 4);
    let mut all = subscribe(rpc_params!["settlement"]).await.unwrap();
    let first = next(&mut all).await;
    assert_eq!(
        (&first["settled"], &first["final"]),
        (&json!(10), &json!(4))
    );
    // Soft-final heights alone are no news.
    report(&world.handle, |report| report.heights.soft(Height(90)));
    report(&world.handle, |report| report.frozen = true);
    let second = next(&mut all).await;
    assert_eq!(
        (&second["soft"], &second["frozen"]),
        (&json!(90), &json!(true))
    );
    world.l1(12, 6);
    let third = next(&mut all).await;
    assert_eq!(
        (&third["settled"], &third["final"]),
        (&json!(12), &json!(6))
    );

    let lane = rpc_params!["lane", json!({ "rollup": 7, "from": "head" })];
    let mut lane = subscribe(lane).await.unwrap();
    let beat = next(&mut lane).await;
    assert_eq!(beat["event"], json!("heartbeat"));
    assert_eq!((&beat["settled"], &beat["final"]), (&json!(12), &json!(6)));
}

async fn scrape(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn metrics_follow_what_l1_says() {
    let (handle, _) = MockDriver::spawn();
    let config = config(&["metrics.listen=127.0.0.1:0"]).metrics;
    let running = metrics::serve(Arc::new(Metrics::new()), handle.clone(), &config);
    let address = running.await.unwrap().local_addr();
    let value = |text: &str, name: &str| -> u64 {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(" "));
        line.unwrap().trim().parse().unwrap()
    };
    let text = scrape(address).await;
    for name in [
        "outrider_settled_height",
        "outrider_settled_timestamp_seconds",
    ] {
        assert_eq!(value(&text, name), 0);
    }
    report(&handle, |report| {
        report.heights.l1(Height(10), Height(4));
        report.l1_block = 77;
        report.outage = Some("all are away".to_owned());
        report.frozen = true;
        report.diverged = Some(Height(3));
    });
    let look = async {
        loop {
            let text = scrape(address).await;
            if value(&text, "outrider_l1_block") == 77 {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let text = tokio::time::timeout(HANG, look).await.expect("it hangs");
    for (name, expected) in [
        ("outrider_settled_height", 10),
        ("outrider_final_height", 4),
        ("outrider_l1_outage", 1),
        ("outrider_l1_frozen", 1),
        ("outrider_l1_diverged", 1),
        ("outrider_l1_origin", 0),
        ("outrider_l1_inbox_consumed", 0),
    ] {
        assert_eq!(value(&text, name), expected, "{name}");
    }
    assert!(value(&text, "outrider_settled_timestamp_seconds") > 1_700_000_000);
}
