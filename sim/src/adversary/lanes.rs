//! Leaders that break the rules of lanes (F13 to F15): what they propose is otherwise in order, so that only these rules stand against it.

use super::craft::{Renamed, consensus, payload, propose};
use super::{Corrupted, Deed, Setup};
use crate::fact::{Message, Micros};
use outrider_types::bundle::Part;
use outrider_types::message::{References, Transactions, batch_id};
use outrider_types::registry::SHORT_LIVED;
use outrider_types::{
    Batch, BatchId, Block, BlockId, Bytes, CheckedPayload, ConsensusMessage, LaneBlock, LaneTip,
    LanesRoot, Payload, PayloadId, PayloadMessage, Policy, Proposal, RollupId, Transaction,
    TransactionId, TransactionsRoot,
};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Batches, payloads and blocks that are remembered, each.
const KEPT: usize = 2_048;
/// Blocks without known lanes that a chain may have in a row.
const CHAIN_MAX: usize = 256;
/// After this long the short-lived rollup of a world with policies is closed.
const CLOSED_AFTER: Micros = 5_000_000;

/// Which rule it breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Breach {
    /// F13.
    Roots,
    /// F14: the order of a lane.
    Order,
    /// F14: a rollup that is not open.
    Closed,
    /// F15.
    Bundle,
}

/// The newest of what has a name.
#[derive(Debug)]
struct Recent<K, V> {
    by_name: BTreeMap<K, V>,
    in_order: VecDeque<K>,
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self {
            by_name: BTreeMap::new(),
            in_order: VecDeque::new(),
        }
    }
}

impl<K: Ord + Copy, V> Recent<K, V> {
    fn insert(&mut self, name: K, value: V) {
        if self.by_name.insert(name, value).is_none() {
            self.in_order.push_back(name);
        }
        if self.in_order.len() > KEPT
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.by_name.remove(&oldest);
        }
    }

    fn get(&self, name: &K) -> Option<&V> {
        self.by_name.get(name)
    }
}

type Tips = BTreeMap<RollupId, LaneTip>;

/// As leader it breaks one rule of lanes in everything that it proposes, and proposes nothing where it cannot. It keeps account of
/// lanes by what it overhears, so that headers fit what it made of a payload.
#[derive(Debug)]
pub(super) struct Lawless {
    breach: Breach,
    gst: Micros,
    batches: Recent<BatchId, Vec<Transaction>>,
    payloads: Recent<PayloadId, Payload>,
    blocks: Recent<BlockId, Block>,
    tips: Recent<BlockId, Arc<Tips>>,
    /// What its side proposed, and what left instead.
    broken: Recent<BlockId, Option<Block>>,
    renamed: Renamed,
}

impl Lawless {
    pub(super) fn new(setup: &Setup, breach: Breach) -> Self {
        Self {
            breach,
            gst: setup.gst,
            batches: Recent::default(),
            payloads: Recent::default(),
            blocks: Recent::default(),
            tips: Recent::default(),
            broken: Recent::default(),
            renamed: Renamed::default(),
        }
    }

    fn note(&mut self, message: &Message) {
        match message {
            Message::Payload(PayloadMessage::Transactions(Transactions { list })) => {
                let ids: Vec<TransactionId> = list.iter().map(Transaction::id).collect();
                self.batches.insert(batch_id(&ids), list.clone());
            }
            Message::Payload(PayloadMessage::Payload(whole)) => {
                self.payloads.insert(whole.id(), whole.clone());
            }
            Message::Payload(PayloadMessage::References(told)) => {
                if let Some(whole) = self.resolve(told) {
                    self.payloads.insert(told.payload, whole);
                }
            }
            Message::Consensus(ConsensusMessage::Proposal(said)) => {
                self.blocks.insert(said.block.id(), said.block);
            }
            _ => {}
        }
    }

    /// The payload that is told in terms of batches.
    fn resolve(&self, told: &References) -> Option<Payload> {
        let mut lanes: BTreeMap<RollupId, (Vec<Bytes>, Vec<TransactionId>)> = BTreeMap::new();
        for reference in &told.batches {
            let batch = self.batches.get(&reference.batch)?;
            for (place, one) in (0_u16..).zip(batch) {
                if !reference.left_out.contains(&place) {
                    let lane = lanes.entry(one.rollup).or_default();
                    lane.0.push(one.data.clone());
                    lane.1.push(one.id());
                }
            }
        }
        let mut whole = Payload::default();
        for (rollup, mut lane) in lanes {
            told.orders.arrange(rollup, &mut lane);
            let transactions = lane.0;
            whole.batches.push(Batch {
                rollup,
                transactions,
            });
        }
        (whole.id() == told.payload).then_some(whole)
    }

    fn payload(&self, id: PayloadId) -> Option<Payload> {
        let none = Payload::default();
        let empty = (none.id() == id).then_some(none);
        empty.or_else(|| self.payloads.get(&id).cloned())
    }

    /// The ends of lanes after a block, by what was overheard.
    fn tips(&mut self, block: BlockId, height: u64) -> Option<Arc<Tips>> {
        let mut missing = Vec::new();
        let (mut id, mut at) = (block, height);
        let known = loop {
            if at == 0 {
                break Arc::default();
            }
            if let Some(known) = self.tips.get(&id) {
                break known.clone();
            }
            let block = *self.blocks.get(&id)?;
            missing.push((id, block));
            if missing.len() > CHAIN_MAX {
                return None;
            }
            (id, at) = (block.parent, at - 1);
        };
        let mut tips = known;
        for (id, block) in missing.into_iter().rev() {
            let whole = CheckedPayload::new(self.payload(block.payload)?).ok()?;
            for lane in lanes(&tips, &whole) {
                Arc::make_mut(&mut tips).insert(lane.rollup, lane.tip());
            }
            self.tips.insert(id, tips.clone());
        }
        Some(tips)
    }

    /// The block that leaves instead of this one, with its payload; none if there is nothing to break.
    fn break_it(&mut self, now: Micros, block: &Block) -> Option<(Block, Option<Payload>)> {
        let mut left = *block;
        if self.breach == Breach::Roots {
            let hash = match block.view.0 % 3 {
                0 => &mut left.roots.lanes.0,
                1 => &mut left.roots.history.0,
                _ => &mut left.roots.registry.0,
            };
            hash[0] ^= 1;
            return Some((left, self.payload(block.payload)));
        }
        let mut whole = self.payload(block.payload)?;
        match self.breach {
            Breach::Order => disorder(block.parent, &mut whole)?,
            Breach::Bundle => split(&mut whole)?,
            Breach::Closed | Breach::Roots => {
                let closed = now > self.gst + CLOSED_AFTER && block.view.0.is_multiple_of(2);
                let rollup = RollupId(SHORT_LIVED.start + u64::from(!closed));
                let data = Bytes::from(block.view.0.to_be_bytes().to_vec());
                let batch = Batch {
                    rollup,
                    transactions: vec![data],
                };
                let at = whole.batches.partition_point(|other| other.rollup < rollup);
                whole.batches.insert(at, batch);
            }
        }
        let tips = self.tips(block.parent, block.height.0.checked_sub(1)?)?;
        let checked = CheckedPayload::new(whole).ok()?;
        left.payload = checked.id;
        left.roots.lanes = LanesRoot::of(&lanes(&tips, &checked));
        Some((left, Some((*checked.payload).clone())))
    }

    fn proposes(&mut self, me: &mut Corrupted<'_>, to: Option<usize>, said: &Proposal) {
        let own = said.block.id();
        let left = match self.broken.get(&own) {
            Some(known) => *known,
            None => {
                let left = self.break_it(me.now, &said.block);
                if let Some((_, Some(whole))) = &left
                    && !whole.is_empty()
                {
                    me.say(None, payload(PayloadMessage::Payload(whole.clone())));
                }
                let left = left.map(|(block, _)| block);
                self.broken.insert(own, left);
                left
            }
        };
        let Some(left) = left else {
            return;
        };
        if let Some(other) = propose(me, left, said.kind, said.justification.clone()) {
            self.renamed.insert(own, other.block.id());
            me.say(to, consensus(ConsensusMessage::Proposal(other)));
        }
    }
}

/// The lane blocks of a payload on top of these.
fn lanes(tips: &Tips, whole: &CheckedPayload) -> Vec<LaneBlock> {
    let batches = whole.payload.batches.iter().zip(&*whole.roots);
    batches
        .map(|(batch, root)| {
            let tip = tips.get(&batch.rollup).copied().unwrap_or_default();
            tip.extend(batch.rollup, batch.count(), TransactionsRoot(*root))
        })
        .collect()
}

/// Swap two neighbours of a lane, whose policy must be one of a world with policies.
fn disorder(parent: BlockId, whole: &mut Payload) -> Option<()> {
    for batch in &mut whole.batches {
        let policy = match batch.rollup.0 % 3 {
            1 => Policy::PriorityPrefix,
            2 => Policy::Shuffled,
            _ => continue,
        };
        for at in 1..batch.transactions.len() {
            batch.transactions.swap(at - 1, at);
            let ids: Vec<TransactionId> = batch.ids().collect();
            if policy.fault(parent, &batch.transactions, &ids).is_some() {
                return Some(());
            }
            batch.transactions.swap(at - 1, at);
        }
    }
    None
}

/// Leave out one part of the first bundle.
fn split(whole: &mut Payload) -> Option<()> {
    let part = |data: &Bytes| matches!(Part::of(data), Ok(Some(_)));
    let batch = whole
        .batches
        .iter()
        .position(|batch| batch.transactions.iter().any(part))?;
    let found = whole.batches.get_mut(batch)?;
    let at = found.transactions.iter().position(part)?;
    found.transactions.remove(at);
    if found.transactions.is_empty() {
        whole.batches.remove(batch);
    }
    Some(())
}

impl Deed for Lawless {
    fn speaks(
        &mut self,
        me: &mut Corrupted<'_>,
        _: usize,
        to: Option<usize>,
        message: &Arc<Message>,
    ) {
        self.note(message);
        match &**message {
            // They leave with the proposal, as what became of them.
            Message::Payload(PayloadMessage::Payload(_) | PayloadMessage::References(_)) => {}
            // A leader may also propose what another one did, or hand it on.
            Message::Consensus(ConsensusMessage::Proposal(said))
                if Some(said.block.proposer) == me.member() =>
            {
                self.proposes(me, to, said);
            }
            _ => {
                let message = self.renamed.apply(me, message);
                me.say(to, message);
            }
        }
    }

    fn overhears(
        &mut self,
        _: &mut Corrupted<'_>,
        _: usize,
        _: Option<usize>,
        message: &Arc<Message>,
    ) {
        self.note(message);
    }
}
