//! The section of the settlement chain.

use outrider_finality::Cadence;
use std::path::PathBuf;
use std::time::Duration;

/// The settlement chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct L1Section {
    /// URLs, with commas between. They may hold secrets.
    pub endpoints: String,
    /// The file that says where the contracts are.
    pub network: PathBuf,
    /// From one look to the next.
    pub poll_ms: u64,
    /// A leader builds on what it saw for so long.
    pub lag_ms: u64,
    /// Whether to send transactions.
    pub relay: bool,
    /// Usual time between settlements.
    pub settle_s: u64,
    /// Longest time between settlements.
    pub settle_latest_s: u64,
    /// How long it is one member's turn.
    pub fallback_s: u64,
    /// The most that is paid for gas.
    pub max_fee_gwei: u64,
}

impl L1Section {
    /// The endpoints; none if the network does not settle.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        let urls = self.endpoints.split(',').map(str::trim);
        urls.filter(|url| !url.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// If there is a settlement chain: how long its blocks must have been seen.
    #[must_use]
    pub fn lag(&self) -> Option<Duration> {
        (!self.urls().is_empty()).then(|| Duration::from_millis(self.lag_ms))
    }

    /// How often blocks are settled.
    #[must_use]
    pub const fn cadence(&self) -> Cadence {
        Cadence {
            target: Duration::from_secs(self.settle_s),
            latest: Duration::from_secs(self.settle_latest_s),
        }
    }
}
