//! `outrider docs`: reference tables as Markdown, and the RPC as an OpenRPC document, printed from the tables that the code runs on.

use crate::failure::Failure;
use crate::output::say;
#[cfg(feature = "sim")]
use crate::sim::tables;
use clap::{Args, ValueEnum};
use std::fmt::Write as _;

/// Print a reference table: as Markdown, or the RPC as OpenRPC.
#[derive(Debug, Args)]
pub struct Docs {
    /// Which.
    table: Table,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Table {
    /// Options of the configuration.
    Config,
    /// Metrics.
    Metrics,
    /// Methods and error codes of the RPC.
    Rpc,
    /// The same as an OpenRPC document.
    Openrpc,
    /// This command line.
    Cli,
    /// Keys of a scenario file.
    #[cfg(feature = "sim")]
    SimScenario,
    /// Deeds of Byzantine members.
    #[cfg(feature = "sim")]
    SimDeeds,
    /// Checkers of simulated runs.
    #[cfg(feature = "sim")]
    SimCheckers,
    /// Rare states that a swarm should reach.
    #[cfg(feature = "sim")]
    SimMarks,
    /// Mutants of the bug zoo.
    #[cfg(feature = "sim")]
    SimZoo,
    /// Columns of runs.csv.
    #[cfg(feature = "sim")]
    SimColumns,
    /// Lines of events.jsonl.
    #[cfg(feature = "sim")]
    SimEvents,
}

impl Docs {
    /// Do it.
    pub fn run(&self, command: clap::Command) -> Result<(), Failure> {
        let text = match self.table {
            Table::Config => outrider_node::config::to_markdown(),
            Table::Metrics => outrider_node::metrics::to_markdown(),
            Table::Rpc => outrider_node::api::to_markdown(),
            Table::Openrpc => outrider_node::api::to_openrpc(),
            Table::Cli => cli_markdown(command),
            #[cfg(feature = "sim")]
            Table::SimScenario => tables::scenario(),
            #[cfg(feature = "sim")]
            Table::SimDeeds => tables::deeds(),
            #[cfg(feature = "sim")]
            Table::SimCheckers => tables::checkers(),
            #[cfg(feature = "sim")]
            Table::SimMarks => tables::marks(),
            #[cfg(feature = "sim")]
            Table::SimZoo => tables::zoo(),
            #[cfg(feature = "sim")]
            Table::SimColumns => tables::columns(),
            #[cfg(feature = "sim")]
            Table::SimEvents => tables::events(),
        };
        say!("{}", text.trim_end());
        Ok(())
    }
}

/// Every verb with its arguments.
fn cli_markdown(mut command: clap::Command) -> String {
    command.build();
    let mut out = String::new();
    write_verbs(&mut out, &command, "outrider");
    out
}

fn write_verbs(out: &mut String, command: &clap::Command, path: &str) {
    for verb in command
        .get_subcommands()
        .filter(|verb| verb.get_name() != "help")
    {
        let path = format!("{path} {}", verb.get_name());
        if verb.has_subcommands() {
            write_verbs(out, verb, &path);
            continue;
        }
        let about = verb
            .get_about()
            .map(ToString::to_string)
            .unwrap_or_default();
        // Writing to a string does not fail.
        let _ = writeln!(
            out,
            "## `{path}`\n\n{about}\n\n| argument | default | meaning |\n|---|---|---|"
        );
        for argument in verb
            .get_arguments()
            .filter(|argument| !argument.is_hide_set() && argument.get_id() != "help")
        {
            let default: Vec<_> = argument
                .get_default_values()
                .iter()
                .map(|value| value.to_string_lossy())
                .collect();
            let default = match default.join(", ") {
                text if text.is_empty() => String::new(),
                text => format!("`{text}`"),
            };
            let help = argument
                .get_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            let _ = writeln!(
                out,
                "| `{}` | {default} | {help} |",
                argument.to_string().replace('|', "\\|")
            );
        }
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn every_verb_is_in_the_table() {
        let text = cli_markdown(crate::Arguments::command());
        for verb in [
            "keys new",
            "keys show",
            "keys contact",
            "init",
            "committee explain",
            "committee propose",
            "committee approve",
            "committee submit",
            "start",
            "devnet",
            "load",
            "submit",
            "status",
            "proof",
            "verify",
            "epochs",
            "evidence verify",
            "evidence export",
            "evidence certificates",
            "forensics",
            "docs",
        ] {
            assert!(text.contains(&format!("## `outrider {verb}`")), "{verb}");
        }
        assert!(text.contains("`--chain-id <CHAIN_ID>` | `7777`"), "{text}");
        assert!(!text.contains("until-stdin-ends"));
    }
}
