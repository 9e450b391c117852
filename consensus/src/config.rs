//! The knobs of a replica.

use std::time::Duration;

/// Timing of a replica (R8, R10, R12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Least timer of a view while blocks commit: at least five times the delay between members. It grows by itself when
    /// views take longer than that allows.
    pub base_timeout: Duration,
    /// Longest timer of a view.
    pub timeout_cap: Duration,
    /// A leader from whom nothing was heard for this many views in which a quorum was heard is skipped at once (R10);
    /// 0: never.
    pub dead_after_views: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            base_timeout: Duration::from_secs(1),
            timeout_cap: Duration::from_secs(8),
            dead_after_views: 8,
        }
    }
}
