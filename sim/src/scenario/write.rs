//! Scenario files: to TOML that reads back as the same scenario, and the hash of that.

use super::units::{
    write_bandwidth, write_duration, write_host, write_jitter, write_lasting, write_latency,
    write_skew,
};
use super::{Fault, FaultKind, Keys, Scenario, WorldKind};
use crate::fact::Micros;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::time::Duration;

impl Scenario {
    /// The scenario as a file: every key that has a value. Reading it with [`Scenario::from_toml`] gives the same again.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = Text(String::new());
        text.head(self);
        text.committee(self);
        text.network(self);
        for fault in &self.faults {
            text.fault(fault, self.committee.hosts);
        }
        for one in &self.byzantine {
            text.section("[byzantine]");
            text.quoted("member", &write_host(one.host));
            text.quoted("deed", &one.deed);
        }
        for change in &self.changes {
            text.section("[change]");
            text.duration("at", change.at);
            text.hosts("members", &change.hosts);
            text.quoted("via", &write_host(change.via));
        }
        text.tail(self);
        text.0
    }

    /// Eight bytes in hex that name what a run depends on, but for its seed: not the name, nor what it is about, nor the bug that it
    /// catches.
    #[must_use]
    pub fn hash(&self) -> String {
        let bare = Self {
            about: String::new(),
            seed: None,
            mutant: None,
            ..self.clone()
        };
        let hash = Sha256::digest(bare.to_toml());
        hex::encode(&hash[..8])
    }
}

struct Text(String);

impl Text {
    fn section(&mut self, name: &str) {
        self.0.push_str("\n[");
        self.0.push_str(name);
        self.0.push_str("]\n");
    }

    fn plain(&mut self, key: &str, value: impl std::fmt::Display) {
        let _ = writeln!(self.0, "{key} = {value}");
    }

    fn quoted(&mut self, key: &str, value: &str) {
        self.plain(key, toml::Value::String(value.to_owned()));
    }

    /// With a point, so that it reads back as it is.
    fn float(&mut self, key: &str, value: f64) {
        self.plain(key, format!("{value:?}"));
    }

    fn duration(&mut self, key: &str, micros: Micros) {
        self.quoted(key, &write_duration(micros));
    }

    fn timer(&mut self, key: &str, timer: Duration) {
        self.duration(
            key,
            Micros::try_from(timer.as_micros()).unwrap_or(Micros::MAX),
        );
    }

    fn hosts(&mut self, key: &str, hosts: &[usize]) {
        self.plain(key, list(hosts));
    }

    fn head(&mut self, scenario: &Scenario) {
        if !scenario.about.is_empty() {
            self.quoted("about", &scenario.about);
        }
        let world = match scenario.world {
            WorldKind::Kernel => "kernel",
            WorldKind::Turmoil => "turmoil",
        };
        self.quoted("world", world);
        match scenario.seed {
            None => self.quoted("seed", "auto"),
            Some(seed) if i64::try_from(seed).is_ok() => self.plain("seed", seed),
            Some(seed) => self.quoted("seed", &seed.to_string()),
        }
        if let Some(mutant) = scenario.mutant {
            self.quoted("mutant", mutant.name());
        }
        self.duration("gst", scenario.gst);
        self.duration("delta", scenario.delta);
        self.duration("end", scenario.end);
        self.duration("idle_block", scenario.idle_block);
    }

    fn committee(&mut self, scenario: &Scenario) {
        let spec = &scenario.committee;
        self.section("committee");
        self.plain("members", spec.stakes.len());
        if spec.stakes.iter().all(|stake| *stake == 1) {
            self.quoted("stake", "equal");
        } else {
            self.plain("stake", format!("{:?}", spec.stakes));
        }
        if let Some((byzantine, crashed)) = spec.faults {
            self.plain("f", byzantine);
            self.plain("c", crashed);
        }
        self.plain("hosts", spec.hosts);
        self.plain("epoch_blocks", spec.epoch_blocks);
        let keys = match spec.keys {
            Keys::Simulated => "simulated",
            Keys::Ed25519 => "ed25519",
        };
        self.quoted("keys", keys);
    }

    fn network(&mut self, scenario: &Scenario) {
        let network = &scenario.network;
        self.section("network");
        self.plain("latency", write_latency(&network.latency));
        self.quoted("jitter", &write_jitter(network.jitter));
        self.float("loss", network.loss);
        self.float("duplicate", network.duplicate);
        self.plain("reorder", network.reorder);
        if let Some(bytes) = network.bandwidth {
            self.quoted("bandwidth", &write_bandwidth(bytes));
        }
        self.section("timers");
        self.timer("base", scenario.timers.base_timeout);
        self.timer("cap", scenario.timers.timeout_cap);
        self.plain("dead_after_views", scenario.timers.dead_after_views);
    }

    fn fault(&mut self, fault: &Fault, all: usize) {
        self.section("[fault]");
        let kind = match &fault.kind {
            FaultKind::Partition { .. } | FaultKind::OneWay { .. } => "partition",
            FaultKind::Crash { hosts, .. } if everyone(hosts, all) => "power",
            FaultKind::Crash { .. } => "crash",
            FaultKind::CrashOnWrite { .. } => "crash-on-write",
            FaultKind::Pause { .. } => "pause",
            FaultKind::Clock { .. } => "clock",
            FaultKind::SlowDisk { .. } => "disk",
            FaultKind::Amnesia { .. } => "amnesia",
            FaultKind::Wipe { .. } => "wipe",
            FaultKind::Late { .. } => "late",
        };
        self.quoted("kind", kind);
        self.duration("at", fault.at);
        self.quoted("for", &write_lasting(fault.lasts));
        match &fault.kind {
            FaultKind::Partition { groups, bridge } => {
                let groups: Vec<String> = groups.iter().map(|group| list(group)).collect();
                self.plain("groups", format!("[{}]", groups.join(", ")));
                self.hosts("bridge", bridge);
            }
            FaultKind::OneWay { from, to } => {
                self.plain("groups", format!("[{}, {}]", list(from), list(to)));
                self.plain("one_way", true);
            }
            other if kind != "power" => {
                let hosts = other.hosts();
                if everyone(&hosts, all) {
                    self.quoted("hosts", "all");
                } else {
                    self.hosts("hosts", &hosts);
                }
            }
            _ => {}
        }
        match &fault.kind {
            FaultKind::Crash { unsynced, .. } => self.float("unsynced", *unsynced),
            FaultKind::CrashOnWrite {
                probability,
                restart,
                ..
            } => {
                self.float("probability", *probability);
                self.duration("restart", *restart);
            }
            FaultKind::Clock { skew, .. } => self.quoted("skew", &write_skew(*skew)),
            FaultKind::SlowDisk { delay, .. } => self.duration("delay", *delay),
            _ => {}
        }
    }

    fn tail(&mut self, scenario: &Scenario) {
        let workload = &scenario.workload;
        self.section("workload");
        self.float("rate", workload.rate);
        self.plain("size", workload.bytes);
        self.plain("rollups", workload.rollups);
        self.plain("retry", workload.retry);
        if workload.policies {
            self.plain("policies", workload.policies);
        }
        self.section("expect");
        if let Some(checker) = &scenario.expect.violates {
            self.quoted("violates", checker);
        }
        if let Some(within) = scenario.expect.commit_within {
            self.duration("commit_within_after_gst", within);
        }
        self.plain("commits_min", scenario.expect.commits_min);
        self.section("sweep");
        self.plain("members", format!("{:?}", scenario.sweep.members));
        self.plain("delta_ms", format!("{:?}", scenario.sweep.delta_ms));
        self.plain("seeds", scenario.sweep.seeds);
    }
}

/// `["m0", "m1"]`.
fn list(hosts: &[usize]) -> String {
    let hosts: Vec<String> = hosts
        .iter()
        .map(|host| format!("\"{}\"", write_host(*host)))
        .collect();
    format!("[{}]", hosts.join(", "))
}

/// All hosts, in order.
fn everyone(hosts: &[usize], all: usize) -> bool {
    hosts.iter().copied().eq(0..all)
}
