//! `outrider proof`: fetch a proof to a file.

use crate::failure::Failure;
use crate::output::say;
use clap::Args;
use outrider_client::{Client, ClientError};
use outrider_types::TransactionId;
use std::path::PathBuf;

/// Fetch the proof that a transaction is final. Check it with `outrider verify`.
#[derive(Debug, Args)]
pub struct Proof {
    /// A member's RPC, as http://127.0.0.1:9601.
    #[arg(long)]
    rpc: String,
    /// The transaction's id, or its Ethereum hash at the member that took it.
    id: TransactionId,
    /// The file to write.
    #[arg(long)]
    out: PathBuf,
}

impl Proof {
    /// Do it.
    pub async fn run(&self) -> Result<(), Failure> {
        let client = Client::new(&self.rpc)?;
        let proof = client
            .proof(self.id)
            .await?
            .ok_or_else(|| ClientError::NoProof {
                url: client.url().to_owned(),
                id: self.id,
            })?;
        std::fs::write(&self.out, proof.to_json()).map_err(Failure::file("write", &self.out))?;
        say!(
            "wrote {}; check it with: outrider verify {0} --committee FILE",
            self.out.display()
        );
        Ok(())
    }
}
