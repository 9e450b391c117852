//! `outrider vm`: reference virtual machines that a conductor drives over HTTP.

use crate::failure::Failure;
use crate::output::say;
use clap::{Args, Subcommand};
use outrider_conductor::serve_kv;
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// Run a virtual machine until SIGINT or SIGTERM.
#[derive(Debug, Subcommand)]
pub enum Vm {
    /// A key-value store, which shows that any machine can be plugged in. Its state is in memory.
    Kv(Kv),
}

/// Where it listens.
#[derive(Debug, Args)]
pub struct Kv {
    /// Address and port.
    #[arg(long, default_value = "127.0.0.1:9700")]
    listen: SocketAddr,
}

impl Vm {
    /// Do it.
    pub async fn run(self) -> Result<(), Failure> {
        let Self::Kv(Kv { listen }) = self;
        let failed = |error| Failure::Listen { listen, error };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        say!("listening on http://{address}");
        tokio::select! {
            biased;
            signal = crate::signal::ended() => signal,
            ended = serve_kv(listener) => ended.map_err(failed),
        }
    }
}
