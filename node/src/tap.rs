//! Looking over a member's shoulder: what its replica does, step by step. Simulators listen to check the protocol from
//! outside; production does not listen.

use crate::handle::CommittedBlock;
use outrider_consensus::{Action, Replica};
use outrider_types::{BlockRecord, Justification};
use std::fmt;

/// Hears what a replica does. It changes nothing and must not wait.
pub trait Tap: fmt::Debug + Send {
    /// Certificates that the member keeps as evidence (protocol section 6).
    fn kept(&mut self, certificates: &[Justification]);

    /// The replica stepped; what its actions rest on is durable, and they come next.
    fn stepped(&mut self, replica: &Replica, actions: &[Action]);

    /// A final block joins the ledger; followers hear of it when it is durable.
    fn committed(&mut self, record: &BlockRecord, block: &CommittedBlock);
}
