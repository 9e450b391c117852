//! Payloads: assembling one's own, getting hold of others', and checking them against their ancestors'.

use super::{Clock, Held, Node, Port};
use crate::fact::Message;
use outrider_consensus::Input;
use outrider_finality::duplicate;
use outrider_mempool::{AssemblyLimits, ResolveError, Site, Unresolved, Waiting};
use outrider_types::limits::BATCHES_PER_REQUEST_MAX;
use outrider_types::message::{BatchRequest, References, Transactions};
use outrider_types::{
    Block, BlockId, CommitteeId, Content, PayloadId, PayloadMessage, Timestamp, TransactionId, View,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Payloads kept that no known block names yet, per sender.
const UNCLAIMED_PER_HOST: usize = 8;
/// Stands for this member among the senders.
const OWN: usize = usize::MAX;
/// A payload that is announced by its block should come by itself; after this it is asked for.
const GRACE: Duration = Duration::from_millis(50);

/// One's own proposal, waiting for something to order.
#[derive(Clone, Copy, Debug)]
struct Proposing {
    view: View,
    parent: BlockId,
    after: Timestamp,
    last: bool,
    deadline: Timestamp,
}

/// Payloads and blocks that have not found each other.
#[derive(Debug, Default)]
pub(super) struct Payloads {
    wanted: BTreeMap<PayloadId, Vec<Block>>,
    unclaimed: BTreeMap<usize, VecDeque<Arc<Held>>>,
    /// What waits until its parent is checked, by parent.
    unchecked: BTreeMap<BlockId, BTreeMap<BlockId, (Block, Arc<Held>)>>,
    unresolved: Unresolved,
    proposal: Option<Proposing>,
}

impl Payloads {
    pub(super) fn claim(&self, id: PayloadId) -> Option<Arc<Held>> {
        self.unclaimed
            .values()
            .flatten()
            .find(|held| held.id == id)
            .cloned()
    }

    fn keep(&mut self, from: usize, held: Arc<Held>) {
        let queue = self.unclaimed.entry(from).or_default();
        if queue.iter().any(|other| other.id == held.id) {
            return;
        }
        if queue.len() >= UNCLAIMED_PER_HOST {
            queue.pop_front();
        }
        queue.push_back(held);
    }

    /// The replica asks for a payload: view, parent, earliest timestamp, whether it is the last block of the epoch.
    pub(super) const fn ask(
        &mut self,
        (view, parent, after, last): (View, BlockId, Timestamp, bool),
        deadline: Timestamp,
    ) {
        self.proposal = Some(Proposing {
            view,
            parent,
            after,
            last,
            deadline,
        });
    }

    pub(super) fn forget_proposal_before(&mut self, view: View) {
        self.proposal = self.proposal.filter(|waiting| waiting.view >= view);
    }

    pub(super) fn wake_at(&self) -> Option<Timestamp> {
        let deadline = self.proposal.map(|waiting| waiting.deadline);
        let ask = self.unresolved.wake_at();
        [deadline, ask].into_iter().flatten().min()
    }

    /// Whether a block still waits for its payload.
    pub(super) fn waits(&self, id: BlockId) -> bool {
        self.wanted.values().flatten().any(|block| block.id() == id)
    }

    pub(super) fn forget(&mut self, of_use: &dyn Fn(BlockId) -> bool) {
        for blocks in self.wanted.values_mut() {
            blocks.retain(|block| of_use(block.id()));
        }
        self.wanted.retain(|_, blocks| !blocks.is_empty());
        for blocks in self.unchecked.values_mut() {
            blocks.retain(|block, _| of_use(*block));
        }
        self.unchecked.retain(|_, blocks| !blocks.is_empty());
    }

    pub(super) fn len(&self) -> usize {
        self.wanted.len()
            + self.unresolved.len()
            + self.unchecked.values().map(BTreeMap::len).sum::<usize>()
            + self.unclaimed.values().map(VecDeque::len).sum::<usize>()
    }
}

impl Node {
    /// Propose if there is something to order, or nothing came for too long.
    pub(super) fn try_assemble(&mut self, clock: Clock, port: &mut Port<'_>) {
        let Some(life) = &mut self.life else {
            return;
        };
        let Some(waiting) = life.payloads.proposal else {
            return;
        };
        if life.mempool.is_empty() && clock.now < waiting.deadline {
            return;
        }
        let above: BTreeSet<TransactionId> = life
            .replica
            .branch(waiting.parent)
            .unwrap_or_default()
            .iter()
            .filter_map(|block| life.held.get(&block.id()))
            .flat_map(|held| held.transactions.iter().copied())
            .collect();
        let timestamp = clock.wall.max(Timestamp(waiting.after.0.saturating_add(1)));
        let ledger = self.disk.ledger();
        let Some(registry) = life.outlook.registry(ledger, waiting.parent) else {
            return;
        };
        let site = Site {
            parent: waiting.parent,
            policy: &|rollup| registry.policy(rollup, timestamp),
            exclude: &|id| above.contains(id),
        };
        let assembled = life.mempool.assemble_at(&AssemblyLimits::default(), &site);
        let held = Arc::new(assembled.payload);
        if held.payload.is_empty() && clock.now < waiting.deadline {
            return;
        }
        let ledger = self.disk.ledger();
        let Some(roots) = life.outlook.roots(ledger, waiting.parent, &held) else {
            return;
        };
        life.payloads.proposal = None;
        if !held.payload.is_empty() {
            let message = match assembled.references {
                Some(references) => PayloadMessage::References(references),
                None => PayloadMessage::Payload((*held.payload).clone()),
            };
            port.send(None, Message::Payload(message));
        }
        self.disk.put_payload(held.clone());
        let next = if waiting.last {
            life.epochs.next(life.replica.committee())
        } else {
            CommitteeId::NONE
        };
        life.inputs.push_back(Input::Assembled {
            view: waiting.view,
            parent: waiting.parent,
            content: Content {
                payload: held.id,
                roots,
                origin: outrider_types::Origin::NONE,
                next,
            },
            timestamp,
        });
        life.payloads.keep(OWN, held);
    }

    /// The replica wants a payload checked.
    pub(super) fn check_payload(&mut self, clock: Clock, block: Block, port: &mut Port<'_>) {
        if !self.check_next(&block, port) {
            return;
        }
        let Some(life) = &mut self.life else {
            return;
        };
        let held = life
            .payloads
            .claim(block.payload)
            .or_else(|| self.disk.payload(block.payload))
            .or_else(|| Some(Arc::new(Held::default())).filter(|empty| empty.id == block.payload));
        if let Some(held) = held {
            self.check(&block, held);
        } else {
            let id = block.id();
            let proposer = life.hosts.get(block.proposer.index()).copied();
            let wanted = life.payloads.wanted.entry(block.payload).or_default();
            if !wanted.contains(&block) {
                wanted.push(block);
            }
            let at = clock.now.after(GRACE);
            life.sync
                .fetch(at, id, proposer.into_iter().collect(), false);
        }
    }

    /// A member spreads a batch: what has no room here has room elsewhere.
    pub(super) fn on_batch(&mut self, clock: Clock, from: usize, spread: &Transactions) {
        let Some(life) = &mut self.life else {
            return;
        };
        let list = spread.list.iter().cloned();
        let list = list.map(|one| (one.id(), one)).collect();
        let is_final = |id: &TransactionId| self.disk.place(id).is_some();
        let (batch, _) = life.mempool.admit_batch(clock.now, from, list, is_final);
        for waiting in life.payloads.unresolved.take(&batch) {
            self.resolve(waiting);
        }
    }

    /// A leader tells a payload in terms of batches.
    pub(super) fn on_references(&mut self, clock: Clock, from: usize, references: References) {
        let Some(life) = &mut self.life else {
            return;
        };
        match life.mempool.resolve(&references) {
            Ok(held) => self.on_payload(from, Arc::new(held)),
            Err(ResolveError::Missing { .. }) => {
                life.payloads.unresolved.keep(clock.now, from, references);
            }
            Err(_) => {}
        }
    }

    fn resolve(&mut self, waiting: Waiting) {
        let Some(life) = &mut self.life else {
            return;
        };
        match life.mempool.resolve(&waiting.references) {
            Ok(held) => self.on_payload(waiting.from, Arc::new(held)),
            Err(ResolveError::Missing { .. }) => life.payloads.unresolved.put_back(waiting),
            Err(_) => {}
        }
    }

    /// Ask for batches that should have come by now.
    pub(super) fn ask_for_batches(&mut self, clock: Clock, port: &mut Port<'_>) {
        let Some(life) = &mut self.life else {
            return;
        };
        for waiting in life.payloads.unresolved.due(clock.now) {
            let found = life.mempool.resolve(&waiting.references);
            if let Err(ResolveError::Missing { mut batches }) = found {
                batches.truncate(BATCHES_PER_REQUEST_MAX);
                let request = PayloadMessage::BatchRequest(BatchRequest { batches });
                port.send(Some(waiting.from), Message::Payload(request));
            }
        }
    }

    /// A payload came.
    pub(super) fn on_payload(&mut self, from: usize, held: Arc<Held>) {
        let Some(life) = &mut self.life else {
            return;
        };
        match life.payloads.wanted.remove(&held.id) {
            None => life.payloads.keep(from, held),
            Some(blocks) => {
                for block in blocks {
                    self.check(&block, held.clone());
                }
            }
        }
    }

    fn check(&mut self, block: &Block, held: Arc<Held>) {
        if self.check_one(block, held) {
            self.check_waiting(block.id());
        }
    }

    /// A block was checked or became final: those that waited for it are next.
    pub(super) fn check_waiting(&mut self, parent: BlockId) {
        let mut parents = vec![parent];
        while let Some(parent) = parents.pop() {
            let waiting = self
                .life
                .as_mut()
                .and_then(|life| life.payloads.unchecked.remove(&parent));
            for (id, (block, held)) in waiting.unwrap_or_default() {
                if self.check_one(&block, held) {
                    parents.push(id);
                }
            }
        }
    }

    /// F1 and F13: no transaction twice along a chain, and what the header says of lanes and history. Then the payload is kept.
    fn check_one(&mut self, block: &Block, held: Arc<Held>) -> bool {
        let Some(life) = &mut self.life else {
            return false;
        };
        let id = block.id();
        let Some(said) = life.outlook.check(self.disk.ledger(), block, &held) else {
            let waiting = life.payloads.unchecked.entry(block.parent).or_default();
            waiting.insert(id, (*block, held));
            return false;
        };
        let above: BTreeSet<TransactionId> = if held.transactions.is_empty() {
            BTreeSet::new()
        } else {
            life.replica
                .branch(block.parent)
                .unwrap_or_default()
                .iter()
                .filter_map(|block| life.held.get(&block.id()))
                .flat_map(|held| held.transactions.iter().copied())
                .collect()
        };
        let twice = duplicate(
            block.height,
            held.transactions.iter(),
            // What waits is not final.
            |id| {
                let waits = life.mempool.contains(id);
                (!waits).then(|| self.disk.place(id)).flatten()
            },
            |id| above.contains(id),
        );
        let valid = twice.is_none() && said.is_ok();
        if valid {
            self.disk.put_payload(held.clone());
            life.held.insert(id, held);
        } else {
            life.outlook.remove(&id);
        }
        life.inputs
            .push_back(Input::PayloadChecked { block: id, valid });
        valid
    }
}
