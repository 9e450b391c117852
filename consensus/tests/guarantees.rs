//! What the crate guarantees beside the rules: nothing leaves before it is durable (C2), memory is bounded (C5), and a
//! restarting member says what it said before, byte for byte (protocol section 3).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a broken expectation is a failed test"
)]

mod support;

use outrider_consensus::{Input, VIEWS_AHEAD_MAX};
use outrider_types::{ConsensusMessage, Justification, Timestamp, Verified, encode};
use support::lab::{Lab, commit_votes, said, timeouts, votes};
use support::world::BASE;

fn handed_on(certificate: impl Into<Verified<Justification>>) -> Input {
    Input::Certificate {
        justification: certificate.into(),
    }
}

#[test]
fn a_failed_write_releases_nothing() {
    let mut lab = Lab::four();
    let block = lab.block(1, &lab.base, 0, 0);
    let step = lab
        .replica
        .step(Timestamp(lab.now), lab.proposal(&block, None));
    assert!(step.needs_write(), "the intent to vote");
    assert_eq!(step.persist_with(|_| Err("disk full")), Err("disk full"));

    // The intent died with the process: after the restart the member may vote for another block of the view.
    assert!(votes(&lab.restart()).is_empty());
    let other = lab.block(1, &lab.base, 0, 1);
    assert_eq!(votes(&lab.offer(&other, None)), [(1, other.id())]);
}

/// Member 0 has written that it will vote for a block, and its power goes before the payload is checked.
fn crashed_with_an_intent() -> (Lab, outrider_types::Block) {
    let mut lab = Lab::four();
    let block = lab.block(1, &lab.base, 0, 0);
    assert!(votes(&lab.step(lab.proposal(&block, None))).is_empty());
    let recorded = lab.disk.safety.as_ref().and_then(|safety| safety.voted);
    assert_eq!(recorded.map(|vote| vote.block), Some(block.id()));
    assert!(votes(&lab.restart()).is_empty(), "it never left");
    (lab, block)
}

#[test]
fn an_intent_found_after_a_restart_is_no_vote_but_forbids_any_other() {
    let (mut lab, block) = crashed_with_an_intent();
    let other = lab.block(1, &lab.base, 0, 1);
    assert!(votes(&lab.offer(&other, None)).is_empty());
    assert!(lab.replica.voted().is_none());

    // The block that was meant may still get its vote.
    let (mut lab, _) = crashed_with_an_intent();
    assert_eq!(votes(&lab.offer(&block, None)), [(1, block.id())]);
}

#[test]
fn a_timeout_does_not_claim_an_intent_and_no_vote_follows_it() {
    let (mut lab, block) = crashed_with_an_intent();
    let sent = timeouts(&lab.wait(2 * BASE));
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].timeout.voted, None);
    assert!(votes(&lab.offer(&block, None)).is_empty());
    // Now its payload is stored, as that of an ancestor would be; the timeout still says that no vote was sent.
    let record = outrider_types::BlockRecord {
        block,
        justification: None,
    };
    lab.disk.records.insert(block.id(), record);
    let again = lab.restart();
    assert!(votes(&again).is_empty());
    assert_eq!(timeouts(&again)[0].timeout, sent[0].timeout);
}

#[test]
fn every_signed_statement_needs_a_write_and_an_entered_view_alone_does_not() {
    let mut lab = Lab::four();
    let tc = lab.tc(1, None, None);
    let step = lab.replica.step(Timestamp(lab.now), handed_on(tc));
    assert!(!step.needs_write());
    let block = lab.block(2, &lab.base, 0, 0);
    let qc = lab.qc(&block);
    let step = lab.replica.step(Timestamp(lab.now), handed_on(qc));
    assert!(step.needs_write(), "a commit vote");
    lab.now += 2 * BASE;
    let step = lab.replica.step(Timestamp(lab.now), Input::Wake);
    assert!(step.needs_write(), "a timeout");
    lab.now += 2 * BASE;
    let step = lab.replica.step(Timestamp(lab.now), Input::Wake);
    assert!(!step.needs_write() && !step.is_empty(), "the same again");
}

#[test]
fn future_views_are_kept_only_within_the_window() {
    for (view, counted) in [(1 + VIEWS_AHEAD_MAX, true), (2 + VIEWS_AHEAD_MAX, false)] {
        let mut lab = Lab::four();
        let block = lab.block(view, &lab.base, 0, 0);
        for member in 1..4 {
            lab.step(lab.vote(member, &block));
        }
        assert_eq!(lab.view() > 1, counted, "votes of view {view}");
        let mut lab = Lab::four();
        for member in 1..4 {
            let timeout = lab.timeout(member, view, None, None);
            lab.step(Input::Timeout { timeout });
        }
        assert_eq!(lab.view() > 1, counted, "timeouts of view {view}");
        let mut lab = Lab::four();
        lab.step(lab.proposal(&block, None));
        assert_eq!(lab.replica.blocks_held() > 0, counted, "proposal of {view}");
    }
    // Below as well: one member cannot fill memory with votes of views long gone.
    for (view, counted) in [
        (200 - VIEWS_AHEAD_MAX, true),
        (199 - VIEWS_AHEAD_MAX, false),
    ] {
        let mut lab = Lab::four();
        lab.step(handed_on(lab.tc(199, None, None)));
        let block = lab.block(view, &lab.base, 0, 0);
        for member in 1..4 {
            lab.step(lab.vote(member, &block));
        }
        assert_eq!(lab.high() == view, counted, "votes of old view {view}");
    }
}

fn bytes(messages: &[ConsensusMessage]) -> Vec<Vec<u8>> {
    messages.iter().map(|m| encode(m).to_vec()).collect()
}

#[test]
fn a_restart_says_the_last_vote_commit_vote_and_timeout_again_byte_for_byte() {
    let mut lab = Lab::four();
    let first = lab.block(1, &lab.base, 0, 0);
    let second = lab.child(&first);
    lab.offer(&first, None);
    let commit = lab.step(handed_on(lab.qc(&first)));
    let vote = lab.offer(&second, Some(lab.qc(&first).into()));
    let timeout = lab.wait(BASE);
    let mut before = said(&vote);
    before.extend(said(&commit));
    before.extend(said(&timeout));
    assert_eq!(before.len(), 3);
    for _ in 0..2 {
        let after = lab.restart();
        assert_eq!(bytes(&said(&after)), bytes(&before));
        assert_eq!(lab.view(), 2);
    }
    // And the resends go on every half base.
    assert_eq!(timeouts(&lab.wait(BASE / 2)), timeouts(&timeout));
}

#[test]
fn a_restart_says_the_timeout_as_it_was_when_high_has_moved_past_it() {
    let mut lab = Lab::four();
    let first = lab.block(1, &lab.base, 0, 0);
    lab.step(handed_on(lab.qc(&first)));
    lab.step(handed_on(lab.tc(3, Some(&lab.qc(&first)), None)));
    lab.now += 8 * BASE;
    let sent = timeouts(&lab.step(Input::Wake));
    assert_eq!(sent.first().map(|t| t.timeout.high_view.0), Some(1));
    // An older view's certificate raises `high` while the timeout of view 4 stands, twice; then something is signed.
    for view in [2, 3] {
        let block = lab.block(view, &first, 1, view);
        lab.step(handed_on(lab.qc(&block)));
    }
    assert_eq!((lab.view(), lab.high()), (4, 3));
    lab.step(handed_on(lab.tc(4, None, None)));
    let next = lab.block(5, &lab.base, 0, 0);
    assert_eq!(commit_votes(&lab.step(handed_on(lab.qc(&next)))).len(), 1);
    let durable = lab.disk.safety.as_ref().unwrap();
    assert_eq!(durable.high_rank().0, 5);
    assert!(durable.timed_out_high.is_some());
    let again = timeouts(&lab.restart());
    assert_eq!(again, sent);
    let message = ConsensusMessage::Timeout(again[0].clone());
    assert!(
        support::open(&message, &lab.committee).is_some(),
        "it verifies"
    );
}

#[test]
fn a_crash_between_write_and_send_counts_as_sent() {
    let mut lab = Lab::four();
    let (first, other) = (lab.block(1, &lab.base, 0, 1), lab.block(1, &lab.base, 0, 2));
    lab.step(lab.proposal(&first, None));
    let checked = Input::PayloadChecked {
        block: first.id(),
        valid: true,
    };
    lab.step_and_crash(checked, true);
    assert_eq!(votes(&lab.restart()), [(1, first.id())], "it is sent now");
    assert!(votes(&lab.offer(&other, None)).is_empty());
}

#[test]
fn nothing_is_said_in_the_last_view_there_can_be() {
    // Only more than f Byzantine can lead there; still nobody may fall over.
    let mut lab = Lab::four();
    let high = lab.qc(&lab.block(1, &lab.base, 0, 0));
    let tc = lab.tc(u64::MAX - 1, Some(&high), None);
    lab.step(handed_on(tc));
    assert_eq!(lab.view(), u64::MAX);
    assert_eq!(lab.replica.wake_at(), None);
    assert!(said(&lab.wait(1 << 40)).is_empty());
    assert!(timeouts(&lab.restart()).is_empty());
    let block = lab.block(u64::MAX, &lab.base, 0, 0);
    let vote = lab.signed_vote(1, &block).into_inner();
    assert!(
        vote.verify(&lab.committee).is_err(),
        "no statement of that view verifies"
    );
}
