//! The table on standard output: medians over seeds.

use super::statistics::median;
use super::{Grid, Row};
use std::fmt::Write as _;

/// Median finality of each protocol for each size and share of silent members, over the seeds, in delays, with the 99th
/// percentile in brackets. `-` where no run made a block final; `!` where not every run got to its end.
#[must_use]
pub fn summary(grid: &Grid, rows: &[Row]) -> String {
    let mut out = String::from(
        "finality in delays d, from a block's first send to its commit: median over seeds of p50 (p99)\n",
    );
    let mut heads = vec!["d".to_owned(), "silent".to_owned(), "members".to_owned()];
    heads.extend(grid.protocols.iter().map(ToString::to_string));
    line(&mut out, &heads);
    for &delta_ms in &grid.delta_ms {
        for &share in &grid.silent {
            for &members in &grid.members {
                let mut fields = vec![
                    format!("{delta_ms} ms"),
                    format!("{} %", (share * 1_000.0).round() / 10.0),
                    members.to_string(),
                ];
                for &protocol in &grid.protocols {
                    let all: Vec<&Row> = rows
                        .iter()
                        .filter(|row| {
                            let cell = row.cell;
                            (cell.delta_ms, cell.members, cell.protocol)
                                == (delta_ms, members, protocol)
                                && cell.silent_share.total_cmp(&share).is_eq()
                        })
                        .collect();
                    fields.push(words(&all));
                }
                line(&mut out, &fields);
            }
        }
    }
    let stalled = rows.iter().any(|row| row.commits < grid.blocks);
    if stalled {
        out.push_str("! not every run made all its blocks final in time; - none made any\n");
    }
    out
}

fn words(rows: &[&Row]) -> String {
    let of = |pick: fn(&super::Finality) -> u64| {
        let all: Vec<f64> = rows
            .iter()
            .filter_map(|row| Some(row.in_delays(pick(row.finality.as_ref()?))))
            .collect();
        median(&all)
    };
    let (Some(p50), Some(p99)) = (of(|all| all.p50), of(|all| all.p99)) else {
        return "-".to_owned();
    };
    let short = rows
        .iter()
        .any(|row| row.end != crate::protocols::lab::End::Reached);
    format!("{p50:.1} ({p99:.1}){}", if short { "!" } else { "" })
}

fn line(out: &mut String, fields: &[String]) {
    for (place, field) in fields.iter().enumerate() {
        let width = if place < 3 { 8 } else { 16 };
        let _ = write!(out, "{field:<width$}");
    }
    while out.ends_with(' ') {
        out.pop();
    }
    out.push('\n');
}
