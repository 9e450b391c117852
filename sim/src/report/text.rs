//! The numbers of a run for people: a short table for the terminal, and the headline of the diagram.

use super::Run;
use super::latency::Latencies;
use super::summary::{Unit, ms, path, round};
use super::tally::{Loads, Tally};
use crate::fact::Micros;
use crate::record;

/// Kinds of messages that are listed one by one.
const KINDS_MAX: usize = 16;

/// A number with a thin gap every three digits.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

fn bytes(count: u64) -> String {
    let number = count as f64;
    if count < 10_000 {
        format!("{} B", grouped(count))
    } else if count < 1_000_000 {
        format!("{:.1} kB", number / 1e3)
    } else {
        format!("{:.1} MB", number / 1e6)
    }
}

fn seconds(micros: Micros) -> String {
    format!("{} s", round(micros as f64 / 1e6, 1_000.0))
}

fn duration(micros: Micros) -> String {
    format!("{} ms", round(ms(micros), 10.0))
}

fn percentiles(latencies: &Latencies, unit: &Unit) -> String {
    let one = |percent| {
        let micros = latencies.percentile(percent)?;
        let words = format!("p{percent} {} ({} d)", duration(micros), unit.count(micros));
        Some(words)
    };
    let all: Vec<String> = [50, 90, 99].into_iter().filter_map(one).collect();
    if all.is_empty() {
        "none".to_owned()
    } else {
        all.join("  ")
    }
}

fn byzantine(run: &Run<'_>) -> String {
    let one = |one: &crate::scenario::Byzantine| format!("m{} {}", one.host, one.deed);
    let all: Vec<String> = run.scenario.byzantine.iter().map(one).collect();
    if all.is_empty() {
        "none".to_owned()
    } else {
        all.join(", ")
    }
}

fn d_is(unit: &Unit) -> String {
    let what = if unit.constant {
        "the constant delay"
    } else {
        "delta"
    };
    format!("d = {} = {what}", duration(unit.micros))
}

fn listed<'a>(counts: impl Iterator<Item = (&'a str, u64)>) -> String {
    let all: Vec<String> = counts
        .map(|(name, count)| format!("{name} {}", grouped(count)))
        .collect();
    if all.is_empty() {
        "none".to_owned()
    } else {
        all.join(", ")
    }
}

fn commits(tally: &Tally) -> String {
    format!(
        "{} blocks (fast {}, slow {}, range {}), {} of {} transactions",
        grouped(tally.blocks()),
        grouped(path(tally, "fast")),
        grouped(path(tally, "slow")),
        grouped(path(tally, "range")),
        grouped(tally.transactions),
        grouped(tally.submitted),
    )
}

fn traffic(load: Loads) -> String {
    let sent = format!("{} messages, {}", grouped(load.messages), bytes(load.bytes));
    // Worlds with simulated keys check none.
    if load.signatures == 0 {
        return sent;
    }
    format!("{sent}, {} signatures checked", grouped(load.signatures))
}

/// The table for the terminal.
pub(super) fn lines(run: &Run<'_>, tally: &Tally) -> String {
    let scenario = run.scenario;
    let unit = Unit::of(scenario);
    let reached = run.marks.iter().filter(|(_, count)| *count > 0).count();
    let mut rows = vec![
        ("scenario", format!("{}, seed {}", scenario.name, run.seed)),
        ("token", run.token.to_owned()),
        ("hash", run.hash_text().unwrap_or_else(|| "none".to_owned())),
        (
            "members",
            format!(
                "{} of {} hosts; Byzantine: {}",
                scenario.members(),
                scenario.committee.hosts,
                byzantine(run)
            ),
        ),
        (
            "simulated",
            format!("{}; {}", seconds(run.end), d_is(&unit)),
        ),
        (
            "views",
            format!(
                "{}, timed out {}; epochs {}",
                grouped(tally.views),
                grouped(tally.timeouts),
                grouped(tally.epochs)
            ),
        ),
        ("final", commits(tally)),
        ("finality", percentiles(&tally.finality, &unit)),
        ("receipts", percentiles(&tally.receipts, &unit)),
        ("traffic", traffic(tally.load())),
        (
            "lost",
            listed(tally.lost.iter().map(|(why, count)| (*why, *count))),
        ),
        (
            "incidents",
            listed(
                tally
                    .incidents
                    .iter()
                    .map(|(what, count)| (what.as_str(), *count)),
            ),
        ),
    ];
    if !run.marks.is_empty() {
        rows.push(("marks", format!("{reached} of {} reached", run.marks.len())));
    }
    let verdict = run.violation.map_or_else(
        || "no checker fired".to_owned(),
        |one| format!("VIOLATION, {}: {one}", record::class(one.class)),
    );
    rows.push(("verdict", verdict));
    let mut out = String::new();
    for (name, value) in rows {
        out.push_str(&format!("{name:<10}  {value}\n"));
    }
    out.push_str(&table(tally));
    out
}

fn table(tally: &Tally) -> String {
    let mut kinds: Vec<_> = tally.loads.iter().collect();
    kinds.sort_by(|a, b| b.1.bytes.cmp(&a.1.bytes).then(a.0.cmp(b.0)));
    let mut out = format!(
        "\n{:<16}{:>12}{:>12}{:>10}{:>12}\n",
        "kind", "messages", "bytes", "lost", "signatures"
    );
    for (kind, load) in kinds.into_iter().take(KINDS_MAX) {
        out.push_str(&format!(
            "{kind:<16}{:>12}{:>12}{:>10}{:>12}\n",
            grouped(load.messages),
            bytes(load.bytes),
            grouped(load.lost),
            grouped(load.signatures),
        ));
    }
    out
}

/// The few numbers over the diagram: a name, a value, a note.
pub(super) fn headline(run: &Run<'_>, tally: &Tally) -> Vec<(&'static str, String, String)> {
    let unit = Unit::of(run.scenario);
    let load = tally.load();
    let lost: u64 = tally.lost.values().sum();
    let faults: u64 = tally.incidents.values().sum();
    let p50 = tally.finality.percentile(50);
    let p99 = tally.finality.percentile(99);
    let finality = p50.map_or_else(|| "none".to_owned(), duration);
    let tail = p50.zip(p99).map_or_else(String::new, |(p50, p99)| {
        format!("{} d; p99 {}", unit.count(p50), duration(p99))
    });
    let commits = format!(
        "fast {}, slow {}",
        grouped(path(tally, "fast")),
        grouped(path(tally, "slow"))
    );
    vec![
        ("Simulated", seconds(run.end), d_is(&unit)),
        (
            "Views",
            grouped(tally.views),
            format!("{} timed out", grouped(tally.timeouts)),
        ),
        ("Final blocks", grouped(tally.blocks()), commits),
        ("Finality p50", finality, tail),
        (
            "Transactions",
            grouped(tally.transactions),
            format!("of {} handed in", grouped(tally.submitted)),
        ),
        (
            "Messages",
            grouped(load.messages),
            format!("{} lost; {}", grouped(lost), bytes(load.bytes)),
        ),
        (
            "Incidents",
            grouped(faults),
            listed(
                tally
                    .incidents
                    .iter()
                    .map(|(what, count)| (what.as_str(), *count))
                    .take(3),
            ),
        ),
    ]
}
