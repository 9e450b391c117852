//! A commit vote, which may complete the slow path (R7).

use crate::replica::Replica;
use outrider_types::{CommitVote, Signed, Timestamp, Verified};

impl Replica {
    pub(crate) fn on_commit_vote(&mut self, now: Timestamp, vote: Verified<Signed<CommitVote>>) {
        if vote.view <= self.tree.root_view() || !self.in_window(vote.view) {
            return;
        }
        if self.votes.commit_vote(vote.clone()) {
            self.count_commit_vote(now, vote);
        }
    }
}
