//! The numbers of a run in one JSON object.

use super::latency::Latencies;
use super::tally::{Loads, Tally};
use super::{Run, text};
use crate::fact::Micros;
use crate::record;
use crate::record::value::{Value, fields};
use crate::scenario::{Jitter, Latency, Scenario};

/// The numbers of a run.
#[derive(Clone, Debug)]
pub struct Summary {
    value: Value,
    text: String,
    headline: Vec<(&'static str, String, String)>,
}

/// What "in d" means: one network delay if it is constant, else the scenario's longest delay after gst.
pub(super) struct Unit {
    pub(super) micros: Micros,
    pub(super) constant: bool,
}

impl Unit {
    pub(super) fn of(scenario: &Scenario) -> Self {
        match (&scenario.network.latency, scenario.network.jitter) {
            (Latency::Constant(micros), Jitter::None) if *micros > 0 => Self {
                micros: *micros,
                constant: true,
            },
            _ => Self {
                micros: scenario.delta.max(1),
                constant: false,
            },
        }
    }

    pub(super) fn count(&self, micros: Micros) -> f64 {
        round(micros as f64 / self.micros as f64, 100.0)
    }
}

pub(super) fn round(number: f64, scale: f64) -> f64 {
    (number * scale).round() / scale
}

pub(super) fn ms(micros: Micros) -> f64 {
    micros as f64 / 1_000.0
}

impl Summary {
    /// Of a run and what was counted in it.
    #[must_use]
    pub fn new(run: &Run<'_>, tally: &Tally) -> Self {
        Self {
            value: value(run, tally),
            text: text::lines(run, tally),
            headline: text::headline(run, tally),
        }
    }

    /// As JSON, with a newline at the end.
    #[must_use]
    pub fn json(&self) -> String {
        self.value.pretty() + "\n"
    }

    /// For a terminal.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The few numbers over the diagram: a name, a value and a note of each.
    #[must_use]
    pub fn headline(&self) -> &[(&'static str, String, String)] {
        &self.headline
    }
}

fn value(run: &Run<'_>, tally: &Tally) -> Value {
    let scenario = run.scenario;
    let unit = Unit::of(scenario);
    let load = tally.load();
    let byzantine = scenario
        .byzantine
        .iter()
        .map(|one| Value::Object(fields!(host: one.host, deed: one.deed.as_str())));
    let commits = fields!(
        blocks: tally.blocks(),
        height: tally.height,
        fast: path(tally, "fast"),
        slow: path(tally, "slow"),
        range: path(tally, "range"),
        transactions: tally.transactions,
        submitted: tally.submitted,
    );
    let d = if unit.constant {
        "constant delay"
    } else {
        "delta"
    };
    let marks = run.marks.iter().filter(|(_, count)| *count > 0).count();
    Value::Object(fields!(
        scenario: scenario.name.as_str(),
        seed: run.seed,
        token: run.token,
        hash: run.hash_text(),
        members: scenario.members(),
        hosts: scenario.committee.hosts,
        byzantine: Value::List(byzantine.collect()),
        simulated_ms: ms(run.end),
        healed_ms: tally.healed.map(ms),
        d_ms: ms(unit.micros),
        d_is: d,
        epochs: tally.epochs,
        views: tally.views,
        timeouts: tally.timeouts,
        commits: Value::Object(commits),
        finality: latency(&tally.finality, &unit),
        receipt: latency(&tally.receipts, &unit),
        delay: latency(&tally.delays, &unit),
        messages: load.messages,
        bytes: load.bytes,
        signatures: load.signatures,
        lost: counts(tally.lost.iter().map(|(why, count)| (*why, *count))),
        by_kind: Value::List(tally.loads.iter().map(|(kind, load)| of_kind(kind, *load)).collect()),
        incidents: counts(tally.incidents.iter().map(|(what, count)| (what.as_str(), *count))),
        marks_reached: marks,
        marks: counts(run.marks.iter().copied()),
        violation: run.violation.map(|one| Value::Object(fields!(
            checker: one.checker,
            class: record::class(one.class),
            at_ms: ms(one.at),
            what: one.what.as_str(),
        ))),
    ))
}

pub(super) fn path(tally: &Tally, path: &str) -> u64 {
    tally.commits.get(path).copied().unwrap_or_default()
}

fn latency(latencies: &Latencies, unit: &Unit) -> Value {
    let at = |percent| latencies.percentile(percent);
    let d = |percent| at(percent).map(|micros| unit.count(micros));
    Value::Object(fields!(
        samples: latencies.len(),
        p50_ms: at(50).map(ms),
        p90_ms: at(90).map(ms),
        p99_ms: at(99).map(ms),
        max_ms: at(100).map(ms),
        p50_d: d(50),
        p90_d: d(90),
        p99_d: d(99),
    ))
}

fn of_kind(kind: &str, load: Loads) -> Value {
    Value::Object(fields!(
        kind: kind,
        messages: load.messages,
        bytes: load.bytes,
        lost: load.lost,
        signatures: load.signatures,
    ))
}

fn counts<'a>(list: impl Iterator<Item = (&'a str, u64)>) -> Value {
    let list = list.map(|(name, count)| Value::Object(fields!(name: name, count: count)));
    Value::List(list.collect())
}
