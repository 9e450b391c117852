//! What chained HotStuff and Jolteon share: blocks that carry the certificate of their parent, and leaders that
//! collect votes for the block before theirs.

use super::tree::{
    ASK_BYTES, BLOCK_BYTES, Certificate, Checked, Header, SIGNATURE_BYTES, Tree, VOTE_BYTES,
};
use super::{Outbox, Setting};
use crate::fact::Micros;
use outrider_types::BlockId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Votes of views this far below the current one are forgotten.
const VOTE_VIEWS_KEPT: u64 = 4;
/// Votes of views this far above the current one are not kept.
const VOTE_VIEWS_AHEAD: u64 = 64;

/// A block and the certificate of its parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The block.
    pub header: Header,
    /// Of its parent.
    pub justify: Certificate,
}

impl Block {
    /// A proposal of it on the wire: kind, header, signature, certificate.
    pub fn bytes(&self) -> usize {
        1 + BLOCK_BYTES + SIGNATURE_BYTES + self.justify.bytes()
    }

    /// Whether it is what a leader may propose, as far as can be seen without its parent.
    pub fn well_formed(&self, setting: &Setting) -> bool {
        self.header.parent == self.justify.block
            && self.header.view > self.justify.view
            && self.header.proposer == setting.leader(self.header.view)
            && self.justify.valid(setting)
    }
}

/// What both protocols say beside their own messages.
#[derive(Clone, Debug)]
pub enum Common {
    /// A vote, to the next leader.
    Vote {
        /// In which view.
        view: u64,
        /// For which block.
        block: BlockId,
    },
    /// A question for a block and its ancestors above a height.
    Ask {
        /// Which.
        block: BlockId,
        /// Above this height.
        above: u64,
    },
    /// The answer, children first.
    Give {
        /// Blocks.
        blocks: Vec<Block>,
    },
}

/// The blocks of a member, with their certificates, and the votes that it collects.
#[derive(Clone, Debug)]
pub struct Chain {
    pub setting: Setting,
    pub tree: Tree,
    justify: BTreeMap<BlockId, Certificate>,
    votes: BTreeMap<(u64, BlockId), BTreeSet<usize>>,
    pub checked: Checked,
    /// The highest certificate held.
    pub high: Certificate,
}

impl Chain {
    pub fn new(setting: Setting) -> Self {
        Self {
            setting,
            tree: Tree::new(),
            justify: BTreeMap::new(),
            votes: BTreeMap::new(),
            checked: Checked::default(),
            high: Certificate::genesis(),
        }
    }

    /// Keep a block.
    pub fn insert(&mut self, block: &Block) {
        self.tree.insert(block.header);
        self.justify.insert(block.header.id, block.justify.clone());
    }

    /// The block that a certificate is of, with its own certificate of its parent; none if it is not held, or genesis.
    pub fn certified(&self, certificate: &Certificate) -> Option<(Header, &Certificate)> {
        let header = self.tree.get(certificate.block)?;
        Some((header, self.justify.get(&certificate.block)?))
    }

    /// A certificate that is valid was seen: the highest is kept. The signatures to check are counted.
    pub fn raise<M>(&mut self, certificate: &Certificate, out: &mut Outbox<M>) {
        let (view, block) = (certificate.view, certificate.block);
        out.verified += self.checked.cost(view, block, certificate.voters.len());
        if certificate.view > self.high.view {
            self.high = certificate.clone();
        }
    }

    /// Count a vote; the certificate if it is complete now.
    pub fn count<M>(
        &mut self,
        (current, view, block): (u64, u64, BlockId),
        from: usize,
        out: &mut Outbox<M>,
    ) -> Option<Certificate> {
        if view + VOTE_VIEWS_KEPT < current || view > current + VOTE_VIEWS_AHEAD {
            return None;
        }
        if from != self.setting.member {
            out.verified += 1;
        }
        let voters = self.votes.entry((view, block)).or_default();
        let new = voters.insert(from);
        if !new || voters.len() != self.setting.quorum() {
            return None;
        }
        let voters = Arc::new(voters.clone());
        // Its signatures were checked one by one.
        self.checked.cost(view, block, 0);
        Some(Certificate {
            view,
            block,
            voters,
        })
    }

    /// Forget votes of views long over.
    pub fn forget(&mut self, current: u64) {
        let first = current.saturating_sub(VOTE_VIEWS_KEPT);
        self.votes.retain(|(view, _), _| *view >= first);
    }

    /// Vote for a block, to the leader of the next view.
    pub fn vote<M: From<Common>>(&self, header: Header, out: &mut Outbox<M>) {
        let next = self.setting.leader(header.view + 1);
        let vote = Common::Vote {
            view: header.view,
            block: header.id,
        };
        out.signed += 1;
        out.send(next, vote.into(), VOTE_BYTES);
    }

    /// Ask a member for a block, unless it is held or was asked for.
    pub fn ask<M: From<Common>>(
        &mut self,
        (block, whom): (BlockId, usize),
        now: Micros,
        out: &mut Outbox<M>,
    ) {
        let misses = whom != self.setting.member && !self.tree.holds(block);
        if misses && self.tree.asks(block, now, &self.setting) {
            let above = self.tree.height();
            out.send(whom, Common::Ask { block, above }.into(), ASK_BYTES);
        }
    }

    /// Answer a question.
    pub fn give<M: From<Common>>(
        &self,
        (block, above): (BlockId, u64),
        to: usize,
        out: &mut Outbox<M>,
    ) {
        let headers = self.tree.below(block, above);
        let blocks: Vec<Block> = headers
            .into_iter()
            .filter_map(|header| {
                let justify = self.justify.get(&header.id)?.clone();
                Some(Block { header, justify })
            })
            .collect();
        if !blocks.is_empty() {
            let bytes = blocks.iter().map(Block::bytes).sum();
            out.send(to, Common::Give { blocks }.into(), bytes);
        }
    }

    /// Make a block final, or ask for what is missing below it.
    pub fn commit<M: From<Common>>(
        &mut self,
        block: BlockId,
        (from, now): (usize, Micros),
        out: &mut Outbox<M>,
    ) {
        if let Some(missing) = self.tree.commit(block, out) {
            self.ask((missing, from), now, out);
        }
    }

    /// Keep the blocks of an answer; what waited for them may be final now.
    pub fn take<M: From<Common>>(
        &mut self,
        blocks: &[Block],
        (from, now): (usize, Micros),
        out: &mut Outbox<M>,
    ) {
        for block in blocks {
            if block.well_formed(&self.setting) {
                self.raise(&block.justify, out);
                self.insert(block);
            }
        }
        if let Some(missing) = self.tree.settle(out) {
            self.ask((missing, from), now, out);
        }
    }
}
