//! `outrider forensics`: who made two conflicting blocks final.

use crate::evidence;
use crate::failure::Failure;
use crate::output::say;
use crate::verify::read_limited;
use clap::Args;
use outrider_client::{
    CERTIFICATES_BYTES_MAX, CertificateStore, EvidenceFile, FinalityProof, PROOF_BYTES_MAX,
    Verdict, investigate, offence_name, verify_json,
};
use outrider_node::committee_file::CommitteeFile;
use outrider_types::Committee;
use std::path::{Path, PathBuf};

/// Name the members that made two conflicting blocks final, offline.
///
/// Exit codes: 0 the proofs conflict, and stake of at least f+1 is proven guilty; 1 they do not conflict, more
/// certificates are needed, or a file is not valid: standard error says which; 2 wrong arguments.
#[derive(Debug, Args)]
pub struct Forensics {
    /// A proof of finality, as `outrider proof` writes it.
    first: PathBuf,
    /// Another, of a block that conflicts with it.
    second: PathBuf,
    /// Certificates that an honest member kept, as `outrider evidence certificates` writes them. May be repeated.
    #[arg(long)]
    certificates: Vec<PathBuf>,
    /// The committee file of the epoch, from somebody you trust; without it, the committee that the certificates name.
    #[arg(long)]
    committee: Option<PathBuf>,
    /// Write the evidence to this folder, one file each.
    #[arg(long)]
    out: Option<PathBuf>,
}

impl Forensics {
    /// Do it.
    pub fn run(&self) -> Result<(), Failure> {
        let mut stores = Vec::with_capacity(self.certificates.len());
        for path in &self.certificates {
            stores.push(load_store(path)?);
        }
        let committee = self.committee(&stores)?;
        let first = load_proof(&self.first, &committee)?;
        let second = load_proof(&self.second, &committee)?;
        let verdict = investigate(&committee, &first, &second, &stores)
            .map_err(|error| Failure::Forensics(Box::new(error)))?;
        say!("{}", describe(&verdict, &committee));
        if let Some(folder) = &self.out {
            write(folder, &verdict, &committee)?;
        }
        if self.committee.is_none() {
            say!(
                "the committee is the one that the certificates name; compare its id with one that you trust, or pass --committee"
            );
        }
        if verdict.complete() {
            Ok(())
        } else {
            Err(Failure::TooFewGuilty {
                stake: verdict.stake,
                needed: verdict.needed,
            })
        }
    }

    fn committee(&self, stores: &[CertificateStore]) -> Result<Committee, Failure> {
        match (&self.committee, stores.first()) {
            (Some(path), _) => Ok(CommitteeFile::load(path)?.committee),
            (None, Some(store)) => Ok(store.committee.clone()),
            (None, None) => Err(Failure::WhichCommittee),
        }
    }
}

fn load_store(path: &Path) -> Result<CertificateStore, Failure> {
    let bytes = read_limited(path, CERTIFICATES_BYTES_MAX as u64)?;
    CertificateStore::from_json(&bytes).map_err(|error| Failure::CertificateStore {
        path: path.to_path_buf(),
        error: Box::new(error),
    })
}

/// A proof whose text is canonical and that holds, if it is of this committee; of another one only its form is checked.
fn load_proof(path: &Path, committee: &Committee) -> Result<FinalityProof, Failure> {
    let bytes = read_limited(path, PROOF_BYTES_MAX as u64)?;
    let failure = |error| Failure::Proof {
        path: path.to_path_buf(),
        error: Box::new(error),
    };
    let proof = FinalityProof::from_json(&bytes).map_err(failure)?;
    if proof.committee == committee.id() {
        verify_json(committee, &bytes).map_err(failure)?;
    }
    Ok(proof)
}

fn describe(verdict: &Verdict, committee: &Committee) -> String {
    let Verdict {
        conflict,
        guilty,
        stake,
        needed,
        total,
        certificates,
        passed_over,
    } = verdict;
    let mut lines = vec![
        format!(
            "fork in epoch {}, height {}",
            conflict.epoch, conflict.height
        ),
        format!("block        {}", conflict.first),
        format!("block        {}", conflict.second),
        format!("views        {} and {}", conflict.views.0, conflict.views.1),
        format!("committee    {}", committee.id()),
        format!(
            "examined     {certificates} certificates, {passed_over} of other views passed over"
        ),
    ];
    for member in guilty {
        let deeds: Vec<String> = member
            .evidence
            .iter()
            .map(|evidence| {
                let offence = evidence.offence();
                let view = outrider_client::Charge::of(evidence).view;
                format!("{offence:?} {} in view {view}", offence_name(offence))
            })
            .collect();
        lines.push(format!(
            "guilty       {} (key {}, stake {}): {}",
            member.member,
            member.public_key,
            member.stake,
            deeds.join("; ")
        ));
    }
    lines.push(format!(
        "guilty stake {stake} of {total}; a fork takes f+1 = {needed}"
    ));
    lines.join("\n")
}

fn write(folder: &Path, verdict: &Verdict, committee: &Committee) -> Result<(), Failure> {
    std::fs::create_dir_all(folder).map_err(Failure::file("create", folder))?;
    for evidence in verdict.guilty.iter().flat_map(|guilty| &guilty.evidence) {
        let file = EvidenceFile::new(committee.clone(), evidence.clone());
        say!("wrote {}", evidence::write(folder, &file)?.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
