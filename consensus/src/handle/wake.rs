//! Time passes: R8, and the forwarding of R1.

use crate::action::Action;
use crate::replica::Replica;
use outrider_types::zoo::{self, Mutant};
use outrider_types::{ConsensusMessage, Justification, Timestamp, Verified};

impl Replica {
    /// Do what is due. Called after every input, so that a late wake-up does no harm.
    pub(crate) fn on_time(&mut self, now: Timestamp) {
        if self.pacemaker.forwards(now)
            && let Some(entry) = self.entry_to_forward()
        {
            // R1: a leader that is silent for a quarter of the timer may not know that its view began.
            let to = self.schedule.leader(self.safety.view);
            self.act(Action::Send {
                to,
                message: ConsensusMessage::Certificate(entry),
            });
        }
        if self.pacemaker.fires(now) {
            self.give_up(now);
        } else if self.pacemaker.resends(now) {
            self.resend(now);
        }
    }

    /// The certificate by which this member entered the view.
    fn entry_to_forward(&self) -> Option<Justification> {
        let entry = self.entry.clone().map(Verified::into_inner);
        entry.filter(|_| !zoo::is(Mutant::EntryNotForwarded))
    }

    /// R8: the timeout again, with the certificate by which this member entered the view.
    fn resend(&mut self, now: Timestamp) {
        self.pacemaker.timed_out(now);
        if let Some(entry) = self.entry_to_forward() {
            self.broadcast(ConsensusMessage::Certificate(entry));
        }
        if let Some(timeout) = self.timeout.clone().map(Verified::into_inner) {
            self.broadcast(ConsensusMessage::Timeout(timeout));
        }
    }
}
