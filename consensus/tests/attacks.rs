//! The scripted attacks of protocol section 8: what random play never finds.
//!
//! *split* was checked to bite by taking out what stops it: in a copy of the workspace with `COMMITTED_WITHIN_VIEWS` of
//! `propose.rs` set to `u64::MAX` (R3 without its commit condition), `attack_split_ends_when_no_block_was_final_lately`
//! fails: votes are split in every view to the end of the run, views 7 to 67, and no block of them becomes final. With
//! 3, as it is, the last view with split votes is 11; with 5, 6, 7, 12 it is 12, 13, 15, 19.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a broken expectation is a failed test"
)]

mod support;

use outrider_consensus::{Config, Input};
use outrider_types::block::BLOCK_VERSION;
use outrider_types::crypto::sha256;
use outrider_types::{
    Block, BlockId, CommitteeId, ConsensusMessage, Height, Justification, MemberIndex, PayloadId,
    Proposal, ProposalKind, Signed, Timeout, TimeoutMessage, Timestamp, Verified, View, Vote,
};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;
use support::exact::{D, entered, exact, latencies, sent};
use support::link::{self, Link};
use support::open;
use support::world::{BASE, CAP, Kind, Local, World};

/// Section 8, *hidden qc*: nobody but the next leader learns of the certificate, and timers are at their cap. The
/// forwarding of R1 gets it there after a quarter of the timer.
#[test]
fn attack_hidden_qc() {
    // Ten views without a proposal bring the timers to their cap; then member 3 leads view 11, and member 0 view 12.
    let attack: Link = Box::new(|packet, _| {
        let hidden = match packet.message {
            Some(ConsensusMessage::Proposal(proposal)) => {
                proposal.block.view.0 < 11 || packet.from == 3 && packet.to == 0
            }
            Some(ConsensusMessage::Vote(_) | ConsensusMessage::CommitVote(_)) => {
                packet.from == 3 && packet.to == 0
            }
            _ => packet.from == 3,
        };
        if hidden { Vec::new() } else { vec![D] }
    });
    let mut world = exact(1, &[1; 4], &[Kind::Honest; 4], attack);
    // Member 3 withholds its timeouts as well, so tcs need all the others: they still come.
    assert!(world.run_until_height(1, world.now + 40 * CAP));
    let proposed = sent(&world, 12).expect("member 0 proposed in view 12");
    let waited = proposed - entered(&world, 1, 12);
    assert!(waited <= CAP / 4 + D, "view 12 stood still for {waited} us");
    assert!(world.run_until_height(8, world.now + 4 * CAP));
}

/// Section 8, *selective fast votes*: one member's votes reach a single other member. As R5 knows no exception, all
/// commit, the others one delay later.
#[test]
fn attack_selective_fast_votes() {
    let attack: Link = Box::new(|packet, _| {
        let hidden = packet.from == 3
            && match packet.message {
                Some(ConsensusMessage::Vote(_)) => packet.to != 0,
                Some(ConsensusMessage::CommitVote(_)) => true,
                _ => false,
            };
        if hidden { Vec::new() } else { vec![D] }
    });
    let mut world = exact(1, &[1; 4], &[Kind::Honest; 4], attack);
    world.run_until(world.now + 41 * D);
    for node in 0..3 {
        let commits = latencies(&world, node);
        assert!(commits.len() >= 15, "member {node}: {}", commits.len());
        for (view, delay, fast) in commits {
            let expected = if node == 0 {
                (2 * D, true)
            } else {
                (3 * D, false)
            };
            assert_eq!((delay, fast), expected, "member {node}, view {view}");
        }
    }
}

/// Section 8, *restart one view apart*: member 0 is in view 2 and gave up there, the others gave up in view 1 and have
/// not seen the timeout certificate; all restart. The entry certificate, kept on disk and handed on (R8, R11), brings
/// them together.
#[test]
fn attack_restart_one_view_apart() {
    let apart: Link = Box::new(|packet, _| match packet.message {
        Some(ConsensusMessage::Timeout(_)) if packet.to == 0 => vec![D],
        _ => Vec::new(),
    });
    let kinds = [Kind::Honest, Kind::Honest, Kind::Honest, Kind::Silent];
    let mut world = exact(1, &[1; 4], &kinds, apart);
    world.run_until(world.now + 3 * BASE);
    let views = |world: &World| -> Vec<(u64, u64)> {
        let safety = world.honest().into_iter().map(|node| {
            let safety = world.nodes[node].disk.safety.as_ref().unwrap();
            (safety.view.0, safety.timed_out.unwrap().view.0)
        });
        safety.collect()
    };
    assert_eq!(views(&world), [(2, 2), (1, 1), (1, 1)]);
    world
        .honest()
        .into_iter()
        .for_each(|node| world.crash(node));
    world.link = link::fixed(D);
    world
        .honest()
        .into_iter()
        .for_each(|node| world.start(node));
    assert!(world.run_until_height(3, world.now + 20 * BASE));
}

/// Timer of every view in the *split* world, base and cap at once: what the attack does to timers is no part of it.
const TIMER: u64 = 20 * D;
/// What the adversary lets travel fast; everything between honest members arrives within [`D`].
const FAST: u64 = D / 10;
/// The Byzantine member; it leads views 3, 7, 11 ..
const Z: usize = 3;

/// Everything that honest members sent.
#[derive(Default)]
struct Heard {
    blocks: BTreeMap<(u64, ProposalKind), Block>,
    votes: BTreeMap<(u64, usize), Verified<Signed<Vote>>>,
    timeouts: BTreeMap<(u64, usize), Verified<TimeoutMessage>>,
}

/// The adversary of *split*: one Byzantine voter that hears everything, knows the time, and picks delays up to `D`.
struct Splitter {
    world: World,
    heard: Rc<RefCell<Heard>>,
}

/// The two blocks that one view's votes are split between, and who did what. The next leader is among the first two.
#[derive(Clone, Copy, Debug)]
struct Split {
    /// Optimistic, with the votes of two honest members.
    ahead: Block,
    /// Normal, with the vote of one.
    normal: Block,
    /// Gives up on the view and reports the vote for `ahead`. The next leader, if that is honest.
    loser: usize,
    /// Sees `ahead` certified just before its timer fires.
    winner: usize,
    /// Voted for `normal` and gives up. The leader, if that is honest.
    normal_voter: usize,
}

impl Splitter {
    fn new(seed: u64) -> Self {
        let heard = Rc::new(RefCell::new(Heard::default()));
        let tap = Rc::clone(&heard);
        let link: Link = Box::new(move |packet, _| {
            let (from, mut heard) = (packet.from, tap.borrow_mut());
            let (committee, _) = outrider_types::testing::committee(&[1; 4]);
            match packet.message.and_then(|message| open(message, &committee)) {
                Some(Input::Proposal { proposal }) => {
                    let at = (proposal.block.view.0, proposal.kind);
                    heard.blocks.insert(at, proposal.block);
                }
                Some(Input::Vote { vote }) => {
                    heard.votes.insert((vote.view.0, from), vote);
                }
                Some(Input::Timeout { timeout }) => {
                    let view = timeout.timeout.view.0;
                    heard.timeouts.insert((view, from), timeout);
                    // The timeouts of a view reach the next leader first.
                    let next = (view + 1) % 4;
                    return vec![if packet.to as u64 == next { FAST } else { D }];
                }
                _ => {}
            }
            vec![D]
        });
        let kinds = [Kind::Honest, Kind::Honest, Kind::Honest, Kind::Silent];
        let config = Config {
            base_timeout: Duration::from_micros(TIMER),
            timeout_cap: Duration::from_micros(TIMER),
            dead_after_views: 0,
        };
        let world = World::with(seed, &[1; 4], &kinds, link, Local::default(), (0, config));
        Self { world, heard }
    }

    fn key(&self) -> &outrider_types::SecretKey {
        &self.world.keys[Z]
    }

    /// The Byzantine vote reaches one member, now.
    fn vote(&mut self, to: usize, block: &Block) {
        let vote = Vote {
            epoch: block.epoch,
            view: block.view,
            block: block.id(),
        };
        let chain = self.world.committee.chain();
        let vote = Signed::sign(vote, chain, MemberIndex(Z as u16), self.key());
        self.world.step(to, Input::Vote { vote });
    }

    /// The Byzantine timeout of a view, which says that it voted for this block.
    fn timeout(&self, block: &Block) -> Verified<TimeoutMessage> {
        let timeout = Timeout {
            epoch: block.epoch,
            view: block.view,
            high_view: View(0),
            voted: Some(block.id()),
        };
        let chain = self.world.committee.chain();
        let signed = Signed::sign(timeout, chain, MemberIndex(Z as u16), self.key());
        TimeoutMessage::assemble(signed, None).unwrap()
    }

    fn propose(
        &mut self,
        to: usize,
        block: &Block,
        kind: ProposalKind,
        carried: Option<&Verified<Justification>>,
    ) {
        let proposal = Proposal::sign(*block, kind, carried.cloned(), self.key());
        self.world.step(to, Input::Proposal { proposal });
    }

    fn block(&self, view: u64, parent: &Block, salt: u8) -> Block {
        Block {
            roots: outrider_types::Roots::NONE,
            origin: outrider_types::Origin::NONE,
            version: BLOCK_VERSION,
            chain: self.world.committee.chain(),
            epoch: self.world.committee.epoch(),
            view: View(view),
            height: Height(parent.height.0 + 1),
            parent: parent.id(),
            justify: View(view - 1),
            payload: PayloadId(sha256(&[&[salt]])),
            timestamp: Timestamp(parent.timestamp.0 + 1),
            proposer: MemberIndex(Z as u16),
            next: CommitteeId::NONE,
        }
    }

    fn view(&self, node: usize) -> u64 {
        self.world.nodes[node].replica.as_ref().unwrap().view().0
    }

    fn voted(&self, node: usize, view: u64) -> Option<BlockId> {
        self.world.log.voted(node, view)
    }

    /// Run until the honest members are in a view or past it; false if they are not in time.
    fn reach(&mut self, view: u64) -> bool {
        let end = self.world.now + 12 * TIMER;
        while (0..Z).any(|node| self.view(node) < view) {
            if self.world.now >= end {
                return false;
            }
            self.world.run_until(self.world.now + FAST);
        }
        true
    }

    /// When the timer of a member fires.
    fn deadline(&self, node: usize, view: u64) -> u64 {
        entered(&self.world, node, view) + TIMER
    }

    /// In a view that it leads: the block ahead to two members, another one on the same parent to the third.
    fn begin(&mut self, view: u64) -> Split {
        assert!(self.reach(view));
        let heard = self.heard.borrow();
        let votes: Vec<_> = (0..Z)
            .filter_map(|node| heard.votes.get(&(view - 1, node)).cloned())
            .collect();
        let parent = votes.first().expect("votes for the parent").block;
        let mut blocks = heard.blocks.values();
        let parent = *blocks.find(|block| block.id() == parent).unwrap();
        drop(heard);
        let qc = Verified::quorum(&votes, &self.world.committee).expect("a view of votes");
        let (loser, winner, normal_voter) = (0, 1, 2);
        let split = Split {
            ahead: self.block(view, &parent, 1),
            normal: self.block(view, &parent, 2),
            loser,
            winner,
            normal_voter,
        };
        self.offer(&split, &qc.into());
        split
    }

    /// Its two proposals of a view, to those who shall vote for them; then to everyone, so that nobody lacks a block.
    fn offer(&mut self, split: &Split, carried: &Verified<Justification>) {
        let normal = (split.normal, ProposalKind::Normal, Some(carried));
        let ahead = (split.ahead, ProposalKind::Optimistic, None);
        let first = [
            (split.normal_voter, normal, ahead),
            (split.loser, ahead, normal),
            (split.winner, ahead, normal),
        ];
        for (to, (block, kind, carried), _) in first {
            self.propose(to, &block, kind, carried);
        }
        // Payloads are checked, votes are cast.
        self.world.run_until(self.world.now + FAST);
        for (to, _, (block, kind, carried)) in first {
            self.propose(to, &block, kind, carried);
        }
    }

    /// Whether the votes of this view are split as told.
    fn stands(&self, split: &Split) -> bool {
        let view = split.ahead.view.0;
        [
            (split.loser, split.ahead),
            (split.winner, split.ahead),
            (split.normal_voter, split.normal),
        ]
        .iter()
        .all(|(node, block)| {
            self.view(*node) == view && self.voted(*node, view) == Some(block.id())
        })
    }

    /// From a view whose votes are split to the next; none if its votes are not split.
    fn go_on(&mut self, split: &Split) -> Option<Split> {
        let view = split.ahead.view.0;
        let Split {
            loser,
            winner,
            normal_voter,
            ..
        } = *split;
        let next_leads = (view + 1) % 4 != Z as u64;
        let fires = self.deadline(normal_voter, view);
        let just_before = fires.min(self.deadline(winner, view)) - 1;
        self.world.run_until(just_before);
        assert!(
            self.stands(split),
            "nobody has given up or gone on: {split:?}"
        );
        // The certificate is complete for one member, which leaves the view.
        self.vote(winner, &split.ahead);
        if next_leads {
            // The next leader needs the Byzantine timeout, and so gives up as soon as one more does.
            let timeout = self.timeout(&split.normal);
            self.world.step(loser, Input::Timeout { timeout });
        }
        self.world.run_until(fires);
        assert!(self.world.log.timed_out(normal_voter, view));
        if next_leads {
            // So does the one that gave up; the next leader learns of enough timeouts, but of no certificate.
            self.vote(normal_voter, &split.ahead);
            self.world.run_until(fires + 3 * D);
            return self.next_of_honest(split);
        }
        self.world.run_until(fires.max(self.deadline(loser, view)));
        self.next_of_its_own(split)
    }

    /// What the honest leader of the next view made of it.
    fn next_of_honest(&self, split: &Split) -> Option<Split> {
        let view = split.ahead.view.0 + 1;
        let heard = self.heard.borrow();
        let next = Split {
            ahead: *heard.blocks.get(&(view, ProposalKind::Optimistic))?,
            normal: *heard.blocks.get(&(view, ProposalKind::Normal))?,
            normal_voter: split.loser,
            // The leader after that must not see the certificate; if that is Byzantine, it does not matter who.
            loser: if (view + 1) % 4 == split.winner as u64 {
                split.winner
            } else {
                split.normal_voter
            },
            winner: if (view + 1) % 4 == split.winner as u64 {
                split.normal_voter
            } else {
                split.winner
            },
        };
        self.stands(&next).then_some(next)
    }

    /// The next view is its own: it adopts the one block and extends the other as well.
    fn next_of_its_own(&mut self, split: &Split) -> Option<Split> {
        let view = split.ahead.view.0;
        let heard = self.heard.borrow();
        let mut timeouts: Vec<_> = [split.loser, split.normal_voter]
            .iter()
            .filter_map(|node| heard.timeouts.get(&(view, *node)).cloned())
            .collect();
        drop(heard);
        timeouts.push(self.timeout(&split.normal));
        timeouts.sort_by_key(|timeout| timeout.timeout.signer);
        let tc = Verified::timeouts(&timeouts, &self.world.committee).expect("enough timeouts");
        assert_eq!(tc.resolved().block, Some(split.normal.id()), "adopted");
        let (mut loser, mut winner) = (split.loser, split.winner);
        if (view + 2) % 4 == winner as u64 {
            (loser, winner) = (winner, loser);
        }
        let next = Split {
            ahead: self.block(view + 1, &split.ahead, 1),
            normal: self.block(view + 1, &split.normal, 2),
            loser,
            winner,
            normal_voter: split.normal_voter,
        };
        // Two enter by the certificate, the third by the timeouts that its proposal carries.
        self.vote(split.loser, &split.ahead);
        self.offer(&next, &tc);
        self.world.run_until(self.world.now + 3 * D);
        self.stands(&next).then_some(next)
    }

    /// Split the votes of this view, which it leads, and of every view after it for as long as that works or until
    /// `last`: the last view whose votes were split.
    fn attack(&mut self, view: u64, last: u64) -> u64 {
        let mut split = self.begin(view);
        assert!(self.stands(&split), "the first view is split");
        while split.ahead.view.0 < last {
            match self.go_on(&split) {
                Some(next) => split = next,
                None => break,
            }
        }
        split.ahead.view.0
    }
}

/// Section 8, *split*: in each view one part of the votes goes to a block proposed ahead, which a Byzantine voter
/// completes towards everyone but the next leader; the other part to the normal proposal, which the timeouts make that
/// leader adopt. So it has two parents, and the votes for its two blocks are split again. It ends because nothing is
/// proposed ahead when no block of the last views is final (R3).
#[test]
fn attack_split_ends_when_no_block_was_final_lately() {
    for seed in 0..3 {
        let mut splitter = Splitter::new(seed);
        let mut start = 7;
        for round in 0..3 {
            assert!(splitter.reach(start - 1));
            let height = splitter.world.heights().1;
            let last = splitter.attack(start, start + 60);
            let what = format!("seed {seed}, round {round}: views {start} to {last}");
            assert!(last >= start + 3, "the attack works at all; {what}");
            assert!(last <= start + 4, "it goes on; {what}");
            assert!(splitter.world.heights().1 <= height + 2, "{what}");
            // And then all commit: what was proposed in the view after it at the latest.
            assert!(splitter.reach(last + 4), "{what}");
            assert!(splitter.world.heights().0 > height + 4, "{what}");
            let final_view = splitter.world.nodes[0].replica.as_ref().unwrap();
            assert!(final_view.committed().view.0 > last, "{what}");
            start = (last / 4 + 2) * 4 + 3;
        }
    }
}
