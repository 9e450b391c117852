//! Why a verb of `outrider sim` failed, and with which exit code.

use crate::failure::Failure;
use outrider_sim::fact::Class;
use outrider_sim::kernel::WorldError;
use outrider_sim::processes::ProcessesError;
use outrider_sim::report::EventsError;
use outrider_sim::scenario::ScenarioError;
use outrider_sim::sweep::SweepError;
use outrider_sim::token::TokenError;
use outrider_sim::twins::{JsonError, SpaceError};
use std::path::PathBuf;

/// What only a simulation can fail with.
#[derive(Debug, thiserror::Error)]
pub enum SimFailure {
    /// A storm over real processes that did not come to its end.
    #[error(transparent)]
    Processes(#[from] ProcessesError),
    /// A signal came before the end.
    #[error("interrupted; it says nothing about the members")]
    Interrupted,
    /// A scenario.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// A token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// A simulated world that cannot begin.
    #[error(transparent)]
    World(#[from] WorldError),
    /// A turmoil world that cannot begin or go on.
    #[error(transparent)]
    Turmoil(#[from] outrider_sim::world::WorldError),
    /// The events of a run.
    #[error("cannot write {}: {source}", path.display())]
    Events {
        /// Where.
        path: PathBuf,
        /// Why.
        source: EventsError,
    },
    /// A run that broke no promise although it should have.
    #[error("the scenario expects {0} to be broken, and nothing was")]
    Expected(String),
    /// Mutants were asked for, and this build has none: exit code 2.
    #[error(
        "this build has no mutants, as none that ships has; build one that has: cargo run --release -p outrider-cli --features zoo -- sim zoo"
    )]
    NoMutants,
    /// Mutants that were not found, or worlds in which a promise was broken without one: exit code 10.
    #[error(
        "{} mutants survived{}; {broken} cases broke a promise without a mutant, see above",
        survived.len(),
        if survived.is_empty() { String::new() } else { format!(": {}", survived.join(", ")) }
    )]
    Zoo {
        /// Number and name.
        survived: Vec<String>,
        /// How many cases were not clean.
        broken: usize,
    },
    /// A run that was to be made small and broke nothing.
    #[error(
        "no promise was broken in the run {0}; is it a token of this commit, and did it run in the kernel?"
    )]
    Whole(String),
    /// Rare states that a long run should have reached.
    #[error("never reached: {0}; run longer, or look why they cannot come about any more")]
    Marks(String),
    /// Promises that were broken in a simulation.
    #[error("{count} promises were broken, see above; to run it again: {again}")]
    Broken {
        /// The gravest kind.
        class: Class,
        /// How many.
        count: u64,
        /// The command.
        again: String,
    },
    /// A sweep that cannot be.
    #[error(transparent)]
    Sweep(#[from] SweepError),
    /// Scenarios of twins that cannot be.
    #[error(transparent)]
    Twins(#[from] SpaceError),
    /// More scenarios of twins than can be counted.
    #[error("there are more than 2^64 scenarios; run a sample of them: --sample 100000")]
    TwinsCount,
    /// A scenario of twins that is not there.
    #[error("there is no scenario {number}")]
    TwinsNumber {
        /// Its number.
        number: u64,
    },
    /// A file that holds no scenarios of twins.
    #[error("{path}: {error}", path = path.display())]
    TwinsFile {
        /// Which file.
        path: PathBuf,
        /// Why not.
        error: Box<JsonError>,
    },
}

impl SimFailure {
    /// 10 to 14 if a promise was broken, 2 if what was asked for cannot be, 1 if it failed.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Broken { class, .. } => class.exit_code(),
            Self::Zoo { .. } => Class::Safety.exit_code(),
            Self::Processes(ProcessesError::Setup { .. })
            | Self::Sweep(_)
            | Self::Scenario(_)
            | Self::Token(_)
            | Self::World(_)
            | Self::NoMutants
            | Self::Twins(_)
            | Self::TwinsCount
            | Self::TwinsNumber { .. } => 2,
            _ => 1,
        }
    }
}

macro_rules! of_a_simulation {
    ($($error:ty),*) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::Sim(Box::new(error.into()))
            }
        })*
    };
}

of_a_simulation!(
    SimFailure,
    ProcessesError,
    ScenarioError,
    SpaceError,
    SweepError,
    TokenError,
    WorldError
);
