//! `outrider submit`: one opaque transaction.

use crate::failure::Failure;
use crate::output::say;
use crate::verify::read_limited;
use clap::Args;
use outrider_client::Client;
use outrider_types::RollupId;
use outrider_types::limits::TRANSACTION_BYTES_MAX;
use std::path::PathBuf;

/// Submit one transaction, opaque bytes, and print its id.
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
}

impl Submit {
    /// Do it.
    pub async fn run(&self) -> Result<(), Failure> {
        let payload = match (&self.hex, &self.file) {
            (Some(text), _) => from_hex(text)?,
            (None, Some(path)) => read_limited(path, TRANSACTION_BYTES_MAX as u64)?,
            (None, None) => Vec::new(),
        };
        let id = Client::new(&self.rpc)?
            .submit(RollupId(self.rollup), &payload)
            .await?;
        say!("{id}");
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
