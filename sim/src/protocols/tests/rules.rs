//! The rules of the peers, one member in the hand: what it votes for and what it commits, from messages that a world with
//! honest leaders rarely makes.

use super::super::chain::{Block, Common};
use super::super::hotstuff::{self, HotStuff};
use super::super::jolteon::{self, Jolteon, TimeoutCertificate};
use super::super::streamlet::{self, Streamlet};
use super::super::tree::{Certificate, Header};
use super::super::{Outbox, Protocol, Setting};
use crate::fact::Micros;
use std::collections::BTreeMap;
use std::sync::Arc;

const BOUND: Micros = 1_000;

/// Member 0 of 4; member `view % 4` leads.
const SETTING: Setting = Setting {
    member: 0,
    members: 4,
    bound: BOUND,
};

/// A child of a certified block.
fn block(parent: &Block, view: u64) -> Block {
    Block {
        header: parent.header.child(view, SETTING.leader(view)),
        justify: certificate(parent),
    }
}

fn genesis() -> Block {
    Block {
        header: Header::GENESIS,
        justify: Certificate::genesis(),
    }
}

fn certificate(block: &Block) -> Certificate {
    let header = block.header;
    if header == Header::GENESIS {
        return Certificate::genesis();
    }
    Certificate {
        view: header.view,
        block: header.id,
        voters: Arc::new([1, 2, 3].into()),
    }
}

/// One member, and what it said and committed.
struct Hand<P: Protocol> {
    member: P,
    now: Micros,
    commits: Vec<u64>,
}

impl<P: Protocol> Hand<P> {
    fn new(mut member: P) -> Self {
        member.start(0, &mut Outbox::default());
        Self {
            member,
            now: 0,
            commits: Vec::new(),
        }
    }

    fn tell(&mut self, from: usize, message: &P::Message) -> Outbox<P::Message> {
        let mut out = Outbox::default();
        self.member.receive(self.now, from, message, &mut out);
        self.commits
            .extend(out.commits.iter().map(|(height, _)| *height));
        out
    }

    /// Let its timer fire.
    fn give_up(&mut self) {
        self.now = self.member.wake_at().unwrap();
        self.member.wake(self.now, &mut Outbox::default());
    }
}

impl Hand<HotStuff> {
    /// A proposal by its leader; whether it gets a vote.
    fn propose(&mut self, block: &Block) -> bool {
        let message = hotstuff::Message::Proposal(block.clone());
        let out = self.tell(block.header.proposer, &message);
        let vote = |message: &hotstuff::Message| {
            matches!(message, hotstuff::Message::Common(Common::Vote { .. }))
        };
        out.sends.iter().any(|outgoing| vote(&outgoing.message))
    }
}

impl Hand<Jolteon> {
    fn propose(&mut self, block: &Block, timeouts: Option<TimeoutCertificate>) -> bool {
        let message = jolteon::Message::Proposal(block.clone(), timeouts);
        let out = self.tell(block.header.proposer, &message);
        let vote = |message: &jolteon::Message| {
            matches!(message, jolteon::Message::Common(Common::Vote { .. }))
        };
        out.sends.iter().any(|outgoing| vote(&outgoing.message))
    }
}

impl Hand<Streamlet> {
    /// A proposal at the beginning of its epoch; whether it gets a vote.
    fn propose(&mut self, header: Header) -> bool {
        while self.member.view() < header.view {
            self.give_up();
        }
        let out = self.tell(header.proposer, &streamlet::Message::Proposal(header));
        out.sends
            .iter()
            .any(|outgoing| matches!(outgoing.message, streamlet::Message::Vote { voter: 0, .. }))
    }

    /// The votes of all others.
    fn notarize(&mut self, header: Header) {
        for voter in 1..4 {
            let vote = streamlet::Message::Vote {
                epoch: header.view,
                block: header.id,
                voter,
            };
            self.tell(voter, &vote);
        }
    }
}

#[test]
fn hotstuff_votes_once_in_a_view_and_never_back() {
    let mut hand = Hand::new(HotStuff::new(SETTING));
    let one = block(&genesis(), 1);
    assert!(hand.propose(&one));
    assert!(!hand.propose(&one), "again");
    assert!(hand.propose(&block(&one, 3)));
    assert!(!hand.propose(&block(&one, 2)), "an older view");
}

#[test]
fn hotstuff_does_not_vote_against_its_lock_without_a_higher_certificate() {
    let mut hand = Hand::new(HotStuff::new(SETTING));
    let one = block(&genesis(), 1);
    let two = block(&one, 2);
    let three = block(&two, 3);
    // The block of 3 brings the certificate of 2, which locks 1.
    assert!(hand.propose(&one) && hand.propose(&two) && hand.propose(&three));
    assert!(!hand.propose(&block(&genesis(), 5)), "beside the lock");
    assert!(hand.propose(&block(&one, 6)), "above the lock");
    let seven = block(&three, 7);
    assert!(hand.propose(&seven), "it locks 2");
    assert!(!hand.propose(&block(&one, 9)), "beside the new lock");
    let other = block(&one, 10);
    assert!(!hand.propose(&other), "still");
    // A branch certified later than the lock is right again.
    assert!(hand.propose(&block(&other, 11)));
}

#[test]
fn hotstuff_commits_three_in_a_row_only() {
    for (views, expected) in [
        ([1, 2, 3, 4], vec![1]),
        ([1, 2, 3, 7], vec![1]),
        ([1, 2, 4, 5], vec![]),
        ([1, 3, 4, 5], vec![]),
    ] {
        let mut hand = Hand::new(HotStuff::new(SETTING));
        let mut last = genesis();
        for view in views {
            last = block(&last, view);
            hand.propose(&last);
        }
        assert_eq!(hand.commits, expected, "{views:?}");
    }
}

#[test]
fn hotstuff_takes_no_certificate_without_a_quorum() {
    let mut hand = Hand::new(HotStuff::new(SETTING));
    let one = block(&genesis(), 1);
    assert!(hand.propose(&one));
    let mut two = block(&one, 2);
    two.justify.voters = Arc::new([1, 2].into());
    assert!(!hand.propose(&two));
    two.justify.voters = Arc::new([1, 2, 9].into());
    assert!(!hand.propose(&two), "9 is no member");
}

fn timeouts(round: u64, reported: [u64; 3]) -> Option<TimeoutCertificate> {
    let reported: BTreeMap<usize, u64> = (1..).zip(reported).collect();
    let reported = Arc::new(reported);
    Some(TimeoutCertificate { round, reported })
}

#[test]
fn jolteon_votes_only_above_all_that_the_timeouts_report() {
    for (reported, expected) in [([1, 0, 1], true), ([1, 2, 1], false)] {
        let mut hand = Hand::new(Jolteon::new(SETTING));
        let one = block(&genesis(), 1);
        assert!(hand.propose(&one, None));
        let four = block(&one, 5);
        assert_eq!(hand.propose(&four, timeouts(4, reported)), expected);
    }
}

#[test]
fn jolteon_needs_timeouts_of_the_round_before() {
    let after_one = || {
        let mut hand = Hand::new(Jolteon::new(SETTING));
        let one = block(&genesis(), 1);
        assert!(hand.propose(&one, None));
        (hand, one)
    };
    let (mut hand, one) = after_one();
    assert!(!hand.propose(&block(&one, 5), None), "none");
    assert!(!hand.propose(&block(&one, 5), timeouts(3, [1; 3])), "older");
    let (mut hand, one) = after_one();
    let mut few = timeouts(4, [1; 3]);
    if let Some(all) = few.as_mut() {
        all.reported = Arc::new([(1, 1), (2, 1)].into());
    }
    assert!(!hand.propose(&block(&one, 5), few), "too few");
    assert!(hand.propose(&block(&one, 5), timeouts(4, [1; 3])));
}

#[test]
fn jolteon_does_not_vote_in_a_round_that_it_gave_up() {
    let mut hand = Hand::new(Jolteon::new(SETTING));
    hand.give_up();
    let one = block(&genesis(), 1);
    assert!(!hand.propose(&one, None));
    assert!(hand.propose(&block(&one, 2), None), "the next one is open");
}

#[test]
fn jolteon_joins_one_honest_timeout_at_least() {
    let mut hand = Hand::new(Jolteon::new(SETTING));
    let timeout = jolteon::Message::Timeout {
        round: 1,
        high: Certificate::genesis(),
        entry: None,
    };
    assert_eq!(hand.tell(1, &timeout).timeouts, 0);
    assert_eq!(hand.tell(1, &timeout).timeouts, 0, "the same member again");
    assert_eq!(hand.tell(2, &timeout).timeouts, 1, "f + 1");
    hand.tell(3, &timeout);
    assert_eq!(hand.member.view(), 2, "a quorum ends the round");
}

#[test]
fn jolteon_commits_two_in_a_row_only() {
    for (rounds, expected) in [
        ([1, 2, 3], vec![1]),
        ([1, 2, 5], vec![1]),
        ([1, 3, 4], vec![]),
    ] {
        let mut hand = Hand::new(Jolteon::new(SETTING));
        let mut last = genesis();
        for round in rounds {
            let before = last.header.view;
            last = block(&last, round);
            hand.propose(&last, timeouts(round - 1, [before; 3]));
        }
        assert_eq!(hand.commits, expected, "{rounds:?}");
    }
}

#[test]
fn streamlet_votes_for_the_first_proposal_on_a_longest_notarized_chain() {
    let mut hand = Hand::new(Streamlet::new(SETTING));
    let one = Header::GENESIS.child(1, 1);
    assert!(hand.propose(one));
    // Not notarized yet: it is not a chain to build on.
    let two = one.child(2, 2);
    assert!(!hand.propose(two));
    hand.notarize(one);
    let three = one.child(3, 3);
    assert!(hand.propose(three));
    hand.notarize(three);
    assert!(!hand.propose(one.child(5, 1)), "a shorter chain");
    assert!(hand.propose(three.child(6, 2)));
    assert!(!hand.propose(three.child(6, 3)), "not the leader's");
}

#[test]
fn streamlet_commits_the_second_of_three_in_a_row_only() {
    for (epochs, expected) in [
        ([2, 3, 4], vec![1, 2]),
        ([1, 3, 4], vec![]),
        ([2, 3, 5], vec![]),
        ([2, 4, 5], vec![]),
    ] {
        let mut hand = Hand::new(Streamlet::new(SETTING));
        let mut last = Header::GENESIS;
        for epoch in epochs {
            last = last.child(epoch, SETTING.leader(epoch));
            hand.propose(last);
            hand.notarize(last);
        }
        assert_eq!(hand.commits, expected, "{epochs:?}");
    }
}
