//! `outrider l1 enqueue`: force a transaction in from L1.

use super::{Sending, Sent, print_json};
use crate::failure::Failure;
use crate::output::say;
use crate::submit::from_hex;
use crate::verify::read_limited;
use clap::Args;
use outrider_client::{Client, Status};
use outrider_l1::event::{Happened, L1Event};
use outrider_types::limits::TRANSACTION_BYTES_MAX;
use outrider_types::{Bytes, RollupId, Transaction, TransactionId};
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;

/// How much longer than to the deadline a member is asked, in seconds: its clock and that of L1 differ.
const BEYOND_S: u64 = 60;

/// Put a transaction into the forced inbox: the committee must include it before its deadline. Anybody may.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("bytes").required(true).args(["data", "file"])))]
pub struct Enqueue {
    #[command(flatten)]
    sending: Sending,
    /// The rollup's id.
    #[arg(long)]
    rollup: u64,
    /// The transaction as it would be sent to a member, in hex.
    #[arg(long)]
    data: Option<String>,
    /// A file with its bytes.
    #[arg(long)]
    file: Option<PathBuf>,
    /// Wait until it is soft-final at the member with this RPC, as http://127.0.0.1:9601.
    #[arg(long)]
    wait: Option<String>,
}

/// What was put in.
#[derive(Debug, Serialize)]
struct Entry {
    #[serde(flatten)]
    sent: Sent,
    /// Its place in the inbox.
    index: u64,
    /// Until when it must be in a block, seconds since the Unix epoch.
    deadline: u64,
    /// Its id.
    id: TransactionId,
    /// Where it is, if that was waited for.
    status: Option<Status>,
}

impl Enqueue {
    /// Do it.
    pub async fn run(&self) -> Result<(), Failure> {
        let data = match (&self.data, &self.file) {
            (Some(text), _) => from_hex(text)?,
            (None, Some(path)) => read_limited(path, TRANSACTION_BYTES_MAX as u64)?,
            (None, None) => Vec::new(),
        };
        let member = self.wait.as_deref().map(Client::new).transpose()?;
        let transaction = Transaction {
            rollup: RollupId(self.rollup),
            data: Bytes::from(data),
        };
        let session = self.sending.open()?;
        let data = transaction.data.clone().into();
        let call = session.deployment().enqueue(transaction.rollup, data);
        let state = session.contracts.latest().await.map_err(Box::new)?;
        let window = state.inbox_window().await.map_err(Box::new)?;
        let sent = session.submit(call, 0).await?;
        session.say_faults();
        let Some(sent) = sent else {
            return Ok(());
        };
        let logs = sent.receipt.logs.iter();
        let entry = logs.filter_map(|log| Happened::read(log, session.deployment()));
        let entry = entry.filter_map(|happened| match happened.event {
            L1Event::Enqueued {
                index, enqueued_at, ..
            } => Some((index, enqueued_at)),
            _ => None,
        });
        let (index, enqueued_at) = entry.last().unwrap_or_default();
        let mut entry = Entry {
            sent,
            index,
            deadline: enqueued_at.saturating_add(window),
            id: transaction.id(),
            status: None,
        };
        if !session.is_json() {
            entry.sent.print(false);
            say!("entry        {index}");
            say!(
                "deadline     {} (seconds since 1970), {window} s after it was put in",
                entry.deadline
            );
            say!("id           {}", entry.id);
        }
        if let Some(member) = member {
            let within = Duration::from_secs(window.saturating_add(BEYOND_S));
            let status = member.wait_soft(entry.id, within).await?;
            entry.status = Some(status);
            if !session.is_json() {
                say!("{status}");
            }
        }
        if session.is_json() {
            print_json(&entry);
        }
        Ok(())
    }
}
