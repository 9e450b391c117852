//! One cell of the grid: a new committee, one load on it, and what both came to.

use super::audit::{Audit, audit};
use super::committee::{self, Committee};
use super::failure::Failure;
use super::load::{self, Outcome};
use super::metrics::{self, Histogram};
use super::procfs;
use super::proxy::Way;
use super::watch::{self, Look, Outage, Seen, Watch};
use super::wire::Wire;
use crate::numbers::{float, micros, ratio};
use serde::Serialize;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::sleep_until;

/// Blocks made after members were killed before the load begins, so that the dead are known as such.
const BLOCKS_AFTER_DEATH: u64 = 40;
/// Blocks are announced to the watch up to this rate; past it, that would cost what is measured.
pub const FOLLOW_RATE_MAX: u64 = 20_000;
/// The option by which members never wait for the disk.
const NOT_DURABLE: &str = "storage.unsafe_no_fsync_for_benchmarks=true";

/// What is measured.
#[derive(Clone, Debug)]
pub struct Cell {
    /// How many members.
    pub members: usize,
    /// Bytes of a transaction.
    pub size: u64,
    /// Transactions per second.
    pub rate: u64,
    /// Whether members wait for the disk.
    pub durable: bool,
    /// The way between members.
    pub way: Way,
    /// Members that are killed,
    pub dead: usize,
    /// how long after the start of the load; zero: before it.
    pub dead_at: Duration,
}

/// What all cells have in common.
#[derive(Clone, Debug)]
pub struct Common {
    /// The `outrider` binary.
    pub outrider: PathBuf,
    /// Where the folders of committees are made.
    pub dir: PathBuf,
    /// Length of the load.
    pub duration: Duration,
    /// Over how many rollups.
    pub rollups: u64,
    /// More options of `outrider load`.
    pub load_options: Vec<String>,
    /// `--set` of each member.
    pub sets: Vec<String>,
    /// Keep the folders.
    pub keep: bool,
}

impl Common {
    /// How the load is made.
    fn load_line(&self) -> String {
        let options = self.load_options.iter();
        options.fold("outrider load".to_owned(), |line, option| {
            line + " " + option
        })
    }
}

/// What a cell came to.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// How many members.
    pub members: usize,
    /// Bytes of a transaction.
    pub size: u64,
    /// Transactions per second that were offered.
    pub rate: u64,
    /// For how long, seconds.
    pub seconds: f64,
    /// Over how many rollups.
    pub rollups: u64,
    /// The program that made the load, and its further options.
    pub load_by: String,
    /// Whether members waited for the disk.
    pub durable: bool,
    /// One way between members, microseconds.
    pub delay_us: u64,
    /// Chance that a segment between members was lost.
    pub loss: f64,
    /// What a lost segment cost.
    pub loss_model: Option<String>,
    /// Members that were killed.
    pub dead: usize,
    /// Final transactions per second, by a member's counter, while the load ran.
    pub consensus_tx_per_s: Option<f64>,
    /// The same in bytes.
    pub consensus_bytes_per_s: Option<f64>,
    /// From first sight of a block to its finality at a member, by the members' histograms.
    pub consensus_latency_us: Quantiles,
    /// From the proposer's clock to a subscriber of one member, each block exact; none if blocks were not followed.
    pub proposed_to_announced_us: Quantiles,
    /// Time between blocks; none if blocks were not followed.
    pub block_interval_us: Quantiles,
    /// Making a vote durable, by the members' histograms.
    pub sync_us: Quantiles,
    /// What the load says.
    pub load: Outcome,
    /// Seconds of CPU of all members, dead ones until their death, while the load ran.
    pub cpu_seconds_of_members: f64,
    /// The same for 100,000 final transactions.
    pub cpu_seconds_per_100k: Option<f64>,
    /// Bytes between members for one final byte of transactions.
    pub wire_bytes_per_byte: Option<f64>,
    /// Why that is not known.
    pub wire_unknown: Option<String>,
    /// Resident bytes of the largest member.
    pub memory: Memory,
    /// Most transactions that waited at one member.
    pub pending_most: u64,
    /// Whether the rate was sustained.
    pub sustained: bool,
    /// If not, why not.
    pub not_sustained: Vec<String>,
    /// What the deaths did, if there were any and blocks were followed.
    pub outage: Option<Outage>,
    /// Lost, twice.
    pub audit: Audit,
}

/// Two percentiles, microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Quantiles {
    /// Half are not above.
    pub p50: Option<u64>,
    /// 99 of 100.
    pub p99: Option<u64>,
}

/// Resident bytes of the member that has most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Before the load.
    pub idle: u64,
    /// After it.
    pub after: u64,
    /// At any time.
    pub most: u64,
}

/// What is read before and after the load.
#[derive(Debug)]
struct Mark {
    cpu_s: f64,
    latency: Vec<Histogram>,
    sync: Vec<Histogram>,
    wire: Result<Wire, String>,
    resident: (u64, u64),
}

impl Mark {
    async fn take(committee: &Committee) -> Self {
        let mut mark = Self {
            cpu_s: 0.0,
            latency: Vec::new(),
            sync: Vec::new(),
            wire: Err(String::new()),
            resident: (0, 0),
        };
        for member in committee.members() {
            let now = || procfs::usage(member.pid).unwrap_or_default().cpu_s;
            mark.cpu_s += member.killed.unwrap_or_else(now);
        }
        for member in committee.living() {
            // A member that does not answer is found by the audit.
            let text = metrics::scrape(member.metrics).await.unwrap_or_default();
            mark.latency
                .push(Histogram::read(&text, metrics::SOFT_FINAL));
            mark.sync.push(Histogram::read(&text, metrics::SYNC));
            let (now, most) = procfs::resident(member.pid).unwrap_or_default();
            mark.resident = (mark.resident.0.max(now), mark.resident.1.max(most));
        }
        let listeners: Vec<SocketAddr> = committee.living().map(|member| member.p2p).collect();
        mark.wire = Wire::mark(&listeners)
            .await
            .map_err(|error| error.to_string());
        mark
    }
}

/// p50 and p99 of what living members counted between two marks. Killed members were the last ones, so the first of
/// each mark are the same.
fn between(early: &[Histogram], late: &[Histogram]) -> Quantiles {
    let mut all = Histogram::default();
    for (early, late) in early.iter().zip(late) {
        all.add(&late.since(early));
    }
    Quantiles {
        p50: all.quantile_us(50),
        p99: all.quantile_us(99),
    }
}

impl Cell {
    /// Do it. The folder is kept if something is wrong.
    pub async fn measure(&self, common: &Common, name: &str) -> Result<Measured, Failure> {
        let mut sets = common.sets.clone();
        if !self.durable {
            sets.push(NOT_DURABLE.to_owned());
        }
        let plan = committee::Plan {
            outrider: common.outrider.clone(),
            dir: common.dir.join(name),
            members: self.members,
            way: self.way,
            sets,
        };
        let mut committee = Committee::start(&plan).await?;
        if self.dead > 0 && self.dead_at.is_zero() {
            self.die_before(&mut committee).await?;
        }
        let early = Mark::take(&committee).await;
        let (outcome, looks, seen, killed) = self.load(common, &mut committee).await?;
        let late = Mark::take(&committee).await;
        let mut audit = audit(&committee, &outcome).await?;
        audit.broken.extend(committee.stop().await);
        if audit.broken.is_empty() && !common.keep {
            // What cannot be removed is left to the system.
            let _ = std::fs::remove_dir_all(&plan.dir);
        }
        let run = Run {
            outcome,
            looks,
            seen,
            killed,
            early,
            late,
            audit,
        };
        Ok(run.measured(self, common))
    }

    async fn die_before(&self, committee: &mut Committee) -> Result<(), Failure> {
        committee.kill_last(self.dead);
        let mut height = 0;
        for member in committee.living() {
            if let Ok(head) = member.client.head().await {
                height = height.max(head.height.0);
            }
        }
        committee.at_height(height + BLOCKS_AFTER_DEATH).await
    }

    /// The load, watched at member 0, with deaths in it if there are to be some then.
    async fn load(&self, common: &Common, committee: &mut Committee) -> Result<Loaded, Failure> {
        let living = committee.living();
        let plan = load::Plan {
            program: common.outrider.clone(),
            urls: living.map(|member| member.rpc.clone()).collect(),
            rate: self.rate,
            size: self.size,
            duration: common.duration,
            rollups: common.rollups,
            options: common.load_options.clone(),
        };
        let during = self.dead > 0 && !self.dead_at.is_zero();
        let follow = self.rate <= FOLLOW_RATE_MAX || during;
        let watch = Watch::begin(&committee.members()[0].client, follow);
        let at = watch.start() + self.dead_at;
        let running = load::run(&plan);
        tokio::pin!(running);
        let mut killed = None;
        let outcome = loop {
            tokio::select! {
                biased;
                outcome = &mut running => break outcome?,
                () = sleep_until(at), if during && killed.is_none() => {
                    committee.kill_last(self.dead);
                    killed = Some(watch.start().elapsed());
                }
            }
        };
        let (looks, seen) = watch.end().await;
        Ok((outcome, looks, seen, killed))
    }
}

type Loaded = (Outcome, Vec<Look>, Option<Vec<Seen>>, Option<Duration>);

/// All that was seen.
#[derive(Debug)]
struct Run {
    outcome: Outcome,
    looks: Vec<Look>,
    seen: Option<Vec<Seen>>,
    killed: Option<Duration>,
    early: Mark,
    late: Mark,
    audit: Audit,
}

impl Run {
    fn measured(self, cell: &Cell, common: &Common) -> Measured {
        let begin = watch::began(&self.looks).unwrap_or_default();
        let end = begin + common.duration;
        let rate = watch::rate(&self.looks, begin, end);
        let cpu_s = self.late.cpu_s - self.early.cpu_s;
        let bytes = float(self.audit.ordered * cell.size);
        let wire = match (&self.early.wire, &self.late.wire) {
            (Ok(early), Ok(late)) => late.since(early),
            (Err(error), _) | (_, Err(error)) => Err(error.clone()),
        };
        let quantiles = |(p50, p99)| Quantiles { p50, p99 };
        let seen = self.seen.as_deref();
        let not_sustained = not_sustained(&self.outcome, &self.looks, cell.rate, common.duration);
        Measured {
            members: cell.members,
            size: cell.size,
            rate: cell.rate,
            seconds: common.duration.as_secs_f64(),
            rollups: common.rollups,
            load_by: common.load_line(),
            durable: cell.durable,
            delay_us: micros(cell.way.delay),
            loss: cell.way.loss,
            loss_model: (cell.way.loss > 0.0).then(|| cell.way.model()),
            dead: cell.dead,
            consensus_tx_per_s: rate.and_then(|rate| ratio(rate, 1.0)),
            consensus_bytes_per_s: rate.and_then(|rate| ratio(rate * float(cell.size), 1.0)),
            consensus_latency_us: between(&self.early.latency, &self.late.latency),
            proposed_to_announced_us: seen
                .map(watch::ages)
                .map_or_else(Quantiles::default, quantiles),
            block_interval_us: seen
                .map(|seen| watch::intervals(seen, begin, end))
                .map_or_else(Quantiles::default, quantiles),
            sync_us: between(&self.early.sync, &self.late.sync),
            cpu_seconds_of_members: cpu_s,
            cpu_seconds_per_100k: ratio(cpu_s * 100_000.0, float(self.audit.ordered)),
            wire_bytes_per_byte: wire
                .as_ref()
                .ok()
                .and_then(|wire| ratio(float(*wire), bytes)),
            wire_unknown: wire.err(),
            memory: Memory {
                idle: self.early.resident.0,
                after: self.late.resident.0,
                most: self.late.resident.1,
            },
            pending_most: self
                .looks
                .iter()
                .map(|look| look.pending)
                .max()
                .unwrap_or(0),
            sustained: not_sustained.is_empty(),
            not_sustained,
            outage: seen
                .zip(self.killed)
                .map(|(seen, killed)| Outage::of(seen, begin, killed, end, cell.rate)),
            load: self.outcome,
            audit: self.audit,
        }
    }
}

/// Why a rate was not sustained. It was if 95 % of what was due is final, was handed out in time, and came out at 95 % of
/// the rate in the second half too, so that no backlog grew.
fn not_sustained(outcome: &Outcome, looks: &[Look], rate: u64, duration: Duration) -> Vec<String> {
    let mut why = Vec::new();
    let due = float(rate) * duration.as_secs_f64();
    if float(outcome.soft_final) < 0.95 * due {
        let (final_, due) = (outcome.soft_final, due.round());
        why.push(format!("{final_} of {due} transactions are final"));
    }
    if outcome.seconds > 1.05 * duration.as_secs_f64() {
        let seconds = outcome.seconds;
        why.push(format!("it took {seconds:.1} s to hand them out"));
    }
    let begin = watch::began(looks).unwrap_or_default();
    let second_half = watch::rate(looks, begin + duration / 2, begin + duration);
    if second_half.is_none_or(|second_half| second_half < 0.95 * float(rate)) {
        let second_half = second_half.unwrap_or_default();
        why.push(format!("{second_half:.0} tx/s in the second half"));
    }
    if outcome.lost > 0 {
        why.push(format!("{} are lost", outcome.lost));
    }
    why
}

#[cfg(test)]
mod tests {
    use super::super::load::Latency;
    use super::*;
    use std::collections::BTreeMap;

    fn outcome(soft_final: u64, seconds: f64) -> Outcome {
        Outcome {
            seconds,
            sent: 1_000,
            accepted: soft_final,
            rejected: BTreeMap::new(),
            resubmitted: 0,
            soft_final,
            lost: 0,
            throughput_per_s: 1.0,
            latency_us: Latency::default(),
            cpu_seconds_of_load: 0.0,
        }
    }

    /// So many per second in the first and in the second half of ten seconds.
    fn looks(first: u64, second: u64) -> Vec<Look> {
        let count =
            |tenth: u64| first * tenth.min(50) / 10 + second * tenth.saturating_sub(50) / 10;
        let look = |tenth: u64| Look {
            at: Duration::from_millis(100 * tenth),
            transactions: count(tenth),
            pending: 0,
        };
        (0..=110).map(look).collect()
    }

    #[test]
    fn rate_is_sustained_if_all_comes_out_and_as_fast_at_the_end() {
        let seconds = Duration::from_secs(10);
        let why = |outcome, looks: Vec<Look>| not_sustained(&outcome, &looks, 100, seconds).len();
        assert_eq!(why(outcome(1_000, 10.0), looks(100, 100)), 0);
        assert_eq!(why(outcome(950, 10.4), looks(100, 96)), 0);
        assert_eq!(why(outcome(949, 10.0), looks(100, 100)), 1);
        assert_eq!(why(outcome(1_000, 10.6), looks(100, 100)), 1);
        assert_eq!(why(outcome(1_000, 10.0), looks(100, 90)), 1);
        assert_eq!(why(outcome(0, 11.0), Vec::new()), 3);
    }

    #[test]
    fn histograms_of_dead_members_are_left_out() {
        let one = Histogram::read("x_bucket{le=\"0.001\"} 4\nx_bucket{le=\"+Inf\"} 4\n", "x");
        let early = [Histogram::default(), Histogram::default()];
        let both = between(&early, &[one.clone(), one.clone()]);
        assert_eq!(both, between(&early, &[one]));
        assert_eq!(both.p50, Some(500));
    }
}
