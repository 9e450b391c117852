//! What members sign. Every preimage is `tag (8 bytes) || sha256(fixed-width fields)`, 40 bytes, and the fields
//! begin with chain id, epoch and view, so nothing said in one place counts in another.

use crate::block::ProposalKind;
use crate::certificate::Certificate;
use crate::codec::{EncodeSize, Error, Read, Write, wire_struct};
use crate::committee::Committee;
use crate::crypto::{Preimage, SecretKey, Signature, preimage};
use crate::ids::{BlockId, ChainId, Epoch, MemberIndex, View};
use crate::verified::{Invalid, Verified};
use crate::zoo::{self, Mutant};
use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use std::ops::Deref;

/// Something a member can sign.
pub trait Statement: Clone + Debug + PartialEq + Eq {
    /// The 40 bytes that are signed, on this chain.
    fn preimage(&self, chain: ChainId) -> Preimage;
    /// The epoch it is said in.
    fn epoch(&self) -> Epoch;
    /// What can be found wrong without a signature.
    fn well_formed(&self) -> Result<(), Invalid> {
        Ok(())
    }
}

/// Views count up to the end of 64 bits, which nobody reaches; a statement of the last one leads nowhere.
const fn has_successor(view: View) -> Result<(), Invalid> {
    if view.0 == View::LAST.0 {
        return Err(Invalid::Malformed {
            what: "the last view there can be",
        });
    }
    Ok(())
}

macro_rules! vote_statement {
    ($(#[$doc:meta])* $name:ident, $tag:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// The epoch it is said in.
            pub epoch: Epoch,
            /// The view it is said in.
            pub view: View,
            /// The block it is for.
            pub block: BlockId,
        }

        wire_struct!($name { epoch, view, block });

        impl Statement for $name {
            fn preimage(&self, chain: ChainId) -> Preimage {
                let (chain, epoch, view) = (chain.0.to_be_bytes(), self.epoch.0.to_be_bytes(), self.view.0.to_be_bytes());
                let tag = if zoo::is(Mutant::KindsConfused) { b"OUTRVOTE" } else { $tag };
                preimage(tag, &[&chain, &epoch, &view, &self.block.0])
            }
            fn epoch(&self) -> Epoch {
                self.epoch
            }
            fn well_formed(&self) -> Result<(), Invalid> {
                has_successor(self.view)
            }
        }
    };
}

vote_statement! {
    /// "I vote for this block in this view" (R4). Stake Q of them is a certificate, F of them a commit (R6).
    Vote, b"OUTRVOTE"
}
vote_statement! {
    /// "I hold a quorum certificate of this block and view" (R5). Stake Q of them is a commit (R7).
    CommitVote, b"OUTRCMIT"
}

/// "I propose this block in this view" (R2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Propose {
    /// The epoch it is said in.
    pub epoch: Epoch,
    /// The view it is said in.
    pub view: View,
    /// With or without the parent's certificate in hand.
    pub kind: ProposalKind,
    /// The block proposed.
    pub block: BlockId,
}

wire_struct!(Propose {
    epoch,
    view,
    kind,
    block
});

impl Statement for Propose {
    fn preimage(&self, chain: ChainId) -> Preimage {
        let (chain, epoch, view) = (
            chain.0.to_be_bytes(),
            self.epoch.0.to_be_bytes(),
            self.view.0.to_be_bytes(),
        );
        preimage(
            b"OUTRPROP",
            &[&chain, &epoch, &view, &[self.kind.byte()], &self.block.0],
        )
    }
    fn epoch(&self) -> Epoch {
        self.epoch
    }
    fn well_formed(&self) -> Result<(), Invalid> {
        has_successor(self.view)
    }
}

/// "I gave up on this view; my best certificate has this rank; I voted for this in it" (R8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timeout {
    /// The epoch it is said in.
    pub epoch: Epoch,
    /// The view given up.
    pub view: View,
    /// Rank of the best certificate held; always below `view`.
    pub high_view: View,
    /// The block voted for in this very view, if any.
    pub voted: Option<BlockId>,
}

wire_struct!(Timeout {
    epoch,
    view,
    high_view,
    voted
});

impl Statement for Timeout {
    fn preimage(&self, chain: ChainId) -> Preimage {
        let (chain, epoch, view) = (
            chain.0.to_be_bytes(),
            self.epoch.0.to_be_bytes(),
            self.view.0.to_be_bytes(),
        );
        let high_view = self.high_view.0.to_be_bytes();
        let (flag, voted) = match self.voted {
            Some(block) => ([1], block.0),
            None => ([0], [0; 32]),
        };
        if zoo::is(Mutant::EntriesUnbound) {
            return preimage(b"OUTRTIME", &[&chain, &epoch, &view]);
        }
        preimage(
            b"OUTRTIME",
            &[&chain, &epoch, &view, &high_view, &flag, &voted],
        )
    }
    fn epoch(&self) -> Epoch {
        self.epoch
    }
    fn well_formed(&self) -> Result<(), Invalid> {
        has_successor(self.view)?;
        if self.high_view < self.view || zoo::is(Mutant::HighViewUnchecked) {
            Ok(())
        } else {
            Err(Invalid::HighView {
                view: self.view,
                high_view: self.high_view,
            })
        }
    }
}

/// A statement with the member that signed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed<S> {
    /// What was said.
    pub statement: S,
    /// Who says so.
    pub signer: MemberIndex,
    /// Their signature over the statement's preimage.
    pub signature: Signature,
}

impl<S> Deref for Signed<S> {
    type Target = S;
    fn deref(&self) -> &S {
        &self.statement
    }
}

impl<S: Write> Write for Signed<S> {
    fn write(&self, buf: &mut impl bytes::BufMut) {
        self.statement.write(buf);
        self.signer.write(buf);
        self.signature.write(buf);
    }
}

impl<S: EncodeSize> EncodeSize for Signed<S> {
    fn encode_size(&self) -> usize {
        self.statement.encode_size() + self.signer.encode_size() + self.signature.encode_size()
    }
}

impl<S: Read<Cfg = ()>> Read for Signed<S> {
    type Cfg = ();
    fn read_cfg(buf: &mut impl commonware_codec::Buf, _: &()) -> Result<Self, Error> {
        Ok(Self {
            statement: S::read_cfg(buf, &())?,
            signer: MemberIndex::read_cfg(buf, &())?,
            signature: Signature::read_cfg(buf, &())?,
        })
    }
}

impl<S: Statement> Signed<S> {
    /// Sign as member `signer`. The caller is responsible for never signing two conflicting statements.
    #[must_use]
    pub fn sign(
        statement: S,
        chain: ChainId,
        signer: MemberIndex,
        key: &SecretKey,
    ) -> Verified<Self> {
        let signature = key.sign(&statement.preimage(chain));
        Verified::new(Self {
            statement,
            signer,
            signature,
        })
    }

    /// Check epoch, form and signature.
    pub fn verify(self, committee: &Committee) -> Result<Verified<Self>, Invalid> {
        self.check(committee)?;
        Ok(Verified::new(self))
    }

    pub(crate) fn check(&self, committee: &Committee) -> Result<(), Invalid> {
        committee.same_epoch(self.statement.epoch())?;
        self.statement.well_formed()?;
        committee.check_signature(
            self.signer,
            &self.statement.preimage(committee.chain()),
            &self.signature,
        )
    }
}

/// A timeout as it travels: with the certificate of rank `high_view`, which is not signed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeoutMessage {
    /// The signed part.
    pub timeout: Signed<Timeout>,
    /// The certificate of rank `high_view`; none for rank 0, the epoch's base.
    pub high: Option<Certificate>,
}

wire_struct!(TimeoutMessage { timeout, high });

impl TimeoutMessage {
    /// Check the signature, the attached certificate, and that its rank is what was signed.
    pub fn verify(self, committee: &Committee) -> Result<Verified<Self>, Invalid> {
        self.timeout.check(committee)?;
        check_high(self.high.as_ref(), self.timeout.high_view, committee)?;
        Ok(Verified::new(self))
    }

    /// Put a signed timeout together with the certificate it names; none if the ranks differ.
    #[must_use]
    pub fn assemble(
        timeout: Verified<Signed<Timeout>>,
        high: Option<Verified<Certificate>>,
    ) -> Option<Verified<Self>> {
        let rank = high
            .as_ref()
            .map_or(View(0), |certificate| certificate.rank());
        let high = high.map(Verified::into_inner);
        (rank == timeout.high_view).then(|| {
            Verified::new(Self {
                timeout: timeout.into_inner(),
                high,
            })
        })
    }
}

impl Verified<TimeoutMessage> {
    /// The attached certificate, verified with the message.
    #[must_use]
    pub fn verified_high(&self) -> Option<Verified<Certificate>> {
        self.high.clone().map(Verified::new)
    }
}

/// An optional certificate must be valid and of exactly the rank stated; none stands for rank 0.
pub(crate) fn check_high(
    high: Option<&Certificate>,
    expected: View,
    committee: &Committee,
) -> Result<(), Invalid> {
    let found = high.map_or(View(0), Certificate::rank);
    if found != expected {
        return Err(Invalid::Rank { found, expected });
    }
    high.map_or(Ok(()), |certificate| certificate.check(committee))
}
