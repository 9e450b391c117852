//! `outrider-compare`: the same work on Outrider and on its peers, in one invocation, alternating, on the same cores.
//!
//! ```text
//! for each repeat, row, contestant:
//!   outrider-compare --starts--> 4 members, a process each (this binary again, or `outrider start`)
//!                    --in between, if the row asks for it--> a proxy for each pair that delays and counts
//!                    --reads--> commit times, submit latencies, /proc
//!   --> one table of medians and ratios
//! ```
//!
//! README.md beside this crate says how that is fair and what it is not.

mod children;
mod commits;
mod contestant;
mod error;
mod hotstuff;
mod inside;
mod numbers;
mod ours;
mod peer;
mod ports;
mod process;
mod proxy;
mod rows;
mod run;
mod simplex;
mod table;
mod watch;

use clap::{Parser, Subcommand};
use contestant::Contestant;
use error::CompareError;
use rows::{Bench, Row};
use run::Setting;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use table::Table;

/// Longest run of a row.
const DURATION_S_MAX: u64 = 600;

/// Run the same work on Outrider and on its peers, and print one table.
#[derive(Debug, Parser)]
#[command(name = "outrider-compare", args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    member: Option<Member>,
    #[command(flatten)]
    run: Run,
}

/// What this binary is when it starts itself.
#[derive(Debug, Subcommand)]
enum Member {
    /// One member of commonware-consensus simplex.
    #[command(hide = true)]
    MemberSimplex(simplex::SimplexArgs),
    /// One member of hotstuff_rs.
    #[command(hide = true)]
    MemberHotstuff(inside::MemberArgs),
}

#[derive(Debug, clap::Args)]
struct Run {
    /// What is measured.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Row::ALL)]
    rows: Vec<Row>,
    /// Who is compared.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Contestant::DEFAULT)]
    peers: Vec<Contestant>,
    /// Length of what is measured in each run, as 10s or 1m.
    #[arg(long, default_value = "10s", value_parser = duration)]
    duration: Duration,
    /// Load before it, which does not count.
    #[arg(long, default_value = "2s", value_parser = duration)]
    warm: Duration,
    /// How often everything is done; medians are shown.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    repeat: u32,
    /// Members of a run.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(4..=100))]
    members: u16,
    /// Bytes of a transaction.
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(16..=65_536))]
    size: u32,
    /// The binary of ours.
    #[arg(long, default_value = "../../target/release/outrider")]
    outrider: PathBuf,
    /// An option for every member of ours, as consensus.base_timeout_ms=250. May be given many times.
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    outrider_set: Vec<String>,
    /// Connections of `outrider load` to each member.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    clients: u16,
    /// Where the files of a run are, until it ends. On a disk, not in memory, or nothing is durable.
    #[arg(long, default_value = "/var/tmp")]
    dir: PathBuf,
    /// Also write everything, every repeat of it, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong =
        || format!("{text:?} is not a length of time; write 10s or 1m, at most {DURATION_S_MAX}s");
    let (number, unit) = match (text.strip_suffix('s'), text.strip_suffix('m')) {
        (Some(number), _) => (number, 1),
        (_, Some(number)) => (number, 60),
        _ => return Err(wrong()),
    };
    let seconds = number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(unit));
    let within = seconds.filter(|seconds| (1..=DURATION_S_MAX).contains(seconds));
    within.map(Duration::from_secs).ok_or_else(wrong)
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match &cli.member {
        Some(Member::MemberSimplex(arguments)) => simplex::run(arguments),
        Some(Member::MemberHotstuff(arguments)) => hotstuff::run(arguments),
        None => compare(&cli.run),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(arguments: &Run) -> Result<(), CompareError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(CompareError::network("start the runtime"))?;
    runtime.block_on(all_rows(arguments))
}

async fn all_rows(arguments: &Run) -> Result<(), CompareError> {
    let size = usize::try_from(arguments.size).unwrap_or(usize::MAX);
    let setting = Setting {
        outrider: arguments.outrider.clone(),
        set: arguments.outrider_set.clone(),
        clients: arguments.clients,
        dir: arguments.dir.clone(),
        members: usize::from(arguments.members),
        size,
        warm: arguments.warm,
    };
    let mut contestants = arguments.peers.clone();
    contestants.sort_unstable();
    contestants.dedup();
    if contestants.iter().any(|one| one.is_ours()) && !setting.outrider.exists() {
        return Err(CompareError::NoOutrider {
            path: setting.outrider,
        });
    }
    let table = Table::new(&contestants, size);
    let mut bench = Bench::new(setting, arguments.duration, table);
    for repeat in 1..=arguments.repeat {
        for row in Row::ALL.iter().filter(|row| arguments.rows.contains(row)) {
            for contestant in &contestants {
                eprintln!(
                    "{repeat}/{} {} {}",
                    arguments.repeat,
                    row.name(),
                    contestant.name()
                );
                bench.measure(*row, *contestant).await;
            }
        }
    }
    println!(
        "{} members, {} cores, {} s a run, {} repeats, medians\n",
        arguments.members,
        std::thread::available_parallelism().map_or(0, usize::from),
        arguments.duration.as_secs(),
        arguments.repeat
    );
    print!("{}", bench.table.to_markdown());
    if let Some(path) = &arguments.json {
        let text = format!("{:#}\n", bench.table.to_json());
        std::fs::write(path, text).map_err(CompareError::file("write", path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_is_consistent() {
        <Cli as clap::CommandFactory>::command().debug_assert();
        let cli = Cli::parse_from([
            "x",
            "--rows",
            "latency,delay",
            "--peers",
            "outrider,simplex",
            "--duration",
            "5s",
        ]);
        assert_eq!(cli.run.rows, [Row::Latency, Row::Delay]);
        assert_eq!(cli.run.peers, [Contestant::Outrider, Contestant::Simplex]);
        assert_eq!(cli.run.duration, Duration::from_secs(5));
    }

    #[test]
    fn lengths_have_a_unit_and_a_limit() {
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for wrong in ["", "s", "5", "0s", "601s", "11m", "-1s", "1h", "1ms"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
