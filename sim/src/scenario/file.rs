//! Scenario files: from TOML, with every fault of the file in one report.

use super::reader::{Log, Reader, count, flag, list, number, text, whole, word};
use super::{
    Byzantine, Change, CommitteeSpec, Expect, Fault, FaultKind, Jitter, Keys, Latency, NetworkSpec,
    Scenario, Sweep, Workload, WorldKind, preset, units,
};
use crate::fact::Micros;
use outrider_consensus::Config;
use outrider_types::limits::TRANSACTION_BYTES_MAX;
use outrider_types::zoo::Mutant;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Value;

/// Largest file, bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Most hosts.
const HOSTS_MAX: u64 = 1_000;
/// Most faults, repetitions counted.
pub(super) const FAULTS_MAX: usize = 10_000;
/// Least timer unless the file says otherwise.
const BASE_DEFAULT_MIN: Micros = 200_000;
/// Most repetitions of one fault.
const TIMES_MAX: u64 = 1_000;

/// Why a file is not a scenario.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// It cannot be read.
    #[error("cannot read the scenario {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is too large to be one.
    #[error("{} has {bytes} bytes, a scenario has at most {FILE_BYTES_MAX}", path.display())]
    Size {
        /// Which.
        path: PathBuf,
        /// How large.
        bytes: u64,
    },
    /// It is not TOML.
    #[error("scenario `{name}` is not TOML: {reason}")]
    Syntax {
        /// Its name.
        name: String,
        /// Where and why.
        reason: String,
    },
    /// Keys or values are wrong: all of them.
    #[error("scenario `{name}` has faults:\n  {}", problems.join("\n  "))]
    Problems {
        /// Its name.
        name: String,
        /// `key: what is wrong`.
        problems: Vec<String>,
    },
}

impl Scenario {
    /// The scenario of a file; it is called as the file is, without its ending.
    pub fn load(path: &Path) -> Result<Self, ScenarioError> {
        let failed = |source| ScenarioError::Read {
            path: path.to_owned(),
            source,
        };
        let bytes = std::fs::metadata(path).map_err(failed)?.len();
        if bytes > FILE_BYTES_MAX {
            return Err(ScenarioError::Size {
                path: path.to_owned(),
                bytes,
            });
        }
        let text = std::fs::read_to_string(path).map_err(failed)?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        Self::read(&name, &text, path.parent().unwrap_or(Path::new(".")))
    }

    /// A scenario from TOML. Files that it names are looked for in the current directory.
    pub fn from_toml(name: &str, text: &str) -> Result<Self, ScenarioError> {
        Self::read(name, text, Path::new("."))
    }

    fn read(name: &str, text: &str, folder: &Path) -> Result<Self, ScenarioError> {
        let table = text
            .parse()
            .map_err(|error: toml::de::Error| ScenarioError::Syntax {
                name: name.to_owned(),
                reason: error.to_string(),
            })?;
        let log = Log::default();
        let scenario = document(name, Reader::new(table, &log), folder);
        let mut problems = log.into_problems();
        if problems.is_empty() {
            // What would be nonsense to say of a file that could not be read.
            problems = scenario.problems();
        }
        if problems.is_empty() {
            Ok(scenario)
        } else {
            Err(ScenarioError::Problems {
                name: name.to_owned(),
                problems,
            })
        }
    }
}

fn duration(value: &Value) -> Result<Micros, String> {
    text(units::duration)(value)
}

fn host(value: &Value) -> Result<usize, String> {
    text(units::host)(value)
}

/// The whole file.
pub(super) fn document(name: &str, mut reader: Reader<'_>, folder: &Path) -> Scenario {
    let about = reader.get("about", text(|about| Ok(about.to_owned())));
    let worlds = word(&[
        ("kernel", WorldKind::Kernel),
        ("turmoil", WorldKind::Turmoil),
    ]);
    let world = reader.get("world", worlds).unwrap_or_default();
    let seed = reader.get("seed", seed).flatten();
    let mutant = reader.get("mutant", text(mutant));
    let committee = committee(reader.section("committee"));
    let calm = Scenario::calm(committee.stakes.len());
    let network = network(reader.section("network"), folder);
    let gst = reader.get("gst", duration).unwrap_or_default();
    let delta = reader
        .get("delta", duration)
        .unwrap_or(network.latency.longest());
    let end = reader.get("end", duration).unwrap_or(gst + calm.end);
    let timers = timers(
        reader.section("timers"),
        delta,
        calm.timers.dead_after_views,
    );
    let half_base = timers.base_timeout.as_micros() / 2;
    let idle_block = Micros::try_from(half_base).unwrap_or(Micros::MAX);
    let idle_block = idle_block.min(calm.idle_block);
    let idle_block = reader.get("idle_block", duration).unwrap_or(idle_block);
    let hosts = committee.hosts;
    let mut faults = Vec::new();
    for section in reader.sections("fault") {
        fault(section, hosts, &mut faults);
    }
    let byzantine = reader
        .sections("byzantine")
        .into_iter()
        .map(byzantine)
        .collect();
    let changes = reader.sections("change").into_iter().map(change).collect();
    let workload = workload(reader.section("workload"), calm.workload);
    let expect = expect(reader.section("expect"), delta, calm.expect.commits_min);
    let sweep = sweep(reader.section("sweep"));
    reader.finish();
    Scenario {
        name: name.to_owned(),
        about: about.unwrap_or_default(),
        world,
        seed,
        mutant,
        committee,
        network,
        gst,
        delta,
        end,
        timers,
        idle_block,
        faults,
        byzantine,
        changes,
        workload,
        expect,
        sweep,
    }
}

/// `"auto"`, a number, or a text of digits for one that TOML has no room for.
fn seed(value: &Value) -> Result<Option<u64>, String> {
    let wrong = || format!("is {value}, but must be \"auto\" or a number from 0");
    match value {
        Value::String(text) if text == "auto" => Ok(None),
        Value::String(text) => text.parse().map(Some).map_err(|_| wrong()),
        Value::Integer(number) => u64::try_from(*number).map(Some).map_err(|_| wrong()),
        _ => Err(wrong()),
    }
}

fn mutant(name: &str) -> Result<Mutant, String> {
    let found = Mutant::find(name).filter(|mutant| mutant.name() == name);
    found.ok_or_else(|| format!("`{name}` is no mutant; `outrider sim zoo --list` names them"))
}

fn committee(mut reader: Reader<'_>) -> CommitteeSpec {
    let members = reader.get("members", count(1..=HOSTS_MAX));
    let stakes = reader.get("stake", |value| stakes(value, members));
    let stakes = stakes.unwrap_or_else(|| vec![1; members.unwrap_or(4)]);
    if let Some(members) = members.filter(|members| *members != stakes.len()) {
        let reason = format!("is {members}, but `stake` lists {}", stakes.len());
        reader.blame("members", reason);
    }
    let byzantine = reader.get("f", whole(0..=u64::MAX));
    let crashed = reader.get("c", whole(0..=u64::MAX));
    if byzantine.is_none() && crashed.is_some() {
        reader.blame("c", "needs `f`; give both or none");
    }
    let hosts = reader
        .get("hosts", count(1..=HOSTS_MAX))
        .unwrap_or(stakes.len());
    let epoch_blocks = reader
        .get("epoch_blocks", whole(0..=1_000_000))
        .unwrap_or_default();
    let keys = word(&[("simulated", Keys::Simulated), ("ed25519", Keys::Ed25519)]);
    let keys = reader.get("keys", keys).unwrap_or_default();
    reader.finish();
    CommitteeSpec {
        stakes,
        faults: byzantine.map(|byzantine| (byzantine, crashed.unwrap_or_default())),
        hosts,
        epoch_blocks,
        keys,
    }
}

fn stakes(value: &Value, members: Option<usize>) -> Result<Vec<u64>, String> {
    let members = members.unwrap_or(4);
    let Some(text) = value.as_str() else {
        let stakes = list(whole(1..=u64::MAX))(value)?;
        return match stakes.len() {
            0 => Err("is empty".to_owned()),
            _ => Ok(stakes),
        };
    };
    if text == "equal" {
        return Ok(vec![1; members]);
    }
    let exponent = text
        .strip_prefix("zipf:")
        .and_then(|rest| rest.trim().parse().ok());
    let exponent = exponent.filter(|exponent| (0.0..=5.0).contains(exponent));
    exponent
        .map(|exponent| preset::zipf(members, exponent))
        .ok_or_else(|| {
            format!(
                "`{text}` is no stake; write \"equal\", \"zipf:1.2\" (0 to 5) or a list of numbers"
            )
        })
}

fn network(mut reader: Reader<'_>, folder: &Path) -> NetworkSpec {
    let read = |file: &str| {
        let path = folder.join(file);
        std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
    };
    let latency = reader.get("latency", |value| match value {
        Value::Array(_) => list(list(duration))(value).map(Latency::Matrix),
        _ => text(|text| units::latency(text, &read))(value),
    });
    let jitter = reader
        .get("jitter", text(units::jitter))
        .unwrap_or(Jitter::None);
    let network = NetworkSpec {
        latency: latency.unwrap_or(Latency::Uniform(10_000, 20_000)),
        jitter,
        loss: reader.get("loss", number(0.0..=1.0)).unwrap_or_default(),
        duplicate: reader
            .get("duplicate", number(0.0..=1.0))
            .unwrap_or_default(),
        reorder: reader.get("reorder", flag).unwrap_or(true),
        bandwidth: reader.get("bandwidth", text(units::bandwidth)),
    };
    reader.finish();
    network
}

fn timers(mut reader: Reader<'_>, delta: Micros, dead_after_views: u64) -> Config {
    let base = reader
        .get("base", duration)
        .unwrap_or(delta.saturating_mul(10).max(BASE_DEFAULT_MIN));
    let cap = reader
        .get("cap", duration)
        .unwrap_or(base.saturating_mul(8));
    let dead = reader.get("dead_after_views", whole(0..=1_000_000));
    reader.finish();
    Config {
        base_timeout: Duration::from_micros(base),
        timeout_cap: Duration::from_micros(cap),
        dead_after_views: dead.unwrap_or(dead_after_views),
    }
}

/// The words for kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Partition,
    Crash,
    CrashOnWrite,
    Power,
    Pause,
    Clock,
    Disk,
    Amnesia,
    Wipe,
    Late,
}

const KINDS: &[(&str, Kind)] = &[
    ("partition", Kind::Partition),
    ("crash", Kind::Crash),
    ("crash-on-write", Kind::CrashOnWrite),
    ("power", Kind::Power),
    ("pause", Kind::Pause),
    ("clock", Kind::Clock),
    ("disk", Kind::Disk),
    ("amnesia", Kind::Amnesia),
    ("wipe", Kind::Wipe),
    ("late", Kind::Late),
];

fn fault(mut reader: Reader<'_>, all: usize, faults: &mut Vec<Fault>) {
    let kind = reader.must("kind", None, |value| word(KINDS)(value).map(Some));
    let at = reader.get("at", duration).unwrap_or_default();
    let lasts = reader.get("for", text(units::lasting)).unwrap_or_default();
    let every = reader.get("every", duration);
    let times = reader.get("times", whole(2..=TIMES_MAX));
    if every.is_some() != times.is_some() {
        reader.blame("every", "goes with `times`: give both or none");
    }
    // Without a kind it is not known which keys belong to it.
    let Some(kind) = kind else {
        return;
    };
    let kind = kind_of(kind, &mut reader, all);
    if faults.len() >= FAULTS_MAX {
        reader.blame(
            "kind",
            format!("is beyond the {FAULTS_MAX} faults a scenario may have"),
        );
    }
    let room = FAULTS_MAX.saturating_sub(faults.len());
    let starts = (0..times.unwrap_or(1)).map(|round| at + round * every.unwrap_or_default());
    faults.extend(starts.take(room).map(|at| Fault {
        at,
        lasts,
        kind: kind.clone(),
    }));
    reader.finish();
}

fn kind_of(kind: Kind, reader: &mut Reader<'_>, all: usize) -> FaultKind {
    if kind == Kind::Partition {
        return partition(reader);
    }
    let hosts = match kind {
        Kind::Power => (0..all).collect(),
        _ => reader.must("hosts", Vec::new(), |value| match value.as_str() {
            Some("all") => Ok((0..all).collect()),
            _ => list(host)(value),
        }),
    };
    match kind {
        Kind::Crash | Kind::Power | Kind::Partition => FaultKind::Crash {
            hosts,
            unsynced: reader.get("unsynced", number(0.0..=1.0)).unwrap_or(0.5),
        },
        Kind::CrashOnWrite => FaultKind::CrashOnWrite {
            hosts,
            probability: reader.must("probability", 0.0, number(0.0..=1.0)),
            restart: reader.get("restart", duration).unwrap_or(1_000_000),
        },
        Kind::Pause => FaultKind::Pause { hosts },
        Kind::Clock => FaultKind::Clock {
            hosts,
            skew: reader.must("skew", 0, text(units::skew)),
        },
        Kind::Disk => FaultKind::SlowDisk {
            hosts,
            delay: reader.must("delay", 0, duration),
        },
        Kind::Amnesia => FaultKind::Amnesia { hosts },
        Kind::Wipe => FaultKind::Wipe { hosts },
        Kind::Late => FaultKind::Late { hosts },
    }
}

fn partition(reader: &mut Reader<'_>) -> FaultKind {
    let mut groups = reader.must("groups", Vec::new(), list(list(host)));
    let one_way = reader.get("one_way", flag).unwrap_or_default();
    let bridge = reader.get("bridge", list(host)).unwrap_or_default();
    if !one_way {
        return FaultKind::Partition { groups, bridge };
    }
    if groups.len() != 2 || !bridge.is_empty() {
        reader.blame(
            "one_way",
            "needs two `groups`, who is not heard and by whom, and no `bridge`",
        );
    }
    groups.resize(2, Vec::new());
    let to = groups.pop().unwrap_or_default();
    let from = groups.pop().unwrap_or_default();
    FaultKind::OneWay { from, to }
}

fn byzantine(mut reader: Reader<'_>) -> Byzantine {
    let one = Byzantine {
        host: reader.must("member", 0, host),
        deed: reader.must("deed", String::new(), text(|deed| Ok(deed.to_owned()))),
    };
    reader.finish();
    one
}

fn change(mut reader: Reader<'_>) -> Change {
    let change = Change {
        at: reader.must("at", 0, duration),
        hosts: reader.must("members", Vec::new(), list(host)),
        via: reader.must("via", 0, host),
    };
    reader.finish();
    change
}

fn workload(mut reader: Reader<'_>, calm: Workload) -> Workload {
    let workload = Workload {
        rate: reader.get("rate", number(0.0..=1e6)).unwrap_or(calm.rate),
        bytes: reader
            .get("size", count(1..=TRANSACTION_BYTES_MAX as u64))
            .unwrap_or(calm.bytes),
        rollups: reader
            .get("rollups", whole(1..=1_000))
            .unwrap_or(calm.rollups),
        retry: reader.get("retry", flag).unwrap_or(calm.retry),
        policies: reader.get("policies", flag).unwrap_or(calm.policies),
    };
    reader.finish();
    workload
}

fn expect(mut reader: Reader<'_>, delta: Micros, commits_min: u64) -> Expect {
    let within = |text: &str| match text.trim().strip_suffix("x delta") {
        Some(times) => {
            let times = times.trim().parse::<u64>().ok();
            times
                .and_then(|times| times.checked_mul(delta))
                .ok_or_else(|| {
                    format!(
                        "`{text}`: write a whole number before `x delta`, such as \"10x delta\""
                    )
                })
        }
        None => units::duration(text),
    };
    let expect = Expect {
        violates: reader.get("violates", text(|checker| Ok(checker.to_owned()))),
        commit_within: reader.get("commit_within_after_gst", text(within)),
        commits_min: reader
            .get("commits_min", whole(0..=1 << 40))
            .unwrap_or(commits_min),
    };
    reader.finish();
    expect
}

fn sweep(mut reader: Reader<'_>) -> Sweep {
    let sweep = Sweep {
        members: reader
            .get("members", list(count(1..=HOSTS_MAX)))
            .unwrap_or_default(),
        delta_ms: reader
            .get("delta_ms", list(whole(1..=600_000)))
            .unwrap_or_default(),
        seeds: reader.get("seeds", whole(0..=1 << 40)).unwrap_or_default(),
    };
    reader.finish();
    sweep
}
