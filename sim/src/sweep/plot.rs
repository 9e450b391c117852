//! Charts of a sweep: one SVG file per question, a panel for each value of the other axis.
//!
//! A point is the median over seeds of what was measured in each run; its band is the 95 % bootstrap interval of that
//! median ([`estimate`]). A hollow point had runs that did not get to their end; no point: no run made a block
//! final. Colours are those of Okabe and Ito, which colour-blind people tell apart; each protocol has a shape of its own too.

use super::statistics::{Estimate, estimate};
use super::svg::{Anchor, Svg};
use super::{Grid, Row};
use crate::protocols::Contender;
use crate::protocols::lab::End;

/// A chart with the name of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chart {
    /// File name, with `.svg`.
    pub file: String,
    /// The document.
    pub svg: String,
}

/// What is measured in a run.
struct Metric {
    file: &'static str,
    title: &'static str,
    axis: &'static str,
    of: fn(&Row) -> Option<f64>,
}

const METRICS: [Metric; 4] = [
    Metric {
        file: "finality-p50",
        title: "Finality: median of each run",
        axis: "first send to commit, in delays d",
        of: |row| Some(row.in_delays(row.finality?.p50)),
    },
    Metric {
        file: "finality-p99",
        title: "Finality: 99th percentile of each run",
        axis: "first send to commit, in delays d",
        of: |row| Some(row.in_delays(row.finality?.p99)),
    },
    Metric {
        file: "block-interval",
        title: "Time between final blocks",
        axis: "between first sends, in delays d",
        of: |row| Some(row.in_delays(row.interval?)),
    },
    Metric {
        file: "bytes-per-block",
        title: "Bytes that all members send for a final block, without payload",
        axis: "kilobytes",
        of: kilobytes_per_block,
    },
];

#[allow(clippy::cast_precision_loss, reason = "byte counts far below 2^53")]
fn kilobytes_per_block(row: &Row) -> Option<f64> {
    (row.commits > 0).then(|| row.bytes as f64 / row.commits as f64 / 1_000.0)
}

/// What runs along the horizontal axis.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Axis {
    Members,
    Silent,
}

impl Axis {
    const fn file(self) -> &'static str {
        match self {
            Self::Members => "by-members",
            Self::Silent => "by-silent",
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Members => "members of the committee",
            Self::Silent => "silent members, % of the committee",
        }
    }
}

/// A position on the horizontal axis: members, or percent silent.
struct Tick {
    /// From 0 to 1 along the axis.
    place: f64,
    label: String,
}

/// One panel: its name, and the line of each protocol as points along the ticks.
struct Panel {
    name: String,
    lines: Vec<(Contender, Vec<Option<Point>>)>,
}

#[derive(Clone, Copy)]
struct Point {
    estimate: Estimate,
    /// Every run got to its end.
    whole: bool,
}

const COLOURS: [&str; 4] = ["#0072B2", "#D55E00", "#009E73", "#CC79A7"];
const INK: &str = "#222222";
const FAINT: &str = "#dddddd";
const PANEL: (f64, f64) = (270.0, 210.0);
const GAP: (f64, f64) = (24.0, 54.0);
const PANELS_PER_ROW: usize = 4;
const LEFT: f64 = 76.0;
const TOP: f64 = 104.0;
const BOTTOM: f64 = 96.0;
const RIGHT: f64 = 24.0;
/// The title and the legend need this much.
const WIDTH_MIN: f64 = 640.0;

/// All charts for which the grid has more than one value along the axis.
#[must_use]
pub fn charts(grid: &Grid, rows: &[Row]) -> Vec<Chart> {
    let mut all = Vec::new();
    for axis in [Axis::Members, Axis::Silent] {
        let ticks = ticks(grid, axis);
        if ticks.len() < 2 {
            continue;
        }
        for metric in &METRICS {
            let panels = panels(grid, rows, axis, metric);
            all.push(Chart {
                file: format!("{}-{}.svg", metric.file, axis.file()),
                svg: draw(grid, (axis, metric), &ticks, &panels),
            });
        }
    }
    all
}

fn percent(share: f64) -> f64 {
    (share * 1_000.0).round() / 10.0
}

#[allow(
    clippy::cast_precision_loss,
    reason = "committees are far smaller than 2^53"
)]
fn ticks(grid: &Grid, axis: Axis) -> Vec<Tick> {
    // Sizes are spread by their logarithm.
    let values: Vec<(f64, String)> = match axis {
        Axis::Members => grid
            .members
            .iter()
            .map(|members| ((*members as f64).ln(), members.to_string()))
            .collect(),
        Axis::Silent => grid
            .silent
            .iter()
            .map(|share| (*share, percent(*share).to_string()))
            .collect(),
    };
    let low = values
        .iter()
        .map(|(value, _)| *value)
        .fold(f64::MAX, f64::min);
    let high = values
        .iter()
        .map(|(value, _)| *value)
        .fold(f64::MIN, f64::max);
    let span = (high - low).max(f64::EPSILON);
    values
        .into_iter()
        .map(|(value, label)| Tick {
            place: 0.04 + 0.92 * (value - low) / span,
            label,
        })
        .collect()
}

/// A panel for each delay and each value of the other axis.
fn panels(grid: &Grid, rows: &[Row], axis: Axis, metric: &Metric) -> Vec<Panel> {
    let mut all = Vec::new();
    for &delta_ms in &grid.delta_ms {
        let d = if grid.delta_ms.len() > 1 {
            format!(", d = {delta_ms} ms")
        } else {
            String::new()
        };
        let mut panel = |name: String, cells: &[(usize, f64)]| {
            let lines = grid.protocols.iter().map(|&protocol| {
                let points = cells.iter().map(|&(members, share)| {
                    let of_cell = rows.iter().filter(|row| {
                        let cell = row.cell;
                        (cell.delta_ms, cell.members, cell.protocol)
                            == (delta_ms, members, protocol)
                            && cell.silent_share.total_cmp(&share).is_eq()
                    });
                    point(&of_cell.collect::<Vec<_>>(), metric)
                });
                (protocol, points.collect())
            });
            all.push(Panel {
                name: format!("{name}{d}"),
                lines: lines.collect(),
            });
        };
        match axis {
            Axis::Members => {
                for &share in &grid.silent {
                    let cells: Vec<_> = grid.members.iter().map(|n| (*n, share)).collect();
                    panel(format!("{} % silent", percent(share)), &cells);
                }
            }
            Axis::Silent => {
                for &members in &grid.members {
                    let cells: Vec<_> = grid.silent.iter().map(|share| (members, *share)).collect();
                    panel(format!("{members} members"), &cells);
                }
            }
        }
    }
    all
}

fn point(rows: &[&Row], metric: &Metric) -> Option<Point> {
    let values: Vec<f64> = rows.iter().filter_map(|row| (metric.of)(row)).collect();
    Some(Point {
        estimate: estimate(&values)?,
        whole: rows.iter().all(|row| row.end == End::Reached),
    })
}

/// A logarithmic axis from one round number to another.
struct Scale {
    low: f64,
    high: f64,
    ticks: Vec<f64>,
}

impl Scale {
    /// Around all values, with 1, 2 and 5 times powers of ten as ticks.
    fn around(values: impl Iterator<Item = f64>) -> Self {
        let positive = values.filter(|value| *value > 0.0);
        let (low, high) = positive.fold((f64::MAX, f64::MIN), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        let (low, high) = if low > high { (1.0, 10.0) } else { (low, high) };
        let round: Vec<f64> = (-3..=9)
            .flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * 10_f64.powi(power)))
            .collect();
        let first = round.iter().rev().find(|tick| **tick <= low * 0.98);
        let last = round.iter().find(|tick| **tick >= high * 1.02);
        let first = first.copied().unwrap_or(low);
        let last = last.copied().unwrap_or(high);
        let within = |tick: &f64| (first..=last).contains(tick);
        let mut ticks: Vec<f64> = round.into_iter().filter(within).collect();
        if ticks.len() > 12 {
            // Powers of ten alone.
            ticks.retain(|tick| (tick.log10() - tick.log10().round()).abs() < 1e-9);
        }
        Self {
            low: first,
            high: last,
            ticks,
        }
    }

    /// From 0 at the bottom to 1.
    fn place(&self, value: f64) -> f64 {
        let value = value.clamp(self.low, self.high);
        (value / self.low).ln() / (self.high / self.low).ln().max(f64::EPSILON)
    }
}

#[allow(clippy::cast_precision_loss, reason = "a few panels")]
fn draw(grid: &Grid, (axis, metric): (Axis, &Metric), ticks: &[Tick], panels: &[Panel]) -> String {
    let per_row = match axis {
        Axis::Members => grid.silent.len(),
        Axis::Silent => grid.members.len(),
    }
    .clamp(1, PANELS_PER_ROW);
    let rows = panels.len().div_ceil(per_row);
    let inner = per_row as f64 * (PANEL.0 + GAP.0) - GAP.0;
    let width = (LEFT + inner + RIGHT).max(WIDTH_MIN);
    let height = TOP + rows as f64 * (PANEL.1 + GAP.1) - GAP.1 + BOTTOM;
    let scale = Scale::around(panels.iter().flat_map(|panel| {
        let points = panel.lines.iter().flat_map(|(_, points)| points);
        points
            .flatten()
            .flat_map(|point| [point.estimate.low, point.estimate.high])
    }));
    let mut svg = Svg::new(width, height);
    head(&mut svg, grid, metric);
    for (index, panel) in panels.iter().enumerate() {
        let (row, column) = (index / per_row, index % per_row);
        let x = LEFT + column as f64 * (PANEL.0 + GAP.0);
        let y = TOP + row as f64 * (PANEL.1 + GAP.1);
        draw_panel(&mut svg, (x, y), panel, (ticks, &scale), column == 0);
    }
    let bottom = height - BOTTOM;
    svg.text(
        (LEFT + inner / 2.0, bottom + 40.0),
        13.0,
        Anchor::Middle,
        axis.label(),
    );
    svg.upright((18.0, f64::midpoint(TOP, bottom)), 13.0, metric.axis);
    let note = format!(
        "points: median over {} seeds; bands: 95 % bootstrap interval",
        grid.seeds
    );
    svg.text((14.0, height - 28.0), 10.5, Anchor::Start, &note);
    let holes = "hollow: some runs did not finish; no point: none made a block final";
    svg.text((14.0, height - 12.0), 10.5, Anchor::Start, holes);
    svg.finish()
}

/// Title, what the worlds are like, and the legend.
fn head(svg: &mut Svg, grid: &Grid, metric: &Metric) {
    svg.title(metric.title);
    svg.bold((14.0, 26.0), 16.0, Anchor::Start, metric.title);
    let delays: Vec<String> = grid.delta_ms.iter().map(ToString::to_string).collect();
    let worlds = format!(
        "d = {} ms, up to {} % more by jitter; timers set for D = {} times the longest delay; {} blocks a run",
        delays.join(", "),
        percent(grid.jitter),
        grid.bound,
        grid.blocks
    );
    svg.text((14.0, 45.0), 11.0, Anchor::Start, &worlds);
    let mut x = 20.0;
    for &protocol in &grid.protocols {
        svg.line((x, 66.0), (x + 26.0, 66.0), colour(protocol), 2.2);
        marker(svg, protocol, (x + 13.0, 66.0), true);
        svg.text((x + 33.0, 70.0), 13.0, Anchor::Start, protocol.name());
        x += 120.0;
    }
}

fn draw_panel(
    svg: &mut Svg,
    (x, y): (f64, f64),
    panel: &Panel,
    (ticks, scale): (&[Tick], &Scale),
    labelled: bool,
) {
    let (width, height) = PANEL;
    let across = |place: f64| x + place * width;
    let up = |value: f64| y + height - scale.place(value) * height;
    svg.bold(
        (x + width / 2.0, y - 8.0),
        12.0,
        Anchor::Middle,
        &panel.name,
    );
    for tick in &scale.ticks {
        let at = up(*tick);
        svg.line((x, at), (x + width, at), FAINT, 1.0);
        if labelled {
            svg.text((x - 8.0, at + 4.0), 11.0, Anchor::End, &tick.to_string());
        }
    }
    for tick in ticks {
        let at = across(tick.place);
        svg.line((at, y + height), (at, y + height + 5.0), INK, 1.0);
        svg.text((at, y + height + 18.0), 11.0, Anchor::Middle, &tick.label);
    }
    svg.frame((x, y), PANEL, INK);
    // Bands first, so that no band hides a line.
    for (protocol, points) in &panel.lines {
        for stretch in stretches(ticks, points) {
            let upper = stretch
                .iter()
                .map(|(place, point)| (across(*place), up(point.estimate.high)));
            let lower = stretch
                .iter()
                .rev()
                .map(|(place, point)| (across(*place), up(point.estimate.low)));
            svg.area(&upper.chain(lower).collect::<Vec<_>>(), colour(*protocol));
        }
    }
    for (protocol, points) in &panel.lines {
        for stretch in stretches(ticks, points) {
            let at = |(place, point): &(f64, Point)| (across(*place), up(point.estimate.median));
            let path: Vec<(f64, f64)> = stretch.iter().map(at).collect();
            svg.path(&path, colour(*protocol), 2.2);
            for (place, (_, point)) in path.into_iter().zip(&stretch) {
                marker(svg, *protocol, place, point.whole);
            }
        }
    }
}

/// Points without a gap between them, with their places; left to right.
fn stretches(ticks: &[Tick], points: &[Option<Point>]) -> Vec<Vec<(f64, Point)>> {
    let mut placed: Vec<(f64, Option<Point>)> = ticks
        .iter()
        .zip(points)
        .map(|(tick, point)| (tick.place, *point))
        .collect();
    placed.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut all = vec![Vec::new()];
    for (place, point) in placed {
        match (point, all.last_mut()) {
            (Some(point), Some(last)) => last.push((place, point)),
            _ => all.push(Vec::new()),
        }
    }
    all.retain(|stretch| !stretch.is_empty());
    all
}

const fn colour(protocol: Contender) -> &'static str {
    COLOURS[protocol as usize]
}

/// The shape of a protocol: hollow if not everything behind the point is there.
fn marker(svg: &mut Svg, protocol: Contender, (x, y): (f64, f64), whole: bool) {
    let colour = colour(protocol);
    let r = 4.6;
    let corners = match protocol {
        Contender::Outrider => {
            svg.circle((x, y), r, colour, whole);
            return;
        }
        Contender::HotStuff => vec![
            (x - r, y - r),
            (x + r, y - r),
            (x + r, y + r),
            (x - r, y + r),
        ],
        Contender::Jolteon => vec![
            (x, y - r * 1.2),
            (x + r * 1.15, y + r),
            (x - r * 1.15, y + r),
        ],
        Contender::Streamlet => {
            let r = r * 1.3;
            vec![(x, y - r), (x + r, y), (x, y + r), (x - r, y)]
        }
    };
    svg.polygon(&corners, colour, whole);
}
