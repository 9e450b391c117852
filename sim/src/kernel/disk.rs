//! The simulated disk of one member: a vote journal, a block store and the ledger. What was synced survives a crash; of
//! what was not, each write may.

use super::envelope::Held;
use outrider_consensus::{Restored, Writes};
use outrider_finality::{Ledger, Outlook};
use outrider_types::message::{FullBlock, Range};
use outrider_types::{
    Block, BlockId, BlockRecord, Committee, CommitteeChange, CommitteeId, Epoch, EpochEnd,
    FinalityCertificate, Height, PayloadId, SafetyState, TransactionId, Verified,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Most blocks in one answer.
const RANGE_BLOCKS_MAX: usize = 64;
/// Most blocks between two proofs: commits of more at once do not come.
const RANGE_SEARCH_MAX: usize = 512;

/// A final block.
#[derive(Clone, Debug)]
pub struct Final {
    /// Its header and justification.
    pub record: Arc<BlockRecord>,
    /// Its id.
    pub id: BlockId,
    /// Its payload.
    pub held: Arc<Held>,
    /// Proof of its own, if it was the last of a commit.
    pub proof: Option<Arc<FinalityCertificate>>,
}

/// What one member keeps.
#[derive(Clone, Debug)]
pub struct Disk {
    /// The newest safety state that is durable; none if there is no vote journal.
    journal: Option<Arc<SafetyState>>,
    /// Begun and not synced, oldest first.
    journal_begun: Vec<Arc<SafetyState>>,
    records: BTreeMap<BlockId, BlockRecord>,
    records_begun: Vec<BlockRecord>,
    payloads: BTreeMap<PayloadId, Arc<Held>>,
    payloads_begun: Vec<Arc<Held>>,
    /// Ids of all blocks of the epoch whose records were ever durable.
    stored: BTreeSet<BlockId>,
    chain: Vec<Final>,
    /// Heights of transactions.
    places: BTreeMap<TransactionId, Height>,
    ledger: Ledger,
    ends: Vec<EpochEnd>,
    changes: BTreeMap<CommitteeId, CommitteeChange>,
    genesis: Block,
}

impl Disk {
    /// The disk of a member whose key has signed nothing.
    #[must_use]
    pub fn new(committee: &Committee) -> Self {
        let genesis = Block::genesis(committee);
        Self {
            journal: Some(Arc::new(SafetyState::new(committee))),
            journal_begun: Vec::new(),
            records: BTreeMap::new(),
            records_begun: Vec::new(),
            payloads: BTreeMap::new(),
            payloads_begun: Vec::new(),
            stored: BTreeSet::new(),
            chain: Vec::new(),
            places: BTreeMap::new(),
            ledger: Ledger::new(&genesis),
            ends: Vec::new(),
            changes: BTreeMap::new(),
            genesis,
        }
    }

    /// Begin a step's writes; make them, and all before them, durable if something signed rests on them. Gives the safety
    /// state that is durable now, if it is a new one.
    pub fn write(&mut self, writes: &Writes) -> Option<Arc<SafetyState>> {
        if let Some(safety) = &writes.safety {
            self.journal_begun.push(Arc::new((**safety).clone()));
        }
        self.records_begun.extend(writes.records.iter().cloned());
        if writes.signed { self.sync() } else { None }
    }

    fn sync(&mut self) -> Option<Arc<SafetyState>> {
        for record in std::mem::take(&mut self.records_begun) {
            self.store(record);
        }
        for held in std::mem::take(&mut self.payloads_begun) {
            self.payloads.insert(held.id, held);
        }
        let newest = self.journal_begun.pop()?;
        self.journal_begun.clear();
        self.journal = Some(newest.clone());
        Some(newest)
    }

    fn store(&mut self, record: BlockRecord) {
        let id = record.block.id();
        self.stored.insert(id);
        self.records.insert(id, record);
    }

    /// Power off: each write that was not synced survives if `survives` says so. The journal is append-only: it keeps a
    /// first part of what was begun.
    pub fn crash(&mut self, mut survives: impl FnMut() -> bool) {
        for state in std::mem::take(&mut self.journal_begun) {
            if !survives() {
                break;
            }
            self.journal = Some(state);
        }
        for record in std::mem::take(&mut self.records_begun) {
            if survives() {
                self.store(record);
            }
        }
        for held in std::mem::take(&mut self.payloads_begun) {
            if survives() {
                self.payloads.insert(held.id, held);
            }
        }
    }

    /// The vote journal is gone.
    pub fn lose_journal(&mut self) {
        self.journal = None;
        self.journal_begun.clear();
    }

    /// The durable safety state.
    #[must_use]
    pub fn journal(&self) -> Option<Arc<SafetyState>> {
        self.journal.clone()
    }

    /// The epoch of what the journal holds; none if there is no journal.
    #[must_use]
    pub fn recorded(&self) -> Option<Epoch> {
        self.journal.as_ref().map(|state| state.epoch)
    }

    /// Begin to keep a payload.
    pub fn put_payload(&mut self, held: Arc<Held>) {
        if !self.payloads.contains_key(&held.id) {
            self.payloads_begun.push(held);
        }
    }

    /// A payload that is kept.
    #[must_use]
    pub fn payload(&self, id: PayloadId) -> Option<Arc<Held>> {
        let begun = || self.payloads_begun.iter().find(|held| held.id == id);
        self.payloads.get(&id).or_else(begun).cloned()
    }

    /// The last final block.
    #[must_use]
    pub fn root(&self) -> Block {
        self.chain
            .last()
            .map_or(self.genesis, |last| last.record.block)
    }

    /// Final blocks, heights from 1.
    #[must_use]
    pub fn chain(&self) -> &[Final] {
        &self.chain
    }

    /// At which height a transaction was ordered.
    #[must_use]
    pub fn place(&self, id: &TransactionId) -> Option<Height> {
        self.places.get(id).copied()
    }

    /// Proofs that epochs are over, from the first on.
    #[must_use]
    pub fn ends(&self) -> &[EpochEnd] {
        &self.ends
    }

    /// Changes of the committee that were approved, for whichever epoch.
    #[must_use]
    pub const fn changes(&self) -> &BTreeMap<CommitteeId, CommitteeChange> {
        &self.changes
    }

    /// Keep an approved change.
    pub fn put_change(&mut self, change: CommitteeChange) {
        self.changes.insert(change.next.id(), change);
    }

    /// A block is final, and synced before anyone is told. Panics if it does not follow the ledger: only a bug of the
    /// product can do that.
    pub fn append(&mut self, last: Final) {
        let block = last.record.block;
        let appended = self.ledger.append(&block, &last.held);
        assert!(
            appended.is_ok(),
            "the ledger refuses a final block: {appended:?}"
        );
        for id in &*last.held.transactions {
            self.places.insert(*id, block.height);
        }
        self.chain.push(last);
    }

    /// The epoch is over: what was kept of it above its last block is of no use.
    pub fn end_epoch(&mut self, end: EpochEnd) {
        self.ends.push(end);
        self.records.clear();
        self.records_begun.clear();
        self.stored.clear();
    }

    /// Drop records of blocks that are final, and payloads that no block above the root names and that are not in use.
    pub fn tidy(&mut self, in_use: &BTreeSet<PayloadId>) {
        let root = self.root().height;
        self.records.retain(|_, record| record.block.height > root);
        let named: BTreeSet<PayloadId> = self
            .records
            .values()
            .map(|record| record.block.payload)
            .collect();
        self.payloads
            .retain(|id, _| named.contains(id) || in_use.contains(id));
    }

    /// A block with everything, for a member that misses it.
    #[must_use]
    pub fn full(&self, id: BlockId) -> Option<FullBlock> {
        if let Some(record) = self.records.get(&id) {
            let held = self.payloads.get(&record.block.payload)?;
            return Some(FullBlock {
                record: record.clone(),
                payload: (*held.payload).clone(),
            });
        }
        let block = self.chain.iter().rev().find(|block| block.id == id)?;
        Some(FullBlock {
            record: (*block.record).clone(),
            payload: (*block.held.payload).clone(),
        })
    }

    /// Final blocks from a height on with a proof, all of one epoch.
    #[must_use]
    pub fn range(&self, from: Height) -> Option<Range> {
        let start = usize::try_from(from.0.checked_sub(1)?).ok()?;
        let first = self.chain.get(start)?;
        let epoch = first.record.block.epoch;
        let mut blocks = Vec::new();
        let mut proven = None;
        for block in self.chain.iter().skip(start).take(RANGE_SEARCH_MAX) {
            if block.record.block.epoch != epoch
                || (proven.is_some() && blocks.len() >= RANGE_BLOCKS_MAX)
            {
                break;
            }
            blocks.push(block);
            if block.proof.is_some() || block.record.block.next != CommitteeId::NONE {
                proven = Some(blocks.len());
            }
        }
        blocks.truncate(proven?);
        let last = blocks.last()?;
        let end = usize::try_from(epoch.0)
            .ok()
            .and_then(|at| self.ends.get(at));
        let end = end.filter(|end| end.last.id() == last.id);
        let certificate = match (end, &last.proof) {
            (Some(end), _) => end.certificate.clone(),
            (None, Some(proof)) => (**proof).clone(),
            (None, None) => return None,
        };
        Some(Range {
            blocks: blocks
                .iter()
                .map(|block| FullBlock {
                    record: (*block.record).clone(),
                    payload: (*block.held.payload).clone(),
                })
                .collect(),
            fillers: end.map(|end| end.fillers.clone()).unwrap_or_default(),
            certificate,
            change: end.and_then(|end| end.change.clone()),
        })
    }

    /// The ledger.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Blocks of an epoch above the last final one whose payload is kept and may stand there, parents first.
    #[must_use]
    pub fn blocks_above(&self, committee: &Committee) -> (Vec<Verified<BlockRecord>>, Outlook) {
        let root = self.root();
        let mut records: Vec<&BlockRecord> = self
            .records
            .values()
            .filter(|record| record.block.height > root.height)
            .filter(|record| record.block.epoch == committee.epoch())
            .collect();
        records.sort_by_key(|record| record.block.height);
        let base = self.ends.last().map_or(Height(0), |end| end.last.height);
        let last = committee.last_height(base);
        let mut outlook = Outlook::default();
        let mut blocks = Vec::new();
        for record in records {
            let Some(held) = self.payloads.get(&record.block.payload) else {
                continue;
            };
            // Its payload may be here for another block's sake.
            let filler = last.is_some_and(|last| record.block.height > last);
            let said = outlook.check(&self.ledger, &record.block, held);
            if filler || matches!(said, Some(Ok(()))) {
                blocks.extend(record.clone().verify(committee).ok());
            }
        }
        (blocks, outlook)
    }

    /// What a member finds when it starts in the epoch of this committee. Certificates are verified again, from bytes: the
    /// disk is outside too. Panics if they do not verify: nothing here damages disks.
    #[must_use]
    pub fn restore(&self, committee: &Committee) -> Restored {
        let root = self.root();
        let state = self
            .journal
            .as_ref()
            .filter(|state| state.epoch == committee.epoch());
        let safety = match state {
            None => Verified::<SafetyState>::fresh(committee),
            Some(state) => match SafetyState::restore(&state.to_bytes(), committee) {
                Ok(safety) => safety,
                Err(error) => unreachable!("the journal of a member cannot be read: {error}"),
            },
        };
        let (blocks, _) = self.blocks_above(committee);
        let vote_left = safety.voted.is_none_or(|vote| {
            self.stored.contains(&vote.block)
                || self.chain.iter().rev().any(|block| block.id == vote.block)
        });
        Restored {
            root,
            safety,
            blocks,
            vote_left,
        }
    }
}
