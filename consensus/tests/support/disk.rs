//! A member's disk: what was written survives a crash, everything else does not.

use outrider_consensus::{Restored, Writes};
use outrider_types::{
    Block, BlockId, BlockRecord, Committee, EpochEnd, FinalityCertificate, SafetyState, Verified,
};
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default)]
pub struct Disk {
    pub safety: Option<SafetyState>,
    pub records: BTreeMap<BlockId, BlockRecord>,
    /// Final blocks, heights from 1.
    pub ledger: Vec<BlockRecord>,
    /// By height; the last block of an epoch has its proof in `ends`.
    pub proofs: BTreeMap<u64, FinalityCertificate>,
    /// Proofs that the epochs so far are over.
    pub ends: Vec<EpochEnd>,
    pub writes: usize,
}

impl Disk {
    /// Make a step's writes durable. Nothing in the safety state may ever move back.
    pub fn write(&mut self, writes: &Writes) {
        self.writes += 1;
        for record in &writes.records {
            self.records.insert(record.block.id(), record.clone());
        }
        if let Some(new) = &writes.safety {
            if let Some(old) = &self.safety {
                assert!(new.view >= old.view, "the durable view moved back");
                assert!(
                    new.high_rank() >= old.high_rank(),
                    "the durable `high` moved back"
                );
                assert!(
                    new.voted.map(|v| v.view) >= old.voted.map(|v| v.view),
                    "the last vote moved back"
                );
                assert!(
                    new.commit_voted.map(|v| v.view) >= old.commit_voted.map(|v| v.view),
                    "the last commit vote moved back"
                );
                assert!(
                    new.timed_out.map(|v| v.view) >= old.timed_out.map(|v| v.view),
                    "the last timeout moved back"
                );
                assert!(
                    new.proposed.map(|v| v.view) >= old.proposed.map(|v| v.view),
                    "the last proposal moved back"
                );
            }
            self.safety = Some((**new).clone());
        }
    }

    pub fn height(&self) -> u64 {
        self.ledger.len() as u64
    }

    pub fn find(&self, id: &BlockId) -> Option<BlockRecord> {
        self.records.get(id).cloned().or_else(|| {
            self.ledger
                .iter()
                .rev()
                .find(|record| record.block.id() == *id)
                .cloned()
        })
    }

    pub fn root(&self, base: &Block) -> Block {
        self.ledger.last().map_or(*base, |record| record.block)
    }

    /// What a restarting member finds: the safety state through its bytes, verified again.
    pub fn restore(&self, committee: &Committee, base: &Block) -> Restored {
        let root = self.root(base);
        let safety = self.safety.as_ref().map_or_else(
            || Verified::<SafetyState>::fresh(committee),
            |safety| SafetyState::restore(&safety.to_bytes(), committee).unwrap(),
        );
        let mut blocks: Vec<&BlockRecord> = self
            .records
            .values()
            .filter(|record| {
                // Fillers of an earlier epoch stand above its last block too.
                record.block.height > root.height && record.block.epoch == committee.epoch()
            })
            .collect();
        blocks.sort_by_key(|record| record.block.height);
        let blocks = blocks
            .into_iter()
            .map(|record| record.clone().verify(committee).unwrap())
            .collect();
        let vote_left = safety
            .voted
            .is_none_or(|vote| self.find(&vote.block).is_some());
        Restored {
            root,
            safety,
            blocks,
            vote_left,
        }
    }
}
