//! `outrider committee approve`: a member's signature under a change, after it was shown.

use super::change::{ChangeError, ChangeFile};
use super::current::Known;
use super::words::{describe, tally};
use crate::failure::Failure;
use crate::output::{say, tell};
use crate::password;
use clap::Args;
use std::io::IsTerminal as _;
use std::path::PathBuf;

/// Print what a change changes, ask, and add the approval of the member with the key.
///
/// Exit codes: 0 the approval is in the file; 1 the file or an approval in it is wrong, or you said no: standard error says
/// why, and the file is as it was; 2 wrong arguments.
#[derive(Debug, Args)]
pub struct Approve {
    /// The change.
    file: PathBuf,
    /// The member's key file.
    #[arg(long)]
    key: PathBuf,
    #[command(flatten)]
    known: Known,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

impl Approve {
    /// Do it.
    pub async fn run(&self) -> Result<(), Failure> {
        let key = password::load(&self.key)?;
        let current = self.known.current().await?;
        let mut file = ChangeFile::load(&self.file)?;
        let found = file.check(&current)?;
        say!("{}", describe(&file, &current).trim_end());
        say!("{}", tally(&file, &current, found));
        if !self.yes {
            confirm()?;
        }
        let member = file.approve(&current, &key)?;
        let found = file.check(&current)?;
        file.save(&self.file)?;
        say!("{} approves", current.name(member));
        say!("{}", tally(&file, &current, found));
        Ok(())
    }
}

fn confirm() -> Result<(), ChangeError> {
    if !std::io::stdin().is_terminal() {
        return Err(ChangeError::NoTerminal);
    }
    tell!("approve? type yes");
    let mut answer = String::new();
    match std::io::stdin().read_line(&mut answer) {
        Ok(_) if answer.trim() == "yes" => Ok(()),
        _ => Err(ChangeError::Declined),
    }
}
