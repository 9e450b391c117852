//! `outrider start`: run one member until SIGINT or SIGTERM.

use crate::failure::Failure;
use crate::output::say;
use clap::Args;
use outrider_node::config::NodeConfig;
use outrider_node::logging::subscriber;
use outrider_node::member;
use std::io::Read as _;
use std::path::PathBuf;

/// Run one member until SIGINT or SIGTERM.
///
/// Later ones win: default, file, environment (`OUTRIDER_SECTION_KEY`), `--set`.
///
/// Exit codes: 0 stopped by a signal, cleanly; 1 could not start or had to stop, standard error says why;
/// 2 the arguments or the configuration are wrong, all faults are listed.
#[derive(Debug, Args)]
pub struct Start {
    /// The configuration file; `outrider init` writes one.
    #[arg(long)]
    config: PathBuf,
    /// Set an option, as in --set rpc.listen=127.0.0.1:9000. May be given many times.
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
    /// Stop when standard input ends: a member started by `outrider devnet` does not outlive it.
    #[arg(long, hide = true)]
    until_stdin_ends: bool,
}

impl Start {
    /// Do it.
    pub fn run(&self) -> Result<(), Failure> {
        // Variables that are not text are of no concern to us.
        let environment = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        let config = NodeConfig::load(&self.config, environment, &self.set)?;
        let log = subscriber(&config.log, std::io::stderr);
        tracing::subscriber::set_global_default(log).map_err(Failure::Log)?;
        if self.until_stdin_ends {
            std::thread::spawn(stop_at_end_of_stdin);
        }
        member::run(config, |listening| {
            say!("rpc      http://{}", listening.rpc);
            say!("metrics  http://{}/metrics", listening.metrics);
            say!("ready    stop with ctrl-c");
        })?;
        say!("stopped");
        Ok(())
    }
}

/// Nobody writes to the pipe; it ends when the parent does, however that happens.
fn stop_at_end_of_stdin() {
    let mut byte = [0; 1];
    while matches!(std::io::stdin().read(&mut byte), Ok(1..)) {}
    let own = rustix::process::getpid();
    if let Err(error) = rustix::process::kill_process(own, rustix::process::Signal::TERM) {
        tracing::error!(%error, "the parent is gone, and the signal to stop cannot be sent");
    }
}
