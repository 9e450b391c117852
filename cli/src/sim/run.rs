//! `outrider sim run` and `outrider sim repro`: one scenario with one seed.

use super::COMMIT;
use super::failure::SimFailure;
use crate::failure::Failure;
use crate::output::{say, tell};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use outrider_sim::checkers::Checkers;
use outrider_sim::diagram::html;
use outrider_sim::fact::{Micros, Observer, Violation};
use outrider_sim::kernel::World;
use outrider_sim::marks::Marks;
use outrider_sim::record::{FACTS_MAX, Recording};
use outrider_sim::report::{Events, Run, Summary, Tally};
use outrider_sim::scenario::{Scenario, WorldKind};
use outrider_sim::token::Token;
use outrider_sim::world::run_scenario;
use outrider_sim::zoo::{BUILT, with_loose};
use outrider_types::zoo::Mutant;
use std::fs::File;
use std::io::{BufWriter, IsTerminal as _};
use std::path::{Path, PathBuf};

/// Which world to run in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum In {
    /// Production drivers over the real network stack, in turmoil.
    Turmoil,
    /// Production replicas, mempools and ledgers around an event heap.
    Kernel,
}

/// What to write beside the summary.
#[derive(Debug, Args)]
pub struct Outputs {
    /// Write a time-space diagram: one HTML file that needs no network.
    #[arg(long)]
    html: Option<PathBuf>,
    /// Write everything that happened, one JSON object per line.
    #[arg(long)]
    events: Option<PathBuf>,
    /// Write the summary as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Run a scenario file once.
///
/// Exit codes: 0 it came out as the scenario expects; 1 there was no run; 2 wrong arguments or scenario; 10 safety, 11
/// liveness, 12 accountability, 13 a panic, 14 one seed gave two runs.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The scenario.
    scenario: PathBuf,
    /// Seed of everything; that of the file, or a random one, if left out.
    #[arg(long)]
    seed: Option<u64>,
    /// Which world; that of the file if left out.
    #[arg(long = "world", value_enum)]
    world: Option<In>,
    #[command(flatten)]
    outputs: Outputs,
}

/// Run again what a token names: `scenario-hash:seed@commit` or `swarm:seed@commit`.
///
/// Exit codes as of `outrider sim run`.
#[derive(Debug, Args)]
pub struct ReproArgs {
    /// The token, as a failing run printed it.
    token: String,
    /// Where to look for the scenario that it names.
    #[arg(long, default_value = "scenarios")]
    scenarios: PathBuf,
    /// Which world; that of the scenario if left out.
    #[arg(long = "world", value_enum)]
    world: Option<In>,
    #[command(flatten)]
    outputs: Outputs,
}

impl RunArgs {
    /// Do it.
    pub fn run(&self) -> Result<(), Failure> {
        let scenario = Scenario::load(&self.scenario)?;
        let seed = match self.seed.or(scenario.seed) {
            Some(seed) => seed,
            None => super::random_seed()?,
        };
        let token = Token::new(&scenario, seed, COMMIT);
        play(
            &scenario,
            seed,
            &token.to_string(),
            self.world,
            &self.outputs,
        )
    }
}

impl ReproArgs {
    /// Do it.
    pub fn run(&self) -> Result<(), Failure> {
        let token: Token = self.token.parse()?;
        if token.commit != COMMIT {
            tell!(
                "this is commit {COMMIT}, the token is of {}: the run may differ",
                token.commit
            );
        }
        let scenario = token.resolve(&[&self.scenarios])?;
        play(
            &scenario,
            token.seed,
            &self.token,
            self.world,
            &self.outputs,
        )
    }
}

/// Everything that watches a run beside the checkers.
type Watchers = (
    Tally,
    (Marks, (Option<Recording>, Option<Events<BufWriter<File>>>)),
);

fn play(
    scenario: &Scenario,
    seed: u64,
    token: &str,
    world: Option<In>,
    outputs: &Outputs,
) -> Result<(), Failure> {
    let world = world.unwrap_or(match scenario.world {
        WorldKind::Kernel => In::Kernel,
        WorldKind::Turmoil => In::Turmoil,
    });
    say!(
        "{}, seed {seed}, {} members, {}",
        scenario.name,
        scenario.members(),
        match world {
            In::Kernel => "kernel",
            In::Turmoil => "turmoil",
        }
    );
    let create = |path: &PathBuf| File::create(path).map_err(Failure::file("write", path));
    let events = outputs.events.as_ref().map(create).transpose()?;
    let recording = outputs.html.is_some().then(|| Recording::new(FACTS_MAX));
    let watchers: Watchers = (
        Tally::of(scenario),
        (
            Marks::new(scenario),
            (
                recording,
                events.map(|file| Events::new(BufWriter::new(file))),
            ),
        ),
    );
    // Checkers last: what breaks a promise is seen by all others first.
    let mut observer = (watchers, Checkers::new(scenario));
    let bar = bar(scenario);
    let (mut ended, hash, end) = with_loose(loose(scenario), || match world {
        In::Kernel => in_kernel(scenario, seed, &mut observer, &bar),
        In::Turmoil => in_turmoil(scenario, seed, &mut observer, &bar),
    })?;
    bar.finish_and_clear();
    let ((tally, (marks, (recording, events))), mut checkers) = observer;
    if ended.is_ok() {
        ended = checkers.finish(end);
    }
    let expected = checkers.violated_as_expected(&ended);
    let violation = ended.err();
    if let (Some(events), Some(path)) = (events, &outputs.events) {
        let finished = events.finish(violation.as_ref());
        finished.map_err(|source| SimFailure::Events {
            path: path.clone(),
            source,
        })?;
    }
    let counted = marks.counts();
    let run = Run {
        scenario,
        seed,
        token,
        hash: Some(hash),
        end,
        marks: &counted,
        violation: violation.as_ref(),
    };
    let summary = Summary::new(&run, &tally);
    write(outputs.json.as_deref(), || summary.json())?;
    if let Some(recording) = &recording {
        write(outputs.html.as_deref(), || html(&run, &summary, recording))?;
    }
    say!("{}", summary.text());
    match violation {
        Some(violation) if !expected => Err(SimFailure::Broken {
            class: violation.class,
            count: 1,
            again: format!("outrider sim repro {token}"),
        }
        .into()),
        None if !expected => {
            Err(SimFailure::Expected(scenario.expect.violates.clone().unwrap_or_default()).into())
        }
        _ => Ok(()),
    }
}

/// The mutant that the scenario names, if this build has it.
fn loose(scenario: &Scenario) -> Option<Mutant> {
    let mutant = scenario.mutant?;
    if BUILT {
        say!("mutant {mutant} is loose: {}", mutant.broken());
        Some(mutant)
    } else {
        say!("mutant {mutant} is not in this build (--features zoo): nothing is broken");
        None
    }
}

/// How a run ended, the hash of what happened, and the time that was reached.
type Ended = (Result<(), Violation>, [u8; 32], Micros);

/// In the kernel, a simulated second at a time.
fn in_kernel(
    scenario: &Scenario,
    seed: u64,
    observer: &mut impl Observer,
    bar: &ProgressBar,
) -> Result<Ended, Failure> {
    let mut world = World::new(scenario, seed, observer)?;
    let mut ended = Ok(());
    while ended.is_ok() && world.now() < scenario.end {
        ended = world.run_to(world.now().saturating_add(1_000_000).min(scenario.end));
        show(bar, world.now(), &world.heights());
    }
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&world.hash().to_be_bytes());
    Ok((ended, hash, world.now()))
}

/// In turmoil.
fn in_turmoil(
    scenario: &Scenario,
    seed: u64,
    observer: &mut impl Observer,
    bar: &ProgressBar,
) -> Result<Ended, Failure> {
    for key in scenario.beyond_turmoil() {
        tell!("the turmoil world runs without `{key}`");
    }
    let outcome = run_scenario(scenario, seed, observer, &mut |progress| {
        bar.set_length(progress.end / 1_000_000);
        show(bar, progress.at, &progress.heights);
    })
    .map_err(SimFailure::Turmoil)?;
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&outcome.hash.to_be_bytes());
    Ok((outcome.violation.map_or(Ok(()), Err), hash, outcome.at))
}

/// One line on a terminal.
fn bar(scenario: &Scenario) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} s {msg}");
    ProgressBar::new(scenario.end / 1_000_000)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn show(bar: &ProgressBar, at: Micros, heights: &[u64]) {
    bar.set_position(at / 1_000_000);
    let low = heights.iter().min().copied().unwrap_or_default();
    let high = heights.iter().max().copied().unwrap_or_default();
    bar.set_message(format!("heights {low} to {high}"));
}

fn write(path: Option<&Path>, text: impl FnOnce() -> String) -> Result<(), Failure> {
    path.map_or(Ok(()), |path| {
        std::fs::write(path, text()).map_err(Failure::file("write", path))
    })
}
