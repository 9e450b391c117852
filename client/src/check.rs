//! One door for every kind of proof, JSON in and JSON out: for WebAssembly, for other languages, for shared test vectors.
//!
//! Layout does not matter here, because transports rewrite it; unknown, missing and repeated fields are refused. The
//! strict reading of files, in which no byte may differ, is [`verify_json`](crate::verify_json).

use crate::order::{OrderError, OrderedLane};
use crate::order_text::{ORDER_BYTES_MAX, OrderTextError};
use outrider_finality::{
    EVIDENCE_BYTES_MAX, EvidenceFile, EvidenceFileError, FinalityProof, HANDOVERS_BYTES_MAX,
    HANDOVERS_VERSION, HandoverError, HandoverFile, HandoverFileError, LANE_PROOF_BYTES_MAX,
    LaneProof, LaneRangeProof, ProofError, SkipProof, TextError, Trust, offence_name,
};
use outrider_types::evidence::NoOffence;
use outrider_types::{Committee, Height, Invalid};
use serde::Deserialize;
use serde_json::{Value, json};

/// Most bytes of the text of what the caller trusts: a committee of the greatest size fits.
pub const TRUST_BYTES_MAX: usize = 512 * 1024;

/// A kind of proof: its name, and what is checked.
struct Kind {
    name: &'static str,
    check: fn(Anchor, &[u8]) -> Result<Value, Rejected>,
}

/// Every kind of proof there is.
const KINDS: [Kind; 7] = [
    Kind {
        name: "finality",
        check: finality,
    },
    Kind {
        name: "lane",
        check: lane,
    },
    Kind {
        name: "lane-range",
        check: lane_range,
    },
    Kind {
        name: "skip",
        check: skip,
    },
    Kind {
        name: "order",
        check: order,
    },
    Kind {
        name: "epochs",
        check: epochs,
    },
    Kind {
        name: "evidence",
        check: evidence,
    },
];

/// Why something proves nothing: a stable code for programs, words for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Rejected {
    /// One of the codes of docs/light-client.md.
    pub code: &'static str,
    /// What is wrong, and where.
    pub message: String,
}

impl Rejected {
    fn new(code: &'static str, reason: impl std::fmt::Display) -> Self {
        Self {
            code,
            message: reason.to_string(),
        }
    }
}

/// What the caller trusts: a committee, and the height above which its epoch begins, if that is known.
struct Anchor {
    committee: Committee,
    base: Option<Height>,
}

/// Other fields are not looked at, so that the committee file of a network is one.
#[derive(Deserialize)]
struct CommitteeAt {
    committee: Committee,
    #[serde(default)]
    base: Option<Height>,
}

impl Anchor {
    /// From a committee alone, or from `{committee, base}`.
    fn read(text: &[u8]) -> Result<Self, Rejected> {
        if text.len() > TRUST_BYTES_MAX {
            let bytes = text.len();
            let reason = format!("{bytes} bytes, what is trusted has at most {TRUST_BYTES_MAX}");
            return Err(Rejected::new("trust", reason));
        }
        let alone = serde_json::from_slice::<Committee>(text);
        if let Ok(committee) = alone {
            let base = None;
            return Ok(Self { committee, base });
        }
        match (serde_json::from_slice::<CommitteeAt>(text), alone) {
            (Ok(CommitteeAt { committee, base }), _) => Ok(Self { committee, base }),
            (Err(error), Err(alone)) => Err(Rejected::new(
                "trust",
                format!("not a committee ({alone}), nor one with its base height ({error})"),
            )),
            (Err(error), Ok(_)) => Err(Rejected::new("trust", error)),
        }
    }

    fn trust(self) -> Trust {
        match self.base {
            Some(base) => Trust::with_base(self.committee, base),
            None => Trust::new(self.committee),
        }
    }
}

/// Check a proof of a kind against what the caller trusts, which is the JSON of a committee, or `{committee, base}` as a
/// chain of epochs gives it; a network's committee file is one. Says what is proven.
///
/// - `finality`: a transaction is final; the proof of `outrider_transactionProof`.
/// - `lane`: what a block holds for a rollup, or that it holds nothing.
/// - `lane-range`: that nothing is missing between two places of a lane.
/// - `skip`: that a block is final, and an ancestor of a far later one.
/// - `order`: a block obeys the ordering policy of a rollup; `{version, proof, transactions, registry, payload}` with the answers
///   of `outrider_laneProof`, `outrider_laneRange`, `outrider_rollups` and, if there is a bundle, `outrider_block`.
/// - `epochs`: `{version, ends}` with the answers of `outrider_epochEnds`; says the last committee, to be trusted next.
/// - `evidence`: a member broke the protocol; an item of `outrider_evidence`.
pub fn check(kind: &str, trust: &[u8], proof: &[u8]) -> Result<Value, Rejected> {
    let Some(kind) = KINDS.iter().find(|known| known.name == kind) else {
        let names = KINDS.map(|known| known.name).join(", ");
        return Err(Rejected::new("kind", format!("a proof is one of: {names}")));
    };
    (kind.check)(Anchor::read(trust)?, proof)
}

fn finality(anchor: Anchor, proof: &[u8]) -> Result<Value, Rejected> {
    let proof = FinalityProof::from_json(proof).map_err(unproven)?;
    let checked = anchor.trust().verify(&proof).map_err(unproven)?;
    Ok(json!(checked))
}

fn unproven(error: ProofError) -> Rejected {
    Rejected::new(proof_code(&error), &error)
}

fn lane(anchor: Anchor, proof: &[u8]) -> Result<Value, Rejected> {
    let proof: LaneProof = read(proof, LANE_PROOF_BYTES_MAX)?;
    let checked = anchor.trust().verify_lane(&proof).map_err(unproven)?;
    Ok(json!(checked))
}

fn lane_range(anchor: Anchor, proof: &[u8]) -> Result<Value, Rejected> {
    let proof: LaneRangeProof = read(proof, LANE_PROOF_BYTES_MAX)?;
    let checked = anchor.trust().verify_lane_range(&proof);
    let (lanes, header) = checked.map_err(unproven)?;
    Ok(json!({ "header": header, "lanes": lanes }))
}

fn skip(anchor: Anchor, proof: &[u8]) -> Result<Value, Rejected> {
    let proof: SkipProof = read(proof, LANE_PROOF_BYTES_MAX)?;
    let checked = anchor.trust().verify_skip(&proof).map_err(unproven)?;
    Ok(json!(checked))
}

fn order(anchor: Anchor, text: &[u8]) -> Result<Value, Rejected> {
    small(text, ORDER_BYTES_MAX)?;
    let ordered = OrderedLane::from_json(text).map_err(|error| match error {
        OrderTextError::Form(reason) => Rejected::new("form", reason),
        OrderTextError::Version(found) => {
            Rejected::new("version", format!("version {found} is not known here"))
        }
    })?;
    let checked = ordered.check(&anchor.trust());
    let order = checked.map_err(|error| Rejected::new(order_code(&error), &error))?;
    Ok(json!(order))
}

fn epochs(anchor: Anchor, proof: &[u8]) -> Result<Value, Rejected> {
    let file: HandoverFile = read(proof, HANDOVERS_BYTES_MAX)?;
    let refused = |error: HandoverFileError| Rejected::new(file_code(&error), &error);
    if file.version != HANDOVERS_VERSION {
        let found = file.version;
        return Err(refused(HandoverFileError::Version { found }));
    }
    let file = HandoverFile::new(file.ends).map_err(refused)?;
    let mut base = anchor.base;
    let mut trust = anchor.trust();
    for end in file.ends {
        let height = end.last.height;
        trust
            .follow(end)
            .map_err(|error| Rejected::new(handover_code(&error), &error))?;
        base = Some(height);
    }
    let committee = trust.current();
    Ok(json!({
        "epoch": trust.epoch(),
        "id": committee.id(),
        "trust": { "committee": committee, "base": base },
    }))
}

fn evidence(anchor: Anchor, proof: &[u8]) -> Result<Value, Rejected> {
    let file: EvidenceFile = read(proof, EVIDENCE_BYTES_MAX)?;
    let checked = file
        .verify(Some(anchor.committee.id()))
        .map_err(|error| Rejected::new(evidence_code(&error), &error))?;
    Ok(json!({
        "offence": offence_name(checked.offence),
        "member": checked.member,
        "public_key": checked.public_key,
        "stake": checked.stake,
        "total": checked.total,
        "epoch": checked.epoch,
        "view": checked.view,
        "committee": checked.committee,
    }))
}

fn small(text: &[u8], limit: usize) -> Result<(), Rejected> {
    if text.len() > limit {
        let reason = format!("{} bytes, such a proof has at most {limit}", text.len());
        return Err(Rejected::new("too-large", reason));
    }
    Ok(())
}

fn read<T: serde::de::DeserializeOwned>(text: &[u8], limit: usize) -> Result<T, Rejected> {
    small(text, limit)?;
    serde_json::from_slice(text).map_err(|error| Rejected::new("form", error))
}

const fn proof_code(error: &ProofError) -> &'static str {
    match error {
        ProofError::TooLarge { .. } => "too-large",
        ProofError::NotJson { .. } => "form",
        ProofError::NotCanonical { .. } => "not-canonical",
        ProofError::Version { .. } | ProofError::LaneVersion { .. } => "version",
        ProofError::NotInHistory { .. } => "not-in-history",
        ProofError::Lane { .. } => "lane",
        ProofError::BrokenLane { .. } => "broken-lane",
        ProofError::TooManyLanes { .. } => "too-large",
        ProofError::OtherCommittee { .. } => "other-committee",
        ProofError::BlockVersion { .. } => "block-version",
        ProofError::OtherChain { .. } => "other-chain",
        ProofError::OtherEpoch { .. } => "other-epoch",
        ProofError::PathTooLong { .. } => "path-too-long",
        ProofError::BrokenPath { .. } => "broken-path",
        ProofError::NotFiller { .. } => "not-filler",
        ProofError::OutsideEpoch { .. } => "outside-epoch",
        ProofError::UnknownEpoch { .. } => "unknown-epoch",
        ProofError::OtherBlock { .. } => "other-block",
        ProofError::OtherView { .. } => "other-view",
        ProofError::Certificate { reason } => invalid_code(reason),
        ProofError::TransactionSize { .. } => "transaction-size",
        ProofError::OtherTransaction { .. } => "other-transaction",
        ProofError::NotIncluded { .. } => "not-included",
    }
}

const fn order_code(error: &OrderError) -> &'static str {
    match error {
        OrderError::Proof(error) => proof_code(error),
        OrderError::Nothing { .. } => "nothing",
        OrderError::Transactions { .. } => "other-transaction",
        OrderError::Registry { .. } => "registry",
        OrderError::Payload { .. } => "payload",
        OrderError::Closed { .. } => "closed",
        OrderError::Order { .. } => "order",
        OrderError::Bundle { .. } => "bundle",
    }
}

const fn handover_code(error: &HandoverError) -> &'static str {
    match error {
        HandoverError::Epoch { .. } => "unknown-epoch",
        HandoverError::NeverEnds { .. } => "never-ends",
        HandoverError::Height { .. } => "outside-epoch",
        HandoverError::BlockVersion { .. } => "block-version",
        HandoverError::Fillers { .. } => "path-too-long",
        HandoverError::View { .. } => "other-view",
        HandoverError::Invalid { reason, .. } => invalid_code(reason),
    }
}

const fn file_code(error: &HandoverFileError) -> &'static str {
    match error {
        HandoverFileError::Text(error) => text_code(error),
        HandoverFileError::Version { .. } => "version",
        HandoverFileError::Order { .. } => "epoch-order",
    }
}

const fn evidence_code(error: &EvidenceFileError) -> &'static str {
    match error {
        EvidenceFileError::Text(error) => text_code(error),
        EvidenceFileError::Version { .. } => "version",
        EvidenceFileError::OtherCommittee { .. } => "other-committee",
        EvidenceFileError::NoOffence(NoOffence::Invalid(reason)) => invalid_code(reason),
        EvidenceFileError::NoOffence(NoOffence::TwoSigners { .. }) => "two-signers",
        EvidenceFileError::NoOffence(NoOffence::Legal { .. }) => "legal",
    }
}

const fn text_code(error: &TextError) -> &'static str {
    match error {
        TextError::TooLarge { .. } => "too-large",
        TextError::NotJson { .. } => "form",
        TextError::NotCanonical { .. } => "not-canonical",
    }
}

const fn invalid_code(reason: &Invalid) -> &'static str {
    match reason {
        Invalid::UnknownSigner { .. } => "unknown-signer",
        Invalid::Signature { .. } => "signature",
        Invalid::Epoch { .. } => "other-epoch",
        Invalid::SignerOrder { .. } => "signer-order",
        Invalid::Stake { .. } => "stake",
        Invalid::HighView { .. } => "high-view",
        Invalid::Rank { .. } => "rank",
        Invalid::Adoption { .. } => "adoption",
        Invalid::Malformed { .. } => "malformed",
    }
}
