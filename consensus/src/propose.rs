//! Proposing: on entering a view with the certificate that ended the last one (R2), and ahead of it on voting for the
//! parent (R3).

use crate::action::Action;
use crate::replica::{Replica, Seat};
use crate::tree::PayloadState;
use outrider_types::block::BLOCK_VERSION;
use outrider_types::zoo::{self, Mutant};
use outrider_types::{
    Block, BlockId, ConsensusMessage, Content, Justification, Proposal, ProposalKind, Propose,
    Resolved, Timestamp, Verified, View,
};

/// R3: a block not older than this many views is final where an optimistic proposal is made. Without it an adversary can
/// split votes between the optimistic and the normal proposal for ever.
const COMMITTED_WITHIN_VIEWS: u64 = 3;
/// R3: the current view and the one before it were entered by votes.
const ENTERED_BY_VOTES: u64 = 2;

impl Replica {
    /// What a block of the current view extends: what the certificate that ended the last one resolves to.
    fn parent(&self) -> Resolved {
        let after_timeout = matches!(self.entry.as_deref(), Some(Justification::Timeout(_)));
        if zoo::is(Mutant::HighestIgnored) && after_timeout {
            return Resolved {
                rank: self.tree.root_view(),
                block: Some(self.tree.root_id()),
            };
        }
        self.entry.as_ref().map_or(
            Resolved {
                rank: View(0),
                block: None,
            },
            |entry| entry.resolved(),
        )
    }

    /// R2, R3: ask for the payload of the next proposal, once its parent and the parent's ancestors are held.
    pub(crate) fn try_propose(&mut self, now: Timestamp) {
        let view = self.safety.view;
        if self.leads() && self.may_propose(view, ProposalKind::Normal) {
            let resolved = self.parent();
            let parent = self.tree.resolve(resolved);
            if !self.stands(view, parent, resolved.rank) {
                self.assemble(now, view, parent);
                return;
            }
            self.send_certificate(view);
        }
        if let Some(parent) = self.ahead() {
            self.assemble(now, view.next(), parent);
        }
    }

    /// R2: the optimistic proposal of this view extends what the certificate resolves to, so it stands.
    fn stands(&self, view: View, parent: BlockId, rank: View) -> bool {
        let proposed = self.safety.proposed_optimistic;
        proposed
            .filter(|proposed| proposed.view == view)
            .and_then(|proposed| self.tree.get(&proposed.block))
            .is_some_and(|node| node.block.parent == parent && node.block.justify == rank)
    }

    fn send_certificate(&mut self, view: View) {
        if self.certificate_sent < view
            && let Some(entry) = self.entry.clone().map(Verified::into_inner)
        {
            self.certificate_sent = view;
            self.broadcast(ConsensusMessage::Certificate(entry));
        }
    }

    /// R3: the block on which to propose for the next view already, if this member leads it and may.
    fn ahead(&self) -> Option<BlockId> {
        let view = self.safety.view;
        let voted = self.voted().filter(|vote| vote.view == view)?;
        let leads = self.member() == Some(self.schedule.leader(view.next()));
        let recent = self
            .tree
            .root_view()
            .0
            .saturating_add(COMMITTED_WITHIN_VIEWS)
            >= view.0
            || zoo::is(Mutant::OptimisticAnyway);
        let given_up = self
            .safety
            .timed_out
            .is_some_and(|timeout| timeout.view >= view);
        let allowed = leads
            && recent
            && !given_up
            && self.entered_by_votes >= ENTERED_BY_VOTES
            && self.may_propose(view.next(), ProposalKind::Optimistic);
        allowed.then_some(voted.block)
    }

    fn assemble(&mut self, now: Timestamp, view: View, parent: BlockId) {
        if self.assembling == Some((view, parent)) || !self.holds_branch(parent) {
            return;
        }
        let Some(header) = self.tree.header(&parent) else {
            return;
        };
        let (height, after, origin) = (header.height.next(), header.timestamp, header.origin);
        self.assembling = Some((view, parent));
        if self.tree.is_filler(height) {
            self.propose(view, parent, Content::filler(), now);
        } else {
            self.act(Action::Assemble {
                view,
                parent,
                height,
                after,
                origin,
                last: self.tree.last() == Some(height),
            });
        }
    }

    /// Not proposed in this view or a later one, and not given up on it or a later one.
    fn may_propose(&self, view: View, kind: ProposalKind) -> bool {
        let last = match kind {
            ProposalKind::Normal => self.safety.proposed,
            ProposalKind::Optimistic => self.safety.proposed_optimistic,
        };
        let proposed = last.is_some_and(|proposed| proposed.view >= view);
        let timed_out = self
            .safety
            .timed_out
            .is_some_and(|timeout| timeout.view >= view);
        !proposed && !timed_out && view < View::LAST
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

    /// The payload is there: propose, normally if the view has begun, else ahead of it.
    pub(crate) fn propose(
        &mut self,
        view: View,
        parent: BlockId,
        content: Content,
        timestamp: Timestamp,
    ) {
        let Some(seat) = self.seat.clone() else {
            return;
        };
        if self.assembling != Some((view, parent)) {
            return;
        }
        // If nothing can be proposed now, what is needed later is asked for again.
        self.assembling = None;
        if view == self.safety.view && self.may_propose(view, ProposalKind::Normal) {
            let resolved = self.parent();
            if self.tree.resolve(resolved) == parent {
                let bare = zoo::is(Mutant::ProposesWithoutTc);
                let without = |entry: &Verified<Justification>| {
                    bare && matches!(**entry, Justification::Timeout(_))
                };
                let entry = self.entry.clone().filter(|entry| !without(entry));
                self.offer(
                    &seat,
                    (view, resolved.rank),
                    parent,
                    content,
                    timestamp,
                    entry,
                );
            }
        } else if view == self.safety.view.next() && self.ahead() == Some(parent) {
            let rank = self.safety.view;
            self.offer(&seat, (view, rank), parent, content, timestamp, None);
        }
    }

    /// Sign and send a proposal; it is optimistic if its view has not begun.
    fn offer(
        &mut self,
        seat: &Seat,
        (view, justify): (View, View),
        parent: BlockId,
        Content {
            payload,
            roots,
            origin,
            next,
        }: Content,
        timestamp: Timestamp,
        justification: Option<Verified<Justification>>,
    ) {
        let Some(header) = self.tree.header(&parent).copied() else {
            return;
        };
        let block = Block {
            version: BLOCK_VERSION,
            chain: self.committee.chain(),
            epoch: self.committee.epoch(),
            view,
            height: header.height.next(),
            parent,
            justify,
            payload,
            timestamp: timestamp.max(Timestamp(header.timestamp.0.saturating_add(1))),
            proposer: seat.member,
            next,
            roots,
            origin,
        };
        let id = block.id();
        let kind = if view == self.safety.view {
            ProposalKind::Normal
        } else {
            ProposalKind::Optimistic
        };
        let signed = Some(Propose {
            epoch: block.epoch,
            view,
            kind,
            block: id,
        });
        match kind {
            ProposalKind::Normal => self.safety.proposed = signed,
            ProposalKind::Optimistic => self.safety.proposed_optimistic = signed,
        }
        self.changed();
        let proposal = Proposal::sign(block, kind, justification.clone(), &seat.key);
        self.say(ConsensusMessage::Proposal((*proposal).clone()));
        self.tree
            .insert(block, justification, self.safety.high_block());
        if let Some(node) = self.tree.get_mut(&id) {
            node.payload = PayloadState::Valid;
        }
        self.candidates.insert((view, kind), id);
    }
}
