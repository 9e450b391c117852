//! Payloads: assembling one's own, getting hold of others', and checking them against their ancestors'.

use super::{Driver, DriverError, wall_clock};
use crate::chain::ChainError;
use crate::seats::PeerIndex;
use outrider_consensus::Input;
use outrider_finality::duplicate;
use outrider_mempool::Site;
use outrider_network::{Channel, Context, To};
use outrider_storage::{Journal, Store};
use outrider_types::message::PayloadMessage;
use outrider_types::{
    Block, BlockId, CheckedPayload, CommitteeId, Content, Origin, Payload, PayloadId, Roots,
    Timestamp, TransactionId, View, encode,
};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Payloads kept that no known block names yet, per sender.
const UNCLAIMED_PER_MEMBER: usize = 8;
/// Stands for this member among the senders of payloads.
const OWN: PeerIndex = PeerIndex(usize::MAX);
/// A payload that is announced by its block should come by itself; after this it is asked for.
const GRACE: Duration = Duration::from_millis(50);

/// One's own proposal, waiting for something to order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) view: View,
    parent: BlockId,
    /// The parent's L1 origin.
    origin: Origin,
    after: Timestamp,
    /// It is the last block of the epoch.
    last: bool,
    /// When an empty block is proposed instead.
    pub(super) deadline: Timestamp,
}

/// Payloads and blocks that have not found each other.
#[derive(Debug, Default)]
pub(super) struct Payloads {
    /// Blocks that wait for their payload.
    wanted: BTreeMap<PayloadId, BTreeMap<BlockId, Block>>,
    /// Payloads that wait for their block, oldest first by sender.
    unclaimed: BTreeMap<PeerIndex, VecDeque<CheckedPayload>>,
    /// Blocks and their payloads that wait until their parent is checked, by parent.
    unchecked: BTreeMap<BlockId, BTreeMap<BlockId, (Block, CheckedPayload)>>,
}

impl Payloads {
    fn claim(&self, id: PayloadId) -> Option<CheckedPayload> {
        self.unclaimed
            .values()
            .flatten()
            .find(|payload| payload.id == id)
            .cloned()
    }

    fn keep(&mut self, from: PeerIndex, payload: CheckedPayload) {
        let queue = self.unclaimed.entry(from).or_default();
        if queue.iter().any(|held| held.id == payload.id) {
            return;
        }
        if queue.len() >= UNCLAIMED_PER_MEMBER {
            queue.pop_front();
        }
        queue.push_back(payload);
    }

    /// Whether a block still waits for its payload.
    pub(super) fn waits(&self, block: &BlockId) -> bool {
        self.wanted
            .values()
            .any(|blocks| blocks.contains_key(block))
    }

    /// Keep only what belongs to blocks that are still of use.
    pub(super) fn forget(&mut self, of_use: impl Fn(BlockId) -> bool) {
        for blocks in self.wanted.values_mut() {
            blocks.retain(|block, _| of_use(*block));
        }
        self.wanted.retain(|_, blocks| !blocks.is_empty());
        for blocks in self.unchecked.values_mut() {
            blocks.retain(|block, _| of_use(*block));
        }
        self.unchecked.retain(|_, blocks| !blocks.is_empty());
    }
}

impl<E: Context, J: Journal, S: Store> Driver<E, J, S> {
    /// The replica wants to propose: at the end of the turn, when everything final is in the ledger.
    pub(super) fn on_assemble(
        &mut self,
        now: Timestamp,
        view: View,
        (parent, origin): (BlockId, Origin),
        (after, last): (Timestamp, bool),
    ) {
        let deadline = now.after(self.config.idle_block);
        self.proposal = Some(Waiting {
            view,
            parent,
            origin,
            after,
            last,
            deadline,
        });
    }

    /// A block of one's own is proposed: its payload is held like that of any other.
    pub(super) fn hold_own(&mut self, block: &Block) -> Result<(), DriverError> {
        // A filler is no part of the ledger (R13).
        if block.roots == Roots::NONE {
            return Ok(());
        }
        let Some(payload) = self.payloads.claim(block.payload) else {
            return Ok(());
        };
        let checked = self.outlook.check(self.chain.ledger(), block, &payload);
        assert!(
            !matches!(checked, Some(Err(_))),
            "a member proposes only what it holds valid: {checked:?}"
        );
        let id = block.id();
        self.held.insert(id, payload);
        self.check_waiting(id)
    }

    /// Propose if there is something to order, or nothing came for too long.
    pub(super) fn try_assemble(&mut self, now: Timestamp) -> Result<(), DriverError> {
        let Some(waiting) = self.proposal else {
            return Ok(());
        };
        let forced = self.is_forced(&waiting.origin);
        if self.mempool.is_empty() && !forced && now < waiting.deadline {
            return Ok(());
        }
        let excluded = self.ids_above(waiting.parent);
        let timestamp = wall_clock(&self.context).max(Timestamp(waiting.after.0.saturating_add(1)));
        let ledger = self.chain.ledger();
        let Some(registry) = self.outlook.registry(ledger, waiting.parent) else {
            // The ledger is ahead of the replica: what was caught up with is told to it in this turn.
            return Ok(());
        };
        let on = (waiting.parent, waiting.origin);
        let (origin, forced) = self.forced(on, &registry, timestamp);
        let policy = |rollup| registry.policy(rollup, timestamp);
        let site = Site {
            parent: waiting.parent,
            policy: &policy,
            exclude: &|id| excluded.contains(id) || forced.contains(id),
        };
        let assembled = self.mempool.assemble_at(&forced.room(), &site);
        let assembled = forced.join(assembled, waiting.parent, &policy);
        let payload = assembled.payload;
        if payload.payload.is_empty() && now < waiting.deadline {
            return Ok(());
        }
        let roots = self
            .outlook
            .roots(self.chain.ledger(), waiting.parent, &payload);
        let Some(roots) = roots else {
            return Ok(());
        };
        self.proposal = None;
        if !payload.payload.is_empty() {
            // Their batches were sent before, on the same connections.
            let message = match assembled.references {
                Some(references) => PayloadMessage::References(references),
                None => PayloadMessage::Payload((*payload.payload).clone()),
            };
            self.send(Channel::Payload, To::All, encode(&message));
        }
        self.chain.put_payload(payload.id, &payload.payload)?;
        let Waiting {
            view, parent, last, ..
        } = waiting;
        let next = if last {
            self.next_committee()
        } else {
            CommitteeId::NONE
        };
        self.inputs.push(Input::Assembled {
            view,
            parent,
            content: Content {
                payload: payload.id,
                roots,
                origin,
                next,
            },
            timestamp,
        });
        self.payloads.keep(OWN, payload);
        Ok(())
    }

    /// The replica wants a payload checked.
    pub(super) fn check_payload(
        &mut self,
        now: Timestamp,
        block: Block,
    ) -> Result<(), DriverError> {
        if !self.check_next(&block) {
            return Ok(());
        }
        let held = match self.payloads.claim(block.payload) {
            Some(payload) => Some(payload),
            None => self.find_payload(block.payload)?,
        };
        match held {
            Some(payload) => self.check(&block, payload),
            None => {
                let id = block.id();
                self.payloads
                    .wanted
                    .entry(block.payload)
                    .or_default()
                    .insert(id, block);
                self.fetch_payload(now.after(GRACE), id, block.proposer);
                Ok(())
            }
        }
    }

    /// A payload came.
    pub(super) fn on_payload(
        &mut self,
        from: PeerIndex,
        payload: CheckedPayload,
    ) -> Result<(), DriverError> {
        match self.payloads.wanted.remove(&payload.id) {
            None => self.payloads.keep(from, payload),
            Some(blocks) => {
                for (id, block) in blocks {
                    self.sync.arrived(&id);
                    self.check(&block, payload.clone())?;
                }
            }
        }
        Ok(())
    }

    /// A block was checked or became final: those that waited for it are next.
    pub(super) fn check_waiting(&mut self, parent: BlockId) -> Result<(), DriverError> {
        let mut parents = vec![parent];
        while let Some(parent) = parents.pop() {
            for (id, (block, payload)) in
                self.payloads.unchecked.remove(&parent).unwrap_or_default()
            {
                if self.check_one(&block, payload)? {
                    parents.push(id);
                }
            }
        }
        Ok(())
    }

    fn check(&mut self, block: &Block, payload: CheckedPayload) -> Result<(), DriverError> {
        if self.check_one(block, payload)? {
            self.check_waiting(block.id())?;
        }
        Ok(())
    }

    /// F1 and F13: no transaction twice along a chain, and what the header says of lanes and history. Then the payload is kept,
    /// and is durable before a vote for its block leaves. Whether it may stand there; a block whose ancestors were not all
    /// checked yet waits.
    fn check_one(&mut self, block: &Block, payload: CheckedPayload) -> Result<bool, DriverError> {
        let id = block.id();
        let ledger = self.chain.ledger();
        let Some(said) = self.outlook.check(ledger, block, &payload) else {
            let waiting = self.payloads.unchecked.entry(block.parent).or_default();
            waiting.insert(id, (*block, payload));
            return Ok(false);
        };
        let committed = |id: &TransactionId| {
            // What waits is not final: most need not be looked up.
            if self.mempool.contains(id) {
                return None;
            }
            self.chain.height_of(id).unwrap_or_else(|error| {
                tracing::error!(%error, "the transaction index cannot be read");
                Some(block.height)
            })
        };
        let above = self.ids_above(block.parent);
        let twice = duplicate(block.height, payload.transactions.iter(), committed, |id| {
            above.contains(id)
        });
        let failed = match (twice, said) {
            (Some(id), _) => Some(format!("transaction {id} is ordered already")),
            (None, Err(error)) => Some(error.to_string()),
            (None, Ok(())) => None,
        };
        if let Some(reason) = failed {
            tracing::warn!(block = %id, reason, "payload refused");
            self.outlook.remove(&id);
            self.checked(id, false);
            return Ok(false);
        }
        self.chain.put_payload(payload.id, &payload.payload)?;
        self.judge_origin(block, &payload);
        self.held.insert(id, payload);
        self.checked(id, true);
        Ok(true)
    }

    /// Blocks between the last final one and this one, itself included.
    pub(super) fn pending(&self, block: BlockId) -> Vec<BlockId> {
        self.replica
            .branch(block)
            .unwrap_or_default()
            .iter()
            .map(Block::id)
            .collect()
    }

    fn find_payload(&self, id: PayloadId) -> Result<Option<CheckedPayload>, DriverError> {
        let empty = Payload::default();
        let payload = if empty.id() == id {
            Some(empty)
        } else {
            self.chain.payload(id)?
        };
        Ok(payload.and_then(|payload| CheckedPayload::new(payload).ok()))
    }

    /// The payload of a block that was checked before.
    pub(super) fn stored_payload(&self, id: PayloadId) -> Result<CheckedPayload, DriverError> {
        self.find_payload(id)?
            .ok_or_else(|| ChainError::Missing { what: "payload" }.into())
    }
}
