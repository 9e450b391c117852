//! `outrider status`: where a transaction is.

use crate::failure::Failure;
use crate::output::say;
use clap::Args;
use outrider_client::Client;
use outrider_types::TransactionId;

/// Ask a member where a transaction is: unknown, pending, or soft-final at a height; and whether L1 has settled it.
#[derive(Debug, Args)]
pub struct Status {
    /// A member's RPC, as http://127.0.0.1:9601.
    #[arg(long)]
    rpc: String,
    /// The transaction's id, or its Ethereum hash at the member that took it.
    id: TransactionId,
}

impl Status {
    /// Do it.
    pub async fn run(&self) -> Result<(), Failure> {
        let status = Client::new(&self.rpc)?.status(self.id).await?;
        say!("{status}");
        Ok(())
    }
}
