//! L6: whether a lane obeyed its ordering policy, at stand-ins for a member that serve a chain, honestly or not.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

#[allow(dead_code, reason = "shared with the tests of finality")]
#[path = "../../finality/tests/world/mod.rs"]
mod world;

use jsonrpsee::RpcModule;
use jsonrpsee::server::{Server, ServerHandle};
use outrider_client::{
    CheckedOrder, Client, ClientError, FinalHeader, LaneProof, OrderAudit, OrderError, Trust,
};
use outrider_finality::{Ledger, Outlook};
use outrider_types::bundle;
use outrider_types::registry::{Open, RegistryCommand, SHORT_LIVED, Vm};
use outrider_types::{
    Batch, Block, Bytes, CheckedPayload, LaneBlock, LaneHeight, Payload, Policy, Registration,
    Registry, RollupId, Timestamp, Transaction, testing,
};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use world::{World, child};

const SHUFFLED: RollupId = RollupId(50);
const PREFIX: RollupId = RollupId(51);
const PLAIN: RollupId = RollupId(60);
const SHORT: RollupId = RollupId(SHORT_LIVED.start);

/// A final block, as it is served.
#[derive(Clone)]
struct Served {
    block: Block,
    lanes: Vec<LaneBlock>,
    payload: Payload,
}

/// A chain whose headers say what they should; whether its blocks obey the policies is up to who makes them.
struct Chain {
    world: World,
    ledger: Ledger,
    blocks: Vec<Served>,
    /// The registry now.
    registry: Registry,
    /// Changes what the member answers to a call.
    lie: fn(&str, &mut Value),
}

impl Chain {
    fn new() -> Self {
        let world = World::new(1, 0);
        let genesis = Block::genesis(&world.committee);
        Self {
            ledger: Ledger::new(&genesis),
            blocks: vec![Served {
                block: genesis,
                lanes: Vec::new(),
                payload: Payload::default(),
            }],
            world,
            registry: Registry::default(),
            lie: |_, _| {},
        }
    }

    fn parent(&self) -> &Block {
        &self.blocks.last().unwrap().block
    }

    /// A block with these transactions in this order, rollups ascending, so many seconds after its parent.
    fn add(&mut self, seconds: u64, batches: Vec<(RollupId, Vec<Bytes>)>) {
        let batch = |(rollup, transactions)| Batch {
            rollup,
            transactions,
        };
        let payload = Payload {
            batches: batches.into_iter().map(batch).collect(),
        };
        let checked = CheckedPayload::new(payload.clone()).unwrap();
        let parent = *self.parent();
        let roots = Outlook::default().roots(&self.ledger, parent.id(), &checked);
        let mut block = child(&parent, payload.id());
        block.roots = roots.unwrap();
        block.timestamp = Timestamp(parent.timestamp.0 + seconds * 1_000_000);
        let lanes = self.ledger.append(&block, &checked).unwrap().lanes;
        self.registry = (*Outlook::default()
            .registry(&self.ledger, block.id())
            .unwrap())
        .clone();
        self.blocks.push(Served {
            block,
            lanes,
            payload,
        });
    }

    /// Transactions as the policy puts them into the next block.
    fn arranged(&self, rollup: RollupId, policy: Policy, names: &[&str]) -> Vec<Bytes> {
        let list: Vec<Bytes> = names
            .iter()
            .map(|name| Bytes::from(name.to_string()))
            .collect();
        let ids: Vec<_> = list.iter().map(|data| id(rollup, data)).collect();
        let places = policy.arrange(self.parent().id(), &list, &ids);
        places.into_iter().map(|at| list[at].clone()).collect()
    }

    fn proof(&self, rollup: RollupId, height: usize) -> LaneProof {
        let served = &self.blocks[height];
        let header = FinalHeader {
            committee: self.world.committee.id(),
            block: served.block,
            skip: None,
            path: Vec::new(),
            certificate: self.world.slow(&served.block, &[0, 1, 3]),
        };
        LaneProof::build(header, &served.lanes, rollup)
    }

    fn range(&self, rollup: RollupId, from: u64, limit: usize) -> Value {
        let of = |served: &Served| {
            let lane = served.lanes.iter().find(|lane| lane.rollup == rollup)?;
            let batches = &served.payload.batches;
            let batch = batches.iter().find(|batch| batch.rollup == rollup)?;
            let data: Vec<String> = batch.transactions.iter().map(in_hex).collect();
            (lane.height.0 >= from)
                .then(|| json!({ "lane": lane, "header": served.block, "transactions": data }))
        };
        let lanes: Vec<Value> = self.blocks.iter().filter_map(of).take(limit).collect();
        json!({ "tip": self.ledger.lane(rollup), "head": self.parent().height, "first": 1, "lanes": lanes })
    }

    fn block(&self, height: usize) -> Value {
        let Served { block, payload, .. } = &self.blocks[height];
        let of = |batch: &Batch| {
            let rollup = batch.rollup;
            let one = |data: &Bytes| json!({ "rollup": rollup, "id": id(rollup, data), "data": in_hex(data) });
            batch.transactions.iter().map(one).collect::<Vec<_>>()
        };
        let transactions: Vec<Value> = payload.batches.iter().flat_map(of).collect();
        json!({ "id": block.id(), "header": block, "transactions": transactions })
    }

    async fn serve(self) -> (String, ServerHandle) {
        let mut module = RpcModule::new(Arc::new(Mutex::new(self)));
        for method in [
            "outrider_lane",
            "outrider_rollups",
            "outrider_laneRange",
            "outrider_laneProof",
            "outrider_block",
        ] {
            module
                .register_method(method, move |params, chain, _| {
                    let params: Option<Vec<Value>> = params.parse().unwrap();
                    let params = params.unwrap_or_default();
                    let number = |at: usize| params[at].as_u64().unwrap();
                    let chain = chain.lock().unwrap();
                    let mut answer = match method {
                        "outrider_lane" => json!(chain.ledger.lane(RollupId(number(0)))),
                        "outrider_rollups" => json!(chain.registry.iter().collect::<Vec<_>>()),
                        "outrider_laneRange" => {
                            chain.range(RollupId(number(0)), number(1), number(2) as usize)
                        }
                        "outrider_laneProof" => {
                            json!(chain.proof(RollupId(number(0)), number(1) as usize))
                        }
                        _ => chain.block(number(0) as usize),
                    };
                    (chain.lie)(method, &mut answer);
                    answer
                })
                .unwrap();
        }
        let server = Server::builder().build("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", server.local_addr().unwrap());
        (url, server.start(module))
    }

    /// What an audit of a lane says, at a member that serves this chain.
    async fn audit(self, rollup: RollupId) -> Result<Vec<CheckedOrder>, ClientError> {
        let trust = Trust::new(self.world.committee.clone());
        let (url, _handle) = self.serve().await;
        let client = Client::new(&url).unwrap();
        let mut audit = OrderAudit::new(client, trust, rollup, LaneHeight(1), None).await?;
        let mut list = Vec::new();
        while let Some(order) = audit.next().await? {
            list.push(order);
        }
        Ok(list)
    }

    async fn fault(self, rollup: RollupId) -> OrderError {
        match self.audit(rollup).await.unwrap_err() {
            ClientError::Order(error) => error,
            other => panic!("{other}"),
        }
    }
}

fn id(rollup: RollupId, data: &Bytes) -> outrider_types::TransactionId {
    let data = data.clone();
    Transaction { rollup, data }.id()
}

fn in_hex(data: &Bytes) -> String {
    format!("0x{}", hex::encode(data))
}

fn open(rollup: RollupId, policy: Policy, ttl: u64) -> Bytes {
    let open = Open {
        rollup,
        vm: Vm::Opaque,
        policy,
        owner: testing::key(1).public_key(),
        ttl,
    };
    RegistryCommand::Open(open).to_data()
}

const NAMES: [&str; 5] = ["one", "two", "three", "four", "five"];

/// Rollups are registered one after the other, so that what is registered at the end is not what most blocks found.
fn obedient() -> Chain {
    let mut chain = Chain::new();
    chain.add(
        1,
        vec![
            (RollupId(0), vec![open(SHUFFLED, Policy::Shuffled, 0)]),
            (PREFIX, vec![Bytes::from_static(b"early")]),
        ],
    );
    let list = chain.arranged(SHUFFLED, Policy::Shuffled, &NAMES);
    chain.add(
        1,
        vec![
            (SHUFFLED, list),
            (
                PREFIX,
                vec![Bytes::from_static(b"b"), Bytes::from_static(b"c")],
            ),
        ],
    );
    // It has transactions already: this changes nothing.
    chain.add(
        1,
        vec![(
            RollupId(0),
            vec![
                open(PREFIX, Policy::PriorityPrefix, 0),
                open(SHORT, Policy::Fcfs, 60),
            ],
        )],
    );
    let list = chain.arranged(SHUFFLED, Policy::Shuffled, &["six", "seven"]);
    chain.add(
        1,
        vec![
            (SHUFFLED, list),
            (
                PREFIX,
                vec![
                    Bytes::from_static(b"00000001"),
                    Bytes::from_static(b"00000002"),
                ],
            ),
            (SHORT, vec![Bytes::new()]),
        ],
    );
    chain.add(
        1,
        vec![(RollupId(0), vec![open(RollupId(70), Policy::Shuffled, 0)])],
    );
    chain
}

#[tokio::test]
async fn obedient_blocks_are_found_so_under_every_registry() {
    let orders = obedient().audit(SHUFFLED).await.unwrap();
    let lanes: Vec<u64> = orders
        .iter()
        .map(|it| it.checked.lane.unwrap().height.0)
        .collect();
    assert_eq!(lanes, [1, 2]);
    assert!(orders.iter().all(|it| it.policy == Policy::Shuffled));
    let orders = obedient().audit(PREFIX).await.unwrap();
    assert_eq!(orders.len(), 3);
    assert!(orders.iter().all(|it| it.policy == Policy::Fcfs));
    assert_eq!(obedient().audit(SHORT).await.unwrap().len(), 1);
}

#[tokio::test]
async fn block_out_of_order_is_a_fault_of_the_committee() {
    let mut chain = obedient();
    let mut list = chain.arranged(SHUFFLED, Policy::Shuffled, &NAMES.map(|name| &name[1..]));
    list.swap(2, 3);
    chain.add(1, vec![(SHUFFLED, list)]);
    let fault = chain.fault(SHUFFLED).await;
    assert!(fault.is_fault());
    let OrderError::Order {
        lane,
        place,
        policy,
        ..
    } = fault
    else {
        panic!("{fault}")
    };
    assert_eq!((lane, place, policy), (LaneHeight(3), 3, Policy::Shuffled));
}

#[tokio::test]
async fn block_for_a_closed_rollup_is_a_fault_of_the_committee() {
    let mut chain = obedient();
    chain.add(57, vec![(SHORT, vec![Bytes::from_static(b"in time")])]);
    chain.add(1, vec![(SHORT, vec![Bytes::from_static(b"too late")])]);
    let height = chain.parent().height;
    let fault = chain.fault(SHORT).await;
    assert_eq!(
        fault,
        OrderError::Closed {
            rollup: SHORT,
            height
        }
    );
    assert!(fault.is_fault());
}

/// A block with a bundle over two rollups, all of it or a part.
fn bundled(parts: usize) -> Chain {
    let mut chain = obedient();
    let data = |name: &'static str| Bytes::from_static(name.as_bytes());
    let (_, mut wrapped) = bundle::wrap(&[(PLAIN, data("here")), (PREFIX, data("there"))]).unwrap();
    wrapped.truncate(parts);
    wrapped.sort_by_key(|part| part.rollup);
    chain.add(
        1,
        wrapped
            .into_iter()
            .map(|part| (part.rollup, vec![part.data]))
            .collect(),
    );
    chain
}

#[tokio::test]
async fn bundle_is_whole_or_a_fault_of_the_committee() {
    let orders = bundled(2).audit(PLAIN).await.unwrap();
    assert_eq!(orders[0].parts, 1);
    let chain = bundled(1);
    let at = chain.parent().height;
    let fault = chain.fault(PLAIN).await;
    assert!(fault.is_fault());
    assert!(
        matches!(fault, OrderError::Bundle { height, .. } if height == at),
        "{fault}"
    );
}

#[tokio::test]
async fn member_that_lies_is_found_out_and_the_committee_is_not_blamed() {
    // It hides the other part of a bundle.
    let mut chain = bundled(2);
    chain.lie = |method, answer| {
        if method == "outrider_block" {
            answer["transactions"].as_array_mut().unwrap().remove(0);
        }
    };
    let error = chain.fault(PLAIN).await;
    assert!(
        matches!(error, OrderError::Payload { .. }) && !error.is_fault(),
        "{error}"
    );
    // It names another policy, or an opening that nobody asked for.
    let renamed: fn(&str, &mut Value) = |method, answer| match method {
        "outrider_rollups" => {
            let mut list: Vec<Registration> = serde_json::from_value(answer.clone()).unwrap();
            list.iter_mut().for_each(|it| it.policy = Policy::Fcfs);
            *answer = json!(list);
        }
        "outrider_laneRange" if answer["lanes"][0]["lane"]["rollup"] == json!(0) => {
            answer["lanes"] = json!([]);
        }
        _ => {}
    };
    let mut chain = obedient();
    chain.lie = renamed;
    let error = chain.fault(SHUFFLED).await;
    assert!(
        matches!(error, OrderError::Registry { .. }) && !error.is_fault(),
        "{error}"
    );
}

#[tokio::test]
async fn lane_blocks_that_do_not_hold_are_refused() {
    let swapped: fn(&str, &mut Value) = |method, answer| {
        if method == "outrider_laneRange" {
            answer["lanes"][0]["transactions"]
                .as_array_mut()
                .unwrap()
                .swap(0, 1);
        }
    };
    let header: fn(&str, &mut Value) = |method, answer| {
        if method == "outrider_laneRange" {
            answer["lanes"][0]["header"]["timestamp"] = json!(7);
        }
    };
    let gap: fn(&str, &mut Value) = |method, answer| {
        if method == "outrider_laneRange" {
            answer["lanes"].as_array_mut().unwrap().remove(0);
        }
    };
    for lie in [swapped, gap] {
        let mut chain = obedient();
        chain.lie = lie;
        let error = chain.audit(SHUFFLED).await.unwrap_err();
        assert!(matches!(error, ClientError::Answer { .. }), "{error}");
    }
    let mut chain = obedient();
    chain.lie = header;
    let error = chain.audit(SHUFFLED).await.unwrap_err();
    assert!(matches!(error, ClientError::OtherLane { .. }), "{error}");
    // A signature that is not the member's.
    let mut chain = obedient();
    chain.lie = |method, answer| {
        if method == "outrider_laneProof" {
            answer["header"]["certificate"]["slow"]["signatures"][0][1] = json!("00".repeat(64));
        }
    };
    let error = chain.audit(SHUFFLED).await.unwrap_err();
    assert!(matches!(error, ClientError::Proof(_)), "{error}");
}

#[tokio::test]
async fn lane_that_is_not_so_long_is_an_error_that_waiting_may_mend() {
    let error = obedient().audit(RollupId(99)).await.unwrap_err();
    assert!(matches!(error, ClientError::LaneEnds { .. }), "{error}");
    assert!(error.retry_helps());
}
