//! What peers said, after the workers verified it.

use super::{Driver, DriverError};
use crate::pipeline::{Event, FromPeer};
use outrider_consensus::Input;
use outrider_network::Context;
use outrider_storage::{Journal, Store};

impl<E: Context, J: Journal, S: Store> Driver<E, J, S> {
    pub(super) fn on_event(
        &mut self,
        FromPeer { from, event }: FromPeer,
    ) -> Result<(), DriverError> {
        let input = match event {
            Event::Proposal(proposal) => Input::Proposal { proposal },
            Event::Vote(vote) => Input::Vote { vote },
            Event::CommitVote(vote) => Input::CommitVote { vote },
            Event::Timeout(timeout) => Input::Timeout { timeout },
            Event::Certificate(justification) => Input::Certificate { justification },
            Event::Payload(payload) => return self.on_payload(from, payload),
            Event::Transactions(transactions) => {
                self.on_spread(from, transactions);
                return Ok(());
            }
            Event::Received(ids) => {
                self.on_received(from, &ids);
                return Ok(());
            }
            Event::BlockRequest(request) => return self.serve_block(from, request),
            Event::Block(record, payload) => return self.on_block(from, record, payload),
            Event::RangeRequest(request) => {
                return self.serve_range(self.clock.now(), from, request);
            }
            Event::Range(range) => {
                // Inputs that came before the range are about the chain before it.
                self.turn(outrider_consensus::Step::default())?;
                return self.on_range(from, range);
            }
        };
        self.inputs.push(input);
        Ok(())
    }
}
