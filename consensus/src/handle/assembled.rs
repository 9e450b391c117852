//! The payload of one's own proposal (R2, R3).

use crate::replica::Replica;
use outrider_types::{BlockId, Content, Timestamp, View};

impl Replica {
    pub(crate) fn on_assembled(
        &mut self,
        view: View,
        parent: BlockId,
        content: Content,
        timestamp: Timestamp,
    ) {
        self.propose(view, parent, content, timestamp);
    }
}
