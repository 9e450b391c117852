//! `outrider submit`: one opaque transaction.

use crate::failure::Failure;
use crate::output::say;
use crate::verify::read_limited;
use clap::{Args, ValueEnum};
use outrider_client::{Client, Finality};
use outrider_types::RollupId;
use outrider_types::limits::TRANSACTION_BYTES_MAX;
use std::path::PathBuf;
use std::time::Duration;

/// Submit one transaction, opaque bytes, and print its id; with --wait, also where it is once it is so final.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("bytes").required(true).args(["hex", "file"])))]
pub struct Submit {
    /// A member's RPC, as http://127.0.0.1:9601.
    #[arg(long)]
    rpc: String,
    /// The rollup's id.
    #[arg(long)]
    rollup: u64,
    /// The bytes, in hex.
    #[arg(long)]
    hex: Option<String>,
    /// A file with the bytes.
    #[arg(long)]
    file: Option<PathBuf>,
    /// Wait until it is so final. Settled and final are for networks that settle on L1.
    #[arg(long)]
    wait: Option<Wait>,
    /// With --wait: at most for so many seconds.
    #[arg(long, requires = "wait", default_value_t = 600)]
    timeout_s: u64,
}

/// How final.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Wait {
    /// A certificate says so.
    Soft,
    /// L1 has settled it.
    Settled,
    /// In a block of L1 that is final there.
    Final,
}

impl From<Wait> for Finality {
    fn from(wait: Wait) -> Self {
        match wait {
            Wait::Soft => Self::Soft,
            Wait::Settled => Self::Settled,
            Wait::Final => Self::Final,
        }
    }
}

impl Submit {
    /// Do it.
    pub async fn run(&self) -> Result<(), Failure> {
        let payload = match (&self.hex, &self.file) {
            (Some(text), _) => from_hex(text)?,
            (None, Some(path)) => read_limited(path, TRANSACTION_BYTES_MAX as u64)?,
            (None, None) => Vec::new(),
        };
        let client = Client::new(&self.rpc)?;
        let id = client.submit(RollupId(self.rollup), &payload).await?;
        say!("{id}");
        if let Some(wait) = self.wait {
            let timeout = Duration::from_secs(self.timeout_s);
            say!("{}", client.wait(id, wait.into(), timeout).await?);
        }
        Ok(())
    }
}

/// Bytes in hex, with or without 0x.
pub fn from_hex(text: &str) -> Result<Vec<u8>, Failure> {
    let text = text.trim();
    hex::decode(text.strip_prefix("0x").unwrap_or(text)).map_err(Failure::Hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_with_and_without_prefix_is_read() {
        assert_eq!(from_hex("0x00ff").unwrap(), [0, 255]);
        assert_eq!(from_hex(" 00FF\n").unwrap(), [0, 255]);
        assert!(matches!(from_hex("0x0"), Err(Failure::Hex(_))));
        assert!(matches!(from_hex("zz"), Err(Failure::Hex(_))));
    }
}
