//! The agreed chain: S1 (one block per height), S2 (each ledger extends itself, and holds no filler), S8 (what a block
//! orders is what it commits to, the same for everyone), S9 (receipts) and S10 (transactions once, and only real ones).

use super::rules::{EpochRules, Epochs, payload_id};
use super::signers::Finding;
use outrider_types::{Block, BlockId, BlockRecord, Height, RollupId, TransactionId, View};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Blocks of which the header and the transactions are remembered.
const BLOCKS_KEPT: usize = 8_192;
/// Heights of which the block's id is remembered.
const HEIGHTS_KEPT: usize = 1 << 20;
/// Transactions of the chain that are remembered.
const PLACED_KEPT: usize = 1 << 20;
/// F1: so many heights further on a transaction may stand again.
const DUPLICATE_WINDOW: u64 = 100_000;
/// Transactions handed in and not yet ordered that are remembered.
const WAITING_KEPT: usize = 1 << 18;

/// A block of the agreed chain in full.
#[derive(Clone, Debug)]
pub struct Agreed {
    /// Its header.
    pub block: Block,
    /// What it orders.
    pub transactions: Arc<[TransactionId]>,
    /// The host that committed it first.
    pub by: usize,
}

/// A transaction that a member took and that is not in the chain.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    /// Whose.
    pub rollup: RollupId,
    /// When it was taken last.
    pub at: u64,
    /// By which host.
    pub by: usize,
    /// That host may have forgotten it.
    pub dropped: bool,
}

/// The ledger of a member, as far as it was told.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    height: u64,
    id: Option<BlockId>,
    /// Epoch and view of the block.
    place: (u64, u64),
}

/// The chain that honest members agreed on, and what they were told of it.
#[derive(Debug)]
pub struct Chain {
    /// Ids from height `first` on.
    ids: VecDeque<BlockId>,
    first: u64,
    /// The last of these blocks in full; the last one is the tip.
    blocks: VecDeque<Agreed>,
    placed: BTreeMap<TransactionId, u64>,
    in_order: VecDeque<TransactionId>,
    /// Transactions that wait.
    pub waiting: BTreeMap<TransactionId, Waiting>,
    /// Some were forgotten.
    overflowed: bool,
    /// In the chain, and nobody has handed them in yet: that must come at the same instant.
    orphans: Vec<(u64, TransactionId)>,
    members: Vec<Told>,
}

/// A block of an honest member's ledger that is not the agreed one.
#[derive(Clone, Debug)]
pub struct Fork {
    /// The height.
    pub height: u64,
    /// The block that was agreed on, if it is not forgotten.
    pub agreed: Option<Agreed>,
}

/// What a committed block came to.
#[derive(Debug)]
pub enum Outcome {
    /// A block that nobody had committed before.
    New,
    /// A block of the chain.
    Known,
    /// Another one than agreed on (S1).
    Forked(Box<Fork>),
}

impl Chain {
    /// At genesis, with so many hosts.
    #[must_use]
    pub fn new(hosts: usize) -> Self {
        Self {
            ids: VecDeque::new(),
            first: 1,
            blocks: VecDeque::new(),
            placed: BTreeMap::new(),
            in_order: VecDeque::new(),
            waiting: BTreeMap::new(),
            overflowed: false,
            orphans: Vec::new(),
            members: vec![Told::default(); hosts],
        }
    }

    /// The last height that anyone committed.
    #[must_use]
    pub fn tip(&self) -> u64 {
        self.first + self.ids.len() as u64 - 1
    }

    /// The last height of a member's ledger.
    #[must_use]
    pub fn height(&self, host: usize) -> u64 {
        self.members.get(host).map_or(0, |told| told.height)
    }

    /// The view of the last block of an epoch that is final at a member, 0 at its beginning. None if that is not known: what
    /// it had before a restart may be forgotten, and fillers that are final are no part of its ledger (R13).
    #[must_use]
    pub fn final_view(&self, host: usize, rules: &EpochRules) -> Option<View> {
        let told = self.members.get(host)?;
        if rules.last.is_some_and(|last| told.height >= last)
            || (told.height > 0 && told.id.is_none())
        {
            return None;
        }
        let (epoch, view) = told.place;
        Some(View(if epoch == rules.number { view } else { 0 }))
    }

    /// A block of the chain in full, if it is not forgotten.
    #[must_use]
    pub fn agreed(&self, height: u64) -> Option<&Agreed> {
        let back = usize::try_from(self.tip().checked_sub(height)?).ok()?;
        let at = self.blocks.len().checked_sub(back + 1)?;
        self.blocks.get(at)
    }

    fn id(&self, height: u64) -> Option<BlockId> {
        let at = usize::try_from(height.checked_sub(self.first)?).ok()?;
        self.ids.get(at).copied()
    }

    /// An honest member has a block in its ledger.
    pub fn committed(
        &mut self,
        at: u64,
        host: usize,
        record: &BlockRecord,
        transactions: &Arc<[TransactionId]>,
        epochs: &Epochs,
    ) -> Result<Outcome, Finding> {
        self.orphan(at)?;
        let block = &record.block;
        let height = block.height.0;
        let known = self.agreed(height);
        let same = known.is_some_and(|agreed| agreed.block == *block);
        let id = if same {
            self.id(height).unwrap_or_else(|| block.id())
        } else {
            block.id()
        };
        let other = known.filter(|agreed| same && agreed.transactions != *transactions);
        if let Some(agreed) = other {
            return Err((
                "S8",
                format!(
                    "host {host} holds {} transactions of block {id} at height {height}, host {} holds {} others",
                    transactions.len(),
                    agreed.by,
                    agreed.transactions.len()
                ),
            ));
        }
        self.extends(host, block, id, epochs)?;
        match self.id(height) {
            Some(agreed) if agreed == id => Ok(Outcome::Known),
            Some(_) => Ok(Outcome::Forked(Box::new(Fork {
                height,
                agreed: self.agreed(height).cloned(),
            }))),
            // Forgotten; or a member that came up with more than anyone was told goes ahead.
            None if height < self.first || height > self.tip() + 1 => Ok(Outcome::Known),
            None => {
                self.append((at, host), id, block, transactions, epochs)?;
                Ok(Outcome::New)
            }
        }
    }

    /// S2.
    fn extends(
        &mut self,
        host: usize,
        block: &Block,
        id: BlockId,
        epochs: &Epochs,
    ) -> Result<(), Finding> {
        let Some(told) = self.members.get_mut(host) else {
            return Ok(());
        };
        let height = block.height.0;
        let place = (block.epoch.0, block.view.0);
        let wrong = if height != told.height + 1 {
            Some(format!("height {height} after height {}", told.height))
        } else if told.id.is_some_and(|parent| parent != block.parent) {
            Some(format!("height {height} does not extend what is below it"))
        } else if told.id.is_some() && place <= told.place {
            Some(format!(
                "height {height} is of epoch {} view {}, the block below of epoch {} view {}",
                place.0, place.1, told.place.0, told.place.1
            ))
        } else if epochs
            .get(block.epoch.0)
            .and_then(|rules| rules.last)
            .is_some_and(|last| height > last)
        {
            Some(format!(
                "height {height} is a filler of epoch {}, which is no part of the ledger (R13)",
                block.epoch
            ))
        } else {
            None
        };
        if let Some(wrong) = wrong {
            return Err(("S2", format!("ledger of host {host}: {wrong}")));
        }
        *told = Told {
            height,
            id: Some(id),
            place,
        };
        Ok(())
    }

    fn append(
        &mut self,
        (at, host): (u64, usize),
        id: BlockId,
        block: &Block,
        transactions: &Arc<[TransactionId]>,
        epochs: &Epochs,
    ) -> Result<(), Finding> {
        let height = block.height.0;
        self.commits_to(height, block, transactions)?;
        for transaction in transactions.iter() {
            if let Some(before) = self.placed.insert(*transaction, height)
                && height - before <= DUPLICATE_WINDOW
            {
                return Err((
                    "S10",
                    format!(
                        "transaction {transaction} stands at height {before} and again at height {height}"
                    ),
                ));
            }
            self.in_order.push_back(*transaction);
            let submitted = self.waiting.remove(transaction).is_some();
            if !submitted && !epochs.any_byzantine() && !self.overflowed {
                self.orphans.push((at, *transaction));
            }
        }
        while self.in_order.len() > PLACED_KEPT {
            if let Some(old) = self.in_order.pop_front() {
                self.placed.remove(&old);
            }
        }
        self.ids.push_back(id);
        if self.ids.len() > HEIGHTS_KEPT {
            self.ids.pop_front();
            self.first += 1;
        }
        self.blocks.push_back(Agreed {
            block: *block,
            transactions: transactions.clone(),
            by: host,
        });
        if self.blocks.len() > BLOCKS_KEPT {
            self.blocks.pop_front();
        }
        Ok(())
    }

    /// S8: the header commits to these transactions. Can be told if it is known whose they are.
    fn commits_to(
        &self,
        height: u64,
        block: &Block,
        transactions: &[TransactionId],
    ) -> Result<(), Finding> {
        let whose: Option<Vec<(RollupId, TransactionId)>> = transactions
            .iter()
            .map(|id| self.waiting.get(id).map(|waiting| (waiting.rollup, *id)))
            .collect();
        match whose {
            Some(whose) if payload_id(&whose) != block.payload => Err((
                "S8",
                format!(
                    "block at height {height} commits to payload {}, and {} other transactions were taken from it",
                    block.payload,
                    transactions.len()
                ),
            )),
            _ => Ok(()),
        }
    }

    /// A member took a transaction.
    pub fn accepted(&mut self, at: u64, host: usize, id: TransactionId, rollup: RollupId) {
        self.orphans.retain(|(_, orphan)| *orphan != id);
        if self.placed.contains_key(&id) {
            return;
        }
        if self.waiting.len() >= WAITING_KEPT {
            self.waiting.pop_first();
            self.overflowed = true;
        }
        let waiting = Waiting {
            rollup,
            at,
            by: host,
            dropped: false,
        };
        self.waiting.insert(id, waiting);
    }

    /// A member spread a transaction; it may go down before it says that it took it.
    pub fn spread(&mut self, at: u64, host: usize, id: TransactionId, rollup: RollupId) {
        if self.waiting.contains_key(&id) {
            return;
        }
        self.accepted(at, host, id, rollup);
        if let Some(waiting) = self.waiting.get_mut(&id) {
            waiting.dropped = true;
        }
    }

    /// S10: whether something in the chain came from nowhere.
    pub fn orphan(&self, at: u64) -> Result<(), Finding> {
        match self.orphans.iter().find(|(before, _)| *before < at) {
            None => Ok(()),
            Some((_, id)) => Err((
                "S10",
                format!("transaction {id} is in the chain and was never handed in"),
            )),
        }
    }

    /// S9: an honest member told a client that its transaction is final at this height.
    pub fn receipt(&self, host: usize, id: TransactionId, height: Height) -> Result<(), Finding> {
        let held = self.height(host);
        if height.0 > held {
            return Err((
                "S9",
                format!(
                    "host {host} gave a receipt for transaction {id} at height {height}, and its ledger ends at height {held}"
                ),
            ));
        }
        match self.placed.get(&id) {
            Some(found) if *found == height.0 => Ok(()),
            Some(found) => Err((
                "S9",
                format!(
                    "host {host} gave a receipt for transaction {id} at height {height}, and it stands at height {found}"
                ),
            )),
            // Forgotten, if anything was; or the member is ahead of all that was told.
            None if self.in_order.len() >= PLACED_KEPT || height.0 > self.tip() => Ok(()),
            None => Err((
                "S9",
                format!(
                    "host {host} gave a receipt for transaction {id} at height {height}, and it stands nowhere in the chain"
                ),
            )),
        }
    }

    /// A host went down: what it took and nobody ordered may be gone.
    pub fn crashed(&mut self, host: usize) {
        for waiting in self.waiting.values_mut() {
            waiting.dropped |= waiting.by == host;
        }
    }

    /// A host came up with a ledger of this height: the last blocks may be told again.
    pub fn restarted(&mut self, host: usize, height: Height) {
        let id = self.id(height.0);
        let place = self
            .agreed(height.0)
            .map(|agreed| (agreed.block.epoch.0, agreed.block.view.0));
        if let Some(told) = self.members.get_mut(host) {
            *told = Told {
                height: height.0,
                // With a place unknown the order of views cannot be told.
                id: id.filter(|_| place.is_some()),
                place: place.unwrap_or_default(),
            };
        }
    }
}
