//! Which blocks the reference replica holds, and what justifies them (R4).

use super::replica::Reference;
use super::rules::Mutation;
use super::words::Proof;
use outrider_types::{Block, BlockId};

impl Reference {
    /// Forget what does not descend from the last final block, as far as can be told.
    pub fn make_final(&mut self, root: Block) {
        self.root = root;
        let above = |mut block: Block| loop {
            if block.height <= root.height || block.view <= root.view {
                return false;
            }
            match self.blocks.get(&block.parent) {
                _ if block.parent == root.id() => return true,
                Some(parent) => block = *parent,
                None => return true,
            }
        };
        let kept = self.blocks.iter().filter(|(_, block)| above(**block));
        self.blocks = kept.map(|(id, block)| (*id, *block)).collect();
    }

    pub fn keep(&mut self, block: Block, proof: Option<Proof>) {
        if block.height > self.root.height && block.view > self.root.view {
            self.asked.remove(&block.id());
            self.blocks.insert(block.id(), block);
            self.attached.extend(proof.map(|proof| (block.id(), proof)));
        }
    }

    pub fn holds(&self, id: BlockId) -> bool {
        self.blocks.contains_key(&id) || self.root.id() == id
    }

    pub fn header(&self, id: &BlockId) -> Option<Block> {
        let root = (*id == self.root.id()).then_some(self.root);
        root.or_else(|| self.blocks.get(id).copied())
    }

    /// Blocks from this one down to the last final one, which is not among them.
    pub fn branch(&self, mut id: BlockId) -> Option<Vec<BlockId>> {
        let mut branch = Vec::new();
        while id != self.root.id() {
            branch.push(id);
            id = self.blocks.get(&id)?.parent;
        }
        Some(branch)
    }

    pub fn all_valid(&self, branch: &[BlockId]) -> bool {
        branch.iter().all(|id| self.payloads.get(id) == Some(&true))
    }

    /// Not well formed as a child of its parent, if that is held.
    pub fn misfit(&self, block: &Block) -> bool {
        self.header(&block.parent).is_some_and(|parent| {
            parent.height.0 + 1 != block.height.0
                || parent.view != block.justify
                || parent.timestamp >= block.timestamp
        })
    }

    /// R4 (a) by a certificate that is held, or (a) or (b) by what is carried. The base needs neither in view 1.
    pub fn warranted(&self, block: &Block, carried: Option<&Proof>) -> bool {
        let base = block.parent == self.base.id() && block.justify.0 == 0 && block.view.0 == 1;
        let direct = block.justify.0 + 1 == block.view.0;
        let held = self.certificates.iter().any(|held| {
            held.view() == block.justify.0 && self.rules.block(held) == Some(block.parent)
        });
        base || direct && held || carried.is_some_and(|proof| self.fits(block, proof))
    }

    pub fn fits(&self, block: &Block, proof: &Proof) -> bool {
        let certificate = self.rules.certificate(proof);
        let rank = certificate.as_ref().map_or(0, Proof::view);
        let extends = certificate.as_ref().and_then(|held| self.rules.block(held));
        if self.rules.is(Mutation::LowerCertificate) && block.justify.0 < rank {
            return proof.view() + 1 == block.view.0;
        }
        proof.view() + 1 == block.view.0
            && rank == block.justify.0
            && extends.unwrap_or(self.base.id()) == block.parent
    }
}
