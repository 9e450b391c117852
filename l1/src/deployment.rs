//! Where the six contracts are: the network file.

use crate::account::Enrolment;
use alloy_primitives::Address;
use outrider_types::ChainId;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Most bytes of a network file.
const NETWORK_FILE_BYTES_MAX: u64 = 64 * 1024;
/// The version that is written and read.
const NETWORK_FILE_VERSION: u32 = 1;

/// A deployment: which contracts on which chain, for which Outrider chain. This is the network file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    /// Of this file's format: 1.
    pub version: u32,
    /// The chain id of L1.
    pub l1_chain: u64,
    /// Outrider's chain id.
    pub chain: ChainId,
    /// The L1 block of the first contract.
    pub block: u64,
    /// OperatorRegistry.
    pub operator_registry: Address,
    /// BondedStake.
    pub bonded_stake: Address,
    /// CommitteeManager.
    pub committee_manager: Address,
    /// ForcedInbox.
    pub forced_inbox: Address,
    /// FinalityAnchor.
    pub finality_anchor: Address,
    /// SlashingCourt.
    pub slashing_court: Address,
}

/// Why a network file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NetworkFileError {
    /// It cannot be read.
    #[error("cannot read the network file {path}: {error}; `outrider l1 deploy` writes one", path = path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// It cannot be written.
    #[error("cannot write the network file {path}: {error}", path = path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// It is something else.
    #[error("{path} is not a network file: {reason}", path = path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
}

impl Deployment {
    /// Where the contracts will be, if this account deploys them with this nonce.
    #[must_use]
    pub fn predicted(
        l1_chain: u64,
        chain: ChainId,
        block: u64,
        deployer: Address,
        nonce: u64,
    ) -> Self {
        let at = |place: u64| deployer.create(nonce.saturating_add(place));
        Self {
            version: NETWORK_FILE_VERSION,
            l1_chain,
            chain,
            block,
            operator_registry: at(0),
            bonded_stake: at(1),
            committee_manager: at(2),
            forced_inbox: at(3),
            finality_anchor: at(4),
            slashing_court: at(5),
        }
    }

    /// In the order of deployment.
    #[must_use]
    pub const fn contracts(&self) -> [(&'static str, Address); 6] {
        [
            ("OperatorRegistry", self.operator_registry),
            ("BondedStake", self.bonded_stake),
            ("CommitteeManager", self.committee_manager),
            ("ForcedInbox", self.forced_inbox),
            ("FinalityAnchor", self.finality_anchor),
            ("SlashingCourt", self.slashing_court),
        ]
    }

    /// The contracts whose events are followed.
    #[must_use]
    pub const fn watched(&self) -> [Address; 5] {
        [
            self.operator_registry,
            self.committee_manager,
            self.forced_inbox,
            self.finality_anchor,
            self.slashing_court,
        ]
    }

    /// What an operator's keys sign to be registered here.
    #[must_use]
    pub const fn enrolment(&self, operator: Address) -> Enrolment {
        Enrolment {
            l1_chain: self.l1_chain,
            registry: self.operator_registry,
            chain: self.chain,
            operator,
        }
    }

    /// Read a network file.
    pub fn load(path: &Path) -> Result<Self, NetworkFileError> {
        use std::io::Read as _;
        let failed = |error| NetworkFileError::Read {
            path: path.to_path_buf(),
            error,
        };
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(failed)?;
        let mut file = file.take(NETWORK_FILE_BYTES_MAX + 1);
        file.read_to_string(&mut text).map_err(failed)?;
        let malformed = |reason: String| NetworkFileError::Malformed {
            path: path.to_path_buf(),
            reason,
        };
        if text.len() as u64 > NETWORK_FILE_BYTES_MAX {
            return Err(malformed("it is too long".to_owned()));
        }
        let read: Self =
            serde_json::from_str(&text).map_err(|error| malformed(error.to_string()))?;
        if read.version != NETWORK_FILE_VERSION {
            return Err(malformed(format!(
                "it has version {}; expected {NETWORK_FILE_VERSION}",
                read.version
            )));
        }
        Ok(read)
    }

    /// Write a network file; one that exists is replaced.
    pub fn save(&self, path: &Path) -> Result<(), NetworkFileError> {
        std::fs::write(path, self.to_json()).map_err(|error| NetworkFileError::Write {
            path: path.to_path_buf(),
            error,
        })
    }

    /// The text of a network file.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }
}
