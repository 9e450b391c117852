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
            Input::PayloadChecked { block, valid } => self.on_payload_checked(now, block, valid),
            Input::Assembled {
                view,
                parent,
                payload,
                timestamp,
            } => self.on_assembled(view, parent, payload, timestamp),
            Input::CaughtUp { block, certificate } => self.on_caught_up(now, block, &certificate),
        }
    }

    /// Do everything that what is known now makes possible. Each of these does nothing when it was already done.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        loop {
            let view = self.safety.view;
            self.try_commit();
            self.seek_certified();
            self.seek_parents();
            self.ask_payloads();
            self.judge_candidates(now);
            self.try_amplify(now);
            self.try_late_vote(now);
            self.try_vote(now);
            // A vote of one's own may have completed a certificate, and that a commit.
            self.try_commit();
            // It may also have led to a view whose proposal is here already.
            if self.safety.view == view {
                break;
            }
        }
        self.try_propose();
    }
}
