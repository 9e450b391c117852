//! Who must make progress once the storm is over.

use super::{Fault, FaultKind, Latency, Scenario};
use crate::fact::Micros;
use outrider_types::{CommitteeError, Thresholds};

/// Hosts of a committee with their stakes, and its thresholds.
pub(super) type Seats = (Vec<(usize, u64)>, Thresholds);

impl Fault {
    /// When it is over.
    #[must_use]
    pub const fn until(&self) -> Micros {
        self.at.saturating_add(self.lasts)
    }
}

impl FaultKind {
    /// The hosts that it happens to; of a partition all that are cut off.
    #[must_use]
    pub fn hosts(&self) -> Vec<usize> {
        match self {
            Self::Partition { groups, .. } => groups.concat(),
            Self::OneWay { from, to } => [&from[..], to].concat(),
            Self::Crash { hosts, .. }
            | Self::CrashOnWrite { hosts, .. }
            | Self::Pause { hosts }
            | Self::Clock { hosts, .. }
            | Self::SlowDisk { hosts, .. }
            | Self::Amnesia { hosts }
            | Self::Wipe { hosts }
            | Self::Late { hosts } => hosts.clone(),
        }
    }
}

impl Latency {
    /// Longest delay without jitter.
    #[must_use]
    pub fn longest(&self) -> Micros {
        match self {
            Self::Constant(delay) => *delay,
            Self::Uniform(low, high) => *low.max(high),
            Self::Matrix(rows) => rows.iter().flatten().copied().max().unwrap_or_default(),
        }
    }
}

impl Scenario {
    /// Thresholds of the first committee.
    pub fn thresholds(&self) -> Result<Thresholds, CommitteeError> {
        let total = self
            .committee
            .stakes
            .iter()
            .fold(0_u64, |sum, stake| sum.saturating_add(*stake));
        let (byzantine, crashed) = self
            .committee
            .faults
            .unwrap_or((total.saturating_sub(1) / 3, 0));
        Thresholds::new(total, byzantine, crashed)
    }

    /// Every committee that may be in office: the hosts with their stakes, and the thresholds. First comes the first;
    /// the others have equal stakes and the largest safe `f`.
    pub(super) fn committees(&self) -> Result<Vec<Seats>, CommitteeError> {
        let first = self.committee.stakes.iter().copied().enumerate().collect();
        let mut committees = vec![(first, self.thresholds()?)];
        for change in &self.changes {
            let total = change.hosts.len() as u64;
            let thresholds = Thresholds::new(total, total.saturating_sub(1) / 3, 0)?;
            committees.push((
                change.hosts.iter().map(|host| (*host, 1)).collect(),
                thresholds,
            ));
        }
        Ok(committees)
    }

    /// Keys that the turmoil world does not follow: its links are the same in both directions.
    #[must_use]
    pub fn beyond_turmoil(&self) -> Vec<&'static str> {
        let Latency::Matrix(rows) = &self.network.latency else {
            return Vec::new();
        };
        let delay = |from: usize, to: usize| rows.get(from).and_then(|row| row.get(to));
        let mut pairs = (0..rows.len()).flat_map(|from| (0..from).map(move |to| (from, to)));
        let lopsided = pairs.any(|(from, to)| delay(from, to) != delay(to, from));
        if lopsided {
            vec!["network.latency"]
        } else {
            Vec::new()
        }
    }
}

/// Hosts that keep to the rules, never lost what they signed, and are up from `gst` to the end. A host that lost its vote
/// journal or its disk is silent until an epoch that began 20 s after that (protocol section 7), and counts as crashed.
#[must_use]
pub fn for_good(scenario: &Scenario) -> Vec<usize> {
    let mut good: Vec<bool> = (0..scenario.committee.hosts)
        .map(|host| scenario.honest(host))
        .collect();
    for fault in &scenario.faults {
        let bad = match fault.kind {
            FaultKind::Amnesia { .. } | FaultKind::Wipe { .. } => true,
            FaultKind::Crash { .. } | FaultKind::Late { .. } => fault.until() > scenario.gst,
            _ => false,
        };
        let hosts = if bad { fault.kind.hosts() } else { Vec::new() };
        for host in hosts {
            if let Some(good) = good.get_mut(host) {
                *good = false;
            }
        }
    }
    let hosts = good.iter().enumerate();
    hosts
        .filter_map(|(host, good)| good.then_some(host))
        .collect()
}

/// Those who must make progress after `gst`: hosts that are [`for_good`] and have a seat in the first committee and in
/// every later one, so that it does not matter which of them is in office.
#[must_use]
pub fn live_core(scenario: &Scenario) -> Vec<usize> {
    let everywhere = |host: &usize| {
        *host < scenario.members()
            && scenario
                .changes
                .iter()
                .all(|change| change.hosts.contains(host))
    };
    for_good(scenario).into_iter().filter(everywhere).collect()
}
