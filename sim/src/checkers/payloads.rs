//! S8, availability: who may hold which payload, and that honest members only vote for blocks of which they do.

use super::rules::{EpochRules, payload_id, payload_of};
use super::signers::Finding;
use outrider_types::{Block, BlockId, Payload, PayloadId};
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

    /// An honest member voted for a block for the first time.
    pub fn voted(
        &mut self,
        rules: &EpochRules,
        member: usize,
        block: BlockId,
    ) -> Result<(), Finding> {
        let Some(proposed) = self.blocks.get_mut(&block) else {
            return Ok(());
        };
        let host = rules.host(member).unwrap_or(usize::MAX);
        let hosts = self.held.get(&proposed.payload);
        let held = hosts.and_then(|hosts| hosts.get(host).copied());
        // A payload that was sent long ago is forgotten.
        let forgotten = hosts.is_none() && self.held_in_order.len() >= KEPT;
        if held.unwrap_or_default() || forgotten || proposed.without.contains(&member) {
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
