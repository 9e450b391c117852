//! What the settlement chain (L1) means for ordering: the L1 origin of blocks and the forced inbox (F17, F18); and what members tell
//! each other about L1, which is only passed on here.

use super::Driver;
use crate::handle::{L1Wanted, SettlementCommand, SettlementHeard};
use outrider_consensus::Input;
use outrider_finality::{InboxEntry, InboxView, Judgement, duplicate};
use outrider_mempool::Forced;
use outrider_network::{Channel, Context, To};
use outrider_storage::{Journal, Store};
use outrider_types::{
    Block, BlockId, CheckedPayload, Origin, Registry, SyncMessage, Timestamp, TransactionId, encode,
};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

/// Blocks that wait for more of L1 to be seen. A dropped one is voted for once it is certified, like any that is unwelcome.
const UNSEEN_MAX: usize = 64;

/// What this member knows of L1.
#[derive(Debug)]
pub(super) struct Settlement {
    view: InboxView,
    /// Blocks build on an L1 block only once it was seen here for so long.
    lag: Duration,
    /// Blocks whose origin was not seen yet.
    unseen: BTreeMap<BlockId, Block>,
}

impl Settlement {
    pub(super) fn new(origin: Origin, lag: Duration) -> Self {
        Self {
            view: InboxView::new(origin),
            lag,
            unseen: BTreeMap::new(),
        }
    }

    /// A block became final.
    pub(super) fn committed(&mut self, block: &Block) {
        self.view.consume(block.origin);
        self.unseen.retain(|_, unseen| unseen.height > block.height);
    }
}

impl<E: Context, J: Journal, S: Store> Driver<E, J, S> {
    pub(super) fn on_settlement_command(&mut self, command: SettlementCommand) {
        match command {
            SettlementCommand::Seen { blocks, entries } => {
                let now = self.clock.now();
                let Some(settlement) = &mut self.settlement else {
                    return;
                };
                for entry in entries {
                    settlement.view.see_entry(entry);
                }
                for block in blocks {
                    settlement.view.see_block(block, now);
                }
                for (_, block) in std::mem::take(&mut settlement.unseen) {
                    self.judge_again(&block);
                }
            }
            SettlementCommand::Wanted { reply } => {
                let wanted = self.settlement.as_ref().map(|settlement| L1Wanted {
                    entry: settlement.view.next_entry(),
                    block: self.chain.root().origin.number,
                });
                // A caller that has gone needs no answer.
                let _ = reply.send(wanted.unwrap_or_default());
            }
            SettlementCommand::Attest(attestation) => {
                let message = encode(&SyncMessage::Attestation(attestation));
                self.send(Channel::Sync, To::All, message);
            }
            SettlementCommand::Approve(approval) => {
                let message = encode(&SyncMessage::Approval(approval.into_inner()));
                self.send(Channel::Sync, To::All, message);
            }
        }
    }

    /// Another member says something about L1: for whoever listens.
    pub(super) fn heard_of_settlement(&self, heard: SettlementHeard) {
        // Nobody listens in a network without a settlement chain.
        let _ = self.settlement_heard.send(heard);
    }

    /// F18: a payload may stand there; whether this member votes for the block also depends on what it sees of L1.
    pub(super) fn judge_origin(&mut self, block: &Block, payload: &CheckedPayload) {
        match self.judgement(block, payload) {
            None | Some(Judgement::Welcome) => {}
            Some(Judgement::Unseen) => {
                tracing::debug!(block = %block.id(), origin = block.origin.number, "waits for its L1 origin to be seen here");
                self.inputs.push(Input::Unwelcome { block: block.id() });
                if let Some(settlement) = &mut self.settlement {
                    if settlement.unseen.len() >= UNSEEN_MAX {
                        settlement.unseen.pop_first();
                    }
                    settlement.unseen.insert(block.id(), *block);
                }
            }
            Some(Judgement::Reluctant(reason)) => {
                tracing::warn!(block = %block.id(), proposer = %block.proposer, %reason, "no vote for a block");
                self.metrics.reluctant();
                self.inputs.push(Input::Unwelcome { block: block.id() });
            }
        }
    }

    /// None if it is of no use any more.
    fn judgement(&self, block: &Block, payload: &CheckedPayload) -> Option<Judgement> {
        let parent = self.origin_of(block.parent)?;
        let Some(settlement) = &self.settlement else {
            // Nobody here can say what L1 is.
            let same = block.origin == parent;
            return Some(if same {
                Judgement::Welcome
            } else {
                Judgement::Unseen
            });
        };
        let ledger = self.chain.ledger();
        let registry = self.outlook.registry(ledger, block.parent)?;
        let above = self.ids_above(block.parent);
        let own: HashSet<&TransactionId> = payload.transactions.iter().collect();
        Some(settlement.view.judge(&parent, block, |entry| {
            own.contains(&entry.id) || self.done(entry, block, &above, &registry)
        }))
    }

    /// More of L1 was seen.
    fn judge_again(&mut self, block: &Block) {
        let Some(payload) = self.held.get(&block.id()).cloned() else {
            return;
        };
        match self.judgement(block, &payload) {
            Some(Judgement::Welcome) => self.inputs.push(Input::Welcome { block: block.id() }),
            _ => self.judge_origin(block, &payload),
        }
    }

    /// Whether an entry is ordered before this block, or can never be in it.
    fn done(
        &self,
        entry: &InboxEntry,
        block: &Block,
        above: &HashSet<&TransactionId>,
        registry: &Registry,
    ) -> bool {
        if !entry.admissible(registry, block.timestamp) {
            return true;
        }
        let committed = |id: &TransactionId| {
            self.chain.height_of(id).unwrap_or_else(|error| {
                tracing::error!(%error, "the transaction index cannot be read");
                None
            })
        };
        let pending = |id: &TransactionId| above.contains(id);
        duplicate(block.height, [&entry.id], committed, pending).is_some()
    }

    /// What uncommitted ancestors up to this block hold.
    pub(super) fn ids_above(&self, block: BlockId) -> HashSet<&TransactionId> {
        let pending = self.pending(block);
        let held = pending.iter().filter_map(|id| self.held.get(id));
        held.flat_map(|payload| &*payload.transactions).collect()
    }

    fn origin_of(&self, block: BlockId) -> Option<Origin> {
        let root = self.chain.root();
        if root.id() == block {
            return Some(root.origin);
        }
        let record = self.replica.record(block)?;
        Some(record.block.origin)
    }

    /// Whether a leader has something to include that came over L1.
    pub(super) fn is_forced(&self, parent: &Origin) -> bool {
        let settlement = self.settlement.as_ref();
        settlement.is_some_and(|settlement| settlement.view.waits(parent))
    }

    /// What one's own block on top of this parent builds on, and the transactions that it must hold.
    pub(super) fn forced(
        &self,
        (parent, origin): (BlockId, Origin),
        registry: &Registry,
        timestamp: Timestamp,
    ) -> (Origin, Forced) {
        let Some(settlement) = &self.settlement else {
            return (origin, Forced::default());
        };
        let now = self.clock.now();
        let (origin, entries) = settlement.view.offer(origin, now, settlement.lag);
        #[cfg(feature = "byzantine")]
        let (origin, entries) = {
            let left_out = entries.len() - super::byzantine::included(&entries, timestamp);
            let mut entries = entries;
            entries.truncate(entries.len() - left_out);
            let inbox = origin.inbox - left_out as u64;
            (Origin { inbox, ..origin }, entries)
        };
        let above = self.ids_above(parent);
        let height = self.height_above(parent);
        let block = Block {
            height,
            timestamp,
            ..*self.chain.root()
        };
        let mut known = BTreeSet::new();
        let list = entries
            .into_iter()
            .filter(|entry| !self.done(entry, &block, &above, registry) && known.insert(entry.id))
            .map(|entry| (entry.id, entry.transaction.clone()))
            .collect();
        (origin, Forced { list })
    }

    fn height_above(&self, parent: BlockId) -> outrider_types::Height {
        let record = self.replica.record(parent);
        let height = record.map_or(self.chain.root().height, |record| record.block.height);
        height.next()
    }
}
