//! Signing what was executed, with the key of a member, and telling it to members. Execution waits for none of this.

use crate::conduct::Event;
use crate::lane::Cursor;
use alloy_primitives::B256;
use outrider_client::{Client, ClientError, ExecutionTaken, LaneClaim};
use outrider_types::{
    Committee, Epoch, Execution, LaneHeight, RollupId, SecretKey, Signed, StateRoot, StepsRoot,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// Executions that may wait to be told; past it, new ones are not told.
pub const UNTOLD_MAX: usize = 256;
/// How often one is told before it is given up.
const TRIES_MAX: u32 = 8;
/// The first pause between tries; each one after is twice as long.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
/// Committees that are remembered, of the last epochs.
const COMMITTEES_MAX: usize = 4;

/// What is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The last lane block that was executed.
    pub cursor: Cursor,
    /// The state after it.
    pub state_root: B256,
    /// What its transactions did.
    pub steps: [u8; 32],
}

impl Outcome {
    /// Of a block that was executed for the first time.
    #[must_use]
    pub const fn of(event: &Event<'_>) -> Option<Self> {
        match event {
            Event::Executed { again: true, .. } => None,
            other => Self::reached(other),
        }
    }

    /// Of a block that was executed, be it again.
    #[must_use]
    pub const fn reached(event: &Event<'_>) -> Option<Self> {
        match event {
            Event::Executed {
                executed,
                interval,
                steps,
                ..
            } => Some(Self {
                cursor: interval.last,
                state_root: executed.state_root,
                steps: *steps,
            }),
            _ => None,
        }
    }
}

/// Why an execution was not told.
#[derive(Debug, thiserror::Error)]
pub enum CertifyError {
    /// No member took it.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Nothing to sign over.
    #[error("no member has lane block {lane} yet")]
    NoLaneBlock {
        /// Its lane height.
        lane: u64,
    },
    /// Not what was executed.
    #[error("the member has another lane block {lane} than was executed")]
    OtherLaneBlock {
        /// Its lane height.
        lane: u64,
    },
    /// The committee that may sign has gone.
    #[error("the committee of epoch {epoch} is not known any more")]
    Committee {
        /// Of the lane block.
        epoch: Epoch,
    },
    /// Somebody else's key.
    #[error(
        "the key of --certify is of no member in epoch {epoch}: give a member's key, or leave it out"
    )]
    NoMember {
        /// Of the lane block.
        epoch: Epoch,
    },
}

impl CertifyError {
    const fn retry_helps(&self) -> bool {
        matches!(self, Self::Client(_) | Self::NoLaneBlock { .. })
    }
}

/// Signs and tells, for one rollup.
#[derive(Debug)]
pub struct Certifier {
    members: Vec<Client>,
    rollup: RollupId,
    key: SecretKey,
    committees: BTreeMap<Epoch, Committee>,
}

impl Certifier {
    /// With a member's key, at these members; the first that answers is told, and passes it on.
    pub fn new(members: &[String], rollup: RollupId, key: SecretKey) -> Result<Self, ClientError> {
        let members = members.iter().map(|url| Client::new(url));
        Ok(Self {
            members: members.collect::<Result<_, _>>()?,
            rollup,
            key,
            committees: BTreeMap::new(),
        })
    }

    /// Sign an execution and tell it; again for a while, if nobody answers.
    pub async fn certify(&mut self, outcome: &Outcome) -> Result<ExecutionTaken, CertifyError> {
        let lane = outcome.cursor.lane_height;
        let mut last = CertifyError::NoLaneBlock { lane };
        for attempt in 0..TRIES_MAX {
            for at in 0..self.members.len() {
                let client = self.members[at].clone();
                match self.certify_at(&client, outcome).await {
                    Ok(taken) => return Ok(taken),
                    Err(error) if error.retry_helps() => last = error,
                    Err(error) => return Err(error),
                }
            }
            tokio::time::sleep(PAUSE_FIRST * 2_u32.saturating_pow(attempt)).await;
        }
        Err(last)
    }

    async fn certify_at(
        &mut self,
        client: &Client,
        outcome: &Outcome,
    ) -> Result<ExecutionTaken, CertifyError> {
        let cursor = outcome.cursor;
        let lane = cursor.lane_height;
        let proof = client.lane_proof(self.rollup, cursor.height).await?;
        let proof = proof.ok_or(CertifyError::NoLaneBlock { lane })?;
        let LaneClaim::Holds(found) = &proof.claim else {
            return Err(CertifyError::OtherLaneBlock { lane });
        };
        let block = &proof.header.block;
        let place = (found.lane.rollup, found.lane.height);
        if block.id() != cursor.block || place != (self.rollup, LaneHeight(lane)) {
            return Err(CertifyError::OtherLaneBlock { lane });
        }
        let epoch = block.epoch;
        let committee = self.committee(client, epoch).await?;
        let member = committee.index_of(&self.key.public_key());
        let signer = member.ok_or(CertifyError::NoMember { epoch })?;
        let statement = Execution {
            epoch,
            rollup: self.rollup,
            lane: LaneHeight(lane),
            hash: found.lane.hash(),
            state_root: StateRoot(outcome.state_root.0),
            steps: StepsRoot(outcome.steps),
        };
        let vote = Signed::sign(statement, committee.chain(), signer, &self.key);
        Ok(client.submit_execution(&vote).await?)
    }

    async fn committee(
        &mut self,
        client: &Client,
        epoch: Epoch,
    ) -> Result<Committee, CertifyError> {
        if !self.committees.contains_key(&epoch) {
            let current = client.committee().await?.committee;
            self.committees.insert(current.epoch(), current);
            while self.committees.len() > COMMITTEES_MAX {
                self.committees.pop_first();
            }
        }
        let found = self.committees.get(&epoch).cloned();
        found.ok_or(CertifyError::Committee { epoch })
    }
}
