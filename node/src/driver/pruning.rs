//! Forgetting old blocks while the member runs: a few deletes a turn, so that no vote waits long for them.
//!
//! A busy member takes many turns, and an idle one is woken while something is due, so pruning keeps pace with what is
//! written.

use super::{Driver, DriverError};
use crate::chain::InUse;
use outrider_network::Context;
use outrider_storage::{Journal, Store};
use outrider_types::{PayloadId, Timestamp};
use std::time::Duration;

/// Deletes in one turn: some milliseconds at most.
const DELETES_PER_TURN: usize = 256;
/// The next turn, if nothing else leads to one, while blocks are due.
const AGAIN: Duration = Duration::from_millis(20);
/// How often to look for what never became final.
const LOOK: Duration = Duration::from_millis(500);
/// How often to give back space while transactions wait; else at every look.
const RECLAIM_BUSY: Duration = Duration::from_secs(2);

/// When what was done last.
#[derive(Debug, Default)]
pub(super) struct Tidying {
    looked: Timestamp,
    reclaimed: Timestamp,
    again: Option<Timestamp>,
}

impl Tidying {
    /// The next instant at which something is due.
    pub(super) const fn wake_at(&self) -> Option<Timestamp> {
        self.again
    }
}

impl<E: Context, J: Journal, S: Store> Driver<E, J, S> {
    /// Forget some of what is too old, and give back its space.
    pub(super) fn prune(&mut self, now: Timestamp) -> Result<(), DriverError> {
        let keep = self.config.keep_blocks;
        let due = self.chain.prune_due(keep);
        let look = now.since(self.tidying.looked) >= LOOK;
        self.tidying.again = None;
        if !due && !look {
            return Ok(());
        }
        let held = &self.held;
        let in_use = InUse {
            voted: self.replica.safety().voted.map(|vote| vote.block),
            payload: &|id: &PayloadId| held.values().any(|payload| payload.id == *id),
        };
        if due {
            self.chain.prune(keep, DELETES_PER_TURN, &in_use)?;
            let more = self.chain.prune_due(keep);
            self.tidying.again = more.then(|| now.after(AGAIN));
        }
        if look {
            self.tidying.looked = now;
            self.chain.prune_unfinal(&in_use)?;
            let quiet = self.mempool.is_empty();
            if quiet || now.since(self.tidying.reclaimed) >= RECLAIM_BUSY {
                self.tidying.reclaimed = now;
                self.chain.reclaim()?;
            }
        }
        Ok(())
    }
}
