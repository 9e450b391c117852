//! `outrider sim shrink`: from a token of a run that broke a promise to a small scenario that breaks the same promise.

use super::COMMIT;
use super::failure::SimFailure;
use crate::failure::Failure;
use crate::numbers::duration;
use crate::output::{say, tell};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use outrider_sim::token::Token;
use outrider_sim::zoo::{BUILT, Kill, attempt_for, regression, smaller};
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

/// Make a failing run small: fewer members, faults, Byzantine members, transactions, and less time, as long as the same
/// checker fires. Writes the small scenario as a regression file, and prints its size.
///
/// A token `zoo-NAME:seed@commit` needs a build with the feature `zoo`; the small scenario must then also be clean without
/// the mutant. Runs are made in the kernel.
///
/// Exit codes: 0 it was made small; 1 there was no run, or no promise was broken; 2 wrong arguments.
#[derive(Debug, Args)]
pub struct ShrinkArgs {
    /// The token, as a failing run printed it.
    token: String,
    /// Where to look for the scenario that it names.
    #[arg(long, default_value = "scenarios")]
    scenarios: PathBuf,
    /// The file to write; named after the token in the current folder if left out.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Processor time to spend.
    #[arg(long, default_value = "60s", value_parser = duration)]
    time: Duration,
}

impl ShrinkArgs {
    /// Do it.
    pub fn run(&self) -> Result<(), Failure> {
        let token: Token = self.token.parse()?;
        if token.commit != COMMIT {
            tell!(
                "this is commit {COMMIT}, the token is of {}: the run may differ",
                token.commit
            );
        }
        let regressions = self.scenarios.join("regressions");
        let scenario = token.resolve(&[&self.scenarios, &regressions])?;
        if scenario.mutant.is_some() && !BUILT {
            return Err(SimFailure::NoMutants.into());
        }
        let mutant = scenario.mutant;
        let checker = mutant.map_or("", |mutant| mutant.killer());
        let run = attempt_for(checker, &scenario, token.seed, mutant)?;
        let Some(violation) = run.violation else {
            return Err(SimFailure::Whole(self.token.clone()).into());
        };
        say!("{violation}");
        let kill = Kill {
            scenario,
            seed: token.seed,
            violation,
            statistics: run.statistics,
        };
        let bar = self.bar();
        let shrunk = smaller(
            &kill,
            mutant,
            self.time,
            &mut |runs, (members, faults, views)| {
                bar.set_message(format!(
                    "{runs} runs: {members} members, {faults} faults, {views} views"
                ));
                bar.tick();
            },
        );
        bar.finish_and_clear();
        let out = self
            .out
            .clone()
            .unwrap_or_else(|| super::zoo::file_name(&token));
        std::fs::write(&out, regression(&shrunk, &self.token))
            .map_err(Failure::file("write", &out))?;
        for (when, (members, faults, views)) in
            [("before", shrunk.before), ("after", shrunk.small.size())]
        {
            say!("{when:8} {members} members, {faults} faults, {views} views");
        }
        say!(
            "took     {:.1} s of processor time, {} runs",
            shrunk.cpu.as_secs_f64(),
            shrunk.attempts
        );
        say!("still    {}", shrunk.small.violation);
        say!("written  {}", out.display());
        Ok(())
    }

    fn bar(&self) -> ProgressBar {
        if !std::io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template("{spinner} {elapsed} {wide_msg}");
        ProgressBar::new_spinner()
            .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
    }
}
