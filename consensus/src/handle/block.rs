//! A block that was asked for.

use crate::replica::Replica;
use outrider_types::{BlockRecord, Timestamp, Verified};

impl Replica {
    pub(crate) fn on_block(&mut self, now: Timestamp, record: &Verified<BlockRecord>) {
        // What nobody asked for is not kept: anyone can make up blocks, only certificates and leaders name real ones.
        let id = record.block.id();
        if !self.fetching.contains(&id) {
            return;
        }
        // A certificate counts however it came (R1, R5).
        if let Some(justification) = record.verified_justification() {
            self.on_handed_certificate(now, justification);
        }
        let above = record.block.height > self.tree.root().height;
        if above
            && !self
                .tree
                .warranted(&record.block, record.justification.as_ref())
        {
            // R4: a fetched block comes with its justification. Whoever took it off must not be the last one asked.
            self.fetching.remove(&id);
            return;
        }
        self.keep_block(record.block, record.verified_justification());
        if self.tree.header(&id).is_none() {
            // It is final already, or lost to what is. Everyone may hold it and answer, so asking again would never end. Whoever
            // built on it may be honest: a proposal ahead of a certificate that never came (R3).
            self.tree.bury(id);
        }
    }
}
