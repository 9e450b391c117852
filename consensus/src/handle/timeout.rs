//! A timeout: help (R11), amplify (R9), and the certificate it carries (R1).

use crate::action::Action;
use crate::replica::Replica;
use outrider_types::{ConsensusMessage, TimeoutMessage, Timestamp, Verified};

impl Replica {
    pub(crate) fn on_timeout(&mut self, now: Timestamp, timeout: Verified<TimeoutMessage>) {
        let (view, member) = (timeout.timeout.view, timeout.timeout.signer);
        if let Some(certificate) = timeout.verified_high() {
            self.on_certificate(now, certificate);
        }
        if view < self.safety.view {
            self.help(now, member);
            return;
        }
        self.heard(member, view);
        if self.in_window(view) && self.votes.timeout(timeout.clone()) {
            self.count_timeout(now, timeout);
        }
    }

    /// R11: hand a member of an old view the certificate that leads to this one.
    fn help(&mut self, now: Timestamp, member: outrider_types::MemberIndex) {
        if self.member() == Some(member) || !self.pacemaker.helps(now, member) {
            return;
        }
        if let Some(entry) = self.entry.clone().map(Verified::into_inner) {
            self.act(Action::Send {
                to: member,
                message: ConsensusMessage::Certificate(entry),
            });
        }
    }
}
