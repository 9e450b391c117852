//! S8, availability: who may hold which payload, and that honest members only vote for blocks of which they do.

use super::lanes::arrange;
use super::rules::{EpochRules, batch_id, payload_id, payload_of};
use super::signers::Finding;
use outrider_types::message::References;
use outrider_types::{BatchId, Block, BlockId, Bytes, Payload, PayloadId, RollupId, TransactionId};
use std::collections::{BTreeMap, VecDeque};

/// Blocks and payloads that are remembered.
const KEPT: usize = 4_096;
/// A member that assembled the very same payload by itself holds it without having been sent it. Two at once have not.
const VOTERS_WITHOUT: usize = 2;

/// A block that was proposed.
#[derive(Clone, Debug)]
struct Proposed {
    payload: PayloadId,
    /// Honest members that voted for it and were never sent its payload.
    without: Vec<usize>,
}

/// A spread batch.
#[derive(Debug)]
struct Spread {
    /// Whether each host was sent it or sent it.
    hosts: Vec<bool>,
    transactions: Vec<Spoken>,
}

/// A transaction as it was spread: whose, its id, its data.
pub type Spoken = (RollupId, TransactionId, Bytes);

/// A payload that was told in terms of batches.
#[derive(Debug)]
struct Told {
    /// Whether each host was told it.
    hosts: Vec<bool>,
    references: References,
    /// Whether the batches make up this payload, once that was counted.
    adds_up: Option<bool>,
}

/// Who may hold what.
#[derive(Debug)]
pub struct Payloads {
    hosts: usize,
    empty: PayloadId,
    blocks: BTreeMap<BlockId, Proposed>,
    blocks_in_order: VecDeque<BlockId>,
    /// By payload: whether each host was sent it or sent it.
    held: BTreeMap<PayloadId, Vec<bool>>,
    held_in_order: VecDeque<PayloadId>,
    told: BTreeMap<PayloadId, Told>,
    told_in_order: VecDeque<PayloadId>,
    batches: BTreeMap<BatchId, Spread>,
    batches_in_order: VecDeque<BatchId>,
}

/// What one host sends, it holds, and those to whom it does may.
fn spread(hosts: &mut [bool], from: usize, to: Option<usize>) {
    match to {
        None => hosts.fill(true),
        Some(to) => {
            for host in [from, to] {
                if let Some(held) = hosts.get_mut(host) {
                    *held = true;
                }
            }
        }
    }
}

impl Payloads {
    /// For so many hosts.
    #[must_use]
    pub fn new(hosts: usize) -> Self {
        Self {
            hosts,
            empty: payload_id(&[]),
            blocks: BTreeMap::new(),
            blocks_in_order: VecDeque::new(),
            held: BTreeMap::new(),
            held_in_order: VecDeque::new(),
            told: BTreeMap::new(),
            told_in_order: VecDeque::new(),
            batches: BTreeMap::new(),
            batches_in_order: VecDeque::new(),
        }
    }

    /// A block was proposed, or handed on.
    pub fn proposed(&mut self, id: BlockId, block: &Block) {
        if block.payload == self.empty || self.blocks.contains_key(&id) {
            return;
        }
        let proposed = Proposed {
            payload: block.payload,
            without: Vec::new(),
        };
        self.blocks.insert(id, proposed);
        self.blocks_in_order.push_back(id);
        if self.blocks_in_order.len() > KEPT
            && let Some(old) = self.blocks_in_order.pop_front()
        {
            self.blocks.remove(&old);
        }
    }

    /// A payload was sent.
    pub fn sent(&mut self, from: usize, to: Option<usize>, payload: &Payload) {
        self.may_hold(from, to, payload_of(payload));
    }

    /// A block was sent with its payload.
    pub fn sent_with(&mut self, from: usize, to: Option<usize>, block: &Block) {
        self.may_hold(from, to, block.payload);
    }

    fn may_hold(&mut self, from: usize, to: Option<usize>, payload: PayloadId) {
        if payload == self.empty {
            return;
        }
        if !self.held.contains_key(&payload) {
            self.held_in_order.push_back(payload);
            if self.held_in_order.len() > KEPT
                && let Some(old) = self.held_in_order.pop_front()
            {
                self.held.remove(&old);
            }
        }
        let hosts = self
            .held
            .entry(payload)
            .or_insert_with(|| vec![false; self.hosts]);
        spread(hosts, from, to);
    }

    /// A batch was sent.
    pub fn batch(&mut self, from: usize, to: Option<usize>, transactions: Vec<Spoken>) {
        let id = batch_id(&transactions);
        if !self.batches.contains_key(&id) {
            self.batches_in_order.push_back(id);
            if self.batches_in_order.len() > KEPT
                && let Some(old) = self.batches_in_order.pop_front()
            {
                self.batches.remove(&old);
            }
        }
        let batch = self.batches.entry(id).or_insert_with(|| Spread {
            hosts: vec![false; self.hosts],
            transactions,
        });
        spread(&mut batch.hosts, from, to);
    }

    /// A payload was told in terms of batches: whoever is sent these, too, may hold it.
    pub fn told(&mut self, from: usize, to: Option<usize>, references: &References) {
        let id = references.payload;
        if !self.told.contains_key(&id) {
            self.told_in_order.push_back(id);
            if self.told_in_order.len() > KEPT
                && let Some(old) = self.told_in_order.pop_front()
            {
                self.told.remove(&old);
            }
        }
        let told = self.told.entry(id).or_insert_with(|| Told {
            hosts: vec![false; self.hosts],
            references: references.clone(),
            adds_up: None,
        });
        if told.references != *references {
            (told.references, told.adds_up) = (references.clone(), None);
        }
        spread(&mut told.hosts, from, to);
    }

    /// Whether a host was told a payload and may hold all of its batches, and these make it up. A batch of long ago is forgotten.
    fn resolves(&mut self, host: usize, payload: PayloadId) -> bool {
        let Some(told) = self.told.get_mut(&payload) else {
            return false;
        };
        let is_set = |hosts: &Vec<bool>| hosts.get(host).copied().unwrap_or_default();
        let batches = &told.references.batches;
        let held: Option<Vec<&Spread>> = batches
            .iter()
            .map(|reference| self.batches.get(&reference.batch))
            .collect();
        let Some(held) = held else {
            return is_set(&told.hosts) && self.batches_in_order.len() >= KEPT;
        };
        let adds_up = *told.adds_up.get_or_insert_with(|| {
            let mut lanes: BTreeMap<RollupId, Vec<Spoken>> = BTreeMap::new();
            for (reference, batch) in batches.iter().zip(&held) {
                for (place, one) in batch.transactions.iter().enumerate() {
                    let left_out = |out: &u16| usize::from(*out) == place;
                    if !reference.left_out.iter().any(left_out) {
                        lanes.entry(one.0).or_default().push(one.clone());
                    }
                }
            }
            for order in &told.references.orders.lanes {
                if let Some(lane) = lanes.get_mut(&order.rollup) {
                    arrange(order.policy, told.references.orders.parent, lane);
                }
            }
            let all = lanes.into_values().flatten();
            let all: Vec<_> = all.map(|(rollup, id, _)| (rollup, id)).collect();
            payload_id(&all) == payload
        });
        adds_up && is_set(&told.hosts) && held.iter().all(|batch| is_set(&batch.hosts))
    }

    /// An honest member voted for a block for the first time.
    pub fn voted(
        &mut self,
        rules: &EpochRules,
        member: usize,
        block: BlockId,
    ) -> Result<(), Finding> {
        let host = rules.host(member).unwrap_or(usize::MAX);
        let Some(payload) = self.blocks.get(&block).map(|one| one.payload) else {
            return Ok(());
        };
        let hosts = self.held.get(&payload);
        let held = hosts.and_then(|hosts| hosts.get(host).copied());
        // A payload that was sent long ago is forgotten.
        let unknown = hosts.is_none() && !self.told.contains_key(&payload);
        let full = self.held_in_order.len() >= KEPT || self.told_in_order.len() >= KEPT;
        if held.unwrap_or_default() || unknown && full || self.resolves(host, payload) {
            return Ok(());
        }
        let Some(proposed) = self.blocks.get_mut(&block) else {
            return Ok(());
        };
        if proposed.without.contains(&member) {
            return Ok(());
        }
        proposed.without.push(member);
        if proposed.without.len() < VOTERS_WITHOUT {
            return Ok(());
        }
        Err((
            "S8",
            format!(
                "members {:?} voted for block {block} of epoch {} without having been sent its payload",
                proposed.without, rules.number
            ),
        ))
    }
}
