//! One run of one contestant: the work, and what was seen.

use crate::commits::{Commits, Outage};
use crate::contestant::Contestant;
use crate::error::CompareError;
use crate::numbers::{Quantiles, float, now_us};
use crate::{ours, peer};
use std::path::PathBuf;
use std::time::Duration;

/// How long a run goes on before the member is killed.
pub const BEFORE_KILL: Duration = Duration::from_secs(5);
/// The member that is killed. All take their turn as leader.
pub const VICTIM: usize = 1;

/// What is the same in all runs of an invocation.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The binary of ours.
    pub outrider: PathBuf,
    /// Options for every member of ours, as `section.key=value`.
    pub set: Vec<String>,
    /// Connections of `outrider load` to each member.
    pub clients: u16,
    /// Where runs keep their files. On a disk, or nothing is durable.
    pub dir: PathBuf,
    /// How many members.
    pub members: usize,
    /// Bytes of a transaction.
    pub size: usize,
    /// Load before what is measured.
    pub warm: Duration,
}

/// What a run has to do.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// Transactions per second, over all members; 0: none.
    pub rate: u64,
    /// How long is measured.
    pub length: Duration,
    /// A proxy between members, that delays by so much and counts bytes.
    pub proxy: Option<Duration>,
    /// Kill a member after [`BEFORE_KILL`].
    pub kill: bool,
    /// Whether commits are watched. Of peers they always are; at ours it takes a subscription to every member, which costs
    /// CPU at high rates.
    pub watch: bool,
}

/// What was seen in the part of a run that is measured.
#[derive(Clone, Debug)]
pub struct Observed {
    /// Its begin.
    pub from_us: u64,
    /// Its end.
    pub to_us: u64,
    /// When the member was killed.
    pub killed_us: Option<u64>,
    /// Commits of each member that lives at the end.
    pub commits: Vec<Commits>,
    /// Transactions committed.
    pub committed: u64,
    /// Transactions committed per second.
    pub per_s: f64,
    /// From due to final at the member that took it.
    pub submit: Option<Quantiles>,
    /// CPU seconds of all members.
    pub cpu_s: Option<f64>,
    /// CPU seconds of the load generator, if it is a process of its own.
    pub load_cpu_s: Option<f64>,
    /// Resident memory at the end, of the member that has most.
    pub end_bytes: u64,
    /// Bytes between members, if there was a proxy.
    pub wire_bytes: Option<u64>,
}

impl Observed {
    /// What the crash did, as the survivor saw it that was hit hardest.
    #[must_use]
    pub fn outage(&self, rate: u64) -> Option<Outage> {
        let killed = self.killed_us?;
        let seen = self.commits.iter();
        seen.map(|commits| commits.outage(self.from_us, killed, self.to_us, rate))
            .max_by_key(|outage| outage.first_gap_us)
    }

    /// CPU seconds per 100,000 transactions, of the members and with the load generator.
    #[must_use]
    pub fn cpu_per_100k(&self) -> Option<(f64, f64)> {
        if self.committed == 0 {
            return None;
        }
        let members = self.cpu_s? * 100_000.0 / float(self.committed);
        let load = self.load_cpu_s.unwrap_or(0.0) * 100_000.0 / float(self.committed);
        Some((members, members + load))
    }
}

/// Do the work once, with new members in a new folder.
pub async fn once(
    setting: &Setting,
    contestant: Contestant,
    work: &Work,
) -> Result<Observed, CompareError> {
    let dir = tempfile::Builder::new()
        .prefix("outrider-compare-")
        .tempdir_in(&setting.dir)
        .map_err(CompareError::file("make a folder in", &setting.dir))?;
    let observed = if contestant.is_ours() {
        ours::run(setting, contestant, work, dir.path()).await?
    } else {
        peer::run(setting, contestant, work, dir.path()).await?
    };
    if observed.committed == 0 && work.rate > 0 {
        return Err(CompareError::NothingCommitted {
            seconds: work.length.as_secs(),
        });
    }
    Ok(observed)
}

/// Sleep until then, by the clock that the members read.
pub async fn sleep_until_us(at_us: u64) {
    let left = at_us.saturating_sub(now_us());
    tokio::time::sleep(Duration::from_micros(left)).await;
}

/// A length of time in microseconds.
#[must_use]
pub fn micros(length: Duration) -> u64 {
    u64::try_from(length.as_micros()).unwrap_or(u64::MAX)
}
