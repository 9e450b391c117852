//! Execution certificates: members that execute a lane sign the state after it, and whoever holds signatures of stake Q that agree can
//! show it to anyone. Ordering waits for none of this.

use crate::handover::Trust;
use crate::proof::{ProofError, check_committee};
use crate::text::{self, TextError};
use outrider_types::{
    Committee, CommitteeId, Execution, ExecutionCertificate, Invalid, LaneHeight, MemberIndex,
    RollupId, Signed, Stake, Verified,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the file.
pub const EXECUTION_VERSION: u16 = 1;
/// Most bytes of the file: a signature of each member that there can be.
pub const EXECUTION_BYTES_MAX: usize = 1024 * 1024;
/// Rollups whose executions are remembered; past it, the one that was not heard of for longest is forgotten.
pub const EXECUTION_ROLLUPS_MAX: usize = 256;
/// Lane heights that are remembered of a rollup; past it, the lowest is forgotten.
pub const EXECUTION_LANES_MAX: usize = 1_024;
/// Votes that are remembered in all; past it, the rollup that was not heard of for longest is forgotten.
pub const EXECUTION_VOTES_MAX: usize = 262_144;
/// How far ahead of the lane, as it is known here, a vote may be.
pub const EXECUTION_AHEAD_MAX: u64 = 64;

/// An execution certificate as it is stored and sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecutionFile {
    /// Format, [`EXECUTION_VERSION`].
    pub version: u16,
    /// The committee that signed.
    pub committee: CommitteeId,
    /// What they say, and their signatures.
    pub certificate: ExecutionCertificate,
}

/// Why a certificate proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExecutionError {
    /// Another format.
    #[error("format version {found}, this program reads {EXECUTION_VERSION}")]
    Version {
        /// In the file.
        found: u16,
    },
    /// Another committee.
    #[error(transparent)]
    Committee(#[from] ProofError),
    /// Signatures.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

impl ExecutionFile {
    /// The canonical text.
    #[must_use]
    pub fn to_json(&self) -> String {
        text::canonical(self)
    }

    /// From the canonical text. Nothing is checked but the form.
    pub fn from_json(bytes: &[u8]) -> Result<Self, TextError> {
        text::read_canonical(bytes, EXECUTION_BYTES_MAX)
    }

    /// Check everything with the committee that signed.
    pub fn verify(&self, committee: &Committee) -> Result<Execution, ExecutionError> {
        if self.version != EXECUTION_VERSION {
            let found = self.version;
            return Err(ExecutionError::Version { found });
        }
        check_committee(committee, self.committee)?;
        Ok(self.certificate.clone().verify(committee)?.statement)
    }
}

impl Trust {
    /// Check an execution certificate: stake Q says that this is the state after the lane block. It does not prove that the lane block
    /// is final; a lane proof does.
    pub fn verify_execution(&self, file: &ExecutionFile) -> Result<Execution, ExecutionError> {
        let epoch = file.certificate.statement.epoch;
        let committee = self.committee(epoch);
        file.verify(committee.ok_or_else(|| ProofError::UnknownEpoch {
            found: epoch,
            first: self.first_epoch(),
            last: self.epoch(),
        })?)
    }
}

/// Those who say the same of a lane height.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecutionSide {
    /// What they say.
    pub statement: Execution,
    /// Who, ascending.
    pub members: Vec<MemberIndex>,
    /// Their stake.
    pub stake: Stake,
}

/// What became of a vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// It is new.
    New,
    /// It is new, and enough say the same now.
    Certified,
    /// This member was heard on this lane height before; its first word counts.
    Known,
    /// So many newer lane heights are remembered that this one is forgotten already.
    Old,
}

type Key = (u64, MemberIndex);

/// Votes about one lane height, by epoch and member. One member has one.
#[derive(Clone, Debug, Default)]
struct Lane {
    votes: BTreeMap<Key, Verified<Signed<Execution>>>,
    certificate: Option<ExecutionFile>,
}

#[derive(Clone, Debug, Default)]
struct Heard {
    lanes: BTreeMap<LaneHeight, Lane>,
    votes: usize,
    /// When it was heard of last.
    at: u64,
}

/// Votes that were verified, and the certificates that came of them. In memory only.
#[derive(Clone, Debug, Default)]
pub struct ExecutionVotes {
    rollups: BTreeMap<RollupId, Heard>,
    votes: usize,
    clock: u64,
}

impl ExecutionVotes {
    /// Remember a vote, which was verified with this committee.
    pub fn note(&mut self, vote: &Verified<Signed<Execution>>, committee: &Committee) -> Noted {
        let Execution { rollup, lane, .. } = vote.statement;
        self.clock += 1;
        let heard = self.rollups.entry(rollup).or_default();
        heard.at = self.clock;
        let lowest = heard.lanes.keys().next().copied();
        let full = heard.lanes.len() >= EXECUTION_LANES_MAX && !heard.lanes.contains_key(&lane);
        if full && lowest.is_some_and(|lowest| lane < lowest) {
            return Noted::Old;
        }
        let place = heard.lanes.entry(lane).or_default();
        let key = (vote.statement.epoch.0, vote.signer);
        if place.votes.contains_key(&key) {
            return Noted::Known;
        }
        place.votes.insert(key, vote.clone());
        let certified = place.certify(vote.statement, committee);
        heard.votes += 1;
        self.votes += 1;
        if full && let Some((_, forgotten)) = heard.lanes.pop_first() {
            heard.votes -= forgotten.votes.len();
            self.votes -= forgotten.votes.len();
        }
        self.forget();
        if certified {
            Noted::Certified
        } else {
            Noted::New
        }
    }

    fn forget(&mut self) {
        while self.rollups.len() > 1
            && (self.rollups.len() > EXECUTION_ROLLUPS_MAX || self.votes > EXECUTION_VOTES_MAX)
        {
            let oldest = self.rollups.iter().min_by_key(|(_, heard)| heard.at);
            let Some(rollup) = oldest.map(|(rollup, _)| *rollup) else {
                return;
            };
            if let Some(heard) = self.rollups.remove(&rollup) {
                self.votes -= heard.votes;
            }
        }
    }

    /// The certificate of a lane height; none if too few agree, or it is forgotten.
    #[must_use]
    pub fn certificate(&self, rollup: RollupId, lane: LaneHeight) -> Option<&ExecutionFile> {
        let heard = self.rollups.get(&rollup)?;
        heard.lanes.get(&lane)?.certificate.as_ref()
    }

    /// What members say of a lane height, each side with those who say it, the larger stake first. One side is no conflict.
    #[must_use]
    pub fn sides(
        &self,
        rollup: RollupId,
        lane: LaneHeight,
        stake: impl Fn(&Execution, &[MemberIndex]) -> Stake,
    ) -> Vec<ExecutionSide> {
        let votes = self
            .rollups
            .get(&rollup)
            .and_then(|heard| heard.lanes.get(&lane));
        let mut by_statement: BTreeMap<Execution, Vec<MemberIndex>> = BTreeMap::new();
        for vote in votes.iter().flat_map(|place| place.votes.values()) {
            let members = by_statement.entry(vote.statement).or_default();
            members.push(vote.signer);
        }
        let side = |(statement, members): (Execution, Vec<MemberIndex>)| ExecutionSide {
            stake: stake(&statement, &members),
            statement,
            members,
        };
        let mut sides: Vec<_> = by_statement.into_iter().map(side).collect();
        sides.sort_by_key(|side| std::cmp::Reverse(side.stake));
        sides
    }
}

impl Lane {
    /// Whether there is a certificate now that was not there before.
    fn certify(&mut self, statement: Execution, committee: &Committee) -> bool {
        if self.certificate.is_some() {
            return false;
        }
        let same = self
            .votes
            .values()
            .filter(|vote| vote.statement == statement);
        let Some(certificate) = ExecutionCertificate::assemble(same) else {
            return false;
        };
        let stake = certificate.stake(committee);
        let enough = stake.is_ok_and(|stake| stake >= committee.thresholds().quorum);
        if enough {
            self.certificate = Some(ExecutionFile {
                version: EXECUTION_VERSION,
                committee: committee.id(),
                certificate,
            });
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use outrider_types::testing::{CHAIN, committee};
    use outrider_types::{Epoch, LaneHash, StateRoot, StepsRoot};

    fn said(lane: u64, root: u8) -> Execution {
        Execution {
            epoch: Epoch(0),
            rollup: RollupId(7),
            lane: LaneHeight(lane),
            hash: LaneHash([1; 32]),
            state_root: StateRoot([root; 32]),
            steps: StepsRoot([2; 32]),
        }
    }

    fn vote(statement: Execution, member: u16) -> Verified<Signed<Execution>> {
        let (_, keys) = committee(&[1; 4]);
        Signed::sign(
            statement,
            CHAIN,
            MemberIndex(member),
            &keys[usize::from(member)],
        )
    }

    #[test]
    fn a_quorum_that_agrees_makes_a_certificate_that_anyone_can_check() {
        let (four, _) = committee(&[1; 4]);
        let mut votes = ExecutionVotes::default();
        assert_eq!(votes.note(&vote(said(3, 1), 0), &four), Noted::New);
        assert_eq!(votes.note(&vote(said(3, 9), 1), &four), Noted::New);
        assert_eq!(votes.note(&vote(said(3, 1), 1), &four), Noted::Known);
        assert_eq!(votes.note(&vote(said(3, 1), 2), &four), Noted::New);
        assert_eq!(votes.certificate(RollupId(7), LaneHeight(3)), None);
        assert_eq!(votes.note(&vote(said(3, 1), 3), &four), Noted::Certified);
        let file = votes.certificate(RollupId(7), LaneHeight(3)).unwrap();
        assert_eq!(file.verify(&four), Ok(said(3, 1)));
        let sides = votes.sides(RollupId(7), LaneHeight(3), |_, members| {
            Stake(members.len() as u64)
        });
        let told: Vec<_> = sides
            .iter()
            .map(|side| (side.statement, side.members.len()))
            .collect();
        assert_eq!(told, [(said(3, 1), 3), (said(3, 9), 1)]);
    }

    #[test]
    fn changed_files_prove_nothing() {
        let (four, _) = committee(&[1; 4]);
        let mut votes = ExecutionVotes::default();
        for member in 0..3 {
            votes.note(&vote(said(3, 1), member), &four);
        }
        let file = votes.certificate(RollupId(7), LaneHeight(3)).unwrap();
        let text = file.to_json().into_bytes();
        let trust = Trust::new(four);
        for at in 0..text.len() {
            let mut changed = text.clone();
            changed[at] ^= 1;
            let read = ExecutionFile::from_json(&changed);
            let holds = read.is_ok_and(|file| trust.verify_execution(&file).is_ok());
            assert!(!holds, "byte {at}");
        }
        let read = ExecutionFile::from_json(&text).unwrap();
        assert_eq!(trust.verify_execution(&read), Ok(said(3, 1)));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (four, _) = committee(&[1; 4]);
        let mut votes = ExecutionVotes::default();
        let last = EXECUTION_LANES_MAX as u64 + 3;
        for lane in 1..=last {
            assert_eq!(votes.note(&vote(said(lane, 1), 0), &four), Noted::New);
        }
        assert_eq!(votes.note(&vote(said(2, 1), 1), &four), Noted::Old);
        let count = |votes: &ExecutionVotes, lane| {
            votes
                .sides(RollupId(7), LaneHeight(lane), |_, _| Stake(0))
                .len()
        };
        assert_eq!((count(&votes, 3), count(&votes, 4)), (0, 1));
        for rollup in 100..100 + EXECUTION_ROLLUPS_MAX as u64 {
            let statement = Execution {
                rollup: RollupId(rollup),
                ..said(1, 1)
            };
            votes.note(&vote(statement, 0), &four);
        }
        assert_eq!(count(&votes, last), 0, "not heard of for longest");
        assert_eq!(votes.votes, EXECUTION_ROLLUPS_MAX);
    }

    #[test]
    fn an_execution_is_no_vote() {
        let statement = said(3, 1);
        let preimage = outrider_types::Statement::preimage(&statement, CHAIN);
        assert_eq!(&preimage[..8], b"OUTREXEC");
    }
}
