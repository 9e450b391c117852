//! Proposing (R2).

use crate::action::Action;
use crate::replica::Replica;
use crate::tree::PayloadState;
use outrider_types::block::BLOCK_VERSION;
use outrider_types::{
    Block, BlockId, ConsensusMessage, PayloadId, Proposal, ProposalKind, Propose, Resolved,
    Timestamp, View,
};

impl Replica {
    /// What a block of the current view extends: what the certificate that ended the last one resolves to.
    fn parent(&self) -> Resolved {
        self.entry.as_ref().map_or(
            Resolved {
                rank: View(0),
                block: None,
            },
            |entry| entry.resolved(),
        )
    }

    /// R2: as leader, ask for a payload once the parent and its ancestors are held.
    pub(crate) fn try_propose(&mut self) {
        let view = self.safety.view;
        if !self.leads() || !self.may_propose(view) {
            return;
        }
        let parent = self.tree.resolve(self.parent());
        if self.assembling == Some((view, parent)) || !self.holds_branch(parent) {
            return;
        }
        let Some(header) = self.tree.header(&parent) else {
            return;
        };
        let (height, after) = (header.height.next(), header.timestamp);
        self.assembling = Some((view, parent));
        self.act(Action::Assemble {
            view,
            parent,
            height,
            after,
        });
    }

    fn may_propose(&self, view: View) -> bool {
        let proposed = self
            .safety
            .proposed
            .is_some_and(|proposed| proposed.view >= view);
        let timed_out = self
            .safety
            .timed_out
            .is_some_and(|timeout| timeout.view >= view);
        !proposed && !timed_out
    }

    fn holds_branch(&self, block: BlockId) -> bool {
        self.tree.branch(block).is_some_and(|branch| {
            let held = |id: &BlockId| {
                self.tree
                    .get(id)
                    .is_some_and(|node| node.payload == PayloadState::Valid)
            };
            branch.iter().all(held)
        })
    }

    /// The payload is there: propose, and vote for it oneself.
    pub(crate) fn propose(
        &mut self,
        view: View,
        parent: BlockId,
        payload: PayloadId,
        timestamp: Timestamp,
    ) {
        if self.assembling != Some((view, parent))
            || view != self.safety.view
            || !self.may_propose(view)
        {
            return;
        }
        let Some(header) = self.tree.header(&parent).copied() else {
            return;
        };
        let resolved = self.parent();
        assert_eq!(
            self.tree.resolve(resolved),
            parent,
            "the parent is what the entry certificate resolves to"
        );
        let block = Block {
            version: BLOCK_VERSION,
            chain: self.committee.chain(),
            epoch: self.committee.epoch(),
            view,
            height: header.height.next(),
            parent,
            justify: resolved.rank,
            payload,
            timestamp: timestamp.max(Timestamp(header.timestamp.0.saturating_add(1))),
            proposer: self.me,
        };
        let id = block.id();
        self.safety.proposed = Some(Propose {
            epoch: block.epoch,
            view,
            kind: ProposalKind::Normal,
            block: id,
        });
        self.changed();
        let proposal = Proposal::sign(block, ProposalKind::Normal, self.entry.clone(), &self.key);
        self.say(ConsensusMessage::Proposal((*proposal).clone()));
        self.tree
            .insert(block, self.entry.clone(), self.safety.high_block());
        if let Some(node) = self.tree.get_mut(&id) {
            node.payload = PayloadState::Valid;
        }
        self.candidates.insert((view, ProposalKind::Normal), id);
    }
}
