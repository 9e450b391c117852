//! `outrider load`: transactions at a fixed rate, and the time from when each was due to its soft-finality.
//!
//! ```text
//! schedule (fixed in advance) --pacer--> lane of a member --requests, side by side--> member
//!        due time of each                                                             |
//!        Tracker <--acknowledged, refused-- lane                                      |
//!                <--in a final block-- follower of each member <----------------------+
//! ```
//!
//! A request of one transaction is an `outrider_submit` over a WebSocket; one of more is an HTTP body. It leaves when its
//! last transaction is due.
//!
//! The load is open-loop: a slow member does not slow the schedule, and latency counts from the time at which a
//! transaction was due, so waiting inside this program counts too.

mod cpu;
mod lanes;
mod plan;
mod report;
mod tracker;

use crate::failure::Failure;
use crate::folder::Network;
use crate::numbers::duration;
use crate::output::say;
use clap::Args;
use cpu::Cpu;
use indicatif::{ProgressBar, ProgressStyle};
use lanes::Lanes;
use outrider_client::SUBMIT_MANY_MAX;
use outrider_types::limits::TRANSACTION_BYTES_MAX;
use plan::Plan;
use report::Report;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tracker::Tracker;

/// How long accepted transactions may take after the end of the load until they count as lost.
const DRAIN: Duration = Duration::from_secs(15);
/// Between two looks at the tracker.
const LOOK: Duration = Duration::from_millis(20);

/// Send transactions at a fixed rate to all members in turn, and measure the time to soft-final.
///
/// Exit code 1 if an accepted transaction is lost.
#[derive(Debug, Args)]
pub struct Load {
    /// Transactions per second.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rate: u64,
    /// Bytes of each.
    #[arg(long, value_parser = clap::value_parser!(u64).range(plan::SIZE_MIN as u64..=TRANSACTION_BYTES_MAX as u64))]
    size: u64,
    /// For how long, as 30s or 5m.
    #[arg(long, value_parser = duration)]
    duration: Duration,
    /// Over how many rollups, with ids from 1.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    rollups: u64,
    /// The members' RPC addresses, separated by commas.
    #[arg(
        long,
        value_delimiter = ',',
        required_unless_present = "dir",
        conflicts_with = "dir"
    )]
    rpc: Vec<String>,
    /// The folder of a devnet, instead of addresses. Its process ids let the CPU time of the members be measured.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Transactions of one request, all of one rollup, sent when the last is due; at most 1 MiB. Default: 1 up to a rate of
    /// 2,000, above it what is due in 5 ms.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=SUBMIT_MANY_MAX as u64))]
    per_request: Option<u64>,
    /// Connections to each member; with more than one transaction in a request, times up to 64 for requests side by side.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    clients: u16,
    /// Learn of final blocks from the first member only, whoever took a transaction: costs this program and the members less,
    /// and if that member dies, what is not final yet counts as lost.
    #[arg(long)]
    follow_one: bool,
    /// Print the summary as JSON.
    #[arg(long)]
    json: bool,
}

impl Load {
    /// Do it.
    pub async fn run(&self) -> Result<(), Failure> {
        let (urls, pids) = match &self.dir {
            Some(dir) => {
                let members = Network::open(dir)?.members;
                let urls = members
                    .iter()
                    .map(crate::folder::MemberFiles::rpc_url)
                    .collect();
                (
                    urls,
                    members.iter().map(|member| member.pid.clone()).collect(),
                )
            }
            None => (self.rpc.clone(), Vec::new()),
        };
        let size = usize::try_from(self.size).unwrap_or(TRANSACTION_BYTES_MAX);
        let plan = Arc::new(Plan::new(
            self.rate,
            size,
            self.duration,
            self.rollups,
            self.per_request,
        )?);
        let tracker = Arc::new(Tracker::new(urls.len(), self.follow_one));
        let lanes = Lanes::start(&urls, usize::from(self.clients), &plan, &tracker).await?;
        let cpu = Cpu::begin(pids);
        let bar = bar(plan.transactions);
        let elapsed = send(&plan, &tracker, &lanes, &bar).await;
        drain(&tracker).await;
        bar.finish_and_clear();
        let own = cpu.own();
        let report = Report::new(&plan, tracker.finish(), elapsed, cpu.end(), own);
        if self.json {
            say!("{}", report.to_json());
        } else {
            say!("{}", report.to_string().trim_end());
        }
        match report.lost {
            0 => Ok(()),
            lost => Err(Failure::Lost { lost, drain: DRAIN }),
        }
    }
}

/// Hand out every transaction when it is due.
async fn send(plan: &Plan, tracker: &Tracker, lanes: &Lanes, bar: &ProgressBar) -> Duration {
    let start = tracker.begin();
    let mut first = 0;
    while first < plan.transactions {
        let next = (first + plan.per_request).min(plan.transactions);
        let due = start + plan.due(next - 1);
        if Instant::now() < due {
            bar.set_position(first);
            tokio::time::sleep_until(due).await;
        }
        lanes.hand_out(first..next).await;
        first = next;
    }
    bar.set_position(plan.transactions);
    start.elapsed()
}

/// Wait until everything that was handed out is settled, one way or the other.
async fn drain(tracker: &Tracker) {
    let deadline = Instant::now() + DRAIN;
    while tracker.unsettled() > 0 && Instant::now() < deadline {
        sleep(LOOK).await;
    }
}

fn bar(transactions: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(transactions);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} {per_sec} {eta}") {
        bar.set_style(style);
    }
    bar
}
