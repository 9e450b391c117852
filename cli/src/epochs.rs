//! `outrider epochs`: fetch the hand-overs between epochs to a file.

use crate::failure::Failure;
use crate::output::say;
use clap::Args;
use outrider_client::{Client, FOLLOW_REQUESTS_MAX, HANDOVERS_BYTES_MAX, HandoverFile};
use outrider_types::{Epoch, EpochEnd};
use std::path::{Path, PathBuf};

/// Fetch the hand-overs between epochs, by which `outrider verify --epochs` checks proofs of later epochs than that of the
/// committee file. They are checked there, not here.
#[derive(Debug, Args)]
pub struct Epochs {
    /// A member's RPC, as http://127.0.0.1:9601.
    #[arg(long)]
    rpc: String,
    /// The epoch of the committee file that you trust.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// The file to write.
    #[arg(long)]
    out: PathBuf,
}

impl Epochs {
    /// Do it.
    pub async fn run(&self) -> Result<(), Failure> {
        let client = Client::new(&self.rpc)?;
        let ends = fetch(&client, Epoch(self.from)).await?;
        let last = ends.last().map(|end| end.last.epoch.next());
        write(&self.out, ends)?;
        match last {
            Some(last) => say!(
                "wrote {}: from epoch {} to epoch {last}",
                self.out.display(),
                self.from
            ),
            None => say!(
                "wrote {}: epoch {} is not over there",
                self.out.display(),
                self.from
            ),
        }
        Ok(())
    }
}

/// The ends of all epochs from this one on that are over.
pub async fn fetch(client: &Client, from: Epoch) -> Result<Vec<EpochEnd>, Failure> {
    let mut ends: Vec<EpochEnd> = Vec::new();
    for _ in 0..FOLLOW_REQUESTS_MAX {
        let next = ends.last().map_or(from, |end| end.last.epoch.next());
        let page = client.epoch_ends(next).await?;
        if page.is_empty() {
            return Ok(ends);
        }
        ends.extend(page);
    }
    Err(Failure::Pages {
        url: client.url().to_owned(),
    })
}

/// Write them to a file.
pub fn write(path: &Path, ends: Vec<EpochEnd>) -> Result<(), Failure> {
    let file = HandoverFile::new(ends).map_err(|error| Failure::HandoverFile {
        path: path.to_path_buf(),
        error: Box::new(error),
    })?;
    let text = file.to_json();
    if text.len() > HANDOVERS_BYTES_MAX {
        return Err(Failure::Handovers {
            bytes: text.len(),
            limit: HANDOVERS_BYTES_MAX,
        });
    }
    std::fs::write(path, text).map_err(Failure::file("write", path))
}
