//! What a reader hears whose cursor points at what was forgotten: where the lane begins here, and a proof that leads there.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

mod mock;

use jsonrpsee::core::client::{ClientT as _, Error, Subscription, SubscriptionClientT as _};
use jsonrpsee::rpc_params;
use jsonrpsee::ws_client::{WsClient, WsClientBuilder};
use mock::{MockDriver, config};
use outrider_finality::{SkipProof, Trust};
use outrider_node::api::{self, ErrorCode, LaneEvent, RunningApi, ServedRange, StreamedLane};
use outrider_node::handle::NodeHandle;
use outrider_types::registry::SHORT_LIVED;
use outrider_types::{Block, Bytes, Height, RollupId, Transaction};
use serde_json::{Value, json};

const ROLLUP: RollupId = RollupId(7);
const OTHER: RollupId = RollupId(1001);
/// Blocks that are kept, and blocks that are ordered.
const KEEP: u64 = 64;
const BLOCKS: u64 = 400;

async fn socket(api: &RunningApi) -> WsClient {
    let url = format!("ws://{}", api.local_addr());
    WsClientBuilder::default()
        .max_response_size(16 << 20)
        .build(url)
        .await
        .unwrap()
}

async fn subscribe(socket: &WsClient, from: Value) -> Subscription<LaneEvent> {
    let topic = json!({ "rollup": ROLLUP, "from": from, "stage": "soft" });
    let parameters = rpc_params!["lane", topic];
    let subscribed = socket.subscribe("outrider_subscribe", parameters, "outrider_unsubscribe");
    subscribed.await.unwrap()
}

/// The next event but a heartbeat.
async fn next(events: &mut Subscription<LaneEvent>) -> LaneEvent {
    loop {
        match events.next().await.unwrap().unwrap() {
            LaneEvent::Heartbeat { .. } => {}
            other => return other,
        }
    }
}

async fn lane(events: &mut Subscription<LaneEvent>) -> StreamedLane {
    match next(events).await {
        LaneEvent::Lane(lane) => *lane,
        other => panic!("{other:?}"),
    }
}

/// Order so many blocks, every third of another rollup.
async fn order(handle: &NodeHandle, numbers: std::ops::Range<u64>) {
    let transaction = |number: u64| Transaction {
        rollup: if number % 3 == 2 { OTHER } else { ROLLUP },
        data: Bytes::copy_from_slice(&number.to_be_bytes()),
    };
    for answer in handle.submit_many(numbers.map(transaction).collect()).await {
        answer.unwrap();
    }
}

#[tokio::test]
async fn reader_of_what_was_forgotten_hears_where_the_lane_begins_and_gets_a_proof() {
    let (handle, committee) = MockDriver::spawn_keeping(2, KEEP);
    let defaults = config(&[]);
    let api = api::serve(handle.clone(), &defaults.rpc, &defaults.mempool)
        .await
        .unwrap();
    let socket = socket(&api).await;
    let trust = Trust::new(committee.clone());

    // A reader that stops after the second lane block, and keeps its header and its cursor.
    order(&handle, 0..4).await;
    let mut events = subscribe(&socket, json!(1)).await;
    let first = lane(&mut events).await;
    let held = lane(&mut events).await;
    assert_eq!((first.lane.height.0, held.lane.height.0), (1, 2));
    drop(events);
    order(&handle, 4..BLOCKS).await;

    for from in [json!(1), json!(held.cursor)] {
        let mut events = subscribe(&socket, from.clone()).await;
        let LaneEvent::Pruned {
            first,
            tip,
            checkpoint,
        } = next(&mut events).await
        else {
            panic!("{from}: nothing was forgotten");
        };
        let (first, checkpoint) = (first.unwrap(), checkpoint.unwrap());
        let checked = trust.verify_skip(&checkpoint).unwrap();
        assert_eq!(checked.block, Block::genesis(&committee).id());
        assert_eq!(checked.to, Height(BLOCKS));
        let mut forged = checkpoint.clone();
        forged.header.skip.as_mut().unwrap().to.timestamp.0 += 1;
        assert!(trust.verify_skip(&forged).is_err());
        // What it says is the oldest is there, and the one before is not.
        let mut events = subscribe(&socket, json!(first)).await;
        let oldest = lane(&mut events).await;
        assert_eq!(oldest.lane.height, first);
        let kept = BLOCKS - oldest.header.height.0;
        assert!(
            (KEEP - 2..2 * KEEP).contains(&kept),
            "{kept} blocks above it"
        );
        let range = rpc_params![ROLLUP, first, 1_000];
        let range: ServedRange = socket.request("outrider_laneRange", range).await.unwrap();
        assert_eq!((range.first, range.tip.height), (Some(first), tip));
        let before = rpc_params![ROLLUP, first.0 - 1];
        let refused = socket.request::<Value, _>("outrider_laneRange", before);
        let Err(Error::Call(refused)) = refused.await else {
            panic!("lane block {} is still there", first.0 - 1);
        };
        assert_eq!(refused.code(), ErrorCode::Pruned.describe().0);
        let data: Value = serde_json::from_str(refused.data().unwrap().get()).unwrap();
        assert_eq!(data["first"], json!(first));
    }

    // From the header that the reader holds, which was forgotten here, up to the last block and up to one that is kept.
    for to in [None, Some(BLOCKS - 10)] {
        let skip = rpc_params![held.header, to];
        let proof: SkipProof = socket.request("outrider_skipProof", skip).await.unwrap();
        let checked = trust.verify_skip(&proof).unwrap();
        assert_eq!(proof.header.block, held.header);
        assert_eq!(checked.block, held.header.id());
        assert_eq!(checked.to, Height(to.unwrap_or(BLOCKS)));
    }
    // A header of another chain is among nobody's ancestors: whatever is answered does not verify.
    let mut foreign = held.header;
    foreign.timestamp.0 += 1;
    let skip = rpc_params![foreign, None::<u64>];
    let answer: Option<SkipProof> = socket.request("outrider_skipProof", skip).await.unwrap();
    assert!(answer.is_none_or(|proof| trust.verify_skip(&proof).is_err()));
}

#[tokio::test]
async fn closed_rollup_has_a_code_of_its_own_and_no_retry_helps() {
    let api = mock::serve().await;
    let socket = socket(&api).await;
    let submission = rpc_params![SHORT_LIVED.start, "0x01"];
    let refused = socket.request::<Value, _>("outrider_submit", submission);
    let Err(Error::Call(refused)) = refused.await else {
        panic!("it was taken");
    };
    let (code, _, retry) = ErrorCode::RollupClosed.describe();
    assert_eq!((refused.code(), retry), (code, "no"));
    assert!(refused.message().contains("not open"), "{refused}");
}
