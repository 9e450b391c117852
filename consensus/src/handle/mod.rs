//! One file per input. Each changes what the replica knows; [`Replica::advance`] then does what has become possible.

mod assembled;
mod block;
mod caught_up;
mod certificate;
mod commit_vote;
mod payload;
mod proposal;
mod timeout;
mod vote;
mod wake;

use crate::input::Input;
use crate::replica::Replica;
use outrider_types::Timestamp;

impl Replica {
    pub(crate) fn handle(&mut self, now: Timestamp, input: Input) {
        self.note_presence(&input);
        match input {
            Input::Wake => {}
            Input::Proposal { proposal } => self.on_proposal(now, &proposal),
            Input::Vote { vote } => self.on_vote(now, vote),
            Input::CommitVote { vote } => self.on_commit_vote(now, vote),
            Input::Timeout { timeout } => self.on_timeout(now, timeout),
            Input::Certificate { justification } => self.on_handed_certificate(now, justification),
            Input::Block { record } => self.on_block(now, &record),
            Input::FetchFailed { block } => {
                self.fetching.remove(&block);
            }
            Input::Unwelcome { block } => {
                if let Some(node) = self.tree.get_mut(&block) {
                    node.unwelcome = true;
                }
            }
            Input::Welcome { block } => {
                if let Some(node) = self.tree.get_mut(&block) {
                    node.unwelcome = false;
                }
            }
            Input::PayloadChecked { block, valid } => self.on_payload_checked(now, block, valid),
            Input::Assembled {
                view,
                parent,
                content,
                timestamp,
            } => self.on_assembled(view, parent, content, timestamp),
            Input::CaughtUp { block, certificate } => self.on_caught_up(now, block, &certificate),
        }
    }

    /// R10: these come straight from the member that signed them.
    fn note_presence(&mut self, input: &Input) {
        let member = match input {
            Input::Proposal { proposal } => proposal.block.proposer,
            Input::Vote { vote } => vote.signer,
            Input::CommitVote { vote } => vote.signer,
            Input::Timeout { timeout } => timeout.timeout.signer,
            _ => return,
        };
        self.presence.heard(member);
    }

    /// Do everything that what is known now makes possible. Each of these does nothing when it was already done.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        loop {
            let view = self.safety.view;
            self.try_commit();
            if self.over {
                return;
            }
            self.seek_certified();
            self.seek_parents();
            self.ask_payloads();
            self.judge_candidates(now);
            self.try_skip(now);
            self.try_amplify(now);
            self.try_late_vote(now);
            self.try_vote(now);
            // A vote of one's own may have completed a certificate, and that a commit.
            self.try_commit();
            let said = (self.safety.proposed, self.safety.proposed_optimistic);
            if !self.over {
                self.try_propose(now);
            }
            // A vote may also have led to a view whose proposal is here already, and a proposal asks for one's own vote.
            let proposed = (self.safety.proposed, self.safety.proposed_optimistic) != said;
            if self.safety.view == view && !proposed {
                break;
            }
        }
    }
}
