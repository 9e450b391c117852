//! A block that was asked for.

use crate::replica::Replica;
use outrider_types::{BlockRecord, Verified};

impl Replica {
    pub(crate) fn on_block(&mut self, record: &Verified<BlockRecord>) {
        // What nobody asked for is not kept: anyone can make up blocks, only certificates and leaders name real ones.
        if self.fetching.contains(&record.block.id()) {
            self.keep_record(record);
        }
    }
}
