//! Forks made by more than f stake: the certificates of honest members name stake of at least f+1, and nobody honest.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use bytes::Bytes;
use outrider_finality::{
    CertificateStore, CertificateStoreError, EvidenceFile, FinalityProof, ForensicsError,
    ProofError, TextError, Verdict, investigate, verify_evidence_json,
};
use outrider_types::testing::{CHAIN, committee};
use outrider_types::{
    Aggregate, Batch, Block, BlockId, Certificate, CommitVote, Committee, FinalityCertificate,
    Height, Invalid, Justification, MemberIndex, Offence, Payload, RollupId, SecretKey, Signature,
    Signed, Statement, Timeout, TimeoutMessage, Timestamp, Verified, View, Vote,
};
use std::collections::BTreeSet;

struct World {
    committee: Committee,
    keys: Vec<SecretKey>,
}

fn payload(salt: u8) -> Payload {
    Payload {
        batches: vec![Batch {
            rollup: RollupId(10),
            transactions: vec![Bytes::from(vec![salt; 3])],
        }],
    }
}

/// A child in a view, on the fork named by `salt`.
fn child(parent: &Block, view: u64, justify: u64, salt: u8) -> Block {
    Block {
        view: View(view),
        height: Height(parent.height.0 + 1),
        parent: parent.id(),
        justify: View(justify),
        payload: payload(salt).id(),
        timestamp: Timestamp(parent.timestamp.0 + 1),
        ..*parent
    }
}

impl World {
    fn new(stakes: &[u64]) -> Self {
        let (committee, keys) = committee(stakes);
        Self { committee, keys }
    }

    fn genesis(&self) -> Block {
        Block::genesis(&self.committee)
    }

    fn sign<S: Statement>(&self, member: usize, statement: S) -> Verified<Signed<S>> {
        let index = MemberIndex(member as u16);
        Signed::sign(statement, CHAIN, index, &self.keys[member])
    }

    fn votes(&self, members: &[usize], block: &Block) -> Aggregate<Vote> {
        let statement = Vote {
            epoch: block.epoch,
            view: block.view,
            block: block.id(),
        };
        let signed: Vec<_> = members.iter().map(|m| self.sign(*m, statement)).collect();
        Aggregate::assemble(&signed).unwrap()
    }

    fn quorum(&self, members: &[usize], block: &Block) -> Certificate {
        Certificate::Quorum(self.votes(members, block))
    }

    fn fast(&self, members: &[usize], block: &Block) -> FinalityCertificate {
        FinalityCertificate::Fast(self.votes(members, block))
    }

    fn slow(&self, members: &[usize], block: &Block) -> FinalityCertificate {
        let statement = CommitVote {
            epoch: block.epoch,
            view: block.view,
            block: block.id(),
        };
        let signed: Vec<_> = members.iter().map(|m| self.sign(*m, statement)).collect();
        FinalityCertificate::Slow(Aggregate::assemble(&signed).unwrap())
    }

    /// Each names the certificate that it claims as its best, and what it says it voted for.
    fn timeouts(
        &self,
        view: u64,
        each: &[(usize, Option<&Certificate>, Option<BlockId>)],
    ) -> Justification {
        let messages: Vec<_> = each
            .iter()
            .map(|(member, high, voted)| {
                let high =
                    high.map(|certificate| certificate.clone().verify(&self.committee).unwrap());
                let statement = Timeout {
                    epoch: self.committee.epoch(),
                    view: View(view),
                    high_view: high.as_ref().map_or(View(0), |held| held.rank()),
                    voted: *voted,
                };
                TimeoutMessage::assemble(self.sign(*member, statement), high).unwrap()
            })
            .collect();
        let made = Verified::<Justification>::timeouts(&messages, &self.committee);
        made.unwrap().into_inner()
    }

    /// That the transaction of a block is final.
    fn proof(
        &self,
        block: &Block,
        path: &[Block],
        salt: u8,
        by: FinalityCertificate,
    ) -> FinalityProof {
        let payload = payload(salt);
        let id = payload.ids().next().unwrap();
        FinalityProof::build(&self.committee, *block, path.to_vec(), by, &payload, id).unwrap()
    }

    fn store(&self, headers: &[Block], certificates: &[Justification]) -> CertificateStore {
        CertificateStore {
            headers: headers.to_vec(),
            certificates: certificates.to_vec(),
            ..CertificateStore::new(self.committee.clone())
        }
    }

    fn investigate(
        &self,
        proofs: [&FinalityProof; 2],
        stores: &[CertificateStore],
    ) -> Result<Verdict, ForensicsError> {
        let verdict = investigate(&self.committee, proofs[0], proofs[1], stores);
        let back = investigate(&self.committee, proofs[1], proofs[0], stores);
        match (&verdict, &back) {
            (Ok(one), Ok(other)) => assert_eq!(charges(one), charges(other)),
            _ => assert_eq!(verdict.is_err(), back.is_err()),
        }
        verdict
    }
}

fn charges(verdict: &Verdict) -> BTreeSet<(u16, Offence)> {
    let all = verdict.guilty.iter().flat_map(|guilty| {
        assert!(!guilty.evidence.is_empty());
        guilty.evidence.iter().map(|evidence| {
            assert_eq!(evidence.accused(), guilty.member);
            (guilty.member.0, evidence.offence())
        })
    });
    all.collect()
}

fn names(verdict: &Verdict) -> Vec<u16> {
    verdict
        .guilty
        .iter()
        .map(|guilty| guilty.member.0)
        .collect()
}

fn certificate(certificate: Certificate) -> Justification {
    Justification::Certificate(certificate)
}

/// Two blocks of view 1, members 1 and 2 sign for both. 0 and 3 are honest and each sees one side.
struct SameView {
    world: World,
    a: Block,
    b: Block,
}

impl SameView {
    fn new() -> Self {
        let world = World::new(&[1; 4]);
        let base = world.genesis();
        let (a, b) = (child(&base, 1, 0, 1), child(&base, 1, 0, 2));
        Self { world, a, b }
    }

    fn slow_proofs(&self) -> [FinalityProof; 2] {
        let Self { world, a, b } = self;
        [
            world.proof(a, &[], 1, world.slow(&[0, 1, 2], a)),
            world.proof(b, &[], 2, world.slow(&[1, 2, 3], b)),
        ]
    }
}

/// E3
#[test]
fn two_slow_commits_of_one_view_are_proven_by_the_proofs_alone() {
    let fork = SameView::new();
    let [one, two] = &fork.slow_proofs();
    let verdict = fork.world.investigate([one, two], &[]).unwrap();
    assert_eq!(
        charges(&verdict),
        BTreeSet::from([(1, Offence::E3), (2, Offence::E3)])
    );
    assert!(verdict.complete());
    assert_eq!(
        (verdict.stake.0, verdict.needed.0, verdict.total.0),
        (2, 2, 4)
    );
    assert_eq!(verdict.conflict.height, Height(1));
    assert_eq!(
        BTreeSet::from([verdict.conflict.first, verdict.conflict.second]),
        BTreeSet::from([fork.a.id(), fork.b.id()])
    );
    // What was found stands in files that anyone can check.
    for evidence in verdict
        .guilty
        .into_iter()
        .flat_map(|guilty| guilty.evidence)
    {
        let file = EvidenceFile::new(fork.world.committee.clone(), evidence);
        verify_evidence_json(file.to_json().as_bytes(), Some(fork.world.committee.id())).unwrap();
    }
}

/// E2
#[test]
fn two_fast_commits_of_one_view_are_proven_by_the_proofs_alone() {
    // Six of f=1: F=5, so four members sign both.
    let world = World::new(&[1; 6]);
    let base = world.genesis();
    let (a, b) = (child(&base, 1, 0, 1), child(&base, 1, 0, 2));
    let one = world.proof(&a, &[], 1, world.fast(&[0, 1, 2, 3, 4], &a));
    let two = world.proof(&b, &[], 2, world.fast(&[1, 2, 3, 4, 5], &b));
    let verdict = world.investigate([&one, &two], &[]).unwrap();
    assert_eq!(names(&verdict), [1, 2, 3, 4]);
    assert!(verdict.complete());
}

/// E2: commit votes for the one block, votes for the other. Only the certificate that an honest member commit-voted on
/// shows who voted twice.
#[test]
fn a_slow_and_a_fast_commit_of_one_view_need_what_was_commit_voted_on() {
    let SameView { world, a, b } = SameView::new();
    let slow = world.proof(&a, &[], 1, world.slow(&[0, 1, 2], &a));
    let fast = world.proof(&b, &[], 2, world.fast(&[0, 1, 2, 3], &b));
    let verdict = world.investigate([&slow, &fast], &[]).unwrap();
    assert_eq!(names(&verdict), [0_u16; 0]);
    assert!(!verdict.complete());
    // All four voted for B; three of them are in the certificate of A. Member 3 is honest.
    let kept = world.store(&[], &[certificate(world.quorum(&[0, 1, 2], &a))]);
    let verdict = world.investigate([&slow, &fast], &[kept]).unwrap();
    assert_eq!(
        charges(&verdict),
        BTreeSet::from([(0, Offence::E2), (1, Offence::E2), (2, Offence::E2)])
    );
    assert!(verdict.complete());
}

/// Block A is final in view 5; 1 and 2 deny it and make a sibling final in view 6 with 3, who is honest.
struct TwoViews {
    world: World,
    parent: Block,
    a: Block,
    b: Block,
    below: Certificate,
}

impl TwoViews {
    fn new() -> Self {
        let world = World::new(&[1; 4]);
        let parent = child(&world.genesis(), 4, 0, 9);
        let (a, b) = (child(&parent, 5, 4, 1), child(&parent, 6, 4, 2));
        let below = world.quorum(&[0, 1, 2, 3], &parent);
        Self {
            world,
            parent,
            a,
            b,
            below,
        }
    }

    /// What 3 kept: entering view 6, which justifies B, and view 7.
    fn kept(&self, timeouts: Justification) -> CertificateStore {
        let Self {
            world, parent, b, ..
        } = self;
        let entered = certificate(world.quorum(&[1, 2, 3], b));
        world.store(&[*parent, *b], &[timeouts, entered])
    }

    fn second(&self) -> FinalityProof {
        let Self { world, b, .. } = self;
        world.proof(b, &[], 2, world.slow(&[1, 2, 3], b))
    }
}

/// E5
#[test]
fn commits_of_two_views_through_broken_locks() {
    let fork = TwoViews::new();
    let world = &fork.world;
    let one = world.proof(&fork.a, &[], 1, world.slow(&[0, 1, 2], &fork.a));
    let two = fork.second();
    let low = Some(&fork.below);
    let timeouts = world.timeouts(5, &[(1, low, None), (2, low, None), (3, low, None)]);
    // Without the timeouts nobody can be named.
    let verdict = world.investigate([&one, &two], &[]).unwrap();
    assert_eq!(names(&verdict), [0_u16; 0]);
    assert!(!verdict.complete());
    let verdict = world
        .investigate([&one, &two], &[fork.kept(timeouts)])
        .unwrap();
    assert_eq!(
        charges(&verdict),
        BTreeSet::from([(1, Offence::E5), (2, Offence::E5)])
    );
    assert!(verdict.complete());
    assert_eq!(verdict.conflict.views, (View(5), View(6)));
}

/// E4
#[test]
fn commits_of_two_views_through_hidden_votes() {
    let fork = TwoViews::new();
    let world = &fork.world;
    let one = world.proof(&fork.a, &[], 1, world.fast(&[0, 1, 2, 3], &fork.a));
    let two = fork.second();
    let low = Some(&fork.below);
    // 3 is honest and reports its vote; A = 2, so one report adopts nothing.
    let honest = Some(fork.a.id());
    let timeouts = world.timeouts(
        5,
        &[
            (1, low, None),
            (2, low, Some(fork.b.id())),
            (3, low, honest),
        ],
    );
    let verdict = world
        .investigate([&one, &two], &[fork.kept(timeouts)])
        .unwrap();
    assert_eq!(
        charges(&verdict),
        BTreeSet::from([(1, Offence::E4), (2, Offence::E4)])
    );
    assert!(verdict.complete());
}

/// E5: the lie comes views later, when the timeouts of several views have piled up.
#[test]
fn commits_many_views_apart() {
    let fork = TwoViews::new();
    let world = &fork.world;
    let one = world.proof(&fork.a, &[], 1, world.slow(&[0, 1, 2], &fork.a));
    let held = world.quorum(&[0, 1, 2], &fork.a);
    let (low, high) = (Some(&fork.below), Some(&held));
    let late = child(&fork.parent, 9, 4, 2);
    let two = world.proof(&late, &[], 2, world.slow(&[1, 2, 3], &late));
    let truthful = world.timeouts(7, &[(0, high, None), (1, high, None), (2, high, None)]);
    let lies = world.timeouts(8, &[(1, low, None), (2, low, None), (3, low, None)]);
    let kept = world.store(&[], &[truthful, lies.clone()]);
    let verdict = world.investigate([&one, &two], &[kept]).unwrap();
    assert_eq!(
        charges(&verdict),
        BTreeSet::from([(1, Offence::E5), (2, Offence::E5)])
    );
    // Views outside of the fork's are not even looked at.
    let later = world.timeouts(10, &[(1, low, None), (2, low, None), (3, low, None)]);
    let kept = world.store(&[], &[later, fork.below.clone().into_justification(), lies]);
    let verdict = world.investigate([&one, &two], &[kept]).unwrap();
    assert_eq!((verdict.passed_over, verdict.certificates), (2, 3));
    assert!(verdict.complete());
}

trait IntoJustification {
    fn into_justification(self) -> Justification;
}

impl IntoJustification for Certificate {
    fn into_justification(self) -> Justification {
        Justification::Certificate(self)
    }
}

/// Stake counts, not members: one of half the stake is guilty, and f+1 of all stake.
#[test]
fn guilty_stake_is_summed() {
    let world = World::new(&[4, 2, 2, 2]);
    let base = world.genesis();
    let (a, b) = (child(&base, 1, 0, 1), child(&base, 1, 0, 2));
    let one = world.proof(&a, &[], 1, world.slow(&[0, 1, 2], &a));
    let two = world.proof(&b, &[], 2, world.slow(&[0, 2, 3], &b));
    let verdict = world.investigate([&one, &two], &[]).unwrap();
    assert_eq!(names(&verdict), [0, 2]);
    assert_eq!(
        (verdict.stake.0, verdict.needed.0, verdict.total.0),
        (6, 4, 10)
    );
}

#[test]
fn proofs_of_one_chain_do_not_conflict() {
    let world = World::new(&[1; 4]);
    let a = child(&world.genesis(), 1, 0, 1);
    let b = child(&a, 2, 1, 2);
    let c = child(&b, 3, 2, 3);
    let one = world.proof(&a, &[], 1, world.slow(&[0, 1, 2], &a));
    let two = world.proof(&b, &[c], 2, world.slow(&[0, 1, 3], &c));
    let no = |lower: &Block| {
        Err(ForensicsError::NoConflict {
            lower: lower.id(),
            height: lower.height,
        })
    };
    assert_eq!(world.investigate([&one, &two], &[]), no(&a));
    assert_eq!(world.investigate([&one, &one], &[]), no(&a));
    // Over a block that only a certificate store holds.
    let three = world.proof(&c, &[], 3, world.slow(&[0, 1, 3], &c));
    assert_eq!(
        world.investigate([&one, &three], &[]),
        Err(ForensicsError::MissingHeader {
            block: b.id(),
            height: Height(2)
        })
    );
    assert_eq!(
        world.investigate([&one, &three], &[world.store(&[b], &[])]),
        no(&a)
    );
}

#[test]
fn forks_of_different_heights_are_found_with_the_headers_between() {
    let world = World::new(&[1; 4]);
    let base = world.genesis();
    let (a, b1) = (child(&base, 1, 0, 1), child(&base, 1, 0, 2));
    let b2 = child(&b1, 2, 1, 3);
    let b3 = child(&b2, 3, 2, 4);
    let one = world.proof(&a, &[], 1, world.slow(&[0, 1, 2], &a));
    let two = world.proof(&b3, &[], 4, world.slow(&[1, 2, 3], &b3));
    assert!(matches!(
        world.investigate([&one, &two], &[]),
        Err(ForensicsError::MissingHeader { .. })
    ));
    let kept = world.store(&[b1, b2], &[certificate(world.quorum(&[1, 2, 3], &b1))]);
    let verdict = world.investigate([&one, &two], &[kept]).unwrap();
    assert_eq!(verdict.conflict.height, Height(1));
    // Only commit votes of the other side are known: the honest certificate of A that names them is missing.
    assert!(!verdict.complete());
    let seen = world.store(&[], &[certificate(world.quorum(&[0, 1, 2], &a))]);
    let kept = world.store(&[b1, b2], &[certificate(world.quorum(&[1, 2, 3], &b1))]);
    let verdict = world.investigate([&one, &two], &[kept, seen]).unwrap();
    assert_eq!(
        charges(&verdict),
        BTreeSet::from([(1, Offence::E2), (2, Offence::E2)])
    );
    // Headers that lie about their height lead nowhere.
    let mut wrong = b2;
    wrong.height = Height(7);
    let kept = world.store(&[b1, wrong], &[]);
    assert!(matches!(
        world.investigate([&one, &two], &[kept]),
        Err(ForensicsError::MissingHeader { .. })
    ));
}

#[test]
fn what_does_not_verify_is_refused() {
    let fork = SameView::new();
    let world = &fork.world;
    let [one, two] = &fork.slow_proofs();
    let mut forged = two.clone();
    if let FinalityCertificate::Slow(votes) = &mut forged.certificate {
        votes.signatures[0].1 = Signature([7; 64]);
    }
    assert!(matches!(
        world.investigate([one, &forged], &[]),
        Err(ForensicsError::Proof {
            error: ProofError::Certificate { .. },
            ..
        })
    ));
    let mut votes = world.votes(&[0, 1, 2], &fork.a);
    votes.signatures[2].1 = Signature([7; 64]);
    let made_up = world.store(&[], &[certificate(Certificate::Quorum(votes))]);
    let honest = world.store(&[], &[]);
    assert_eq!(
        world.investigate([one, two], &[honest, made_up]),
        Err(ForensicsError::Certificate {
            number: 2,
            at: 0,
            view: View(1),
            reason: Invalid::Signature {
                signer: MemberIndex(2)
            },
        })
    );
    let other = World::new(&[1; 5]);
    assert!(matches!(
        world.investigate([one, two], &[other.store(&[], &[])]),
        Err(ForensicsError::OtherStore { number: 1, .. })
    ));
    let stranger = child(&other.genesis(), 1, 0, 1);
    let stranger = other.proof(&stranger, &[], 1, other.slow(&[0, 1, 2, 3], &stranger));
    assert!(matches!(
        world.investigate([one, &stranger], &[]),
        Err(ForensicsError::OtherEpoch { .. })
    ));
}

#[test]
fn certificate_store_survives_its_file() {
    let fork = TwoViews::new();
    let low = Some(&fork.below);
    let timeouts = fork
        .world
        .timeouts(5, &[(1, low, None), (2, low, None), (3, low, None)]);
    let store = fork.kept(timeouts);
    let text = store.to_json();
    assert_eq!(
        CertificateStore::from_json(text.as_bytes()),
        Ok(store.clone())
    );
    let mut later = store;
    later.version = 2;
    assert_eq!(
        CertificateStore::from_json(later.to_json().as_bytes()),
        Err(CertificateStoreError::Version { found: 2 })
    );
    for wrong in [
        &text[..text.len() / 2],
        "{}",
        &text.replacen('{', "{\"more\":1,", 1),
    ] {
        assert!(matches!(
            CertificateStore::from_json(wrong.as_bytes()),
            Err(CertificateStoreError::Text(TextError::NotJson { .. }))
        ));
    }
}
