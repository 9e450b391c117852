//! `outrider lane`: the order of one rollup, followed and proven.

use crate::failure::Failure;
use crate::output::{say, tell};
use clap::{Args, Subcommand};
use outrider_client::{CheckedLane, Client, ClientError, LaneData, LaneFollower, LaneFrom, Trust};
use outrider_node::committee_file::CommitteeFile;
use outrider_types::{Height, LaneHeight, RollupId};
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

/// After an error that may pass, it is tried again after this time.
const PAUSE: Duration = Duration::from_millis(200);

/// The lane of a rollup: its lane blocks, one for each block that orders something for it.
#[derive(Debug, Subcommand)]
pub enum Lane {
    /// Where a lane ends at a member: its word.
    Show(Show),
    /// Follow a lane, and prove each lane block with the committee file.
    Follow(Follow),
    /// Fetch the proof of what a block holds for a rollup, or that it holds nothing, to a file.
    Prove(Prove),
    /// Fetch the proof that nothing is missing between two lane heights to a file.
    Range(Range),
    /// Fetch the proof that a block is an ancestor of a later one to a file.
    Skip(Skip),
}

#[derive(Debug, Args)]
pub struct Show {
    /// A member's RPC, as http://127.0.0.1:9601.
    #[arg(long)]
    rpc: String,
    /// The rollup's id.
    #[arg(long)]
    rollup: u64,
}

/// Prints a line for each lane block, in order, each once, without a gap, and only what is proven:
/// CURSOR height H transactions N (first F). The cursor of the last line is where to go on with --from, at any member.
///
/// When a member fails, the next --rpc is asked, for as long as it takes.
///
/// Exit codes: 0 reached --to, or stopped by SIGINT or SIGTERM; 1 a member said something that does not hold, or forgot what was asked
/// for, standard error says what; 2 wrong arguments.
#[derive(Debug, Args)]
pub struct Follow {
    /// A member's RPC, as http://127.0.0.1:9601; more of them are asked when it fails.
    #[arg(long, required = true)]
    rpc: Vec<String>,
    /// The rollup's id.
    #[arg(long)]
    rollup: u64,
    /// The committee file, from somebody you trust.
    #[arg(long)]
    committee: PathBuf,
    /// Where to begin: a lane height, `head`, or the cursor of the lane block that was read last.
    #[arg(long, default_value = "1")]
    from: LaneFrom,
    /// The last lane height to follow to.
    #[arg(long)]
    to: Option<u64>,
    /// Print JSON, with header and transactions.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct Prove {
    /// A member's RPC, as http://127.0.0.1:9601.
    #[arg(long)]
    rpc: String,
    /// The rollup's id.
    #[arg(long)]
    rollup: u64,
    /// Height of the block.
    #[arg(long)]
    height: u64,
    /// The file to write.
    #[arg(long)]
    out: PathBuf,
}

#[derive(Debug, Args)]
pub struct Range {
    /// A member's RPC, as http://127.0.0.1:9601.
    #[arg(long)]
    rpc: String,
    /// The rollup's id.
    #[arg(long)]
    rollup: u64,
    /// The first lane height.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// The last lane height, at most 4,096 further; by default the end of the lane.
    #[arg(long)]
    to: Option<u64>,
    /// The file to write.
    #[arg(long)]
    out: PathBuf,
}

#[derive(Debug, Args)]
pub struct Skip {
    /// A member's RPC, as http://127.0.0.1:9601.
    #[arg(long)]
    rpc: String,
    /// Height of the earlier block.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Height of the later block; by default the last final one.
    #[arg(long)]
    to: Option<u64>,
    /// The file to write.
    #[arg(long)]
    out: PathBuf,
}

impl Lane {
    /// Do it.
    pub async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Show(show) => show.run().await,
            Self::Follow(follow) => tokio::select! {
                biased;
                signal = crate::signal::ended() => signal,
                done = follow.run() => done,
            },
            Self::Prove(prove) => prove.run().await,
            Self::Range(range) => range.run().await,
            Self::Skip(skip) => skip.run().await,
        }
    }
}

impl Show {
    async fn run(&self) -> Result<(), Failure> {
        let client = Client::new(&self.rpc)?;
        let tip = client.lane_tip(RollupId(self.rollup)).await?;
        say!(
            "lane blocks   {}\ntransactions  {}\ncursor        {}",
            tip.height,
            tip.transactions,
            LaneFrom::After(tip.height, tip.hash)
        );
        Ok(())
    }
}

impl Follow {
    async fn run(&self) -> Result<(), Failure> {
        let mut trust = Trust::new(CommitteeFile::load(&self.committee)?.committee);
        let clients: Vec<Client> = self
            .rpc
            .iter()
            .map(|url| Client::new(url))
            .collect::<Result<_, _>>()?;
        let mut asked = clients.iter().cycle();
        let (mut client, mut from) = (asked.next(), self.from);
        while let Some(member) = client {
            let mut follower = LaneFollower::new(member.url(), RollupId(self.rollup), from);
            let stopped = loop {
                if self.is_done(from) {
                    return Ok(());
                }
                match proven(member, &mut follower, &mut trust).await {
                    Ok((data, checked)) => {
                        from = LaneFrom::After(data.lane.height, data.lane.hash());
                        self.tell_of(&data, &checked);
                    }
                    Err(error) => break error,
                }
            };
            if !stopped.retry_helps() {
                return Err(stopped.into());
            }
            if from == LaneFrom::Head {
                from = follower.from();
            }
            tell!("outrider: waiting: {stopped}");
            tokio::time::sleep(PAUSE).await;
            client = asked.next();
        }
        Ok(())
    }

    fn is_done(&self, from: LaneFrom) -> bool {
        let LaneFrom::After(height, _) = from else {
            return false;
        };
        self.to.is_some_and(|to| height.0 >= to)
    }

    fn tell_of(&self, data: &LaneData, checked: &CheckedLane) {
        let LaneData {
            lane,
            header,
            transactions,
        } = data;
        let cursor = LaneFrom::After(lane.height, lane.hash()).to_string();
        if self.json {
            let transactions: Vec<String> = transactions
                .iter()
                .map(|data| format!("0x{}", hex::encode(data)))
                .collect();
            let line = json!({
                "cursor": cursor, "lane": lane, "header": header, "signed": checked.header.signed, "transactions": transactions,
            });
            say!("{line}");
        } else {
            say!(
                "{cursor} height {} transactions {} (first {})",
                header.height,
                lane.count,
                lane.first
            );
        }
    }
}

/// The next lane block, proven.
async fn proven(
    client: &Client,
    follower: &mut LaneFollower,
    trust: &mut Trust,
) -> Result<(LaneData, CheckedLane), ClientError> {
    let data = follower.next().await?;
    let (_, checked) = client.verify_lane_data(&data, trust).await?;
    Ok((data, checked))
}

impl Prove {
    async fn run(&self) -> Result<(), Failure> {
        let (rollup, height) = (RollupId(self.rollup), Height(self.height));
        let client = Client::new(&self.rpc)?;
        let proof = client.lane_proof(rollup, height).await?;
        let proof = proof.ok_or_else(|| ClientError::NoLaneProof {
            url: client.url().to_owned(),
            rollup,
            height,
        })?;
        write(&self.out, "lane", &proof.to_json())
    }
}

impl Range {
    async fn run(&self) -> Result<(), Failure> {
        let (rollup, from) = (RollupId(self.rollup), LaneHeight(self.from));
        let client = Client::new(&self.rpc)?;
        let tip = client.lane_tip(rollup).await?.height;
        let to = self.to.map_or(tip, LaneHeight);
        let proof = client.lane_range_proof(rollup, from, to).await?;
        let proof = proof.ok_or_else(|| Failure::NoRange {
            url: client.url().to_owned(),
            rollup,
            from,
            to,
        })?;
        write(&self.out, "lane-range", &proof.to_json())
    }
}

impl Skip {
    async fn run(&self) -> Result<(), Failure> {
        let client = Client::new(&self.rpc)?;
        let proof = client.skip_proof(Height(self.from), self.to.map(Height));
        let proof = proof.await?.ok_or_else(|| Failure::NoSkip {
            url: client.url().to_owned(),
            from: Height(self.from),
        })?;
        write(&self.out, "skip", &proof.to_json())
    }
}

fn write(out: &PathBuf, kind: &str, text: &str) -> Result<(), Failure> {
    std::fs::write(out, text).map_err(Failure::file("write", out))?;
    say!(
        "wrote {}; check it with: outrider verify {0} --kind {kind} --committee FILE",
        out.display()
    );
    Ok(())
}
