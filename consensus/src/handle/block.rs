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
            // It is final already, or lost to what is: whoever names it as a parent above the root lies about its height or
            // its view. Everyone may hold it and answer, so asking again would never end.
            self.tree.bury(id);
        }
    }
}
