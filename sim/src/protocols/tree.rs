//! What the peers share: headers, mock certificates, the tree of blocks with its final part, and how missed blocks are
//! asked for.

use super::{Outbox, Setting};
use crate::fact::Micros;
use outrider_types::BlockId;
use outrider_types::crypto::sha256;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A header of our own, in whose size those of the peers are counted.
pub const BLOCK_BYTES: usize = outrider_types::Block::BYTES;
/// A signature.
pub const SIGNATURE_BYTES: usize = 64;
/// A signature in a certificate, with its signer.
pub const SIGNER_BYTES: usize = 2 + SIGNATURE_BYTES;
/// Kind of message, epoch, view, block, signer, signature: as our votes.
pub const VOTE_BYTES: usize = 1 + 8 + 8 + 32 + SIGNER_BYTES;
/// Epoch, view, block and the length of the list: what a certificate has beside its signers.
pub const CERTIFICATE_BYTES: usize = 8 + 8 + 32 + 1;
/// A question for a block.
pub const ASK_BYTES: usize = 1 + 32 + 8;

/// Blocks in one answer to a question.
pub const GIVEN_MAX: usize = 32;
/// A question is asked again after this many bounds.
const ASK_AGAIN_BOUNDS: u64 = 4;
/// Certificates remembered as checked.
const CHECKED_MAX: usize = 256;

/// A block of a peer, without payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Hash of the rest.
    pub id: BlockId,
    /// The block it extends.
    pub parent: BlockId,
    /// View, round or epoch it was proposed in.
    pub view: u64,
    /// Distance from genesis.
    pub height: u64,
    /// Its leader.
    pub proposer: usize,
}

impl Header {
    /// Where every chain begins.
    pub const GENESIS: Self = Self {
        id: BlockId([0; 32]),
        parent: BlockId([0; 32]),
        view: 0,
        height: 0,
        proposer: 0,
    };

    /// A child of this block.
    pub fn child(&self, view: u64, proposer: usize) -> Self {
        let height = self.height + 1;
        let id = BlockId(sha256(&[
            b"peer",
            &self.id.0,
            &view.to_be_bytes(),
            &height.to_be_bytes(),
            &proposer.to_be_bytes(),
        ]));
        Self {
            id,
            parent: self.id,
            view,
            height,
            proposer,
        }
    }
}

/// A mock certificate: who voted for a block of a view. Nothing is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// View of the block.
    pub view: u64,
    /// The block.
    pub block: BlockId,
    /// Who, each once.
    pub voters: Arc<BTreeSet<usize>>,
}

impl Certificate {
    /// Of genesis: it needs no votes.
    pub fn genesis() -> Self {
        Self {
            view: 0,
            block: Header::GENESIS.id,
            voters: Arc::default(),
        }
    }

    /// Whether a quorum stands behind it.
    pub fn valid(&self, setting: &Setting) -> bool {
        let genesis = self.view == 0 && self.block == Header::GENESIS.id;
        genesis
            || self.voters.len() >= setting.quorum()
                && self.voters.iter().all(|voter| *voter < setting.members)
    }

    /// Its size on the wire.
    pub fn bytes(&self) -> usize {
        CERTIFICATE_BYTES + SIGNER_BYTES * self.voters.len()
    }
}

/// Which certificates a member has checked or made, so that it checks none twice.
#[derive(Clone, Debug, Default)]
pub struct Checked(BTreeSet<(u64, BlockId)>);

impl Checked {
    /// Signatures to check in a certificate of a view: all, or none if it was seen before.
    pub fn cost(&mut self, view: u64, block: BlockId, signatures: usize) -> u64 {
        let new = self.0.insert((view, block));
        if self.0.len() > CHECKED_MAX {
            self.0.pop_first();
        }
        if new { signatures as u64 } else { 0 }
    }
}

/// Blocks that a member holds, and how far they are final.
#[derive(Clone, Debug)]
pub struct Tree {
    held: BTreeMap<BlockId, Header>,
    /// The last final block.
    committed: Header,
    /// Final, but with a gap below that was asked for.
    pending: Option<BlockId>,
    asked: BTreeMap<BlockId, Micros>,
}

impl Tree {
    pub fn new() -> Self {
        let genesis = Header::GENESIS;
        Self {
            held: BTreeMap::from([(genesis.id, genesis)]),
            committed: genesis,
            pending: None,
            asked: BTreeMap::new(),
        }
    }

    pub fn get(&self, id: BlockId) -> Option<Header> {
        self.held.get(&id).copied()
    }

    pub fn holds(&self, id: BlockId) -> bool {
        self.held.contains_key(&id)
    }

    /// Keep a block.
    pub fn insert(&mut self, header: Header) {
        self.asked.remove(&header.id);
        self.held.insert(header.id, header);
    }

    /// Whether `id` is `ancestor` or above it, as far as blocks are held.
    pub fn extends(&self, id: BlockId, ancestor: Header) -> bool {
        let mut at = self.get(id);
        while let Some(header) = at {
            if header.height <= ancestor.height {
                return header.id == ancestor.id;
            }
            at = self.get(header.parent);
        }
        false
    }

    /// This block is final, and its ancestors with it. Says to the outbox which are new. If one is missing, nothing is
    /// final yet: it is given back, and [`Self::settle`] tries again.
    pub fn commit<M>(&mut self, id: BlockId, out: &mut Outbox<M>) -> Option<BlockId> {
        let mut chain = Vec::new();
        let mut at = id;
        loop {
            let Some(header) = self.get(at) else {
                self.pending = Some(id);
                return Some(at);
            };
            if header.id == self.committed.id || header.height < self.committed.height {
                break;
            }
            // At the height of the last final block only a fork gets here: it is told, and the lab finds it.
            chain.push(header);
            if header.height <= self.committed.height {
                break;
            }
            at = header.parent;
        }
        self.pending = None;
        if let Some(tip) = chain
            .first()
            .filter(|tip| tip.height > self.committed.height)
        {
            self.committed = *tip;
        }
        let new = chain.iter().rev().map(|header| (header.height, header.id));
        out.commits.extend(new);
        None
    }

    /// Try again what [`Self::commit`] could not; gives back what is still missing.
    pub fn settle<M>(&mut self, out: &mut Outbox<M>) -> Option<BlockId> {
        let id = self.pending?;
        self.commit(id, out)
    }

    /// Whether to ask for this block now. Says yes again after a while.
    pub fn asks(&mut self, id: BlockId, now: Micros, setting: &Setting) -> bool {
        let again = setting.bound * ASK_AGAIN_BOUNDS;
        if self.asked.get(&id).is_some_and(|at| now < at + again) {
            return false;
        }
        self.asked.insert(id, now);
        true
    }

    /// This block and its ancestors above a height, as far as they fit into an answer.
    pub fn below(&self, id: BlockId, above: u64) -> Vec<Header> {
        let mut out = Vec::new();
        let mut at = self.get(id);
        while let Some(header) = at.filter(|header| header.height > above && out.len() < GIVEN_MAX)
        {
            out.push(header);
            at = self.get(header.parent);
        }
        out
    }

    /// Height of the last final block.
    pub const fn height(&self) -> u64 {
        self.committed.height
    }
}
