//! Evidence of offences E1 to E5 (protocol section 6): finding it in what members sign, and the files it travels in.

mod certificates;
mod collector;
mod file;
mod heard;

pub use certificates::{
    CERTIFICATES_BYTES_MAX, CERTIFICATES_VERSION, CertificateStore, CertificateStoreError,
};
pub use collector::{
    EVIDENCE_PER_OFFENCE_MAX, EvidenceCollector, STATEMENTS_MAX, WINDOW_VIEWS_MAX,
};
pub use file::{
    CheckedEvidence, EVIDENCE_BYTES_MAX, EVIDENCE_VERSION, EvidenceFile, EvidenceFileError,
    verify_evidence_json,
};

use outrider_types::{Epoch, Evidence, MemberIndex, Offence, View};
use serde::{Deserialize, Serialize};

/// What an offence is called.
#[must_use]
pub const fn offence_name(offence: Offence) -> &'static str {
    match offence {
        Offence::E1 => "double proposal",
        Offence::E2 => "double vote",
        Offence::E3 => "double commit vote",
        Offence::E4 => "hidden vote",
        Offence::E5 => "broken lock",
    }
}

/// What a piece of evidence is about. Two with the same charge say the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Charge {
    /// In which epoch.
    pub epoch: Epoch,
    /// What.
    pub offence: Offence,
    /// In which view; for E5, that of the commit vote.
    pub view: View,
    /// Who.
    pub member: MemberIndex,
}

impl Charge {
    /// Of a piece of evidence.
    #[must_use]
    pub const fn of(evidence: &Evidence) -> Self {
        let (epoch, view) = match evidence {
            Evidence::DoubleProposal(pair) => {
                (pair.first.statement.epoch, pair.first.statement.view)
            }
            Evidence::DoubleVote(pair) => (pair.first.statement.epoch, pair.first.statement.view),
            Evidence::DoubleCommitVote(pair) => {
                (pair.first.statement.epoch, pair.first.statement.view)
            }
            Evidence::HiddenVote(pair) => (pair.first.statement.epoch, pair.first.statement.view),
            Evidence::BrokenLock(pair) => (pair.first.statement.epoch, pair.first.statement.view),
        };
        Self {
            epoch,
            offence: evidence.offence(),
            view,
            member: evidence.accused(),
        }
    }

    /// The name of its file: `E2-epoch-view-member.json`.
    #[must_use]
    pub fn file_name(&self) -> String {
        let Self {
            epoch,
            offence,
            view,
            member,
        } = self;
        format!("{offence:?}-{epoch}-{view}-{}.json", member.0)
    }
}

/// A part of the evidence that a member holds, as it is served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidencePage {
    /// By epoch, offence, view and member.
    pub evidence: Vec<EvidenceFile>,
    /// Where the next page begins; none if this is the last.
    pub next: Option<String>,
}

/// A part of the certificates that a member keeps, as it is served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificatePage {
    /// Of one epoch, views ascending.
    pub store: CertificateStore,
    /// Where the next page begins; none if this is the last.
    pub next: Option<String>,
}
