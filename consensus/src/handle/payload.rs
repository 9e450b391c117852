//! A payload was checked.

use crate::action::Action;
use crate::replica::Replica;
use crate::tree::PayloadState;
use outrider_types::{BlockId, Timestamp};

impl Replica {
    pub(crate) fn on_payload_checked(&mut self, now: Timestamp, block: BlockId, valid: bool) {
        let Some(node) = self.tree.get_mut(&block) else {
            return;
        };
        if node.payload != PayloadState::Asked {
            return;
        }
        node.payload = if valid {
            PayloadState::Valid
        } else {
            PayloadState::Invalid
        };
        let (view, leader) = (node.block.view, node.block.proposer);
        if valid {
            return;
        }
        // The payload is signed through the header's commitment (R4).
        self.act(Action::BadProposal {
            leader,
            view,
            reason: "its payload may not stand there",
        });
        if view == self.safety.view
            && self
                .candidates
                .values()
                .any(|candidate| *candidate == block)
        {
            self.give_up(now);
        }
    }
}
