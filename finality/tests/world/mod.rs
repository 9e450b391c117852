//! A committee of four and a short chain, for the tests of proofs.

use bytes::Bytes;
use outrider_finality::FinalityProof;
use outrider_types::{
    Batch, Block, CommitVote, Committee, FinalityCertificate, Height, MemberIndex, Payload,
    RollupId, SecretKey, Signed, Timestamp, TransactionId, View, Vote, testing,
};

pub struct World {
    pub committee: Committee,
    pub keys: Vec<SecretKey>,
    pub payload: Payload,
    /// Genesis first; block 1 holds the payload.
    pub blocks: Vec<Block>,
}

impl World {
    /// A payload of `lanes` rollups, the n-th of which has n + 1 transactions, and `descendants` empty blocks on it.
    pub fn new(lanes: u64, descendants: u64) -> Self {
        let (committee, keys) = testing::committee(&[1; 4]);
        let batch = |lane: u64| Batch {
            rollup: RollupId(10 + lane),
            transactions: (0..=lane)
                .map(|n| Bytes::from(format!("transaction {n} of {lane}")))
                .collect(),
        };
        let payload = Payload {
            batches: (0..lanes).map(batch).collect(),
        };
        let mut blocks = vec![Block::genesis(&committee)];
        for height in 1..=descendants + 1 {
            let held = if height == 1 {
                payload.id()
            } else {
                Payload::default().id()
            };
            blocks.push(child(blocks.last().unwrap(), held));
        }
        Self {
            committee,
            keys,
            payload,
            blocks,
        }
    }

    /// Commit votes of these members for a block.
    pub fn slow(&self, block: &Block, signers: &[usize]) -> FinalityCertificate {
        let statement = CommitVote {
            epoch: block.epoch,
            view: block.view,
            block: block.id(),
        };
        let sign = |at: &usize| {
            Signed::sign(
                statement,
                block.chain,
                MemberIndex(*at as u16),
                &self.keys[*at],
            )
        };
        let signed: Vec<_> = signers.iter().map(sign).collect();
        FinalityCertificate::Slow(outrider_types::Aggregate::assemble(&signed).unwrap())
    }

    /// Votes of these members for a block.
    pub fn fast(&self, block: &Block, signers: &[usize]) -> FinalityCertificate {
        let statement = Vote {
            epoch: block.epoch,
            view: block.view,
            block: block.id(),
        };
        let sign = |at: &usize| {
            Signed::sign(
                statement,
                block.chain,
                MemberIndex(*at as u16),
                &self.keys[*at],
            )
        };
        let signed: Vec<_> = signers.iter().map(sign).collect();
        FinalityCertificate::Fast(outrider_types::Aggregate::assemble(&signed).unwrap())
    }

    pub fn id(&self, at: usize) -> TransactionId {
        self.payload.ids().nth(at).unwrap()
    }

    /// A valid proof of a transaction: the last block is certified by commit votes of three.
    pub fn proof(&self, at: usize) -> FinalityProof {
        let certificate = self.slow(self.blocks.last().unwrap(), &[0, 1, 3]);
        self.proof_with(at, certificate).unwrap()
    }

    pub fn proof_with(&self, at: usize, certificate: FinalityCertificate) -> Option<FinalityProof> {
        let path = self.blocks[2..].to_vec();
        FinalityProof::build(
            &self.committee,
            self.blocks[1],
            path,
            certificate,
            &self.payload,
            self.id(at),
        )
    }
}

/// The next block; views are skipped, as they are when leaders fail.
pub fn child(parent: &Block, payload: outrider_types::PayloadId) -> Block {
    Block {
        view: View(parent.view.0 + 2),
        height: Height(parent.height.0 + 1),
        parent: parent.id(),
        justify: parent.view,
        payload,
        timestamp: Timestamp(parent.timestamp.0 + 1_000),
        proposer: MemberIndex(2),
        ..*parent
    }
}
