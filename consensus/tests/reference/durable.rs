//! What the reference replica keeps over a restart (section 3).

use super::replica::Reference;
use super::rules::Mutation;
use super::words::{Proof, Said};
use outrider_types::Block;

impl Reference {
    /// Section 3: a restart keeps what was durable, and the blocks on the disk. A vote whose block is not among them
    /// has not left.
    pub fn restart(
        &mut self,
        root: Block,
        blocks: &[(Block, Option<Proof>)],
        vote_left: bool,
        now: u64,
    ) -> Vec<Said> {
        let mut safety = self.durable.clone();
        if self.rules.is(Mutation::StateLostOnRestart) {
            (safety.voted, safety.commit_voted, safety.timed_out) = (None, None, None);
        }
        *self = Self::restored(self.rules.clone(), self.me, self.base, root, safety, now);
        for (block, proof) in blocks {
            self.note(proof.clone());
            self.keep(*block, proof.clone());
            self.payloads.insert(block.id(), true);
        }
        self.note(self.safety.high.clone());
        self.note(self.safety.entry.clone());
        let (me, timed_out) = (self.me, self.safety.timed_out.clone());
        let last = timed_out.as_ref().map_or(0, |(view, ..)| *view);
        if let Some((view, block)) = self.safety.voted {
            let denied = last == view && timed_out.as_ref().is_some_and(|t| t.2 != Some(block));
            self.safety.intent = !vote_left || denied;
            if !self.safety.intent && last <= view {
                self.votes.insert((view, me), block);
                self.say(Said::Vote { view, block });
            }
        }
        if let Some((view, block)) = self.safety.commit_voted {
            self.commit_votes.insert((view, me), block);
            self.say(Said::CommitVote { view, block });
        }
        if let Some((view, high, voted)) = timed_out {
            let high_view = high.as_ref().map_or(0, Proof::view);
            self.timeouts.insert((view, me), (high, voted));
            self.said.push(Said::Timeout {
                view,
                high_view,
                voted,
            });
        }
        self.settle(now);
        self.finish()
    }
}
