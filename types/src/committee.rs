//! The committee of an epoch: members, stake, and the thresholds that make it safe (protocol section 1).

use crate::codec::{Error, wire_struct};
use crate::crypto::{KeyError, Preimage, PublicKey, Signature, Verifier, sha256};
use crate::ids::{ChainId, CommitteeId, Epoch, Height, MemberIndex, Stake};
use crate::limits::MEMBERS_MAX;
use crate::verified::Invalid;
use crate::zoo::{self, Mutant};
use commonware_codec::{Encode, EncodeSize, Read, Write};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A member: its key and its weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Verifies what the member signs.
    pub public_key: PublicKey,
    /// Its weight.
    pub stake: Stake,
}

wire_struct!(Member { public_key, stake });

/// Thresholds in stake. See protocol section 1 for what each is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Thresholds {
    /// `N`, all stake.
    pub total: Stake,
    /// `f`, stake that may be Byzantine.
    pub byzantine: Stake,
    /// `c`, further stake that may be crashed.
    pub crashed: Stake,
    /// `Q = floor((N+f)/2) + 1`, certificates.
    pub quorum: Stake,
    /// `T = N - f - c`, timeout certificates.
    pub timeout: Stake,
    /// `p = floor((N-3f-c-1)/2)`, stake that may be missing on the fast path.
    pub missing: Stake,
    /// `F = N - p`, fast commit.
    pub fast: Stake,
    /// `A = f + p + 1`, adopting a block out of a timeout certificate.
    pub adoption: Stake,
    /// `W = f + 1`, at least one honest.
    pub witness: Stake,
}

/// Why a list of members is not a committee.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitteeError {
    /// Nobody, or too many.
    #[error("{members} members; a committee has 1 to {MEMBERS_MAX}")]
    Size {
        /// How many.
        members: usize,
    },
    /// A member without weight would be counted nowhere.
    #[error("member {member} has no stake; give it some or leave it out")]
    NoStake {
        /// Which.
        member: MemberIndex,
    },
    /// The sum does not leave room for the arithmetic.
    #[error("total stake is over {limit}; use larger units")]
    TooMuchStake {
        /// Largest sum allowed.
        limit: u64,
    },
    /// Not usable as a key.
    #[error("key of member {member} is {reason}")]
    Key {
        /// Whose.
        member: MemberIndex,
        /// What is wrong.
        reason: KeyError,
    },
    /// One key, two members: it would count twice.
    #[error("members {first} and {second} have the same key")]
    SameKey {
        /// The earlier.
        first: MemberIndex,
        /// The later.
        second: MemberIndex,
    },
    /// Not an order of the members.
    #[error("`ring` must name each of the {members} members exactly once, or be left out")]
    Ring {
        /// How many members there are.
        members: usize,
    },
    /// Too many faults assumed.
    #[error(
        "N >= 3f + 2c + 1 does not hold: N = {total}, f = {byzantine}, c = {crashed}; lower f or c, or add stake"
    )]
    TooFew {
        /// All stake.
        total: u64,
        /// f.
        byzantine: u64,
        /// c.
        crashed: u64,
    },
    /// A fact that the proofs use is false; with `N >= 3f + 2c + 1` this cannot be.
    #[error("the fact {fact} does not hold for these thresholds")]
    Fact {
        /// Which.
        fact: &'static str,
    },
}

/// Largest total stake, so that every sum and product below fits.
const TOTAL_STAKE_MAX: u64 = u64::MAX >> 3;

impl Thresholds {
    /// From `N`, `f`, `c`. Every fact that the safety proof uses is checked.
    pub fn new(total: u64, byzantine: u64, crashed: u64) -> Result<Self, CommitteeError> {
        if total > TOTAL_STAKE_MAX {
            return Err(CommitteeError::TooMuchStake {
                limit: TOTAL_STAKE_MAX,
            });
        }
        let too_few = CommitteeError::TooFew {
            total,
            byzantine,
            crashed,
        };
        let needed = byzantine
            .checked_mul(3)
            .zip(crashed.checked_mul(2))
            .and_then(|(f3, c2)| f3.checked_add(c2)?.checked_add(1));
        if needed.is_none_or(|needed| total < needed) {
            return Err(too_few);
        }
        let (n, f, c) = (total, byzantine, crashed);
        let quorum = (n + f) / 2 + 1;
        let timeout = n - f - c;
        let missing = (n - 3 * f - c - 1) / 2;
        let fast = n - missing;
        let facts = [
            (2 * quorum > n + f, "2Q - N >= f + 1"),
            (quorum > 2 * f + c, "Q >= 2f + c + 1"),
            (quorum <= timeout, "Q <= T"),
            (quorum + timeout > n + f, "Q + T - N >= f + 1"),
            (n > 3 * f + c + 2 * missing, "N >= 3f + c + 2p + 1"),
            (fast >= quorum, "F >= Q"),
        ];
        if let Some((_, fact)) = facts.into_iter().find(|(holds, _)| !holds) {
            return Err(CommitteeError::Fact { fact });
        }
        Ok(Self {
            total: Stake(n),
            byzantine: Stake(f),
            crashed: Stake(c),
            quorum: Stake(if zoo::is(Mutant::AtLeastForMoreThan) {
                (n + f).div_ceil(2)
            } else {
                quorum
            }),
            timeout: Stake(timeout),
            missing: Stake(missing),
            fast: Stake(fast - u64::from(zoo::is(Mutant::FastQuorumLow))),
            adoption: Stake(f + missing + 1 + u64::from(zoo::is(Mutant::AdoptionHigh))),
            witness: Stake(f + 1),
        })
    }
}

/// Who may sign in an epoch, and how much each counts. Cheap to clone.
#[derive(Clone)]
pub struct Committee(Arc<Inner>);

struct Inner {
    description: Description,
    keys: Vec<Verifier>,
    thresholds: Thresholds,
    id: CommitteeId,
}

/// What defines a committee; its encoding is what [`CommitteeId`] hashes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    chain: ChainId,
    epoch: Epoch,
    byzantine: Stake,
    crashed: Stake,
    /// Heights in the epoch; 0: it does not end.
    epoch_blocks: u64,
    /// Members in the order in which they take turns; none: the order of `members`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ring: Vec<MemberIndex>,
    members: Vec<Member>,
}

wire_struct!(Description { chain, epoch, byzantine, crashed, epoch_blocks, ring[MEMBERS_MAX], members[MEMBERS_MAX] });

impl Description {
    fn new(
        chain: ChainId,
        epoch: Epoch,
        members: Vec<Member>,
        faults: Option<(Stake, Stake)>,
    ) -> Self {
        let total = members.iter().map(|member| member.stake.0);
        let total = total.fold(0_u64, u64::saturating_add);
        let (byzantine, crashed) = faults.unwrap_or((Stake(total.saturating_sub(1) / 3), Stake(0)));
        Self {
            chain,
            epoch,
            byzantine,
            crashed,
            epoch_blocks: 0,
            ring: Vec::new(),
            members,
        }
    }

    /// Every member once, or nobody.
    fn check_ring(&self) -> Result<(), CommitteeError> {
        let mut ring = self.ring.clone();
        ring.sort_unstable();
        let every = indexed(&self.members).map(|(index, _)| index);
        if ring.is_empty() || ring.into_iter().eq(every) {
            Ok(())
        } else {
            Err(CommitteeError::Ring {
                members: self.members.len(),
            })
        }
    }
}

impl Committee {
    /// Check members and thresholds. `faults` is `(f, c)`; by default `f` is the largest that is safe, `c` 0.
    pub fn new(
        chain: ChainId,
        epoch: Epoch,
        members: Vec<Member>,
        faults: Option<(Stake, Stake)>,
    ) -> Result<Self, CommitteeError> {
        Self::build(Description::new(chain, epoch, members, faults), &|key| {
            key.checked().map(Verifier::Ed25519)
        })
    }

    /// Members with keys of [`SecretKey::simulated`](crate::SecretKey::simulated), for simulated worlds: its signatures
    /// prove nothing.
    #[cfg(feature = "simulation")]
    pub fn simulated(
        chain: ChainId,
        epoch: Epoch,
        members: Vec<Member>,
        faults: Option<(Stake, Stake)>,
    ) -> Result<Self, CommitteeError> {
        Self::build(Description::new(chain, epoch, members, faults), &|key| {
            Ok(Verifier::Simulated(*key))
        })
    }

    fn build(
        description: Description,
        verifier: &dyn Fn(&PublicKey) -> Result<Verifier, KeyError>,
    ) -> Result<Self, CommitteeError> {
        let members = &description.members;
        if members.is_empty() || members.len() > MEMBERS_MAX {
            return Err(CommitteeError::Size {
                members: members.len(),
            });
        }
        let mut keys = Vec::with_capacity(members.len());
        let mut total: u64 = 0;
        for (member, Member { public_key, stake }) in indexed(members) {
            if stake.0 == 0 {
                return Err(CommitteeError::NoStake { member });
            }
            total = total
                .checked_add(stake.0)
                .filter(|total| *total <= TOTAL_STAKE_MAX)
                .ok_or(CommitteeError::TooMuchStake {
                    limit: TOTAL_STAKE_MAX,
                })?;
            keys.push(
                verifier(public_key).map_err(|reason| CommitteeError::Key { member, reason })?,
            );
            if let Some((first, _)) =
                indexed(members).find(|(other, m)| *other < member && m.public_key == *public_key)
            {
                return Err(CommitteeError::SameKey {
                    first,
                    second: member,
                });
            }
        }
        let (byzantine, crashed) = (description.byzantine.0, description.crashed.0);
        let thresholds = Thresholds::new(total, byzantine, crashed)?;
        description.check_ring()?;
        Ok(Self::from_parts(description, keys, thresholds))
    }

    fn from_parts(description: Description, keys: Vec<Verifier>, thresholds: Thresholds) -> Self {
        let id = CommitteeId(sha256(&[b"OUTRCOMM", &description.encode()]));
        Self(Arc::new(Inner {
            description,
            keys,
            thresholds,
            id,
        }))
    }

    fn with(&self, change: impl FnOnce(&mut Description)) -> Self {
        let mut description = self.0.description.clone();
        change(&mut description);
        Self::from_parts(description, self.0.keys.clone(), self.0.thresholds)
    }

    /// The same committee with an epoch of so many heights (R13); 0 is one that does not end.
    #[must_use]
    pub fn with_epoch_blocks(&self, blocks: u64) -> Self {
        self.with(|description| description.epoch_blocks = blocks)
    }

    /// The same committee whose members take turns in this order, so that neighbours in network latency follow each
    /// other. Every member is in it once; an empty one is the order of the members.
    pub fn with_ring(&self, ring: Vec<MemberIndex>) -> Result<Self, CommitteeError> {
        let mut description = self.0.description.clone();
        description.ring = ring;
        description.check_ring()?;
        Ok(Self::from_parts(
            description,
            self.0.keys.clone(),
            self.0.thresholds,
        ))
    }

    /// The same members with the same stake in the next epoch: what follows when nothing else was approved (R13).
    #[must_use]
    pub fn successor(&self) -> Self {
        self.with(|description| description.epoch = description.epoch.next())
    }

    /// Heights in the epoch; none if it does not end.
    #[must_use]
    pub fn epoch_blocks(&self) -> Option<u64> {
        Some(self.0.description.epoch_blocks).filter(|blocks| *blocks > 0)
    }

    /// The last height of the epoch that begins after this block; none if it does not end (R13).
    #[must_use]
    pub fn last_height(&self, base: Height) -> Option<Height> {
        self.epoch_blocks()
            .map(|blocks| Height(base.0.saturating_add(blocks)))
    }

    /// Members in the order in which they take turns.
    #[must_use]
    pub fn ring(&self) -> Vec<MemberIndex> {
        if self.0.description.ring.is_empty() {
            self.indexes().collect()
        } else {
            self.0.description.ring.clone()
        }
    }

    /// The network.
    #[must_use]
    pub fn chain(&self) -> ChainId {
        self.0.description.chain
    }

    /// The epoch it serves.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.0.description.epoch
    }

    /// Members in index order.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.0.description.members
    }

    /// Indexes of all members, ascending.
    pub fn indexes(&self) -> impl Iterator<Item = MemberIndex> + use<> {
        (0..u16::try_from(self.members().len()).unwrap_or(u16::MAX)).map(MemberIndex)
    }

    /// The thresholds.
    #[must_use]
    pub fn thresholds(&self) -> &Thresholds {
        &self.0.thresholds
    }

    /// Identity: SHA-256 over chain, epoch, f, c, epoch length, ring, keys and stakes.
    #[must_use]
    pub fn id(&self) -> CommitteeId {
        self.0.id
    }

    /// A member's weight.
    #[must_use]
    pub fn stake(&self, member: MemberIndex) -> Option<Stake> {
        self.members()
            .get(member.index())
            .map(|member| member.stake)
    }

    /// The member with this key.
    #[must_use]
    pub fn index_of(&self, key: &PublicKey) -> Option<MemberIndex> {
        indexed(self.members())
            .find(|(_, member)| member.public_key == *key)
            .map(|(index, _)| index)
    }

    /// Stake of a strictly ascending list of members.
    pub fn stake_of(
        &self,
        members: impl IntoIterator<Item = MemberIndex>,
    ) -> Result<Stake, Invalid> {
        let mut sum: u64 = 0;
        let mut last: Option<MemberIndex> = None;
        for signer in members {
            let twice = last == Some(signer) && zoo::is(Mutant::SignerCountedTwice);
            if last.is_some_and(|last| last >= signer) && !twice {
                return Err(Invalid::SignerOrder { signer });
            }
            last = Some(signer);
            let stake = self.stake(signer).ok_or(Invalid::UnknownSigner {
                signer,
                members: self.members().len(),
            })?;
            sum = sum.saturating_add(if zoo::is(Mutant::HeadsCounted) {
                self.thresholds()
                    .total
                    .0
                    .div_ceil(self.members().len() as u64)
            } else {
                stake.0
            });
        }
        Ok(Stake(sum))
    }

    pub(crate) fn same_epoch(&self, found: Epoch) -> Result<(), Invalid> {
        let expected = self.epoch();
        if found == expected {
            Ok(())
        } else {
            Err(Invalid::Epoch { found, expected })
        }
    }

    pub(crate) fn check_signature(
        &self,
        signer: MemberIndex,
        preimage: &Preimage,
        signature: &Signature,
    ) -> Result<(), Invalid> {
        let key = self
            .0
            .keys
            .get(signer.index())
            .ok_or(Invalid::UnknownSigner {
                signer,
                members: self.members().len(),
            })?;
        if key.verifies(preimage, signature) {
            Ok(())
        } else {
            Err(Invalid::Signature { signer })
        }
    }
}

/// A list of members with their indexes.
fn indexed(members: &[Member]) -> impl Iterator<Item = (MemberIndex, &Member)> {
    members
        .iter()
        .enumerate()
        .map(|(i, member)| (MemberIndex(u16::try_from(i).unwrap_or(u16::MAX)), member))
}

impl PartialEq for Committee {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for Committee {}

impl std::fmt::Debug for Committee {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Committee")
            .field("id", &self.id())
            .field("epoch", &self.epoch())
            .field("members", &self.members().len())
            .finish()
    }
}

impl Write for Committee {
    fn write(&self, buf: &mut impl bytes::BufMut) {
        self.0.description.write(buf);
    }
}

impl EncodeSize for Committee {
    fn encode_size(&self) -> usize {
        self.0.description.encode_size()
    }
}

impl Read for Committee {
    type Cfg = ();
    fn read_cfg(buf: &mut impl commonware_codec::Buf, _: &()) -> Result<Self, Error> {
        let description = Description::read_cfg(buf, &())?;
        Self::try_from(description).map_err(|error| Error::Wrapped("Committee", error.into()))
    }
}

impl TryFrom<Description> for Committee {
    type Error = CommitteeError;
    fn try_from(description: Description) -> Result<Self, CommitteeError> {
        Self::build(description, &|key| key.checked().map(Verifier::Ed25519))
    }
}

impl Serialize for Committee {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.description.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Committee {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(Description::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
