//! `outrider-bench`: load on whole committees of real processes. The criterion benches are in `benches/`.

mod e2e;
mod numbers;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Measure Outrider.
#[derive(Debug, Parser)]
#[command(name = "outrider-bench", version)]
struct Bench {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    E2e(Box<e2e::E2e>),
}

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Bench::parse().what {
        What::E2e(bench) => bench.run().await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
