//! `outrider verify`: check a proof with a committee that the user trusts.

use crate::failure::Failure;
use crate::output::say;
use clap::{Args, ValueEnum};
use outrider_client::{
    Checked, CheckedHeader, FinalityProof, HANDOVERS_BYTES_MAX, HandoverFile, LANE_PROOF_BYTES_MAX,
    LaneProof, LaneRangeProof, ProofError, SkipProof, TextError, Trust,
};
use outrider_node::committee_file::CommitteeFile;
use outrider_types::{Committee, Epoch, LaneBlock};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Most bytes of a proof file: a transaction in hex, 1,024 headers and 1,024 signatures fit.
const PROOF_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Check a proof with the committee alone, offline. A proof of a later epoch than the committee's needs the hand-overs too.
///
/// Exit codes: 0 the proof holds, and what it proves is printed; 1 it does not, or a file cannot be read: standard
/// error says why; 2 wrong arguments.
#[derive(Debug, Args)]
pub struct Verify {
    /// The proof.
    file: PathBuf,
    /// What it proves.
    #[arg(long, value_enum, default_value_t)]
    kind: Kind,
    /// The committee file, from somebody you trust: of the proof's epoch, or of an earlier one.
    #[arg(long)]
    committee: PathBuf,
    /// The hand-overs from the committee's epoch to that of the proof, as `outrider epochs` fetches them.
    #[arg(long)]
    epochs: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Kind {
    /// A transaction is final, from `outrider proof`.
    #[default]
    Finality,
    /// What a block holds for a rollup, or that it holds nothing, from `outrider lane prove`.
    Lane,
    /// Nothing is missing between two lane heights, from `outrider lane range`.
    LaneRange,
    /// A block is an ancestor of a later one, from `outrider lane skip`.
    Skip,
}

impl Verify {
    /// Do it.
    pub fn run(&self) -> Result<(), Failure> {
        let mut trust = Trust::new(CommitteeFile::load(&self.committee)?.committee);
        let wrong = proves_nothing(&self.file);
        let said = match self.kind {
            Kind::Finality => {
                let proof = read_limited(&self.file, PROOF_BYTES_MAX)?;
                let anchor = FinalityProof::from_json(&proof).map_err(&wrong)?;
                self.follow(&mut trust, anchor.block.epoch)?;
                let checked = trust.verify_json(&proof).map_err(wrong)?;
                describe(&checked, committee_of(&trust, checked.epoch))
            }
            Kind::Lane => {
                let proof = self.read(LaneProof::from_json)?;
                self.follow(&mut trust, proof.header.anchor().epoch)?;
                let checked = trust.verify_lane(&proof).map_err(wrong)?;
                let (rollup, header) = (checked.rollup, &checked.header);
                let held = checked.lane.as_ref().map(describe_lane);
                format!(
                    "valid: what a final block holds for a rollup\nrollup       {rollup}\n{}\nlane block   {}",
                    describe_header(header, &trust),
                    held.unwrap_or_else(|| "none: the block holds nothing for the rollup".into())
                )
            }
            Kind::LaneRange => {
                let proof = self.read(LaneRangeProof::from_json)?;
                self.follow(&mut trust, proof.last.header.anchor().epoch)?;
                let (lanes, header) = trust.verify_lane_range(&proof).map_err(wrong)?;
                let (first, last) = (
                    lanes.first().map(describe_lane),
                    lanes.last().map(describe_lane),
                );
                format!(
                    "valid: nothing is missing in the lane\nrollup       {}\nlane blocks  {}\nfirst        {}\nlast         {}\n{}",
                    proof.last.rollup,
                    lanes.len(),
                    first.unwrap_or_default(),
                    last.unwrap_or_default(),
                    describe_header(&header, &trust),
                )
            }
            Kind::Skip => {
                let proof = self.read(SkipProof::from_json)?;
                self.follow(&mut trust, proof.header.anchor().epoch)?;
                let checked = trust.verify_skip(&proof).map_err(wrong)?;
                format!(
                    "valid: an ancestor of a final block\n{}",
                    describe_header(&checked, &trust)
                )
            }
        };
        say!("{said}");
        Ok(())
    }

    fn read<T>(&self, read: fn(&[u8]) -> Result<T, TextError>) -> Result<T, Failure> {
        let bytes = read_limited(&self.file, LANE_PROOF_BYTES_MAX as u64)?;
        read(&bytes).map_err(|error| Failure::ProofText {
            path: self.file.clone(),
            error: Box::new(error),
        })
    }

    fn follow(&self, trust: &mut Trust, to: Epoch) -> Result<(), Failure> {
        match &self.epochs {
            Some(path) => follow(path, trust, to),
            None => Ok(()),
        }
    }
}

fn committee_of(trust: &Trust, epoch: Epoch) -> &Committee {
    trust.committee(epoch).unwrap_or(trust.current())
}

fn describe_lane(lane: &LaneBlock) -> String {
    format!(
        "{}-{}, {} transactions behind {}",
        lane.height,
        lane.hash(),
        lane.count,
        lane.first
    )
}

fn describe_header(header: &CheckedHeader, trust: &Trust) -> String {
    let CheckedHeader {
        height,
        block,
        epoch,
        to,
        signed,
    } = header;
    let committee = committee_of(trust, *epoch);
    format!(
        "height       {height}\nblock        {block}\nup to        height {to}, epoch {epoch}\ncertificate  {}, view {}, {} of {} members, stake {} of {}",
        if signed.fast { "fast" } else { "slow" },
        signed.certified_view,
        signed.signers,
        committee.members().len(),
        signed.signed_stake,
        committee.thresholds().total,
    )
}

/// Check a proof file.
pub fn check(path: &Path, trust: &Trust) -> Result<Checked, Failure> {
    let bytes = read_limited(path, PROOF_BYTES_MAX)?;
    trust.verify_json(&bytes).map_err(proves_nothing(path))
}

fn proves_nothing(path: &Path) -> impl Fn(ProofError) -> Failure {
    move |error| Failure::Proof {
        path: path.to_path_buf(),
        error: Box::new(error),
    }
}

/// Follow a file of hand-overs.
pub fn follow(path: &Path, trust: &mut Trust, to: Epoch) -> Result<(), Failure> {
    let bytes = read_limited(path, HANDOVERS_BYTES_MAX as u64)?;
    let file = HandoverFile::from_json(&bytes).map_err(|error| Failure::HandoverFile {
        path: path.to_path_buf(),
        error: Box::new(error),
    })?;
    trust
        .follow_file(file, to)
        .map_err(|error| Failure::Handover {
            path: path.to_path_buf(),
            error: Box::new(error),
        })
}

/// A file that is not larger than it should be.
pub fn read_limited(path: &Path, limit: u64) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limit + 1).read_to_end(&mut bytes))
        .map_err(Failure::file("read", path))?;
    if bytes.len() as u64 > limit {
        return Err(Failure::TooLarge {
            path: path.to_path_buf(),
            limit,
        });
    }
    Ok(bytes)
}

fn describe(checked: &Checked, committee: &Committee) -> String {
    let Checked {
        transaction,
        rollup,
        height,
        epoch,
        block,
        certified_view,
        fast,
        signed_stake,
        signers,
    } = checked;
    format!(
        "valid: soft-final\ntransaction  {transaction}\nrollup       {rollup}\nheight       {height}\nepoch        {epoch}\nblock        {block}\ncertificate  {}, view {certified_view}, {signers} of {} members, stake {signed_stake} of {}",
        if *fast { "fast" } else { "slow" },
        committee.members().len(),
        committee.thresholds().total,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_at_the_limit_is_read_and_one_byte_more_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [0; 8]).unwrap();
        assert_eq!(read_limited(file.path(), 8).unwrap().len(), 8);
        assert!(matches!(
            read_limited(file.path(), 7),
            Err(Failure::TooLarge { limit: 7, .. })
        ));
    }

    #[test]
    fn missing_file_is_named() {
        let error = read_limited(Path::new("/nonexistent/proof.json"), 8).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/proof.json"));
    }
}
