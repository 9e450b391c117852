//! A leader's proposal (R4).

use crate::action::{AHEAD_OF_CLOCK, Action};
use crate::replica::Replica;
use outrider_types::block::BLOCK_VERSION;
use outrider_types::{Proposal, ProposalKind, Timestamp, Verified};
use std::time::Duration;

/// A proposal's timestamp may be this far ahead of the clock here. Without a limit one leader could use up all
/// timestamps, and as they rise along a chain, no block could ever follow (R4, well formed).
const CLOCK_AHEAD_MAX: Duration = Duration::from_secs(10);

impl Replica {
    pub(crate) fn on_proposal(&mut self, now: Timestamp, proposal: &Verified<Proposal>) {
        // The attachment first: it may be what brings this member to the proposal's view.
        if let Some(justification) = proposal.verified_justification() {
            self.on_handed_certificate(now, justification);
        }
        let (view, kind, proposer) = (proposal.block.view, proposal.kind, proposal.block.proposer);
        let id = proposal.block.id();
        if self.fetching.contains(&id) {
            // Certified before it came.
            self.keep_block(proposal.block, proposal.verified_justification());
        }
        if view < self.safety.view
            || !self.in_window(view)
            || self.schedule.leader(view) != proposer
        {
            return;
        }
        if view == self.safety.view && kind == ProposalKind::Normal {
            self.pacemaker.heard_leader = true;
        }
        if let Some(reason) = self.fault(proposal) {
            self.on_bad_proposal(now, proposal, reason);
            return;
        }
        if proposal.block.timestamp > now.after(CLOCK_AHEAD_MAX) {
            // No vote and no timeout: it may be this member's clock that is wrong, and the timer does the rest.
            self.act(Action::BadProposal {
                leader: proposer,
                view,
                reason: AHEAD_OF_CLOCK,
            });
            return;
        }
        // The first of a kind counts; a second one is an offence (E1), and a certificate may still bring it back.
        if *self.candidates.entry((view, kind)).or_insert(id) == id {
            self.keep_block(proposal.block, proposal.verified_justification());
        }
    }

    /// What is wrong in the signed part, whatever else may come.
    fn fault(&self, proposal: &Proposal) -> Option<&'static str> {
        let block = &proposal.block;
        if block.version != BLOCK_VERSION {
            return Some("unknown block version");
        }
        if block.justify >= block.view {
            return Some("its parent is justified by a view that is not before its own");
        }
        if proposal.kind == ProposalKind::Optimistic && block.justify != block.view.previous() {
            return Some("an optimistic proposal that does not extend the view before");
        }
        self.tree.fault(block)
    }

    /// R4: wrong in its signed part is a reason to give up on the view at once.
    fn on_bad_proposal(&mut self, now: Timestamp, proposal: &Proposal, reason: &'static str) {
        let (view, leader) = (proposal.block.view, proposal.block.proposer);
        self.act(Action::BadProposal {
            leader,
            view,
            reason,
        });
        if view == self.safety.view {
            self.give_up(now);
        }
    }
}
