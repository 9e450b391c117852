//! Following a lane, at a stand-in for a member that cuts the stream at random points, and at members that lie.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

use jsonrpsee::server::{Server, ServerHandle};
use jsonrpsee::{RpcModule, SubscriptionMessage};
use outrider_client::{ClientError, LaneFollower, LaneFrom};
use outrider_types::{
    Batch, Block, Bytes, LaneBlock, LaneHeight, LaneTip, RollupId, Transaction, TransactionsRoot,
    testing,
};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

const ROLLUP: RollupId = RollupId(7);

/// A lane of so many blocks, as they are streamed.
fn lane(blocks: u64) -> Vec<(LaneBlock, Value)> {
    let mut tip = LaneTip::default();
    let header = Block::genesis(&testing::committee(&[1; 4]).0);
    let block = |number: u64| {
        let data = Bytes::copy_from_slice(&number.to_be_bytes());
        let id = Transaction {
            rollup: ROLLUP,
            data: data.clone(),
        }
        .id();
        let lane = tip.extend(ROLLUP, 1, TransactionsRoot(Batch::root(&[id])));
        tip = lane.tip();
        let cursor = format!("{}-{}", lane.height, lane.hash());
        let item = json!({
            "event": "lane", "cursor": cursor, "lane": lane, "block": header.id(), "header": header, "transactions": [format!("0x{}", hex::encode(&data))],
        });
        (lane, item)
    };
    (1..=blocks).map(block).collect()
}

/// A member that says, to one subscription after the other, what it was told, and then cuts it.
#[derive(Clone, Default)]
struct StandIn {
    says: Arc<Mutex<VecDeque<Vec<Value>>>>,
    asked: Arc<Mutex<Vec<Value>>>,
    /// If there is one, it says all of it from the cursor on, and cuts nothing.
    lane: Arc<Vec<(LaneBlock, Value)>>,
}

impl StandIn {
    async fn serve(&self) -> (String, ServerHandle) {
        let mut module = RpcModule::new(self.clone());
        module
            .register_subscription(
                "outrider_subscribe",
                "outrider_subscription",
                "outrider_unsubscribe",
                |params, pending, member, _| async move {
                    let (topic, from): (String, Value) = params.parse().unwrap();
                    assert_eq!((topic.as_str(), &from["rollup"]), ("lane", &json!(ROLLUP)));
                    member.asked.lock().unwrap().push(from["from"].clone());
                    let says = member.says.lock().unwrap().pop_front().unwrap_or_default();
                    let sink = pending.accept().await?;
                    if !member.lane.is_empty() {
                        let read = match &from["from"] {
                            Value::String(cursor) => cursor.split('-').next().unwrap().parse()?,
                            height => height.as_u64().unwrap() - 1,
                        };
                        let rest = member.lane.iter().skip(usize::try_from(read)?);
                        for (_, item) in rest {
                            let text = serde_json::value::to_raw_value(item)?;
                            sink.send(SubscriptionMessage::from(text)).await?;
                        }
                        sink.closed().await;
                        return Ok(());
                    }
                    for item in says {
                        let text = serde_json::value::to_raw_value(&item)?;
                        sink.send(SubscriptionMessage::from(text)).await?;
                    }
                    Err::<(), jsonrpsee::core::SubscriptionError>("cut".into())
                },
            )
            .unwrap();
        let server = Server::builder().build("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", server.local_addr().unwrap());
        (url, server.start(module))
    }

    fn say(&self, items: impl IntoIterator<Item = Value>) {
        let items = items.into_iter().collect();
        self.says.lock().unwrap().push_back(items);
    }
}

#[tokio::test]
async fn stream_that_is_cut_again_and_again_comes_whole() {
    let member = StandIn::default();
    let (url, _handle) = member.serve().await;
    let blocks = lane(400);
    // Pieces of 0 to 6, each where the one before ended.
    let mut at = 0;
    for piece in 0.. {
        let end = (at + piece % 7).min(blocks.len());
        let items = blocks[at..end].iter().map(|(_, item)| item.clone());
        let beat = json!({ "event": "heartbeat", "head": 9, "tip": 400, "lag": 400 - end });
        member.say(items.chain([beat]));
        at = end;
        if at == blocks.len() {
            break;
        }
    }
    let mut follower = LaneFollower::new(&url, ROLLUP, LaneFrom::Height(LaneHeight(1)));
    let mut cuts = 0;
    for (expected, _) in &blocks {
        let found = loop {
            match follower.next().await {
                Ok(found) => break found,
                Err(error) => {
                    assert!(error.retry_helps(), "{error}");
                    cuts += 1;
                }
            }
        };
        assert_eq!(found.lane, *expected);
    }
    assert!(cuts > 100, "{cuts}");
    let last = blocks.last().unwrap().0;
    assert_eq!(follower.from(), LaneFrom::After(last.height, last.hash()));
    let asked = member.asked.lock().unwrap().clone();
    assert_eq!(asked[0], json!(1));
    assert!(
        asked
            .iter()
            .filter_map(Value::as_str)
            .all(|cursor| cursor.contains('-'))
    );
}

#[tokio::test]
async fn member_that_is_stopped_in_the_middle_costs_no_lane_block_and_repeats_none() {
    let blocks = lane(600);
    let member = StandIn {
        lane: Arc::new(blocks.clone()),
        ..StandIn::default()
    };
    let (url, mut server) = member.serve().await;
    let mut follower = LaneFollower::new(&url, ROLLUP, LaneFrom::Height(LaneHeight(1)));
    let (mut read, mut stops, mut errors) = (Vec::new(), 0, 0);
    while read.len() < blocks.len() {
        match follower.next().await {
            Ok(found) => read.push(found.lane),
            Err(error) => {
                errors += 1;
                assert!(error.retry_helps() && errors < 100, "{error}");
            }
        }
        // Somewhere in each fifty; what was under way is lost with it.
        if read.len() >= stops * 50 + 1 + (stops * 17) % 50 && stops < 11 {
            stops += 1;
            server.stop().unwrap();
            server.stopped().await;
            let (url, next) = member.serve().await;
            server = next;
            follower.move_to(&url);
        }
    }
    let expected: Vec<LaneBlock> = blocks.iter().map(|(lane, _)| *lane).collect();
    assert_eq!(read, expected);
    assert_eq!(stops, 11);
    assert!(member.asked.lock().unwrap().len() > stops);
}

#[tokio::test]
async fn what_does_not_continue_is_refused() {
    let blocks = lane(4);
    let item = |at: usize| blocks[at].1.clone();
    let changed = |name: &str, value: Value| {
        let mut item = item(1);
        item[name] = value;
        item
    };
    let other_parent = {
        let mut item = item(1);
        item["lane"]["parent"] = json!("22".repeat(32));
        item
    };
    for bad in [
        item(0),
        item(2),
        other_parent,
        changed("transactions", json!(["0x00"])),
        changed("transactions", json!([])),
        changed("transactions", json!(["zz"])),
        changed("event", json!("surprise")),
        changed("lane", json!(7)),
        json!({ "event": "foreign" }),
    ] {
        let member = StandIn::default();
        let (url, _handle) = member.serve().await;
        member.say([item(0), bad.clone()]);
        let mut follower = LaneFollower::new(&url, ROLLUP, LaneFrom::Height(LaneHeight(1)));
        follower.next().await.unwrap();
        let error = follower.next().await.unwrap_err();
        assert!(
            matches!(error, ClientError::Answer { .. }),
            "{bad}: {error}"
        );
        assert!(!error.retry_helps());
    }
}

#[tokio::test]
async fn lagged_and_pruned_are_told_and_the_head_is_held() {
    let member = StandIn::default();
    let (url, _handle) = member.serve().await;
    let blocks = lane(9);
    // Nothing came before the cut, but it is known where to go on.
    member.say([json!({ "event": "heartbeat", "head": 9, "tip": 5, "lag": 0 })]);
    member.say([
        blocks[5].1.clone(),
        json!({ "event": "lagged", "cursor": "6-x" }),
    ]);
    member.say([json!({ "event": "pruned", "first": 8, "tip": 9, "checkpoint": null })]);
    let mut follower = LaneFollower::new(&url, ROLLUP, LaneFrom::Head);
    assert!(follower.next().await.unwrap_err().retry_helps());
    assert_eq!(follower.from(), LaneFrom::Height(LaneHeight(6)));
    assert_eq!((follower.lag().tip.0, follower.lag().head.0), (5, 9));
    assert_eq!(follower.next().await.unwrap().lane.height, LaneHeight(6));
    let lagged = follower.next().await.unwrap_err();
    assert!(lagged.to_string().contains("too slow"), "{lagged}");
    match follower.next().await.unwrap_err() {
        ClientError::Refused { code, data, .. } => {
            assert_eq!(code, outrider_client::CODE_PRUNED);
            assert!(data.unwrap().contains("\"first\":8"));
        }
        other => panic!("{other}"),
    }
}
