//! `outrider sim processes`: a storm of faults over real processes of this binary, checked from outside.

use super::failure::SimFailure;
use crate::failure::Failure;
use crate::numbers::duration;
use crate::output::{say, tell};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use outrider_sim::processes::{MEMBERS_MAX, Outcome, Progress, RATE_MAX, Setup, run};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// Run a committee of real processes of this binary on this machine through a storm of faults: kill -9, SIGTERM, SIGSTOP,
/// cuts, one-way cuts, splits, delays. Its promises are checked from outside all the time, and once more when the storm is
/// over.
///
/// The seed fixes the faults and their times; how the processes are scheduled is up to the system, so two runs of a seed
/// differ.
///
/// Exit codes: 0 all promises were kept; 1 there was no run, or not to its end; 2 wrong arguments; 10 safety, 11 liveness,
/// 12 accountability, 13 a panic or a process that ended by itself.
#[derive(Debug, Args)]
pub struct ProcessesArgs {
    /// How many members.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=MEMBERS_MAX as u64))]
    members: u64,
    /// Length of the storm, as 60s or 5m.
    #[arg(long, default_value = "60s", value_parser = duration)]
    time: Duration,
    /// Transactions per second.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=RATE_MAX))]
    rate: u64,
    /// Of the faults; a random one if left out.
    #[arg(long)]
    seed: Option<u64>,
    /// Length of an epoch in blocks; 0: the first one never ends.
    #[arg(long, default_value_t = 0)]
    epoch_blocks: u64,
    /// How long members may take after the storm until all is well.
    #[arg(long, default_value = "60s", value_parser = duration)]
    settle_within: Duration,
    /// The folder for keys, data and logs, which must not exist; one among the temporary files if left out.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Keep the folder even if all went well.
    #[arg(long)]
    keep: bool,
}

impl ProcessesArgs {
    /// Do it.
    pub async fn run(&self) -> Result<(), Failure> {
        let seed = self.seed.map_or_else(super::random_seed, Ok)?;
        let named = format!("outrider-processes-{}", std::process::id());
        let dir = self.dir.clone();
        let dir = dir.unwrap_or_else(|| std::env::temp_dir().join(named));
        if dir.exists() {
            return Err(Failure::Exists(dir));
        }
        let program =
            std::env::current_exe().map_err(Failure::file("find", Path::new("outrider")))?;
        let setup = Setup {
            program,
            dir,
            members: usize::try_from(self.members).unwrap_or(MEMBERS_MAX),
            time: self.time,
            rate: self.rate,
            seed,
            epoch_blocks: self.epoch_blocks,
            settle_within: self.settle_within,
        };
        say!(
            "seed {seed}: {} members, {:?} of storm, folder {}",
            setup.members,
            setup.time,
            setup.dir.display()
        );
        let outcome = self.attend(&setup).await;
        let clean = matches!(&outcome, Ok(Some(outcome)) if outcome.worst().is_none());
        if !clean || self.keep {
            say!("plan, data and logs are kept in {}", setup.dir.display());
        } else {
            std::fs::remove_dir_all(&setup.dir).map_err(Failure::file("remove", &setup.dir))?;
        }
        let Some(outcome) = outcome? else {
            return Err(SimFailure::Interrupted.into());
        };
        report(&outcome);
        match outcome.worst() {
            None => Ok(()),
            Some(class) => Err(SimFailure::Broken {
                class,
                count: outcome.violations.len() as u64 + outcome.violations_more,
                again: again(&setup),
            }
            .into()),
        }
    }

    /// The run, unless a signal ends it; then the members are killed.
    async fn attend(&self, setup: &Setup) -> Result<Option<Outcome>, Failure> {
        let mut interrupted = signal(SignalKind::interrupt()).map_err(Failure::Signal)?;
        let mut terminated = signal(SignalKind::terminate()).map_err(Failure::Signal)?;
        let screen = Screen::new();
        tokio::select! {
            biased;
            _ = interrupted.recv() => Ok(None),
            _ = terminated.recv() => Ok(None),
            outcome = run(setup, |progress| screen.show(progress)) => Ok(Some(outcome?)),
        }
    }
}

/// How to run the same plan again.
fn again(setup: &Setup) -> String {
    let Setup {
        members,
        time,
        rate,
        seed,
        epoch_blocks,
        ..
    } = setup;
    format!(
        "outrider sim processes --members {members} --time {}ms --rate {rate} --epoch-blocks {epoch_blocks} --seed {seed}",
        time.as_millis()
    )
}

fn report(outcome: &Outcome) {
    for violation in &outcome.violations {
        tell!("{violation}");
    }
    if outcome.violations_more > 0 {
        tell!("and {} more", outcome.violations_more);
    }
    let kinds: Vec<String> = outcome
        .faults
        .iter()
        .map(|(kind, count)| format!("{kind} {count}"))
        .collect();
    let faults: u64 = outcome.faults.values().sum();
    say!("faults        {faults}: {}", kinds.join(", "));
    say!("restarts      {}", outcome.restarts);
    say!("blocks        {}", outcome.height);
    say!(
        "transactions  {} accepted, {} ordered, {} refused, {} sent again",
        outcome.accepted,
        outcome.ordered,
        outcome.refused,
        outcome.sent_again
    );
    say!(
        "looked again  {} blocks, {} receipts, {} proofs",
        outcome.audited.blocks,
        outcome.audited.receipts,
        outcome.audited.proofs
    );
    say!(
        "violations    {}",
        outcome.violations.len() as u64 + outcome.violations_more
    );
}

/// One line that changes on a terminal; a line each on anything else.
struct Screen(Option<ProgressBar>);

impl Screen {
    fn new() -> Self {
        let terminal = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
        Self(terminal.then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
                bar.set_style(style);
            }
            bar
        }))
    }

    fn show(&self, progress: &Progress) {
        let line = line(progress);
        match &self.0 {
            Some(bar) => {
                bar.set_message(line);
                bar.tick();
            }
            None => say!("{line}"),
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

fn line(progress: &Progress) -> String {
    let Progress {
        elapsed,
        phase,
        height,
        accepted,
        ordered,
        active,
        members,
        faults,
        violations,
    } = progress;
    let faults = if faults.is_empty() {
        String::new()
    } else {
        format!(": {}", faults.join(", "))
    };
    format!(
        "{:.0} s  height {height}  ordered {ordered}/{accepted}  members {active}/{members}  violations {violations}  {phase}{faults}",
        elapsed.as_secs_f64()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use outrider_types::Height;

    #[test]
    fn line_says_how_it_goes() {
        let mut progress = Progress {
            elapsed: Duration::from_millis(12_040),
            phase: "storm",
            height: Height(40),
            accepted: 600,
            ordered: 590,
            active: 3,
            members: 4,
            faults: vec!["kill m1".into(), "pause m2".into()],
            violations: 0,
        };
        assert_eq!(
            line(&progress),
            "12 s  height 40  ordered 590/600  members 3/4  violations 0  storm: kill m1, pause m2"
        );
        progress.faults.clear();
        assert!(line(&progress).ends_with("  storm"));
    }

    #[test]
    fn plan_can_be_run_again() {
        let setup = Setup {
            program: PathBuf::new(),
            dir: PathBuf::new(),
            members: 5,
            time: Duration::from_secs(3),
            rate: 7,
            seed: 9,
            epoch_blocks: 20,
            settle_within: Duration::from_secs(60),
        };
        assert_eq!(
            again(&setup),
            "outrider sim processes --members 5 --time 3000ms --rate 7 --epoch-blocks 20 --seed 9"
        );
    }
}
