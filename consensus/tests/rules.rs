//! One test per rule of docs/protocol.md section 4, R1 to R7 (the others: `rules_of_time.rs`), and more where a rule
//! has several sentences. The replica under
//! test is member 0 of four equal members: Q = T = 3, F = 4, A = W = 2; it leads views 4, 8, 12 ..

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a broken expectation is a failed test"
)]

mod support;

use outrider_consensus::{Action, Input};
use outrider_types::{
    Certificate, CommitteeId, Height, Justification, L1BlockHash, Origin, Timestamp, Verified,
};
use support::lab::{
    Lab, called_bad, commit_votes, commits, fetches, handed, proposals, timeouts, votes,
};
use support::world::{BASE, CAP};

fn handed_on(certificate: impl Into<Verified<Justification>>) -> Input {
    Input::Certificate {
        justification: certificate.into(),
    }
}

// R1

#[test]
fn r1_a_quorum_certificate_of_the_current_view_is_entered_and_raises_high() {
    let mut lab = Lab::four();
    let block = lab.block(1, &lab.base, 0, 0);
    let actions = lab.step(handed_on(lab.qc(&block)));
    assert_eq!((lab.view(), lab.high()), (2, 1));
    assert!(actions.iter().any(
        |action| matches!(action, Action::Entered { view, by_timeout: false, .. } if view.0 == 2)
    ));
}

#[test]
fn r1_commit_votes_of_a_quorum_are_a_certificate_too() {
    let mut lab = Lab::four();
    let block = lab.block(3, &lab.base, 0, 0);
    for member in 1..4 {
        lab.step(lab.commit_vote(member, &block));
    }
    assert_eq!((lab.view(), lab.high()), (4, 3));
}

#[test]
fn r1_a_timeout_certificate_of_a_later_view_is_entered_and_raises_high_to_what_it_resolves_to() {
    let mut lab = Lab::four();
    let block = lab.block(1, &lab.base, 0, 0);
    let qc = lab.qc(&block);
    lab.step(handed_on(lab.tc(5, Some(&qc), None)));
    assert_eq!((lab.view(), lab.high()), (6, 1));
    let adopted = lab.block(7, &lab.base, 0, 0).id();
    lab.step(handed_on(lab.tc(7, Some(&qc), Some(adopted))));
    assert_eq!((lab.view(), lab.high()), (8, 7), "case 1 has the tc's rank");
}

#[test]
fn r1_a_certificate_of_an_older_view_changes_nothing_but_high() {
    let mut lab = Lab::four();
    lab.step(handed_on(lab.tc(5, None, None)));
    let block = lab.block(2, &lab.base, 0, 0);
    lab.step(handed_on(lab.qc(&block)));
    assert_eq!((lab.view(), lab.high()), (6, 2));
    let older = lab.block(1, &lab.base, 0, 0);
    lab.step(handed_on(lab.qc(&older)));
    assert_eq!((lab.view(), lab.high()), (6, 2));
}

#[test]
fn r1_a_silent_leader_is_sent_the_entry_certificate_once_after_a_quarter_of_the_timer() {
    let mut lab = Lab::four();
    let block = lab.block(1, &lab.base, 0, 0);
    let qc = lab.qc(&block);
    lab.step(handed_on(qc.clone()));
    assert_eq!(lab.replica.wake_at(), Some(Timestamp(lab.now + BASE / 4)));
    assert!(handed(&lab.wait(BASE / 4 - 1)).is_empty());
    let entry = Justification::Certificate(qc.into_inner());
    assert_eq!(
        handed(&lab.wait(1)),
        [(2, entry)],
        "to the leader of view 2"
    );
    assert!(handed(&lab.wait(BASE / 4)).is_empty(), "once");
}

#[test]
fn r1_a_leader_that_was_heard_is_left_alone() {
    let mut lab = Lab::four();
    let block = lab.block(1, &lab.base, 0, 0);
    let qc = lab.qc(&block);
    lab.offer(&lab.child(&block), Some(qc.into()));
    assert_eq!(lab.view(), 2);
    assert!(handed(&lab.wait(BASE / 4)).is_empty());

    let mut lab = Lab::four();
    let block = lab.block(1, &lab.base, 0, 0);
    lab.step(handed_on(lab.qc(&block)));
    let timeout = lab.timeout(2, 2, None, None);
    lab.step(Input::Timeout { timeout });
    assert!(handed(&lab.wait(BASE / 4)).is_empty(), "it is in the view");
}

// R2

fn assembled(lab: &mut Lab, actions: &[Action]) -> Vec<Action> {
    let (view, parent, after) = actions
        .iter()
        .find_map(|action| match action {
            Action::Assemble {
                view,
                parent,
                after,
                ..
            } => Some((*view, *parent, *after)),
            _ => None,
        })
        .expect("a payload is asked for");
    let payload = outrider_types::PayloadId([9; 32]);
    lab.step(Input::Assembled {
        view,
        parent,
        timestamp: after,
        content: outrider_types::Content {
            payload,
            roots: outrider_types::Roots::NONE,
            origin: outrider_types::Origin::NONE,
            next: CommitteeId::NONE,
        },
    })
}

#[test]
fn r2_the_leader_proposes_on_the_certified_block_and_carries_its_certificate() {
    let mut lab = Lab::four();
    lab.step(handed_on(lab.tc(2, None, None)));
    let block = lab.block(3, &lab.base, 0, 0);
    let qc = lab.qc(&block);
    assert!(fetches(&lab.step(handed_on(qc.clone()))).contains(&block.id()));
    lab.step(lab.record(&block, Some(lab.tc(2, None, None))));
    let actions = lab.payload(&block, true);
    let actions = assembled(&mut lab, &actions);
    let proposal = proposals(&actions).pop().expect("a proposal");
    assert_eq!(proposal.block.parent, block.id());
    assert_eq!((proposal.block.view.0, proposal.block.justify.0), (4, 3));
    assert!(proposal.block.timestamp > block.timestamp);
    assert_eq!(
        proposal.justification,
        Some(Justification::Certificate(qc.into_inner()))
    );
    assert_eq!(votes(&actions), [(4, proposal.block.id())], "its own vote");
}

#[test]
fn r2_the_leader_carries_the_timeout_certificate_when_the_parent_is_older() {
    let mut lab = Lab::four();
    let tc = lab.tc(3, None, None);
    let actions = lab.step(handed_on(tc.clone()));
    let actions = assembled(&mut lab, &actions);
    let proposal = proposals(&actions).pop().expect("a proposal");
    assert_eq!(proposal.block.parent, lab.base.id());
    assert_eq!((proposal.block.view.0, proposal.block.justify.0), (4, 0));
    assert_eq!(proposal.justification, Some(tc.into_inner()));
}

#[test]
fn r2_the_leader_proposes_once_in_a_view_restarts_included() {
    let mut lab = Lab::four();
    let actions = lab.step(handed_on(lab.tc(3, None, None)));
    assert_eq!(proposals(&assembled(&mut lab, &actions)).len(), 1);
    let again = assembled(&mut lab, &actions);
    assert!(proposals(&again).is_empty());
    let actions = lab.restart();
    assert!(!actions.iter().any(|a| matches!(a, Action::Assemble { .. })));
}

// R4

#[test]
fn r4_a_sound_proposal_gets_a_vote_once_its_payload_is_held() {
    let mut lab = Lab::four();
    let block = lab.block(1, &lab.base, 0, 0);
    let actions = lab.step(lab.proposal(&block, None));
    assert!(votes(&actions).is_empty());
    assert!(actions.contains(&Action::CheckPayload { block }));
    assert_eq!(votes(&lab.payload(&block, true)), [(1, block.id())]);
    assert!(lab.disk.records.contains_key(&block.id()), "it is durable");
}

#[test]
fn r4_replica_does_not_vote_twice_in_a_view() {
    let mut lab = Lab::four();
    let (first, second) = (lab.block(1, &lab.base, 0, 1), lab.block(1, &lab.base, 0, 2));
    assert_eq!(votes(&lab.offer(&first, None)).len(), 1);
    assert!(votes(&lab.offer(&second, None)).is_empty());
    lab.restart();
    assert!(votes(&lab.offer(&second, None)).is_empty());
    // Nor by the late vote, when the second one gets the certificate.
    let mut actions = lab.step(handed_on(lab.qc(&second)));
    actions.extend(lab.step(lab.record(&second, None)));
    actions.extend(lab.payload(&second, true));
    assert!(votes(&actions).is_empty());
}

#[test]
fn r4_only_the_leader_of_the_view_proposes() {
    let mut lab = Lab::four();
    let mut block = lab.block(1, &lab.base, 0, 0);
    block.proposer = outrider_types::MemberIndex(3);
    let actions = lab.offer(&block, None);
    assert!(votes(&actions).is_empty() && timeouts(&actions).is_empty());
}

#[test]
fn r4_ancestors_down_to_the_last_final_block_must_be_held_and_justified() {
    let mut lab = Lab::four();
    let first = lab.block(1, &lab.base, 0, 0);
    let second = lab.child(&first);
    let actions = lab.offer(&second, Some(lab.qc(&first).into()));
    assert_eq!(lab.view(), 2);
    assert!(votes(&actions).is_empty());
    assert_eq!(fetches(&actions), [first.id()]);
    assert!(votes(&lab.step(lab.record(&first, None))).is_empty());
    lab.payload(&second, true);
    let mut actions = lab.payload(&first, true);
    actions.extend(lab.payload(&second, true));
    assert_eq!(votes(&actions).last(), Some(&(2, second.id())));
}

#[test]
fn r4_a_parent_below_what_the_timeout_certificate_resolves_to_gets_no_vote() {
    let mut lab = Lab::four();
    let first = lab.block(1, &lab.base, 0, 0);
    lab.offer(&first, None);
    let qc = lab.qc(&first);
    lab.step(handed_on(qc.clone()));
    let tc = lab.tc(2, Some(&qc), None);
    // On the base, as if view 1 had never been certified.
    let stale = lab.block(3, &lab.base, 0, 0);
    assert!(votes(&lab.offer(&stale, Some(tc.clone()))).is_empty());
    let mut lab2 = Lab::four();
    lab2.offer(&first, None);
    let sound = lab2.block(3, &first, 1, 0);
    assert_eq!(votes(&lab2.offer(&sound, Some(tc))), [(3, sound.id())]);
}

#[test]
fn r4_an_adopted_block_is_extended_with_the_certificates_own_rank() {
    let mut lab = Lab::four();
    let first = lab.block(1, &lab.base, 0, 0);
    lab.offer(&first, None);
    let tc = lab.tc(1, None, Some(first.id()));
    let child = lab.child(&first);
    assert_eq!(votes(&lab.offer(&child, Some(tc))), [(2, child.id())]);
}

#[test]
fn r4_no_vote_after_a_timeout_of_the_view() {
    let mut lab = Lab::four();
    assert_eq!(timeouts(&lab.wait(BASE)).len(), 1);
    let block = lab.block(1, &lab.base, 0, 0);
    assert!(votes(&lab.offer(&block, None)).is_empty());
    lab.restart();
    assert!(votes(&lab.offer(&block, None)).is_empty(), "nor later");
}

#[test]
fn r4_a_proposal_wrong_in_its_signed_part_gets_a_timeout_at_once() {
    let mut wrong = Vec::new();
    let lab = Lab::four();
    let good = lab.block(1, &lab.base, 0, 0);
    let mut block = good;
    block.version += 1;
    wrong.push(block);
    let mut block = good;
    block.height.0 += 1;
    wrong.push(block);
    let mut block = good;
    block.justify.0 += 1;
    wrong.push(block);
    let mut block = good;
    block.timestamp = lab.base.timestamp;
    wrong.push(block);
    for block in wrong {
        let mut lab = Lab::four();
        let actions = lab.step(lab.proposal(&block, None));
        assert!(called_bad(&actions), "{block:?}");
        assert_eq!(timeouts(&actions).len(), 1, "{block:?}");
    }
    let mut lab = Lab::four();
    lab.step(lab.proposal(&good, None));
    let actions = lab.payload(&good, false);
    assert!(called_bad(&actions) && timeouts(&actions).len() == 1);
}

#[test]
fn r4_a_fault_that_shows_when_the_parent_comes_is_a_reason_to_time_out_too() {
    let mut lab = Lab::four();
    let first = lab.block(1, &lab.base, 0, 0);
    let mut second = lab.child(&first);
    second.height.0 += 1;
    let actions = lab.step(lab.proposal(&second, Some(lab.qc(&first).into())));
    assert!(timeouts(&actions).is_empty());
    let actions = lab.step(lab.record(&first, None));
    assert!(called_bad(&actions) && timeouts(&actions).len() == 1);
}

#[test]
fn r4_an_attachment_that_does_not_fit_is_ignored() {
    let mut lab = Lab::four();
    let first = lab.block(1, &lab.base, 0, 0);
    lab.offer(&first, None);
    let qc = lab.qc(&first);
    let tc = lab.tc(2, Some(&qc), None);
    let block = lab.block(3, &first, 1, 0);
    // Somebody swapped the timeout certificate for the certificate inside it.
    let actions = lab.offer(&block, Some(qc.into()));
    assert!(votes(&actions).is_empty() && timeouts(&actions).is_empty());
    lab.step(handed_on(tc.clone()));
    let actions = lab.step(lab.proposal(&block, Some(tc)));
    assert_eq!(votes(&actions), [(3, block.id())]);
}

#[test]
fn r4_a_timestamp_far_ahead_of_the_clock_gets_no_vote() {
    let mut lab = Lab::four();
    let mut block = lab.block(1, &lab.base, 0, 0);
    block.timestamp = Timestamp(u64::MAX);
    let actions = lab.offer(&block, None);
    assert!(called_bad(&actions) && votes(&actions).is_empty());
    let mut block = lab.block(1, &lab.base, 0, 0);
    block.timestamp = Timestamp(lab.now + 10_000_000);
    assert_eq!(votes(&lab.offer(&block, None)).len(), 1, "at the limit");
}

#[test]
fn r4_late_vote_for_the_certified_block_also_from_a_later_view() {
    let mut lab = Lab::four();
    let first = lab.block(1, &lab.base, 0, 0);
    let second = lab.child(&first);
    lab.step(handed_on(lab.qc(&first)));
    lab.step(handed_on(lab.qc(&second)));
    assert_eq!(lab.view(), 3);
    lab.step(lab.record(&second, Some(lab.qc(&first).into())));
    lab.step(lab.record(&first, None));
    assert_eq!(votes(&lab.payload(&first, true)), [(1, first.id())]);
    assert_eq!(votes(&lab.payload(&second, true)), [(2, second.id())]);
}

#[test]
fn r4_no_late_vote_after_a_timeout_or_a_later_vote() {
    let mut lab = Lab::four();
    let first = lab.block(1, &lab.base, 0, 0);
    lab.wait(BASE);
    lab.step(handed_on(lab.qc(&first)));
    lab.step(lab.record(&first, None));
    assert!(votes(&lab.payload(&first, true)).is_empty());
    let mut lab = Lab::four();
    let later = lab.block(3, &lab.base, 0, 0);
    lab.offer(&later, Some(lab.tc(2, None, None)));
    lab.step(handed_on(lab.qc(&first)));
    lab.step(lab.record(&first, None));
    assert!(votes(&lab.payload(&first, true)).is_empty());
}

/// Found by the swarm (seed 1076): a leader names a final block as the parent of one far above it. Everyone holds that
/// parent, so it came at once whenever it was asked for, and was asked for again at once.
#[test]
fn r4_a_parent_that_is_final_already_is_asked_for_once() {
    let mut lab = Lab::four();
    let chain = lab.chain(&lab.base.clone(), 1..=3);
    for member in 1..4 {
        lab.step(lab.vote(member, &chain[2]));
        lab.step(lab.commit_vote(member, &chain[2]));
    }
    assert_eq!(
        (lab.view(), lab.replica.committed().id()),
        (4, chain[2].id())
    );
    for member in 1..4 {
        let own = lab.timeout(member, 4, Some(&lab.qc(&chain[2])), None);
        lab.step(Input::Timeout { timeout: own });
    }
    assert_eq!(lab.view(), 5);
    let mut block = lab.block(5, &chain[0], 3, 0);
    block.height = Height(4);
    let justification = lab.tc(4, Some(&lab.qc(&chain[2])), None);
    let actions = lab.step(lab.proposal(&block, Some(justification)));
    assert_eq!(fetches(&actions), [chain[0].id()]);
    let actions = lab.step(lab.record(&chain[0], None));
    assert!(fetches(&actions).is_empty(), "{actions:?}");
    assert!(votes(&actions).is_empty() && !called_bad(&actions));
    let actions = lab.wait(BASE);
    assert!(fetches(&actions).is_empty() && timeouts(&actions).len() == 1);
}

#[test]
fn r4_a_fetched_block_comes_with_its_justification_or_is_asked_for_again() {
    let mut lab = Lab::four();
    let block = lab.block(3, &lab.base, 0, 0);
    assert_eq!(fetches(&lab.step(handed_on(lab.qc(&block)))), [block.id()]);
    assert_eq!(fetches(&lab.step(lab.record(&block, None))), [block.id()]);
    let other = lab.tc(1, None, None);
    assert_eq!(fetches(&lab.step(lab.record(&block, Some(other)))).len(), 1);
    let actions = lab.step(lab.record(&block, Some(lab.tc(2, None, None))));
    assert!(fetches(&actions).is_empty());
    assert!(actions.contains(&Action::CheckPayload { block }));
}

#[test]
fn r4_an_unwelcome_block_gets_no_vote_until_it_is_welcome_and_no_timeout() {
    let mut lab = Lab::four();
    let good = lab.block(1, &lab.base, 0, 0);
    let block = good.id();
    let mut actions = lab.step(lab.proposal(&good, None));
    actions.extend(lab.step(Input::Unwelcome { block }));
    actions.extend(lab.payload(&good, true));
    assert!(votes(&actions).is_empty() && timeouts(&actions).is_empty());
    let actions = lab.step(Input::Welcome { block });
    assert_eq!(votes(&actions), [(1, block)]);
}

#[test]
fn r4_a_child_of_an_unwelcome_block_that_others_certified_gets_a_vote() {
    let mut lab = Lab::four();
    let parent = lab.block(1, &lab.base, 0, 0);
    lab.step(lab.proposal(&parent, None));
    let block = parent.id();
    lab.step(Input::Unwelcome { block });
    lab.payload(&parent, true);
    let child = lab.child(&parent);
    let qc = lab.qc(&parent);
    let actions = lab.offer(&child, Some(qc.into()));
    assert!(votes(&actions).contains(&(2, child.id())));
}

#[test]
fn f17_an_l1_origin_that_goes_back_gets_a_timeout_at_once() {
    let at = |number, hash, inbox| Origin {
        number,
        hash: L1BlockHash([hash; 32]),
        inbox,
    };
    for (origin, follows) in [
        (at(7, 7, 3), true),
        (at(8, 8, 4), true),
        (at(7, 8, 3), false),
        (at(6, 6, 3), false),
        (at(8, 8, 2), false),
    ] {
        let mut lab = Lab::four();
        let mut parent = lab.block(1, &lab.base, 0, 0);
        parent.origin = at(7, 7, 3);
        lab.offer(&parent, None);
        let mut child = lab.child(&parent);
        child.origin = origin;
        let qc = lab.qc(&parent);
        let actions = lab.offer(&child, Some(qc.into()));
        assert_eq!(votes(&actions).contains(&(2, child.id())), follows);
        assert_eq!(timeouts(&actions).len(), usize::from(!follows));
    }
}

// R5

#[test]
fn r5_a_quorum_certificate_gets_a_commit_vote_in_the_step_that_enters() {
    let mut lab = Lab::four();
    let block = lab.block(1, &lab.base, 0, 0);
    let qc = lab.qc(&block);
    let actions = lab.step(handed_on(qc.clone()));
    assert_eq!(commit_votes(&actions), [(1, block.id())]);
    let durable = lab.disk.safety.as_ref().unwrap();
    assert_eq!((durable.view.0, durable.high_rank().0), (2, 1));
    assert!(commit_votes(&lab.step(handed_on(qc))).is_empty(), "once");
}

#[test]
fn r5_also_when_the_fast_path_is_near() {
    let mut lab = Lab::four();
    let block = lab.block(1, &lab.base, 0, 0);
    lab.step(lab.vote(1, &block));
    lab.step(lab.vote(2, &block));
    lab.step(lab.proposal(&block, None));
    let actions = lab.payload(&block, true);
    assert_eq!(votes(&actions).len(), 1);
    assert_eq!(commit_votes(&actions), [(1, block.id())], "3 of 4 votes");
}

#[test]
fn r5_no_commit_vote_after_a_timeout_of_the_view_or_a_later_one() {
    let mut lab = Lab::four();
    let block = lab.block(1, &lab.base, 0, 0);
    lab.wait(BASE);
    assert!(commit_votes(&lab.step(handed_on(lab.qc(&block)))).is_empty());
    let mut lab = Lab::four();
    lab.step(handed_on(lab.tc(4, None, None)));
    lab.wait(BASE);
    lab.wait(CAP);
    assert_eq!(lab.replica.safety().timed_out.unwrap().view.0, 5);
    lab.restart();
    assert!(commit_votes(&lab.step(handed_on(lab.qc(&block)))).is_empty());
}

#[test]
fn r5_no_commit_vote_below_an_earlier_one_and_none_on_other_certificates() {
    let mut lab = Lab::four();
    let (first, later) = (lab.block(1, &lab.base, 0, 0), lab.block(3, &lab.base, 0, 0));
    assert_eq!(commit_votes(&lab.step(handed_on(lab.qc(&later)))).len(), 1);
    assert!(commit_votes(&lab.step(handed_on(lab.qc(&first)))).is_empty());
    let adopting = lab.tc(6, None, Some(first.id()));
    assert!(commit_votes(&lab.step(handed_on(adopting))).is_empty());
    assert_eq!(lab.view(), 7);
}

// R6, R7

#[test]
fn r6_votes_of_the_fast_quorum_make_the_block_and_its_ancestors_final() {
    let mut lab = Lab::four();
    let first = lab.block(1, &lab.base, 0, 0);
    let second = lab.child(&first);
    lab.offer(&first, None);
    lab.offer(&second, Some(lab.qc(&first).into()));
    lab.step(lab.vote(1, &second));
    assert!(
        commits(&lab.step(lab.vote(2, &second))).is_empty(),
        "3 of 4"
    );
    assert!(commits(&lab.step(lab.vote(2, &second))).is_empty(), "again");
    let actions = lab.step(lab.vote(3, &second));
    assert_eq!(commits(&actions), [(vec![first.id(), second.id()], true)]);
}

#[test]
fn r7_commit_votes_of_a_quorum_make_the_block_final() {
    let mut lab = Lab::four();
    let block = lab.block(1, &lab.base, 0, 0);
    lab.offer(&block, None);
    lab.step(lab.commit_vote(1, &block));
    lab.step(lab.commit_vote(1, &block));
    assert!(commits(&lab.step(lab.commit_vote(2, &block))).is_empty());
    let actions = lab.step(lab.commit_vote(3, &block));
    assert_eq!(commits(&actions), [(vec![block.id()], false)]);
}

#[test]
fn r7_a_block_that_comes_after_its_proof_is_committed_then() {
    let mut lab = Lab::four();
    let block = lab.block(1, &lab.base, 0, 0);
    for member in 1..4 {
        assert!(commits(&lab.step(lab.commit_vote(member, &block))).is_empty());
    }
    lab.step(lab.record(&block, None));
    let actions = lab.payload(&block, true);
    assert_eq!(commits(&actions), [(vec![block.id()], false)]);
}

#[test]
fn r7_a_committed_block_keeps_its_justification_when_the_attachment_was_swapped() {
    let mut lab = Lab::four();
    let first = lab.block(1, &lab.base, 0, 0);
    let second = lab.child(&first);
    lab.offer(&first, None);
    lab.step(handed_on(lab.qc(&first)));
    lab.offer(&second, None);
    for member in 1..4 {
        lab.step(lab.commit_vote(member, &second));
    }
    assert_eq!(lab.disk.height(), 2);
    let justification = lab.disk.ledger[1].justification.as_ref();
    assert!(matches!(
        justification,
        Some(Justification::Certificate(Certificate::Quorum(_)))
    ));
}
