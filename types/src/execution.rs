//! What members sign about execution: the state after a lane block. Nothing of consensus depends on it.

use crate::certificate::Aggregate;
use crate::codec::{hex_id, wire_struct};
use crate::committee::Committee;
use crate::crypto::{Preimage, preimage};
use crate::ids::{ChainId, Epoch, RollupId};
use crate::lane::{LaneHash, LaneHeight};
use crate::statement::Statement;
use crate::verified::{Invalid, Verified};
use serde::{Deserialize, Serialize};

hex_id! {
    /// Whatever a machine commits to its state with.
    StateRoot
}
hex_id! {
    /// SHA-256 over how many transactions there are, and the Merkle root over what each of them did.
    StepsRoot
}

/// "I executed this lane up to here, and this is what came of it."
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Execution {
    /// The epoch of the block that holds the lane block.
    pub epoch: Epoch,
    /// The rollup.
    pub rollup: RollupId,
    /// The last lane block that was executed.
    pub lane: LaneHeight,
    /// Its hash.
    pub hash: LaneHash,
    /// The state after it.
    pub state_root: StateRoot,
    /// Commitment to what each transaction did in the execution block that ends with it.
    pub steps: StepsRoot,
}

wire_struct!(Execution {
    epoch,
    rollup,
    lane,
    hash,
    state_root,
    steps
});

impl Statement for Execution {
    fn preimage(&self, chain: ChainId) -> Preimage {
        preimage(
            b"OUTREXEC",
            &[
                &chain.0.to_be_bytes(),
                &self.epoch.0.to_be_bytes(),
                &self.rollup.0.to_be_bytes(),
                &self.lane.0.to_be_bytes(),
                &self.hash.0,
                &self.state_root.0,
                &self.steps.0,
            ],
        )
    }
    fn epoch(&self) -> Epoch {
        self.epoch
    }
    fn well_formed(&self) -> Result<(), Invalid> {
        if self.lane.0 == 0 {
            return Err(Invalid::Malformed {
                what: "lane block 0 is the beginning, nothing was executed",
            });
        }
        Ok(())
    }
}

/// Executions of stake >= Q that came to the same.
pub type ExecutionCertificate = Aggregate<Execution>;

impl ExecutionCertificate {
    /// Check epoch, stake and signatures.
    pub fn verify(self, committee: &Committee) -> Result<Verified<Self>, Invalid> {
        self.check(committee, committee.thresholds().quorum)?;
        Ok(Verified::new(self))
    }
}
