//! The reference replica as a leader: R2 and R3.

use super::replica::Reference;
use super::words::Said;
use outrider_types::{
    Block, BlockId, CommitteeId, Height, MemberIndex, PayloadId, ProposalKind, Timestamp, View,
};

impl Reference {
    /// R2: the parent of a proposal for the current view and its rank, if this member has to make one.
    pub fn normal(&self) -> Option<(BlockId, u64)> {
        let view = self.safety.view;
        let entry = self.safety.entry.as_ref();
        let certificate = entry.and_then(|entry| self.rules.certificate(entry));
        let parent = certificate.as_ref().and_then(|held| self.rules.block(held));
        let parent = parent.unwrap_or(self.base.id());
        let rank = certificate.map_or(0, |held| held.view());
        let proposed = self.safety.proposed.is_some_and(|(last, _)| last >= view);
        let ahead = self
            .safety
            .proposed_optimistic
            .filter(|(last, _)| *last == view);
        let stands = ahead.and_then(|(_, id)| self.blocks.get(&id));
        let stands = stands.is_some_and(|block| block.parent == parent && block.justify.0 == rank);
        let free = !proposed && !stands && !self.gave_up(view);
        (self.rules.leader(view) == self.me && free).then_some((parent, rank))
    }

    /// R3: the parent of an optimistic proposal for the next view, if this member may make one.
    pub fn ahead(&self) -> Option<(BlockId, u64)> {
        let view = self.safety.view;
        let voted = self
            .safety
            .voted
            .filter(|(last, _)| *last == view && !self.safety.intent);
        let proposed = self
            .safety
            .proposed_optimistic
            .is_some_and(|(last, _)| last > view);
        let allowed = self.rules.leader(view + 1) == self.me
            && self.root.view.0 + 3 >= view
            && self.by_votes >= 2
            && !proposed
            && !self.gave_up(view);
        voted.filter(|_| allowed).map(|(_, block)| (block, view))
    }

    /// The view and parent for which this member is about to propose.
    pub fn proposes(&self) -> Option<(u64, BlockId)> {
        let view = self.safety.view;
        let normal = self.normal().map(|(parent, _)| (view, parent));
        let next = normal.or_else(|| self.ahead().map(|(parent, _)| (view + 1, parent)));
        next.filter(|(_, parent)| {
            self.branch(*parent)
                .is_some_and(|held| self.all_valid(&held))
        })
    }

    pub fn propose(&mut self, view: u64, on: BlockId, content: (PayloadId, CommitteeId), at: u64) {
        let (kind, found) = if view == self.safety.view {
            (ProposalKind::Normal, self.normal())
        } else {
            (
                ProposalKind::Optimistic,
                self.ahead().filter(|(_, rank)| rank + 1 == view),
            )
        };
        let found = found.filter(|(parent, _)| *parent == on);
        let (Some((parent, rank)), Some(held)) = (found, self.header(&on)) else {
            return;
        };
        let block = Block {
            view: View(view),
            height: Height(held.height.0 + 1),
            parent,
            justify: View(rank),
            payload: content.0,
            timestamp: Timestamp(at.max(held.timestamp.0 + 1)),
            proposer: MemberIndex(self.me as u16),
            next: content.1,
            ..self.base
        };
        let id = block.id();
        let (last, proof) = match kind {
            ProposalKind::Normal => (&mut self.safety.proposed, self.safety.entry.clone()),
            ProposalKind::Optimistic => (&mut self.safety.proposed_optimistic, None),
        };
        *last = Some((view, id));
        self.say(Said::Proposal {
            view,
            kind,
            block: id,
        });
        self.keep(block, proof);
        self.payloads.insert(id, true);
        self.candidates.insert((view, kind), id);
    }
}
