//! The payload of one's own proposal (R2).

use crate::replica::Replica;
use outrider_types::{BlockId, PayloadId, Timestamp, View};

impl Replica {
    pub(crate) fn on_assembled(
        &mut self,
        view: View,
        parent: BlockId,
        payload: PayloadId,
        timestamp: Timestamp,
    ) {
        self.propose(view, parent, payload, timestamp);
    }
}
