//! A range of final blocks was fetched, verified and stored.

use crate::replica::Replica;
use outrider_types::{Block, FinalityCertificate, Timestamp, Verified};

impl Replica {
    pub(crate) fn on_caught_up(
        &mut self,
        now: Timestamp,
        block: Block,
        certificate: &Verified<FinalityCertificate>,
    ) {
        assert_eq!(
            block.id(),
            certificate.block(),
            "the certificate is of the last block of the range"
        );
        self.catching_up = None;
        if block.height > self.tree.root().height {
            self.advance_root(block);
        }
        if self.over {
            return;
        }
        self.on_certificate(now, certificate.certificate());
    }
}
