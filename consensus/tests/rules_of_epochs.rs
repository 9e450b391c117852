//! R13, the end of an epoch, and replicas without a seat, one test per sentence; worlds that run over several epochs are in
//! `worlds_of_epochs.rs`. The replica under test is member 0 of four equal members: Q = T = 3, F = 4, A = 2; it leads
//! views 4, 8, 12 .. of the first epoch and 3, 7, 11 .. of the second.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a broken expectation is a failed test"
)]

mod support;

use outrider_consensus::{Action, Input};
use outrider_types::{
    Block, BlockId, CommitteeId, ConsensusMessage, EpochEnd, FinalityCertificate, Height,
    Justification, Payload, PayloadId, ProposalKind, SafetyState, Timestamp, Verified, testing,
};
use support::lab::{
    Lab, assembles, called_bad, certificates, commit_votes, commits, handed, proposals, said,
    timeouts, votes,
};
use support::open;
use support::world::{BASE, CAP, config};

fn handed_on(certificate: impl Into<Verified<Justification>>) -> Input {
    Input::Certificate {
        justification: certificate.into(),
    }
}

/// Member 0 (or nobody, who is mute) in an epoch of so many heights.
fn epoch_of(blocks: u64, me: Option<usize>) -> Lab {
    let (committee, keys) = testing::committee(&[1; 4]);
    let committee = committee.with_epoch_blocks(blocks);
    let base = Block::genesis(&committee);
    Lab::of(config(), committee, keys, base, me)
}

/// A child that names the next committee.
fn last_of(lab: &Lab, parent: &Block) -> Block {
    let mut block = match parent.height {
        Height(0) => lab.block(1, parent, 0, 0),
        _ => lab.child(parent),
    };
    block.next = lab.committee.successor().id();
    block
}

fn filler(lab: &Lab, parent: &Block) -> Block {
    let mut block = lab.child(parent);
    block.payload = Payload::default().id();
    block
}

/// What a commit said: its blocks, its fillers, and the block of its proof.
fn ended(actions: &[Action]) -> Option<(Vec<BlockId>, Vec<Block>, BlockId)> {
    actions.iter().find_map(|action| match action {
        Action::Commit {
            blocks,
            fillers,
            certificate,
        } => Some((
            blocks.iter().map(|record| record.block.id()).collect(),
            fillers.clone(),
            certificate.block(),
        )),
        _ => None,
    })
}

// R13, the last block

#[test]
fn r13_the_last_block_of_an_epoch_names_a_committee_and_no_other_block_does() {
    let lab = epoch_of(2, Some(0));
    let (first, next) = (
        lab.block(1, &lab.base, 0, 0),
        lab.committee.successor().id(),
    );
    let mut early = first;
    early.next = next;
    let mut lab = epoch_of(2, Some(0));
    let actions = lab.step(lab.proposal(&early, None));
    assert!(
        called_bad(&actions) && timeouts(&actions).len() == 1,
        "too early"
    );

    let mut lab = epoch_of(2, Some(0));
    assert_eq!(votes(&lab.offer(&first, None)).len(), 1);
    let nameless = lab.child(&first);
    let actions = lab.step(lab.proposal(&nameless, Some(lab.qc(&first).into())));
    assert!(
        called_bad(&actions) && timeouts(&actions).len() == 1,
        "nameless"
    );

    let mut lab = epoch_of(2, Some(0));
    lab.offer(&first, None);
    let last = last_of(&lab, &first);
    let actions = lab.offer(&last, Some(lab.qc(&first).into()));
    assert_eq!(votes(&actions), [(2, last.id())]);

    // A filler names none either.
    let mut named = filler(&lab, &last);
    named.next = next;
    let actions = lab.step(lab.proposal(&named, Some(lab.qc(&last).into())));
    assert!(
        called_bad(&actions) && timeouts(&actions).len() == 1,
        "filler"
    );

    // Nor does any block of an epoch that does not end.
    let mut lab = epoch_of(0, Some(0));
    let mut block = lab.block(1, &lab.base, 0, 0);
    block.next = next;
    let actions = lab.step(lab.proposal(&block, None));
    assert!(
        called_bad(&actions) && timeouts(&actions).len() == 1,
        "endless"
    );
}

#[test]
fn r13_the_leader_is_asked_for_the_next_committee_at_the_last_height_only() {
    // Ahead, on voting for the block of height 3.
    for (blocks, last) in [(4, true), (5, false), (0, false)] {
        let mut lab = epoch_of(blocks, Some(0));
        let chain = lab.chain(&lab.base.clone(), 1..=2);
        let third = lab.child(&chain[1]);
        let actions = lab.offer(&third, Some(lab.qc(&chain[1]).into()));
        assert_eq!(assembles(&actions), [(4, third.id(), last)], "{blocks}");
        let proposal = proposals(&lab.assembled(&actions)).pop().unwrap();
        assert_eq!(proposal.block.next != CommitteeId::NONE, last, "{blocks}");
    }
    // And on entering a view.
    for (blocks, last) in [(1, true), (2, false), (0, false)] {
        let mut lab = epoch_of(blocks, Some(0));
        let actions = lab.step(handed_on(lab.tc(3, None, None)));
        assert_eq!(assembles(&actions), [(4, lab.base.id(), last)], "{blocks}");
        let actions = lab.assembled(&actions);
        let block = proposals(&actions).pop().unwrap().block;
        assert_eq!(block.next == lab.committee.successor().id(), last);
        assert_eq!(votes(&actions), [(4, block.id())], "{blocks}");
    }
}

// R13, fillers

#[test]
fn r13_a_filler_is_proposed_at_once_without_a_payload() {
    // Ahead, on voting for the last block.
    let mut lab = epoch_of(3, Some(0));
    let chain = lab.chain(&lab.base.clone(), 1..=2);
    let last = last_of(&lab, &chain[1]);
    let actions = lab.offer(&last, Some(lab.qc(&chain[1]).into()));
    assert!(assembles(&actions).is_empty());
    let proposal = proposals(&actions).pop().expect("a filler");
    assert_eq!(proposal.kind, ProposalKind::Optimistic);
    let block = proposal.block;
    assert_eq!((block.view.0, block.height.0), (4, 4), "heights go on");
    assert_eq!((block.parent, block.next), (last.id(), CommitteeId::NONE));
    assert_eq!(block.payload, Payload::default().id());

    // On entering a view, on top of a filler too.
    let mut lab = epoch_of(2, Some(0));
    let first = lab.chain(&lab.base.clone(), 1..=1)[0];
    let last = last_of(&lab, &first);
    lab.offer(&last, Some(lab.qc(&first).into()));
    let actions = lab.step(handed_on(lab.tc(3, Some(&lab.qc(&last)), None)));
    assert!(assembles(&actions).is_empty());
    let proposal = proposals(&actions).pop().expect("a filler");
    assert_eq!(proposal.kind, ProposalKind::Normal);
    let fourth = proposal.block;
    assert_eq!((fourth.view.0, fourth.height.0), (4, 3));
    assert_eq!(votes(&actions), [(4, fourth.id())], "its own vote");
    let actions = lab.step(handed_on(lab.tc(7, Some(&lab.qc(&fourth)), None)));
    let eighth = proposals(&actions).pop().expect("a filler").block;
    assert_eq!((eighth.parent, eighth.height.0), (fourth.id(), 4));
}

#[test]
fn r13_a_filler_gets_votes_without_a_check_and_one_with_a_payload_is_a_bad_proposal() {
    let mut lab = epoch_of(1, Some(0));
    let last = last_of(&lab, &lab.base);
    assert_eq!(votes(&lab.offer(&last, None)), [(1, last.id())]);
    let sound = filler(&lab, &last);
    let actions = lab.step(lab.proposal(&sound, Some(lab.qc(&last).into())));
    assert!(
        !actions
            .iter()
            .any(|a| matches!(a, Action::CheckPayload { .. }))
    );
    assert_eq!(votes(&actions), [(2, sound.id())]);
    let mut laden = filler(&lab, &sound);
    laden.payload = PayloadId([9; 32]);
    let actions = lab.step(lab.proposal(&laden, Some(lab.qc(&sound).into())));
    assert!(called_bad(&actions) && votes(&actions).is_empty());
    assert_eq!(timeouts(&actions).len(), 1);
}

/// Base, an ordinary block, the last block of the epoch, and two fillers, all voted for.
fn at_the_end(me: Option<usize>) -> (Lab, Vec<Block>) {
    let mut lab = epoch_of(2, me);
    let mut chain = lab.chain(&lab.base.clone(), 1..=1);
    chain.push(last_of(&lab, &chain[0]));
    chain.push(filler(&lab, &chain[1]));
    for at in [1, 2] {
        lab.offer(&chain[at], Some(lab.qc(&chain[at - 1]).into()));
    }
    assert_eq!(lab.view(), 3);
    (lab, chain)
}

/// Three commit votes: the quorum.
fn finish(lab: &mut Lab, block: &Block) -> Vec<Action> {
    (1..4)
        .flat_map(|member| lab.step(lab.commit_vote(member, block)))
        .collect()
}

fn assert_over(lab: &mut Lab, last: &Block) {
    assert!(lab.replica.is_over());
    assert_eq!(lab.replica.committed(), last);
    assert_eq!(lab.replica.wake_at(), None);
    let next = lab.block(4, last, 2, 0);
    let inputs = [
        Input::Wake,
        lab.proposal(&next, Some(lab.tc(3, None, None))),
        lab.vote(1, &next),
        lab.commit_vote(1, &next),
        handed_on(lab.tc(9, None, None)),
        Input::Timeout {
            timeout: lab.timeout(1, 4, None, None),
        },
    ];
    lab.now += 100 * CAP;
    for input in inputs {
        let step = lab.replica.step(Timestamp(lab.now), input);
        assert!(step.is_empty(), "nothing more comes from it: {step:?}");
    }
    // Nor after a restart.
    let actions = lab.restart();
    assert!(lab.replica.is_over() && lab.replica.wake_at().is_none());
    assert!(
        actions.iter().all(|a| matches!(a, Action::Entered { .. })),
        "{actions:?}"
    );
}

#[test]
fn r13_a_final_filler_makes_the_epoch_final_up_to_its_last_block_and_ends_the_replica() {
    let (mut lab, chain) = at_the_end(Some(0));
    let actions = finish(&mut lab, &chain[2]);
    let (blocks, fillers, proven) = ended(&actions).expect("a commit");
    assert_eq!(
        blocks,
        [chain[0].id(), chain[1].id()],
        "no filler among them"
    );
    assert_eq!((fillers, proven), (vec![chain[2]], chain[2].id()));
    // What it says is the proof that the epoch is over.
    let proof = end_of(&actions, &chain[1]);
    assert!(proof.clone().verify(&lab.committee).is_ok());
    assert_eq!(proof.next(&lab.committee), lab.committee.successor());
    assert_over(&mut lab, &chain[1]);
}

fn end_of(actions: &[Action], last: &Block) -> EpochEnd {
    let found = actions.iter().find_map(|action| match action {
        Action::Commit {
            fillers,
            certificate,
            ..
        } => Some((fillers.clone(), FinalityCertificate::clone(certificate))),
        _ => None,
    });
    let (fillers, certificate) = found.expect("a commit");
    EpochEnd {
        last: *last,
        fillers,
        certificate,
        change: None,
    }
}

#[test]
fn r13_the_last_block_made_final_directly_ends_the_replica_too() {
    let (mut lab, chain) = at_the_end(Some(0));
    let actions = finish(&mut lab, &chain[1]);
    let (blocks, fillers, proven) = ended(&actions).expect("a commit");
    assert_eq!((blocks.len(), fillers.len()), (2, 0));
    assert_eq!(proven, chain[1].id());
    assert!(end_of(&actions, &chain[1]).verify(&lab.committee).is_ok());
    assert_over(&mut lab, &chain[1]);

    // By the fast path, in the step of its own vote.
    let mut lab = epoch_of(1, Some(0));
    let last = last_of(&lab, &lab.base);
    for member in 1..4 {
        lab.step(lab.vote(member, &last));
    }
    let actions = lab.offer(&last, None);
    assert_eq!(commits(&actions), [(vec![last.id()], true)]);
    assert_eq!(commit_votes(&actions).len() + votes(&actions).len(), 1);
    assert_over(&mut lab, &last);
}

#[test]
fn r13_the_step_that_ends_the_epoch_signs_no_filler() {
    // The certificate that makes the last block final would justify a filler that is here already.
    let mut lab = epoch_of(1, Some(0));
    let last = last_of(&lab, &lab.base);
    lab.offer(&last, None);
    lab.step(lab.optimistic(&filler(&lab, &last)));
    let actions = finish(&mut lab, &last);
    assert!(ended(&actions).is_some() && votes(&actions).is_empty());
    assert_over(&mut lab, &last);

    // Its own vote, in a view that it leads, makes the last block final.
    let mut lab = epoch_of(3, Some(0));
    let chain = lab.chain(&lab.base.clone(), 1..=2);
    let last = last_of(&lab, &chain[1]);
    lab.step(lab.proposal(&last, Some(lab.qc(&chain[1]).into())));
    for member in 1..4 {
        lab.step(lab.vote(member, &last));
    }
    assert_eq!(lab.view(), 4);
    let actions = lab.payload(&last, true);
    assert_eq!(votes(&actions), [(3, last.id())], "its late vote");
    assert!(ended(&actions).is_some() && proposals(&actions).is_empty());
    assert_over(&mut lab, &last);
}

#[test]
fn r13_what_is_below_the_last_block_does_not_end_the_epoch() {
    let (mut lab, chain) = at_the_end(Some(0));
    let actions = finish(&mut lab, &chain[0]);
    assert_eq!(commits(&actions).len(), 1);
    assert!(!lab.replica.is_over() && lab.replica.wake_at().is_some());
    let actions = finish(&mut lab, &chain[2]);
    let (blocks, fillers, _) = ended(&actions).expect("a commit");
    assert_eq!((blocks, fillers.len()), (vec![chain[1].id()], 1));
    assert_over(&mut lab, &chain[1]);
}

#[test]
fn r13_a_range_up_to_the_last_block_ends_the_replica() {
    let (lab, chain) = at_the_end(Some(0));
    let votes: Vec<_> = (1..4)
        .map(|member| match lab.commit_vote(member, &chain[1]) {
            Input::CommitVote { vote } => vote,
            _ => unreachable!(),
        })
        .collect();
    let certificate = Verified::slow(&votes, &lab.committee).unwrap();
    let mut behind = epoch_of(2, Some(0));
    let input = Input::CaughtUp {
        block: chain[1],
        certificate,
    };
    let actions = behind.step(input);
    assert!(said(&actions).is_empty());
    assert!(behind.replica.is_over() && behind.replica.wake_at().is_none());
}

// R13, the next epoch

/// An epoch of one block, of view 40, and member 0 in the next one.
fn second_epoch() -> (Lab, Lab) {
    let mut old = epoch_of(1, Some(0));
    let mut last = old.block(40, &old.base, 0, 0);
    last.next = old.committee.successor().id();
    old.step(handed_on(old.tc(39, None, None)));
    old.offer(&last, None);
    finish(&mut old, &last);
    assert!(old.replica.is_over());
    let next = old.committee.successor().with_epoch_blocks(3);
    let new = Lab::of(config(), next, old.keys.clone(), last, Some(0));
    (old, new)
}

#[test]
fn r13_the_next_epoch_starts_at_view_1_with_nothing_said_on_the_last_block_as_rank_0() {
    let (_, mut lab) = second_epoch();
    assert_eq!((lab.view(), lab.high()), (1, 0));
    assert_eq!(lab.replica.committed().view.0, 40, "of the old epoch");
    assert!(lab.replica.voted().is_none());
    let block = lab.block(1, &lab.base, 0, 0);
    assert_eq!((block.height.0, block.proposer.0), (2, 2));
    assert_eq!(votes(&lab.offer(&block, None)), [(1, block.id())]);
    let actions = finish(&mut lab, &block);
    assert_eq!(commits(&actions), [(vec![block.id()], false)]);
    assert_eq!((lab.view(), lab.high()), (2, 1));
    // And a restart finds it.
    lab.restart();
    assert_eq!(lab.replica.committed(), &block);
}

#[test]
fn r13_the_first_block_of_an_epoch_commits_fast_and_after_timeouts() {
    let (_, mut lab) = second_epoch();
    let block = lab.block(1, &lab.base, 0, 0);
    for member in 1..4 {
        lab.step(lab.vote(member, &block));
    }
    let actions = lab.offer(&block, None);
    assert_eq!(commits(&actions), [(vec![block.id()], true)]);

    let (_, mut lab) = second_epoch();
    let timeout = timeouts(&lab.wait(BASE))
        .pop()
        .expect("the timer of view 1");
    assert_eq!(
        (timeout.timeout.epoch.0, timeout.timeout.high_view.0),
        (1, 0)
    );
    let block = lab.block(2, &lab.base, 0, 0);
    let actions = lab.offer(&block, Some(lab.tc(1, None, None)));
    assert_eq!(votes(&actions), [(2, block.id())]);
    lab.restart();
    let actions = finish(&mut lab, &block);
    assert_eq!(commits(&actions), [(vec![block.id()], false)]);
}

#[test]
fn r13_a_first_block_that_claims_the_view_of_the_old_epoch_is_wrong() {
    let (_, mut lab) = second_epoch();
    let block = lab.block(41, &lab.base, 40, 0);
    lab.step(handed_on(lab.tc(40, None, None)));
    let actions = lab.step(lab.proposal(&block, None));
    assert!(called_bad(&actions) && votes(&actions).is_empty());
}

#[test]
fn r13_the_leader_of_the_next_epoch_proposes_on_the_last_block() {
    let (_, mut lab) = second_epoch();
    // Leaders move on by one with the epoch: member 0 leads view 3.
    let actions = lab.step(handed_on(lab.tc(2, None, None)));
    let actions = lab.assembled(&actions);
    let proposal = proposals(&actions).pop().expect("a proposal");
    assert_eq!(proposal.block.parent, lab.base.id());
    assert_eq!((proposal.block.justify.0, proposal.block.height.0), (0, 2));
    assert_eq!(votes(&actions), [(3, proposal.block.id())]);
}

#[test]
fn r13_no_message_of_one_epoch_counts_in_another() {
    let (old, new) = second_epoch();
    let block = old.block(1, &old.base, 0, 0);
    let messages = |lab: &Lab| -> Vec<ConsensusMessage> {
        let block = lab.block(1, &lab.base, 0, 0);
        let proposal = match lab.proposal(&block, None) {
            Input::Proposal { proposal } => proposal.into_inner(),
            _ => unreachable!(),
        };
        let commit = match lab.commit_vote(1, &block) {
            Input::CommitVote { vote } => vote.into_inner(),
            _ => unreachable!(),
        };
        vec![
            ConsensusMessage::Proposal(proposal),
            ConsensusMessage::Vote(lab.signed_vote(1, &block).into_inner()),
            ConsensusMessage::CommitVote(commit),
            ConsensusMessage::Timeout(lab.timeout(1, 2, Some(&lab.qc(&block)), None).into_inner()),
            ConsensusMessage::Certificate(Justification::Certificate(lab.qc(&block).into_inner())),
            ConsensusMessage::Certificate(lab.tc(1, None, None).into_inner()),
        ]
    };
    for (mine, other) in [(&old, &new), (&new, &old)] {
        for message in messages(mine) {
            assert!(open(&message, &mine.committee).is_some());
            assert!(open(&message, &other.committee).is_none(), "{message:?}");
        }
    }
    // What is said of an epoch is signed with it: changing the number breaks the signature.
    let mut vote = old.signed_vote(1, &block).into_inner();
    vote.statement.epoch = new.committee.epoch();
    assert!(vote.verify(&new.committee).is_err());
    // Nor does the safety state pass from one to the other.
    let state = old.replica.safety().to_bytes();
    assert!(SafetyState::restore(&state, &old.committee).is_ok());
    assert!(SafetyState::restore(&state, &new.committee).is_err());
}

// Mute

fn signed(message: &ConsensusMessage) -> bool {
    !matches!(message, ConsensusMessage::Certificate(_))
}

#[test]
fn a_replica_without_a_seat_follows_and_signs_nothing() {
    let (mut lab, chain) = at_the_end(None);
    assert_eq!(lab.replica.member(), None);
    assert_eq!(lab.disk.writes, 0, "nothing was signed");
    let actions = finish(&mut lab, &chain[0]);
    assert_eq!(commits(&actions), [(vec![chain[0].id()], false)]);
    let actions = finish(&mut lab, &chain[2]);
    assert_eq!(
        ended(&actions).map(|(blocks, ..)| blocks),
        Some(vec![chain[1].id()])
    );
    assert!(lab.replica.is_over());
    assert!(lab.disk.safety.is_none(), "it has no safety state to keep");
    assert!(
        lab.disk.records.contains_key(&chain[1].id()),
        "blocks it keeps"
    );
}

#[test]
fn a_replica_without_a_seat_waits_for_nobody_and_leads_nothing() {
    let mut lab = epoch_of(0, None);
    let mut all = Vec::new();
    let chain = lab.chain(&lab.base.clone(), 1..=3);
    all.extend(lab.step(handed_on(lab.qc(&chain[2]))));
    assert_eq!(lab.view(), 4, "that of member 0");
    for member in 1..4 {
        let timeout = lab.timeout(member, 4, None, None);
        all.extend(lab.step(Input::Timeout { timeout }));
    }
    assert_eq!(lab.view(), 5, "it counts the timeouts of others");
    for _ in 0..20 {
        assert_eq!(lab.replica.wake_at(), None);
        all.extend(lab.wait(CAP));
    }
    // A bad proposal, and one whose payload is bad.
    let mut bad = lab.block(5, &chain[2], 3, 0);
    bad.version += 1;
    all.extend(lab.step(lab.proposal(&bad, None)));
    let block = lab.block(5, &chain[2], 3, 0);
    all.extend(lab.step(lab.proposal(&block, None)));
    all.extend(lab.payload(&block, false));
    assert!(said(&all).iter().all(|message| !signed(message)));
    assert!(assembles(&all).is_empty() && certificates(&all).is_empty());
    assert!(handed(&all).is_empty());
    assert_eq!(lab.disk.writes, 0);
    let actions = lab.restart();
    assert!(said(&actions).is_empty() && lab.replica.wake_at().is_none());
}

#[test]
fn a_replica_without_a_seat_that_starts_late_finds_the_view_of_the_others() {
    let mut lab = epoch_of(0, None);
    let block = lab.block(500, &lab.base, 0, 0);
    lab.step(handed_on(lab.tc(499, None, None)));
    lab.offer(&block, None);
    assert_eq!(commits(&finish(&mut lab, &block)).len(), 1);
    lab.restart();
    assert_eq!(lab.view(), 1, "it keeps no view");
    // Votes of view 501 lie past its window; the certificate of view 500 brings it there.
    let next = lab.child(&block);
    lab.offer(&next, Some(lab.qc(&block).into()));
    assert_eq!(lab.view(), 501);
    assert_eq!(commits(&finish(&mut lab, &next)).len(), 1);
}
