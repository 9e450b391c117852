//! `outrider verify-order`: whether the committee obeyed the ordering policy of a rollup.

use crate::failure::Failure;
use crate::output::say;
use clap::Args;
use outrider_client::{Client, OrderAudit, Trust};
use outrider_node::committee_file::CommitteeFile;
use outrider_types::{LaneHeight, RollupId};
use std::path::PathBuf;

/// Prove that final blocks obey the ordering policy of a rollup, and that the bundles in them are whole.
///
/// The member at --rpc serves transactions and proofs and is not believed: all is checked against headers that the committee signed,
/// the policy too. Prints a line for each lane block.
///
/// Exit codes: 0 all of them obey; 1 standard error says which one does not, or what could not be shown; 2 wrong arguments.
#[derive(Debug, Args)]
pub struct VerifyOrder {
    /// A member's RPC, as http://127.0.0.1:9601.
    #[arg(long)]
    rpc: String,
    /// The rollup's id.
    #[arg(long)]
    rollup: u64,
    /// The committee file, from somebody you trust.
    #[arg(long)]
    committee: PathBuf,
    /// The first lane height.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// The last lane height; by default the end of the lane.
    #[arg(long)]
    to: Option<u64>,
}

impl VerifyOrder {
    /// Do it.
    pub async fn run(&self) -> Result<(), Failure> {
        let trust = Trust::new(CommitteeFile::load(&self.committee)?.committee);
        let client = Client::new(&self.rpc)?;
        let (from, to) = (LaneHeight(self.from), self.to.map(LaneHeight));
        let mut audit = OrderAudit::new(client, trust, RollupId(self.rollup), from, to).await?;
        let mut blocks = 0_u64;
        while let Some(order) = audit.next().await? {
            blocks += 1;
            let (header, lane) = (order.checked.header, order.checked.lane);
            let (at, count) = lane.map_or((0, 0), |lane| (lane.height.0, lane.count));
            let parts = match order.parts {
                0 => String::new(),
                parts => format!(", {parts} of them parts of whole bundles"),
            };
            say!(
                "lane block {at} height {} {}: {count} transactions in order{parts}",
                header.height,
                order.policy
            );
        }
        say!("valid: {blocks} lane blocks obey the policy");
        Ok(())
    }
}
