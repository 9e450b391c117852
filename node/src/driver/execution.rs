//! What members executed: votes from conductors and from other members, and the certificates that they make. In memory only, and
//! nothing of consensus looks at it: ordering waits for no execution.

use super::{Driver, DriverError};
use crate::handle::{ExecutionCommand, ExecutionTaken, ExecutionVoteError};
use outrider_finality::{EXECUTION_AHEAD_MAX, ExecutionSide, Noted};
use outrider_network::{Channel, Context, To};
use outrider_storage::{Journal, Store};
use outrider_types::{
    Committee, Execution, LaneHeight, RollupId, Signed, Stake, SyncMessage, Verified, encode,
};

impl<E: Context, J: Journal, S: Store> Driver<E, J, S> {
    pub(super) fn on_execution_command(
        &mut self,
        command: ExecutionCommand,
    ) -> Result<(), DriverError> {
        // A caller that has gone needs no answer.
        match command {
            ExecutionCommand::Vote { vote, reply } => {
                let _ = reply.send(self.execution_vote(*vote)?);
            }
            ExecutionCommand::Certificate {
                rollup,
                lane,
                reply,
            } => {
                let _ = reply.send(self.executions.certificate(rollup, lane).cloned());
            }
            ExecutionCommand::Sides {
                rollup,
                lane,
                reply,
            } => {
                let _ = reply.send(self.execution_sides(rollup, lane));
            }
        }
        Ok(())
    }

    /// A conductor tells this member what it executed. What is new goes to the other members.
    fn execution_vote(
        &mut self,
        vote: Signed<Execution>,
    ) -> Result<Result<ExecutionTaken, ExecutionVoteError>, DriverError> {
        let epoch = vote.statement.epoch;
        let current = self.replica.committee().epoch();
        let Some(committee) = self.execution_committee(&vote) else {
            let error = ExecutionVoteError::Epoch {
                found: epoch,
                current,
            };
            return Ok(Err(error));
        };
        if let Err(error) = self.execution_fits(&vote.statement)? {
            return Ok(Err(error));
        }
        let vote = match vote.verify(&committee) {
            Ok(vote) => vote,
            Err(error) => return Ok(Err(ExecutionVoteError::Invalid(error))),
        };
        let noted = self.note_execution(&vote, &committee);
        if matches!(noted, Noted::New | Noted::Certified) {
            let message = encode(&SyncMessage::Execution(vote.into_inner()));
            self.send(Channel::Sync, To::All, message);
        }
        Ok(match noted {
            Noted::New => Ok(ExecutionTaken::New),
            Noted::Certified => Ok(ExecutionTaken::Certified),
            Noted::Known => Ok(ExecutionTaken::Known),
            Noted::Old => Err(ExecutionVoteError::Old),
        })
    }

    /// Another member passes on what its conductor said; the signature was checked.
    pub(super) fn on_execution(
        &mut self,
        vote: &Verified<Signed<Execution>>,
    ) -> Result<(), DriverError> {
        let committee = self.execution_committee(vote);
        if let Some(committee) = committee
            && self.execution_fits(&vote.statement)?.is_ok()
        {
            self.note_execution(vote, &committee);
        }
        Ok(())
    }

    fn note_execution(
        &mut self,
        vote: &Verified<Signed<Execution>>,
        committee: &Committee,
    ) -> Noted {
        let noted = self.executions.note(vote, committee);
        let Execution { rollup, lane, .. } = vote.statement;
        match noted {
            Noted::Certified => tracing::debug!(%rollup, %lane, "execution certificate"),
            Noted::New => {
                let sides = self.execution_sides(rollup, lane).len();
                if sides > 1 {
                    tracing::warn!(
                        %rollup, %lane, sides,
                        "members executed a lane block differently; outrider_executionConflict says who, `outrider rollup compare` says where"
                    );
                }
            }
            Noted::Known | Noted::Old => {}
        }
        noted
    }

    /// The committee of this epoch or of the one before.
    fn execution_committee(&self, vote: &Signed<Execution>) -> Option<Committee> {
        let epoch = vote.statement.epoch;
        if epoch > self.replica.committee().epoch() {
            return None;
        }
        let hearing = self.epochs.hearing().get();
        let seats = hearing.of_evidence(epoch)?;
        Some(seats.committee().clone())
    }

    /// Whether there is, or will soon be, such a lane block.
    fn execution_fits(
        &self,
        vote: &Execution,
    ) -> Result<Result<(), ExecutionVoteError>, DriverError> {
        let tip = self.chain.ledger().lane(vote.rollup);
        if vote.lane.0 > tip.height.0.saturating_add(EXECUTION_AHEAD_MAX) {
            let tip = tip.height;
            return Ok(Err(ExecutionVoteError::Ahead { tip }));
        }
        let Some(height) = self.chain.lane_block_at(vote.rollup, vote.lane)? else {
            return Ok(Ok(()));
        };
        let lanes = self.chain.lane_blocks(height)?;
        let found = lanes.iter().find(|lane| lane.rollup == vote.rollup);
        Ok(match found {
            Some(found) if found.hash() != vote.hash => Err(ExecutionVoteError::OtherLane),
            _ => Ok(()),
        })
    }

    /// What members say of a lane height.
    fn execution_sides(&self, rollup: RollupId, lane: LaneHeight) -> Vec<ExecutionSide> {
        let hearing = self.epochs.hearing().get();
        self.executions.sides(rollup, lane, |statement, members| {
            let seats = hearing.of_evidence(statement.epoch);
            seats
                .and_then(|seats| seats.committee().stake_of(members.iter().copied()).ok())
                .unwrap_or(Stake(0))
        })
    }
}
