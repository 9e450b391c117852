//! `outrider sim swarm`: scenarios drawn from seeds, in the kernel, on all cores.

use super::COMMIT;
use super::failure::SimFailure;
use crate::failure::Failure;
use crate::numbers::duration;
use crate::output::say;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use outrider_sim::swarm::{Limits, Report, run};
use std::io::IsTerminal as _;
use std::time::Duration;

/// Draw scenarios from seeds and run them in the kernel with all checkers: first a storm, then calm, in which a random live
/// core must make progress.
///
/// Exit codes: 0 no promise was broken; 1 there was no run; 2 wrong arguments; 10 safety, 11 liveness, 12 accountability,
/// 13 a panic, 14 one seed gave two runs.
#[derive(Debug, Args)]
pub struct SwarmArgs {
    /// For how long, as 60s or 5m; 10s if neither this nor --seeds is given.
    #[arg(long, value_parser = duration)]
    time: Option<Duration>,
    /// How many seeds.
    #[arg(long)]
    seeds: Option<u64>,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Threads.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=256))]
    jobs: u64,
    /// Stop after so many seeds that broke a promise.
    #[arg(long, default_value_t = 1)]
    failures: usize,
    /// Fail if a rare state of the list was never reached: for long runs.
    #[arg(long)]
    all_marks: bool,
}

impl SwarmArgs {
    /// Do it.
    pub fn run(&self) -> Result<(), Failure> {
        let limits = Limits {
            first: self.from,
            seeds: self.seeds,
            time: self
                .time
                .or_else(|| self.seeds.is_none().then(|| Duration::from_secs(10))),
            jobs: usize::try_from(self.jobs).unwrap_or(1),
            failures: self.failures,
        };
        let bar = self.bar(&limits);
        let mut told = |seeds: u64, failures: usize| {
            match limits.seeds {
                Some(_) => bar.set_position(seeds),
                None => bar.set_position(bar.elapsed().as_secs()),
            }
            bar.set_message(format!("{seeds} seeds, {failures} failed"));
        };
        let report = run(limits, &mut told)?;
        bar.finish_and_clear();
        self.print(&report);
        let worst = report
            .failures
            .iter()
            .map(|failure| failure.violation.class)
            .min();
        if let Some(class) = worst {
            return Err(SimFailure::Broken {
                class,
                count: report.failures.len() as u64,
                again: format!(
                    "outrider sim repro swarm:{}@{COMMIT}",
                    report.failures[0].seed
                ),
            }
            .into());
        }
        let missing = report.marks.missing();
        if self.all_marks && !missing.is_empty() {
            return Err(SimFailure::Marks(missing.join(", ")).into());
        }
        Ok(())
    }

    fn bar(&self, limits: &Limits) -> ProgressBar {
        if !std::io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let length = limits
            .seeds
            .or_else(|| limits.time.map(|time| time.as_secs()));
        let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} {msg}");
        ProgressBar::new(length.unwrap_or_default())
            .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
    }

    fn print(&self, report: &Report) {
        say!(
            "seeds        {} from {}, {:.1} a second with {} jobs",
            report.seeds,
            self.from,
            report.seeds_per_second(),
            self.jobs
        );
        say!(
            "simulated    {:.0} s, {:.0} simulated seconds per CPU second ({:.0} without the seeds that use Ed25519)",
            report.simulated as f64 / 1e6,
            report.speed(),
            report.speed_of_simulated_keys()
        );
        say!(
            "events       {}, {:.0} per CPU second; {} blocks",
            report.events,
            report.events_per_second(),
            report.blocks
        );
        let reached = report.marks.reached();
        let missing = report.marks.missing();
        say!(
            "rare states  {} of {} reached{}",
            reached.len(),
            reached.len() + missing.len(),
            if missing.is_empty() {
                String::new()
            } else {
                format!("; not: {}", missing.join(", "))
            }
        );
        for failure in &report.failures {
            say!("");
            say!("seed {}: {}", failure.seed, failure.violation);
            say!("  token      swarm:{}@{COMMIT}", failure.seed);
        }
        if report.failures.is_empty() {
            say!("violations   none");
        }
    }
}
