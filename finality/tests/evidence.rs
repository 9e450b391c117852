//! Finding E1 to E5 in what members sign.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use outrider_finality::{
    Charge, EVIDENCE_PER_OFFENCE_MAX, EvidenceCollector, STATEMENTS_MAX, WINDOW_VIEWS_MAX,
};
use outrider_types::testing::{CHAIN, committee};
use outrider_types::{
    Block, BlockId, Certificate, CommitVote, Committee, Epoch, Evidence, FinalityCertificate,
    Justification, MemberIndex, Offence, Proposal, ProposalKind, SecretKey, Signed, Statement,
    Timeout, TimeoutMessage, Timestamp, Verified, View, Vote,
};
use proptest::prelude::*;
use std::collections::BTreeSet;

const A: BlockId = BlockId([0xaa; 32]);
const B: BlockId = BlockId([0xbb; 32]);
const EPOCH: Epoch = Epoch(0);

struct World {
    committee: Committee,
    keys: Vec<SecretKey>,
}

/// What a member can say, by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Propose(u64, ProposalKind, u8),
    Vote(u64, u8),
    CommitVote(u64, u8),
    /// View, high view, block voted for.
    Timeout(u64, u64, Option<u8>),
}

fn id(block: u8) -> BlockId {
    BlockId([block; 32])
}

fn vote(view: u64, block: BlockId) -> Vote {
    Vote {
        epoch: EPOCH,
        view: View(view),
        block,
    }
}

fn commit_vote(view: u64, block: BlockId) -> CommitVote {
    CommitVote {
        epoch: EPOCH,
        view: View(view),
        block,
    }
}

fn timeout(view: u64, high_view: u64, voted: Option<BlockId>) -> Timeout {
    Timeout {
        epoch: EPOCH,
        view: View(view),
        high_view: View(high_view),
        voted,
    }
}

impl World {
    /// Q=3 T=3 F=4 A=2 of four.
    fn new(members: usize) -> Self {
        let (committee, keys) = committee(&vec![1; members]);
        Self { committee, keys }
    }

    fn collector(&self) -> EvidenceCollector {
        EvidenceCollector::new(self.committee.clone())
    }

    fn sign<S: Statement>(&self, member: usize, statement: S) -> Verified<Signed<S>> {
        Signed::sign(
            statement,
            CHAIN,
            MemberIndex(member as u16),
            &self.keys[member],
        )
    }

    fn quorum(&self, members: &[usize], view: u64, block: BlockId) -> Verified<Certificate> {
        let votes: Vec<_> = members
            .iter()
            .map(|member| self.sign(*member, vote(view, block)))
            .collect();
        Verified::<Certificate>::quorum(&votes, &self.committee).unwrap()
    }

    fn slow(&self, members: &[usize], view: u64, block: BlockId) -> Verified<FinalityCertificate> {
        let votes: Vec<_> = members
            .iter()
            .map(|member| self.sign(*member, commit_vote(view, block)))
            .collect();
        Verified::<FinalityCertificate>::slow(&votes, &self.committee).unwrap()
    }

    /// With a certificate made by all, as it has to have one of its rank.
    fn timeout(&self, member: usize, statement: Timeout) -> Verified<TimeoutMessage> {
        let all: Vec<usize> = (0..self.keys.len()).collect();
        let high = statement.high_view.0;
        let high = (high > 0).then(|| self.quorum(&all, high, id(high as u8)));
        TimeoutMessage::assemble(self.sign(member, statement), high).unwrap()
    }

    fn timeouts(&self, each: &[(usize, Timeout)]) -> Verified<Justification> {
        let messages: Vec<_> = each
            .iter()
            .map(|(member, timeout)| self.timeout(*member, *timeout))
            .collect();
        Verified::<Justification>::timeouts(&messages, &self.committee).unwrap()
    }

    fn proposal(
        &self,
        member: usize,
        view: u64,
        kind: ProposalKind,
        salt: u8,
    ) -> Verified<Proposal> {
        let block = Block {
            view: View(view),
            proposer: MemberIndex(member as u16),
            timestamp: Timestamp(u64::from(salt)),
            ..Block::genesis(&self.committee)
        };
        Proposal::sign(block, kind, None, &self.keys[member])
    }

    fn hear(&self, collector: &mut EvidenceCollector, member: usize, said: Said) {
        match said {
            Said::Propose(view, kind, block) => {
                collector.proposal(&self.proposal(member, view, kind, block));
            }
            Said::Vote(view, block) => collector.vote(&self.sign(member, vote(view, id(block)))),
            Said::CommitVote(view, block) => {
                collector.commit_vote(&self.sign(member, commit_vote(view, id(block))));
            }
            Said::Timeout(view, high, voted) => {
                // The certificate attached is told apart: here it would only add votes.
                let statement = timeout(view, high, voted.map(id));
                let signed = self.sign(member, statement);
                let certificate = self.attached(high);
                collector.timeout(&TimeoutMessage::assemble(signed, certificate).unwrap());
            }
        }
    }

    /// A certificate of a rank by everyone but members 0 and 1.
    fn attached(&self, rank: u64) -> Option<Verified<Certificate>> {
        let others: Vec<usize> = (2..self.keys.len()).collect();
        (rank > 0).then(|| self.quorum(&others, rank, id(rank as u8)))
    }
}

/// The one piece of evidence that was found, of member 1.
fn only(world: &World, collector: &mut EvidenceCollector) -> Evidence {
    let mut found = collector.take();
    assert_eq!(found.len(), 1, "{found:?}");
    let evidence = found.remove(0).into_inner();
    assert_eq!(evidence.accused(), MemberIndex(1));
    evidence.clone().verify(&world.committee).unwrap();
    evidence
}

fn finds(said: [Said; 2], offence: Offence) {
    let world = World::new(6);
    for order in [said, [said[1], said[0]]] {
        let mut collector = world.collector();
        for one in order {
            world.hear(&mut collector, 1, one);
            // Again: nothing new.
            world.hear(&mut collector, 1, one);
        }
        let evidence = only(&world, &mut collector);
        assert_eq!(evidence.offence(), offence);
    }
    // Said by two members it is no offence.
    let mut collector = world.collector();
    world.hear(&mut collector, 1, said[0]);
    world.hear(&mut collector, 0, said[1]);
    assert_eq!(collector.take(), []);
}

fn is_legal(said: &[Said]) {
    let world = World::new(6);
    let mut collector = world.collector();
    for one in said {
        world.hear(&mut collector, 1, *one);
    }
    assert_eq!(collector.take(), [], "{said:?}");
}

/// E1
#[test]
fn e1_double_proposal_is_found() {
    for kind in [ProposalKind::Normal, ProposalKind::Optimistic] {
        finds(
            [Said::Propose(5, kind, 1), Said::Propose(5, kind, 2)],
            Offence::E1,
        );
    }
    is_legal(&[
        Said::Propose(5, ProposalKind::Normal, 1),
        Said::Propose(5, ProposalKind::Optimistic, 2),
        Said::Propose(6, ProposalKind::Normal, 3),
    ]);
}

/// E2
#[test]
fn e2_double_vote_is_found() {
    finds([Said::Vote(5, 1), Said::Vote(5, 2)], Offence::E2);
    is_legal(&[Said::Vote(5, 1), Said::Vote(6, 2), Said::Vote(5, 1)]);
}

/// E3
#[test]
fn e3_double_commit_vote_is_found() {
    finds(
        [Said::CommitVote(5, 1), Said::CommitVote(5, 2)],
        Offence::E3,
    );
    is_legal(&[
        Said::CommitVote(5, 1),
        Said::CommitVote(6, 2),
        Said::Vote(5, 3),
    ]);
}

/// E4
#[test]
fn e4_hidden_vote_is_found() {
    finds([Said::Vote(5, 1), Said::Timeout(5, 4, None)], Offence::E4);
    finds(
        [Said::Vote(5, 1), Said::Timeout(5, 4, Some(2))],
        Offence::E4,
    );
    is_legal(&[
        Said::Vote(5, 1),
        Said::Timeout(5, 4, Some(1)),
        Said::Timeout(6, 4, None),
        Said::Timeout(4, 3, None),
    ]);
}

/// E5
#[test]
fn e5_broken_lock_is_found() {
    finds(
        [Said::CommitVote(5, 1), Said::Timeout(5, 4, None)],
        Offence::E5,
    );
    finds(
        [Said::CommitVote(5, 1), Said::Timeout(9, 4, None)],
        Offence::E5,
    );
    is_legal(&[
        Said::CommitVote(5, 1),
        Said::Timeout(6, 5, None),
        Said::Timeout(4, 3, None),
        Said::Timeout(9, 5, None),
    ]);
}

/// E5: the lock was taken long before the window of views that is kept.
#[test]
fn broken_lock_is_found_over_any_distance() {
    let world = World::new(4);
    let mut collector = world.collector();
    for view in [3, 5, 7] {
        collector.commit_vote(&world.sign(1, commit_vote(view, A)));
    }
    collector.certificate(&world.quorum(&[0, 2, 3], 1_000_000, A));
    collector.commit_vote(&world.sign(2, commit_vote(1_000_000, A)));
    assert_eq!(collector.take(), []);
    // Breaks the locks of 5 and 7; that of 7 is the one that is remembered.
    collector.timeout(&world.timeout(1, timeout(1_000_003, 4, None)));
    let evidence = only(&world, &mut collector);
    assert_eq!(Charge::of(&evidence).view, View(7));
    // The other way round: the commit vote of long ago comes last.
    let mut collector = world.collector();
    collector.certificate(&world.quorum(&[0, 2, 3], 1_000_000, A));
    collector.timeout(&world.timeout(1, timeout(1_000_003, 4, None)));
    assert_eq!(collector.take(), []);
    collector.commit_vote(&world.sign(1, commit_vote(4, A)));
    assert_eq!(collector.take(), []);
    collector.commit_vote(&world.sign(1, commit_vote(5, A)));
    assert_eq!(only(&world, &mut collector).offence(), Offence::E5);
}

/// E2, E3, E4, E5: one half, or both, stand in certificates only.
#[test]
fn certificates_are_unfolded_into_the_statements_they_hold() {
    let world = World::new(4);
    let mut collector = world.collector();
    collector.certificate(&world.quorum(&[0, 1, 2], 5, A));
    assert_eq!(collector.take(), []);
    collector.vote(&world.sign(1, vote(5, B)));
    assert_eq!(only(&world, &mut collector).offence(), Offence::E2);

    let mut collector = world.collector();
    collector.finality(&world.slow(&[0, 1, 2], 5, A));
    collector.commit_vote(&world.sign(1, commit_vote(5, B)));
    assert_eq!(only(&world, &mut collector).offence(), Offence::E3);

    let gave_up = [
        (1, timeout(5, 3, None)),
        (2, timeout(5, 3, Some(A))),
        (3, timeout(5, 3, None)),
    ];
    let mut collector = world.collector();
    collector.justification(&world.timeouts(&gave_up));
    collector.certificate(&world.quorum(&[0, 1, 2], 5, A));
    assert_eq!(only(&world, &mut collector).offence(), Offence::E4);

    let mut collector = world.collector();
    collector.finality(&world.slow(&[0, 1, 2], 4, A));
    let mut gave_up = gave_up;
    gave_up[1].1.high_view = View(4);
    collector.justification(&world.timeouts(&gave_up));
    assert_eq!(only(&world, &mut collector).offence(), Offence::E5);
}

/// E4, E5: of several timeouts of one view none hides another.
#[test]
fn a_second_timeout_of_a_view_counts_too() {
    let world = World::new(6);
    let (honest, lies) = (Said::Timeout(9, 7, Some(1)), Said::Timeout(9, 2, None));
    for order in [[honest, lies], [lies, honest]] {
        let mut collector = world.collector();
        for one in order {
            world.hear(&mut collector, 1, one);
        }
        assert_eq!(
            collector.take(),
            [],
            "two timeouts are no offence by themselves"
        );
        world.hear(&mut collector, 1, Said::Vote(9, 1));
        assert_eq!(only(&world, &mut collector).offence(), Offence::E4);
        world.hear(&mut collector, 1, Said::CommitVote(6, 1));
        assert_eq!(only(&world, &mut collector).offence(), Offence::E5);
    }
}

#[test]
fn evidence_is_given_out_once_per_view_and_a_few_times_per_offence() {
    let world = World::new(4);
    let mut collector = world.collector();
    for view in 1..20 {
        for block in 1..5 {
            collector.vote(&world.sign(1, vote(view, id(block))));
        }
    }
    let found = collector.take();
    assert_eq!(found.len(), EVIDENCE_PER_OFFENCE_MAX);
    let charges: BTreeSet<_> = found.iter().map(|one| Charge::of(one)).collect();
    assert_eq!(charges.len(), found.len());
    // What came from elsewhere counts too.
    let mut other = world.collector();
    assert!(found.iter().all(|one| other.note(one)));
    assert!(!found.iter().any(|one| other.note(one)), "known");
    for view in 1..20 {
        other.vote(&world.sign(1, vote(view, A)));
        other.vote(&world.sign(1, vote(view, B)));
    }
    assert_eq!(other.take(), []);
    other.vote(&world.sign(2, vote(5, A)));
    other.vote(&world.sign(2, vote(5, B)));
    assert_eq!(
        other.take().len(),
        1,
        "another member has a share of its own"
    );
}

/// Everyone says everything in every view: what is kept stays under its limit, and the last views are all there.
#[test]
fn memory_is_bounded() {
    let world = World::new(4);
    let mut collector = world.collector();
    let views = 2 * WINDOW_VIEWS_MAX;
    let certificate = world.quorum(&[0, 1, 2], 1, A);
    collector.certificate(&certificate);
    for view in 1..=views {
        collector.advance(View(view));
        for member in 0..4 {
            collector.vote(&world.sign(member, vote(view, A)));
            collector.commit_vote(&world.sign(member, commit_vote(view, A)));
        }
    }
    let kept = collector.statements() as u64;
    assert!(kept <= 4 * 2 * (WINDOW_VIEWS_MAX + 2), "{kept}");
    assert!(kept <= STATEMENTS_MAX);
    collector.vote(&world.sign(1, vote(views - WINDOW_VIEWS_MAX - 1, B)));
    assert_eq!(collector.take(), [], "forgotten");
    collector.vote(&world.sign(1, vote(views - WINDOW_VIEWS_MAX, B)));
    assert_eq!(collector.take().len(), 1, "the first view that is kept");
    // Views that nobody reached are not kept.
    let before = collector.statements();
    collector.vote(&world.sign(1, vote(views + 65, B)));
    assert_eq!(collector.statements(), before);
    collector.vote(&world.sign(1, vote(views + 64, B)));
    assert_eq!(collector.statements(), before + 1);
}

/// One honest member over many views, as the rules allow it: R2 to R5, R8, late votes, and restarts that say again.
fn honest(choices: &[(u8, u8)]) -> Vec<Said> {
    let (mut view, mut high) = (1_u64, 0_u64);
    let mut voted: Option<(u64, u8)> = None;
    let (mut committed, mut gave_up) = (0, 0);
    let mut proposed = BTreeSet::new();
    let mut out: Vec<Said> = Vec::new();
    for (choice, detail) in choices {
        let back = u64::from(detail % 4);
        let last_vote = voted.map_or(0, |(view, _)| view);
        match choice % 8 {
            0 if last_vote < view && gave_up < view => {
                voted = Some((view, detail % 3));
                out.push(Said::Vote(view, detail % 3));
            }
            // A quorum certificate, maybe of an older or a later view; commit vote (R5).
            1 | 2 => {
                let of = (view + 1).saturating_sub(back).max(1);
                high = high.max(of);
                view = view.max(of + 1);
                if gave_up < of && committed < of {
                    committed = of;
                    out.push(Said::CommitVote(of, detail % 3));
                }
            }
            3 | 4 if gave_up < view => {
                gave_up = view;
                let mine = voted.filter(|(of, _)| *of == view).map(|(_, block)| block);
                out.push(Said::Timeout(view, high, mine));
            }
            // A timeout certificate: it may bring a better certificate.
            5 => {
                high = high.max(view.saturating_sub(back));
                view += 1;
            }
            // Late vote (R4).
            6 => {
                let of = view.saturating_sub(1 + back);
                if of > 0 && last_vote < of && gave_up < of {
                    voted = Some((of, detail % 3));
                    out.push(Said::Vote(of, detail % 3));
                }
            }
            7 => {
                let kind =
                    [ProposalKind::Normal, ProposalKind::Optimistic][usize::from(detail % 2)];
                if proposed.insert((view, kind)) {
                    out.push(Said::Propose(view, kind, detail % 3));
                }
            }
            _ => {}
        }
        if detail % 7 == 0 {
            out.extend(out.last().copied());
        }
    }
    out
}

/// The offences among what one member said, restated on its own: all pairs.
fn oracle(said: &[Said]) -> BTreeSet<Offence> {
    let mut out = BTreeSet::new();
    for one in said {
        for two in said {
            out.extend(match (*one, *two) {
                (Said::Propose(v, k, a), Said::Propose(w, l, b)) if v == w && k == l && a != b => {
                    Some(Offence::E1)
                }
                (Said::Vote(v, a), Said::Vote(w, b)) if v == w && a != b => Some(Offence::E2),
                (Said::CommitVote(v, a), Said::CommitVote(w, b)) if v == w && a != b => {
                    Some(Offence::E3)
                }
                (Said::Vote(v, a), Said::Timeout(w, _, b)) if v == w && b != Some(a) => {
                    Some(Offence::E4)
                }
                (Said::CommitVote(v, _), Said::Timeout(w, high, _)) if w >= v && high < v => {
                    Some(Offence::E5)
                }
                _ => None,
            });
        }
    }
    out
}

fn anything() -> impl Strategy<Value = Said> {
    let kind = prop_oneof![Just(ProposalKind::Normal), Just(ProposalKind::Optimistic)];
    prop_oneof![
        (1..6_u64, kind, 0..2_u8).prop_map(|(view, kind, block)| Said::Propose(view, kind, block)),
        (1..6_u64, 0..3_u8).prop_map(|(view, block)| Said::Vote(view, block)),
        (1..6_u64, 0..3_u8).prop_map(|(view, block)| Said::CommitVote(view, block)),
        (1..6_u64, 0..6_u64, prop::option::of(0..3_u8))
            .prop_map(|(view, high, voted)| Said::Timeout(view, high % view, voted)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// E1 to E5: an honest member commits none, in whatever order its statements are heard.
    #[test]
    fn statements_of_an_honest_member_are_no_evidence(
        choices in prop::collection::vec(any::<(u8, u8)>(), 1..120),
        seed: u64,
    ) {
        let world = World::new(6);
        let mut collector = world.collector();
        let mut said = honest(&choices);
        prop_assert_eq!(oracle(&said), BTreeSet::new());
        shuffle(&mut said, seed);
        for one in said {
            world.hear(&mut collector, 1, one);
        }
        prop_assert_eq!(collector.take(), vec![]);
    }

    /// Every offence that is there is found, and no other, in whatever order.
    #[test]
    fn exactly_the_offences_committed_are_found(
        first in prop::collection::vec(anything(), 0..14),
        second in prop::collection::vec(anything(), 0..14),
        seed: u64,
    ) {
        let world = World::new(6);
        let mut collector = world.collector();
        let mut said: Vec<(usize, Said)> = Vec::new();
        said.extend(first.iter().map(|one| (0, *one)));
        said.extend(second.iter().map(|one| (1, *one)));
        shuffle(&mut said, seed);
        for (member, one) in said {
            world.hear(&mut collector, member, one);
        }
        let found = collector.take();
        for (member, said) in [(0, first), (1, second)] {
            let offences: BTreeSet<Offence> = found
                .iter()
                .filter(|evidence| evidence.accused() == MemberIndex(member))
                .map(|evidence| evidence.offence())
                .collect();
            prop_assert_eq!(offences, oracle(&said), "member {}: {:?}", member, said);
        }
        prop_assert!(found.iter().all(|evidence| evidence.accused().0 < 2));
    }
}

/// An order that depends on the seed alone.
fn shuffle<T>(list: &mut [T], mut seed: u64) {
    for at in (1..list.len()).rev() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        list.swap(at, (seed >> 33) as usize % (at + 1));
    }
}
