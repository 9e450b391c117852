//! One piece of evidence as a file that anyone can check offline.

use super::Charge;
use crate::text::{self, TextError};
use outrider_types::evidence::NoOffence;
use outrider_types::{
    Committee, CommitteeId, Epoch, Evidence, Invalid, MemberIndex, Offence, PublicKey, Stake,
    Verified, View,
};
use serde::{Deserialize, Serialize};

/// Version of the format.
pub const EVIDENCE_VERSION: u16 = 1;
/// Most bytes of the text: a committee of the greatest size fits.
pub const EVIDENCE_BYTES_MAX: usize = 1024 * 1024;

/// Evidence, and the committee that its keys are in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceFile {
    /// Format, [`EVIDENCE_VERSION`].
    pub version: u16,
    /// Whose member is accused. It proves nothing by itself: compare its id with one that you trust.
    pub committee: Committee,
    /// The two statements.
    pub evidence: Evidence,
}

/// What a file of evidence proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckedEvidence {
    /// What was done.
    pub offence: Offence,
    /// By whom.
    pub member: MemberIndex,
    /// The key that signed both statements.
    pub public_key: PublicKey,
    /// The member's stake.
    pub stake: Stake,
    /// All stake of the committee.
    pub total: Stake,
    /// In which epoch.
    pub epoch: Epoch,
    /// In which view; for E5, that of the commit vote.
    pub view: View,
    /// Of which committee.
    pub committee: CommitteeId,
}

/// Why a file proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceFileError {
    /// The text.
    #[error(transparent)]
    Text(#[from] TextError),
    /// Another format.
    #[error(
        "evidence version {found}, this build checks version {EVIDENCE_VERSION}: use the release that wrote it"
    )]
    Version {
        /// Its version.
        found: u16,
    },
    /// Of others.
    #[error("evidence against a member of committee {found}, checked against committee {expected}")]
    OtherCommittee {
        /// The file's.
        found: CommitteeId,
        /// The verifier's.
        expected: CommitteeId,
    },
    /// The pair.
    #[error("nobody is proven guilty: {0}")]
    NoOffence(#[from] NoOffence),
}

impl EvidenceFile {
    /// Put evidence together with its committee.
    #[must_use]
    pub fn new(committee: Committee, evidence: Verified<Evidence>) -> Self {
        Self {
            version: EVIDENCE_VERSION,
            committee,
            evidence: evidence.into_inner(),
        }
    }

    /// What it is about, if it holds.
    #[must_use]
    pub const fn charge(&self) -> Charge {
        Charge::of(&self.evidence)
    }

    /// The canonical text: two spaces a level, fields in declaration order, a newline at the end.
    #[must_use]
    pub fn to_json(&self) -> String {
        text::canonical(self)
    }

    /// Check both signatures, that one member made them, and that no honest member makes both.
    pub fn verify(
        &self,
        expected: Option<CommitteeId>,
    ) -> Result<CheckedEvidence, EvidenceFileError> {
        if self.version != EVIDENCE_VERSION {
            return Err(EvidenceFileError::Version {
                found: self.version,
            });
        }
        let found = self.committee.id();
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            return Err(EvidenceFileError::OtherCommittee { found, expected });
        }
        let evidence = self.evidence.clone().verify(&self.committee)?;
        let Charge {
            epoch,
            offence,
            view,
            member,
        } = Charge::of(&evidence);
        let accused = self.committee.members().get(member.index());
        let accused = accused.ok_or(NoOffence::Invalid(Invalid::UnknownSigner {
            signer: member,
            members: self.committee.members().len(),
        }))?;
        Ok(CheckedEvidence {
            offence,
            member,
            public_key: accused.public_key,
            stake: accused.stake,
            total: self.committee.thresholds().total,
            epoch,
            view,
            committee: found,
        })
    }
}

/// Check a file's text, against a committee that the caller trusts, or for itself. The text must be the canonical one,
/// so that not a byte of it can be changed.
pub fn verify_evidence_json(
    bytes: &[u8],
    expected: Option<CommitteeId>,
) -> Result<CheckedEvidence, EvidenceFileError> {
    let file: EvidenceFile = text::read_canonical(bytes, EVIDENCE_BYTES_MAX)?;
    file.verify(expected)
}
