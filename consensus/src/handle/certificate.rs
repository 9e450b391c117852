//! What ended a view, handed on by a member (R1, R11) or attached to a proposal.

use crate::replica::Replica;
use outrider_types::{Justification, Timestamp, Verified};

impl Replica {
    pub(crate) fn on_handed_certificate(
        &mut self,
        now: Timestamp,
        justification: Verified<Justification>,
    ) {
        let high = justification.verified_high();
        self.on_justification(now, justification);
        if let Some(certificate) = high {
            self.try_commit_vote(now, &certificate);
        }
    }
}
