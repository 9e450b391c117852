//! Certificates: what a quorum said, checkable by anyone who knows the committee.
//!
//! A [`Certificate`] has a rank (its view) and names one block: votes, commit votes, or a timeout certificate
//! that *adopts* a block. A [`Justification`] is what ends a view and justifies a parent (R1, R4): a
//! certificate, or a timeout certificate that adopts nothing, with the certificate of its greatest rank.

use crate::codec::{EncodeSize, Error, RangeCfg, Read, Write, read_items, wire_enum, wire_struct};
use crate::committee::Committee;
use crate::crypto::Signature;
use crate::ids::{BlockId, Epoch, MemberIndex, Stake, View};
use crate::limits::MEMBERS_MAX;
use crate::resolve::{self, Resolution};
use crate::statement::{CommitVote, Signed, Statement, Timeout, TimeoutMessage, Vote, check_high};
use crate::verified::{Invalid, Verified};
use crate::zoo::{self, Mutant};
use bytes::BufMut;
use commonware_codec::Buf;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One statement signed by many, signers ascending, none twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Aggregate<S> {
    /// What they all signed.
    pub statement: S,
    /// Who, ascending, with their signature.
    pub signatures: Vec<(MemberIndex, Signature)>,
}

/// Votes of stake >= Q for one block in one view; of stake >= F it also proves the fast commit (R6).
pub type QuorumCertificate = Aggregate<Vote>;
/// Commit votes of stake >= Q for one block in one view: it is final (R7).
pub type CommitCertificate = Aggregate<CommitVote>;

impl<S: Write> Write for Aggregate<S> {
    fn write(&self, buf: &mut impl BufMut) {
        self.statement.write(buf);
        self.signatures.write(buf);
    }
}

impl<S: EncodeSize> EncodeSize for Aggregate<S> {
    fn encode_size(&self) -> usize {
        self.statement.encode_size() + self.signatures.encode_size()
    }
}

impl<S: Read<Cfg = ()>> Read for Aggregate<S> {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, _: &()) -> Result<Self, Error> {
        let statement = S::read_cfg(buf, &())?;
        let count = usize::read_cfg(buf, &RangeCfg::from(0..=MEMBERS_MAX))?;
        let signatures = read_items(buf, count, |buf| {
            Ok((
                MemberIndex::read_cfg(buf, &())?,
                Signature::read_cfg(buf, &())?,
            ))
        })?;
        Ok(Self {
            statement,
            signatures,
        })
    }
}

impl<S: Statement> Aggregate<S> {
    /// Put verified statements together. None if they do not all say the same.
    #[must_use]
    pub fn assemble<'a>(signed: impl IntoIterator<Item = &'a Verified<Signed<S>>>) -> Option<Self>
    where
        S: 'a,
    {
        let mut signatures = BTreeMap::new();
        let mut statement: Option<S> = None;
        for one in signed {
            if *statement.get_or_insert_with(|| one.statement.clone()) != one.statement {
                return None;
            }
            signatures.insert(one.signer, one.signature);
        }
        Some(Self {
            statement: statement?,
            signatures: signatures.into_iter().collect(),
        })
    }

    /// Stake of the distinct signers, if they are members in ascending order.
    pub fn stake(&self, committee: &Committee) -> Result<Stake, Invalid> {
        committee.stake_of(self.signatures.iter().map(|(member, _)| *member))
    }

    pub(crate) fn check(&self, committee: &Committee, needed: Stake) -> Result<(), Invalid> {
        committee.same_epoch(self.statement.epoch())?;
        self.statement.well_formed()?;
        let found = self.stake(committee)?;
        if found < needed && !zoo::is(Mutant::WeightUnchecked) {
            return Err(Invalid::Stake { found, needed });
        }
        let preimage = self.statement.preimage(committee.chain());
        self.signatures.iter().try_for_each(|(signer, signature)| {
            committee.check_signature(*signer, &preimage, signature)
        })
    }
}

/// One member's line in a timeout certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeoutEntry {
    /// Who gave up.
    pub member: MemberIndex,
    /// Rank of their best certificate.
    pub high_view: View,
    /// What they voted for in the view, if anything.
    pub voted: Option<BlockId>,
    /// Their signature over the [`Timeout`] these fields make.
    pub signature: Signature,
}

wire_struct!(TimeoutEntry {
    member,
    high_view,
    voted,
    signature
});

/// Timeouts of one view of stake >= T, members ascending, none twice, without any embedded certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeoutCertificate {
    /// The epoch.
    pub epoch: Epoch,
    /// The view given up.
    pub view: View,
    /// Who says so, and what they hold.
    pub entries: Vec<TimeoutEntry>,
}

wire_struct!(TimeoutCertificate { epoch, view, entries[MEMBERS_MAX] });

impl TimeoutCertificate {
    /// The greatest rank that any entry reports.
    #[must_use]
    pub fn high_view(&self) -> View {
        self.entries
            .iter()
            .map(|entry| entry.high_view)
            .max()
            .unwrap_or_default()
    }

    fn check(&self, committee: &Committee) -> Result<(), Invalid> {
        committee.same_epoch(self.epoch)?;
        let found = committee.stake_of(self.entries.iter().map(|entry| entry.member))?;
        let needed = committee.thresholds().timeout;
        if found < needed {
            return Err(Invalid::Stake { found, needed });
        }
        self.entries.iter().try_for_each(|entry| {
            let TimeoutEntry {
                member,
                high_view,
                voted,
                signature,
            } = *entry;
            let statement = Timeout {
                epoch: self.epoch,
                view: self.view,
                high_view,
                voted,
            };
            Signed {
                statement,
                signer: member,
                signature,
            }
            .check(committee)
        })
    }
}

/// A certificate of a rank for a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Certificate {
    /// Votes of a quorum.
    Quorum(QuorumCertificate),
    /// Commit votes of a quorum.
    Commit(CommitCertificate),
    /// A timeout certificate that adopts a block (case 1 of resolve).
    Adopting(Adopting),
}

wire_enum!(Certificate { 0 => Quorum, 1 => Commit, 2 => Adopting });

/// A timeout certificate that adopts a block; which one is kept beside it once [`resolve`](resolve::resolve) has said so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adopting {
    /// The block it adopts, as resolve computes it.
    pub block: BlockId,
    /// The timeouts.
    pub timeouts: TimeoutCertificate,
}

wire_struct!(Adopting { block, timeouts });

impl Certificate {
    /// The view it is of, which is its rank.
    #[must_use]
    pub const fn rank(&self) -> View {
        match self {
            Self::Quorum(certificate) => certificate.statement.view,
            Self::Commit(certificate) => certificate.statement.view,
            Self::Adopting(adopting) => adopting.timeouts.view,
        }
    }

    /// The block it certifies.
    #[must_use]
    pub const fn block(&self) -> BlockId {
        match self {
            Self::Quorum(certificate) => certificate.statement.block,
            Self::Commit(certificate) => certificate.statement.block,
            Self::Adopting(adopting) => adopting.block,
        }
    }

    /// The epoch it is of.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        match self {
            Self::Quorum(certificate) => certificate.statement.epoch,
            Self::Commit(certificate) => certificate.statement.epoch,
            Self::Adopting(adopting) => adopting.timeouts.epoch,
        }
    }

    /// Whether it is made of votes.
    #[must_use]
    pub const fn is_quorum(&self) -> bool {
        matches!(self, Self::Quorum(_))
    }

    /// Those who signed for the block and can be asked for it.
    #[must_use]
    pub fn holders(&self) -> Vec<MemberIndex> {
        match self {
            Self::Quorum(certificate) => certificate
                .signatures
                .iter()
                .map(|(member, _)| *member)
                .collect(),
            Self::Commit(certificate) => certificate
                .signatures
                .iter()
                .map(|(member, _)| *member)
                .collect(),
            Self::Adopting(Adopting { block, timeouts }) => timeouts
                .entries
                .iter()
                .filter(|entry| entry.voted == Some(*block))
                .map(|entry| entry.member)
                .collect(),
        }
    }

    /// Check every signature, the stake, and for an adopting one that it adopts what it says.
    pub fn verify(self, committee: &Committee) -> Result<Verified<Self>, Invalid> {
        self.check(committee)?;
        Ok(Verified::new(self))
    }

    pub(crate) fn check(&self, committee: &Committee) -> Result<(), Invalid> {
        let quorum = committee.thresholds().quorum;
        match self {
            Self::Quorum(certificate) => certificate.check(committee, quorum),
            Self::Commit(certificate) => certificate.check(committee, quorum),
            Self::Adopting(Adopting { block, timeouts }) => {
                timeouts.check(committee)?;
                match resolve::resolve(timeouts, committee) {
                    Resolution::Adopt(adopted) if adopted == *block => Ok(()),
                    _ => Err(Invalid::Adoption {
                        view: timeouts.view,
                        adopts: false,
                    }),
                }
            }
        }
    }
}

impl Verified<Certificate> {
    /// A quorum certificate from verified votes, if they are for one block and of stake >= Q.
    #[must_use]
    pub fn quorum<'a>(
        votes: impl IntoIterator<Item = &'a Verified<Signed<Vote>>>,
        committee: &Committee,
    ) -> Option<Self> {
        let certificate = Aggregate::assemble(votes)?;
        let stake = certificate.stake(committee).ok()?;
        (stake >= committee.thresholds().quorum)
            .then(|| Self::new(Certificate::Quorum(certificate)))
    }
}

/// What ends a view and justifies a parent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Justification {
    /// A certificate of a block: R4(a).
    Certificate(Certificate),
    /// A timeout certificate that adopts nothing (case 2 of resolve): R4(b).
    Timeout(TimeoutJustification),
}

wire_enum!(Justification { 0 => Certificate, 1 => Timeout });

/// A timeout certificate that adopts nothing, with the certificate of its greatest `high_view`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeoutJustification {
    /// The timeouts.
    pub timeouts: TimeoutCertificate,
    /// The certificate of their greatest `high_view`; none for rank 0.
    pub high: Option<Certificate>,
}

wire_struct!(TimeoutJustification { timeouts, high });

/// What a justification says a next block must extend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Rank of the parent's certificate.
    pub rank: View,
    /// The parent; none is the epoch's base block.
    pub block: Option<BlockId>,
}

impl Justification {
    /// The view it ends.
    #[must_use]
    pub const fn view(&self) -> View {
        match self {
            Self::Certificate(certificate) => certificate.rank(),
            Self::Timeout(justification) => justification.timeouts.view,
        }
    }

    /// The epoch it is of.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        match self {
            Self::Certificate(certificate) => certificate.epoch(),
            Self::Timeout(justification) => justification.timeouts.epoch,
        }
    }

    /// The certificate that it leads to: itself, or the embedded one.
    #[must_use]
    pub const fn high(&self) -> Option<&Certificate> {
        match self {
            Self::Certificate(certificate) => Some(certificate),
            Self::Timeout(justification) => justification.high.as_ref(),
        }
    }

    /// What a next block must extend.
    #[must_use]
    pub fn resolved(&self) -> Resolved {
        self.high().map_or(
            Resolved {
                rank: View(0),
                block: None,
            },
            |certificate| Resolved {
                rank: certificate.rank(),
                block: Some(certificate.block()),
            },
        )
    }

    /// Check every signature, and that a timeout certificate is used as what it is.
    pub fn verify(self, committee: &Committee) -> Result<Verified<Self>, Invalid> {
        self.check(committee)?;
        Ok(Verified::new(self))
    }

    pub(crate) fn check(&self, committee: &Committee) -> Result<(), Invalid> {
        match self {
            Self::Certificate(certificate) => certificate.check(committee),
            Self::Timeout(TimeoutJustification { timeouts, high }) => {
                timeouts.check(committee)?;
                match resolve::resolve(timeouts, committee) {
                    Resolution::Extend(rank) => check_high(high.as_ref(), rank, committee),
                    Resolution::Adopt(_) => Err(Invalid::Adoption {
                        view: timeouts.view,
                        adopts: true,
                    }),
                }
            }
        }
    }
}

impl From<Verified<Certificate>> for Verified<Justification> {
    fn from(certificate: Verified<Certificate>) -> Self {
        Self::new(Justification::Certificate(certificate.into_inner()))
    }
}

impl Verified<Justification> {
    /// A timeout certificate from verified timeouts of one view, if their stake is >= T.
    #[must_use]
    pub fn timeouts<'a>(
        messages: impl IntoIterator<Item = &'a Verified<TimeoutMessage>>,
        committee: &Committee,
    ) -> Option<Self> {
        let mut by_member = BTreeMap::new();
        for message in messages {
            by_member.insert(message.timeout.signer, message);
        }
        let first = by_member.values().next()?;
        let (epoch, view) = (first.timeout.epoch, first.timeout.view);
        if by_member
            .values()
            .any(|message| (message.timeout.epoch, message.timeout.view) != (epoch, view))
        {
            return None;
        }
        let entries = by_member.values().map(|message| TimeoutEntry {
            member: message.timeout.signer,
            high_view: message.timeout.high_view,
            voted: message.timeout.voted,
            signature: message.timeout.signature,
        });
        let timeouts = TimeoutCertificate {
            epoch,
            view,
            entries: entries.collect(),
        };
        let stake = committee
            .stake_of(timeouts.entries.iter().map(|entry| entry.member))
            .ok()?;
        if stake < committee.thresholds().timeout {
            return None;
        }
        Some(Self::new(match resolve::resolve(&timeouts, committee) {
            Resolution::Adopt(block) => {
                Justification::Certificate(Certificate::Adopting(Adopting { block, timeouts }))
            }
            Resolution::Extend(rank) => {
                let high = by_member
                    .values()
                    .find(|message| message.timeout.high_view == rank)
                    .and_then(|message| message.high.clone());
                Justification::Timeout(TimeoutJustification { timeouts, high })
            }
        }))
    }

    /// The certificate that it leads to, verified with it.
    #[must_use]
    pub fn verified_high(&self) -> Option<Verified<Certificate>> {
        self.high().cloned().map(Verified::new)
    }
}

/// Proof that a block is final, for anyone who knows the committee.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FinalityCertificate {
    /// Votes of stake >= F (R6).
    Fast(QuorumCertificate),
    /// Commit votes of stake >= Q (R7).
    Slow(CommitCertificate),
}

wire_enum!(FinalityCertificate { 0 => Fast, 1 => Slow });

impl FinalityCertificate {
    /// The block that is final, and its ancestors with it.
    #[must_use]
    pub const fn block(&self) -> BlockId {
        match self {
            Self::Fast(certificate) => certificate.statement.block,
            Self::Slow(certificate) => certificate.statement.block,
        }
    }

    /// The view it was committed in.
    #[must_use]
    pub const fn view(&self) -> View {
        match self {
            Self::Fast(certificate) => certificate.statement.view,
            Self::Slow(certificate) => certificate.statement.view,
        }
    }

    /// Check every signature and the stake.
    pub fn verify(self, committee: &Committee) -> Result<Verified<Self>, Invalid> {
        match &self {
            _ if zoo::is(Mutant::RangeUnverified) => {}
            Self::Fast(certificate) => certificate.check(committee, committee.thresholds().fast)?,
            Self::Slow(certificate) => {
                certificate.check(committee, committee.thresholds().quorum)?
            }
        }
        Ok(Verified::new(self))
    }
}

impl Verified<FinalityCertificate> {
    /// From verified votes, if they are for one block and of stake >= F.
    #[must_use]
    pub fn fast<'a>(
        votes: impl IntoIterator<Item = &'a Verified<Signed<Vote>>>,
        committee: &Committee,
    ) -> Option<Self> {
        let certificate = Aggregate::assemble(votes)?;
        let stake = certificate.stake(committee).ok()?;
        (stake >= committee.thresholds().fast)
            .then(|| Self::new(FinalityCertificate::Fast(certificate)))
    }

    /// From verified commit votes, if they are for one block and of stake >= Q.
    #[must_use]
    pub fn slow<'a>(
        votes: impl IntoIterator<Item = &'a Verified<Signed<CommitVote>>>,
        committee: &Committee,
    ) -> Option<Self> {
        let certificate = Aggregate::assemble(votes)?;
        let stake = certificate.stake(committee).ok()?;
        (stake >= committee.thresholds().quorum)
            .then(|| Self::new(FinalityCertificate::Slow(certificate)))
    }

    /// The certificate it is made of: it also ends its view and justifies its block.
    #[must_use]
    pub fn certificate(&self) -> Verified<Certificate> {
        Verified::new(match &**self {
            FinalityCertificate::Fast(certificate) => Certificate::Quorum(certificate.clone()),
            FinalityCertificate::Slow(certificate) => Certificate::Commit(certificate.clone()),
        })
    }
}

impl Verified<Certificate> {
    /// The proof of finality that this certificate happens to be: every commit certificate, and a quorum
    /// certificate of stake >= F.
    #[must_use]
    pub fn finality(&self, committee: &Committee) -> Option<Verified<FinalityCertificate>> {
        match &**self {
            Certificate::Commit(certificate) => Some(Verified::new(FinalityCertificate::Slow(
                certificate.clone(),
            ))),
            Certificate::Quorum(certificate) => {
                let stake = certificate.stake(committee).ok()?;
                (stake >= committee.thresholds().fast || zoo::is(Mutant::CommitOnOneCertificate))
                    .then(|| Verified::new(FinalityCertificate::Fast(certificate.clone())))
            }
            Certificate::Adopting(_) => None,
        }
    }
}
