//! The rules that keep the protocol going, R8 to R12, one test per sentence (the others: `rules.rs`). The replica under
//! test is member 0 of four equal members: Q = T = 3, F = 4, A = W = 2; it leads views 4, 8, 12 ..

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a broken expectation is a failed test"
)]

mod support;

use outrider_consensus::{Action, Input};
use outrider_types::{Justification, Timestamp, Verified};
use support::lab::{Lab, fetches, handed, said, timeouts};
use support::world::{BASE, CAP};

fn handed_on(certificate: impl Into<Verified<Justification>>) -> Input {
    Input::Certificate {
        justification: certificate.into(),
    }
}

// R8, R9

#[test]
fn r8_the_timeout_says_what_was_voted_for_and_the_rank_of_high() {
    let mut lab = Lab::four();
    let first = lab.block(1, &lab.base, 0, 0);
    let second = lab.child(&first);
    lab.offer(&first, None);
    lab.offer(&second, Some(lab.qc(&first).into()));
    assert!(timeouts(&lab.wait(BASE - 1)).is_empty());
    let timeout = timeouts(&lab.wait(1)).pop().expect("the timer fired");
    assert_eq!(timeout.timeout.view.0, 2);
    assert_eq!(timeout.timeout.high_view.0, 1);
    assert_eq!(timeout.timeout.voted, Some(second.id()));
    assert_eq!(timeout.high.map(|high| high.rank().0), Some(1));
    lab.step(handed_on(lab.tc(2, None, None)));
    let timeout = timeouts(&lab.wait(BASE)).pop().expect("the timer fired");
    assert_eq!(timeout.timeout.voted, None, "that vote was of view 2");
}

#[test]
fn r8_the_timeout_is_sent_again_every_half_base_with_the_entry_certificate() {
    let mut lab = Lab::four();
    let block = lab.block(1, &lab.base, 0, 0);
    let qc = lab.qc(&block);
    lab.step(handed_on(qc.clone()));
    let first = timeouts(&lab.wait(BASE));
    assert_eq!(first.len(), 1);
    for _ in 0..20 {
        assert!(said(&lab.wait(BASE / 2 - 1)).is_empty());
        assert_eq!(lab.replica.wake_at(), Some(Timestamp(lab.now + 1)));
        let actions = lab.wait(1);
        assert_eq!(timeouts(&actions), first);
        let entry = outrider_types::ConsensusMessage::Certificate(Justification::Certificate(
            (*qc).clone(),
        ));
        assert!(said(&actions).contains(&entry));
    }
}

#[test]
fn r9_timeouts_of_the_witness_stake_call_for_ones_own() {
    let mut lab = Lab::four();
    let (one, two) = (lab.timeout(1, 1, None, None), lab.timeout(2, 1, None, None));
    assert!(
        timeouts(&lab.step(Input::Timeout {
            timeout: one.clone()
        }))
        .is_empty()
    );
    assert!(timeouts(&lab.step(Input::Timeout { timeout: one })).is_empty());
    let actions = lab.step(Input::Timeout { timeout: two });
    assert_eq!(timeouts(&actions).len(), 1);
    assert_eq!(lab.view(), 2, "and so the timeout certificate is complete");
}

#[test]
fn r9_timeouts_that_came_before_the_view_was_entered_count() {
    let mut lab = Lab::four();
    for member in [1, 2] {
        let timeout = lab.timeout(member, 3, None, None);
        assert!(timeouts(&lab.step(Input::Timeout { timeout })).is_empty());
    }
    let actions = lab.step(handed_on(lab.tc(2, None, None)));
    assert_eq!(timeouts(&actions).len(), 1);
    assert_eq!(lab.view(), 4);
}

// R10. Seven equal members, Q = 5; member 6 leads views 6, 13, 20 .. A leader is dead after eight views in which a
// quorum was heard and it was not.

/// These members say something in the current view; no two of them the same, so no certificate comes of it.
fn hear(lab: &mut Lab, members: &[usize]) {
    for member in members {
        let block = lab.block(lab.view(), &lab.base, 0, *member as u64);
        lab.step(lab.vote(*member, &block));
    }
}

/// In each view from the current one on hear these, until `view` begins; what was done then.
fn hear_until(lab: &mut Lab, view: u64, members: &[usize]) -> Vec<Action> {
    let mut actions = Vec::new();
    while lab.view() < view {
        hear(lab, members);
        actions = lab.step(handed_on(lab.tc(lab.view(), None, None)));
    }
    actions
}

const OTHERS: [usize; 5] = [1, 2, 3, 4, 5];

fn seven(me: usize, dead_after_views: u64) -> Lab {
    let (committee, keys) = outrider_types::testing::committee(&[1; 7]);
    let base = outrider_types::Block::genesis(&committee);
    let config = outrider_consensus::Config {
        dead_after_views,
        ..support::world::config()
    };
    Lab::of(config, committee, keys, base, Some(me))
}

#[test]
fn r10_a_leader_that_was_silent_while_a_quorum_spoke_gets_a_timeout_at_the_start_of_its_view() {
    let mut lab = seven(0, 8);
    // Five such views are not enough.
    assert!(timeouts(&hear_until(&mut lab, 6, &OTHERS)).is_empty());
    let actions = hear_until(&mut lab, 13, &OTHERS);
    assert_eq!(lab.view(), 13);
    let timeout = timeouts(&actions).pop().expect("at once");
    assert_eq!((timeout.timeout.view.0, timeout.timeout.voted), (13, None));
    // Views of the others are waited for.
    assert!(timeouts(&hear_until(&mut lab, 14, &OTHERS)).is_empty());
}

#[test]
fn r10_exactly_so_many_views_count() {
    for (dead_after, skipped) in [(12, true), (13, false)] {
        let mut lab = seven(0, dead_after);
        let actions = hear_until(&mut lab, 13, &OTHERS);
        assert_eq!(
            timeouts(&actions).len(),
            usize::from(skipped),
            "{dead_after}"
        );
    }
}

#[test]
fn r10_a_leader_that_is_heard_again_is_waited_for() {
    let mut lab = seven(0, 8);
    hear_until(&mut lab, 12, &OTHERS);
    hear(&mut lab, &[6]);
    assert!(timeouts(&hear_until(&mut lab, 13, &OTHERS)).is_empty());
    // Silent again since view 12: seven views later it is not yet dead, fourteen later it is.
    assert!(timeouts(&hear_until(&mut lab, 20, &OTHERS)).is_empty());
    assert_eq!(timeouts(&hear_until(&mut lab, 27, &OTHERS)).len(), 1);
}

#[test]
fn r10_anything_that_it_signed_is_a_sign_of_life() {
    let signs: [fn(&mut Lab) -> Input; 3] = [
        |lab| lab.commit_vote(6, &lab.block(11, &lab.base, 0, 0)),
        |lab| Input::Timeout {
            timeout: lab.timeout(6, 12, None, None),
        },
        |lab| lab.proposal(&lab.block(13, &lab.base, 0, 0), None),
    ];
    for (index, sign) in signs.into_iter().enumerate() {
        let mut lab = seven(0, 8);
        hear_until(&mut lab, 12, &OTHERS);
        let sign = sign(&mut lab);
        lab.step(sign);
        let actions = hear_until(&mut lab, 13, &OTHERS);
        assert!(timeouts(&actions).is_empty(), "sign {index}");
    }
}

#[test]
fn r10_nobody_is_accused_after_a_restart() {
    let mut lab = seven(0, 8);
    hear_until(&mut lab, 12, &OTHERS);
    lab.restart();
    let actions = lab.step(handed_on(lab.tc(12, None, None)));
    assert_eq!(lab.view(), 13);
    assert!(timeouts(&actions).is_empty());
}

#[test]
fn r10_views_in_which_no_quorum_was_heard_do_not_count() {
    let mut lab = seven(0, 8);
    assert!(timeouts(&hear_until(&mut lab, 13, &OTHERS[1..])).is_empty());
    // Twice the same member is not two members.
    let mut lab = seven(0, 8);
    let twice = [1, 2, 3, 4, 4];
    assert!(timeouts(&hear_until(&mut lab, 13, &twice)).is_empty());
}

#[test]
fn r10_zero_never_skips() {
    let mut lab = seven(0, 0);
    for view in [6, 13, 20, 27] {
        let actions = hear_until(&mut lab, view, &OTHERS);
        assert!(timeouts(&actions).is_empty(), "view {view}");
    }
}

#[test]
fn r10_a_leader_does_not_skip_itself() {
    let mut lab = seven(6, 8);
    let actions = hear_until(&mut lab, 13, &OTHERS);
    assert_eq!(lab.view(), 13);
    assert!(timeouts(&actions).is_empty());
    assert!(
        actions
            .iter()
            .any(|action| matches!(action, Action::Assemble { .. })),
        "it proposes"
    );
}

// R11, R12

#[test]
fn r11_a_member_of_an_old_view_is_helped_once_per_half_base() {
    let mut lab = Lab::four();
    let tc = lab.tc(4, None, None);
    lab.step(handed_on(tc.clone()));
    let old = |member| Input::Timeout {
        timeout: lab.timeout(member, 2, None, None),
    };
    let (one, two) = (old(1), old(2));
    let help = |member| [(member, (*tc).clone())];
    assert_eq!(handed(&lab.step(one.clone())), help(1));
    assert!(handed(&lab.step(one.clone())).is_empty());
    assert_eq!(handed(&lab.step(two)), help(2));
    lab.now += BASE / 2 - 1;
    assert!(
        handed(&lab.step(one.clone()))
            .iter()
            .all(|(to, _)| *to != 1)
    );
    lab.now += 1;
    assert_eq!(handed(&lab.step(one)), help(1));
}

#[test]
fn r11_an_unknown_certified_block_is_fetched_from_those_who_signed_until_it_comes() {
    let mut lab = Lab::four();
    let block = lab.block(1, &lab.base, 0, 0);
    let fetch = Action::Fetch {
        block: block.id(),
        from: (1..4).map(outrider_types::MemberIndex).collect(),
    };
    assert!(lab.step(handed_on(lab.qc(&block))).contains(&fetch));
    assert!(fetches(&lab.step(handed_on(lab.qc(&block)))).is_empty());
    let failed = Input::FetchFailed { block: block.id() };
    assert!(lab.step(failed).contains(&fetch), "it is still needed");
    lab.step(lab.record(&block, None));
    let failed = Input::FetchFailed { block: block.id() };
    assert!(fetches(&lab.step(failed)).is_empty());
}

#[test]
fn r11_a_block_far_above_the_last_final_one_calls_for_ranges_but_only_if_it_is_certified() {
    let mut lab = Lab::four();
    let mut far = lab.block(1, &lab.base, 0, 0);
    far.height.0 = 1_000;
    far.parent = outrider_types::BlockId([7; 32]);
    let catches = |actions: &[Action]| {
        actions
            .iter()
            .filter(|action| matches!(action, Action::CatchUp { to } if to.0 == 999))
            .count()
    };
    assert_eq!(catches(&lab.step(lab.proposal(&far, None))), 0);
    assert_eq!(catches(&lab.step(handed_on(lab.qc(&far)))), 1);
    assert_eq!(catches(&lab.step(Input::Wake)), 0, "asked for once");
}

#[test]
fn r11_a_long_branch_that_is_not_final_anywhere_is_walked_back_block_by_block() {
    let mut lab = Lab::four();
    let mut chain = vec![lab.block(1, &lab.base, 0, 0)];
    while chain.len() < 40 {
        chain.push(lab.child(chain.last().unwrap()));
    }
    let mut actions = lab.step(handed_on(lab.qc(&chain[39])));
    for index in (1..40).rev() {
        assert_eq!(fetches(&actions), [chain[index].id()], "block {index}");
        let parent = lab.qc(&chain[index - 1]);
        actions = lab.step(lab.record(&chain[index], Some(parent.into())));
    }
    lab.step(lab.record(&chain[0], None));
    assert_eq!(lab.replica.blocks_held(), 40);
    assert_eq!(
        lab.replica.branch(chain[39].id()).map(|b| b.len()),
        Some(40)
    );
}

#[test]
fn r12_timers_double_from_the_fourth_view_after_the_last_commit() {
    let mut lab = Lab::four();
    for (view, timer) in [
        (1, BASE),
        (2, BASE),
        (3, BASE),
        (4, 2 * BASE),
        (5, 4 * BASE),
        (7, CAP),
        (9, CAP),
    ] {
        if view > 1 {
            lab.step(handed_on(lab.tc(view - 1, None, None)));
        }
        assert_eq!(lab.view(), view);
        assert!(timeouts(&lab.wait(timer - 1)).is_empty(), "view {view}");
        assert_eq!(timeouts(&lab.wait(1)).len(), 1, "view {view}");
    }
}
