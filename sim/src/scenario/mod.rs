//! A scenario: everything that a run depends on, but for its seed. What a file says, what the swarm draws, what the
//! shrinker cuts down; every world runs the same type.

mod check;
mod file;
mod keys;
mod live;
mod preset;
mod reader;
mod units;
mod write;

#[cfg(test)]
mod tests;

pub use check::CLOCK_SKEW_MAX;
pub use file::ScenarioError;
pub use keys::{KEYS, Key};
pub use live::{for_good, live_core};
pub use preset::{AWS_REGIONS, aws, lan, zipf};

use crate::fact::Micros;
use outrider_consensus::Config;
use outrider_types::zoo::Mutant;
use std::time::Duration;

/// How long a fault lasts that is never over (`for = "ever"`): 35 years.
pub const EVER: Micros = 1 << 50;

/// Which world a scenario is for, unless the command says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WorldKind {
    /// The event heap: every key works.
    #[default]
    Kernel,
    /// Production drivers over turmoil; see [`Scenario::beyond_turmoil`].
    Turmoil,
}

/// Which keys members sign with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keys {
    /// A cheap hash that proves nothing: only the adversary's signer stands between it and a forgery.
    #[default]
    Simulated,
    /// Ed25519.
    Ed25519,
}

/// Everything that a run depends on, but for its seed. All times are simulated.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// What it is called.
    pub name: String,
    /// What it shows, in a sentence or two.
    pub about: String,
    /// Which world it is for.
    pub world: WorldKind,
    /// The seed of its first run; none: any.
    pub seed: Option<u64>,
    /// The bug of the zoo that it catches: loose only in a build that has it, and only where it is asked for.
    pub mutant: Option<Mutant>,
    /// Members and further hosts.
    pub committee: CommitteeSpec,
    /// Delays, losses, bandwidth.
    pub network: NetworkSpec,
    /// From here on the network is calm: every message arrives within `delta`, none is lost, and no fault begins.
    pub gst: Micros,
    /// Longest delay after `gst`.
    pub delta: Micros,
    /// When the run ends.
    pub end: Micros,
    /// Timers of the members (R8, R10, R12).
    pub timers: Config,
    /// Without a transaction to order, a leader proposes an empty block after this.
    pub idle_block: Micros,
    /// What the world does to members.
    pub faults: Vec<Fault>,
    /// Members that break the rules.
    pub byzantine: Vec<Byzantine>,
    /// Changes of the committee that a quorum of members approves of (R13).
    pub changes: Vec<Change>,
    /// What clients do.
    pub workload: Workload,
    /// What must come of it.
    pub expect: Expect,
    /// Scales and repetitions for `outrider sim sweep`.
    pub sweep: Sweep,
}

/// Who is there.
#[derive(Clone, Debug, PartialEq)]
pub struct CommitteeSpec {
    /// Stake of each member of the first committee; hosts 0, 1, ...
    pub stakes: Vec<u64>,
    /// `(f, c)`; none: the largest safe `f`, `c` 0.
    pub faults: Option<(u64, u64)>,
    /// Hosts, members and those that may join later.
    pub hosts: usize,
    /// Heights in an epoch; 0: it does not end.
    pub epoch_blocks: u64,
    /// Keys.
    pub keys: Keys,
}

/// How long messages take.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkSpec {
    /// One-way delays without jitter.
    pub latency: Latency,
    /// What is added to them.
    pub jitter: Jitter,
    /// Probability that a message is lost before `gst`.
    pub loss: f64,
    /// Probability that a message arrives twice before `gst`.
    pub duplicate: f64,
    /// Whether a message may overtake an earlier one of the same pair.
    pub reorder: bool,
    /// Bytes per second that leave a host; none: no limit.
    pub bandwidth: Option<u64>,
}

/// One-way delays.
#[derive(Clone, Debug, PartialEq)]
pub enum Latency {
    /// The same for every pair, for counting in delays.
    Constant(Micros),
    /// Anything between these for each message.
    Uniform(Micros, Micros),
    /// Between regions of a cloud; hosts are placed in turn. Rows and columns are regions.
    Matrix(Vec<Vec<Micros>>),
}

/// What is added to a delay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Jitter {
    /// Nothing.
    None,
    /// Anything up to this.
    Uniform(Micros),
    /// Log-normal: its median, and the deviation of its logarithm.
    LogNormal(Micros, f64),
}

/// What the world does to members, from `at` on for `lasts` (0: an instant).
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// When it begins.
    pub at: Micros,
    /// How long it lasts; what it does ends with it.
    pub lasts: Micros,
    /// What.
    pub kind: FaultKind,
}

/// Kinds of faults. Hosts are numbers.
#[derive(Clone, Debug, PartialEq)]
pub enum FaultKind {
    /// Hosts of different groups do not hear each other; `bridge` hears all and all hear it. A host in no group hears
    /// only bridges.
    Partition {
        /// Groups.
        groups: Vec<Vec<usize>>,
        /// Hosts connected with everyone.
        bridge: Vec<usize>,
    },
    /// What `from` say does not reach `to`; the other way it does.
    OneWay {
        /// Who is not heard.
        from: Vec<usize>,
        /// By whom.
        to: Vec<usize>,
    },
    /// kill -9 with power loss: every write that was not synced survives with probability `unsynced`. They come back
    /// when the fault is over; with `lasts` 0 at once.
    Crash {
        /// Who.
        hosts: Vec<usize>,
        /// Probability that a write that was not synced survives.
        unsynced: f64,
    },
    /// Each write of a host ends in a crash with this probability while it lasts, half of them before the write and
    /// half after it and before anything leaves; the host comes back after about `restart`.
    CrashOnWrite {
        /// Who.
        hosts: Vec<usize>,
        /// For each write.
        probability: f64,
        /// Mean time until it is back.
        restart: Micros,
    },
    /// It stands still, as after SIGSTOP; what arrives meanwhile waits.
    Pause {
        /// Who.
        hosts: Vec<usize>,
    },
    /// Its clock is off by so much.
    Clock {
        /// Who.
        hosts: Vec<usize>,
        /// Microseconds ahead, or behind if negative.
        skew: i64,
    },
    /// Every durable write takes so much longer.
    SlowDisk {
        /// Who.
        hosts: Vec<usize>,
        /// How much.
        delay: Micros,
    },
    /// It crashes and loses its vote journal, and nothing else; back when the fault is over.
    Amnesia {
        /// Who.
        hosts: Vec<usize>,
    },
    /// It crashes and loses its whole disk; back when the fault is over.
    Wipe {
        /// Who.
        hosts: Vec<usize>,
    },
    /// It is down until the fault is over: it joins late, with an empty disk but for a fresh vote journal.
    Late {
        /// Who.
        hosts: Vec<usize>,
    },
}

/// A member that breaks the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Byzantine {
    /// Which host.
    pub host: usize,
    /// How: the name of a deed in [`crate::adversary`].
    pub deed: String,
}

/// At `at` a change of the committee to these hosts is approved by all members, and handed in at host `via`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// When.
    pub at: Micros,
    /// Hosts of the next committee, equal stakes.
    pub hosts: Vec<usize>,
    /// Where it is handed in; other hosts learn of it by asking or by gossip.
    pub via: usize,
}

/// What clients do.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// Transactions per second, over all hosts.
    pub rate: f64,
    /// Bytes of each.
    pub bytes: usize,
    /// Rollups they are of.
    pub rollups: u64,
    /// Whether a client hands its transaction in again, at another member, when it is not final after two seconds.
    pub retry: bool,
    /// Whether rollups have ordering policies and some transactions come in bundles.
    pub policies: bool,
}

/// What must come of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Expect {
    /// The checker that must fire, when more than `f` is Byzantine; none: no checker may.
    pub violates: Option<String>,
    /// A block must be committed by all live members within this after `gst`; none: not checked.
    pub commit_within: Option<Micros>,
    /// Blocks that must be final at the end.
    pub commits_min: u64,
}

/// What `outrider sim sweep` varies; an empty list is what the scenario says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sweep {
    /// Sizes of the committee.
    pub members: Vec<usize>,
    /// Delays in milliseconds.
    pub delta_ms: Vec<u64>,
    /// Runs of each.
    pub seeds: u64,
}

impl Scenario {
    /// Equal members on a quiet network 10 to 20 ms apart for ten seconds, and a few transactions: what all others
    /// differ from.
    #[must_use]
    pub fn calm(members: usize) -> Self {
        Self {
            name: "calm".to_owned(),
            about: "Nothing happens.".to_owned(),
            world: WorldKind::Kernel,
            seed: None,
            mutant: None,
            committee: CommitteeSpec {
                stakes: vec![1; members],
                faults: None,
                hosts: members,
                epoch_blocks: 0,
                keys: Keys::Simulated,
            },
            network: NetworkSpec {
                latency: Latency::Uniform(10_000, 20_000),
                jitter: Jitter::None,
                loss: 0.0,
                duplicate: 0.0,
                reorder: true,
                bandwidth: None,
            },
            gst: 0,
            delta: 20_000,
            end: 10_000_000,
            timers: Config {
                base_timeout: Duration::from_millis(200),
                timeout_cap: Duration::from_millis(1_600),
                dead_after_views: 32,
            },
            idle_block: 100_000,
            faults: Vec::new(),
            byzantine: Vec::new(),
            changes: Vec::new(),
            workload: Workload {
                rate: 10.0,
                bytes: 32,
                rollups: 2,
                retry: true,
                policies: false,
            },
            expect: Expect {
                violates: None,
                commit_within: None,
                commits_min: 1,
            },
            sweep: Sweep::default(),
        }
    }

    /// Members of the first committee.
    #[must_use]
    pub fn members(&self) -> usize {
        self.committee.stakes.len()
    }

    /// Whether a host keeps to the rules.
    #[must_use]
    pub fn honest(&self, host: usize) -> bool {
        self.byzantine.iter().all(|one| one.host != host)
    }
}
