//! Waiting for the signal to stop.

use crate::failure::Failure;
use tokio::signal::unix::{SignalKind, signal};

/// Returns at the first SIGINT or SIGTERM.
pub async fn ended() -> Result<(), Failure> {
    let mut interrupted = signal(SignalKind::interrupt()).map_err(Failure::Signal)?;
    let mut terminated = signal(SignalKind::terminate()).map_err(Failure::Signal)?;
    tokio::select! {
        biased;
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
    }
    Ok(())
}
