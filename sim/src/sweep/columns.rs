//! `runs.csv`: what its columns are, and how a run becomes a line.

use super::statistics::percentile;
use super::{Cell, Finality, Row};
use crate::fact::Micros;
use crate::protocols::lab::{End, Play};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// One column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name in the first line.
    pub name: &'static str,
    /// Its unit; empty for names and plain numbers.
    pub unit: &'static str,
    /// What it says.
    pub about: &'static str,
}

const fn column(name: &'static str, unit: &'static str, about: &'static str) -> Column {
    Column { name, unit, about }
}

/// All columns, in order.
pub const COLUMNS: [Column; 30] = [
    column(
        "seed",
        "",
        "Seed of the run: with the other coordinates it decides everything.",
    ),
    column("commit", "", "Git commit of the program."),
    column("protocol", "", "outrider, hotstuff, jolteon or streamlet."),
    column("members", "members", "Size of the committee, n."),
    column(
        "f",
        "members",
        "Members that may be Byzantine: (n-1)/3, rounded down.",
    ),
    column(
        "silent_share",
        "",
        "Share of silent members that was asked for.",
    ),
    column(
        "silent",
        "members",
        "Members that never say anything: that share of n, rounded down, drawn by the seed.",
    ),
    column(
        "delta_ms",
        "ms",
        "One-way delay of every message, without jitter: d.",
    ),
    column(
        "jitter_ms",
        "ms",
        "Each message takes up to so much longer, uniformly.",
    ),
    column(
        "bound_ms",
        "ms",
        "D, the bound on delays that timers are set for: view timers are 5D at first, an epoch of Streamlet is 2D.",
    ),
    column(
        "finality_p50_ms",
        "ms",
        "Median finality, over blocks and members: from the first time that a block's leader sends the block to when a member that is not silent commits it, its leader included. Blocks that never become final have none.",
    ),
    column("finality_p90_ms", "ms", "90th percentile of the same."),
    column("finality_p99_ms", "ms", "99th percentile of the same."),
    column("finality_mean_ms", "ms", "Mean of the same."),
    column(
        "finality_p50_d",
        "d",
        "Median finality as a multiple of delta_ms.",
    ),
    column("finality_p90_d", "d", "90th percentile of the same."),
    column("finality_p99_d", "d", "99th percentile of the same."),
    column("finality_mean_d", "d", "Mean of the same."),
    column(
        "block_interval_d",
        "d",
        "Mean time between the first sends of final blocks that follow each other, as a multiple of delta_ms.",
    ),
    column(
        "views",
        "views",
        "The highest view, round or epoch that any member reached.",
    ),
    column(
        "timeouts",
        "",
        "How often a member gave a view up because a timer fired, its own or those of others that it joined.",
    ),
    column(
        "bytes",
        "bytes",
        "Bytes sent between members, without payloads and without the transport's own; certificates are lists of Ed25519 signatures in every protocol.",
    ),
    column("messages", "", "Messages sent, counted for each receiver."),
    column("signatures", "", "Signatures made."),
    column(
        "verifications",
        "",
        "Signatures checked; a certificate that a member has made or checked before is not checked again.",
    ),
    column(
        "commits",
        "blocks",
        "Blocks that every member that is not silent has committed.",
    ),
    column("time_ms", "ms", "Simulated time of the run."),
    column("blocks_per_s", "1/s", "commits per simulated second."),
    column(
        "end",
        "",
        "Why the run ended: reached (all blocks asked for are final), limit (simulated time was up), events (too many), broken (a promise was).",
    ),
    column(
        "fork",
        "",
        "1 if two members disagreed or a member skipped a height, else 0.",
    ),
];

impl Row {
    pub(super) fn new(
        (cell, seed): (Cell, u64),
        (faulty, silent, jitter, bound): (usize, usize, Micros, Micros),
        play: &Play,
        blocks: u64,
    ) -> Self {
        let finality = play.finality(blocks);
        let sent: Vec<Micros> = play
            .chain(blocks)
            .iter()
            .filter_map(|block| play.proposals.get(block).copied())
            .collect();
        let interval = match (sent.first(), sent.last()) {
            (Some(first), Some(last)) if sent.len() > 1 => {
                Some(last.saturating_sub(*first) / (sent.len() as u64 - 1))
            }
            _ => None,
        };
        Self {
            cell,
            seed,
            faulty,
            silent,
            jitter,
            bound,
            finality: Finality::of(&finality),
            interval,
            views: play.views,
            timeouts: play.timeouts,
            bytes: play.bytes,
            messages: play.messages,
            signed: play.signed,
            verified: play.verified,
            commits: everywhere(play, cell.members - silent, blocks),
            time: play.at,
            end: play.end.clone(),
        }
    }

    /// Whether members disagreed.
    #[must_use]
    pub const fn forked(&self) -> bool {
        matches!(self.end, End::Broken(_))
    }

    /// A time as a multiple of the delay.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "times far below 2^53 us")]
    pub fn in_delays(&self, micros: Micros) -> f64 {
        micros as f64 / (self.cell.delta_ms * 1_000) as f64
    }

    fn fields(&self, commit: &str) -> [String; COLUMNS.len()] {
        let Cell {
            members,
            delta_ms,
            silent_share,
            protocol,
        } = self.cell;
        let delta = delta_ms * 1_000;
        let times = self
            .finality
            .map(|all| [all.p50, all.p90, all.p99, all.mean]);
        let [p50, p90, p99, mean] = times.map_or([None; 4], |all| all.map(Some));
        let end = match self.end {
            End::Reached => "reached",
            End::Limit => "limit",
            End::Events => "events",
            End::Broken(_) => "broken",
        };
        [
            self.seed.to_string(),
            commit.to_owned(),
            protocol.to_string(),
            members.to_string(),
            self.faulty.to_string(),
            silent_share.to_string(),
            self.silent.to_string(),
            delta_ms.to_string(),
            ratio(Some(self.jitter), 1_000),
            ratio(Some(self.bound), 1_000),
            ratio(p50, 1_000),
            ratio(p90, 1_000),
            ratio(p99, 1_000),
            ratio(mean, 1_000),
            ratio(p50, delta),
            ratio(p90, delta),
            ratio(p99, delta),
            ratio(mean, delta),
            ratio(self.interval, delta),
            self.views.to_string(),
            self.timeouts.to_string(),
            self.bytes.to_string(),
            self.messages.to_string(),
            self.signed.to_string(),
            self.verified.to_string(),
            self.commits.to_string(),
            ratio(Some(self.time), 1_000),
            ratio(self.commits.checked_mul(1_000_000), self.time.max(1)),
            end.to_owned(),
            u8::from(self.forked()).to_string(),
        ]
    }
}

impl Finality {
    fn of(sorted: &[Micros]) -> Option<Self> {
        let sum: u64 = sorted.iter().sum();
        Some(Self {
            p50: percentile(sorted, 50)?,
            p90: percentile(sorted, 90)?,
            p99: percentile(sorted, 99)?,
            mean: sum.checked_div(sorted.len() as u64)?,
        })
    }
}

/// Heights that all live members have committed.
fn everywhere(play: &Play, live: usize, blocks: u64) -> u64 {
    let mut heights = BTreeMap::new();
    for commit in &play.commits {
        heights.insert(commit.member, commit.height);
    }
    if heights.len() < live {
        return 0;
    }
    heights.into_values().min().unwrap_or_default().min(blocks)
}

/// A quotient with three digits, in whole numbers, so that it is the same everywhere; empty if there is nothing.
fn ratio(value: Option<u64>, unit: u64) -> String {
    let Some(value) = value else {
        return String::new();
    };
    let thousandths = (u128::from(value) * 1_000 + u128::from(unit) / 2) / u128::from(unit.max(1));
    format!("{}.{:03}", thousandths / 1_000, thousandths % 1_000)
}

/// The whole file: a line of names, and a line for each run. `commit` is the program's.
#[must_use]
pub fn csv(rows: &[Row], commit: &str) -> String {
    let names: Vec<&str> = COLUMNS.iter().map(|column| column.name).collect();
    // No field holds a comma or a quote: names, numbers, and the commit without them.
    let commit: String = commit
        .chars()
        .filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-')
        .collect();
    let mut out = names.join(",");
    out.push('\n');
    for row in rows {
        out.push_str(&row.fields(&commit).join(","));
        out.push('\n');
    }
    out
}

/// The columns as a Markdown table.
#[must_use]
pub fn columns_markdown() -> String {
    let mut out = String::from("| column | unit | what |\n|---|---|---|\n");
    for Column { name, unit, about } in COLUMNS {
        let _ = writeln!(out, "| `{name}` | {unit} | {about} |");
    }
    out
}
