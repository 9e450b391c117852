//! What is measured: for every row the work, and the figures that are taken from it.

use crate::commits::{block_interval, commit_latency};
use crate::contestant::Contestant;
use crate::error::CompareError;
use crate::numbers::{Quantiles, float};
use crate::run::{BEFORE_KILL, Observed, Setting, Work, once};
use crate::table::{Figure, Table};
use clap::ValueEnum;
use std::collections::BTreeMap;
use std::time::Duration;

/// Transactions per second where the load is light.
pub const LIGHT_RATE: u64 = 1_000;
/// Transactions per second where bytes are counted.
const WIRE_RATE: u64 = 4_000;
/// One way.
const DELAY: Duration = Duration::from_millis(50);
/// Least time that is watched after a crash: a peer may need eleven seconds until it skips the dead leader.
const AFTER_KILL_MIN: Duration = Duration::from_secs(20);
/// Runs of one search for saturation.
const PROBES_MAX: usize = 9;
/// Below this part of what was offered, the search has gone too far.
const KEPT_UP: f64 = 0.9;

/// A row of the table: one kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Row {
    /// Latency under a light load.
    Latency,
    /// Most transactions per second, and their cost.
    Saturation,
    /// Latency at half of one's own saturation.
    Half,
    /// Load made inside the members, payloads not kept.
    Inside,
    /// Bytes between members.
    Wire,
    /// Latency with 50 ms one way between members.
    Delay,
    /// kill -9 of one member.
    Outage,
    /// Memory without load.
    Memory,
}

impl Row {
    /// All rows, in the order of the table.
    pub const ALL: [Self; 8] = [
        Self::Latency,
        Self::Saturation,
        Self::Half,
        Self::Inside,
        Self::Wire,
        Self::Delay,
        Self::Outage,
        Self::Memory,
    ];

    /// As in the table and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::Saturation => "saturation",
            Self::Half => "half",
            Self::Inside => "inside",
            Self::Wire => "wire",
            Self::Delay => "delay",
            Self::Outage => "outage",
            Self::Memory => "memory",
        }
    }

    /// What has to be done, in words.
    #[must_use]
    pub fn work(self, size: usize) -> String {
        match self {
            Self::Latency => format!("{LIGHT_RATE} tx/s of {size} bytes"),
            Self::Saturation => {
                format!("the offered rate doubles until less than 0.9 of it commits, {size} bytes")
            }
            Self::Half => format!("half of its own saturation, {size} bytes"),
            Self::Inside => format!(
                "saturation on a peer's terms: load made inside, payloads not kept, {size} bytes"
            ),
            Self::Wire => format!("{WIRE_RATE} tx/s of {size} bytes through a proxy that counts"),
            Self::Delay => format!(
                "{LIGHT_RATE} tx/s of {size} bytes, {} ms one way between members",
                DELAY.as_millis()
            ),
            Self::Outage => format!(
                "{LIGHT_RATE} tx/s of {size} bytes, kill -9 of one member after {} s",
                BEFORE_KILL.as_secs()
            ),
            Self::Memory => "no load".to_owned(),
        }
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What the search for saturation found.
#[derive(Clone, Debug)]
struct Best {
    offered: u64,
    observed: Observed,
}

/// Does the work of the rows, and fills the table.
#[derive(Debug)]
pub struct Bench {
    setting: Setting,
    length: Duration,
    best: BTreeMap<Contestant, Best>,
    /// What is filled.
    pub table: Table,
}

const MS: f64 = 1_000.0;
const MB: f64 = 1_000_000.0;

impl Bench {
    /// With runs of this length, into this table.
    #[must_use]
    pub fn new(setting: Setting, length: Duration, table: Table) -> Self {
        Self {
            setting,
            length,
            best: BTreeMap::new(),
            table,
        }
    }

    /// One row for one contestant, once. A failure becomes a reason.
    pub async fn measure(&mut self, row: Row, contestant: Contestant) {
        let done = match row {
            Row::Latency => self.latency(contestant).await,
            Row::Saturation => self.saturation(contestant).await,
            Row::Half => self.half(contestant).await,
            Row::Inside => self.inside(contestant).await,
            Row::Wire => self.wire(contestant).await,
            Row::Delay => self.delay(contestant).await,
            Row::Outage => self.outage(contestant).await,
            Row::Memory => self.memory(contestant).await,
        };
        if let Err(error) = done {
            eprintln!("{} {}: {error}", row.name(), contestant.name());
            for figure in Figure::of(row) {
                self.table.reason(figure, contestant, error.to_string());
            }
        }
    }

    fn work(&self, rate: u64) -> Work {
        Work {
            rate,
            length: self.length,
            proxy: None,
            kill: false,
            watch: false,
        }
    }

    async fn once(&self, contestant: Contestant, work: &Work) -> Result<Observed, CompareError> {
        once(&self.setting, contestant, work).await
    }

    fn add(&mut self, figure: Figure, contestant: Contestant, value: f64) {
        self.table.add(figure, contestant, value);
    }

    fn add_submit(
        &mut self,
        figures: [Figure; 2],
        contestant: Contestant,
        seen: &Observed,
        unit: f64,
    ) {
        if let Some(Quantiles { p50, p99 }) = seen.submit {
            self.add(figures[0], contestant, float(p50) / unit);
            self.add(figures[1], contestant, float(p99) / unit);
        }
    }

    async fn latency(&mut self, contestant: Contestant) -> Result<(), CompareError> {
        let work = Work {
            watch: true,
            ..self.work(LIGHT_RATE)
        };
        let seen = self.once(contestant, &work).await?;
        if let Some(commit) = commit_latency(&seen.commits, seen.from_us, seen.to_us) {
            self.add(Figure::CommitP50, contestant, float(commit.p50) / MS);
            self.add(Figure::CommitP99, contestant, float(commit.p99) / MS);
        }
        if let Some(interval) = block_interval(&seen.commits, seen.from_us, seen.to_us) {
            self.add(Figure::Interval, contestant, interval / MS);
        }
        self.add_submit(
            [Figure::SubmitP50, Figure::SubmitP99],
            contestant,
            &seen,
            MS,
        );
        self.add(Figure::LightMemory, contestant, float(seen.end_bytes) / MB);
        Ok(())
    }

    async fn saturation(&mut self, contestant: Contestant) -> Result<(), CompareError> {
        let best = match self.best.get(&contestant) {
            // A further repeat: the rate is known.
            Some(best) => {
                let offered = best.offered;
                let observed = self.once(contestant, &self.work(offered)).await?;
                Best { offered, observed }
            }
            None => self.search(contestant).await?,
        };
        self.add(Figure::Saturated, contestant, best.observed.per_s);
        self.add(
            Figure::SaturatedMemory,
            contestant,
            float(best.observed.end_bytes) / MB,
        );
        if let Some((members, all)) = best.observed.cpu_per_100k() {
            self.add(Figure::Cpu, contestant, members);
            self.add(Figure::CpuAll, contestant, all);
        }
        self.best.entry(contestant).or_insert(best);
        Ok(())
    }

    /// Double what is offered until the contestant does not keep up, then try once between.
    async fn search(&self, contestant: Contestant) -> Result<Best, CompareError> {
        let mut best: Option<Best> = None;
        let mut rate = contestant.first_rate();
        let mut kept_up = None;
        for probe in 0..PROBES_MAX {
            let result = self.once(contestant, &self.work(rate)).await;
            let observed = match (result, &best) {
                (Ok(observed), _) => observed,
                (Err(error), None) => return Err(error),
                (Err(error), Some(_)) => {
                    eprintln!(
                        "saturation {} at {rate} tx/s offered: {error}",
                        contestant.name()
                    );
                    break;
                }
            };
            eprintln!(
                "saturation {} at {rate} tx/s offered: {:.0} tx/s",
                contestant.name(),
                observed.per_s
            );
            let enough = observed.per_s >= KEPT_UP * float(rate);
            if best
                .as_ref()
                .is_none_or(|best| best.observed.per_s < observed.per_s)
            {
                best = Some(Best {
                    offered: rate,
                    observed,
                });
            }
            match (enough, kept_up) {
                (true, _) if probe + 2 < PROBES_MAX => {
                    kept_up = Some(rate);
                    rate *= 2;
                }
                // Seven fifths are about the geometric mean of one and two.
                (false, Some(good)) if rate == 2 * good => rate = good * 7 / 5,
                _ => break,
            }
        }
        best.ok_or(CompareError::NothingCommitted {
            seconds: self.length.as_secs(),
        })
    }

    async fn half(&mut self, contestant: Contestant) -> Result<(), CompareError> {
        if !self.best.contains_key(&contestant) {
            self.saturation(contestant).await?;
        }
        let Some(best) = self.best.get(&contestant) else {
            return Ok(());
        };
        // Whole thousands, from below: what is offered is what commits.
        let rate = (best.observed.per_s / 2_000.0).floor().max(1.0);
        let rate = (1..=1_000)
            .take_while(|thousands| f64::from(*thousands) <= rate)
            .count();
        let rate = u64::try_from(rate).unwrap_or(1) * 1_000;
        let seen = self.once(contestant, &self.work(rate)).await?;
        self.add(Figure::HalfRate, contestant, float(rate));
        self.add_submit([Figure::HalfP50, Figure::HalfP99], contestant, &seen, MS);
        Ok(())
    }

    /// The peers always run so; ours has no mode in which a member makes its own load.
    async fn inside(&mut self, contestant: Contestant) -> Result<(), CompareError> {
        if contestant.is_ours() {
            let reason = "the binary has no mode that makes load inside a member or drops payloads";
            for figure in Figure::of(Row::Inside) {
                self.table.reason(figure, contestant, reason.to_owned());
            }
            return Ok(());
        }
        if !self.best.contains_key(&contestant) {
            self.saturation(contestant).await?;
        }
        if let Some(best) = self.best.get(&contestant) {
            let (per_s, cpu) = (best.observed.per_s, best.observed.cpu_per_100k());
            self.add(Figure::InsideRate, contestant, per_s);
            if let Some((members, _)) = cpu {
                self.add(Figure::InsideCpu, contestant, members);
            }
        }
        Ok(())
    }

    async fn wire(&mut self, contestant: Contestant) -> Result<(), CompareError> {
        let work = Work {
            proxy: Some(Duration::ZERO),
            ..self.work(WIRE_RATE)
        };
        let seen = self.once(contestant, &work).await?;
        if let Some(bytes) = seen.wire_bytes {
            let size = u64::try_from(self.setting.size).unwrap_or(u64::MAX);
            let committed = float(seen.committed.saturating_mul(size));
            self.add(Figure::Wire, contestant, float(bytes) / committed);
        }
        Ok(())
    }

    async fn delay(&mut self, contestant: Contestant) -> Result<(), CompareError> {
        let work = Work {
            proxy: Some(DELAY),
            watch: true,
            ..self.work(LIGHT_RATE)
        };
        let seen = self.once(contestant, &work).await?;
        let delay = DELAY.as_secs_f64() * 1e6;
        if let Some(commit) = commit_latency(&seen.commits, seen.from_us, seen.to_us) {
            self.add(Figure::DelayCommit, contestant, float(commit.p50) / delay);
        }
        if let Some(interval) = block_interval(&seen.commits, seen.from_us, seen.to_us) {
            self.add(Figure::DelayInterval, contestant, interval / delay);
        }
        self.add_submit(
            [Figure::DelaySubmitP50, Figure::DelaySubmitP99],
            contestant,
            &seen,
            delay,
        );
        Ok(())
    }

    async fn outage(&mut self, contestant: Contestant) -> Result<(), CompareError> {
        let work = Work {
            length: BEFORE_KILL + self.length.max(AFTER_KILL_MIN),
            kill: true,
            watch: true,
            ..self.work(LIGHT_RATE)
        };
        let seen = self.once(contestant, &work).await?;
        // A peer's dead member takes its own load with it.
        let members = u64::try_from(self.setting.members).unwrap_or(1);
        let expected = if contestant.is_ours() {
            LIGHT_RATE
        } else {
            LIGHT_RATE / members * (members - 1)
        };
        let Some(outage) = seen.outage(expected) else {
            return Ok(());
        };
        let watched = (work.length - BEFORE_KILL).as_secs();
        if outage.stopped {
            for figure in Figure::of(Row::Outage) {
                let reason = format!("it never commits again, within {watched} s of the crash");
                self.table.reason(figure, contestant, reason);
            }
            return Ok(());
        }
        let second = 1e6;
        self.add(
            Figure::FirstGap,
            contestant,
            float(outage.first_gap_us) / second,
        );
        self.add(
            Figure::LaterGaps,
            contestant,
            f64::from(u32::try_from(outage.later_gaps).unwrap_or(u32::MAX)),
        );
        self.add(
            Figure::LaterLongest,
            contestant,
            float(outage.later_longest_us) / second,
        );
        match outage.full_rate_after_us {
            Some(after) => self.add(Figure::FullRate, contestant, float(after) / second),
            None => self.table.reason(
                Figure::FullRate,
                contestant,
                format!("it is not back at the full rate for good within {watched} s"),
            ),
        }
        Ok(())
    }

    async fn memory(&mut self, contestant: Contestant) -> Result<(), CompareError> {
        let seen = self.once(contestant, &self.work(0)).await?;
        self.add(Figure::IdleMemory, contestant, float(seen.end_bytes) / MB);
        Ok(())
    }
}
