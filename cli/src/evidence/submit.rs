//! `outrider evidence submit|execute|veto`: report an offence to the court on L1, and what becomes of the case.

use super::check;
use crate::failure::Failure;
use crate::l1::Sending;
use crate::verify::read_limited;
use clap::Args;
use outrider_client::{EVIDENCE_BYTES_MAX, EvidenceFile};
use std::path::PathBuf;

/// Report a piece of evidence to the court on L1. It is checked here first.
///
/// The operator is ejected at once; once the veto window is over, anybody can have it slashed (`outrider evidence execute`), and the
/// reporter is rewarded.
#[derive(Debug, Args)]
pub struct Submit {
    /// The evidence.
    file: PathBuf,
    #[command(flatten)]
    sending: Sending,
}

/// Have an operator slashed, once the veto window of its case is over. Anybody may.
#[derive(Debug, Args)]
pub struct Execute {
    /// The case.
    case: u64,
    #[command(flatten)]
    sending: Sending,
}

/// Stop a case within its veto window. Only the vetoer that the contracts name.
///
/// The operator keeps its stake and stays out of committees; the same two statements are never taken again.
#[derive(Debug, Args)]
pub struct Veto {
    /// The case.
    case: u64,
    #[command(flatten)]
    sending: Sending,
}

impl Submit {
    /// Do it.
    pub async fn run(&self) -> Result<(), Failure> {
        let checked = check(&self.file, None)?;
        let bytes = read_limited(&self.file, EVIDENCE_BYTES_MAX as u64)?;
        let file: EvidenceFile =
            serde_json::from_slice(&bytes).map_err(|error| Failure::CandidateFile {
                path: self.file.clone(),
                error,
            })?;
        let session = self.sending.open()?;
        let call = session
            .deployment()
            .report(&checked.public_key, &file.evidence);
        session.send(call).await
    }
}

impl Execute {
    /// Do it.
    pub async fn run(&self) -> Result<(), Failure> {
        let session = self.sending.open()?;
        let call = session
            .deployment()
            .execute(alloy_primitives::U256::from(self.case));
        session.send(call).await
    }
}

impl Veto {
    /// Do it.
    pub async fn run(&self) -> Result<(), Failure> {
        let session = self.sending.open()?;
        let case = alloy_primitives::U256::from(self.case);
        session.send(session.deployment().veto(case)).await
    }
}
