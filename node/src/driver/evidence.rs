//! Watching for offences E1 to E5 (protocol section 6): everything that verified goes to the collector; what it finds is
//! stored, told to the operator and sent to all members, who do the same if it is new to them. And what is kept for the
//! evidence period.

use super::{Driver, DriverError};
use crate::chain::{Chain, ChainError};
use crate::pipeline::Event;
use crate::seats::PeerIndex;
use bytes::Bytes;
use outrider_finality::{
    CertificatePage, EVIDENCE_VERSION, EvidenceCollector, EvidenceFile, EvidencePage, offence_name,
};
use outrider_network::{Channel, Context, To};
use outrider_storage::{Journal, Store};
use outrider_types::{
    Block, BlockRecord, Committee, Epoch, Evidence, Justification, SafetyState, SyncMessage,
    Timestamp, Verified, View, encode,
};
use std::time::Duration;

/// How often old certificates are deleted, a bounded number each time.
const PRUNE_EVERY: Duration = Duration::from_millis(500);
/// A piece of evidence is sent this often, for some members may not be connected: at once, after this time, and each time
/// after twice the time before. After a restart it begins again.
const SENT_MAX: u32 = 8;
const SEND_AGAIN: Duration = Duration::from_secs(1);
/// Pieces sent in one turn.
const SENT_PER_TURN: usize = 8;

/// What a driver knows of offences in the current epoch.
#[derive(Debug)]
pub(super) struct Witness {
    collector: EvidenceCollector,
    /// Of the epoch before: whose offences are known, for what others still send. It hears no statements.
    before: Option<EvidenceCollector>,
    /// The last view of this epoch that was seen.
    view: View,
    /// Certificates and headers to be written at the end of the turn, when what waits for the disk has been sent.
    kept: Vec<Justification>,
    headers: Vec<Block>,
    pruned: Timestamp,
    /// At most what the collector gives out and notes.
    outgoing: Vec<Outgoing>,
}

/// Evidence on its way to the other members.
#[derive(Debug)]
struct Outgoing {
    due: Timestamp,
    sent: u32,
    message: Bytes,
}

impl Outgoing {
    fn new(evidence: &Evidence) -> Self {
        Self {
            due: Timestamp(0),
            sent: 0,
            message: encode(&SyncMessage::Evidence(evidence.clone())),
        }
    }
}

impl Witness {
    /// As the member left it. The certificates in its safety state may not have reached the store.
    pub(super) fn restore(
        chain: &mut Chain<impl Store>,
        committee: &Committee,
        safety: &SafetyState,
    ) -> Result<Self, ChainError> {
        let mut witness = Self::begin(chain, committee, View(0))?;
        witness.collector.advance(safety.view);
        witness.view = safety.view;
        witness.kept.extend(safety.entry.clone());
        witness
            .kept
            .extend(safety.high.clone().map(Justification::Certificate));
        Ok(witness)
    }

    /// In a new epoch, `views` views after the one before began.
    fn begin(
        chain: &mut Chain<impl Store>,
        committee: &Committee,
        views: View,
    ) -> Result<Self, ChainError> {
        chain.begin_evidence(committee, views)?;
        let before = committee.epoch().0.checked_sub(1).map(Epoch);
        let before = match before {
            Some(epoch) => chain.evidence_committee(epoch)?,
            None => None,
        };
        let mut outgoing = Vec::new();
        let before = match before {
            Some(committee) => Some(noted(chain, &committee, &mut outgoing)?),
            None => None,
        };
        Ok(Self {
            collector: noted(chain, committee, &mut outgoing)?,
            before,
            view: View(0),
            kept: Vec::new(),
            headers: Vec::new(),
            pruned: Timestamp(0),
            outgoing,
        })
    }

    /// Certificates that are kept for the evidence period.
    pub(super) fn keep(&mut self, certificates: Vec<Justification>) {
        self.kept.extend(certificates);
    }

    /// Blocks that this member votes for or commits, with what justifies them.
    pub(super) fn keep_records(&mut self, records: &[BlockRecord]) {
        for record in records {
            self.headers.push(record.block);
            self.kept.extend(record.justification.clone());
        }
    }

    fn observe(&mut self, event: &Event) -> Vec<Verified<Evidence>> {
        match event {
            Event::Proposal(proposal) => self.collector.proposal(proposal),
            Event::Vote(vote) => self.collector.vote(vote),
            Event::CommitVote(vote) => self.collector.commit_vote(vote),
            Event::Timeout(timeout) => self.collector.timeout(timeout),
            Event::Certificate(justification) => self.collector.justification(justification),
            Event::Block(record, _) => self.collector.record(record),
            Event::Range(range) => self.collector.finality(&range.certificate),
            _ => {}
        }
        self.collector.take()
    }
}

/// A collector that knows what is on record of its epoch, and what is on record to be sent.
fn noted(
    chain: &Chain<impl Store>,
    committee: &Committee,
    outgoing: &mut Vec<Outgoing>,
) -> Result<EvidenceCollector, ChainError> {
    let mut collector = EvidenceCollector::new(committee.clone());
    let mut from = None;
    loop {
        let (page, next) = chain.evidence_page(from.as_deref())?;
        for (other, evidence) in page {
            // The disk is outside too.
            if other.id() == committee.id()
                && let Ok(evidence) = evidence.verify(committee)
                && collector.note(&evidence)
            {
                outgoing.push(Outgoing::new(&evidence));
            }
        }
        from = next;
        if from.is_none() {
            return Ok(collector);
        }
    }
}

impl<E: Context, J: Journal, S: Store> Driver<E, J, S> {
    /// Compare what came with what was said before.
    pub(super) fn observe(&mut self, event: &Event) -> Result<(), DriverError> {
        let committee = self.replica.committee();
        if self.witness.collector.committee() != committee {
            let next = Witness::begin(&mut self.chain, committee, self.witness.view)?;
            let old = std::mem::replace(&mut self.witness, next);
            self.witness.kept = old.kept;
            self.witness.headers = old.headers;
        }
        for evidence in self.witness.observe(event) {
            self.convict(&evidence, None)?;
        }
        Ok(())
    }

    /// A member sent evidence, which was verified. It is passed on if it is new here, so everyone has it in the end.
    pub(super) fn on_evidence(
        &mut self,
        from: PeerIndex,
        evidence: &Verified<Evidence>,
    ) -> Result<(), DriverError> {
        let Witness {
            collector, before, ..
        } = &mut self.witness;
        if collector.note(evidence) || before.as_mut().is_some_and(|before| before.note(evidence)) {
            self.convict(evidence, Some(from))?;
        }
        Ok(())
    }

    fn convict(
        &mut self,
        evidence: &Verified<Evidence>,
        from: Option<PeerIndex>,
    ) -> Result<(), DriverError> {
        if !self.chain.put_evidence(evidence)? {
            return Ok(());
        }
        let charge = outrider_finality::Charge::of(evidence);
        self.metrics.evidence(charge.offence);
        tracing::warn!(
            member = %charge.member,
            offence = ?charge.offence,
            what = offence_name(charge.offence),
            epoch = %charge.epoch,
            view = %charge.view,
            from = ?from,
            "a member broke the protocol; `outrider evidence export` fetches the proof"
        );
        self.witness.outgoing.push(Outgoing::new(evidence));
        Ok(())
    }

    fn send_evidence(&mut self, now: Timestamp) {
        let due = self
            .witness
            .outgoing
            .iter_mut()
            .filter(|one| one.due <= now);
        let mut messages = Vec::new();
        for one in due.take(SENT_PER_TURN) {
            one.due = now.after(SEND_AGAIN * 2_u32.saturating_pow(one.sent));
            one.sent += 1;
            messages.push(one.message.clone());
        }
        self.witness.outgoing.retain(|one| one.sent < SENT_MAX);
        for message in messages {
            self.send(Channel::Sync, To::All, message);
        }
    }

    /// Send what is due, write what is kept, and delete what is too old.
    pub(super) fn write_evidence(&mut self, now: Timestamp) -> Result<(), DriverError> {
        self.send_evidence(now);
        self.witness.view = self.witness.view.max(self.replica.view());
        for certificate in std::mem::take(&mut self.witness.kept) {
            self.chain.keep_certificate(&certificate)?;
        }
        for header in std::mem::take(&mut self.witness.headers) {
            self.chain.keep_header(&header)?;
        }
        if now.since(self.witness.pruned) >= PRUNE_EVERY {
            self.witness.pruned = now;
            let epoch = self.witness.collector.committee().epoch();
            let keep = self.config.evidence_views;
            self.chain.prune_evidence(epoch, self.witness.view, keep)?;
        }
        Ok(())
    }

    /// A page of evidence, for the API.
    pub(super) fn evidence_page(&self, from: Option<&[u8]>) -> Result<EvidencePage, DriverError> {
        let (page, next) = self.chain.evidence_page(from)?;
        let evidence = page.into_iter().map(|(committee, evidence)| EvidenceFile {
            version: EVIDENCE_VERSION,
            committee,
            evidence,
        });
        Ok(EvidencePage {
            evidence: evidence.collect(),
            next: next.map(hex::encode),
        })
    }

    /// A page of what is kept of an epoch, by default the current one, for the API.
    pub(super) fn certificate_page(
        &self,
        epoch: Option<Epoch>,
        from: Option<&[u8]>,
    ) -> Result<Option<CertificatePage>, DriverError> {
        let epoch = epoch.unwrap_or_else(|| self.witness.collector.committee().epoch());
        let page = self.chain.certificate_page(epoch, from)?;
        Ok(page.map(|(store, next)| CertificatePage {
            store,
            next: next.map(hex::encode),
        }))
    }
}
