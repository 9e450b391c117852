//! The figures, their medians and ratios, as Markdown and as JSON.

use crate::contestant::Contestant;
use crate::numbers::median;
use crate::rows::Row;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// One line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Figure {
    /// `latency`: from proposal to commit.
    CommitP50,
    /// The same, for 99 of 100.
    CommitP99,
    /// From due to final.
    SubmitP50,
    /// The same, for 99 of 100.
    SubmitP99,
    /// Between blocks.
    Interval,
    /// Memory under a light load.
    LightMemory,
    /// `saturation`: most committed per second.
    Saturated,
    /// CPU of the members for it.
    Cpu,
    /// CPU of members and load for it.
    CpuAll,
    /// Memory at its end.
    SaturatedMemory,
    /// `half`: what was offered.
    HalfRate,
    /// From due to final.
    HalfP50,
    /// The same, for 99 of 100.
    HalfP99,
    /// `inside`: most committed per second.
    InsideRate,
    /// CPU for it.
    InsideCpu,
    /// `wire`: bytes between members for each byte committed.
    Wire,
    /// `delay`: from proposal to commit.
    DelayCommit,
    /// Between blocks.
    DelayInterval,
    /// From due to final.
    DelaySubmitP50,
    /// The same, for 99 of 100.
    DelaySubmitP99,
    /// `outage`: without a transaction after the crash.
    FirstGap,
    /// Until the full rate is back for good.
    FullRate,
    /// Gaps after the first.
    LaterGaps,
    /// The longest of them.
    LaterLongest,
    /// `memory`: without load.
    IdleMemory,
}

impl Figure {
    /// Row, name and unit of every figure, in the order of the table.
    const ALL: [(Self, Row, &'static str, &'static str); 25] = [
        (Self::CommitP50, Row::Latency, "propose to commit p50", "ms"),
        (Self::CommitP99, Row::Latency, "propose to commit p99", "ms"),
        (Self::SubmitP50, Row::Latency, "submit to commit p50", "ms"),
        (Self::SubmitP99, Row::Latency, "submit to commit p99", "ms"),
        (Self::Interval, Row::Latency, "block interval", "ms"),
        (
            Self::LightMemory,
            Row::Latency,
            "resident memory per member",
            "MB",
        ),
        (Self::Saturated, Row::Saturation, "throughput", "tx/s"),
        (
            Self::Cpu,
            Row::Saturation,
            "CPU per 100,000 tx, member processes",
            "s",
        ),
        (
            Self::CpuAll,
            Row::Saturation,
            "CPU per 100,000 tx, load generator too",
            "s",
        ),
        (
            Self::SaturatedMemory,
            Row::Saturation,
            "resident memory per member",
            "MB",
        ),
        (Self::HalfRate, Row::Half, "offered", "tx/s"),
        (Self::HalfP50, Row::Half, "submit to commit p50", "ms"),
        (Self::HalfP99, Row::Half, "submit to commit p99", "ms"),
        (Self::InsideRate, Row::Inside, "throughput", "tx/s"),
        (Self::InsideCpu, Row::Inside, "CPU per 100,000 tx", "s"),
        (
            Self::Wire,
            Row::Wire,
            "bytes between members per committed byte",
            "",
        ),
        (Self::DelayCommit, Row::Delay, "propose to commit p50", "d"),
        (Self::DelayInterval, Row::Delay, "block interval", "d"),
        (
            Self::DelaySubmitP50,
            Row::Delay,
            "submit to commit p50",
            "d",
        ),
        (
            Self::DelaySubmitP99,
            Row::Delay,
            "submit to commit p99",
            "d",
        ),
        (Self::FirstGap, Row::Outage, "first gap", "s"),
        (Self::FullRate, Row::Outage, "full rate for good after", "s"),
        (Self::LaterGaps, Row::Outage, "later gaps", ""),
        (Self::LaterLongest, Row::Outage, "longest later gap", "s"),
        (
            Self::IdleMemory,
            Row::Memory,
            "resident memory per member",
            "MB",
        ),
    ];

    /// The figures of a row.
    pub fn of(row: Row) -> impl Iterator<Item = Self> {
        let own = Self::ALL.iter().filter(move |(_, of, ..)| *of == row);
        own.map(|(figure, ..)| *figure)
    }
}

/// What is known of one figure of one contestant.
#[derive(Clone, Debug, Default, PartialEq)]
struct Cell {
    values: Vec<f64>,
    reasons: Vec<String>,
}

/// All figures of an invocation.
#[derive(Clone, Debug)]
pub struct Table {
    contestants: Vec<Contestant>,
    size: usize,
    cells: BTreeMap<(Figure, Contestant), Cell>,
}

impl Table {
    /// Empty, with a column for each contestant.
    #[must_use]
    pub fn new(contestants: &[Contestant], size: usize) -> Self {
        Self {
            contestants: contestants.to_vec(),
            size,
            cells: BTreeMap::new(),
        }
    }

    /// A value of one run.
    pub fn add(&mut self, figure: Figure, contestant: Contestant, value: f64) {
        self.cell(figure, contestant).values.push(value);
    }

    /// Why a run gave no value.
    pub fn reason(&mut self, figure: Figure, contestant: Contestant, reason: String) {
        self.cell(figure, contestant).reasons.push(reason);
    }

    fn cell(&mut self, figure: Figure, contestant: Contestant) -> &mut Cell {
        self.cells.entry((figure, contestant)).or_default()
    }

    /// The figures that somebody has a value or a reason for.
    fn lines(&self) -> impl Iterator<Item = &'static (Figure, Row, &'static str, &'static str)> {
        let known = |figure| {
            self.contestants
                .iter()
                .any(|of| self.cells.contains_key(&(figure, *of)))
        };
        Figure::ALL
            .iter()
            .filter(move |(figure, ..)| known(*figure))
    }

    fn median(&self, figure: Figure, contestant: Contestant) -> Option<f64> {
        median(&self.cells.get(&(figure, contestant))?.values)
    }

    /// Ours with each peer, and what ours is relative to it.
    fn pairs(&self) -> Vec<(Contestant, Contestant)> {
        let ours = self.contestants.iter().copied().find(|one| one.is_ours());
        let peers = self
            .contestants
            .iter()
            .copied()
            .filter(|one| !one.is_ours());
        ours.map_or_else(Vec::new, |ours| peers.map(|peer| (ours, peer)).collect())
    }

    fn ratio(&self, figure: Figure, (ours, peer): (Contestant, Contestant)) -> Option<f64> {
        let ratio = self.median(figure, ours)? / self.median(figure, peer)?;
        ratio.is_finite().then_some(ratio)
    }

    /// The table, the reasons in it, and the terms.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let pairs = self.pairs();
        let mut head = vec!["row".to_owned(), "figure".to_owned()];
        head.extend(self.contestants.iter().map(|one| one.name().to_owned()));
        head.extend(
            pairs
                .iter()
                .map(|(ours, peer)| format!("{} / {}", ours.name(), peer.name())),
        );
        let mut out = line(&head);
        out.push_str(&line(&vec!["---".to_owned(); head.len()]));
        let mut reasons: Vec<String> = Vec::new();
        for (figure, row, name, unit) in self.lines() {
            let unit = if unit.is_empty() {
                String::new()
            } else {
                format!(", {unit}")
            };
            let mut cells = vec![row.name().to_owned(), format!("{name}{unit}")];
            for contestant in &self.contestants {
                cells.push(self.shown(*figure, *contestant, &mut reasons));
            }
            for pair in &pairs {
                cells.push(self.ratio(*figure, *pair).map_or_else(String::new, short));
            }
            out.push_str(&line(&cells));
        }
        for (index, reason) in reasons.iter().enumerate() {
            // Writing to a string does not fail.
            let _ = write!(out, "\n[{}]: {reason}\n", index + 1);
        }
        out.push_str(&self.terms());
        out
    }

    /// The median, with a mark if some repeat gave none; or only the mark.
    fn shown(&self, figure: Figure, contestant: Contestant, reasons: &mut Vec<String>) -> String {
        let nothing = Cell {
            values: Vec::new(),
            reasons: vec!["not run".to_owned()],
        };
        let cell = self.cells.get(&(figure, contestant)).unwrap_or(&nothing);
        let mut out = median(&cell.values).map_or_else(String::new, short);
        if let Some(reason) = cell.reasons.first() {
            let place = reasons.iter().position(|known| known == reason);
            let place = place.unwrap_or_else(|| {
                reasons.push(reason.clone());
                reasons.len() - 1
            });
            let _ = write!(out, " \\[{}\\]", place + 1);
        }
        out.trim_start().to_owned()
    }

    fn terms(&self) -> String {
        let mut out = String::from("\nThe work of each row:\n\n");
        let mut rows: Vec<Row> = self.lines().map(|(_, row, ..)| *row).collect();
        rows.dedup();
        for row in rows {
            let _ = writeln!(out, "- {}: {}", row.name(), row.work(self.size));
        }
        out.push_str("\nThe terms, which hold for every row of the column:\n\n");
        out.push_str("| | vote durable before it is sent | verified | load | kept | transport |\n|---|---|---|---|---|---|\n");
        for one in &self.contestants {
            let terms = one.terms();
            let cells = [
                one.name(),
                terms.durable,
                terms.verified,
                terms.load,
                terms.kept,
                terms.transport,
            ];
            out.push_str(&line(&cells.map(str::to_owned)));
        }
        out
    }

    /// Everything, with the value of each repeat.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let figures = self.lines().map(|(figure, row, name, unit)| {
            let mut values = Map::new();
            for one in &self.contestants {
                let cell = self.cells.get(&(*figure, *one)).cloned().unwrap_or_default();
                let value = json!({
                    "median": median(&cell.values), "values": cell.values, "reasons": cell.reasons, "terms": one.terms(),
                });
                values.insert(one.name().to_owned(), value);
            }
            let ratios: Map<String, Value> = self
                .pairs()
                .into_iter()
                .map(|pair| {
                    let name = format!("{} / {}", pair.0.name(), pair.1.name());
                    (name, json!(self.ratio(*figure, pair)))
                })
                .collect();
            json!({
                "row": row.name(), "work": row.work(self.size), "figure": name, "unit": unit,
                "contestants": values, "ratios": ratios,
            })
        });
        Value::Array(figures.collect())
    }
}

fn line(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

/// Three digits that count.
fn short(value: f64) -> String {
    let size = value.abs();
    if size >= 100.0 {
        format!("{value:.0}")
    } else if size >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(
            &[
                Contestant::Outrider,
                Contestant::Simplex,
                Contestant::Hotstuff,
            ],
            512,
        );
        for value in [3.0, 1.0, 2.0] {
            table.add(Figure::CommitP50, Contestant::Outrider, value);
            table.add(Figure::CommitP50, Contestant::Simplex, value * 2.0);
        }
        for figure in [Figure::CommitP50, Figure::CommitP99] {
            table.reason(figure, Contestant::Hotstuff, "it panics".to_owned());
        }
        table
    }

    #[test]
    fn every_figure_has_one_line_and_every_row_a_figure() {
        for (index, (figure, ..)) in Figure::ALL.iter().enumerate() {
            assert_eq!(
                Figure::ALL.iter().position(|(other, ..)| other == figure),
                Some(index)
            );
        }
        for row in Row::ALL {
            assert!(Figure::of(row).next().is_some(), "{row:?}");
        }
    }

    #[test]
    fn medians_ratios_and_reasons_are_shown_and_no_cell_is_blank() {
        let text = table().to_markdown();
        let wanted = "| latency | propose to commit p50, ms | 2.00 | 4.00 | \\[1\\] | 0.50 |  |\n";
        assert!(text.contains(wanted), "{text}");
        let wanted = "| latency | propose to commit p99, ms | \\[2\\] | \\[2\\] | \\[1\\] |";
        assert!(text.contains(wanted), "{text}");
        assert!(
            text.contains("\n[1]: it panics\n") && text.contains("\n[2]: not run\n"),
            "{text}"
        );
        assert!(
            text.contains("- latency: 1000 tx/s of 512 bytes\n"),
            "{text}"
        );
        assert!(
            text.contains("| hotstuff | no: block tree in memory |"),
            "{text}"
        );
    }

    #[test]
    fn json_has_every_repeat() {
        let json = table().to_json();
        assert_eq!(
            json[0]["contestants"]["outrider"]["values"],
            json!([3.0, 1.0, 2.0])
        );
        assert_eq!(json[0]["ratios"]["outrider / simplex"], 0.5);
        assert!(json[0]["ratios"]["outrider / hotstuff"].is_null());
        assert_eq!(
            json[1]["contestants"]["hotstuff"]["reasons"][0],
            "it panics"
        );
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([1234.6, 12.34, 0.123].map(short), ["1235", "12.3", "0.12"]);
    }
}
