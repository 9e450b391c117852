//! `outrider sim zoo`: bugs that are let loose in the production code, and the checkers that must find them.

use super::COMMIT;
use super::failure::SimFailure;
use crate::failure::Failure;
use crate::numbers::duration;
use crate::output::{say, tell};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use outrider_sim::kernel::WorldError;
use outrider_sim::token::Token;
use outrider_sim::zoo::{BUILT, GOAL, Hunt, Kill, Shrunk, honest, hunt, regression, smaller};
use outrider_types::zoo::Mutant;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Honest runs of a case, as a part of what is asked for, in the short form.
const SHORT_FACTOR: u64 = 5;
/// And for at most so long.
const SHORT_HONEST: Duration = Duration::from_millis(500);
/// Honest runs of a case are at least so many.
const HONEST_SEEDS_MIN: u64 = 2;

/// Let the bugs of the zoo loose, one after the other, in worlds that are made for them: each must be found by the checker
/// that guards the promise it breaks. Then run the same worlds without any bug: no promise may be broken.
///
/// Only a build with the feature `zoo` has the bugs: `cargo run --release -p outrider-cli --features zoo -- sim zoo`.
///
/// Exit codes: 0 all were found, and nothing else; 1 there was no run; 2 wrong arguments, or this build has no bugs; 10 one was
/// not found, or a promise was broken without one.
#[derive(Debug, Args)]
pub struct ZooArgs {
    /// Only the mutant of this name or number; may be given again.
    #[arg(long, value_name = "NAME", value_parser = mutant)]
    only: Vec<Mutant>,
    /// Processor time for each, as 10s.
    #[arg(long, default_value = "10s", value_parser = duration)]
    time_each: Duration,
    /// The honest runs of a case take so many times as long as the mutant lived.
    #[arg(long, default_value_t = 100)]
    honest_factor: u64,
    /// But at most so long.
    #[arg(long, default_value = "60s", value_parser = duration)]
    honest_max: Duration,
    /// Threads.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=256))]
    jobs: u64,
    /// Few honest runs, for every change: all mutants, in a minute.
    #[arg(long)]
    short: bool,
    /// Only list the mutants, in any build.
    #[arg(long)]
    list: bool,
    /// Shrink each run that killed a mutant, and write it into this folder as a regression.
    #[arg(long, value_name = "DIR")]
    shrink: Option<PathBuf>,
    /// Processor time for shrinking each.
    #[arg(long, default_value = "60s", value_parser = duration)]
    shrink_time: Duration,
}

fn mutant(word: &str) -> Result<Mutant, String> {
    Mutant::find(word).ok_or_else(|| "no such mutant; `outrider sim zoo --list` lists them".into())
}

/// What is known of one mutant in the end.
struct Row {
    mutant: Mutant,
    hunt: Hunt,
    honest: Option<Hunt>,
    shrunk: Option<Shrunk>,
}

impl ZooArgs {
    /// Do it.
    pub fn run(&self) -> Result<(), Failure> {
        if self.list {
            list();
            return Ok(());
        }
        if !BUILT {
            return Err(SimFailure::NoMutants.into());
        }
        let mutants: Vec<Mutant> = Mutant::ALL
            .into_iter()
            .filter(|mutant| self.only.is_empty() || self.only.contains(mutant))
            .collect();
        if let Some(folder) = &self.shrink {
            std::fs::create_dir_all(folder).map_err(Failure::file("make", folder))?;
        }
        say!("  # mutant                      names fired seeds  CPU ms  simulated  token");
        let rows = self.all(&mutants)?;
        self.report(&rows)
    }

    /// All of them, on all threads; each line is printed when it is known.
    fn all(&self, mutants: &[Mutant]) -> Result<Vec<Row>, Failure> {
        let next = AtomicUsize::new(0);
        let rows: Mutex<(Vec<Row>, Option<Failure>)> = Mutex::new((Vec::new(), None));
        let bar = bar(mutants.len());
        let work = || {
            while let Some(mutant) = mutants.get(next.fetch_add(1, Ordering::Relaxed)) {
                let row = self.one(*mutant);
                let mut rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
                bar.inc(1);
                match row {
                    Ok(row) => {
                        bar.suspend(|| print(&row));
                        rows.0.push(row);
                    }
                    Err(error) => {
                        rows.1 = Some(error);
                        break;
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..self.jobs {
                scope.spawn(work);
            }
        });
        bar.finish_and_clear();
        let (mut rows, error) = rows.into_inner().unwrap_or_else(PoisonError::into_inner);
        rows.sort_by_key(|row| row.mutant);
        error.map_or(Ok(rows), Err)
    }

    fn one(&self, mutant: Mutant) -> Result<Row, Failure> {
        let found = hunt(mutant, self.time_each)?;
        let mut row = Row {
            mutant,
            honest: None,
            shrunk: None,
            hunt: found,
        };
        if let (Some(kill), Some(folder)) = (&row.hunt.kill, &self.shrink) {
            let shrunk = smaller(kill, Some(mutant), self.shrink_time, &mut |_, _| {});
            let token = Token::zoo(mutant, kill.seed, COMMIT).to_string();
            let path = folder.join(format!("{}.toml", mutant.name()));
            std::fs::write(&path, regression(&shrunk, &token))
                .map_err(Failure::file("write", &path))?;
            row.shrunk = Some(shrunk);
        } else if self.shrink.is_none() {
            row.honest = Some(self.without(mutant, &row.hunt)?);
        }
        Ok(row)
    }

    /// The same worlds without the mutant.
    fn without(&self, mutant: Mutant, hunt: &Hunt) -> Result<Hunt, WorldError> {
        let (factor, most) = if self.short {
            (SHORT_FACTOR, SHORT_HONEST)
        } else {
            (self.honest_factor, self.honest_max)
        };
        let factor = u32::try_from(factor).unwrap_or(u32::MAX);
        honest(
            mutant,
            HONEST_SEEDS_MIN,
            hunt.cpu.saturating_mul(factor).min(most),
        )
    }

    fn report(&self, rows: &[Row]) -> Result<(), Failure> {
        let killed: Vec<&Row> = rows.iter().filter(|row| row.hunt.kill.is_some()).collect();
        let mut times: Vec<Duration> = killed.iter().map(|row| row.hunt.cpu).collect();
        times.sort_unstable();
        say!("");
        say!("score        {} of {}", killed.len(), rows.len());
        if let (Some(median), Some(worst)) = (times.get(times.len() / 2), times.last()) {
            say!(
                "time to kill {:.1} ms median, {:.1} ms worst, of processor time on one core",
                millis(*median),
                millis(*worst)
            );
        }
        if self.shrink.is_some() {
            report_shrunk(rows);
        }
        let honest: Vec<(Mutant, &Hunt)> = rows
            .iter()
            .filter_map(|row| Some((row.mutant, row.honest.as_ref()?)))
            .collect();
        let mut broken = 0;
        for (mutant, hunt) in &honest {
            if let Some(Kill {
                seed, violation, ..
            }) = &hunt.kill
            {
                broken += 1;
                let token = Token::zoo(*mutant, *seed, COMMIT);
                tell!("without a mutant, in the worlds of {mutant}: {violation}\n  token  {token}");
            }
        }
        if !honest.is_empty() {
            let seeds: u64 = honest.iter().map(|(_, hunt)| hunt.seeds).sum();
            let endless: u64 = honest.iter().map(|(_, hunt)| hunt.endless).sum();
            let cpu: Duration = honest.iter().map(|(_, hunt)| hunt.cpu).sum();
            let simulated: u64 = honest.iter().map(|(_, hunt)| hunt.simulated).sum();
            say!(
                "honest build {seeds} seeds, {:.0} s of processor time, {} s simulated, {broken} with a broken promise, {endless} given up",
                cpu.as_secs_f64(),
                simulated / 1_000_000
            );
        }
        let survived: Vec<String> = rows
            .iter()
            .filter(|row| row.hunt.kill.is_none())
            .map(|row| row.mutant.to_string())
            .collect();
        if survived.is_empty() && broken == 0 {
            return Ok(());
        }
        Err(SimFailure::Zoo { survived, broken }.into())
    }
}

fn report_shrunk(rows: &[Row]) {
    let shrunk: Vec<&Shrunk> = rows.iter().filter_map(|row| row.shrunk.as_ref()).collect();
    let reached = shrunk.iter().filter(|one| one.reached_goal()).count();
    let slowest = shrunk.iter().map(|one| one.cpu).max().unwrap_or_default();
    say!(
        "shrunk       {reached} of {} to at most {} members, {} faults, {} views; {:.1} s of processor time at most",
        shrunk.len(),
        GOAL.0,
        GOAL.1,
        GOAL.2,
        slowest.as_secs_f64()
    );
}

fn list() {
    for mutant in Mutant::ALL {
        say!(
            "{:>2} {:26} {:4} {}; needs: {}",
            mutant.number(),
            mutant.name(),
            mutant.killer(),
            mutant.broken(),
            mutant.needs()
        );
    }
}

fn print(row: &Row) {
    let Row { mutant, hunt, .. } = row;
    let (fired, token) = match &hunt.kill {
        Some(kill) => (
            kill.violation.checker,
            Token::zoo(*mutant, kill.seed, COMMIT).to_string(),
        ),
        None => ("none", "SURVIVED".to_owned()),
    };
    say!(
        "{:>3} {:27} {:5} {fired:5} {:5} {:7.1} {:8.1} s  {token}",
        mutant.number(),
        mutant.name(),
        mutant.killer(),
        hunt.seeds,
        millis(hunt.cpu),
        hunt.simulated as f64 / 1e6
    );
    if let Some(shrunk) = &row.shrunk {
        let ((members, faults, views), (to_members, to_faults, to_views)) =
            (shrunk.before, shrunk.small.size());
        say!(
            "      {members} members, {faults} faults, {views} views -> {to_members}, {to_faults}, {to_views} in {:.1} s, {} runs{}",
            shrunk.cpu.as_secs_f64(),
            shrunk.attempts,
            if shrunk.reached_goal() {
                ""
            } else {
                "  MISSED"
            }
        );
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn bar(mutants: usize) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} mutants {elapsed}");
    ProgressBar::new(mutants as u64)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// The name of a regression file.
pub(super) fn file_name(token: &Token) -> PathBuf {
    let text = token.to_string();
    let word = text.split('@').next().unwrap_or_default();
    Path::new(&word.replace(':', "-")).with_extension("toml")
}
