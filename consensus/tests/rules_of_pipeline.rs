//! The rules that keep one block a delay going, one test per sentence: R2 where a proposal ahead stands, R3, and the
//! intent to vote (protocol section 3). The replica under test is member 0 of four equal members, Q = T = 3 and A = 2,
//! which leads views 4, 8, 12 ..; or of seven, Q = 5, which leads views 7, 14 ..

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a broken expectation is a failed test"
)]

mod support;

use outrider_consensus::{Action, Input};
use outrider_types::{
    Block, CommitteeId, ConsensusMessage, Justification, ProposalKind, Timestamp, Verified, encode,
};
use support::lab::{Lab, assembles, called_bad, certificates, proposals, said, timeouts, votes};
use support::world::BASE;

fn handed_on(certificate: impl Into<Verified<Justification>>) -> Input {
    Input::Certificate {
        justification: certificate.into(),
    }
}

/// In view 3, having voted for the block of view 3 and proposed ahead for view 4.
fn ahead() -> (Lab, Vec<Block>, Block) {
    let mut lab = Lab::four();
    let mut chain = lab.chain(&lab.base.clone(), 1..=2);
    let third = lab.child(&chain[1]);
    let actions = lab.offer(&third, Some(lab.qc(&chain[1]).into()));
    chain.push(third);
    let actions = lab.assembled(&actions);
    let proposal = proposals(&actions).pop().expect("a proposal ahead");
    assert_eq!((lab.view(), proposal.block.view.0), (3, 4));
    (lab, chain, proposal.block)
}

// R3

#[test]
fn r3_the_next_leader_proposes_a_child_on_voting_without_a_certificate() {
    let mut lab = Lab::four();
    let chain = lab.chain(&lab.base.clone(), 1..=2);
    let third = lab.child(&chain[1]);
    let actions = lab.offer(&third, Some(lab.qc(&chain[1]).into()));
    assert_eq!(votes(&actions), [(3, third.id())]);
    assert_eq!(assembles(&actions), [(4, third.id(), false)], "at once");
    let actions = lab.assembled(&actions);
    let proposal = proposals(&actions).pop().expect("a proposal");
    assert_eq!(proposal.kind, ProposalKind::Optimistic);
    assert_eq!(proposal.justification, None);
    assert_eq!(proposal.block.parent, third.id());
    assert_eq!((proposal.block.view.0, proposal.block.justify.0), (4, 3));
    assert!(proposal.block.timestamp > third.timestamp);
    let durable = lab.disk.safety.as_ref().unwrap();
    let recorded = durable.proposed_optimistic.expect("durable before it left");
    assert_eq!(recorded.block, proposal.block.id());
    assert!(votes(&actions).is_empty(), "its own vote waits for view 4");
}

#[test]
fn r3_nothing_is_proposed_ahead_before_the_vote() {
    let mut lab = Lab::four();
    let chain = lab.chain(&lab.base.clone(), 1..=2);
    let third = lab.child(&chain[1]);
    let actions = lab.step(lab.proposal(&third, Some(lab.qc(&chain[1]).into())));
    assert!(assembles(&actions).is_empty(), "an intent is not a vote");
    assert_eq!(assembles(&lab.payload(&third, true)).len(), 1);
}

#[test]
fn r3_nothing_is_proposed_ahead_unless_this_view_and_the_one_before_were_entered_by_votes() {
    // View 3 by a timeout certificate that adopts the block of view 2.
    let mut lab = Lab::four();
    let chain = lab.chain(&lab.base.clone(), 1..=2);
    let third = lab.child(&chain[1]);
    let actions = lab.offer(&third, Some(lab.tc(2, None, Some(chain[1].id()))));
    assert_eq!(votes(&actions).len(), 1);
    assert!(assembles(&actions).is_empty());

    // View 2 by one that adopts the block of view 1, view 3 by votes.
    let mut lab = Lab::four();
    let first = lab.chain(&lab.base.clone(), 1..=1)[0];
    let (second, adopting) = (lab.child(&first), lab.tc(1, None, Some(first.id())));
    assert_eq!(votes(&lab.offer(&second, Some(adopting))).len(), 1);
    let third = lab.child(&second);
    let actions = lab.offer(&third, Some(lab.qc(&second).into()));
    assert_eq!(votes(&actions).len(), 1);
    assert!(assembles(&actions).is_empty());

    // View 2 was passed over.
    let mut lab = Lab::four();
    let first = lab.block(2, &lab.base, 0, 0);
    lab.step(handed_on(lab.qc(&first)));
    lab.step(lab.record(&first, Some(lab.tc(1, None, None))));
    lab.payload(&first, true);
    let actions = lab.offer(&lab.child(&first), None);
    assert_eq!(votes(&actions).last().map(|vote| vote.0), Some(3));
    assert!(assembles(&actions).is_empty());
}

#[test]
fn r3_nothing_is_proposed_ahead_unless_a_block_of_the_last_three_views_is_final() {
    for (committed, allowed) in [(None, false), (Some(2), false), (Some(3), true)] {
        let mut lab = Lab::new(&[1; 7], 0);
        let chain = lab.chain(&lab.base.clone(), 1..=5);
        if let Some(view) = committed {
            for member in 1..6 {
                lab.step(lab.commit_vote(member, &chain[view - 1]));
            }
            assert_eq!(lab.replica.committed(), &chain[view - 1]);
        }
        let sixth = lab.child(&chain[4]);
        let actions = lab.offer(&sixth, Some(lab.qc(&chain[4]).into()));
        assert_eq!(votes(&actions), [(6, sixth.id())]);
        assert_eq!(
            assembles(&actions).len(),
            usize::from(allowed),
            "last final block of view {committed:?}, this is view 6"
        );
    }
}

#[test]
fn r3_a_commit_after_the_vote_opens_the_way() {
    let mut lab = Lab::new(&[1; 7], 0);
    let chain = lab.chain(&lab.base.clone(), 1..=6);
    // It has commit-voted itself.
    for member in 1..4 {
        assert!(assembles(&lab.step(lab.commit_vote(member, &chain[4]))).is_empty());
    }
    let actions = lab.step(lab.commit_vote(4, &chain[4]));
    assert_eq!(assembles(&actions), [(7, chain[5].id(), false)]);
}

#[test]
fn r3_nothing_is_proposed_ahead_after_giving_up_on_the_view() {
    let mut lab = Lab::four();
    let chain = lab.chain(&lab.base.clone(), 1..=2);
    let third = lab.child(&chain[1]);
    let asked = lab.offer(&third, Some(lab.qc(&chain[1]).into()));
    assert_eq!(timeouts(&lab.wait(BASE)).len(), 1);
    assert!(proposals(&lab.assembled(&asked)).is_empty());
}

#[test]
fn r3_a_leader_of_two_views_in_a_row_proposes_ahead_of_the_second_too() {
    // Member 0 has two turns of seven: views 6 and 7.
    let mut lab = Lab::new(&[2, 1, 1, 1, 1, 1], 0);
    let chain = lab.chain(&lab.base.clone(), 1..=4);
    for member in 1..6 {
        lab.step(lab.commit_vote(member, &chain[2]));
    }
    assert_eq!(lab.replica.committed(), &chain[2]);
    let fifth = lab.child(&chain[3]);
    let actions = lab.offer(&fifth, Some(lab.qc(&chain[3]).into()));
    let sixth = proposals(&lab.assembled(&actions)).pop().expect("ahead");
    let actions = lab.step(handed_on(lab.qc(&fifth)));
    assert_eq!(certificates(&actions).len(), 1, "it stands");
    assert_eq!(votes(&actions), [(6, sixth.block.id())]);
    assert_eq!(assembles(&actions), [(7, sixth.block.id(), false)]);
    let seventh = proposals(&lab.assembled(&actions)).pop().expect("ahead");
    assert_eq!(seventh.kind, ProposalKind::Optimistic);
}

#[test]
fn r3_one_proposal_ahead_in_a_view_restarts_included() {
    let (mut lab, chain, _) = ahead();
    let again = Input::Assembled {
        view: outrider_types::View(4),
        parent: chain[2].id(),
        timestamp: Timestamp(lab.now),
        content: outrider_types::Content {
            payload: outrider_types::PayloadId([8; 32]),
            roots: outrider_types::Roots::NONE,
            origin: outrider_types::Origin::NONE,
            next: CommitteeId::NONE,
        },
    };
    assert!(proposals(&lab.step(again.clone())).is_empty());
    let actions = lab.restart();
    assert!(proposals(&actions).is_empty() && assembles(&actions).is_empty());
    assert!(proposals(&lab.step(again)).is_empty());
}

#[test]
fn r3_voters_wait_for_the_certificate_of_the_parent() {
    let mut lab = Lab::four();
    let first = lab.chain(&lab.base.clone(), 1..=1)[0];
    let second = lab.child(&first);
    let mut actions = lab.step(lab.optimistic(&second));
    actions.extend(lab.payload(&second, true));
    assert!(votes(&actions).is_empty() && timeouts(&actions).is_empty());
    let actions = lab.step(handed_on(lab.qc(&first)));
    assert_eq!(votes(&actions), [(2, second.id())]);
    assert!(lab.disk.records[&second.id()].justification.is_some());
}

#[test]
fn r3_voters_take_a_timeout_certificate_that_adopts_the_parent_as_well() {
    let mut lab = Lab::four();
    let first = lab.chain(&lab.base.clone(), 1..=1)[0];
    let second = lab.child(&first);
    lab.step(lab.optimistic(&second));
    lab.payload(&second, true);
    let actions = lab.step(handed_on(lab.tc(1, None, Some(first.id()))));
    assert_eq!(votes(&actions), [(2, second.id())]);
}

#[test]
fn r3_a_proposal_ahead_on_another_parent_than_the_certified_one_gets_no_vote_and_no_blame() {
    let mut lab = Lab::four();
    let first = lab.chain(&lab.base.clone(), 1..=1)[0];
    let twin = lab.block(1, &lab.base, 0, 1);
    let second = lab.child(&first);
    lab.step(lab.optimistic(&second));
    lab.payload(&second, true);
    let actions = lab.step(handed_on(lab.qc(&twin)));
    assert_eq!(lab.view(), 2);
    assert!(votes(&actions).is_empty() && timeouts(&actions).is_empty());
    // The normal proposal of the same view, on what was certified, gets the vote.
    lab.step(lab.record(&twin, None));
    lab.payload(&twin, true);
    let normal = lab.child(&twin);
    let actions = lab.offer(&normal, Some(lab.qc(&twin).into()));
    assert_eq!(votes(&actions), [(2, normal.id())]);
}

#[test]
fn r3_a_proposal_ahead_that_does_not_extend_the_view_before_is_wrong() {
    let mut lab = Lab::four();
    lab.step(handed_on(lab.tc(1, None, None)));
    let actions = lab.step(lab.optimistic(&lab.block(2, &lab.base, 0, 0)));
    assert!(called_bad(&actions) && timeouts(&actions).len() == 1);
}

// R2

#[test]
fn r2_a_proposal_ahead_that_stands_is_followed_by_the_certificate_alone_once() {
    let (mut lab, chain, block) = ahead();
    let qc = lab.qc(&chain[2]);
    let actions = lab.step(handed_on(qc.clone()));
    let expected = Justification::Certificate(qc.clone().into_inner());
    assert_eq!(certificates(&actions), [expected]);
    assert!(proposals(&actions).is_empty() && assembles(&actions).is_empty());
    assert_eq!(votes(&actions), [(4, block.id())], "its own vote");
    let mut actions = lab.step(handed_on(qc));
    actions.extend(lab.step(lab.vote(1, &block)));
    actions.extend(lab.wait(BASE / 2));
    assert!(certificates(&actions).is_empty(), "once");
    assert!(proposals(&actions).is_empty() && assembles(&actions).is_empty());
}

#[test]
fn r2_a_proposal_ahead_stands_also_on_a_timeout_certificate_that_adopts_its_parent() {
    let (mut lab, chain, block) = ahead();
    let tc = lab.tc(3, None, Some(chain[2].id()));
    let actions = lab.step(handed_on(tc.clone()));
    assert_eq!(certificates(&actions), [tc.into_inner()]);
    assert!(proposals(&actions).is_empty() && assembles(&actions).is_empty());
    assert_eq!(votes(&actions), [(4, block.id())]);
}

#[test]
fn r2_a_proposal_ahead_of_another_block_is_followed_by_a_normal_one_with_the_certificate() {
    // A timeout certificate that leads back to the block of view 2.
    let (mut lab, chain, _) = ahead();
    let tc = lab.tc(3, Some(&lab.qc(&chain[1])), None);
    let actions = lab.step(handed_on(tc.clone()));
    assert!(certificates(&actions).is_empty());
    assert_eq!(assembles(&actions), [(4, chain[1].id(), false)]);
    let actions = lab.assembled(&actions);
    let proposal = proposals(&actions).pop().expect("a proposal");
    assert_eq!(proposal.kind, ProposalKind::Normal);
    assert_eq!(proposal.justification, Some(tc.into_inner()));
    assert_eq!((proposal.block.view.0, proposal.block.justify.0), (4, 2));
    assert_eq!(votes(&actions), [(4, proposal.block.id())]);

    // A quorum certificate of a twin.
    let (mut lab, chain, _) = ahead();
    let twin = lab.block(3, &chain[1], 2, 1);
    let qc = lab.qc(&twin);
    lab.step(handed_on(qc.clone()));
    lab.step(lab.record(&twin, Some(lab.qc(&chain[1]).into())));
    let actions = lab.payload(&twin, true);
    let actions = lab.assembled(&actions);
    let proposal = proposals(&actions).pop().expect("a proposal");
    assert_eq!(proposal.block.parent, twin.id());
    let carried = Justification::Certificate(qc.into_inner());
    assert_eq!(proposal.justification, Some(carried));
}

#[test]
fn r2_after_a_restart_there_is_no_second_proposal_of_a_kind() {
    // In the view of the proposal ahead, which stands: the certificate may go out again, a proposal not.
    let (mut lab, chain, block) = ahead();
    lab.step(handed_on(lab.qc(&chain[2])));
    for _ in 0..2 {
        let actions = lab.restart();
        assert_eq!(lab.view(), 4);
        assert!(proposals(&actions).is_empty() && assembles(&actions).is_empty());
        assert_eq!(votes(&actions), [(4, block.id())]);
        assert_eq!(certificates(&actions).len(), 1);
    }
    // Before that view: the block of the proposal ahead is lost, so one normal proposal follows, and only one.
    let (mut lab, chain, _) = ahead();
    lab.restart();
    let actions = lab.step(handed_on(lab.qc(&chain[2])));
    let proposal = proposals(&lab.assembled(&actions)).pop();
    assert_eq!(proposal.map(|p| p.kind), Some(ProposalKind::Normal));
    let actions = lab.restart();
    assert!(proposals(&actions).is_empty() && assembles(&actions).is_empty());
}

#[test]
fn r2_a_payload_asked_for_ahead_serves_the_normal_proposal() {
    let mut lab = Lab::four();
    let chain = lab.chain(&lab.base.clone(), 1..=2);
    let third = lab.child(&chain[1]);
    let asked = lab.offer(&third, Some(lab.qc(&chain[1]).into()));
    // The certificate is faster than the payload.
    let actions = lab.step(handed_on(lab.qc(&third)));
    assert!(assembles(&actions).is_empty(), "it was asked for already");
    let proposal = proposals(&lab.assembled(&asked)).pop().expect("a proposal");
    assert_eq!(proposal.kind, ProposalKind::Normal);
    assert_eq!(proposal.block.parent, third.id());
    assert!(proposal.justification.is_some());
}

#[test]
fn r2_a_payload_that_came_when_nothing_could_be_proposed_ahead_is_asked_for_again() {
    let mut lab = Lab::four();
    let chain = lab.chain(&lab.base.clone(), 1..=2);
    let third = lab.child(&chain[1]);
    let asked = lab.offer(&third, Some(lab.qc(&chain[1]).into()));
    // The timer fires before the payload is there; then votes bring the view to its end all the same.
    assert_eq!(timeouts(&lab.wait(BASE)).len(), 1);
    assert!(proposals(&lab.assembled(&asked)).is_empty());
    let actions = lab.step(handed_on(lab.qc(&third)));
    assert_eq!(lab.view(), 4);
    let actions = lab.assembled(&actions);
    let proposal = proposals(&actions).pop().expect("the leader proposes");
    assert_eq!(proposal.block.parent, third.id());
}

// The intent to vote

/// What a step wanted written: signed or not, and the vote in the safety state.
fn written(lab: &mut Lab, input: Input) -> (Option<(bool, bool)>, Vec<Action>) {
    let step = lab.replica.step(Timestamp(lab.now), input);
    let mut written = None;
    let disk = &mut lab.disk;
    let actions = step
        .persist_with(|writes| {
            disk.write(writes);
            let voted = writes.safety.as_ref().is_some_and(|s| s.voted.is_some());
            written = Some((writes.signed, voted));
            Ok::<(), ()>(())
        })
        .unwrap();
    (written, actions)
}

#[test]
fn an_intent_is_written_before_anything_is_signed_and_the_vote_signs_without_a_new_state() {
    let mut lab = Lab::four();
    let block = lab.block(1, &lab.base, 0, 0);
    let proposal = lab.proposal(&block, None);
    let (intent, actions) = written(&mut lab, proposal);
    assert_eq!(intent, Some((false, true)), "written, nothing signed");
    assert!(said(&actions).is_empty());
    assert!(lab.replica.voted().is_none(), "not a vote yet");
    let checked = Input::PayloadChecked {
        block: block.id(),
        valid: true,
    };
    let (vote, actions) = written(&mut lab, checked);
    assert_eq!(vote, Some((true, false)), "signed; the state is written");
    assert_eq!(votes(&actions), [(1, block.id())]);
    assert!(lab.disk.records.contains_key(&block.id()));
}

#[test]
fn a_block_whose_payload_is_held_gets_its_vote_in_one_signed_step() {
    let mut lab = Lab::four();
    let first = lab.chain(&lab.base.clone(), 1..=1)[0];
    let second = lab.child(&first);
    lab.step(lab.optimistic(&second));
    lab.payload(&second, true);
    let qc = handed_on(lab.qc(&first));
    let (vote, actions) = written(&mut lab, qc);
    assert_eq!(vote, Some((true, true)));
    assert_eq!(votes(&actions), [(2, second.id())]);
}

#[test]
fn an_intent_whose_payload_is_bad_ends_in_a_timeout_that_names_no_vote() {
    let mut lab = Lab::four();
    let block = lab.block(1, &lab.base, 0, 0);
    lab.step(lab.proposal(&block, None));
    let actions = lab.payload(&block, false);
    assert!(votes(&actions).is_empty());
    let timeout = timeouts(&actions).pop().expect("a timeout");
    assert_eq!(timeout.timeout.voted, None);
    // It is said again like this after a restart, and no vote with it.
    let again = lab.restart();
    assert!(votes(&again).is_empty());
    let bytes = |timeout| encode(&ConsensusMessage::Timeout(timeout)).to_vec();
    assert_eq!(bytes(timeouts(&again).remove(0)), bytes(timeout));
}
