//! Offences E1 to E5 (protocol section 6): two statements that one member signed in one epoch and that no honest
//! member ever signs together. Checkable by anyone who knows the committee.

use crate::codec::{EncodeSize, Error, Read, Write, wire_enum};
use crate::committee::Committee;
use crate::ids::{Epoch, MemberIndex};
use crate::statement::{CommitVote, Propose, Signed, Timeout, Vote};
use crate::verified::{Invalid, Verified};
use crate::zoo::{self, Mutant};
use serde::{Deserialize, Serialize};

/// Two statements of one member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pair<A, B> {
    /// One.
    pub first: Signed<A>,
    /// The other.
    pub second: Signed<B>,
}

impl<A: Write, B: Write> Write for Pair<A, B> {
    fn write(&self, buf: &mut impl bytes::BufMut) {
        self.first.write(buf);
        self.second.write(buf);
    }
}

impl<A: EncodeSize, B: EncodeSize> EncodeSize for Pair<A, B> {
    fn encode_size(&self) -> usize {
        self.first.encode_size() + self.second.encode_size()
    }
}

impl<A: Read<Cfg = ()>, B: Read<Cfg = ()>> Read for Pair<A, B> {
    type Cfg = ();
    fn read_cfg(buf: &mut impl commonware_codec::Buf, _: &()) -> Result<Self, Error> {
        Ok(Self {
            first: Signed::read_cfg(buf, &())?,
            second: Signed::read_cfg(buf, &())?,
        })
    }
}

/// Proof that a member broke the protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// E1.
    DoubleProposal(Pair<Propose, Propose>),
    /// E2.
    DoubleVote(Pair<Vote, Vote>),
    /// E3.
    DoubleCommitVote(Pair<CommitVote, CommitVote>),
    /// E4.
    HiddenVote(Pair<Vote, Timeout>),
    /// E5.
    BrokenLock(Pair<CommitVote, Timeout>),
}

wire_enum!(Evidence {
    1 => DoubleProposal,
    2 => DoubleVote,
    3 => DoubleCommitVote,
    4 => HiddenVote,
    5 => BrokenLock,
});

/// The id of an offence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Offence {
    /// Two proposals, same view and kind, different blocks.
    E1,
    /// Two votes, same view, different blocks.
    E2,
    /// Two commit votes, same view, different blocks.
    E3,
    /// Vote (v,B) and timeout of v with voted != B.
    E4,
    /// Commit vote of v and timeout of some w >= v with high_view < v.
    E5,
}

/// Why a pair proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoOffence {
    /// A part does not verify.
    #[error("a statement does not verify: {0}")]
    Invalid(#[from] Invalid),
    /// Two members.
    #[error("signed by two members, {first} and {second}")]
    TwoSigners {
        /// Signer of the first.
        first: MemberIndex,
        /// Signer of the second.
        second: MemberIndex,
    },
    /// An honest member may sign both.
    #[error("the two statements do not conflict under {offence:?}")]
    Legal {
        /// What it was said to be.
        offence: Offence,
    },
}

impl Evidence {
    /// Which offence it claims.
    #[must_use]
    pub const fn offence(&self) -> Offence {
        match self {
            Self::DoubleProposal(_) => Offence::E1,
            Self::DoubleVote(_) => Offence::E2,
            Self::DoubleCommitVote(_) => Offence::E3,
            Self::HiddenVote(_) => Offence::E4,
            Self::BrokenLock(_) => Offence::E5,
        }
    }

    /// The epoch it happened in.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        match self {
            Self::DoubleProposal(pair) => pair.first.statement.epoch,
            Self::DoubleVote(pair) => pair.first.statement.epoch,
            Self::DoubleCommitVote(pair) => pair.first.statement.epoch,
            Self::HiddenVote(pair) => pair.first.statement.epoch,
            Self::BrokenLock(pair) => pair.first.statement.epoch,
        }
    }

    /// Whom it accuses.
    #[must_use]
    pub const fn accused(&self) -> MemberIndex {
        match self {
            Self::DoubleProposal(pair) => pair.first.signer,
            Self::DoubleVote(pair) => pair.first.signer,
            Self::DoubleCommitVote(pair) => pair.first.signer,
            Self::HiddenVote(pair) => pair.first.signer,
            Self::BrokenLock(pair) => pair.first.signer,
        }
    }

    /// Check both signatures, that one member made them, and that they conflict.
    pub fn verify(self, committee: &Committee) -> Result<Verified<Self>, NoOffence> {
        let conflict = match &self {
            Self::DoubleProposal(pair) => {
                let (a, b) = pair.check(committee)?;
                let same_kind = a.kind == b.kind || zoo::is(Mutant::LegalPairBlamed);
                a.view == b.view && same_kind && a.block != b.block
            }
            Self::DoubleVote(pair) => {
                let (a, b) = pair.check(committee)?;
                a.view == b.view && a.block != b.block
            }
            Self::DoubleCommitVote(pair) => {
                let (a, b) = pair.check(committee)?;
                a.view == b.view && a.block != b.block
            }
            Self::HiddenVote(pair) => {
                let (vote, timeout) = pair.check(committee)?;
                vote.view == timeout.view && timeout.voted != Some(vote.block)
            }
            Self::BrokenLock(pair) => {
                let (commit, timeout) = pair.check(committee)?;
                timeout.view >= commit.view && timeout.high_view < commit.view
            }
        };
        if conflict {
            Ok(Verified::new(self))
        } else {
            Err(NoOffence::Legal {
                offence: self.offence(),
            })
        }
    }
}

impl<A: crate::Statement, B: crate::Statement> Pair<A, B> {
    fn check(&self, committee: &Committee) -> Result<(&A, &B), NoOffence> {
        let (first, second) = (self.first.signer, self.second.signer);
        if first != second {
            return Err(NoOffence::TwoSigners { first, second });
        }
        self.first.check(committee)?;
        self.second.check(committee)?;
        Ok((&self.first.statement, &self.second.statement))
    }
}
