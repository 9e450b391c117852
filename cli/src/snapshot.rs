//! `outrider snapshot`: make a snapshot of the chain, check it, start a new member from it.

use crate::failure::Failure;
use crate::output::say;
use clap::{Args, Subcommand};
use outrider_client::{Client, SnapshotItem, SnapshotVerifier};
use outrider_node::committee_file::CommitteeFile;
use outrider_node::snapshot::{
    SnapshotFileError, SnapshotWriter, Summary, create_from, install_in, verify,
};
use outrider_types::{Epoch, Height};
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};

/// Snapshots: a new member starts from a final block instead of replaying the chain.
#[derive(Debug, Subcommand)]
pub enum Snapshot {
    /// Make a snapshot of a member's chain.
    Create(Create),
    /// Check a snapshot with the genesis committee, and compare what it cannot prove with members.
    Verify(VerifySnapshot),
    /// Check a snapshot and put it into the data folder of a new member.
    Install(Install),
}

/// Make a snapshot of a member's chain, from its RPC while it runs or from its data folder while it does not. What is
/// written is checked.
#[derive(Debug, Args)]
pub struct Create {
    /// A running member's RPC, as http://127.0.0.1:9601.
    #[arg(long, required_unless_present = "data_dir")]
    rpc: Option<String>,
    /// The data folder of a member that does not run.
    #[arg(long, conflicts_with = "rpc")]
    data_dir: Option<PathBuf>,
    /// The committee file of the network (genesis), from somebody you trust.
    #[arg(long)]
    committee: PathBuf,
    /// The file to write.
    #[arg(long)]
    out: PathBuf,
}

/// Check a snapshot.
///
/// Committees, blocks and transactions of the last 100,000 blocks are proven by signatures and hashes, offline. How many
/// transactions each rollup has is proven only if the snapshot reaches the first block; else name members with --against.
///
/// Exit codes: 0 it is a snapshot of this chain, and all members named agree; 1 it is not, or one does not; 2 wrong
/// arguments.
#[derive(Debug, Args)]
pub struct VerifySnapshot {
    /// The snapshot.
    file: PathBuf,
    /// The committee file of the network (genesis), from somebody you trust.
    #[arg(long)]
    committee: PathBuf,
    /// The RPC of a member to compare with; give f+1 of them, of different operators.
    #[arg(long, value_name = "URL")]
    against: Vec<String>,
}

/// Check a snapshot and put it into the data folder of a new member. Nothing is overwritten.
#[derive(Debug, Args)]
pub struct Install {
    /// The snapshot.
    file: PathBuf,
    /// The data folder, as `node.data_dir` names it.
    #[arg(long)]
    data_dir: PathBuf,
    /// The committee file of the network (genesis), as `node.committee` names it.
    #[arg(long)]
    committee: PathBuf,
}

impl Snapshot {
    /// Do it.
    pub async fn run(&self) -> Result<(), Failure> {
        match self {
            Self::Create(create) => create.run().await,
            Self::Verify(verify) => verify.run().await,
            Self::Install(install) => install.run(),
        }
    }
}

fn open(path: &Path) -> Result<BufReader<File>, Failure> {
    let file = File::open(path).map_err(Failure::file("read", path))?;
    Ok(BufReader::new(file))
}

fn describe(summary: &Summary) -> String {
    let checkpoint = &summary.checkpoint;
    format!(
        "height       {}\nblock        {}\nepoch        {}\nwindow       from height {}\ntransactions {} of {} rollups, {}",
        checkpoint.block.height,
        checkpoint.block.id(),
        checkpoint.block.epoch,
        checkpoint.first,
        checkpoint.transactions,
        checkpoint.rollups,
        if summary.counters_proven {
            "proven"
        } else {
            "not proven: compare with members (outrider snapshot verify --against)"
        }
    )
}

impl Create {
    async fn run(&self) -> Result<(), Failure> {
        let file = CommitteeFile::load(&self.committee)?;
        if self.out.exists() {
            return Err(Failure::Exists(self.out.clone()));
        }
        let out = File::create(&self.out).map_err(Failure::file("create", &self.out))?;
        let out = BufWriter::new(out);
        let made = match &self.data_dir {
            Some(data_dir) => create_from(data_dir, &file, out).map_err(Failure::from),
            None => {
                let rpc = self.rpc.as_deref().unwrap_or_default();
                fetch(rpc, &file, out).await
            }
        };
        match made {
            Ok(summary) => {
                say!("wrote {}\n{}", self.out.display(), describe(&summary));
                Ok(())
            }
            Err(failure) => {
                // Half a snapshot serves nobody.
                let _ = std::fs::remove_file(&self.out);
                Err(failure)
            }
        }
    }
}

/// Fetch a snapshot from a running member, checking it item by item.
async fn fetch(rpc: &str, file: &CommitteeFile, out: BufWriter<File>) -> Result<Summary, Failure> {
    let client = Client::new(rpc)?;
    let mut writer = SnapshotWriter::new(out)?;
    let mut verifier = SnapshotVerifier::new(&file.committee);
    let mut take = |item: SnapshotItem| -> Result<(), Failure> {
        writer.put(&item)?;
        verifier.take(item).map_err(SnapshotFileError::from)?;
        Ok(())
    };
    let head = client.snapshot(None).await?;
    let Some(SnapshotItem::Checkpoint(checkpoint)) = head.first() else {
        return Err(Failure::Pages {
            url: rpc.to_owned(),
        });
    };
    let checkpoint = (**checkpoint).clone();
    let (mut epoch, mut epochs_ended) = (file.committee.epoch(), 0);
    while epoch < checkpoint.block.epoch {
        let ends = client.epoch_ends(epoch).await?;
        if ends.is_empty() {
            break;
        }
        for end in ends {
            epoch = Epoch(epoch.0.saturating_add(1));
            if epoch <= checkpoint.block.epoch {
                epochs_ended += 1;
                take(SnapshotItem::EpochEnd(Box::new(end)))?;
            }
        }
    }
    head.into_iter().try_for_each(&mut take)?;
    let (mut from, first) = (checkpoint.block.height, checkpoint.first);
    while from >= first {
        let page = client.snapshot(Some((from, first))).await?;
        if page.is_empty() {
            return Err(Failure::Pages {
                url: rpc.to_owned(),
            });
        }
        for item in page {
            from = Height(from.0.saturating_sub(1));
            take(item)?;
        }
    }
    verifier.finish().map_err(SnapshotFileError::from)?;
    writer.finish()?;
    Ok(Summary {
        checkpoint,
        epochs_ended,
        counters_proven: verifier.counters_proven(),
        digest: verifier.digest(),
    })
}

impl VerifySnapshot {
    async fn run(&self) -> Result<(), Failure> {
        let committee = CommitteeFile::load(&self.committee)?.committee;
        let summary = verify(&committee, open(&self.file)?)?;
        say!("a snapshot of this chain\n{}", describe(&summary));
        let Some((height, digest)) = summary.digest else {
            return Ok(());
        };
        let expected = hex::encode(digest);
        say!("digest       {expected} at height {height}");
        for url in &self.against {
            let found = Client::new(url)?.state_digest(height).await?;
            match found {
                Some(found) if found == expected => say!("agrees       {url}"),
                found => {
                    return Err(Failure::Digest {
                        url: url.clone(),
                        height,
                        expected,
                        found: found.unwrap_or_else(|| "nothing".to_owned()),
                    });
                }
            }
        }
        Ok(())
    }
}

impl Install {
    fn run(&self) -> Result<(), Failure> {
        let file = CommitteeFile::load(&self.committee)?;
        let input = open(&self.file)?;
        std::fs::create_dir_all(&self.data_dir)
            .map_err(Failure::file("create the folder", &self.data_dir))?;
        let summary = install_in(&self.data_dir, &file, input)?;
        say!(
            "installed in {}\n{}",
            self.data_dir.display(),
            describe(&summary)
        );
        Ok(())
    }
}
