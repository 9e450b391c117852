//! `outrider sim`: simulated worlds, and real processes under faults.

mod failure;
mod processes;
mod run;
mod shrink;
mod swarm;
mod sweep;
pub mod tables;
mod twins;
mod zoo;

pub use failure::SimFailure;

use crate::failure::Failure;
use clap::Subcommand;

/// The commit that this binary was built from, for tokens.
const COMMIT: &str = env!("OUTRIDER_COMMIT");

/// Simulated worlds, and real processes under faults.
#[derive(Debug, Subcommand)]
pub enum Sim {
    /// Run a scenario file once.
    Run(run::RunArgs),
    /// Run again what a token names.
    Repro(run::ReproArgs),
    /// Many scenarios, drawn from seeds.
    Swarm(swarm::SwarmArgs),
    /// Byzantine members as two correct instances, in all partitions and under all orders of leaders.
    Twins(twins::TwinsArgs),
    /// Bugs let loose in the production code, and the checkers that must find them.
    Zoo(zoo::ZooArgs),
    /// Make a failing run small.
    Shrink(shrink::ShrinkArgs),
    /// Consensus protocols against each other, over sizes, delays, silent members and seeds.
    Sweep(sweep::SweepArgs),
    /// A storm of faults over real processes on this machine.
    Processes(processes::ProcessesArgs),
}

impl Sim {
    /// Do it. Turmoil brings a runtime of its own, so none runs around it.
    pub fn run(&self) -> Result<(), Failure> {
        match self {
            Self::Run(run) => run.run(),
            Self::Repro(repro) => repro.run(),
            Self::Swarm(swarm) => swarm.run(),
            Self::Twins(twins) => twins.run(),
            Self::Zoo(zoo) => zoo.run(),
            Self::Shrink(shrink) => shrink.run(),
            Self::Sweep(sweep) => sweep.run(),
            Self::Processes(processes) => crate::wait_for(processes.run()),
        }
    }
}

/// A seed short enough to be typed.
fn random_seed() -> Result<u64, Failure> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(Failure::Random)?;
    Ok(u64::from_le_bytes(bytes) >> 32)
}
