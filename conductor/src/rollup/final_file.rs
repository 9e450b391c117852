//! `final.json`: where a rollup's lane ended, the state that came of it, and what everyone owns in it. Checked offline.

use super::claims::Claims;
use alloy_primitives::B256;
use outrider_client::{
    ExecutionError, ExecutionFile, LaneProof, ProofError, TextError, Trust, canonical,
    read_canonical,
};
use outrider_types::crypto::sha256;
use outrider_types::registry::Vm;
use outrider_types::{LaneTip, RollupId};
use serde::{Deserialize, Serialize};

/// Version of the file.
pub const FINAL_VERSION: u16 = 1;
/// Most bytes of it.
pub const FINAL_BYTES_MAX: usize = 96 * 1024 * 1024;

/// The end of a rollup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FinalFile {
    /// Format, [`FINAL_VERSION`].
    pub version: u16,
    /// SHA-256 of this text with 64 zeros here: against damage; it proves nothing.
    pub digest: B256,
    /// Whose.
    pub rollup: RollupId,
    /// What executed it.
    pub vm: Vm,
    /// Whether the rollup was closed, by the word of a member: then nothing comes after this.
    pub closed: bool,
    /// The lane up to here.
    pub lane: LaneTip,
    /// Proof of the last lane block; none if there is none.
    pub last: Option<LaneProof>,
    /// The state after it.
    pub block: FinalBlock,
    /// Members of stake Q that came to this state; none if they did not, or nobody asked them.
    pub certificate: Option<ExecutionFile>,
    /// What everyone owns in that state.
    pub claims: Claims,
}

/// The last execution block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FinalBlock {
    /// Its number.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// The state after it.
    pub state_root: B256,
}

/// Why a file proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum FinalError {
    /// The form.
    #[error(transparent)]
    Text(#[from] TextError),
    /// Another format.
    #[error("format version {found}, this program reads {FINAL_VERSION}")]
    Version {
        /// In the file.
        found: u16,
    },
    /// Damaged.
    #[error("it was changed after it was written: its digest is another one")]
    Digest,
    /// The lane.
    #[error("the lane proof: {0}")]
    Lane(#[from] ProofError),
    /// The lane proof is about something else.
    #[error("the lane proof is not of lane block {height} of rollup {rollup}")]
    OtherLane {
        /// The rollup.
        rollup: RollupId,
        /// The lane height.
        height: u64,
    },
    /// The certificate.
    #[error("the execution certificate: {0}")]
    Execution(#[from] ExecutionError),
    /// The certificate is about something else.
    #[error("the execution certificate is of lane block {found} of another lane or state")]
    OtherExecution {
        /// Its lane height.
        found: u64,
    },
    /// What is owned.
    #[error("a claim is false: {0}")]
    Claim(String),
}

/// What a file proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckedFinal {
    /// Whose.
    pub rollup: RollupId,
    /// The lane up to here is final.
    pub lane: LaneTip,
    /// The state that the claims are in. That it follows from the lane is the word of who executed, or of those who certified it.
    pub state_root: B256,
    /// Whether members of stake Q say that the state follows.
    pub certified: bool,
    /// How many claims there are.
    pub claims: usize,
}

impl FinalFile {
    /// With its digest.
    #[must_use]
    pub fn sealed(mut self) -> Self {
        self.digest = self.digest_of_text();
        self
    }

    fn digest_of_text(&self) -> B256 {
        let blank = Self {
            digest: B256::ZERO,
            ..self.clone()
        };
        B256::from(sha256(&[blank.to_json().as_bytes()]))
    }

    /// The canonical text.
    #[must_use]
    pub fn to_json(&self) -> String {
        canonical(self)
    }

    /// From the canonical text. Nothing is checked but the form.
    pub fn from_json(bytes: &[u8]) -> Result<Self, FinalError> {
        Ok(read_canonical(bytes, FINAL_BYTES_MAX)?)
    }

    /// Check everything.
    pub fn verify(&self, trust: &Trust) -> Result<CheckedFinal, FinalError> {
        let found = self.version;
        if found != FINAL_VERSION {
            return Err(FinalError::Version { found });
        }
        if self.digest != self.digest_of_text() {
            return Err(FinalError::Digest);
        }
        let tip = match &self.last {
            Some(proof) => {
                let checked = trust.verify_lane(proof)?;
                checked.lane.filter(|lane| lane.rollup == self.rollup)
            }
            None => None,
        };
        if tip.map(|lane| lane.tip()).unwrap_or_default() != self.lane {
            return Err(FinalError::OtherLane {
                rollup: self.rollup,
                height: self.lane.height.0,
            });
        }
        let state_root = self.block.state_root;
        if let Some(file) = &self.certificate {
            let said = trust.verify_execution(file)?;
            let asked = (self.rollup, self.lane.height, self.lane.hash, state_root.0);
            if asked != (said.rollup, said.lane, said.hash, said.state_root.0) {
                return Err(FinalError::OtherExecution { found: said.lane.0 });
            }
        }
        self.claims.verify(state_root).map_err(FinalError::Claim)?;
        Ok(CheckedFinal {
            rollup: self.rollup,
            lane: self.lane,
            state_root,
            certified: self.certificate.is_some(),
            claims: match &self.claims {
                Claims::Nothing => 0,
                Claims::Evm { accounts, .. } => accounts.len(),
                Claims::Kv { entries } => entries.len(),
            },
        })
    }
}
