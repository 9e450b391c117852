//! Every proof that the store gives is accepted by a light client, and what it proves is so.

use crate::chain::Chain;
use crate::chain::testing::{append, grow, members, open, payload};
use crate::handle::SkipFrom;
use outrider_finality::{HISTORY_CHUNK, LaneProof, LaneRangeProof, SkipProof, Trust};
use outrider_storage::{MemoryDisk, MemoryStore};
use outrider_types::{Block, Height, LaneHeight, RollupId};

const ROLLUPS: [u64; 6] = [0, 1, 2, 3, 4, 5];

fn header(block: Block) -> SkipFrom {
    SkipFrom::Header(Box::new(block))
}

fn chain(blocks: u64) -> (MemoryDisk, Chain<MemoryStore>) {
    let disk = MemoryDisk::new();
    let mut chain = open(disk.store());
    grow(&mut chain, blocks, 20);
    (disk, chain)
}

#[test]
fn each_block_proves_what_it_holds_and_what_it_does_not() {
    let (_, chain) = chain(40);
    let trust = Trust::new(members());
    for height in 1..=40 {
        let holds = payload(height, 20);
        for rollup in ROLLUPS.map(RollupId) {
            let proof = chain.lane_proof(rollup, Height(height)).unwrap().unwrap();
            let proof = LaneProof::from_json(proof.to_json().as_bytes()).unwrap();
            let checked = trust.verify_lane(&proof).unwrap();
            let batch = holds.batches.iter().find(|batch| batch.rollup == rollup);
            let found = checked.lane.map(|lane| lane.count as usize);
            assert_eq!(found, batch.map(|batch| batch.transactions.len()));
            if let Some(lane) = checked.lane {
                let place = chain.lane_block(rollup, lane.height).unwrap();
                assert_eq!(place, Some((lane, Height(height))));
            }
        }
    }
    assert!(chain.lane_proof(RollupId(1), Height(41)).unwrap().is_none());
}

#[test]
fn lanes_are_served_whole_and_proven_without_gaps() {
    let (_, chain) = chain(60);
    let trust = Trust::new(members());
    let rollup = RollupId(1);
    let last = chain.ledger().lane(rollup).height;
    assert_eq!(last, LaneHeight(48));
    let mut served = Vec::new();
    while served.len() < 48 {
        let from = LaneHeight(served.len() as u64 + 1);
        served.extend(chain.lane_range(rollup, from, 7).unwrap().unwrap());
    }
    let proof = chain.lane_range_proof(rollup, LaneHeight(1), last).unwrap();
    let proof = LaneRangeProof::from_json(proof.unwrap().to_json().as_bytes()).unwrap();
    let (lanes, header) = trust.verify_lane_range(&proof).unwrap();
    assert_eq!(header.block, served[47].block.id());
    for (at, (lane, served)) in lanes.iter().zip(&served).enumerate() {
        assert_eq!((lane, lane.height.0), (&served.lane, at as u64 + 1));
        let ids: Vec<_> = served
            .transactions
            .iter()
            .map(|data| {
                outrider_types::Transaction {
                    rollup,
                    data: data.clone(),
                }
                .id()
            })
            .collect();
        assert!(lane.is_of(&ids));
    }
    assert_eq!(
        chain.lane_range(rollup, LaneHeight(49), 7).unwrap(),
        Some(Vec::new())
    );
    assert!(
        chain
            .lane_range_proof(rollup, last, LaneHeight(1))
            .unwrap()
            .is_none()
    );
}

#[test]
fn skips_lead_from_every_block_to_later_ones_also_after_a_restart() {
    let blocks = 3 * HISTORY_CHUNK + 37;
    let (disk, chain) = chain(blocks);
    drop(chain);
    let mut chain = open(disk.store());
    let trust = Trust::new(members());
    let froms = (0..blocks)
        .step_by(29)
        .chain([255, 256, 257, 511, 512, 768]);
    for from in froms.map(Height) {
        let block = chain.block_at(from).unwrap().unwrap();
        assert_eq!(
            chain.skip_proof(header(block), None).unwrap(),
            chain.skip_proof(SkipFrom::Height(from), None).unwrap()
        );
        for to in [from.0 + 1, from.0 + 100, 512, blocks - 1, blocks] {
            let Some(proof) = chain.skip_proof(header(block), Some(Height(to))).unwrap() else {
                // What has no certificate yet, and what is not later.
                assert!(to > blocks - 4 || to <= from.0, "{from} {to}");
                continue;
            };
            let proof = SkipProof::from_json(proof.to_json().as_bytes()).unwrap();
            let checked = trust.verify_skip(&proof).unwrap();
            assert_eq!((checked.height, checked.to), (from, Height(to)));
        }
    }
    append(&mut chain, &payload(blocks + 1, 20));
    assert_eq!(chain.ledger().history().len(), blocks + 2);
}

#[test]
fn a_skip_over_a_hundred_thousand_blocks_is_small_and_quick_to_check() {
    let (_, mut chain) = chain(4);
    let first = chain.block_at(Height(3)).unwrap().unwrap();
    let nothing = outrider_types::Payload::default();
    while chain.root().height.0 < 100_104 {
        append(&mut chain, &nothing);
        if chain.root().height.0 % 4_096 == 0 {
            chain.sync().unwrap();
        }
    }
    let proof = chain.skip_proof(header(first), None).unwrap().unwrap();
    let text = proof.to_json();
    assert!(text.len() < 10_000, "{} bytes", text.len());
    let proof = SkipProof::from_json(text.as_bytes()).unwrap();
    let checked = Trust::new(members()).verify_skip(&proof).unwrap();
    assert_eq!((checked.height.0, checked.to.0), (3, 100_104));
}
