//! The payload of one's own proposal (R2, R3).

use crate::replica::Replica;
use outrider_types::{BlockId, CommitteeId, PayloadId, Timestamp, View};

impl Replica {
    pub(crate) fn on_assembled(
        &mut self,
        view: View,
        parent: BlockId,
        content: (PayloadId, CommitteeId),
        timestamp: Timestamp,
    ) {
        self.propose(view, parent, content, timestamp);
    }
}
