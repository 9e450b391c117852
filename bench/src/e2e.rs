//! `outrider-bench e2e`: whole committees of real `outrider` processes on loopback, under load over RPC.
//!
//! ```text
//! grid --cell--> Committee (init, start; proxies if the way is long or lossy) <--RPC-- `outrider load`
//!                    |                                                                     |
//!        procfs, ss, /metrics, heads, blocks --> Watch, marks --> Measured <--latencies----+
//!                    |
//!                 audit: nothing lost, nothing twice, one chain
//! ```
//!
//! Each cell has a committee of its own, new and on an empty disk. The load is open-loop: latency counts from when a
//! transaction was due. Members, load, proxies and this program share the machine, so on few processors the load's own
//! CPU, which is printed beside the members', is part of what limits.
//!
//! Limits: at most [`MEMBERS_MAX`] members; runs of at most an hour and 20 million transactions (`outrider load` says so).
//!
//! Deliberately absent: peers (`bench/compare`), and network namespaces with netem, which need root and a kernel that has
//! them. Loss is modelled by proxies, and the report says how.

mod audit;
mod cell;
mod committee;
mod failure;
mod load;
mod metrics;
mod procfs;
mod proxy;
mod report;
mod search;
mod watch;
mod wire;

use crate::numbers::{chance, duration};
use cell::{Cell, Common, Measured};
use clap::Args;
use failure::Failure;
use procfs::Machine;
use proxy::{Recovery, Way};
use search::Search;
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

/// Most members of one committee: all are processes of this machine.
const MEMBERS_MAX: usize = 32;

/// Measure whole committees of real processes: every combination of the lists given, each on a new committee.
///
/// Prints one block for each. Exit code 1 if something was lost or ordered twice.
#[derive(Clone, Debug, Args)]
pub struct E2e {
    /// The `outrider` binary; default: beside this one.
    #[arg(long)]
    outrider: Option<PathBuf>,
    /// How many members; a list.
    #[arg(long, value_delimiter = ',', default_value = "4")]
    members: Vec<usize>,
    /// Bytes of a transaction; a list.
    #[arg(long, value_delimiter = ',', default_value = "512")]
    size: Vec<u64>,
    /// Transactions per second; a list. With --find-saturation: where to begin.
    #[arg(long, value_delimiter = ',', default_value = "1000", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rate: Vec<u64>,
    /// Length of each load.
    #[arg(long, default_value = "20s", value_parser = duration)]
    duration: Duration,
    /// Over how many rollups.
    #[arg(long, default_value_t = 4)]
    rollups: u64,
    /// More options of `outrider load`, as --load-option=--per-request=64. May be given many times.
    #[arg(long, allow_hyphen_values = true)]
    load_option: Vec<String>,
    /// Whether members wait for the disk; a list.
    #[arg(long, value_delimiter = ',', default_value = "true", action = clap::ArgAction::Append)]
    durable: Vec<bool>,
    /// Constant delay between members, one way.
    #[arg(long, default_value = "0s", value_parser = duration)]
    delay: Duration,
    /// Chance that a segment between members is lost, as 1%.
    #[arg(long, default_value = "0", value_parser = chance)]
    loss: f64,
    /// How long a sender waits before it sends a lost segment again.
    #[arg(long, default_value = "200ms", value_parser = duration)]
    rto: Duration,
    /// How a lost segment is made up for.
    #[arg(long, value_enum, default_value_t = Recovery::Timeout)]
    recovery: Recovery,
    /// kill -9 so many members.
    #[arg(long, default_value_t = 0)]
    dead: usize,
    /// When, from the start of the load; 0s: before it.
    #[arg(long, default_value = "5s", value_parser = duration)]
    dead_at: Duration,
    /// Search the highest rate that is sustained, then measure at half of it.
    #[arg(long)]
    find_saturation: bool,
    /// The highest rate that is tried.
    #[arg(long, default_value_t = 400_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rate_max: u64,
    /// Go through the grid so often.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    repeat: u32,
    /// Set an option of every member, as in --set p2p.mailbox_messages=512. May be given many times.
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
    /// Where the members' folders are made: the disk that is measured. Default: the system's folder for temporary files.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Keep the members' folders.
    #[arg(long)]
    keep: bool,
    /// Write everything as JSON, too.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Cells measured so far.
#[derive(Debug)]
struct Bench {
    common: Common,
    measured: Vec<Measured>,
    saturated: Vec<serde_json::Value>,
}

impl E2e {
    /// Do it.
    pub async fn run(&self) -> Result<(), Failure> {
        let common = self.common()?;
        let machine = Machine::here(&common.outrider);
        print!("{machine}");
        std::fs::create_dir_all(&common.dir).map_err(Failure::file("make", &common.dir))?;
        let mut bench = Bench {
            common,
            measured: Vec::new(),
            saturated: Vec::new(),
        };
        let mut result = Ok(());
        for _ in 0..self.repeat {
            result = self.grid(&mut bench).await;
            if result.is_err() {
                break;
            }
        }
        // What was measured before a failure is worth keeping.
        if let Some(path) = &self.json {
            let all = json!({ "machine": machine, "cells": bench.measured, "saturated": bench.saturated });
            std::fs::write(path, format!("{all:#}\n")).map_err(Failure::file("write", path))?;
        }
        // Only if it is empty, and not one that was there.
        let _ = std::fs::remove_dir(&bench.common.dir);
        result?;
        let broken = |cell: &&Measured| !cell.audit.broken.is_empty();
        match bench.measured.iter().filter(broken).count() {
            0 => Ok(()),
            broken => Err(Failure::Broken(broken)),
        }
    }

    fn common(&self) -> Result<Common, Failure> {
        self.check().map_err(Failure::Options)?;
        let own = std::env::current_exe();
        let own = own.map_err(Failure::file("find", "outrider-bench".as_ref()))?;
        let beside = || own.with_file_name("outrider");
        let outrider = self.outrider.clone().unwrap_or_else(beside);
        if !outrider.is_file() {
            let shown = outrider.display();
            return Err(Failure::Options(format!(
                "there is no {shown}: cargo build --release -p outrider-cli, or name it with --outrider"
            )));
        }
        let folder = format!("outrider-bench-{}", std::process::id());
        let above = self.dir.clone().unwrap_or_else(std::env::temp_dir);
        let dir = std::path::absolute(above.join(folder)).map_err(Failure::file("find", &above))?;
        Ok(Common {
            outrider,
            dir,
            duration: self.duration,
            rollups: self.rollups,
            load_options: self.load_option.clone(),
            sets: self.set.clone(),
            keep: self.keep,
        })
    }

    /// What is wrong with the options.
    fn check(&self) -> Result<(), String> {
        let fewest = self.members.iter().min().copied().unwrap_or_default();
        let most = self.members.iter().max().copied().unwrap_or_default();
        if fewest < 1 || most > MEMBERS_MAX {
            return Err(format!("--members is from 1 to {MEMBERS_MAX}"));
        }
        if self.duration < Duration::from_secs(1) {
            return Err("--duration is at least 1s".to_owned());
        }
        // With n members, (n - 1) / 3 may fail.
        if 3 * self.dead >= fewest.max(1) && self.dead > 0 {
            return Err(format!(
                "{} of {fewest} members cannot be dead: fewer than a third may",
                self.dead
            ));
        }
        if self.dead > 0 && self.dead_at >= self.duration {
            return Err("--dead-at is not within --duration".to_owned());
        }
        if self.find_saturation && self.dead > 0 && !self.dead_at.is_zero() {
            return Err("--find-saturation with --dead needs --dead-at 0s: members that die meanwhile are no steady state".to_owned());
        }
        Ok(())
    }

    async fn grid(&self, bench: &mut Bench) -> Result<(), Failure> {
        for &members in &self.members {
            for &size in &self.size {
                // The rates first: those are compared with each other.
                for &rate in &self.rate {
                    for &durable in &self.durable {
                        let cell = Cell {
                            members,
                            size,
                            rate,
                            durable,
                            way: Way {
                                delay: self.delay,
                                loss: self.loss,
                                rto: self.rto,
                                recovery: self.recovery,
                            },
                            dead: self.dead,
                            dead_at: self.dead_at,
                        };
                        if self.find_saturation {
                            bench.saturate(cell, self.rate_max).await?;
                        } else {
                            bench.measure(&cell).await?;
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

impl Bench {
    async fn measure(&mut self, cell: &Cell) -> Result<&Measured, Failure> {
        let name = format!("{}", self.measured.len());
        let measured = cell.measure(&self.common, &name).await?;
        println!("\n{measured}");
        self.measured.push(measured);
        // It has just been pushed.
        Ok(&self.measured[self.measured.len() - 1])
    }

    /// Search the highest rate that is sustained, and measure at half of it.
    async fn saturate(&mut self, cell: Cell, rate_max: u64) -> Result<(), Failure> {
        let mut search = Search::new(cell.rate, rate_max);
        while let Some(rate) = search.next() {
            let cell = Cell {
                rate,
                ..cell.clone()
            };
            let sustained = self.measure(&cell).await?.sustained;
            search.tried(rate, sustained);
        }
        let Cell {
            members,
            size,
            durable,
            ..
        } = cell;
        let Some(rate) = search.found() else {
            println!(
                "\nsaturated          below {} tx/s: none was sustained",
                search::RATE_MIN
            );
            return Ok(());
        };
        let limit = if search.at_limit() {
            ", the limit of the search, not of the members"
        } else {
            ""
        };
        println!(
            "\nsaturated          {rate} tx/s of {size} bytes with {members} members, durable {durable}{limit}"
        );
        println!("                   next: half of it");
        let half = Cell {
            rate: (rate / 2).max(1),
            ..cell
        };
        let latency = self.measure(&half).await?.load.latency_us;
        self.saturated.push(json!({
            "members": members, "size": size, "durable": durable, "rate": rate,
            "at_limit": search.at_limit(), "half": half.rate, "latency_us_at_half": latency,
        }));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        e2e: E2e,
    }

    fn parsed(line: &str) -> Result<E2e, String> {
        let words = ["bench"].into_iter().chain(line.split_whitespace());
        let line = Line::try_parse_from(words).map_err(|error| error.to_string())?;
        line.e2e.check().map(|()| line.e2e)
    }

    #[test]
    fn lists_and_units_are_read() {
        let line = "--members 4,7,10 --size 512,4096 --rate 100,200 --durable true,false --delay 50ms --loss 1% \
            --dead 1 --dead-at 3s --duration 10s --load-option=--batch=64";
        let e2e = parsed(line).unwrap();
        assert_eq!((e2e.members, e2e.size), (vec![4, 7, 10], vec![512, 4_096]));
        assert_eq!((e2e.rate, e2e.durable), (vec![100, 200], vec![true, false]));
        assert_eq!((e2e.delay, e2e.loss), (Duration::from_millis(50), 0.01));
        assert_eq!(e2e.load_option, ["--batch=64"]);
        assert_eq!(parsed("").unwrap().durable, [true]);
    }

    #[test]
    fn options_that_do_not_go_together_are_refused() {
        for (line, why) in [
            ("--members 0", "1 to 32"),
            ("--members 33", "1 to 32"),
            ("--members 4,10 --dead 2", "a third"),
            ("--members 3 --dead 1", "a third"),
            ("--dead 1 --duration 5s", "within"),
            ("--dead 1 --find-saturation", "--dead-at 0s"),
            ("--duration 900ms", "at least 1s"),
            ("--loss 60%", "chance"),
        ] {
            let said = parsed(line).unwrap_err();
            assert!(said.contains(why), "{line}: {said}");
        }
        assert!(parsed("--members 10 --dead 3 --dead-at 0s --find-saturation").is_ok());
    }
}
