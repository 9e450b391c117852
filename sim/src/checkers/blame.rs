//! S11, accountability: whoever hears everything never blames an honest member, and a fork names stake of `f+1` out of
//! what honest members keep. The collector and the investigation are the production code; that what they say is an
//! offence is checked here again.

use super::oracle::signed;
use super::rules::EpochRules;
use super::signers::Finding;
use crate::fact::Message;
use outrider_finality::{
    CertificateStore, EvidenceCollector, FinalityProof, PATH_HEADERS_MAX, investigate,
};
use outrider_types::{
    Block, BlockId, BlockRecord, ConsensusMessage, Evidence, FinalityCertificate, Justification,
    MemberIndex, PayloadId, PayloadMessage, Signed, Statement, SyncMessage, Verified, View,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Views of a window of the sample. Pairs of statements are mostly of views close to each other.
const WINDOW_VIEWS: u64 = 16;
/// One window in so many is heard where members are Byzantine, and where none is.
const WINDOWS: (u64, u64) = (4, 32);
/// Views of which what honest members keep is remembered, where a fork is possible.
const VIEWS_KEPT: usize = 4_096;
/// What honest members keep of one view: at most so many that differ.
const KEPT_PER_VIEW: usize = 64;
/// Headers, payloads and proofs of finality that are remembered, where a fork is possible.
const HEADERS_KEPT: usize = 16_384;

/// What honest members of an epoch keep.
#[derive(Debug)]
struct EpochFile {
    number: u64,
    collector: EvidenceCollector,
    kept: BTreeMap<View, Vec<Justification>>,
}

/// A fork that honest members committed, and what they keep that proves who made it.
#[derive(Clone, Debug)]
pub struct Exposed {
    /// Two blocks of one height, each final at an honest member.
    pub blocks: [Block; 2],
    /// What makes each of them final: a certificate of the block or of one above it.
    pub finality: [FinalityCertificate; 2],
    /// Offences of stake `f+1` or more.
    pub evidence: Vec<Verified<Evidence>>,
}

impl Exposed {
    /// Whom the evidence accuses.
    #[must_use]
    pub fn guilty(&self) -> BTreeSet<MemberIndex> {
        self.evidence.iter().map(|one| one.accused()).collect()
    }
}

/// Ears, and the files of honest members.
#[derive(Debug)]
pub struct Blame {
    every: u64,
    epochs: Vec<EpochFile>,
    headers: BTreeMap<BlockId, Block>,
    headers_in_order: VecDeque<BlockId>,
    payloads: BTreeMap<PayloadId, Arc<Message>>,
    payloads_in_order: VecDeque<PayloadId>,
    proofs: VecDeque<Arc<FinalityCertificate>>,
}

impl Blame {
    /// In a world in which members are Byzantine, or none is.
    #[must_use]
    pub const fn new(any_byzantine: bool) -> Self {
        Self {
            every: if any_byzantine { WINDOWS.0 } else { WINDOWS.1 },
            epochs: Vec::new(),
            headers: BTreeMap::new(),
            headers_in_order: VecDeque::new(),
            payloads: BTreeMap::new(),
            payloads_in_order: VecDeque::new(),
            proofs: VecDeque::new(),
        }
    }

    /// An epoch begins.
    pub fn begin(&mut self, rules: &EpochRules) {
        if self.epochs.iter().any(|one| one.number == rules.number) {
            return;
        }
        if self.epochs.len() >= super::rules::EPOCHS_KEPT {
            self.epochs.remove(0);
        }
        self.epochs.push(EpochFile {
            number: rules.number,
            collector: EvidenceCollector::new(rules.committee.clone()),
            kept: BTreeMap::new(),
        });
    }

    /// Whether statements of this view are heard.
    #[must_use]
    pub const fn hears(&self, view: View) -> bool {
        (view.0 / WINDOW_VIEWS).is_multiple_of(self.every)
    }

    /// Something was said to somebody: the collector hears it, and must not blame an honest member.
    pub fn hear(&mut self, rules: &EpochRules, message: &ConsensusMessage) -> Result<(), Finding> {
        let committee = &rules.committee;
        let file = self
            .epochs
            .iter_mut()
            .find(|one| one.number == rules.number);
        let Some(EpochFile { collector, .. }) = file else {
            return Ok(());
        };
        match message {
            ConsensusMessage::Vote(vote) => {
                if rules.is_honest(vote.signer.index()) {
                    collector.advance(vote.view);
                }
                if let Ok(vote) = vote.verify(committee) {
                    collector.vote(&vote);
                }
            }
            ConsensusMessage::CommitVote(vote) => {
                if let Ok(vote) = vote.verify(committee) {
                    collector.commit_vote(&vote);
                }
            }
            ConsensusMessage::Timeout(timeout) => {
                if rules.is_honest(timeout.timeout.signer.index()) {
                    collector.advance(timeout.timeout.view);
                }
                if let Ok(timeout) = timeout.clone().verify(committee) {
                    collector.timeout(&timeout);
                }
            }
            ConsensusMessage::Proposal(proposal) => {
                if let Ok((proposal, _)) = proposal.clone().verify(committee) {
                    collector.proposal(&proposal);
                }
            }
            ConsensusMessage::Certificate(justification) => {
                if let Ok(justification) = justification.clone().verify(committee) {
                    collector.justification(&justification);
                }
            }
            ConsensusMessage::EpochEnd(_) => {}
        }
        collector
            .take()
            .iter()
            .try_for_each(|evidence| blames_guilty(rules, evidence))
    }

    /// An honest member spreads evidence.
    pub fn spreads(&self, rules: &EpochRules, evidence: &Evidence) -> Result<(), Finding> {
        blames_guilty(rules, evidence)
    }

    /// An honest member keeps a certificate; remembered where a fork is possible.
    pub fn keeps(&mut self, rules: &EpochRules, justification: &Justification) {
        if !rules.overrun {
            return;
        }
        let file = self
            .epochs
            .iter_mut()
            .find(|one| one.number == rules.number);
        let Some(EpochFile { kept, .. }) = file else {
            return;
        };
        let of_view = kept.entry(justification.view()).or_default();
        if of_view.len() < KEPT_PER_VIEW && !of_view.contains(justification) {
            of_view.push(justification.clone());
        }
        if kept.len() > VIEWS_KEPT {
            kept.pop_first();
        }
    }

    /// A header that is somewhere in the world; remembered where a fork is possible.
    pub fn header(&mut self, rules: &EpochRules, block: &Block) {
        if !rules.overrun {
            return;
        }
        let id = block.id();
        if self.headers.insert(id, *block).is_none() {
            self.headers_in_order.push_back(id);
        }
        if self.headers_in_order.len() > HEADERS_KEPT
            && let Some(old) = self.headers_in_order.pop_front()
        {
            self.headers.remove(&old);
        }
    }

    /// An honest member committed a block; remembered where a fork is possible.
    pub fn committed(
        &mut self,
        rules: &EpochRules,
        record: &BlockRecord,
        certificate: Option<&Arc<FinalityCertificate>>,
    ) {
        if !rules.overrun {
            return;
        }
        self.header(rules, &record.block);
        if let Some(justification) = &record.justification {
            self.keeps(rules, justification);
        }
        if let Some(certificate) = certificate {
            self.proof(certificate.clone());
        }
    }

    fn proof(&mut self, certificate: Arc<FinalityCertificate>) {
        if self
            .proofs
            .iter()
            .rev()
            .take(8)
            .any(|held| *held == certificate)
        {
            return;
        }
        self.proofs.push_back(certificate);
        if self.proofs.len() > HEADERS_KEPT {
            self.proofs.pop_front();
        }
    }

    /// Payloads and proofs that travel, where a fork is possible.
    pub fn travels(&mut self, message: &Arc<Message>) {
        match &**message {
            Message::Payload(PayloadMessage::Payload(payload)) if !payload.is_empty() => {
                let id = payload.id();
                if self.payloads.insert(id, message.clone()).is_none() {
                    self.payloads_in_order.push_back(id);
                }
                if self.payloads_in_order.len() > HEADERS_KEPT
                    && let Some(old) = self.payloads_in_order.pop_front()
                {
                    self.payloads.remove(&old);
                }
            }
            Message::Sync(SyncMessage::Range(range)) => {
                self.proof(Arc::new(range.certificate.clone()));
            }
            _ => {}
        }
    }

    /// Two honest members hold different blocks: what they keep must name those who did it. None if no proof of finality
    /// of one of them is at hand, or nothing is promised.
    pub fn accuses(
        &self,
        rules: &EpochRules,
        blocks: [Block; 2],
    ) -> Result<Option<Exposed>, Finding> {
        if rules.lost || blocks[0].epoch != blocks[1].epoch {
            return Ok(None);
        }
        let (Some(first), Some(second)) =
            (self.made_final(&blocks[0]), self.made_final(&blocks[1]))
        else {
            return Ok(None);
        };
        let proofs = self.prove(rules, first).zip(self.prove(rules, second));
        let evidence = match proofs {
            Some((one, other)) => self.investigate(rules, &one, &other)?,
            None => self.collect(rules, [first, second]),
        };
        for one in &evidence {
            blames_guilty(rules, one)?;
        }
        let exposed = Exposed {
            blocks,
            finality: [first.clone(), second.clone()],
            evidence,
        };
        let guilty = exposed.guilty();
        let stake: u64 = guilty
            .iter()
            .filter_map(|member| rules.stakes.get(member.index()))
            .sum();
        let needed = rules.thresholds.byzantine + 1;
        if stake >= needed {
            return Ok(Some(exposed));
        }
        Err((
            "S11",
            format!(
                "fork in epoch {} between views {} and {}: what honest members keep names {guilty:?} with stake {stake}, {needed} is needed",
                rules.number,
                exposed.finality[0].view(),
                exposed.finality[1].view()
            ),
        ))
    }

    /// A proof of finality of this block or of one above it.
    fn made_final(&self, block: &Block) -> Option<&FinalityCertificate> {
        let id = block.id();
        let proofs = self.proofs.iter().rev().map(AsRef::as_ref);
        proofs.into_iter().find(|proof| {
            let mut at = proof.block();
            loop {
                if at == id {
                    return true;
                }
                match self.headers.get(&at) {
                    Some(header) if header.height > block.height => at = header.parent,
                    _ => return false,
                }
            }
        })
    }

    /// A proof that some transaction is final by this certificate. None if no payload below it is at hand.
    fn prove(
        &self,
        rules: &EpochRules,
        certificate: &FinalityCertificate,
    ) -> Option<FinalityProof> {
        let mut path = VecDeque::new();
        let mut block = *self.headers.get(&certificate.block())?;
        for _ in 0..PATH_HEADERS_MAX {
            let payload = self.payloads.get(&block.payload);
            if let Some(Message::Payload(PayloadMessage::Payload(payload))) =
                payload.map(AsRef::as_ref)
            {
                let id = payload.ids().next()?;
                let path = path.into();
                let by = certificate.clone();
                return FinalityProof::build(&rules.committee, block, path, by, payload, id);
            }
            path.push_front(block);
            block = *self.headers.get(&block.parent)?;
        }
        None
    }

    fn investigate(
        &self,
        rules: &EpochRules,
        one: &FinalityProof,
        other: &FinalityProof,
    ) -> Result<Vec<Verified<Evidence>>, Finding> {
        let file = self.epochs.iter().find(|file| file.number == rules.number);
        // What came with a block in a range was not verified by those who keep it.
        let valid = |one: &Justification| one.clone().verify(&rules.committee).is_ok();
        let certificates = file
            .into_iter()
            .flat_map(|file| file.kept.values().flatten().cloned())
            .filter(valid);
        let store = CertificateStore {
            headers: self.headers.values().copied().collect(),
            certificates: certificates.collect(),
            ..CertificateStore::new(rules.committee.clone())
        };
        match investigate(&rules.committee, one, other, &[store]) {
            Ok(verdict) => Ok(verdict
                .guilty
                .into_iter()
                .flat_map(|guilty| guilty.evidence)
                .collect()),
            Err(error) => Err((
                "S11",
                format!("the investigation of a fork failed: {error}"),
            )),
        }
    }

    /// What a collector finds in what honest members keep, without any proof of a transaction.
    fn collect(
        &self,
        rules: &EpochRules,
        proofs: [&FinalityCertificate; 2],
    ) -> Vec<Verified<Evidence>> {
        let mut collector = EvidenceCollector::new(rules.committee.clone());
        let file = self.epochs.iter().find(|file| file.number == rules.number);
        let kept = file
            .into_iter()
            .flat_map(|file| file.kept.values().flatten());
        for justification in kept {
            if let Ok(justification) = justification.clone().verify(&rules.committee) {
                collector.justification(&justification);
            }
        }
        for proof in proofs {
            if let Ok(proof) = proof.clone().verify(&rules.committee) {
                collector.finality(&proof);
            }
        }
        collector.take()
    }
}

/// A piece of evidence is an offence, and not of an honest member.
fn blames_guilty(rules: &EpochRules, evidence: &Evidence) -> Result<(), Finding> {
    let accused = evidence.accused();
    if rules.is_honest(accused.index()) {
        return Err((
            "S11",
            format!(
                "honest member {accused} is blamed for {:?}: {evidence:?}",
                evidence.offence()
            ),
        ));
    }
    if is_offence(rules, evidence) {
        return Ok(());
    }
    Err((
        "S11",
        format!("what member {accused} is blamed for is no offence: {evidence:?}"),
    ))
}

/// Section 6, again.
fn is_offence(rules: &EpochRules, evidence: &Evidence) -> bool {
    match evidence {
        Evidence::DoubleProposal(pair) => {
            let (a, b) = (&pair.first, &pair.second);
            both(rules, a, b) && (a.view, a.kind) == (b.view, b.kind) && a.block != b.block
        }
        Evidence::DoubleVote(pair) => {
            let (a, b) = (&pair.first, &pair.second);
            both(rules, a, b) && a.view == b.view && a.block != b.block
        }
        Evidence::DoubleCommitVote(pair) => {
            let (a, b) = (&pair.first, &pair.second);
            both(rules, a, b) && a.view == b.view && a.block != b.block
        }
        Evidence::HiddenVote(pair) => {
            let (vote, timeout) = (&pair.first, &pair.second);
            both(rules, vote, timeout)
                && vote.view == timeout.view
                && timeout.voted != Some(vote.block)
        }
        Evidence::BrokenLock(pair) => {
            let (commit, timeout) = (&pair.first, &pair.second);
            both(rules, commit, timeout)
                && timeout.view >= commit.view
                && timeout.high_view < commit.view
        }
    }
}

/// One member of this epoch signed both.
fn both<A: Statement, B: Statement>(
    rules: &EpochRules,
    first: &Signed<A>,
    second: &Signed<B>,
) -> bool {
    let who: MemberIndex = first.signer;
    who == second.signer
        && signed(rules, first.statement.clone(), who, first.signature)
        && signed(rules, second.statement.clone(), who, second.signature)
}
