//! What peers said, after the workers verified it.

use super::{Driver, DriverError};
use crate::pipeline::{Event, FromPeer};
use outrider_consensus::Input;
use outrider_network::Context;
use outrider_storage::{Journal, Store};
use outrider_types::{
    Aggregate, Certificate, Justification, MemberIndex, Statement, TimeoutCertificate, View,
};

impl<E: Context, J: Journal, S: Store> Driver<E, J, S> {
    pub(super) fn on_event(
        &mut self,
        FromPeer { from, event, under }: FromPeer,
    ) -> Result<(), DriverError> {
        // No message of one epoch counts in another, nor under another committee than the one it was verified against (R13).
        if let Some((epoch, committee)) = under {
            let current = self.replica.committee();
            if epoch > current.epoch() {
                self.keep_early(FromPeer { from, event, under });
                return Ok(());
            }
            if epoch < current.epoch() || committee != current.id() {
                return Ok(());
            }
        }
        self.observe(&event)?;
        let input = match event {
            Event::Proposal(proposal) => {
                self.check_own_signatures(proposal.justification.as_ref())?;
                Input::Proposal { proposal }
            }
            Event::Vote(vote) => Input::Vote { vote },
            Event::CommitVote(vote) => Input::CommitVote { vote },
            Event::Timeout(timeout) => Input::Timeout { timeout },
            Event::Certificate(justification) => {
                self.check_own_signatures(Some(&justification))?;
                Input::Certificate { justification }
            }
            Event::Payload(payload) => return self.on_payload(from, payload),
            Event::Transactions(transactions) => return self.on_spread(from, transactions),
            Event::References(references) => return self.on_references(from, references),
            Event::Received(received) => {
                self.on_received(from, received)?;
                return Ok(());
            }
            Event::BatchRequest(request) => {
                self.serve_batches(from, &request);
                return Ok(());
            }
            Event::BlockRequest(request) => return self.serve_block(from, request),
            Event::EpochEnd(end) => return self.on_epoch_end(&end),
            Event::ChangeRequest(request) => {
                self.serve_change(from, request);
                return Ok(());
            }
            Event::Change(change) => return self.on_change(change),
            Event::Behind(epoch) => return self.on_behind(from, epoch),
            Event::Ahead => {
                self.probe(self.clock.now(), from);
                return Ok(());
            }
            Event::Evidence(evidence) => return self.on_evidence(from, &evidence),
            Event::Execution(vote) => return self.on_execution(&vote),
            Event::Settlement(heard) => {
                self.heard_of_settlement(heard);
                return Ok(());
            }
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

    /// A verified certificate with a signature of this member that it never made: someone else signs with its key, or
    /// its journal is an old one or a new one. Going on could only lead to a second conflicting signature.
    pub(super) fn check_own_signatures(
        &self,
        justification: Option<&Justification>,
    ) -> Result<(), DriverError> {
        // A mute member signs nothing, so nothing can go wrong; what it finds is what it has forgotten.
        let Some(me) = self.replica.member() else {
            return Ok(());
        };
        if self.config.accept_lost_journal {
            return Ok(());
        }
        let safety = self.replica.safety();
        let found = match justification {
            Some(Justification::Certificate(Certificate::Quorum(certificate))) => {
                self.foreign_vote(me, certificate, safety.voted, |vote| vote.view)
            }
            Some(Justification::Certificate(Certificate::Commit(certificate))) => {
                self.foreign_vote(me, certificate, safety.commit_voted, |vote| vote.view)
            }
            Some(Justification::Certificate(Certificate::Adopting(adopting))) => {
                self.foreign_timeout(me, &adopting.timeouts)
            }
            Some(Justification::Timeout(justification)) => {
                self.foreign_timeout(me, &justification.timeouts)
            }
            None => false,
        };
        match justification {
            Some(justification) if found => Err(DriverError::KeyInUse {
                view: justification.view(),
            }),
            _ => Ok(()),
        }
    }

    /// Signed by this member, in a view after its last vote of the kind, or in that view for another block.
    fn foreign_vote<V: Statement>(
        &self,
        me: MemberIndex,
        certificate: &Aggregate<V>,
        last: Option<V>,
        view: fn(&V) -> View,
    ) -> bool {
        let signed = certificate
            .signatures
            .iter()
            .any(|(member, _)| *member == me);
        let vote = &certificate.statement;
        signed && last.is_none_or(|last| view(&last) <= view(vote) && last != *vote)
    }

    fn foreign_timeout(&self, me: MemberIndex, timeouts: &TimeoutCertificate) -> bool {
        let signed = timeouts.entries.iter().any(|entry| entry.member == me);
        signed
            && self
                .replica
                .safety()
                .timed_out
                .is_none_or(|last| last.view < timeouts.view)
    }
}
