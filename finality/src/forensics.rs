//! Forensics: two conflicting proofs of finality and what honest members kept name those who made the fork.
//!
//! If blocks of views `v <= w` are both final and conflict, then stake of at least `f+1` has committed offences E1 to E5
//! with statements of the views `v` to `w`, and the certificates kept by honest members hold them (protocol section 6).
//! So only certificates of these views are verified and unfolded.

use crate::evidence::{Charge, EvidenceCollector};
use crate::{CertificateStore, FinalityProof, ProofError, verify};
use outrider_types::{
    Block, BlockId, Committee, CommitteeId, Epoch, Evidence, Height, Invalid, Justification,
    MemberIndex, PublicKey, Stake, Verified, View,
};
use std::collections::BTreeMap;

/// Two final blocks, neither of which is an ancestor of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// In which epoch.
    pub epoch: Epoch,
    /// A height at which the two chains differ.
    pub height: Height,
    /// The block there that the one proof makes final.
    pub first: BlockId,
    /// The block there that the other makes final.
    pub second: BlockId,
    /// Views of the two proofs' certificates, the smaller first.
    pub views: (View, View),
}

/// A member that broke the protocol, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guilty {
    /// Who.
    pub member: MemberIndex,
    /// The key that signed.
    pub public_key: PublicKey,
    /// Its stake.
    pub stake: Stake,
    /// By offence and view.
    pub evidence: Vec<Verified<Evidence>>,
}

/// What an investigation came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The fork.
    pub conflict: Conflict,
    /// The guilty, by index.
    pub guilty: Vec<Guilty>,
    /// Their stake.
    pub stake: Stake,
    /// The stake that must be guilty of any fork, `f+1`.
    pub needed: Stake,
    /// All stake.
    pub total: Stake,
    /// Certificates that were verified and unfolded, the two of the proofs included.
    pub certificates: usize,
    /// Certificates of views that have nothing to do with the fork.
    pub passed_over: usize,
}

impl Verdict {
    /// Whether the guilty have the stake that a fork takes. If not, more certificates of honest members are needed.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.stake >= self.needed
    }
}

/// Why nothing can be said.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForensicsError {
    /// A proof proves nothing.
    #[error("the {which} proof proves nothing: {error}")]
    Proof {
        /// First or second.
        which: &'static str,
        /// Why.
        error: ProofError,
    },
    /// Statements of two epochs never conflict.
    #[error(
        "the first proof is of committee {first} (epoch {first_epoch}), the second of committee {second} (epoch {second_epoch}); give two proofs of the first epoch in which the chains differ"
    )]
    OtherEpoch {
        /// Committee of the first.
        first: CommitteeId,
        /// Its epoch.
        first_epoch: Epoch,
        /// Committee of the second.
        second: CommitteeId,
        /// Its epoch.
        second_epoch: Epoch,
    },
    /// A certificate store of another committee.
    #[error(
        "certificate store {number} is of committee {found}, the proofs are of committee {expected}"
    )]
    OtherStore {
        /// Which, from 1.
        number: usize,
        /// Its committee.
        found: CommitteeId,
        /// The proofs'.
        expected: CommitteeId,
    },
    /// A certificate that does not verify: the store was changed, or made up.
    #[error(
        "certificate {at} of certificate store {number} (view {view}) does not verify: {reason}; leave this store out"
    )]
    Certificate {
        /// Which store, from 1.
        number: usize,
        /// Which certificate, from 0.
        at: usize,
        /// Its view.
        view: View,
        /// What is wrong.
        reason: Invalid,
    },
    /// One chain.
    #[error(
        "the proofs do not conflict: block {lower} at height {height} is final in both, so there is no fork to explain"
    )]
    NoConflict {
        /// The lower of the certified blocks.
        lower: BlockId,
        /// Its height.
        height: Height,
    },
    /// The chains cannot be compared.
    #[error(
        "cannot tell whether the proofs conflict: header {block} at height {height}, between them, is in neither proof nor any certificate store; add --certificates of a member that followed this chain, or fetch a proof whose block is nearer"
    )]
    MissingHeader {
        /// Which.
        block: BlockId,
        /// Its height.
        height: Height,
    },
}

/// Find who made two conflicting blocks final.
pub fn investigate(
    committee: &Committee,
    first: &FinalityProof,
    second: &FinalityProof,
    stores: &[CertificateStore],
) -> Result<Verdict, ForensicsError> {
    if first.committee != second.committee {
        return Err(ForensicsError::OtherEpoch {
            first: first.committee,
            first_epoch: first.block.epoch,
            second: second.committee,
            second_epoch: second.block.epoch,
        });
    }
    let checked = |which, proof| {
        verify(committee, proof).map_err(|error| ForensicsError::Proof { which, error })
    };
    checked("first", first)?;
    checked("second", second)?;
    let expected = committee.id();
    for (at, store) in stores.iter().enumerate() {
        let found = store.committee.id();
        if found != expected {
            return Err(ForensicsError::OtherStore {
                number: at + 1,
                found,
                expected,
            });
        }
    }
    let conflict = find_conflict(first, second, stores)?;
    let mut collector = EvidenceCollector::unbounded(committee.clone());
    let (mut certificates, mut passed_over) = (0, 0);
    for proof in [first, second] {
        // Verified with the proof; here once more, for the type.
        let verified = proof.certificate.clone().verify(committee);
        if let Ok(certificate) = verified {
            collector.finality(&certificate);
            certificates += 1;
        }
    }
    for (at, store) in stores.iter().enumerate() {
        let (used, passed) = unfold(committee, at + 1, store, conflict.views, &mut collector)?;
        certificates += used;
        passed_over += passed;
    }
    Ok(sentence(
        committee,
        conflict,
        collector.take(),
        (certificates, passed_over),
    ))
}

/// Hand every certificate of the views in question to the collector; how many, and how many were not of these views.
fn unfold(
    committee: &Committee,
    number: usize,
    store: &CertificateStore,
    (from, to): (View, View),
    collector: &mut EvidenceCollector,
) -> Result<(usize, usize), ForensicsError> {
    let (mut used, mut passed) = (0, 0);
    for (at, justification) in store.certificates.iter().enumerate() {
        let view = justification.view();
        if view < from || view > to {
            passed += 1;
            continue;
        }
        let verified: Verified<Justification> =
            justification.clone().verify(committee).map_err(|reason| {
                ForensicsError::Certificate {
                    number,
                    at,
                    view,
                    reason,
                }
            })?;
        collector.justification(&verified);
        used += 1;
    }
    Ok((used, passed))
}

fn sentence(
    committee: &Committee,
    conflict: Conflict,
    found: Vec<Verified<Evidence>>,
    (certificates, passed_over): (usize, usize),
) -> Verdict {
    let mut by_member: BTreeMap<MemberIndex, BTreeMap<Charge, Verified<Evidence>>> =
        BTreeMap::new();
    for evidence in found {
        by_member
            .entry(evidence.accused())
            .or_default()
            .insert(Charge::of(&evidence), evidence);
    }
    let guilty: Vec<Guilty> = by_member
        .into_iter()
        .filter_map(|(member, evidence)| {
            let accused = committee.members().get(member.index())?;
            Some(Guilty {
                member,
                public_key: accused.public_key,
                stake: accused.stake,
                evidence: evidence.into_values().collect(),
            })
        })
        .collect();
    let thresholds = committee.thresholds();
    Verdict {
        conflict,
        stake: Stake(guilty.iter().map(|guilty| guilty.stake.0).sum()),
        guilty,
        needed: thresholds.witness,
        total: thresholds.total,
        certificates,
        passed_over,
    }
}

/// Two final blocks conflict if the ancestor of the higher one, at the height of the lower one, is not that one.
fn find_conflict(
    first: &FinalityProof,
    second: &FinalityProof,
    stores: &[CertificateStore],
) -> Result<Conflict, ForensicsError> {
    let headers = stores
        .iter()
        .flat_map(|store| &store.headers)
        .chain(chain(first))
        .chain(chain(second));
    let by_id: BTreeMap<BlockId, &Block> = headers.map(|block| (block.id(), block)).collect();
    let (mut a, mut b) = (certified(first), certified(second));
    // Down from the higher one; heights fall with every step, so this ends.
    while a.height != b.height {
        let higher = if a.height > b.height { &mut a } else { &mut b };
        let (block, height) = (higher.parent, Height(higher.height.0 - 1));
        *higher = by_id
            .get(&block)
            .copied()
            .filter(|parent| parent.height == height)
            .ok_or(ForensicsError::MissingHeader { block, height })?;
    }
    let height = a.height;
    if a.id() == b.id() {
        return Err(ForensicsError::NoConflict {
            lower: a.id(),
            height,
        });
    }
    let views = (first.certificate.view(), second.certificate.view());
    Ok(Conflict {
        epoch: first.block.epoch,
        height,
        first: a.id(),
        second: b.id(),
        views: (views.0.min(views.1), views.0.max(views.1)),
    })
}

/// The headers of a proof, ascending.
fn chain(proof: &FinalityProof) -> impl Iterator<Item = &Block> {
    std::iter::once(&proof.block).chain(&proof.path)
}

/// The block that the certificate is for.
fn certified(proof: &FinalityProof) -> &Block {
    proof.path.last().unwrap_or(&proof.block)
}
