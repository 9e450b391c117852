//! `resolve`: which block a timeout certificate leads to (protocol section 2). A pure function of its entries,
//! the same for everyone.

use crate::certificate::TimeoutCertificate;
use crate::committee::Committee;
use crate::ids::{BlockId, Stake, View};
use std::collections::BTreeMap;

/// What a timeout certificate says about the next parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// Case 1: it adopts this block, with the certificate's own view as rank.
    Adopt(BlockId),
    /// Case 2: the parent is the block of the embedded certificate, which has this rank.
    Extend(View),
}

/// Case 1 if the most-reported `voted` block has stake >= A (a tie goes to the smaller id), else case 2.
#[must_use]
pub fn resolve(timeouts: &TimeoutCertificate, committee: &Committee) -> Resolution {
    let mut reported: BTreeMap<BlockId, u64> = BTreeMap::new();
    for entry in &timeouts.entries {
        if let Some(block) = entry.voted {
            let stake = committee.stake(entry.member).map_or(0, |stake| stake.0);
            let sum = reported.entry(block).or_default();
            *sum = sum.saturating_add(stake);
        }
    }
    // Ascending ids: only a strictly greater stake replaces the leader, so a tie stays with the smaller id.
    let mut most: Option<(BlockId, u64)> = None;
    for (block, stake) in reported {
        if most.is_none_or(|(_, best)| stake > best) {
            most = Some((block, stake));
        }
    }
    match most {
        Some((block, stake)) if Stake(stake) >= committee.thresholds().adoption => {
            Resolution::Adopt(block)
        }
        _ => Resolution::Extend(timeouts.high_view()),
    }
}
