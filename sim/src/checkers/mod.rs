//! Checkers: what must never happen, and what must. They see facts from outside the members, and restate the
//! protocol's arithmetic on their own; they never call the rule that they check.
//!
//! ```text
//! Fact --> Checkers --> rules (thresholds, resolve)      oracle (S7)         payloads (S8)    bounds (R1 R2 R3)
//!                       signers (S3 S5, who signed what) members (S4 S6)     blame (S11)
//!                       chain (S1 S2 S8 S9 S10)          progress (L1 to L5)     conform (S12)    lanes (S13)
//! ```
//!
//! Memory is bounded: old epochs, views, blocks and transactions are forgotten, each with a limit in its file, and
//! nothing is said about what is forgotten. D1 (determinism) is checked elsewhere: it takes two runs.

mod blame;
mod bounds;
mod catalog;
mod chain;
mod conform;
mod lanes;
mod members;
mod oracle;
mod payloads;
mod progress;
mod rules;
mod said;
mod signers;

pub use blame::Exposed;
pub use catalog::{CHECKERS, class_of, id_of};
pub use rules::{Thresholds, payload_id};

use crate::fact::{Fact, Micros, Observer, Violation};
use crate::scenario::Scenario;
use blame::Blame;
use bounds::Bounds;
use chain::{Chain, Outcome};
use conform::Conform;
use lanes::Lanes;
use members::Members;
use oracle::Oracle;
use outrider_types::{
    BlockRecord, Certificate, FinalityCertificate, Justification, Payload, SafetyState,
    TransactionId, View,
};
use payloads::Payloads;
use progress::Progress;
use rules::Epochs;
use signers::{Finding, Kind, SignerLog};
use std::sync::Arc;

/// All of them, as one observer.
#[derive(Debug)]
pub struct Checkers {
    expected: Option<String>,
    epochs: Epochs,
    log: SignerLog,
    members: Members,
    chain: Chain,
    payloads: Payloads,
    bounds: Bounds,
    blame: Blame,
    conform: Conform,
    lanes: Lanes,
    progress: Progress,
    /// The fork that ended the run, if one did and its makers are known.
    exposed: Option<Exposed>,
    /// The last certificate that each host committed by: it comes with every block of a commit.
    last: Vec<Option<Arc<FinalityCertificate>>>,
    /// The last certificate that each host kept: mostly what it enters a view by then.
    last_kept: Vec<Option<Arc<Justification>>>,
}

impl Checkers {
    /// For a run of this scenario.
    #[must_use]
    pub fn new(scenario: &Scenario) -> Self {
        let hosts = scenario.committee.hosts.max(scenario.members());
        let byzantine: Vec<bool> = (0..hosts).map(|host| !scenario.honest(host)).collect();
        let any = byzantine.contains(&true);
        Self {
            expected: scenario.expect.violates.clone(),
            epochs: Epochs::new(byzantine, scenario.committee.faults),
            log: SignerLog::default(),
            members: Members::new(hosts),
            chain: Chain::new(hosts),
            payloads: Payloads::new(hosts),
            bounds: Bounds::new(hosts),
            blame: Blame::new(any),
            conform: Conform::default(),
            lanes: Lanes::default(),
            progress: Progress::new(scenario),
            exposed: None,
            last: vec![None; hosts],
            last_kept: vec![None; hosts],
        }
    }

    /// What must have happened by the end of a run that no checker ended.
    pub fn finish(&mut self, at: Micros) -> Result<(), Violation> {
        self.chain
            .orphan(at.saturating_add(1))
            .map_err(|finding| broken(at, finding))?;
        self.progress
            .finish(at, &self.chain, &self.members, &self.epochs)
            .map_err(|finding| broken(at, finding))
    }

    /// Whether a run came out as the scenario says: without a violation, or with the one that it names.
    #[must_use]
    pub fn violated_as_expected(&self, outcome: &Result<(), Violation>) -> bool {
        match (&self.expected, outcome) {
            (None, outcome) => outcome.is_ok(),
            (Some(_), Ok(())) => false,
            (Some(word), Err(violation)) => id_of(word) == Some(violation.checker),
        }
    }

    /// Height of the chain that honest members agree on.
    #[must_use]
    pub fn tip(&self) -> u64 {
        self.chain.tip()
    }

    /// Height of a host's ledger.
    #[must_use]
    pub fn height(&self, host: usize) -> u64 {
        self.chain.height(host)
    }

    /// The fork that ended the run (S1), if one did and what honest members keep names its makers (S11).
    #[must_use]
    pub const fn exposed(&self) -> Option<&Exposed> {
        self.exposed.as_ref()
    }

    fn check(&mut self, at: Micros, fact: &Fact) -> Result<(), Finding> {
        match fact {
            Fact::Sent {
                from,
                to,
                message,
                number,
            } => {
                self.bounds.sent(*number, message);
                self.sent(at, *from, *to, message)
            }
            Fact::Checked {
                member,
                number,
                signatures,
            } => self.when_honest(*member, |all| {
                all.bounds.checked(*member, *number, *signatures)
            }),
            Fact::Stepped {
                member,
                epoch,
                view,
                high,
                held,
            } => self.when_honest(*member, |all| {
                all.bounds.stepped(*member, *held)?;
                all.members.stepped(*member, *epoch, *view, *high)
            }),
            Fact::Entered {
                member,
                epoch,
                view,
                entry,
                ..
            } => self.when_honest(*member, |all| {
                all.entered(*member, *epoch, *view, entry.as_deref())
            }),
            Fact::Durable { member, safety } => {
                self.when_honest(*member, |all| all.durable(*member, safety))
            }
            Fact::Kept {
                member,
                justification,
            } => self.when_honest(*member, |all| all.kept(*member, justification)),
            Fact::Committed {
                member,
                record,
                transactions,
                payload,
                certificate,
            } => self.when_honest(*member, |all| {
                let orders = (transactions, payload.as_deref());
                all.committed(at, *member, record, orders, certificate.as_ref())
            }),
            Fact::Accepted { member, id, rollup } => {
                self.chain.accepted(at, *member, *id, *rollup);
                Ok(())
            }
            Fact::Receipt { member, id, height } => {
                self.when_honest(*member, |all| all.chain.receipt(*member, *id, *height))
            }
            other => self.event(at, other),
        }
    }

    /// What happens seldom.
    fn event(&mut self, at: Micros, fact: &Fact) -> Result<(), Finding> {
        match fact {
            Fact::Epoch { committee, hosts } => {
                self.epochs.begin(committee, hosts);
                if let Some(rules) = self.epochs.get(committee.epoch().0) {
                    self.log.begin(rules);
                    self.blame.begin(rules);
                }
                Ok(())
            }
            Fact::EpochEnded { member, end } => self.when_honest(*member, |all| {
                all.oracle(*member).finality(&end.certificate)
            }),
            Fact::Crashed { member, wiped } => {
                self.members.crashed(*member, *wiped);
                self.chain.crashed(*member);
                Ok(())
            }
            Fact::Restarted {
                member,
                mute,
                height,
            } => {
                self.members.restarted(*member, *mute);
                self.chain.restarted(*member, *height);
                Ok(())
            }
            Fact::Healed { live } => {
                self.progress.healed(at, live, &self.chain);
                Ok(())
            }
            Fact::Panicked { member, reason } => {
                Err(("R2", format!("host {member} panicked: {reason}")))
            }
            Fact::Blamed {
                member,
                leader,
                reason,
            } => self.when_honest(*member, |all| all.blamed(*member, *leader, reason)),
            _ => Ok(()),
        }
    }

    fn when_honest(
        &mut self,
        host: usize,
        check: impl FnOnce(&mut Self) -> Result<(), Finding>,
    ) -> Result<(), Finding> {
        if self.epochs.honest(host) {
            check(self)
        } else {
            Ok(())
        }
    }

    /// An honest leader's proposal is never called bad, unless a fork made honest members disagree, or clocks do.
    fn blamed(&self, host: usize, leader: usize, reason: &str) -> Result<(), Finding> {
        let agree = self.epochs.newest().is_some_and(|rules| !rules.overrun);
        if agree && self.epochs.honest(leader) && reason != outrider_consensus::AHEAD_OF_CLOCK {
            return Err((
                "S11",
                format!("host {host} calls the proposal of honest host {leader} bad: {reason}"),
            ));
        }
        Ok(())
    }

    const fn oracle(&mut self, holder: usize) -> Oracle<'_> {
        Oracle {
            epochs: &self.epochs,
            log: &mut self.log,
            holder,
        }
    }

    fn entered(
        &mut self,
        host: usize,
        epoch: u64,
        view: View,
        entry: Option<&Justification>,
    ) -> Result<(), Finding> {
        self.members.entered(host, epoch, view, entry)?;
        let Some(entry) = entry else {
            return Ok(());
        };
        if entry.epoch().0 != epoch || entry.view().next() != view {
            return Err((
                "S7",
                format!(
                    "host {host} entered view {view} of epoch {epoch} by what ends view {} of epoch {}",
                    entry.view(),
                    entry.epoch()
                ),
            ));
        }
        let kept = self.last_kept.get(host).and_then(Option::as_deref);
        if kept == Some(entry) {
            return Ok(());
        }
        self.oracle(host).justification(entry)
    }

    fn durable(&mut self, host: usize, safety: &Arc<SafetyState>) -> Result<(), Finding> {
        self.members.durable(host, safety)?;
        let Some(rules) = self.epochs.get(safety.epoch.0) else {
            return Ok(());
        };
        let Some(member) = rules.hosts.iter().position(|other| *other == host) else {
            return Ok(());
        };
        if let Some(vote) = safety.voted {
            self.log
                .intended(rules, Kind::Vote, member, vote.view, vote.block);
        }
        if let Some(vote) = safety.commit_voted {
            self.log
                .intended(rules, Kind::Commit, member, vote.view, vote.block);
        }
        if let Some(timeout) = &safety.timed_out {
            self.log.intended_timeout(rules, member, timeout);
        }
        // One step may vote, complete the certificate and vote again: of the first vote only the certificate tells.
        let entry = safety.entry.as_ref().and_then(|entry| match entry {
            Justification::Certificate(certificate) => Some(certificate),
            Justification::Timeout(_) => None,
        });
        for certificate in [safety.high.as_ref(), entry].into_iter().flatten() {
            let (kind, signatures) = match certificate {
                Certificate::Quorum(votes) => (Kind::Vote, &votes.signatures),
                Certificate::Commit(votes) => (Kind::Commit, &votes.signatures),
                Certificate::Adopting(_) => continue,
            };
            if signatures
                .iter()
                .any(|(signer, _)| signer.index() == member)
            {
                let (view, block) = (certificate.rank(), certificate.block());
                self.log.intended(rules, kind, member, view, block);
            }
        }
        Ok(())
    }

    fn kept(&mut self, host: usize, justification: &Arc<Justification>) -> Result<(), Finding> {
        if let Some(rules) = self.epochs.get(justification.epoch().0) {
            self.blame.keeps(rules, justification);
        }
        if let Some(last) = self.last_kept.get_mut(host) {
            *last = Some(justification.clone());
        }
        self.oracle(host).justification(justification)
    }

    fn committed(
        &mut self,
        at: Micros,
        host: usize,
        record: &BlockRecord,
        (transactions, payload): (&Arc<[TransactionId]>, Option<&Payload>),
        certificate: Option<&Arc<FinalityCertificate>>,
    ) -> Result<(), Finding> {
        self.commit_certificate(host, record, certificate)?;
        let rules = self.epochs.get(record.block.epoch.0);
        if let Some(rules) = rules {
            self.blame.committed(rules, record, certificate);
        }
        let epochs = &self.epochs;
        let outcome = self
            .chain
            .committed(at, host, record, transactions, epochs)?;
        match outcome {
            Outcome::Known => Ok(()),
            Outcome::New => {
                self.progress.grew(at);
                self.lanes.grew(&record.block, payload)
            }
            Outcome::Forked(fork) => {
                if let (Some(agreed), Some(rules)) = (&fork.agreed, rules) {
                    let blocks = [agreed.block, record.block];
                    self.exposed = self.blame.accuses(rules, blocks)?;
                }
                let first = fork.agreed.map_or(usize::MAX, |agreed| agreed.by);
                let guilty = self.exposed.as_ref().map_or_else(String::new, |exposed| {
                    let guilty = exposed.guilty();
                    let names: Vec<String> = guilty.iter().map(ToString::to_string).collect();
                    format!("; guilty: {}", names.join(" "))
                });
                Err((
                    "S1",
                    format!(
                        "host {host} committed block {} at height {}, host {first} another one{guilty}",
                        record.block.id(),
                        fork.height
                    ),
                ))
            }
        }
    }

    /// S7 of what a block is committed by. What justifies it is no part of its id, and comes from anyone.
    fn commit_certificate(
        &mut self,
        host: usize,
        record: &BlockRecord,
        certificate: Option<&Arc<FinalityCertificate>>,
    ) -> Result<(), Finding> {
        let Some(certificate) = certificate else {
            return Ok(());
        };
        let known = self.last.get(host).and_then(Option::as_ref);
        if !known.is_some_and(|known| Arc::ptr_eq(known, certificate)) {
            self.oracle(host).finality(certificate)?;
            if let Some(last) = self.last.get_mut(host) {
                *last = Some(certificate.clone());
            }
        }
        if certificate.view() < record.block.view {
            return Err((
                "S7",
                format!(
                    "host {host} committed a block of view {} by a certificate of view {}",
                    record.block.view,
                    certificate.view()
                ),
            ));
        }
        Ok(())
    }
}

fn broken(at: Micros, (checker, what): Finding) -> Violation {
    Violation {
        checker,
        class: class_of(checker),
        at,
        what,
    }
}

impl Observer for Checkers {
    fn see(&mut self, at: Micros, fact: &Fact) -> Result<(), Violation> {
        self.check(at, fact)
            .map_err(|finding| broken(at, finding))?;
        if self.progress.is_due(at) {
            self.progress
                .look(at, &self.chain, &self.members, &self.epochs)
                .map_err(|finding| broken(at, finding))?;
        }
        Ok(())
    }
}
