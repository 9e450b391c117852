//! The certificate store of a member as a file: what it kept for the evidence period (protocol section 6).

use crate::text::{self, TextError};
use outrider_types::{Block, Committee, Justification};
use serde::{Deserialize, Serialize};

/// Version of the format.
pub const CERTIFICATES_VERSION: u16 = 1;
/// Most bytes of the text.
pub const CERTIFICATES_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Certificates that moved a member through its views, that it commit-voted on, or that justified a block it voted for;
/// and the headers of those blocks. Nothing of it is trusted: certificates are verified before they are used, and a
/// header counts only where a hash leads to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateStore {
    /// Format, [`CERTIFICATES_VERSION`].
    pub version: u16,
    /// Of which epoch.
    pub committee: Committee,
    /// Headers by view.
    pub headers: Vec<Block>,
    /// Certificates by view.
    pub certificates: Vec<Justification>,
}

/// Why a file is not a certificate store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateStoreError {
    /// The text.
    #[error(transparent)]
    Text(#[from] TextError),
    /// Another format.
    #[error(
        "certificate store version {found}, this build reads version {CERTIFICATES_VERSION}: use the release that wrote it"
    )]
    Version {
        /// Its version.
        found: u16,
    },
}

impl CertificateStore {
    /// With nothing in it.
    #[must_use]
    pub const fn new(committee: Committee) -> Self {
        Self {
            version: CERTIFICATES_VERSION,
            committee,
            headers: Vec::new(),
            certificates: Vec::new(),
        }
    }

    /// The text, on one line.
    #[must_use]
    pub fn to_json(&self) -> String {
        let text = serde_json::to_string(self);
        assert!(
            text.is_ok(),
            "a certificate store has no map and no value that JSON cannot hold"
        );
        let mut text = text.unwrap_or_default();
        text.push('\n');
        text
    }

    /// From a text, which may be laid out in any way. Only the form is checked.
    pub fn from_json(bytes: &[u8]) -> Result<Self, CertificateStoreError> {
        let store: Self = text::read(bytes, CERTIFICATES_BYTES_MAX)?;
        if store.version != CERTIFICATES_VERSION {
            return Err(CertificateStoreError::Version {
                found: store.version,
            });
        }
        Ok(store)
    }
}
