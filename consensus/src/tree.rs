//! The blocks above the last final one, and what is known of each.

use outrider_types::zoo::{self, Mutant};
use outrider_types::{
    Block, BlockId, Certificate, CommitteeId, Height, Justification, Origin, Payload, Resolved,
    Roots, Verified, View,
};
use std::collections::{BTreeMap, BTreeSet};

/// Most blocks above the last final one; a block past that is not kept and is fetched again when it is needed.
pub const TREE_BLOCKS_MAX: usize = 1_024;

/// What is known of a block's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PayloadState {
    /// Not asked for, because an ancestor is missing.
    Unasked,
    /// Asked for.
    Asked,
    /// Held, and it may stand in the block.
    Valid,
    /// Held, and it may not.
    Invalid,
}

/// A block above the root.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) block: Block,
    pub(crate) justification: Option<Verified<Justification>>,
    pub(crate) payload: PayloadState,
    /// Given to the store with a vote or a commit.
    pub(crate) stored: bool,
    /// Not to be voted for here unless it is certified; as an ancestor it is as good as any.
    pub(crate) unwelcome: bool,
}

/// The tree. Its root is the last final block; blocks that do not descend from it go when it moves.
#[derive(Clone, Debug)]
pub(crate) struct BlockTree {
    root: Block,
    root_id: BlockId,
    nodes: BTreeMap<BlockId, Node>,
    certificates: BTreeMap<BlockId, Verified<Certificate>>,
    base: BlockId,
    /// The last height of the epoch; what stands above it is a filler (R13).
    last: Option<Height>,
    /// Parents that blocks of the tree name and that turned out not to stand above the root: nothing can be built on them.
    buried: BTreeSet<BlockId>,
}

impl BlockTree {
    pub(crate) fn new(root: Block, base: BlockId, last: Option<Height>) -> Self {
        Self {
            root,
            root_id: root.id(),
            nodes: BTreeMap::new(),
            certificates: BTreeMap::new(),
            base,
            last,
            buried: BTreeSet::new(),
        }
    }

    pub(crate) const fn root(&self) -> &Block {
        &self.root
    }

    /// The view of the last final block in this epoch: 0 if that is the epoch's base, whatever view it was proposed in.
    pub(crate) fn root_view(&self) -> View {
        self.view_of(&self.root)
    }

    /// The view of a block in this epoch.
    fn view_of(&self, block: &Block) -> View {
        if self.root_id == self.base && *block == self.root {
            View(0)
        } else {
            block.view
        }
    }

    /// The last height of the epoch.
    pub(crate) const fn last(&self) -> Option<Height> {
        self.last
    }

    /// Whether a block of this height is a filler: above the last height of the epoch (R13).
    pub(crate) fn is_filler(&self, height: Height) -> bool {
        self.last.is_some_and(|last| height > last)
    }

    pub(crate) const fn root_id(&self) -> BlockId {
        self.root_id
    }

    /// The block a justification leads to: none stands for the epoch's base.
    pub(crate) fn resolve(&self, resolved: Resolved) -> BlockId {
        resolved.block.unwrap_or(self.base)
    }

    pub(crate) fn get(&self, id: &BlockId) -> Option<&Node> {
        self.nodes.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: &BlockId) -> Option<&mut Node> {
        self.nodes.get_mut(id)
    }

    /// The header of a block above the root, or of the root.
    pub(crate) fn header(&self, id: &BlockId) -> Option<&Block> {
        if *id == self.root_id {
            Some(&self.root)
        } else {
            self.nodes.get(id).map(|node| &node.block)
        }
    }

    /// Keep a block above the root. When the tree is full, the block of the lowest view that `high` does not descend
    /// from makes room; if it is needed after all, a certificate names it and it is fetched again.
    pub(crate) fn insert(
        &mut self,
        block: Block,
        justification: Option<Verified<Justification>>,
        high: Option<BlockId>,
    ) {
        let id = block.id();
        if block.height <= self.root.height || block.view <= self.root_view() {
            return;
        }
        // R4: an attachment that does not fit is ignored, for anyone may have swapped it.
        let justification = justification.filter(|held| self.fits(&block, held));
        if let Some(node) = self.nodes.get_mut(&id) {
            if node.justification.is_none() && justification.is_some() {
                node.justification = justification;
                // It was stored without; the next vote or commit stores it again.
                node.stored = false;
            }
            return;
        }
        if self.nodes.len() >= TREE_BLOCKS_MAX {
            let keep: BTreeSet<BlockId> = high
                .and_then(|high| self.branch(high))
                .unwrap_or_default()
                .into_iter()
                .collect();
            let oldest = self
                .nodes
                .iter()
                .filter(|(id, _)| !keep.contains(id))
                .min_by_key(|(_, node)| node.block.view);
            if let Some((oldest, _)) = oldest {
                let oldest = *oldest;
                self.nodes.remove(&oldest);
            }
        }
        self.nodes.insert(
            id,
            Node {
                block,
                justification,
                payload: PayloadState::Unasked,
                stored: false,
                unwelcome: false,
            },
        );
    }

    /// A block that was asked for stands at the height of the root or below: it is not asked for again. At most one is
    /// remembered for each block of the tree.
    pub(crate) fn bury(&mut self, id: BlockId) {
        assert!(id != self.root_id, "what is built on is the root");
        let named: BTreeSet<BlockId> = self.nodes.values().map(|node| node.block.parent).collect();
        self.buried.retain(|parent| named.contains(parent));
        if named.contains(&id) {
            self.buried.insert(id);
        }
    }

    /// Parents that are not held, with the blocks that name them.
    pub(crate) fn missing_parents(&self) -> Vec<(BlockId, &Node)> {
        self.nodes
            .values()
            .filter(|node| {
                let parent = node.block.parent;
                self.header(&parent).is_none() && !self.buried.contains(&parent)
            })
            .map(|node| (node.block.parent, node))
            .collect()
    }

    /// Keep a certificate of a block's own view. A quorum certificate replaces any other, for only it calls for a late
    /// vote (R4).
    pub(crate) fn certify(&mut self, certificate: Verified<Certificate>) {
        if certificate.rank() < self.root_view() {
            return;
        }
        let replace = match self.certificates.get(&certificate.block()) {
            None => true,
            Some(held) => {
                certificate.is_quorum() && !held.is_quorum()
                    || matches!(**held, Certificate::Adopting(_))
                        && !matches!(*certificate, Certificate::Adopting(_))
            }
        };
        if replace {
            self.certificates.insert(certificate.block(), certificate);
        }
    }

    /// Quorum certificates of views after this one, by view.
    pub(crate) fn quorums_after(&self, view: View) -> Vec<(View, BlockId)> {
        let mut quorums: Vec<(View, BlockId)> = self
            .certificates
            .values()
            .filter(|certificate| certificate.is_quorum() && certificate.rank() > view)
            .map(|certificate| (certificate.rank(), certificate.block()))
            .collect();
        quorums.sort_unstable();
        quorums
    }

    /// Whether a fetch of this block still serves something: a certificate or a block above the root names it.
    pub(crate) fn wants(&self, id: &BlockId) -> bool {
        self.header(id).is_none()
            && (self.certificates.contains_key(id)
                || self.nodes.values().any(|node| node.block.parent == *id))
    }

    pub(crate) fn certificate(&self, id: &BlockId) -> Option<&Verified<Certificate>> {
        self.certificates.get(id)
    }

    /// Blocks from just above the root up to this one, if it descends from the root.
    pub(crate) fn branch(&self, id: BlockId) -> Option<Vec<BlockId>> {
        let mut branch = Vec::new();
        let mut at = id;
        while at != self.root_id {
            let node = self.nodes.get(&at)?;
            branch.push(at);
            assert!(branch.len() <= self.nodes.len(), "parents form no circle");
            at = node.block.parent;
        }
        branch.reverse();
        Some(branch)
    }

    /// What is wrong with a block by itself, and as a child of its parent if that is held.
    pub(crate) fn fault(&self, block: &Block) -> Option<&'static str> {
        if (Some(block.height) == self.last) != (block.next != CommitteeId::NONE) {
            return Some("the last block of an epoch, and no other, names the next committee");
        }
        let carries = block.payload != Payload::default().id()
            || block.roots != Roots::NONE
            || block.origin != Origin::NONE;
        let filler = self.is_filler(block.height);
        if filler && carries {
            return Some("a filler carries nothing");
        }
        let parent = self.header(&block.parent)?;
        if parent.height.next() != block.height {
            return Some("its height is not its parent's plus one");
        }
        if self.view_of(parent) != block.justify {
            return Some("its parent is not of the view that justifies it");
        }
        if parent.timestamp >= block.timestamp {
            return Some("its timestamp is not later than its parent's");
        }
        if !filler && !block.origin.follows(&parent.origin) {
            return Some("its L1 origin goes back (F17)");
        }
        None
    }

    /// What R4 asks of a block and of each of its ancestors beside its payload: well formed, parent justified.
    pub(crate) fn sound(&self, node: &Node) -> bool {
        self.fault(&node.block).is_none() && self.justified(node)
    }

    /// Whether this is what R4 asks for as justification of the block's parent: (a) a certificate of rank v-1 for it,
    /// or (b) a timeout certificate of v-1 that resolves to it by case 2.
    fn fits(&self, block: &Block, justification: &Justification) -> bool {
        let resolved = justification.resolved();
        let direct = block.justify == block.view.previous();
        let kind = match justification {
            Justification::Certificate(_) => direct,
            Justification::Timeout(_) => !direct,
        };
        kind && justification.view() == block.view.previous()
            && self.resolve(resolved) == block.parent
            && resolved.rank == block.justify
    }

    /// Whether the parent of a block is justified as R4 asks, by what came with the block or by what is held.
    pub(crate) fn warranted(&self, block: &Block, attached: Option<&Justification>) -> bool {
        let base = block.parent == self.base && block.justify == View(0) && block.view == View(1);
        let direct = block.justify == block.view.previous();
        let certified = self
            .certificates
            .get(&block.parent)
            .is_some_and(|held| held.rank() == block.justify);
        if zoo::is(Mutant::VoteRulePrecedence) {
            return base || direct || certified && attached.is_some();
        }
        let held = direct && certified;
        base || held || attached.is_some_and(|attached| self.fits(block, attached))
    }

    /// Whether the parent is held and justified as R4 asks.
    pub(crate) fn justified(&self, node: &Node) -> bool {
        let block = &node.block;
        let Some(parent) = self.header(&block.parent) else {
            return false;
        };
        self.view_of(parent) == block.justify
            && self.warranted(block, node.justification.as_deref())
    }

    /// Blocks that descend from the root and whose payload was not asked for yet, parents first.
    pub(crate) fn unasked(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = self
            .nodes
            .iter()
            .filter(|(id, node)| {
                node.payload == PayloadState::Unasked && self.branch(**id).is_some()
            })
            .map(|(_, node)| node.block)
            .collect();
        blocks.sort_by_key(|block| (block.height, block.view));
        blocks
    }

    /// Make a final block the root and forget what does not descend from it.
    pub(crate) fn advance(&mut self, root: Block) {
        assert!(
            root.height > self.root.height,
            "the last final block never moves down"
        );
        assert!(root.view > self.root_view(), "views rise along a chain");
        let root_id = root.id();
        let mut keep = BTreeSet::from([root_id]);
        let mut by_height: Vec<(BlockId, Block)> = self
            .nodes
            .iter()
            .map(|(id, node)| (*id, node.block))
            .collect();
        by_height.sort_by_key(|(_, block)| block.height);
        for (id, block) in by_height {
            // A block whose ancestors are not all here may descend from the root: keep it if it lies above.
            let orphan = block.height > root.height && self.header(&block.parent).is_none();
            if keep.contains(&block.parent) || (orphan && block.view > root.view) {
                keep.insert(id);
            }
        }
        self.root = root;
        self.root_id = root_id;
        self.nodes
            .retain(|id, _| *id != root_id && keep.contains(id));
        self.certificates
            .retain(|id, certificate| certificate.rank() > root.view || *id == root_id);
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Forget certificates of views that no rule asks for any more.
    pub(crate) fn forget_certificates_before(&mut self, view: View) {
        let root_id = self.root_id;
        let nodes = &self.nodes;
        self.certificates.retain(|id, certificate| {
            certificate.rank() >= view || *id == root_id || nodes.contains_key(id)
        });
    }
}
