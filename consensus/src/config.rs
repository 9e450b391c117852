//! The knobs of a replica.

use std::time::Duration;

/// Timing of a replica (R8, R12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Timer of a view while blocks commit: at least five times the delay between members.
    pub base_timeout: Duration,
    /// Longest timer of a view.
    pub timeout_cap: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            base_timeout: Duration::from_secs(1),
            timeout_cap: Duration::from_secs(8),
        }
    }
}
