//! Which certificates a replica gives out to be kept for the evidence period (protocol section 6).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a broken expectation is a failed test"
)]

use outrider_consensus::{Config, Input, Replica, Restored, Seat};
use outrider_types::{
    Block, BlockId, Certificate, Committee, Justification, MemberIndex, SecretKey, Signed, Timeout,
    TimeoutMessage, Timestamp, Verified, View, Vote, testing,
};

const NOW: Timestamp = Timestamp(1_000_000);

struct World {
    committee: Committee,
    keys: Vec<SecretKey>,
    replica: Replica,
}

impl World {
    fn new() -> Self {
        let (committee, keys) = testing::committee(&[1; 4]);
        let base = Block::genesis(&committee);
        let restored = Restored {
            root: base,
            safety: Verified::fresh(&committee),
            blocks: Vec::new(),
            vote_left: true,
        };
        let seat = Seat {
            member: MemberIndex(0),
            key: keys[0].clone(),
        };
        let config = Config::default();
        let (replica, mut first) =
            Replica::new(config, committee.clone(), Some(seat), &base, restored, NOW);
        assert!(first.take_kept().is_empty());
        Self {
            committee,
            keys,
            replica,
        }
    }

    /// By members 1 to 3.
    fn quorum(&self, view: u64) -> Verified<Certificate> {
        let vote = Vote {
            epoch: self.committee.epoch(),
            view: View(view),
            block: BlockId([u8::try_from(view).unwrap(); 32]),
        };
        let votes: Vec<_> = (1..4)
            .map(|member| {
                let index = MemberIndex(member);
                let key = &self.keys[usize::from(member)];
                Signed::sign(vote, testing::CHAIN, index, key)
            })
            .collect();
        Verified::<Certificate>::quorum(&votes, &self.committee).unwrap()
    }

    fn timeouts(&self, view: u64) -> Verified<Justification> {
        let timeout = Timeout {
            epoch: self.committee.epoch(),
            view: View(view),
            high_view: View(0),
            voted: None,
        };
        let messages: Vec<_> = (1..4)
            .map(|member| {
                let index = MemberIndex(member);
                let key = &self.keys[usize::from(member)];
                let signed = Signed::sign(timeout, testing::CHAIN, index, key);
                TimeoutMessage::assemble(signed, None).unwrap()
            })
            .collect();
        Verified::<Justification>::timeouts(&messages, &self.committee).unwrap()
    }

    fn kept_of(&mut self, justification: Verified<Justification>) -> Vec<Justification> {
        let mut step = self.replica.step(NOW, Input::Certificate { justification });
        step.take_kept()
    }
}

#[test]
fn certificate_that_moves_a_replica_or_is_commit_voted_on_is_kept_once() {
    let mut world = World::new();
    let first: Verified<Justification> = world.quorum(1).into();
    // R1 and R5 in one step.
    assert_eq!(world.kept_of(first.clone()), [(*first).clone()]);
    assert!(world.kept_of(first).is_empty(), "it changes nothing again");
    let third = world.timeouts(3);
    assert_eq!(world.kept_of(third.clone()), [(*third).clone()]);
}

/// A quorum certificate of a view that was left already moves nobody, but R5 commit-votes on it.
#[test]
fn late_certificate_that_is_commit_voted_on_is_kept() {
    let mut world = World::new();
    world.kept_of(world.timeouts(5));
    let late: Verified<Justification> = world.quorum(5).into();
    assert_eq!(world.kept_of(late.clone()), [(*late).clone()]);
    let older: Verified<Justification> = world.quorum(4).into();
    assert!(world.kept_of(older).is_empty());
}
