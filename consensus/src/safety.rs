//! The vote rule (R4), commit votes (R5) and timeouts (R8): everything that signs.

use crate::action::Action;
use crate::replica::Replica;
use crate::tree::PayloadState;
use outrider_types::zoo::{self, Mutant};
use outrider_types::{
    BlockId, BlockRecord, Certificate, CommitVote, ConsensusMessage, ProposalKind, Signed, Timeout,
    TimeoutMessage, Timestamp, Verified, View, Vote,
};

impl Replica {
    /// R4: vote for a candidate of the current view, if all its conditions hold; if only its payload is still being
    /// checked, the intent to vote for it goes to the journal already (protocol section 3).
    pub(crate) fn try_vote(&mut self, now: Timestamp) {
        let view = self.safety.view;
        let candidates = [ProposalKind::Normal, ProposalKind::Optimistic]
            .map(|kind| self.candidates.get(&(view, kind)).copied());
        for block in candidates.into_iter().flatten() {
            let ready = self.votable(block, PayloadState::Valid)
                || zoo::is(Mutant::VoteWithoutPayload) && self.votable(block, PayloadState::Asked);
            if ready && self.may_vote(view, block) {
                self.vote(now, view, block);
            }
        }
        for block in candidates.into_iter().flatten() {
            let intended = self.intent.is_some_and(|vote| vote.view == view);
            if !intended && self.may_vote(view, block) && self.votable(block, PayloadState::Asked) {
                self.intend(view, block);
            }
        }
    }

    /// R4, late vote: on a quorum certificate of a view in which, and after which, this member neither voted nor gave
    /// up, it votes for the certified block once it holds it.
    pub(crate) fn try_late_vote(&mut self, now: Timestamp) {
        let said = self
            .voted()
            .map(|vote| vote.view)
            .max(self.safety.timed_out.map(|timeout| timeout.view))
            .unwrap_or_default();
        for (view, block) in self.tree.quorums_after(said) {
            let held = self
                .tree
                .get(&block)
                .is_some_and(|node| node.payload == PayloadState::Valid);
            if held && view < self.safety.view && self.may_vote(view, block) {
                self.vote(now, view, block);
            }
        }
    }

    /// R10: a leader that is silent while a quorum speaks is not waited for.
    pub(crate) fn try_skip(&mut self, now: Timestamp) {
        let leader = self.schedule.leader(self.safety.view);
        if self.member() != Some(leader) && self.presence.dead(leader) {
            self.give_up(now);
        }
    }

    /// R4: a candidate of the current view that turned out wrong in its signed part, once its parent or its payload
    /// came, is a reason to give up at once.
    pub(crate) fn judge_candidates(&mut self, now: Timestamp) {
        let view = self.safety.view;
        for kind in [ProposalKind::Normal, ProposalKind::Optimistic] {
            let node = self
                .candidates
                .get(&(view, kind))
                .and_then(|block| self.tree.get(block));
            let Some(node) = node.filter(|_| self.may_give_up(view)) else {
                continue;
            };
            let reason = match node.payload {
                PayloadState::Invalid => Some("its payload may not stand there"),
                _ => self.tree.fault(&node.block),
            };
            let leader = node.block.proposer;
            if let Some(reason) = reason {
                self.act(Action::BadProposal {
                    leader,
                    view,
                    reason,
                });
                self.give_up(now);
                return;
            }
        }
    }

    /// R9: timeouts for the current view of stake >= W, also when they came before the view was entered.
    pub(crate) fn try_amplify(&mut self, now: Timestamp) {
        let view = self.safety.view;
        if self.may_give_up(view)
            && self.votes.timeout_stake(view, &self.committee)
                >= self.committee.thresholds().witness
        {
            self.give_up(now);
        }
    }

    fn may_give_up(&self, view: View) -> bool {
        self.seat.is_some()
            && view < View::LAST
            && self
                .safety
                .timed_out
                .is_none_or(|timeout| timeout.view < view)
    }

    /// Once per view, never after a later vote, never after giving up on it or a later view. An intent counts as a vote,
    /// but for the vote that it is the intent of.
    fn may_vote(&self, view: View, block: BlockId) -> bool {
        let voted = self.safety.voted.is_some_and(|vote| {
            let same = vote.view == view && vote.block == block && self.intent == Some(vote);
            vote.view >= view && !same
        });
        let timed_out = self
            .safety
            .timed_out
            .is_some_and(|timeout| timeout.view >= view);
        let syncs = self.catching_up.is_some() && zoo::is(Mutant::HighestClaimTrusted);
        self.seat.is_some() && !voted && !timed_out && !syncs
    }

    /// The block and its justified ancestors are held, the ancestors' payloads too, and its own payload is in this state.
    fn votable(&self, block: BlockId, own: PayloadState) -> bool {
        let Some(branch) = self.tree.branch(block) else {
            return false;
        };
        let Some((last, ancestors)) = branch.split_last() else {
            return false;
        };
        let node = |id: &BlockId| self.tree.get(id);
        ancestors
            .iter()
            .filter_map(node)
            .all(|node| node.payload == PayloadState::Valid && self.tree.sound(node))
            && node(last)
                .is_some_and(|node| node.payload == own && !node.unwelcome && self.tree.sound(node))
    }

    /// Put the vote on record before it can be sent: the journal's sync overlaps the check of the payload. No other vote is
    /// possible in this view from now on, and the vote itself only once the payload was found valid.
    fn intend(&mut self, view: View, block: BlockId) {
        let vote = Vote {
            epoch: self.committee.epoch(),
            view,
            block,
        };
        self.safety.voted = Some(vote);
        self.intent = Some(vote);
        self.intended = true;
        self.changed();
    }

    fn vote(&mut self, now: Timestamp, view: View, block: BlockId) {
        assert!(
            self.may_vote(view, block),
            "R4: one vote per view, none after giving up"
        );
        self.store_branch(block);
        let vote = Vote {
            epoch: self.committee.epoch(),
            view,
            block,
        };
        if self.intent != Some(vote) {
            self.safety.voted = Some(vote);
            self.changed();
        }
        self.intent = None;
        if let Some(signed) = self.say_vote(vote) {
            self.count_vote(now, signed);
        }
    }

    /// Sign and send a vote that the safety state holds.
    pub(crate) fn say_vote(&mut self, vote: Vote) -> Option<Verified<Signed<Vote>>> {
        assert_eq!(
            self.voted(),
            Some(vote),
            "only the vote on record is signed"
        );
        let seat = self.seat.as_ref()?;
        let signed = Signed::sign(vote, self.committee.chain(), seat.member, &seat.key);
        self.votes.vote(signed.clone());
        self.say(ConsensusMessage::Vote(*signed));
        Some(signed)
    }

    /// The block and its ancestors, with their justifications, are durable before a vote for it leaves.
    pub(crate) fn store_branch(&mut self, block: BlockId) {
        for id in self.tree.branch(block).unwrap_or_else(|| vec![block]) {
            if self.tree.get(&id).is_none_or(|node| node.stored) {
                continue;
            }
            if let Some(record) = self.record_of(&id) {
                self.store(record);
            }
            if let Some(node) = self.tree.get_mut(&id) {
                node.stored = true;
            }
        }
    }

    /// A block as it is stored and handed on. Its attachment may have been swapped on its way; then the certificate
    /// held justifies the parent.
    pub(crate) fn record_of(&self, id: &BlockId) -> Option<BlockRecord> {
        let node = self.tree.get(id)?;
        let certificate = self
            .tree
            .certificate(&node.block.parent)
            .filter(|held| held.rank() == node.block.view.previous());
        let justification = node
            .justification
            .clone()
            .or_else(|| certificate.cloned().map(Into::into))
            .map(Verified::into_inner);
        Some(BlockRecord {
            block: node.block,
            justification,
        })
    }

    /// R5: on a quorum certificate, unless this member gave up on its view or a later one, or has commit-voted in
    /// its view or a later one. Always, also when the fast path seems near.
    pub(crate) fn try_commit_vote(&mut self, now: Timestamp, certificate: &Verified<Certificate>) {
        if !matches!(**certificate, Certificate::Quorum(_)) || self.seat.is_none() {
            return;
        }
        let (view, block) = (certificate.rank(), certificate.block());
        let timed_out = self
            .safety
            .timed_out
            .is_some_and(|timeout| timeout.view >= view)
            && !zoo::is(Mutant::CommitVoteAfterTimeout);
        let voted = self
            .safety
            .commit_voted
            .is_some_and(|vote| vote.view >= view);
        let ahead = view >= self.safety.view && zoo::is(Mutant::AdvanceOnEqual);
        if timed_out || voted || ahead {
            return;
        }
        assert!(
            self.safety.high_rank() >= view || zoo::is(Mutant::HighNotRaised),
            "R5: `high` is raised before the commit vote"
        );
        assert!(
            self.safety.view > view,
            "R5: a member that commit-votes has left the view"
        );
        let vote = CommitVote {
            epoch: self.committee.epoch(),
            view,
            block,
        };
        self.safety.commit_voted = Some(vote);
        self.keep_as_evidence(certificate);
        self.changed();
        if let Some(signed) = self.say_commit_vote(vote) {
            self.count_commit_vote(now, signed);
        }
    }

    /// Sign and send a commit vote that the safety state holds.
    pub(crate) fn say_commit_vote(
        &mut self,
        vote: CommitVote,
    ) -> Option<Verified<Signed<CommitVote>>> {
        assert_eq!(
            self.safety.commit_voted,
            Some(vote),
            "only the commit vote on record is signed"
        );
        let seat = self.seat.as_ref()?;
        let signed = Signed::sign(vote, self.committee.chain(), seat.member, &seat.key);
        self.votes.commit_vote(signed.clone());
        self.say(ConsensusMessage::CommitVote(*signed));
        Some(signed)
    }

    /// R8: give up on the current view, once.
    pub(crate) fn give_up(&mut self, now: Timestamp) {
        let view = self.safety.view;
        let Some(seat) = self.seat.clone().filter(|_| self.may_give_up(view)) else {
            return;
        };
        let high_view = self.safety.high_rank();
        assert!(
            high_view < view,
            "a member that holds a certificate of a view has left it"
        );
        // An intent whose vote never left is no vote, and none can follow this timeout.
        let voted = self
            .voted()
            .filter(|vote| vote.view == view && !zoo::is(Mutant::TimeoutHidesVote))
            .map(|vote| vote.block);
        let timeout = Timeout {
            epoch: self.committee.epoch(),
            view,
            high_view,
            voted,
        };
        self.safety.timed_out = Some(timeout);
        self.safety.timed_out_high = None;
        self.changed();
        let signed = Signed::sign(timeout, self.committee.chain(), seat.member, &seat.key);
        let message = TimeoutMessage::assemble(signed, self.high.clone());
        assert!(
            message.is_some(),
            "the timeout names the rank of the certificate held"
        );
        if let Some(message) = message {
            self.timeout = Some(message.clone());
            self.pacemaker.timed_out(now);
            self.say(ConsensusMessage::Timeout((*message).clone()));
            self.votes.timeout(message.clone());
            self.count_timeout(now, message);
        }
    }
}
