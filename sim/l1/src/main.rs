//! `outrider-sim-l1 [--forks N] [--from SEED]`: forks out of the kernel and out of random worlds, each taken to the contracts
//! twice, which must come to the same state.

use outrider_sim_l1::fork::{Fork, ForkError, in_kernel, random};
use outrider_sim_l1::trial::{Verdict, Wrong, judge};
use std::process::ExitCode;

/// Forks of each source, unless the caller says otherwise.
const FORKS: u64 = 100;
/// One random seed in so many has a fork at least; with fewer, the generator is broken.
const SEEDS_PER_FORK_MAX: u64 = 100;
const USAGE: &str = "usage: outrider-sim-l1 [--forks N] [--from SEED]\n  --forks N    forks of each source (100)\n  --from SEED  the first seed (0)";

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Fork(#[from] ForkError),
    #[error(
        "{source_name} fork of seed {seed}: {wrong}\nAgain: outrider-sim-l1 --forks 1 --from {seed}"
    )]
    Wrong {
        source_name: &'static str,
        seed: u64,
        wrong: Box<Wrong>,
    },
    #[error(
        "{source_name} fork of seed {seed}: one seed, two runs, two states of L1: {first:?}, then {second:?}"
    )]
    Differs {
        source_name: &'static str,
        seed: u64,
        first: Box<Verdict>,
        second: Box<Verdict>,
    },
    #[error("only {forks} forks in {seeds} random worlds: the generator makes too few")]
    TooFew { forks: u64, seeds: u64 },
}

struct Options {
    forks: u64,
    from: u64,
}

fn options() -> Result<Options, Failure> {
    let mut options = Options {
        forks: FORKS,
        from: 0,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let number = arguments.next().and_then(|text| text.parse().ok());
        match (name.as_str(), number) {
            ("--forks", Some(number)) => options.forks = number,
            ("--from", Some(number)) => options.from = number,
            _ => return Err(Failure::Usage(USAGE.to_owned())),
        }
    }
    Ok(options)
}

/// What the forks of one source came to.
#[derive(Default)]
struct Sum {
    forks: u64,
    taken: usize,
    refused: usize,
    froze: u64,
    gas: u64,
    offences: std::collections::BTreeMap<String, u64>,
}

impl Sum {
    fn add(&mut self, verdict: &Verdict) {
        self.forks += 1;
        self.taken += verdict.taken;
        self.refused += verdict.refused;
        self.froze += u64::from(verdict.froze);
        self.gas = self.gas.max(verdict.gas);
        for offence in &verdict.offences {
            *self.offences.entry(format!("{offence:?}")).or_default() += 1;
        }
    }

    fn print(&self, name: &str) {
        let offences: Vec<String> = self
            .offences
            .iter()
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        println!(
            "{name}: {} forks, each with f+1 slashable and slashed; reports taken {}, refused {}; anchor froze in {}; offences ({}); most gas of a report {}",
            self.forks,
            self.taken,
            self.refused,
            self.froze,
            offences.join(", "),
            self.gas
        );
    }
}

/// The same fork twice, made anew each time.
fn twice(
    source_name: &'static str,
    seed: u64,
    make: impl Fn(u64) -> Result<Option<Fork>, ForkError>,
) -> Result<Option<Verdict>, Failure> {
    let run = || -> Result<Option<Verdict>, Failure> {
        let Some(fork) = make(seed)? else {
            return Ok(None);
        };
        let verdict = judge(&fork).map_err(|wrong| Failure::Wrong {
            source_name,
            seed,
            wrong: Box::new(wrong),
        })?;
        Ok(Some(verdict))
    };
    let Some(first) = run()? else {
        return Ok(None);
    };
    match run()? {
        Some(second) if second == first => Ok(Some(first)),
        Some(second) => Err(Failure::Differs {
            source_name,
            seed,
            first: Box::new(first),
            second: Box::new(second),
        }),
        None => Ok(None),
    }
}

fn run() -> Result<(), Failure> {
    let options = options()?;
    let mut sum = Sum::default();
    for seed in (options.from..).take(usize::try_from(options.forks).unwrap_or(usize::MAX)) {
        let verdict = twice("kernel", seed, |seed| in_kernel(seed).map(Some))?;
        verdict.iter().for_each(|verdict| sum.add(verdict));
    }
    sum.print("kernel");
    let mut sum = Sum::default();
    let seeds = options.forks.saturating_mul(SEEDS_PER_FORK_MAX);
    for seed in options.from..options.from.saturating_add(seeds) {
        if sum.forks == options.forks {
            break;
        }
        let verdict = twice("random", seed, random)?;
        verdict.iter().for_each(|verdict| sum.add(verdict));
    }
    sum.print("random");
    if sum.forks < options.forks {
        return Err(Failure::TooFew {
            forks: sum.forks,
            seeds,
        });
    }
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("outrider-sim-l1: {failure}");
            ExitCode::FAILURE
        }
    }
}
