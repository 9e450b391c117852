//! What a scenario must not say: things that contradict each other, or that no world can do.

use super::file::FAULTS_MAX;
use super::units::{DURATION_MAX, write_duration};
use super::{EVER, Fault, FaultKind, Latency, Scenario, for_good};
use crate::adversary::DEEDS;
use crate::fact::Micros;
use std::collections::BTreeMap;

/// What a clock may be off by for ever. Two of them are then within 5 s of each other, which is what the transport asks
/// for (`p2p.synchrony_bound_ms`) and what the silence of a member that lost its journal counts on (protocol section 7);
/// blocks are refused from 10 s ahead (R4).
pub const CLOCK_SKEW_MAX: Micros = 2_500_000;

/// Ids of the checkers.
const CHECKERS: [&str; 21] = [
    "S1", "S2", "S3", "S4", "S5", "S6", "S7", "S8", "S9", "S10", "S11", "S12", "L1", "L2", "L3",
    "L4", "L5", "R1", "R2", "R3", "D1",
];

/// Shortest time without transactions after which a block is proposed.
const IDLE_BLOCK_MIN: Micros = 1_000;

impl Scenario {
    /// Everything that is wrong with it, each beginning with the key; empty if it can be run.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Problems(Vec::new());
        problems.committee(self);
        problems.network(self);
        problems.times(self);
        for (at, fault) in self.faults.iter().enumerate() {
            problems.fault(self, at, fault);
        }
        problems.overlaps(self);
        problems.byzantine(self);
        problems.changes(self);
        problems.expect(self);
        problems.0
    }
}

/// When something is so, and by which fault: from, until, number.
type Span = (Micros, Micros, usize);

/// What was found so far.
struct Problems(Vec<String>);

impl Problems {
    fn unless(&mut self, right: bool, key: &str, reason: impl FnOnce() -> String) {
        if !right {
            self.0.push(format!("{key}: {}", reason()));
        }
    }

    /// Hosts that exist, none twice, not nobody.
    fn hosts(&mut self, scenario: &Scenario, key: &str, hosts: &[usize]) {
        let all = scenario.committee.hosts;
        self.unless(!hosts.is_empty(), key, || "names no host".to_owned());
        for (at, host) in hosts.iter().enumerate() {
            self.unless(*host < all, key, || {
                format!(
                    "m{host} does not exist; hosts are m0 to m{}",
                    all.saturating_sub(1)
                )
            });
            self.unless(!hosts[..at].contains(host), key, || {
                format!("m{host} is named twice")
            });
        }
    }

    fn committee(&mut self, scenario: &Scenario) {
        let spec = &scenario.committee;
        let stakes = &spec.stakes;
        self.unless(!stakes.contains(&0), "committee.stake", || {
            "a member has none".to_owned()
        });
        self.unless(
            (1..=1_000).contains(&stakes.len()),
            "committee.members",
            || format!("is {}, must be from 1 to 1000", stakes.len()),
        );
        self.unless(
            (stakes.len()..=1_000).contains(&spec.hosts),
            "committee.hosts",
            || {
                format!(
                    "is {}, must be from {} (members) to 1000",
                    spec.hosts,
                    stakes.len()
                )
            },
        );
        if let Err(error) = scenario.thresholds() {
            self.0.push(format!("committee.f: {error}"));
        }
    }

    fn network(&mut self, scenario: &Scenario) {
        let network = &scenario.network;
        match &network.latency {
            Latency::Uniform(low, high) => self.unless(low <= high, "network.latency", || {
                "the first of the two is the longer one".to_owned()
            }),
            Latency::Matrix(rows) => {
                let square = !rows.is_empty() && rows.iter().all(|row| row.len() == rows.len());
                self.unless(square, "network.latency", || {
                    "the rows are not a square: as many columns as rows".to_owned()
                });
            }
            Latency::Constant(_) => {}
        }
        for (key, chance) in [("loss", network.loss), ("duplicate", network.duplicate)] {
            self.unless(
                (0.0..=1.0).contains(&chance),
                &format!("network.{key}"),
                || format!("is {chance}, must be from 0 to 1"),
            );
        }
        self.unless(network.bandwidth != Some(0), "network.bandwidth", || {
            "is 0".to_owned()
        });
        let longest = network.latency.longest();
        self.unless(
            scenario.delta > 0 && scenario.delta >= longest,
            "delta",
            || {
                let (delta, longest) = (write_duration(scenario.delta), write_duration(longest));
                format!(
                    "is {delta}, must be at least the longest latency, {longest}, and more than 0"
                )
            },
        );
    }

    fn times(&mut self, scenario: &Scenario) {
        let Scenario {
            gst,
            delta,
            end,
            timers,
            ..
        } = scenario;
        self.unless(gst < end && *end <= DURATION_MAX, "end", || {
            let (end, gst) = (write_duration(*end), write_duration(*gst));
            format!("is {end}, must be after gst, {gst}, and within ten days")
        });
        self.unless(scenario.idle_block >= IDLE_BLOCK_MIN, "idle_block", || {
            "is less than 1ms".to_owned()
        });
        let base = timers.base_timeout.as_micros();
        // Below a quarter a node does not start; above a half it would take its idle leader for dead.
        let idle = u128::from(scenario.idle_block);
        self.unless(idle * 2 <= base, "idle_block", || {
            format!("is {idle}us, must be at most half of timers.base, {base}us")
        });
        self.unless(base >= 5 * u128::from(*delta), "timers.base", || {
            format!(
                "is {base}us, must be at least 5 x delta, {}us (R12)",
                5 * u128::from(*delta)
            )
        });
        self.unless(
            timers.timeout_cap >= timers.base_timeout,
            "timers.cap",
            || "is less than timers.base".to_owned(),
        );
    }

    fn fault(&mut self, scenario: &Scenario, at: usize, fault: &Fault) {
        let key = |name: &str| format!("fault[{at}].{name}");
        let gst = scenario.gst;
        if at == FAULTS_MAX {
            self.0.push(format!(
                "fault: more than {FAULTS_MAX}, repetitions counted"
            ));
        }
        self.unless(fault.at < gst, &key("at"), || {
            let (at, gst) = (write_duration(fault.at), write_duration(gst));
            format!("is {at}, but faults begin before gst, {gst}; from there on the world is calm")
        });
        // A host may stay down; what disturbs the network, a clock or a disk is over when it is calm.
        let stays = match &fault.kind {
            FaultKind::Crash { .. }
            | FaultKind::Amnesia { .. }
            | FaultKind::Wipe { .. }
            | FaultKind::Late { .. } => true,
            FaultKind::Clock { skew, .. } => skew.unsigned_abs() <= CLOCK_SKEW_MAX,
            _ => false,
        };
        self.unless(stays || fault.until() <= gst, &key("for"), || {
            let (until, gst) = (write_until(fault.until()), write_duration(gst));
            format!("it lasts until {until}, but must be over at gst, {gst}")
        });
        let instant = matches!(
            fault.kind,
            FaultKind::Crash { .. } | FaultKind::Amnesia { .. } | FaultKind::Wipe { .. }
        );
        self.unless(instant || fault.lasts > 0, &key("for"), || {
            "is missing or 0: nothing would happen".to_owned()
        });
        self.kind(scenario, &key, &fault.kind);
        let late = matches!(fault.kind, FaultKind::Late { .. });
        self.unless(!late || fault.at == 0, &key("at"), || {
            "a late host is down from the start: leave `at` out".to_owned()
        });
    }

    fn kind(&mut self, scenario: &Scenario, key: &dyn Fn(&str) -> String, kind: &FaultKind) {
        match kind {
            FaultKind::Partition { groups, bridge } => {
                self.unless(
                    groups.iter().all(|group| !group.is_empty()),
                    &key("groups"),
                    || "a group is empty".to_owned(),
                );
                self.hosts(
                    scenario,
                    &key("groups"),
                    &[&groups.concat()[..], bridge].concat(),
                );
            }
            FaultKind::OneWay { from, to } => {
                self.unless(!from.is_empty() && !to.is_empty(), &key("groups"), || {
                    "a group is empty".to_owned()
                });
                self.hosts(scenario, &key("groups"), &[&from[..], to].concat());
            }
            other => self.hosts(scenario, &key("hosts"), &other.hosts()),
        }
        let chance = |value: &f64| (0.0..=1.0).contains(value);
        match kind {
            FaultKind::Crash { unsynced, .. } => {
                self.unless(chance(unsynced), &key("unsynced"), || {
                    format!("is {unsynced}, must be from 0 to 1")
                });
            }
            FaultKind::CrashOnWrite { probability, .. } => {
                let right = chance(probability) && *probability > 0.0;
                self.unless(right, &key("probability"), || {
                    format!("is {probability}, must be above 0 and at most 1")
                });
            }
            FaultKind::Clock { skew, .. } => {
                self.unless(*skew != 0, &key("skew"), || {
                    "is 0: nothing would happen".to_owned()
                });
            }
            FaultKind::SlowDisk { delay, .. } => {
                self.unless(*delay > 0, &key("delay"), || {
                    "is 0: nothing would happen".to_owned()
                });
            }
            _ => {}
        }
    }

    /// Two faults that say the same of one host at one time: that it is down, what its clock shows, how slow its disk is.
    fn overlaps(&mut self, scenario: &Scenario) {
        let mut times: BTreeMap<(usize, &str), Vec<Span>> = BTreeMap::new();
        for (at, fault) in scenario.faults.iter().enumerate() {
            let Some(what) = exclusive(&fault.kind) else {
                continue;
            };
            for host in fault.kind.hosts() {
                let span = (fault.at, fault.until(), at);
                times.entry((host, what)).or_default().push(span);
            }
        }
        for ((host, what), mut spans) in times {
            spans.sort_unstable();
            for pair in spans.windows(2) {
                let ((_, until, first), (from, _, second)) = (pair[0], pair[1]);
                // A host that one fault names twice was found already.
                self.unless(
                    until < from || first == second,
                    &format!("fault[{second}].at"),
                    || {
                        format!(
                            "m{host} {what} by fault[{first}] until {}",
                            write_duration(until)
                        )
                    },
                );
            }
        }
    }

    fn byzantine(&mut self, scenario: &Scenario) {
        for (at, one) in scenario.byzantine.iter().enumerate() {
            let key = format!("byzantine[{at}].member");
            self.hosts(scenario, &key, &[one.host]);
            let again = scenario.byzantine[..at]
                .iter()
                .any(|other| other.host == one.host);
            self.unless(!again, &key, || format!("m{} is named twice", one.host));
            let known = DEEDS.iter().any(|(deed, _)| *deed == one.deed);
            self.unless(known, &format!("byzantine[{at}].deed"), || {
                let deeds: Vec<&str> = DEEDS.iter().map(|(deed, _)| *deed).collect();
                format!("`{}` is no deed; deeds are {}", one.deed, deeds.join(", "))
            });
        }
        if scenario.expect.violates.is_some() {
            return;
        }
        let committees = scenario.committees().unwrap_or_default();
        for (number, (seats, thresholds)) in committees.iter().enumerate() {
            let seats = seats.iter().filter(|(host, _)| !scenario.honest(*host));
            let stake: u64 = seats.map(|(_, stake)| stake).sum();
            let f = thresholds.byzantine.0;
            self.unless(stake <= f, "byzantine", || {
                format!(
                    "stake {stake} of committee {number} is Byzantine, f is {f}; say what that breaks in expect.violates"
                )
            });
        }
    }

    fn changes(&mut self, scenario: &Scenario) {
        let epochs = scenario.changes.is_empty() || scenario.committee.epoch_blocks > 0;
        self.unless(epochs, "committee.epoch_blocks", || {
            "is 0, but a change takes effect at the end of an epoch".to_owned()
        });
        for (at, change) in scenario.changes.iter().enumerate() {
            let key = |name: &str| format!("change[{at}].{name}");
            self.hosts(scenario, &key("members"), &change.hosts);
            self.hosts(scenario, &key("via"), &[change.via]);
            self.unless(change.at < scenario.end, &key("at"), || {
                "is after the end".to_owned()
            });
        }
    }

    fn expect(&mut self, scenario: &Scenario) {
        let expect = &scenario.expect;
        if let Some(checker) = &expect.violates {
            self.unless(
                CHECKERS.contains(&checker.as_str()),
                "expect.violates",
                || {
                    format!(
                        "`{checker}` is no checker; checkers are {}",
                        CHECKERS.join(", ")
                    )
                },
            );
            return;
        }
        let Some(within) = expect.commit_within else {
            return;
        };
        let key = "expect.commit_within_after_gst";
        self.unless(
            scenario.gst.saturating_add(within) <= scenario.end,
            key,
            || "the run ends before that; raise `end`".to_owned(),
        );
        let good = for_good(scenario);
        for (number, (seats, thresholds)) in
            scenario.committees().unwrap_or_default().iter().enumerate()
        {
            let seats = seats.iter().filter(|(host, _)| good.contains(host));
            let stake: u64 = seats.map(|(_, stake)| stake).sum();
            let needed = thresholds.timeout.0;
            self.unless(stake >= needed, key, || {
                format!(
                    "stake {stake} of committee {number} is honest and up after gst, {needed} is needed for progress"
                )
            });
        }
    }
}

/// An instant that may never come.
fn write_until(until: Micros) -> String {
    if until >= EVER {
        "for ever".to_owned()
    } else {
        write_duration(until)
    }
}

/// What no two faults may say of one host at one time.
const fn exclusive(kind: &FaultKind) -> Option<&'static str> {
    match kind {
        FaultKind::Crash { .. }
        | FaultKind::Amnesia { .. }
        | FaultKind::Wipe { .. }
        | FaultKind::Late { .. }
        | FaultKind::Pause { .. } => Some("is kept down"),
        FaultKind::CrashOnWrite { .. } => Some("is crashed on writes"),
        FaultKind::Clock { .. } => Some("has its clock set"),
        FaultKind::SlowDisk { .. } => Some("has its disk slowed"),
        FaultKind::Partition { .. } | FaultKind::OneWay { .. } => None,
    }
}
