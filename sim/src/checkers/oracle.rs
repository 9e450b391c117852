//! S7: every certificate that an honest member enters a view by, commits by or sends is what it claims to be.
//!
//! Of honest signers the record of what they signed decides, not a signature; of Byzantine ones, who may sign things
//! that they say to nobody, their signature does. Stake, ranks and adoption are counted again.

use super::rules::{EpochRules, Epochs};
use super::signers::{Finding, Heard, Kind, SignerLog};
use outrider_types::{
    Aggregate, Certificate, CommitVote, FinalityCertificate, Justification, MemberIndex, Signature,
    Signed, Timeout, TimeoutCertificate, View, Vote,
};

/// What certificates are compared with.
#[derive(Debug)]
pub struct Oracle<'a> {
    /// Epochs.
    pub epochs: &'a Epochs,
    /// What everyone signed.
    pub log: &'a mut SignerLog,
    /// The honest host that holds the certificate. Its own statements may not have left it yet.
    pub holder: usize,
}

impl Oracle<'_> {
    /// What ended a view, or justifies a parent.
    pub fn justification(&mut self, justification: &Justification) -> Result<(), Finding> {
        match justification {
            Justification::Certificate(certificate) => self.certificate(certificate),
            Justification::Timeout(timeout) => {
                let Some(rules) = self.epochs.get(timeout.timeouts.epoch.0) else {
                    return Ok(());
                };
                let view = timeout.timeouts.view;
                self.timeouts(rules, &timeout.timeouts)?;
                if let Some(block) = rules.adopts(&timeout.timeouts) {
                    return wrong(format!(
                        "timeout certificate of view {view} adopts block {block}, and was used as if it adopted nothing"
                    ));
                }
                let reported = timeout.timeouts.entries.iter().map(|one| one.high_view);
                let (reported, found) = (
                    reported.max().unwrap_or_default(),
                    timeout.high.as_ref().map_or(View(0), Certificate::rank),
                );
                if reported != found {
                    return wrong(format!(
                        "timeout certificate of view {view} reports rank {reported} and carries a certificate of rank {found}"
                    ));
                }
                timeout
                    .high
                    .as_ref()
                    .map_or(Ok(()), |high| self.certificate(high))
            }
        }
    }

    /// A certificate of a block.
    pub fn certificate(&mut self, certificate: &Certificate) -> Result<(), Finding> {
        let Some(rules) = self.epochs.get(certificate.epoch().0) else {
            return Ok(());
        };
        match certificate {
            Certificate::Quorum(votes) => self.votes(rules, votes, rules.thresholds.quorum),
            Certificate::Commit(votes) => self.commits(rules, votes),
            Certificate::Adopting(adopting) => {
                self.timeouts(rules, &adopting.timeouts)?;
                let adopted = rules.adopts(&adopting.timeouts);
                if adopted == Some(adopting.block) {
                    return Ok(());
                }
                wrong(format!(
                    "timeout certificate of view {} was said to adopt block {}, and adopts {}",
                    adopting.timeouts.view,
                    adopting.block,
                    adopted.map_or_else(|| "nothing".to_owned(), |block| block.to_string())
                ))
            }
        }
    }

    /// Proof of finality.
    pub fn finality(&mut self, certificate: &FinalityCertificate) -> Result<(), Finding> {
        match certificate {
            FinalityCertificate::Fast(votes) => {
                let Some(rules) = self.epochs.get(votes.statement.epoch.0) else {
                    return Ok(());
                };
                self.votes(rules, votes, rules.thresholds.fast)
            }
            FinalityCertificate::Slow(votes) => {
                let Some(rules) = self.epochs.get(votes.statement.epoch.0) else {
                    return Ok(());
                };
                self.commits(rules, votes)
            }
        }
    }

    fn votes(
        &mut self,
        rules: &EpochRules,
        votes: &Aggregate<Vote>,
        needed: u64,
    ) -> Result<(), Finding> {
        let Vote { view, block, .. } = votes.statement;
        let what = || format!("certificate of votes for block {block} in view {view}");
        let (log, holder) = (&*self.log, self.holder);
        signers(
            rules,
            &votes.signatures,
            needed,
            what,
            |member, signature| {
                let index = usize::from(member.0);
                match log.heard(rules.number, Kind::Vote, index, view, block) {
                    Heard::No => {
                        own(rules, index, holder) || {
                            let statement = votes.statement;
                            forged(rules, member, || {
                                signed(rules, statement, member, signature)
                            })
                        }
                    }
                    _ => true,
                }
            },
        )?;
        self.log.certified(rules, view, block)
    }

    fn commits(&self, rules: &EpochRules, votes: &Aggregate<CommitVote>) -> Result<(), Finding> {
        let CommitVote { view, block, .. } = votes.statement;
        let what = || format!("certificate of commit votes for block {block} in view {view}");
        signers(
            rules,
            &votes.signatures,
            rules.thresholds.quorum,
            what,
            |member, signature| {
                let index = usize::from(member.0);
                match self
                    .log
                    .heard(rules.number, Kind::Commit, index, view, block)
                {
                    Heard::No => {
                        own(rules, index, self.holder) || {
                            let statement = votes.statement;
                            forged(rules, member, || {
                                signed(rules, statement, member, signature)
                            })
                        }
                    }
                    _ => true,
                }
            },
        )
    }

    fn timeouts(&self, rules: &EpochRules, timeouts: &TimeoutCertificate) -> Result<(), Finding> {
        let view = timeouts.view;
        let mut stake = 0;
        let mut last = None;
        for entry in &timeouts.entries {
            let member = usize::from(entry.member.0);
            if entry.high_view >= view {
                return wrong(format!(
                    "timeout certificate of view {view}: member {member} reports a certificate of view {}, which would have ended it",
                    entry.high_view
                ));
            }
            let what = || format!("timeout certificate of view {view}");
            stake += weight(rules, &mut last, member, what)?;
            let statement = Timeout {
                epoch: timeouts.epoch,
                view,
                high_view: entry.high_view,
                voted: entry.voted,
            };
            let said = match self.log.heard_timeout(rules.number, member, &statement) {
                Heard::No => {
                    own(rules, member, self.holder) || {
                        forged(rules, entry.member, || {
                            signed(rules, statement, entry.member, entry.signature)
                        })
                    }
                }
                _ => true,
            };
            if !said {
                return wrong(format!(
                    "timeout certificate of view {view}: member {member} never signed what it says there (high_view {}, voted {:?})",
                    entry.high_view, entry.voted
                ));
            }
        }
        enough(stake, rules.thresholds.timeout, || {
            format!("timeout certificate of view {view}")
        })
    }
}

/// Whether the holder is the member itself: what it signed may still be waiting for its disk.
fn own(rules: &EpochRules, member: usize, holder: usize) -> bool {
    rules.host(member) == Some(holder)
}

/// Of a Byzantine member its signature decides.
fn forged(rules: &EpochRules, member: MemberIndex, signed: impl FnOnce() -> bool) -> bool {
    !rules.is_honest(member.index()) && signed()
}

/// Whether a member signed a statement.
pub fn signed<S: outrider_types::Statement>(
    rules: &EpochRules,
    statement: S,
    signer: MemberIndex,
    signature: Signature,
) -> bool {
    let signed = Signed {
        statement,
        signer,
        signature,
    };
    signed.verify(&rules.committee).is_ok()
}

/// Signers in order, none twice, all of them members that signed, with enough stake.
fn signers(
    rules: &EpochRules,
    signatures: &[(MemberIndex, Signature)],
    needed: u64,
    what: impl Fn() -> String,
    said: impl Fn(MemberIndex, Signature) -> bool,
) -> Result<(), Finding> {
    let mut stake = 0;
    let mut last = None;
    for (member, signature) in signatures {
        stake += weight(rules, &mut last, member.index(), &what)?;
        if !said(*member, *signature) {
            return wrong(format!("{}: member {member} never signed it", what()));
        }
    }
    enough(stake, needed, what)
}

/// The stake of the next signer in a list, which must be a member after the one before.
fn weight(
    rules: &EpochRules,
    last: &mut Option<usize>,
    member: usize,
    what: impl Fn() -> String,
) -> Result<u64, Finding> {
    if last.is_some_and(|last| last >= member) {
        return wrong(format!(
            "{}: member {member} is counted twice or out of order",
            what()
        ));
    }
    *last = Some(member);
    match rules.stakes.get(member) {
        Some(stake) => Ok(*stake),
        None => wrong(format!("{}: there is no member {member}", what())),
    }
}

fn enough(stake: u64, needed: u64, what: impl Fn() -> String) -> Result<(), Finding> {
    if stake >= needed {
        return Ok(());
    }
    wrong(format!("{}: {stake} stake, {needed} is needed", what()))
}

const fn wrong<T>(what: String) -> Result<T, Finding> {
    Err(("S7", what))
}
