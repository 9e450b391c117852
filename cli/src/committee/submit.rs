//! `outrider committee submit`: hand a change with enough approvals to the network.

use super::change::ChangeFile;
use super::current::Current;
use super::words::tally;
use crate::failure::Failure;
use crate::output::say;
use clap::Args;
use outrider_client::Client;
use std::path::PathBuf;

/// Check a change and hand it to a member, which hands it on. It takes effect at the end of the epoch.
///
/// Exit codes: 0 the member took it; 1 it is not valid, or stake is missing, or the member refused: standard error says
/// why; 2 wrong arguments.
#[derive(Debug, Args)]
pub struct Submit {
    /// The change; of copies that were approved apart, all of them.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// A member's RPC, as http://127.0.0.1:9601.
    #[arg(long)]
    rpc: String,
}

impl Submit {
    /// Do it.
    pub async fn run(&self) -> Result<(), Failure> {
        let mut merged: Option<ChangeFile> = None;
        for path in &self.files {
            let file = ChangeFile::load(path)?;
            match &mut merged {
                None => merged = Some(file),
                Some(merged) => merged.merge(&file, path)?,
            }
        }
        // The arguments require one.
        let Some(file) = merged else {
            return Ok(());
        };
        let client = Client::new(&self.rpc)?;
        let answer = client.committee().await?;
        let last = answer.last_height;
        let current = Current::told(answer)?;
        let found = file.check(&current)?;
        say!("{}", tally(&file, &current, found));
        file.complete(&current)?;
        client.submit_change(&file.change).await?;
        let epoch = file.change.next.epoch();
        match last {
            Some(last) => {
                say!("submitted: epoch {epoch} begins above height {last} with this committee")
            }
            None => say!("submitted: epoch {epoch} begins with this committee"),
        }
        Ok(())
    }
}
