//! Settling with the certificate of consensus itself: the way out when too few attest.

use crate::calls::{Call, NATIVE_HEADERS_MAX, NativeKind, Signers};
use crate::deployment::Deployment;
use outrider_types::crypto::Signature;
use outrider_types::{
    Block, BlockId, Committee, FinalityCertificate, Height, Invalid, MemberIndex, Stake,
};

/// Most signatures that the gas of one transaction pays for: 2^24 by EIP-7825, about 180,000 each.
pub const NATIVE_SIGNATURES_MAX: usize = 90;

/// Why a certificate settles nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NativeError {
    /// Too long a way, or none.
    #[error(
        "the certificate is {count} headers away from the block, and L1 takes 1 to {NATIVE_HEADERS_MAX}: choose a later block"
    )]
    Headers {
        /// How many, with that of the block.
        count: usize,
    },
    /// A header that is not the child of the one before.
    #[error("the header at height {0} is not that of a child of the block before it")]
    NotChild(Height),
    /// A certificate of something else.
    #[error("the certificate is that of block {certified}, and the headers lead to {last}")]
    Elsewhere {
        /// What is certified.
        certified: BlockId,
        /// Where the headers lead.
        last: BlockId,
    },
    /// A certificate that is none.
    #[error("the certificate does not hold under the committee that L1 knows: {0}")]
    Invalid(#[from] Invalid),
    /// Too much gas.
    #[error(
        "it takes {signatures} {what}, and an L1 transaction pays for at most {NATIVE_SIGNATURES_MAX}: choose a block that commit votes made final"
    )]
    TooMany {
        /// How many.
        signatures: usize,
        /// Of which kind.
        what: &'static str,
    },
}

/// A block, the headers from it to a certified one, and as few signatures as L1 needs to believe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Native {
    headers: Vec<Block>,
    kind: NativeKind,
    signers: Signers,
    count: usize,
}

impl Native {
    /// Of the first of these blocks. The committee is that of their epoch; the certificate is checked with it.
    pub fn new(
        headers: Vec<Block>,
        certificate: &FinalityCertificate,
        committee: &Committee,
    ) -> Result<Self, NativeError> {
        let count = headers.len();
        let last = match headers.last() {
            Some(last) if count <= NATIVE_HEADERS_MAX => last.id(),
            _ => return Err(NativeError::Headers { count }),
        };
        for pair in headers.windows(2) {
            if pair[1].parent != pair[0].id() {
                return Err(NativeError::NotChild(pair[1].height));
            }
        }
        let certified = certificate.block();
        if certified != last {
            return Err(NativeError::Elsewhere { certified, last });
        }
        // What is checked here is not paid for there.
        drop(certificate.clone().verify(committee)?);
        let thresholds = committee.thresholds();
        let (kind, what, signatures, needed) = match certificate {
            FinalityCertificate::Fast(votes) => (
                NativeKind::FastVotes,
                "votes",
                &votes.signatures,
                thresholds.fast,
            ),
            FinalityCertificate::Slow(votes) => (
                NativeKind::CommitVotes,
                "commit votes",
                &votes.signatures,
                thresholds.quorum,
            ),
        };
        let few = fewest(signatures, needed, committee);
        let signatures = few.len();
        let signers = Signers::new(&few).filter(|_| signatures <= NATIVE_SIGNATURES_MAX);
        let signers = signers.ok_or(NativeError::TooMany { signatures, what })?;
        Ok(Self {
            headers,
            kind,
            signers,
            count: signatures,
        })
    }

    /// The block that it settles.
    #[must_use]
    pub fn block(&self) -> &Block {
        // There is at least one: see `new`.
        &self.headers[0]
    }

    /// What certifies it.
    #[must_use]
    pub const fn kind(&self) -> NativeKind {
        self.kind
    }

    /// How many signatures it takes.
    #[must_use]
    pub const fn signatures(&self) -> usize {
        self.count
    }

    /// The transaction.
    #[must_use]
    pub fn call(&self, deployment: &Deployment) -> Call {
        let headers: Vec<_> = self.headers.iter().map(Block::header_bytes).collect();
        let headers: Vec<&[u8]> = headers.iter().map(|header| &header[..]).collect();
        deployment.settle_native(&headers, self.kind, &self.signers)
    }
}

/// The signatures of the most stake that are enough, ascending.
fn fewest(
    signatures: &[(MemberIndex, Signature)],
    needed: Stake,
    committee: &Committee,
) -> Vec<(u16, [u8; 64])> {
    let stake = |member: MemberIndex| committee.stake(member).unwrap_or(Stake(0)).0;
    let mut by_stake = signatures.to_vec();
    by_stake.sort_by_key(|(member, _)| (std::cmp::Reverse(stake(*member)), *member));
    let mut weight: u64 = 0;
    by_stake.retain(|(member, _)| {
        let is_needed = weight < needed.0;
        if is_needed {
            weight = weight.saturating_add(stake(*member));
        }
        is_needed
    });
    by_stake.sort_by_key(|(member, _)| *member);
    by_stake
        .into_iter()
        .map(|(member, signature)| (member.0, signature.0))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use outrider_types::testing::{CHAIN, committee, key};
    use outrider_types::{Aggregate, CommitVote, Epoch, Origin, Signed, Verified, View, Vote};

    fn chain(committee: &Committee, length: u64) -> Vec<Block> {
        let mut blocks = vec![Block::genesis(committee)];
        for height in 1..=length {
            let parent = blocks[blocks.len() - 1];
            blocks.push(Block {
                height: Height(height),
                view: View(height),
                parent: parent.id(),
                origin: Origin::NONE,
                ..parent
            });
        }
        blocks.remove(0);
        blocks
    }

    fn slow(block: &Block, signers: &[u16], committee: &Committee) -> FinalityCertificate {
        let vote = CommitVote {
            epoch: Epoch(0),
            view: block.view,
            block: block.id(),
        };
        let signed = |member: &u16| {
            Signed::sign(
                vote,
                CHAIN,
                MemberIndex(*member),
                &key(usize::from(*member)),
            )
        };
        let signed: Vec<Verified<_>> = signers.iter().map(signed).collect();
        let certificate = Aggregate::assemble(&signed).unwrap();
        assert!(certificate.stake(committee).is_ok());
        FinalityCertificate::Slow(certificate)
    }

    #[test]
    fn no_signature_is_paid_for_that_is_not_needed() {
        // N = 10, f = 3, Q = 7.
        let (committee, _) = committee(&[1, 2, 3, 4]);
        let blocks = chain(&committee, 2);
        let certificate = slow(&blocks[1], &[0, 1, 2, 3], &committee);
        let native = Native::new(blocks.clone(), &certificate, &committee).unwrap();
        assert_eq!(native.signatures(), 2);
        assert_eq!(native.signers.bitmap().to::<u64>(), 0b1100);
        assert_eq!(native.kind(), NativeKind::CommitVotes);
        assert_eq!(native.block(), &blocks[0]);
    }

    #[test]
    fn what_l1_would_refuse_is_refused_here() {
        let (committee, _) = committee(&[1; 4]);
        let blocks = chain(&committee, 33);
        let certificate = slow(&blocks[32], &[0, 1, 2], &committee);
        let of = |blocks: &[Block]| Native::new(blocks.to_vec(), &certificate, &committee);
        assert!(of(&blocks[1..]).is_ok());
        assert_eq!(of(&blocks), Err(NativeError::Headers { count: 33 }));
        assert_eq!(of(&[]), Err(NativeError::Headers { count: 0 }));
        let gap = [blocks[30], blocks[32]];
        assert_eq!(of(&gap), Err(NativeError::NotChild(Height(33))));
        assert!(matches!(
            of(&blocks[30..32]),
            Err(NativeError::Elsewhere { .. })
        ));
        let few = slow(&blocks[32], &[0, 1], &committee);
        let found = Native::new(vec![blocks[32]], &few, &committee);
        assert!(matches!(found, Err(NativeError::Invalid(_))));
    }

    #[test]
    fn a_committee_of_a_hundred_needs_commit_votes() {
        let (committee, _) = committee(&[1; 100]);
        let block = chain(&committee, 1)[0];
        let all: Vec<u16> = (0..100).collect();
        let native = Native::new(vec![block], &slow(&block, &all, &committee), &committee);
        assert_eq!(native.unwrap().signatures(), 67);
        let vote = Vote {
            epoch: Epoch(0),
            view: block.view,
            block: block.id(),
        };
        let signed = |member: &u16| {
            Signed::sign(
                vote,
                CHAIN,
                MemberIndex(*member),
                &key(usize::from(*member)),
            )
        };
        let signed: Vec<Verified<_>> = all.iter().map(signed).collect();
        let votes = FinalityCertificate::Fast(Aggregate::assemble(&signed).unwrap());
        let refused = Native::new(vec![block], &votes, &committee);
        let (signatures, what) = (100, "votes");
        assert_eq!(refused, Err(NativeError::TooMany { signatures, what }));
    }
}
