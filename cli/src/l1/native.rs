//! `outrider l1 settle-native`: settle by the certificate of consensus, when too few attest.

use super::Sending;
use crate::failure::Failure;
use crate::output::say;
use crate::verify::read_limited;
use clap::Args;
use outrider_client::{Client, FinalityProof, PROOF_BYTES_MAX};
use outrider_l1::native::{Native, NativeError};
use outrider_l1::state::AnchorState;
use outrider_types::{Block, Committee, Epoch, FinalityCertificate, Height};
use std::path::PathBuf;

/// Blocks below the one asked for whose certificates are looked at, if its own has too many signatures.
const LOOK_BACK_BLOCKS: u64 = 64;

/// Settle a block by the certificate of consensus, when too few attest. Anybody may.
///
/// The block is in the epoch that settles on L1: by default the member's newest, or the last one if the epoch is over. Run it again until
/// L1 is where you want it. What the member says is checked with the committee on L1. It takes commit votes where an L1 transaction
/// could not pay for the votes.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("from-where").required(true).args(["rpc", "proof"])))]
pub struct SettleNative {
    #[command(flatten)]
    sending: Sending,
    /// A member's RPC, as http://127.0.0.1:9601.
    #[arg(long)]
    rpc: Option<String>,
    /// A proof that `outrider proof` wrote: the block of its transaction is settled.
    #[arg(long)]
    proof: Option<PathBuf>,
    /// The block's height; by default the highest that L1 takes now.
    #[arg(long, conflicts_with = "proof")]
    height: Option<u64>,
}

/// A block, the headers from it to a certified one, and what certifies that.
type Certified = (Vec<Block>, FinalityCertificate);

impl SettleNative {
    /// Do it.
    pub async fn run(&self) -> Result<(), Failure> {
        let session = self.sending.open()?;
        let state = session.contracts.latest().await.map_err(Box::new)?;
        let anchor = state.anchor().await.map_err(Box::new)?;
        if !anchor.begun {
            return Err(Failure::L1NotBegun);
        }
        let (_, epoch_blocks) = state.epochs().await.map_err(Box::new)?;
        let record = state.committee(anchor.committee).await.map_err(Box::new)?;
        let record = record.ok_or(Failure::L1NotBegun)?;
        let committee = record.to_committee(session.deployment().chain, epoch_blocks);
        let committee = committee.map_err(Box::new)?;
        let native = match (&self.proof, &self.rpc) {
            (Some(path), _) => of_proof(path, &anchor, &committee)?,
            (None, url) => {
                let client = Client::new(url.as_deref().unwrap_or_default())?;
                self.of_member(&client, &anchor, &committee).await?
            }
        };
        if !session.is_json() {
            let block = native.block();
            say!(
                "height {} of epoch {}, by {} signatures ({:?})",
                block.height,
                block.epoch,
                native.signatures(),
                native.kind()
            );
        }
        session.send(native.call(session.deployment())).await
    }

    async fn of_member(
        &self,
        client: &Client,
        anchor: &AnchorState,
        committee: &Committee,
    ) -> Result<Native, Failure> {
        let current = client.committee().await?.committee.epoch();
        if current > anchor.epoch && self.height.is_none() {
            let end = epoch_end(client, anchor.epoch).await?;
            return settles(end, anchor, committee);
        }
        let mut height = match self.height {
            Some(height) => Height(height),
            None => client.head().await?.height,
        };
        let lowest = Height(height.0.saturating_sub(LOOK_BACK_BLOCKS));
        loop {
            let certified = certified(client, height).await?;
            match settles(certified, anchor, committee) {
                // Below it may be one that commit votes made final.
                Err(Failure::L1Native(error))
                    if self.height.is_none()
                        && height > lowest
                        && height.0 > anchor.height.0 + 1
                        && matches!(*error, NativeError::TooMany { .. }) =>
                {
                    height = Height(height.0 - 1);
                }
                settled => return settled,
            }
        }
    }
}

fn of_proof(
    path: &std::path::Path,
    anchor: &AnchorState,
    committee: &Committee,
) -> Result<Native, Failure> {
    let bytes = read_limited(path, PROOF_BYTES_MAX as u64)?;
    let proof: FinalityProof = serde_json::from_slice(&bytes).map_err(|error| Failure::File {
        act: "read the proof",
        path: path.to_path_buf(),
        error: error.into(),
    })?;
    let headers = [vec![proof.block], proof.path].concat();
    settles((headers, proof.certificate), anchor, committee)
}

/// What L1 says of heights and epochs is asked before it is paid for.
fn settles(
    (headers, certificate): Certified,
    anchor: &AnchorState,
    committee: &Committee,
) -> Result<Native, Failure> {
    if let Some(block) = headers.first()
        && (block.height <= anchor.height || block.epoch != anchor.epoch)
    {
        return Err(Failure::L1NotAbove {
            height: block.height,
            epoch: block.epoch,
            settled: anchor.height,
            wanted: anchor.epoch,
        });
    }
    let native = Native::new(headers, &certificate, committee).map_err(Box::new)?;
    Ok(native)
}

/// The last block of an epoch that is over.
async fn epoch_end(client: &Client, epoch: Epoch) -> Result<Certified, Failure> {
    let ends = client.epoch_ends(epoch).await?;
    let end = ends.into_iter().find(|end| end.last.epoch == epoch);
    let end = end.ok_or_else(|| Failure::L1EpochEnd {
        url: client.url().to_owned(),
        epoch,
    })?;
    Ok(([vec![end.last], end.fillers].concat(), end.certificate))
}

/// The block at a height.
async fn certified(client: &Client, height: Height) -> Result<Certified, Failure> {
    let from = Height(height.0.saturating_sub(1));
    let proof = client.skip_proof(from, Some(height)).await?;
    let header = proof.map(|proof| proof.header);
    let header = header.ok_or_else(|| Failure::NoSkip {
        url: client.url().to_owned(),
        from,
    })?;
    let mut headers = vec![*header.anchor()];
    headers.extend(&header.path);
    headers.retain(|one| one.height >= height);
    Ok((headers, header.certificate))
}
