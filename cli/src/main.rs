//! The `outrider` command: parses, calls the other crates, prints. One file per verb; no rules of the protocol here.
//!
//! Exit codes: 0 it is done; 1 it failed, and standard error says why and what to do; 2 the arguments or the
//! configuration are wrong, nothing was started; `outrider sim` has more, for what a run broke.

mod candidate;
mod committee;
mod conduct;
mod devnet;
mod docs;
mod epochs;
mod evidence;
mod failure;
mod folder;
mod forensics;
mod init;
mod keys;
mod l1;
mod lane;
mod load;
mod numbers;
mod operator;
mod output;
mod password;
mod proof;
mod rollup;
mod signal;
#[cfg(feature = "sim")]
mod sim;
mod snapshot;
mod start;
mod status;
mod submit;
mod verify;
mod verify_order;
mod vm;

use crate::output::tell;
use clap::{CommandFactory as _, Parser, Subcommand};
use failure::Failure;
use std::process::ExitCode;

/// A decentralized sequencer: a committee orders the transactions of rollups and proves the order.
#[derive(Debug, Parser)]
#[command(name = "outrider", version, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

const EXIT_CODES: &str = "Exit codes: 0 done; 1 failed, standard error says why; 2 wrong arguments or configuration. `outrider sim` also: 10 a safety \
     promise broken; 11 liveness; 12 accountability; 13 a panic; 14 not deterministic.";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make or show a member's key.
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Make keys, a committee file and a folder with a commented configuration for each member.
    Init(init::Init),
    /// What concerns the committee as a whole.
    #[command(subcommand)]
    Committee(committee::Committee),
    /// Run one member until SIGINT or SIGTERM.
    Start(start::Start),
    /// Run a whole committee on this machine.
    Devnet(devnet::Devnet),
    /// Send transactions at a fixed rate and measure the time to soft-final.
    Load(load::Load),
    /// Submit one transaction.
    Submit(submit::Submit),
    /// Ask where a transaction is.
    Status(status::Status),
    /// Fetch the proof that a transaction is final.
    Proof(proof::Proof),
    /// Check a proof, offline.
    Verify(verify::Verify),
    /// Prove that final blocks obey the ordering policy of a rollup.
    VerifyOrder(verify_order::VerifyOrder),
    /// Follow the lane of a rollup, and fetch proofs of it.
    #[command(subcommand)]
    Lane(lane::Lane),
    /// Fetch the hand-overs between epochs.
    Epochs(epochs::Epochs),
    /// Evidence that members broke the protocol.
    #[command(subcommand)]
    Evidence(evidence::Evidence),
    /// What an operator does on the settlement chain: register, stake, rotate, leave.
    #[command(subcommand)]
    Operator(operator::Operator),
    /// The contracts on the settlement chain.
    #[command(subcommand)]
    L1(l1::L1),
    /// Name the members that made two conflicting blocks final, offline.
    Forensics(forensics::Forensics),
    /// Make, check and install snapshots: a new member need not replay the chain.
    #[command(subcommand)]
    Snapshot(snapshot::Snapshot),
    /// Execute what a rollup's transactions say.
    Conduct(Box<conduct::Conduct>),
    /// Short-lived rollups.
    #[command(subcommand)]
    Rollup(rollup::Rollup),
    /// Reference virtual machines.
    #[command(subcommand)]
    Vm(vm::Vm),
    /// Simulated worlds, and real processes under faults.
    #[cfg(feature = "sim")]
    #[command(subcommand)]
    Sim(sim::Sim),
    /// Print reference tables as Markdown.
    Docs(docs::Docs),
}

fn main() -> ExitCode {
    match run(Arguments::parse().verb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tell!("outrider: {failure}");
            failure.exit_code()
        }
    }
}

fn run(verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Keys(keys) => keys.run(),
        Verb::Operator(operator) => wait_for(operator.run()),
        Verb::L1(l1) => wait_for(l1.run()),
        Verb::Init(init) => init.run(),
        Verb::Committee(committee) => wait_for(committee.run()),
        Verb::Start(start) => start.run(),
        Verb::Verify(verify) => verify.run(),
        Verb::Epochs(epochs) => wait_for(epochs.run()),
        Verb::Evidence(evidence) => wait_for(evidence.run()),
        Verb::Snapshot(snapshot) => wait_for(snapshot.run()),
        Verb::Forensics(forensics) => forensics.run(),
        Verb::Docs(docs) => docs.run(Arguments::command()),
        Verb::Devnet(devnet) => wait_for(devnet.run()),
        Verb::Load(load) => wait_for(load.run()),
        Verb::Submit(submit) => wait_for(submit.run()),
        Verb::Status(status) => wait_for(status.run()),
        Verb::Proof(proof) => wait_for(proof.run()),
        Verb::Lane(lane) => wait_for(lane.run()),
        Verb::VerifyOrder(order) => wait_for(order.run()),
        Verb::Conduct(conduct) => wait_for(conduct.run()),
        Verb::Rollup(rollup) => wait_for(rollup.run()),
        Verb::Vm(vm) => wait_for(vm.run()),
        #[cfg(feature = "sim")]
        Verb::Sim(sim) => sim.run(),
    }
}

fn wait_for(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::Runtime)?
        .block_on(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn wrong_arguments_are_refused() {
        for line in [
            "outrider",
            "outrider init",
            "outrider start",
            "outrider verify",
            "outrider init --dir d --join --committee c",
            "outrider init --dir d --join --committee c --name n --members 4",
            "outrider init --dir d --members 4 --name n",
            "outrider epochs --rpc u",
            "outrider committee propose --out f --remove a",
            "outrider committee propose --out f --rpc u --stake a",
            "outrider committee approve f --key k",
            "outrider committee submit --rpc u",
            "outrider evidence",
            "outrider evidence verify",
            "outrider evidence export --rpc u",
            "outrider evidence submit f --network n --l1 u",
            "outrider evidence submit f --network n --account a",
            "outrider operator register --network n --l1 u --account a --key k",
            "outrider operator deposit --network n --l1 u --account a --amount 32",
            "outrider operator exit --network n --l1 u --from 0x0000000000000000000000000000000000000001",
            "outrider operator status --network n --l1 u",
            "outrider l1 deploy --l1 u --account a --l1-chain 1 --chain 1 --epoch-blocks 9",
            "outrider keys encrypt f",
            "outrider forensics a",
            "outrider snapshot create --committee c --out o",
            "outrider snapshot create --committee c --out o --rpc u --data-dir d",
            "outrider snapshot install f --data-dir d",
            "outrider devnet --members 0",
            "outrider load --rate 0 --size 1 --duration 1s --dir d",
            "outrider submit --rpc u --rollup 1",
            "outrider submit --rpc u --rollup 1 --hex 00 --file f",
            "outrider conduct --rollup 1 --driver anvil --execution e",
            "outrider conduct --rollup 1 --member m --execution e",
            "outrider conduct --rollup 1 --member m --driver anvil",
            "outrider rollup",
            "outrider rollup open --member m --vm evm --ttl 1m",
            "outrider rollup open --member m --vm kv",
            "outrider rollup open --member m --vm kv --ttl 1m --order fair",
            "outrider rollup close --member m 7",
            "outrider rollup show --member m",
            "outrider rollup verify f",
            "outrider rollup compare --a d --lane 1",
            "outrider lane",
            "outrider lane follow --rpc u --rollup 1",
            "outrider lane follow --rpc u --rollup 1 --committee c --from 0",
            "outrider lane follow --rpc u --rollup 1 --committee c --from 1-2",
            "outrider lane prove --rpc u --rollup 1 --out f",
            "outrider verify f --committee c --kind other",
            "outrider verify-order --rpc u --rollup 1",
            "outrider vm",
            "outrider vm kv --listen here",
            "outrider load --rate 1 --size 64 --duration 1s",
        ] {
            assert!(
                Arguments::try_parse_from(line.split(' ')).is_err(),
                "{line}"
            );
        }
    }
}
