//! `outrider-scale`: what a block costs by size of the committee, in the simulator's kernel with Ed25519 keys.
//!
//! ```text
//! sizes -> run: calm world, no transactions -> watch: counts messages, opens each as a receiver does
//!       -> table: per block, medians of runs, where voting weighs -> Markdown or JSON
//! ```
//!
//! The world is calm and its blocks are empty, so that all bytes and all time are of agreeing. Counts depend on the seed
//! only; times are CPU time of the thread and depend on the machine.
//!
//! Deliberately absent: transport (encryption, frames, system calls), disk, transactions. They are measured with whole
//! nodes.

mod run;
mod table;
mod watch;

use clap::Parser;
use run::{Plan, ScaleError};
use std::process::ExitCode;
use table::{Payload, Report};

/// Sizes that are measured unless the command says otherwise.
const MEMBERS: [usize; 7] = [4, 7, 10, 22, 40, 67, 100];
/// Sizes of a short run.
const MEMBERS_SHORT: [usize; 3] = [4, 7, 10];

/// What a block costs by size of the committee.
#[derive(Clone, Debug, Parser)]
#[command(name = "outrider-scale")]
struct Arguments {
    /// Sizes of the committee, separated by commas; 4,7,10,22,40,67,100 if left out
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u16).range(4..=400))]
    members: Vec<u16>,
    /// Final blocks that are measured in each run
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    blocks: u64,
    /// Runs of each size, in turn; times are medians
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100))]
    runs: u64,
    /// Seed of the worlds
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Three small committees, five blocks, one run: whether it works
    #[arg(long)]
    short: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Arguments {
    fn plan(&self) -> Plan {
        let asked: Vec<usize> = self.members.iter().map(|size| usize::from(*size)).collect();
        let (default, blocks, runs) = if self.short {
            (&MEMBERS_SHORT[..], self.blocks.min(5), 1)
        } else {
            (&MEMBERS[..], self.blocks, self.runs)
        };
        Plan {
            members: if asked.is_empty() {
                default.to_vec()
            } else {
                asked
            },
            blocks,
            runs,
            seed: self.seed,
        }
    }
}

fn report(plan: &Plan) -> Result<Report, ScaleError> {
    let samples = run::all(plan, |members, run| {
        eprintln!("{members} members, run {run} of {}", plan.runs);
    })?;
    Ok(Report::new(plan, &samples, &Payload::measured(plan.runs)))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match report(&arguments.plan()) {
        Ok(report) if arguments.json => println!("{:#}", report.to_json()),
        Ok(report) => print!("{}", report.to_markdown()),
        Err(error) => {
            eprintln!("outrider-scale: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(arguments: &[&str]) -> Plan {
        let line = std::iter::once(&"outrider-scale").chain(arguments);
        Arguments::try_parse_from(line).unwrap().plan()
    }

    #[test]
    fn short_run_is_small_and_asked_sizes_win() {
        assert_eq!(plan(&[]).members, MEMBERS);
        let short = plan(&["--short"]);
        assert_eq!((short.members.len(), short.blocks, short.runs), (3, 5, 1));
        assert_eq!(plan(&["--short", "--members", "5,9"]).members, [5, 9]);
    }

    #[test]
    fn sizes_out_of_range_are_refused() {
        for wrong in ["3", "401", "many"] {
            let line = ["outrider-scale", "--members", wrong];
            assert!(Arguments::try_parse_from(line).is_err(), "{wrong}");
        }
    }
}
