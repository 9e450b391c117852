//! `outrider evidence`: fetch evidence of offences E1 to E5 and check it offline.

mod cases;
mod submit;

use crate::failure::Failure;
use crate::output::say;
use crate::verify::read_limited;
use clap::{Args, Subcommand};
use outrider_client::{
    CERTIFICATES_BYTES_MAX, CertificateStore, CheckedEvidence, Client, EVIDENCE_BYTES_MAX,
    EvidenceFile, offence_name, verify_evidence_json,
};
use outrider_node::committee_file::CommitteeFile;
use outrider_types::codec::EncodeSize;
use outrider_types::{Block, CommitteeId, Epoch};
use std::path::{Path, PathBuf};

/// Most pages that one export fetches: past that, the member is not to be trusted.
const PAGES_MAX: usize = 65_536;

/// Evidence that members broke the protocol, and the certificates that lead to it.
#[derive(Debug, Subcommand)]
pub enum Evidence {
    /// Check a piece of evidence, offline, and say who did what.
    Verify(VerifyEvidence),
    /// Fetch all evidence that a member holds, one file each.
    Export(Export),
    /// Fetch the certificates that a member keeps, for `outrider forensics`.
    Certificates(Certificates),
    /// Report a piece of evidence to the court on L1. It is checked here first.
    ///
    /// The operator is ejected at once; once the veto window is over, anybody can have it slashed (`outrider evidence execute`), and the
    /// reporter is rewarded.
    Submit(Box<submit::Submit>),
    /// Have an operator slashed, once the veto window of its case is over.
    Execute(Box<submit::Execute>),
    /// Stop a case within its veto window. Only the vetoer that the contracts name.
    ///
    /// The operator keeps its stake and stays out of committees; the same two statements are never taken again.
    Veto(Box<submit::Veto>),
    /// List the cases on L1: against whom, how they stand, and from when they can be executed.
    Cases(cases::Cases),
}

/// Check a piece of evidence, offline, and say who did what.
///
/// Exit codes: 0 it is true; 1 it is not, or a file cannot be read: standard error says why; 2 wrong arguments.
#[derive(Debug, Args)]
pub struct VerifyEvidence {
    /// The evidence.
    file: PathBuf,
    /// The committee file of its epoch, from somebody you trust; without it, compare the committee id that is printed.
    #[arg(long)]
    committee: Option<PathBuf>,
}

/// Fetch all evidence that a member holds, one file each. What does not verify is not written.
#[derive(Debug, Args)]
pub struct Export {
    /// A member's RPC, as http://127.0.0.1:9601.
    #[arg(long)]
    rpc: String,
    /// The folder to write to; files of the same name are replaced.
    #[arg(long)]
    out: PathBuf,
}

/// Fetch the certificates that a member keeps, for `outrider forensics`.
#[derive(Debug, Args)]
pub struct Certificates {
    /// A member's RPC, as http://127.0.0.1:9601.
    #[arg(long)]
    rpc: String,
    /// The epoch; by default the one that the member is in.
    #[arg(long)]
    epoch: Option<u64>,
    /// The file to write.
    #[arg(long)]
    out: PathBuf,
}

impl Evidence {
    /// Do it.
    pub async fn run(&self) -> Result<(), Failure> {
        match self {
            Self::Verify(verify) => verify.run(),
            Self::Export(export) => export.run().await,
            Self::Certificates(certificates) => certificates.run().await,
            Self::Submit(submit) => submit.run().await,
            Self::Execute(execute) => execute.run().await,
            Self::Veto(veto) => veto.run().await,
            Self::Cases(cases) => cases.run().await,
        }
    }
}

impl VerifyEvidence {
    fn run(&self) -> Result<(), Failure> {
        let expected = match &self.committee {
            Some(path) => Some(CommitteeFile::load(path)?.committee.id()),
            None => None,
        };
        let checked = check(&self.file, expected)?;
        say!("{}", describe(&checked));
        if expected.is_none() {
            say!(
                "the committee is the one that the file names; compare its id with one that you trust, or pass --committee"
            );
        }
        Ok(())
    }
}

fn check(path: &Path, expected: Option<CommitteeId>) -> Result<CheckedEvidence, Failure> {
    let bytes = read_limited(path, EVIDENCE_BYTES_MAX as u64)?;
    verify_evidence_json(&bytes, expected).map_err(|error| Failure::Evidence {
        path: path.to_path_buf(),
        error: Box::new(error),
    })
}

fn describe(checked: &CheckedEvidence) -> String {
    let CheckedEvidence {
        offence,
        member,
        public_key,
        stake,
        total,
        epoch,
        view,
        committee,
    } = checked;
    format!(
        "guilty: {member} of {offence:?}, {}\nkey          {public_key}\nstake        {stake} of {total}\nepoch        {epoch}\nview         {view}\ncommittee    {committee}",
        offence_name(*offence)
    )
}

impl Export {
    async fn run(&self) -> Result<(), Failure> {
        let client = Client::new(&self.rpc)?;
        std::fs::create_dir_all(&self.out).map_err(Failure::file("create", &self.out))?;
        let mut from: Option<String> = None;
        let mut written = 0;
        for _ in 0..PAGES_MAX {
            let page = client.evidence(from.as_deref()).await?;
            for file in &page.evidence {
                say!("{}", write(&self.out, file)?.display());
                written += 1;
            }
            from = page.next;
            if from.is_none() {
                say!("{written} pieces of evidence");
                return Ok(());
            }
        }
        Err(Failure::Pages {
            url: self.rpc.clone(),
        })
    }
}

/// Write a piece of evidence to a folder, if it holds.
pub fn write(folder: &Path, file: &EvidenceFile) -> Result<PathBuf, Failure> {
    let path = folder.join(file.charge().file_name());
    if let Err(error) = file.verify(None) {
        let error = Box::new(error);
        return Err(Failure::Evidence { path, error });
    }
    std::fs::write(&path, file.to_json()).map_err(Failure::file("write", &path))?;
    Ok(path)
}

impl Certificates {
    async fn run(&self) -> Result<(), Failure> {
        let client = Client::new(&self.rpc)?;
        let mut whole: Option<CertificateStore> = None;
        let mut from: Option<String> = None;
        let mut bytes = 0;
        for _ in 0..PAGES_MAX {
            // Pages of one epoch, even if the member moves on meanwhile.
            let epoch = whole.as_ref().map(|store| store.committee.epoch());
            let epoch = epoch.or(self.epoch.map(Epoch));
            let page = client.certificates(epoch, from.as_deref()).await?;
            // In JSON everything takes at least twice as much.
            let headers = page.store.headers.len() * Block::BYTES;
            let certificates = page.store.certificates.iter().map(EncodeSize::encode_size);
            bytes += 2 * (headers + certificates.sum::<usize>());
            if bytes > CERTIFICATES_BYTES_MAX {
                return Err(self.too_large());
            }
            match &mut whole {
                None => whole = Some(page.store),
                Some(store) => {
                    store.headers.extend(page.store.headers);
                    store.certificates.extend(page.store.certificates);
                }
            }
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        let Some(store) = whole.filter(|_| from.is_none()) else {
            return Err(Failure::Pages {
                url: self.rpc.clone(),
            });
        };
        let text = store.to_json();
        if text.len() > CERTIFICATES_BYTES_MAX {
            return Err(self.too_large());
        }
        std::fs::write(&self.out, text).map_err(Failure::file("write", &self.out))?;
        say!(
            "wrote {}: epoch {}, {} certificates, {} headers",
            self.out.display(),
            store.committee.epoch(),
            store.certificates.len(),
            store.headers.len()
        );
        Ok(())
    }

    fn too_large(&self) -> Failure {
        Failure::TooLarge {
            path: self.out.clone(),
            limit: CERTIFICATES_BYTES_MAX as u64,
        }
    }
}

#[cfg(test)]
mod tests;
