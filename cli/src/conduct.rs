//! `outrider conduct`: follow one lane and drive an execution node with it.

use crate::failure::Failure;
use crate::numbers::duration;
use crate::output::{say, tell};
use crate::password;
use clap::{Args, ValueEnum};
use outrider_client::Trust;
use outrider_conductor::{DriverKind, Event, Executed, Interval, Options, Plan, run};
use outrider_node::committee_file::CommitteeFile;
use outrider_types::RollupId;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Follow a rollup's transactions at a member and execute them, until SIGINT or SIGTERM.
///
/// Prints one line for each block that was executed. May be killed at any time, and so may the member and the execution node:
/// it goes on where it was.
///
/// Exit codes: 0 stopped by a signal; 1 something is wrong that waiting does not mend, standard error says what; 2 wrong
/// arguments.
#[derive(Debug, Args)]
pub struct Conduct {
    /// The rollup's id; for an EVM its chain id.
    #[arg(long)]
    rollup: u64,
    /// RPC of a member, as http://127.0.0.1:9601; more of them are asked when it fails.
    #[arg(long, required = true)]
    member: Vec<String>,
    /// The committee file, from somebody you trust: then a block counts only with a proof that this committee, or one that it handed
    /// over to, made it final. Without it finality is the word of the member.
    #[arg(long)]
    committee: Option<PathBuf>,
    /// The kind of execution node.
    #[arg(long, value_enum)]
    driver: Driver,
    /// The execution node's JSON-RPC, as http://127.0.0.1:8545; for `http`, the address of the process.
    #[arg(long)]
    execution: String,
    /// The Engine API, as http://127.0.0.1:8551.
    #[arg(long)]
    engine: Option<String>,
    /// JSON-RPC of the node behind the Engine API that checks what anvil built.
    #[arg(long)]
    mirror: Option<String>,
    /// File with the secret of the Engine API, 32 bytes in hex.
    #[arg(long)]
    jwt: Option<PathBuf>,
    /// Folder in which it remembers what was executed.
    #[arg(long, default_value = "conductor")]
    data: PathBuf,
    /// Time in one execution block; a whole number of seconds for an EVM.
    #[arg(long, default_value = "1s", value_parser = duration)]
    block_time: Duration,
    /// Address that gets the tips, in hex.
    #[arg(long, default_value = "0x0000000000000000000000000000000000000000", value_parser = address)]
    coinbase: [u8; 20],
    /// A member's key file: what is executed is signed with it and told to members, see docs/rollups.md.
    #[arg(long)]
    certify: Option<PathBuf>,
    /// Print JSON, with every transaction that was skipped.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Driver {
    /// anvil.
    Anvil,
    /// anvil, and an engine that must find each of its blocks valid.
    Mirror,
    /// An engine with the extended payload attributes of the OP Stack.
    Engine,
    /// Any process over HTTP, as `outrider vm kv`.
    Http,
}

/// An address in hex.
pub fn address(text: &str) -> Result<[u8; 20], String> {
    let mut address = [0; 20];
    let digits = text.strip_prefix("0x").unwrap_or(text);
    hex::decode_to_slice(digits, &mut address)
        .map_err(|error| format!("{text:?} is not an address: {error}"))?;
    Ok(address)
}

impl Conduct {
    /// Do it.
    pub async fn run(self) -> Result<(), Failure> {
        let json = self.json;
        let certify = self.certify.as_deref().map(password::load).transpose()?;
        let committee = self.committee.as_deref().map(CommitteeFile::load);
        let trust = committee.transpose()?.map(|it| Trust::new(it.committee));
        if trust.is_none() {
            tell!(
                "outrider: that a block is final is the word of the member; --committee FILE checks it"
            );
        }
        let options = Options {
            plan: Plan {
                rollup: RollupId(self.rollup),
                interval: self.block_time,
                data: self.data,
            },
            members: self.member,
            trust,
            driver: match self.driver {
                Driver::Anvil => DriverKind::Anvil,
                Driver::Mirror => DriverKind::Mirror,
                Driver::Engine => DriverKind::Engine,
                Driver::Http => DriverKind::Http,
            },
            execution: self.execution,
            engine: self.engine,
            mirror: self.mirror,
            jwt: self.jwt,
            coinbase: self.coinbase,
            certify,
        };
        tokio::select! {
            biased;
            signal = crate::signal::ended() => signal,
            stopped = run(&options, |event| report(event, json)) => stopped.map_err(Failure::from),
        }
    }
}

/// Print what a conductor tells.
pub fn report(event: Event<'_>, json: bool) {
    match event {
        Event::Executed {
            executed,
            interval,
            steps,
            again,
        } if json => say!("{}", as_json(executed, interval, &steps, again)),
        Event::Executed {
            executed,
            interval,
            again,
            ..
        } => say!("{}", as_line(executed, interval, again)),
        Event::Signed { .. } | Event::Passed { .. } => {}
        Event::NotSigned {
            lane_height,
            reason,
        } => tell!("outrider: lane block {lane_height} is not signed: {reason}"),
        Event::Resumed {
            over,
            lane_height,
            reached,
        } => tell!(
            "outrider: on block {over}, lane block {lane_height}; reached before: block {reached}"
        ),
        Event::Waiting { reason } => tell!("outrider: waiting: {reason}"),
    }
}

fn as_line(executed: &Executed, interval: &Interval, again: bool) -> String {
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for one in &executed.skipped {
        *reasons.entry(one.why.code()).or_default() += 1;
    }
    let reasons: Vec<String> = reasons
        .iter()
        .map(|(reason, count)| format!("{count} {reason}"))
        .collect();
    format!(
        "block {} {} state {} lane {}..={} included {} skipped {}{}{}",
        executed.block.number,
        executed.block.hash,
        executed.state_root,
        interval.lane_first,
        interval.last.lane_height,
        executed.included.len(),
        executed.skipped.len(),
        if reasons.is_empty() {
            String::new()
        } else {
            format!(" ({})", reasons.join(", "))
        },
        if again { " again" } else { "" },
    )
}

fn as_json(
    executed: &Executed,
    interval: &Interval,
    steps: &[u8; 32],
    again: bool,
) -> serde_json::Value {
    let skipped = executed.skipped.iter().map(
        |one| json!({"index": one.index, "reason": one.why.code(), "text": one.why.to_string()}),
    );
    json!({
        "number": executed.block.number,
        "hash": executed.block.hash,
        "state_root": executed.state_root,
        "steps": hex::encode(steps),
        "timestamp_us": interval.start,
        "lane_first": interval.lane_first,
        "lane_last": interval.last.lane_height,
        "height": interval.last.height,
        "included": executed.included,
        "skipped": skipped.collect::<Vec<_>>(),
        "again": again,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        assert_eq!(address(&format!("0x{}", "07".repeat(20))), Ok([7; 20]));
        assert!(address("0x07").is_err());
    }
}
