//! A vote (R4), which may complete a certificate (R5) or the fast path (R6).

use crate::replica::Replica;
use outrider_types::{Signed, Timestamp, Verified, Vote};

impl Replica {
    pub(crate) fn on_vote(&mut self, now: Timestamp, vote: Verified<Signed<Vote>>) {
        if vote.view <= self.tree.root_view() || !self.in_window(vote.view) {
            return;
        }
        self.heard(vote.signer, vote.view);
        if self.votes.vote(vote.clone()) {
            self.count_vote(now, vote);
        }
    }
}
