//! Files of a sweep: well formed, and the same for the same grid.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a broken expectation is a failed test"
)]

use super::statistics::{estimate, median, percentile};
use super::{
    COLUMNS, Grid, SweepError, charts, columns_markdown, csv, silent_count, silent_members, summary,
};
use crate::protocols::Contender;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

fn small() -> Grid {
    Grid {
        members: vec![4, 7],
        delta_ms: vec![10],
        silent: vec![0.0, 0.3],
        seeds: 2,
        blocks: 12,
        ..Grid::default()
    }
}

#[test]
fn one_job_and_two_write_the_same_bytes() {
    let grid = small();
    let runs = AtomicUsize::new(0);
    let count = || {
        runs.fetch_add(1, Ordering::Relaxed);
    };
    let one = grid.run(1, &count).unwrap();
    assert_eq!(runs.load(Ordering::Relaxed), grid.check().unwrap());
    let two = grid.run(2, &|| {}).unwrap();
    assert_eq!(csv(&one, "abc"), csv(&two, "abc"));
    assert_eq!(charts(&grid, &one), charts(&grid, &two));
    assert_eq!(summary(&grid, &one), summary(&grid, &two));
    let other = Grid {
        first_seed: 100,
        ..grid
    };
    assert_ne!(csv(&one, "abc"), csv(&other.run(2, &|| {}).unwrap(), "abc"));
}

#[test]
fn file_has_a_field_for_each_column_in_each_line() {
    let grid = small();
    let rows = grid.run(2, &|| {}).unwrap();
    let file = csv(&rows, "v1,\"2\"\n");
    let lines: Vec<Vec<&str>> = file.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(lines.len(), 1 + 2 * 2 * 4 * 2);
    assert!(lines.iter().all(|line| line.len() == COLUMNS.len()));
    assert!(!file.contains('"'), "nothing needs quotes");
    let names: BTreeSet<&str> = lines[0].iter().copied().collect();
    assert_eq!(names.len(), COLUMNS.len(), "no name twice");
    let at = |name: &str| lines[0].iter().position(|other| *other == name).unwrap();
    for line in &lines[1..] {
        assert_eq!(line[at("commit")], "v12");
        assert_eq!(line[at("fork")], "0");
        let stalled = line[at("finality_p50_d")].is_empty();
        let number = |name: &str| line[at(name)].parse::<usize>().unwrap();
        let (members, seed) = (number("members"), number("seed") as u64);
        let share = line[at("silent_share")].parse().unwrap();
        let silent = silent_members(members, share, seed);
        assert_eq!(silent.len(), number("silent"));
        // A commit of chained HotStuff needs four leaders in a row who are up.
        let expected = line[at("protocol")] == "hotstuff" && most_in_a_row(members, &silent) < 4;
        assert_eq!(stalled, expected, "{line:?}");
        let end = if stalled { "limit" } else { "reached" };
        assert_eq!(line[at("end")], end);
        let commits = if stalled { "0" } else { "12" };
        assert_eq!(line[at("commits")], commits);
    }
    let markdown = columns_markdown();
    assert_eq!(markdown.lines().count(), COLUMNS.len() + 2);
}

/// The longest row of members that are up, in their turns.
fn most_in_a_row(members: usize, silent: &BTreeSet<usize>) -> usize {
    let mut most = 0;
    let mut row = 0;
    for turn in 0..2 * members {
        row = if silent.contains(&(turn % members)) {
            0
        } else {
            row + 1
        };
        most = most.max(row);
    }
    most
}

#[test]
fn finality_in_delays_is_what_the_protocols_promise() {
    let grid = Grid {
        members: vec![4],
        delta_ms: vec![10, 40],
        jitter: 0.0,
        silent: vec![0.0],
        seeds: 1,
        blocks: 100,
        ..Grid::default()
    };
    for row in grid.run(1, &|| {}).unwrap() {
        let p50 = row.in_delays(row.finality.unwrap().p50);
        let expected = match row.cell.protocol {
            Contender::Outrider => 2.0,
            Contender::HotStuff => 7.0,
            Contender::Jolteon => 5.0,
            // D is twice d.
            Contender::Streamlet => 6.0,
        };
        assert!((p50 - expected).abs() < 1e-9, "{row:?}");
    }
}

#[test]
fn charts_are_well_formed_and_name_what_they_show() {
    let grid = small();
    let rows = grid.run(2, &|| {}).unwrap();
    let charts = charts(&grid, &rows);
    let files: BTreeSet<&str> = charts.iter().map(|chart| chart.file.as_str()).collect();
    assert_eq!(files.len(), 8, "{files:?}");
    assert!(files.contains("finality-p50-by-members.svg"));
    for chart in &charts {
        let texts = well_formed(&chart.svg);
        for protocol in Contender::ALL {
            assert!(texts.iter().any(|text| text == protocol.name()));
        }
        assert!(texts.iter().any(|text| text.contains("95 %")));
        assert!(!chart.svg.contains("NaN") && !chart.svg.contains("inf"));
    }
}

#[test]
fn a_line_needs_two_places() {
    let grid = Grid {
        members: vec![4],
        silent: vec![0.0],
        seeds: 1,
        blocks: 3,
        ..small()
    };
    let rows = grid.run(1, &|| {}).unwrap();
    assert!(charts(&grid, &rows).is_empty());
}

/// Every element is closed in order, attributes are quoted, nothing is left unescaped. Gives the texts.
fn well_formed(document: &str) -> Vec<String> {
    let mut open: Vec<&str> = Vec::new();
    let mut texts = Vec::new();
    let mut rest = document;
    let mut elements = 0;
    while let Some(at) = rest.find('<') {
        let text = rest[..at].trim();
        assert!(!text.contains('>'), "{text}");
        let entities = ["&amp;", "&lt;", "&gt;", "&quot;"];
        let known = |place: usize| entities.iter().any(|name| text[place..].starts_with(name));
        assert!(text.match_indices('&').all(|(place, _)| known(place)));
        if !text.is_empty() {
            assert!(!open.is_empty(), "text outside");
            texts.push(text.to_owned());
        }
        let end = at + rest[at..].find('>').unwrap();
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
            continue;
        }
        elements += 1;
        let own = tag.ends_with('/');
        let tag = tag.trim_end_matches('/');
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        assert!(name.chars().all(|letter| letter.is_ascii_alphabetic()));
        let quotes: Vec<&str> = attributes.split('"').collect();
        assert_eq!(quotes.len() % 2, 1, "{attributes}");
        for key in quotes.iter().step_by(2).take(quotes.len() / 2) {
            assert!(key.trim().ends_with('=') && key.trim().len() > 1, "{key}");
        }
        if !own {
            open.push(name);
        }
    }
    assert!(open.is_empty() && rest.trim().is_empty());
    assert!(elements > 40, "{elements} elements");
    texts
}

#[test]
fn grids_that_cannot_be_are_refused() {
    let refused = |change: fn(&mut Grid)| {
        let mut grid = small();
        change(&mut grid);
        grid.check().unwrap_err()
    };
    assert!(matches!(
        refused(|grid| grid.silent.clear()),
        SweepError::Empty { what: "silent" }
    ));
    for change in [
        (|grid| grid.members.push(1)) as fn(&mut Grid),
        |grid| grid.members.push(1_001),
        |grid| grid.delta_ms.push(0),
        |grid| grid.silent.push(1.0),
        |grid| grid.silent.push(-0.1),
        |grid| grid.jitter = f64::NAN,
        |grid| grid.bound = 0.0,
        |grid| grid.blocks = 0,
        |grid| grid.seeds = 0,
    ] {
        assert!(matches!(refused(change), SweepError::Range { .. }));
    }
    assert_eq!(
        refused(|grid| grid.seeds = 1_000_000),
        SweepError::Runs { runs: 16_000_000 }
    );
    assert!(matches!(
        small().run(0, &|| {}),
        Err(SweepError::Range { what: "jobs", .. })
    ));
}

#[test]
fn shares_are_rounded_down_to_whole_members() {
    let counts = |share| [4, 7, 10, 22].map(|members| silent_count(members, share));
    assert_eq!(counts(0.0), [0; 4]);
    assert_eq!(counts(0.1), [0, 0, 1, 2]);
    assert_eq!(counts(0.3), [1, 2, 3, 6]);
}

#[test]
fn percentiles_medians_and_intervals() {
    let hundred: Vec<u64> = (1..=100).collect();
    assert_eq!(percentile(&hundred, 50), Some(50));
    assert_eq!(percentile(&hundred, 99), Some(99));
    assert_eq!(percentile(&[7], 1), Some(7));
    assert_eq!(percentile(&[], 50), None);
    assert_eq!(median(&[]), None);
    assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
    assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    let same = estimate(&[5.0; 20]).unwrap();
    assert!(same.low.total_cmp(&5.0).is_eq() && same.high.total_cmp(&5.0).is_eq());
    let spread: Vec<f64> = (0..40).map(f64::from).collect();
    let wide = estimate(&spread).unwrap();
    assert!(
        wide.low > 8.0 && wide.low < wide.median && wide.median < wide.high && wide.high < 31.0
    );
    assert!(estimate(&[]).is_none());
}
