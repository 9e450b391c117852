//! A lane read from members of which none is believed: each lie is noticed, and the next member is asked where the last one was left.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

use jsonrpsee::server::{RpcModule, Server, ServerHandle, SubscriptionMessage};
use jsonrpsee::types::ErrorObjectOwned;
use outrider_client::{FinalHeader, LaneProof, Trust};
use outrider_conductor::{Lane, LaneError, LaneItem, MemberLane};
use outrider_finality::{LaneClaim, LaneGap, Ledger, Outlook};
use outrider_types::{
    Aggregate, Batch, Block, Bytes, CheckedPayload, CommitVote, Committee, FinalityCertificate,
    Height, LaneBlock, MemberIndex, Payload, RollupId, SecretKey, Signed, Timestamp, Transaction,
    View, testing,
};
use serde_json::{Value, json};
use std::sync::Arc;

const ROLLUP: RollupId = RollupId(7);
const OTHER: RollupId = RollupId(9);
const BLOCKS: u64 = 12;
/// From this block on a liar lies.
const LIES_FROM: u64 = 6;

/// How a member lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lie {
    Nothing,
    /// One transaction of the rollup is left out.
    Withholds,
    /// The proof says that the block holds nothing.
    SaysAbsent,
    /// The block is signed by others than the committee.
    OtherSigners,
    /// The announced block is another one.
    OtherBlock,
    /// There is no proof.
    NoProof,
}

struct Ordered {
    block: Block,
    transactions: Vec<Transaction>,
    lanes: Vec<LaneBlock>,
    certificate: FinalityCertificate,
    forged: FinalityCertificate,
}

/// A chain that a committee signed: every third block is empty, every third is of another rollup too.
fn chain() -> (Committee, Vec<Ordered>) {
    let (committee, keys) = testing::committee(&[1; 4]);
    let strangers: Vec<SecretKey> = (50..54).map(testing::key).collect();
    let genesis = Block::genesis(&committee);
    let mut ledger = Ledger::new(&genesis);
    let mut parent = genesis;
    let mut blocks = Vec::new();
    for height in 1..=BLOCKS {
        let data = |salt: u64| Bytes::copy_from_slice(&(height * 10 + salt).to_be_bytes());
        let batch = |rollup, many| Batch {
            rollup,
            transactions: (0..many).map(data).collect(),
        };
        let batches = match height % 3 {
            0 => vec![],
            1 => vec![batch(ROLLUP, 2)],
            _ => vec![batch(ROLLUP, 3), batch(OTHER, 1)],
        };
        let payload = CheckedPayload::new(Payload { batches }).unwrap();
        let roots = Outlook::default().roots(&ledger, parent.id(), &payload);
        let block = Block {
            roots: roots.unwrap(),
            origin: outrider_types::Origin::NONE,
            view: View(height),
            height: Height(height),
            parent: parent.id(),
            justify: parent.view,
            payload: payload.id,
            timestamp: Timestamp(height * 1_000),
            ..parent
        };
        let vote = CommitVote {
            epoch: block.epoch,
            view: block.view,
            block: block.id(),
        };
        let signed = |keys: &[SecretKey]| {
            let votes = (0_u16..3).zip(keys);
            let votes =
                votes.map(|(at, key)| Signed::sign(vote, block.chain, MemberIndex(at), key));
            let votes: Vec<_> = votes.collect();
            FinalityCertificate::Slow(Aggregate::assemble(&votes).unwrap())
        };
        let lanes = ledger.append(&block, &payload).unwrap().lanes;
        let all = payload.payload.batches.iter().flat_map(|batch| {
            let rollup = batch.rollup;
            let data = batch.transactions.iter().cloned();
            data.map(move |data| Transaction { rollup, data })
        });
        blocks.push(Ordered {
            block,
            transactions: all.collect(),
            lanes,
            certificate: signed(&keys),
            forged: signed(&strangers),
        });
        parent = block;
    }
    (committee, blocks)
}

/// Stands for a member: it serves a chain that is given, and lies as told.
struct StandInMember {
    committee: Committee,
    blocks: Vec<Ordered>,
    lie: Lie,
}

impl StandInMember {
    fn lies(&self, height: u64, lie: Lie) -> bool {
        self.lie == lie && height >= LIES_FROM
    }

    fn at(&self, height: u64) -> Option<&Ordered> {
        self.blocks
            .get(usize::try_from(height).ok()?.checked_sub(1)?)
    }

    fn announced(&self, height: u64) -> Value {
        let one = self.at(height).unwrap();
        let mut block = one.block;
        if self.lies(height, Lie::OtherBlock) {
            block.timestamp.0 += 1;
        }
        let ids: Vec<_> = one.transactions.iter().map(Transaction::id).collect();
        json!({ "height": height, "id": block.id(), "timestamp": block.timestamp, "transactions": ids })
    }

    fn block(&self, height: u64) -> Value {
        let Some(one) = self.at(height) else {
            return Value::Null;
        };
        let withheld = self.lies(height, Lie::Withholds);
        let served = one.transactions.iter().skip(usize::from(withheld));
        let served: Vec<Value> = served
            .map(|one| {
                let data = format!("0x{}", hex::encode(&one.data));
                json!({ "rollup": one.rollup, "id": one.id(), "data": data })
            })
            .collect();
        json!({ "id": one.block.id(), "header": one.block, "transactions": served })
    }

    fn proof(&self, rollup: RollupId, height: u64) -> Value {
        let (Some(one), false) = (self.at(height), self.lies(height, Lie::NoProof)) else {
            return Value::Null;
        };
        let forged = self.lies(height, Lie::OtherSigners);
        let header = FinalHeader {
            committee: self.committee.id(),
            block: one.block,
            skip: None,
            path: Vec::new(),
            certificate: if forged {
                &one.forged
            } else {
                &one.certificate
            }
            .clone(),
        };
        let mut proof = LaneProof::build(header, &one.lanes, rollup);
        if self.lies(height, Lie::SaysAbsent) {
            proof.claim = LaneClaim::Absent(LaneGap {
                before: None,
                after: None,
            });
        }
        json!(proof)
    }

    async fn serve(lie: Lie) -> (String, ServerHandle) {
        let (committee, blocks) = chain();
        let member = Self {
            committee,
            blocks,
            lie,
        };
        let mut module = RpcModule::new(member);
        module
            .register_method("outrider_block", |params, member, _| {
                let height: u64 = params.sequence().next()?;
                Ok::<_, ErrorObjectOwned>(member.block(height))
            })
            .unwrap();
        module
            .register_method("outrider_laneProof", |params, member, _| {
                let (rollup, height): (RollupId, u64) = params.parse()?;
                Ok::<_, ErrorObjectOwned>(member.proof(rollup, height))
            })
            .unwrap();
        module
            .register_subscription(
                "outrider_subscribe",
                "outrider_subscription",
                "outrider_unsubscribe",
                |_, pending, member: Arc<Self>, _| async move {
                    let sink = pending.accept().await?;
                    for height in 1..=BLOCKS {
                        let said = serde_json::value::to_raw_value(&member.announced(height))?;
                        sink.send(SubscriptionMessage::from(said)).await?;
                    }
                    sink.closed().await;
                    Ok(())
                },
            )
            .unwrap();
        let server = Server::builder().build("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", server.local_addr().unwrap());
        (url, server.start(module))
    }
}

/// All that the lane gives up to the last block, and how often it had to be asked again.
async fn read(lane: &mut MemberLane) -> Result<(Vec<LaneItem>, Vec<String>), LaneError> {
    let (mut items, mut waits) = (Vec::new(), Vec::new());
    while (items.len() as u64) < BLOCKS {
        match lane.next().await {
            Ok(item) => items.push(item),
            Err(error) if error.retry_helps() && waits.len() < 50 => waits.push(error.to_string()),
            Err(error) => return Err(error),
        }
    }
    Ok((items, waits))
}

fn lane(urls: &[String]) -> MemberLane {
    let (committee, _) = chain();
    let lane = MemberLane::new(ROLLUP, urls).unwrap().unwrap();
    lane.trusting(Some(Trust::new(committee)))
}

fn assert_whole(items: &[LaneItem]) {
    let (_, blocks) = chain();
    for (item, one) in items.iter().zip(&blocks) {
        let own = one.transactions.iter().filter(|one| one.rollup == ROLLUP);
        let own: Vec<Bytes> = own.map(|one| one.data.clone()).collect();
        match item {
            LaneItem::Quiet(at) => {
                assert!(own.is_empty());
                assert_eq!(*at, one.block.timestamp);
            }
            LaneItem::Block(block) => {
                assert_eq!(block.transactions, own);
                assert_eq!(block.cursor.block, one.block.id());
                assert_eq!(block.timestamp, one.block.timestamp);
            }
        }
    }
    assert_eq!(items.len(), blocks.len());
}

#[tokio::test]
async fn lane_of_an_honest_member_is_proven_and_whole() {
    let (url, _server) = StandInMember::serve(Lie::Nothing).await;
    let (items, waits) = read(&mut lane(&[url])).await.unwrap();
    assert_whole(&items);
    assert!(waits.is_empty(), "{waits:?}");
}

#[tokio::test]
async fn liar_is_left_for_the_next_member_and_nothing_is_missed() {
    for lie in [
        Lie::Withholds,
        Lie::SaysAbsent,
        Lie::OtherSigners,
        Lie::OtherBlock,
        Lie::NoProof,
    ] {
        let (liar, _one) = StandInMember::serve(lie).await;
        let (honest, _two) = StandInMember::serve(Lie::Nothing).await;
        let (items, waits) = read(&mut lane(&[liar, honest])).await.unwrap();
        assert_whole(&items);
        assert_eq!(waits.len(), 1, "{lie:?}: {waits:?}");
    }
}

#[tokio::test]
async fn liar_alone_is_not_believed() {
    for lie in [
        Lie::Withholds,
        Lie::SaysAbsent,
        Lie::OtherSigners,
        Lie::OtherBlock,
    ] {
        let (liar, _one) = StandInMember::serve(lie).await;
        let refused = read(&mut lane(std::slice::from_ref(&liar))).await;
        let refused = refused.unwrap_err();
        assert!(
            matches!(refused, LaneError::Order { height, .. } if height.0 >= LIES_FROM),
            "{lie:?}: {refused}"
        );
    }
    // Without a committee it is.
    let (liar, _one) = StandInMember::serve(Lie::Withholds).await;
    let mut lane = MemberLane::new(ROLLUP, &[liar]).unwrap().unwrap();
    assert!(read(&mut lane).await.is_ok());
}

#[tokio::test]
async fn member_that_stops_is_left_for_the_next_one_where_it_was() {
    let (first, server) = StandInMember::serve(Lie::Nothing).await;
    let (second, _two) = StandInMember::serve(Lie::Nothing).await;
    let mut lane = lane(&[first, second]);
    let mut items = Vec::new();
    for _ in 0..5 {
        items.push(lane.next().await.unwrap());
    }
    server.stop().unwrap();
    server.stopped().await;
    let mut waits = 0;
    while (items.len() as u64) < BLOCKS {
        match lane.next().await {
            Ok(item) => items.push(item),
            Err(error) => {
                waits += 1;
                assert!(error.retry_helps() && waits < 10, "{error}");
            }
        }
    }
    assert_whole(&items);
    assert!(waits > 0);
}
