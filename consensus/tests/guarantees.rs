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
    lab.step(lab.proposal(&block, None));
    let checked = Input::PayloadChecked {
        block: block.id(),
        valid: true,
    };
    let step = lab.replica.step(Timestamp(lab.now), checked);
    assert!(step.needs_write());
    assert_eq!(step.persist_with(|_| Err("disk full")), Err("disk full"));

    // The vote died with the process: after the restart the member may vote for another block of the view.
    assert!(votes(&lab.restart()).is_empty());
    let other = lab.block(1, &lab.base, 0, 1);
    assert_eq!(votes(&lab.offer(&other, None)), [(1, other.id())]);
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
