//! The collector: fed with everything that verified, it finds members that broke the protocol.

use super::Charge;
use super::heard::Heard;
use outrider_types::{
    Aggregate, BlockRecord, Certificate, CommitVote, Committee, Evidence, FinalityCertificate,
    Justification, MemberIndex, Offence, Proposal, Signed, Statement, Timeout, TimeoutCertificate,
    TimeoutMessage, Verified, View, Vote,
};
use std::collections::{BTreeMap, BTreeSet};

/// Most views whose statements are kept; large committees keep fewer, see [`STATEMENTS_MAX`].
pub const WINDOW_VIEWS_MAX: u64 = 1_024;
/// About how many statements are kept of all members, if each signs one of each kind in each view. 140 bytes each.
pub const STATEMENTS_MAX: u64 = 256 * 1024;
/// Most pieces of evidence of one offence that are collected of one member.
pub const EVIDENCE_PER_OFFENCE_MAX: usize = 4;
/// Single statements of views further ahead than this are not kept: certificates lead there, as in the replica.
const VIEWS_AHEAD_MAX: u64 = 64;

/// Finds pairs E1 to E5 among the statements of one epoch.
///
/// The window ends 64 views after the last certificate, and begins [`WINDOW_VIEWS_MAX`] views before it. Within it
/// every offence is found of which both halves are heard, in any order, alone or within certificates. A broken lock
/// (E5) is found over any distance, if the timeout is within the window. Of one member, at most
/// [`EVIDENCE_PER_OFFENCE_MAX`] pieces of evidence of each offence are given out, each of another view.
#[derive(Clone, Debug)]
pub struct EvidenceCollector {
    committee: Committee,
    members: Vec<Heard>,
    /// The view of the last certificate.
    top: View,
    /// Views before `top` that are kept.
    window: u64,
    /// What was given out or noted.
    known: BTreeMap<(MemberIndex, Offence), BTreeSet<View>>,
    found: Vec<Verified<Evidence>>,
    /// The last certificates unfolded: the same one comes again with every timeout.
    last: Option<Certificate>,
    last_timeouts: Option<TimeoutCertificate>,
}

impl EvidenceCollector {
    /// For the epoch of this committee.
    #[must_use]
    pub fn new(committee: Committee) -> Self {
        let members = committee.members().len();
        let fitting = STATEMENTS_MAX / (4 * members as u64).max(1);
        Self {
            members: vec![Heard::default(); members],
            committee,
            top: View(0),
            window: fitting.clamp(VIEWS_AHEAD_MAX, WINDOW_VIEWS_MAX),
            known: BTreeMap::new(),
            found: Vec::new(),
            last: None,
            last_timeouts: None,
        }
    }

    /// For statements that were collected before: all of them are compared, and memory is bounded by what is fed.
    #[must_use]
    pub(crate) fn unbounded(committee: Committee) -> Self {
        Self {
            top: View(u64::MAX),
            window: u64::MAX,
            ..Self::new(committee)
        }
    }

    /// The committee.
    #[must_use]
    pub const fn committee(&self) -> &Committee {
        &self.committee
    }

    /// The window moves on to this view; it never moves back.
    pub fn advance(&mut self, view: View) {
        self.top = self.top.max(view);
    }

    /// A proposal with what is attached to it.
    pub fn proposal(&mut self, proposal: &Verified<Proposal>) {
        if let Some(justification) = &proposal.justification {
            self.unfold_justification(justification);
        }
        let signed = proposal.signed();
        if self.in_window(signed.view) {
            self.hear(&signed, |heard, floor, out| {
                heard.proposal(floor, signed, out);
            });
        }
    }

    /// A vote.
    pub fn vote(&mut self, vote: &Verified<Signed<Vote>>) {
        self.hear_vote(**vote);
    }

    /// A commit vote.
    pub fn commit_vote(&mut self, vote: &Verified<Signed<CommitVote>>) {
        self.hear_commit_vote(**vote);
    }

    /// A timeout with the certificate that it names.
    pub fn timeout(&mut self, message: &Verified<TimeoutMessage>) {
        if let Some(high) = &message.high {
            self.unfold(high);
        }
        self.hear_timeout(message.timeout);
    }

    /// A certificate.
    pub fn certificate(&mut self, certificate: &Verified<Certificate>) {
        self.unfold(certificate);
    }

    /// What ended a view.
    pub fn justification(&mut self, justification: &Verified<Justification>) {
        self.unfold_justification(justification);
    }

    /// A fetched block with what justifies it.
    pub fn record(&mut self, record: &Verified<BlockRecord>) {
        if let Some(justification) = &record.justification {
            self.unfold_justification(justification);
        }
    }

    /// What made a block final.
    pub fn finality(&mut self, certificate: &Verified<FinalityCertificate>) {
        self.unfold(&certificate.certificate());
    }

    /// Evidence that came from elsewhere, or from the store. False if it says nothing new, or more than is collected.
    pub fn note(&mut self, evidence: &Verified<Evidence>) -> bool {
        let charge = Charge::of(evidence);
        charge.epoch == self.committee.epoch() && self.open(&charge)
    }

    /// What was found since the last call.
    #[must_use]
    pub fn take(&mut self) -> Vec<Verified<Evidence>> {
        std::mem::take(&mut self.found)
    }

    /// How many statements are kept.
    #[must_use]
    pub fn statements(&self) -> usize {
        self.members.iter().map(Heard::len).sum()
    }

    /// What is attached to something verified was verified with it.
    fn unfold_justification(&mut self, justification: &Justification) {
        match justification {
            Justification::Certificate(certificate) => self.unfold(certificate),
            Justification::Timeout(timeout) => {
                self.unfold_timeouts(&timeout.timeouts);
                if let Some(high) = &timeout.high {
                    self.unfold(high);
                }
            }
        }
    }

    fn unfold(&mut self, certificate: &Certificate) {
        let other = certificate.epoch() != self.committee.epoch();
        if other || self.last.as_ref() == Some(certificate) {
            return;
        }
        self.advance(certificate.rank());
        match certificate {
            Certificate::Quorum(votes) => {
                each(votes, |vote| self.hear_vote(vote));
            }
            Certificate::Commit(votes) => {
                each(votes, |vote| self.hear_commit_vote(vote));
            }
            Certificate::Adopting(adopting) => self.unfold_timeouts(&adopting.timeouts),
        }
        self.last = Some(certificate.clone());
    }

    fn unfold_timeouts(&mut self, timeouts: &TimeoutCertificate) {
        let other = timeouts.epoch != self.committee.epoch();
        if other || self.last_timeouts.as_ref() == Some(timeouts) {
            return;
        }
        self.advance(timeouts.view);
        for entry in &timeouts.entries {
            let statement = Timeout {
                epoch: timeouts.epoch,
                view: timeouts.view,
                high_view: entry.high_view,
                voted: entry.voted,
            };
            self.hear_timeout(Signed {
                statement,
                signer: entry.member,
                signature: entry.signature,
            });
        }
        self.last_timeouts = Some(timeouts.clone());
    }

    fn hear_vote(&mut self, vote: Signed<Vote>) {
        if self.in_window(vote.view) {
            self.hear(&vote, |heard, floor, out| heard.vote(floor, vote, out));
        }
    }

    fn hear_commit_vote(&mut self, vote: Signed<CommitVote>) {
        // An old one may still be a lock that is broken now.
        if self.in_window(vote.view) || vote.view < self.floor() {
            self.hear(&vote, |heard, floor, out| {
                heard.commit_vote(floor, vote, out);
            });
        }
    }

    fn hear_timeout(&mut self, timeout: Signed<Timeout>) {
        if self.in_window(timeout.view) {
            self.hear(&timeout, |heard, floor, out| {
                heard.timeout(floor, timeout, out);
            });
        }
    }

    fn hear<S: Statement>(
        &mut self,
        signed: &Signed<S>,
        compare: impl FnOnce(&mut Heard, View, &mut Vec<Evidence>),
    ) {
        let floor = self.floor();
        if signed.statement.epoch() != self.committee.epoch() {
            return;
        }
        let Some(heard) = self.members.get_mut(signed.signer.index()) else {
            return;
        };
        let mut out = Vec::new();
        compare(heard, floor, &mut out);
        for evidence in out {
            if self.is_open(&Charge::of(&evidence))
                && let Ok(evidence) = evidence.verify(&self.committee)
            {
                self.open(&Charge::of(&evidence));
                self.found.push(evidence);
            }
        }
    }

    const fn floor(&self) -> View {
        View(self.top.0.saturating_sub(self.window))
    }

    fn in_window(&self, view: View) -> bool {
        view >= self.floor() && view.0 <= self.top.0.saturating_add(VIEWS_AHEAD_MAX)
    }

    fn is_open(&self, charge: &Charge) -> bool {
        self.known
            .get(&(charge.member, charge.offence))
            .is_none_or(|views| {
                views.len() < EVIDENCE_PER_OFFENCE_MAX && !views.contains(&charge.view)
            })
    }

    /// Remember a charge; false if it is known, or there are enough of its kind.
    fn open(&mut self, charge: &Charge) -> bool {
        let open = self.is_open(charge);
        if open {
            self.known
                .entry((charge.member, charge.offence))
                .or_default()
                .insert(charge.view);
        }
        open
    }
}

/// Every statement in a certificate.
fn each<S: Copy>(certificate: &Aggregate<S>, mut hear: impl FnMut(Signed<S>)) {
    for (signer, signature) in &certificate.signatures {
        hear(Signed {
            statement: certificate.statement,
            signer: *signer,
            signature: *signature,
        });
    }
}
