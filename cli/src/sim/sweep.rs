//! `outrider sim sweep`: protocols against each other over sizes, delays, silent members and seeds; a table and charts.

use super::COMMIT;
use super::failure::SimFailure;
use crate::failure::Failure;
use crate::output::{say, tell};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use outrider_sim::fact::Class;
use outrider_sim::protocols::Contender;
use outrider_sim::protocols::lab::End;
use outrider_sim::sweep::{Grid, JOBS_MAX, charts, columns_markdown, csv, summary};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

/// Compare consensus protocols in the same simulated worlds: every size of the committee with every delay, share of silent
/// members, protocol and seed.
///
/// Writes runs.csv (a line for each run), columns.md (what its columns are) and SVG charts. Finality is counted from when
/// a block's leader first sends it to when a member commits it, at every member that is not silent.
///
/// Exit codes: 0 done; 1 failed; 2 wrong arguments; 10 members disagreed in some run.
#[derive(Debug, Args)]
pub struct SweepArgs {
    /// Sizes of the committee.
    #[arg(long, value_delimiter = ',', default_value = "4,7,10,22")]
    members: Vec<usize>,
    /// One-way delays d, in milliseconds.
    #[arg(long, value_delimiter = ',', default_value = "50")]
    delta_ms: Vec<u64>,
    /// Each message takes up to this share of d longer.
    #[arg(long, default_value_t = 0.1)]
    jitter: f64,
    /// Timers are set for this many times the longest delay.
    #[arg(long, default_value_t = 2.0)]
    bound: f64,
    /// Protocols: outrider, hotstuff, jolteon, streamlet.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "outrider,hotstuff,jolteon,streamlet"
    )]
    protocols: Vec<Contender>,
    /// Shares of the members that never say anything, from 0 to 0.99.
    #[arg(long, value_delimiter = ',', default_value = "0,0.1,0.2,0.3")]
    silent: Vec<f64>,
    /// Runs of each combination.
    #[arg(long, default_value_t = 20)]
    seeds: u64,
    /// The first seed; the others follow it.
    #[arg(long, default_value_t = 1)]
    first_seed: u64,
    /// Blocks that each run makes final.
    #[arg(long, default_value_t = 50)]
    blocks: u64,
    /// The folder to write to, which must not hold a sweep yet.
    #[arg(long)]
    out: PathBuf,
    /// Threads; by default one for each core.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=JOBS_MAX as i64))]
    jobs: Option<u16>,
}

impl SweepArgs {
    /// Do it.
    pub fn run(&self) -> Result<(), Failure> {
        let grid = self.grid();
        let runs = grid.check()?;
        let table = self.out.join("runs.csv");
        if table.exists() {
            return Err(Failure::Exists(table));
        }
        std::fs::create_dir_all(&self.out).map_err(Failure::file("create", &self.out))?;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let jobs = self.jobs.map_or(cores.min(JOBS_MAX), usize::from);
        let bar = bar(runs as u64);
        let rows = grid.run(jobs, &|| bar.inc(1))?;
        bar.finish_and_clear();
        write(&table, &csv(&rows, COMMIT))?;
        write(&self.out.join("columns.md"), &columns_markdown())?;
        for chart in charts(&grid, &rows) {
            write(&self.out.join(&chart.file), &chart.svg)?;
        }
        say!("{}", summary(&grid, &rows).trim_end());
        say!("{runs} runs in {}", table.display());
        let broken: Vec<_> = rows.iter().filter(|row| row.forked()).collect();
        for row in &broken {
            if let End::Broken(violation) = &row.end {
                let (cell, seed) = (row.cell, row.seed);
                tell!(
                    "{}, {} members, {} ms, silent {}, seed {seed}: {violation}",
                    cell.protocol,
                    cell.members,
                    cell.delta_ms,
                    cell.silent_share
                );
            }
        }
        match broken.first() {
            None => Ok(()),
            Some(first) => Err(SimFailure::Broken {
                class: Class::Safety,
                count: broken.len() as u64,
                again: format!(
                    "outrider sim sweep --members {} --delta-ms {} --jitter {} --bound {} --protocols {} --silent {} --seeds 1 --first-seed {} --blocks {} --out DIR",
                    first.cell.members,
                    first.cell.delta_ms,
                    grid.jitter,
                    grid.bound,
                    first.cell.protocol,
                    first.cell.silent_share,
                    first.seed,
                    grid.blocks
                ),
            }.into()),
        }
    }

    fn grid(&self) -> Grid {
        Grid {
            members: self.members.clone(),
            delta_ms: self.delta_ms.clone(),
            jitter: self.jitter,
            bound: self.bound,
            protocols: self.protocols.clone(),
            silent: self.silent.clone(),
            first_seed: self.first_seed,
            seeds: self.seeds,
            blocks: self.blocks,
        }
    }
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(Failure::file("write", path))
}

fn bar(runs: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(runs);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} runs {per_sec} {eta}") {
        bar.set_style(style);
    }
    bar
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a broken expectation is a failed test")]

    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        sweep: SweepArgs,
    }

    fn parsed(line: &str) -> SweepArgs {
        Line::try_parse_from(line.split(' ')).unwrap().sweep
    }

    #[test]
    fn defaults_are_those_of_the_library() {
        let sweep = parsed("sweep --out d");
        assert_eq!(sweep.grid(), Grid::default());
    }

    #[test]
    fn a_sweep_writes_its_files_once() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("sweep");
        let line = format!(
            "sweep --members 4,7 --delta-ms 10 --protocols outrider,jolteon --silent 0 --seeds 2 --blocks 3 --jobs 2 --out {}",
            out.display()
        );
        let sweep = parsed(&line);
        sweep.run().unwrap();
        let table = std::fs::read_to_string(out.join("runs.csv")).unwrap();
        assert_eq!(table.lines().count(), 1 + 2 * 2 * 2);
        let first = table.lines().nth(1).unwrap();
        assert!(first.starts_with(&format!("1,{COMMIT},outrider,4,")));
        assert!(out.join("finality-p50-by-members.svg").exists());
        assert!(!out.join("finality-p50-by-silent.svg").exists());
        assert!(matches!(sweep.run(), Err(Failure::Exists(_))));
    }

    #[test]
    fn wrong_grids_are_refused_before_anything_is_written() {
        for wrong in ["--members 1", "--silent 1.5", "--seeds 0", "--blocks 0"] {
            let dir = tempfile::tempdir().unwrap();
            let line = format!("sweep {wrong} --out {}", dir.path().display());
            let code = parsed(&line).run().unwrap_err().exit_code();
            assert_eq!(code, std::process::ExitCode::from(2), "{wrong}");
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        }
        for wrong in ["--protocols raft", "--jobs 0", "--members x"] {
            let line = format!("sweep --out d {wrong}");
            assert!(Line::try_parse_from(line.split(' ')).is_err(), "{wrong}");
        }
    }
}
