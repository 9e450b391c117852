//! Blocks and proposals.

use crate::certificate::Justification;
use crate::codec::{Error, FixedSize, Read, Write, wire_struct};
use crate::committee::Committee;
use crate::crypto::{SecretKey, Signature, sha256};
use crate::ids::{
    BlockId, ChainId, CommitteeId, Epoch, Height, MemberIndex, PayloadId, Timestamp, View,
};
use crate::lane::Roots;
use crate::origin::Origin;
use crate::payload::Payload;
use crate::statement::{Propose, Signed};
use crate::verified::{Invalid, Verified};
use bytes::BufMut;
use commonware_codec::Buf;
use serde::{Deserialize, Serialize};

/// Version of the block header. A change of its fields is a new version.
pub const BLOCK_VERSION: u16 = 4;

/// A block header. The payload is named by its commitment and travels apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// Format of the header, [`BLOCK_VERSION`].
    pub version: u16,
    /// The network.
    pub chain: ChainId,
    /// The epoch whose committee orders it.
    pub epoch: Epoch,
    /// The view it is proposed in. A block belongs to one view for ever.
    pub view: View,
    /// Distance from genesis.
    pub height: Height,
    /// The block it extends.
    pub parent: BlockId,
    /// Rank of the parent's certificate: `view - 1` is rule R4(a), less is R4(b).
    pub justify: View,
    /// Commitment to the payload.
    pub payload: PayloadId,
    /// Proposer's clock, but later than the parent's.
    pub timestamp: Timestamp,
    /// The leader of the view.
    pub proposer: MemberIndex,
    /// In the last block of an epoch, the committee of the next one (R13); [`CommitteeId::NONE`] in every other block.
    pub next: CommitteeId,
    /// What it adds to the lanes, and what came before it.
    pub roots: Roots,
    /// The L1 block that it builds on, and how much of the forced inbox is consumed.
    pub origin: Origin,
}

wire_struct!(Block {
    version,
    chain,
    epoch,
    view,
    height,
    parent,
    justify,
    payload,
    timestamp,
    proposer,
    next,
    roots,
    origin
});

impl Block {
    /// Bytes of the fixed-width header.
    pub const BYTES: usize = 2 + 8 * 6 + 32 * 6 + 2 + 8 * 2 + 32;

    /// The header as hashed: every field, fixed width, big-endian, in declaration order.
    #[must_use]
    pub fn header_bytes(&self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        let mut rest = &mut out[..];
        self.write(&mut rest);
        assert!(
            rest.is_empty(),
            "a header has exactly {} bytes",
            Self::BYTES
        );
        out
    }

    /// SHA-256 of the header.
    #[must_use]
    pub fn id(&self) -> BlockId {
        BlockId(sha256(&[&self.header_bytes()]))
    }

    /// The block that every chain starts from: nothing in it but the committee's identity.
    #[must_use]
    pub fn genesis(committee: &Committee) -> Self {
        Self {
            version: BLOCK_VERSION,
            chain: committee.chain(),
            epoch: committee.epoch(),
            view: View(0),
            height: Height(0),
            parent: BlockId([0; 32]),
            justify: View(0),
            payload: PayloadId(committee.id().0),
            timestamp: Timestamp(0),
            proposer: MemberIndex(0),
            next: CommitteeId::NONE,
            roots: Roots::NONE,
            origin: Origin::NONE,
        }
    }
}

/// What a proposer puts into its block: everything in the header that the protocol does not fix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    /// Commitment to the payload.
    pub payload: PayloadId,
    /// What it adds to the lanes, and what came before it.
    pub roots: Roots,
    /// What it builds on of the settlement chain.
    pub origin: Origin,
    /// The next committee, if the block is the last of the epoch (R13); else [`CommitteeId::NONE`].
    pub next: CommitteeId,
}

impl Content {
    /// Of a filler (R13).
    #[must_use]
    pub fn filler() -> Self {
        Self {
            payload: Payload::default().id(),
            roots: Roots::NONE,
            origin: Origin::NONE,
            next: CommitteeId::NONE,
        }
    }
}

/// With or without the parent's certificate in hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProposalKind {
    /// Sent on entering the view, with the certificate that justifies the parent (R2).
    Normal,
    /// Sent on voting for the parent, without a certificate (R3).
    Optimistic,
}

impl ProposalKind {
    /// Its byte in preimages and on the wire.
    #[must_use]
    pub const fn byte(self) -> u8 {
        match self {
            Self::Normal => 0,
            Self::Optimistic => 1,
        }
    }
}

impl Write for ProposalKind {
    fn write(&self, buf: &mut impl BufMut) {
        buf.put_u8(self.byte());
    }
}

impl FixedSize for ProposalKind {
    const SIZE: usize = 1;
}

impl Read for ProposalKind {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, _: &()) -> Result<Self, Error> {
        match u8::read_cfg(buf, &())? {
            0 => Ok(Self::Normal),
            1 => Ok(Self::Optimistic),
            other => Err(Error::InvalidEnum(other)),
        }
    }
}

/// A leader's proposal as it travels. View and kind and block id are signed; the justification is attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The block proposed.
    pub block: Block,
    /// Normal or optimistic.
    pub kind: ProposalKind,
    /// The proposer's signature over (view, kind, block id).
    pub signature: Signature,
    /// What justifies the parent; none in an optimistic proposal, and on the epoch's base.
    pub justification: Option<Justification>,
}

wire_struct!(Proposal {
    block,
    kind,
    signature,
    justification
});

impl Proposal {
    /// The signed part.
    #[must_use]
    pub fn signed(&self) -> Signed<Propose> {
        Signed {
            statement: Propose {
                epoch: self.block.epoch,
                view: self.block.view,
                kind: self.kind,
                block: self.block.id(),
            },
            signer: self.block.proposer,
            signature: self.signature,
        }
    }

    /// Sign a block as its proposer.
    #[must_use]
    pub fn sign(
        block: Block,
        kind: ProposalKind,
        justification: Option<Verified<Justification>>,
        key: &SecretKey,
    ) -> Verified<Self> {
        let statement = Propose {
            epoch: block.epoch,
            view: block.view,
            kind,
            block: block.id(),
        };
        let signature = Signed::sign(statement, block.chain, block.proposer, key).signature;
        Verified::new(Self {
            block,
            kind,
            signature,
            justification: justification.map(Verified::into_inner),
        })
    }

    /// Check the proposer's signature. An attachment that is not valid is dropped, for anyone may have swapped
    /// it (R4); the second value says why.
    pub fn verify(
        mut self,
        committee: &Committee,
    ) -> Result<(Verified<Self>, Option<Invalid>), Invalid> {
        if self.block.chain != committee.chain() {
            return Err(Invalid::Malformed {
                what: "block of another chain",
            });
        }
        self.signed().check(committee)?;
        let fault = self
            .justification
            .as_ref()
            .and_then(|attached| attached.check(committee).err());
        if fault.is_some() {
            self.justification = None;
        }
        Ok((Verified::new(self), fault))
    }
}

impl Verified<Proposal> {
    /// The attachment, verified with the proposal.
    #[must_use]
    pub fn verified_justification(&self) -> Option<Verified<Justification>> {
        self.justification.clone().map(Verified::new)
    }
}

/// A block with what justifies its parent: what members keep and hand to those who miss it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockRecord {
    /// The header.
    pub block: Block,
    /// What justifies its parent; none if the parent is the epoch's base.
    pub justification: Option<Justification>,
}

wire_struct!(BlockRecord {
    block,
    justification
});

impl BlockRecord {
    /// Check the justification. The block itself needs no signature: it is named by its hash in a certificate.
    pub fn verify(self, committee: &Committee) -> Result<Verified<Self>, Invalid> {
        if self.block.chain != committee.chain() {
            return Err(Invalid::Malformed {
                what: "block of another chain",
            });
        }
        committee.same_epoch(self.block.epoch)?;
        if let Some(justification) = &self.justification {
            justification.check(committee)?;
        }
        Ok(Verified::new(self))
    }
}

impl Verified<BlockRecord> {
    /// The justification, verified with the record.
    #[must_use]
    pub fn verified_justification(&self) -> Option<Verified<Justification>> {
        self.justification.clone().map(Verified::new)
    }
}
