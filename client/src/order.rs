//! Whether a final block obeys the ordering policy of a lane: from proofs alone, no member is believed.
//!
//! ```text
//! LaneProof --> header --roots.registry--> policy of the rollup, and whether it is open
//!                 |------roots.lanes-----> lane block --transactions--> ids of the transactions, in order
//!                 '------payload---------> the whole block, to see that bundles in it are whole
//! ```

use outrider_finality::{CheckedLane, LaneProof, ProofError, Trust};
use outrider_types::bundle::{self, BundleId, Part};
use outrider_types::{
    Bytes, Height, LaneHeight, Payload, Policy, Registry, RollupId, Transaction, TransactionId,
};
use serde::Serialize;

/// What one block holds for one rollup, with all that its order follows from. Whoever fetched it need not be believed.
#[derive(Clone, Debug)]
pub struct OrderedLane {
    /// What the block holds for the rollup.
    pub proof: LaneProof,
    /// Its transactions, in order.
    pub transactions: Vec<Bytes>,
    /// The rollups that are registered before the block.
    pub registry: Registry,
    /// Everything that the block orders; needed if a part of a bundle is among the transactions.
    pub payload: Option<Payload>,
}

/// A lane block that obeys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CheckedOrder {
    /// What is proven of the block.
    pub checked: CheckedLane,
    /// The policy that was in force.
    pub policy: Policy,
    /// How many of its transactions are parts of bundles, all of them whole.
    pub parts: usize,
}

/// Why a lane block is not shown to obey. [`is_fault`](Self::is_fault) says whether it is shown not to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// The lane proof does not hold.
    #[error("the proof of the lane block does not verify: {0}")]
    Proof(#[from] ProofError),
    /// The block holds nothing for the rollup.
    #[error("the block at height {height} holds nothing for rollup {rollup}")]
    Nothing {
        /// Whose lane.
        rollup: RollupId,
        /// Which block.
        height: Height,
    },
    /// Not the transactions that the lane block commits to.
    #[error(
        "the transactions are not those of lane block {lane} of rollup {rollup}: the member is not to be trusted, ask another one"
    )]
    Transactions {
        /// Whose lane.
        rollup: RollupId,
        /// Which lane block.
        lane: LaneHeight,
    },
    /// Not the registry that the header commits to.
    #[error(
        "the registered rollups are not those that the header at height {height} commits to: the member is not to be trusted, ask another one"
    )]
    Registry {
        /// Which block.
        height: Height,
    },
    /// Not the payload that the header commits to, or none where one is needed.
    #[error(
        "there is a bundle at height {height}, and not all that the block orders was given: ask another member"
    )]
    Payload {
        /// Which block.
        height: Height,
    },
    /// Something is ordered for a rollup that is not open.
    #[error(
        "the block at height {height} orders for rollup {rollup}, which is not open then: the committee broke F14"
    )]
    Closed {
        /// Whose lane.
        rollup: RollupId,
        /// Which block.
        height: Height,
    },
    /// Transactions that do not stand as the policy says.
    #[error(
        "lane block {lane} of rollup {rollup}, at height {height}, is not in the order of {policy}: transaction {place} stands wrong: the committee broke F14"
    )]
    Order {
        /// Whose lane.
        rollup: RollupId,
        /// Which block.
        height: Height,
        /// Which lane block.
        lane: LaneHeight,
        /// The policy.
        policy: Policy,
        /// The first transaction that should stand further ahead, from 0.
        place: usize,
    },
    /// A bundle of which something is missing.
    #[error("the block at height {height} holds part of bundle {bundle}: the committee broke F15")]
    Bundle {
        /// Which block.
        height: Height,
        /// Which bundle.
        bundle: BundleId,
    },
}

impl OrderError {
    /// Whether it is proven that the committee broke a rule, so that more than `f` of it is Byzantine. Otherwise something that
    /// was given is not what the block commits to, which says nothing about the committee.
    #[must_use]
    pub const fn is_fault(&self) -> bool {
        matches!(
            self,
            Self::Closed { .. } | Self::Order { .. } | Self::Bundle { .. }
        )
    }
}

impl OrderedLane {
    /// Check it against the committees that a light client knows.
    pub fn check(&self, trust: &Trust) -> Result<CheckedOrder, OrderError> {
        let checked = trust.verify_lane(&self.proof)?;
        let rollup = self.proof.rollup;
        let header = &self.proof.header.block;
        let height = header.height;
        let lane = checked.lane.ok_or(OrderError::Nothing { rollup, height })?;
        let ids: Vec<TransactionId> = self.ids(rollup).collect();
        if !lane.is_of(&ids) {
            let lane = lane.height;
            return Err(OrderError::Transactions { rollup, lane });
        }
        if self.registry.root() != header.roots.registry {
            return Err(OrderError::Registry { height });
        }
        let Some(policy) = self.registry.policy(rollup, header.timestamp) else {
            return Err(OrderError::Closed { rollup, height });
        };
        if let Some(place) = policy.fault(header.parent, &self.transactions, &ids) {
            let lane = lane.height;
            return Err(OrderError::Order {
                rollup,
                height,
                lane,
                policy,
                place,
            });
        }
        let parts = self.parts();
        if parts > 0 {
            self.check_bundles(rollup, height)?;
        }
        Ok(CheckedOrder {
            checked,
            policy,
            parts,
        })
    }

    fn check_bundles(&self, rollup: RollupId, height: Height) -> Result<(), OrderError> {
        let whole = self.payload.as_ref().filter(|payload| {
            let own = payload.batches.iter().find(|batch| batch.rollup == rollup);
            payload.id() == self.proof.header.block.payload
                && own.is_some_and(|own| own.transactions == self.transactions)
        });
        let whole = whole.ok_or(OrderError::Payload { height })?;
        match bundle::fault(whole) {
            Some(bundle) => Err(OrderError::Bundle { height, bundle }),
            None => Ok(()),
        }
    }

    /// How many transactions begin as parts of bundles do.
    pub(crate) fn parts(&self) -> usize {
        let is_part = |data: &&Bytes| !matches!(Part::of(data), Ok(None));
        self.transactions.iter().filter(is_part).count()
    }

    fn ids(&self, rollup: RollupId) -> impl Iterator<Item = TransactionId> + '_ {
        self.transactions.iter().map(move |data| {
            let data = data.clone();
            Transaction { rollup, data }.id()
        })
    }
}
