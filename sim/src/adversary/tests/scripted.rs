//! The deeds that fight for time, and those that work together.

use super::super::halves;
use super::stage::{OWN, Stage, proposals, receivers, timeouts, votes};
use crate::fact::Message;
use outrider_types::{BlockId, ConsensusMessage, Justification, ProposalKind, View};

#[test]
fn strategist_holds_back_only_the_vote_that_completes_a_certificate() {
    let mut stage = Stage::new(&[OWN]);
    let mut deed = stage.deed("strategist");
    let block = stage.block(4, 0, 0);
    stage.overhears(
        &mut *deed,
        0,
        None,
        &stage.proposal(block, ProposalKind::Normal),
    );
    let vote = |member| stage.vote(member, 4, block.id());
    // Three of four are a quorum: one from outside and one's own are not, two from outside are.
    assert_eq!(deed.holds_back(0, 0, 1, &vote(0)), 0);
    assert_eq!(deed.holds_back(50_000, 2, 1, &vote(2)), 180_000 - 50_000);
    assert_eq!(
        deed.holds_back(190_000, 2, 1, &vote(2)),
        0,
        "the timer is near"
    );
    assert_eq!(
        deed.holds_back(0, 0, 2, &vote(0)),
        0,
        "every receiver is counted by itself"
    );
    let timeout = stage.timeout(0, 4, None);
    assert_eq!(deed.holds_back(50_000, 0, 1, &timeout), 0);
    let said = stage.speaks(&mut *deed, 0, None, &stage.vote(OWN, 4, block.id()));
    assert!(said.len() < 3, "its votes reach a part");
}

#[test]
fn selective_certifier_hands_each_certificate_to_one_who_does_not_lead_next() {
    let mut stage = Stage::new(&[OWN]);
    let mut deed = stage.deed("selective-certifier");
    for view in 1..20_u64 {
        let block = stage.block(view, 0, 0).id();
        let first = stage.vote(0, view, block);
        assert!(
            stage.overhears(&mut *deed, 0, None, &first).is_empty(),
            "too few"
        );
        let second = stage.vote(1, view, block);
        let said = stage.overhears(&mut *deed, 1, None, &second);
        assert_eq!(said.len(), 1, "two and its own are a quorum");
        assert!(stage.valid(&said[0].message));
        assert_ne!(said[0].to, Some(((view + 1) % 4) as usize), "view {view}");
        let third = stage.vote(2, view, block);
        assert!(
            stage.overhears(&mut *deed, 2, None, &third).is_empty(),
            "once"
        );
    }
    let certificate = stage.certificate(3, BlockId([1; 32]));
    assert!(stage.speaks(&mut *deed, 0, None, &certificate).is_empty());
}

#[test]
fn hidden_qc_keeps_the_next_leader_in_the_dark() {
    let mut stage = Stage::new(&[OWN]);
    let mut deed = stage.deed("hidden-qc");
    // Member 0 leads view 4.
    for message in [
        stage.vote(OWN, 3, BlockId([1; 32])),
        stage.commit_vote(OWN, 3, BlockId([1; 32])),
        stage.certificate(3, BlockId([1; 32])),
        stage.proposal(stage.block(3, OWN, 0), ProposalKind::Normal),
    ] {
        let heard = receivers(&stage.speaks(&mut *deed, 0, None, &message));
        assert_eq!(heard.into_iter().collect::<Vec<_>>(), [1, 2]);
    }
    let timeout = stage.timeout(OWN, 3, None);
    assert_eq!(stage.speaks(&mut *deed, 0, None, &timeout)[0].to, None);
    let vote = stage.vote(1, 3, BlockId([1; 32]));
    stage.overhears(&mut *deed, 1, None, &vote);
    assert_eq!(
        deed.holds_back(0, 1, 0, &vote),
        180_000,
        "nine tenths of the timer"
    );
    assert_eq!(deed.holds_back(0, 1, 2, &vote), 0);
}

#[test]
fn selective_fast_votes_reach_one_member_for_ever() {
    let mut stage = Stage::new(&[OWN]);
    let mut deed = stage.deed("selective-fast-votes");
    for view in 1..9 {
        let vote = stage.vote(OWN, view, BlockId([1; 32]));
        let heard = receivers(&stage.speaks(&mut *deed, 0, None, &vote));
        assert_eq!(heard.into_iter().collect::<Vec<_>>(), [0]);
        let commit = stage.commit_vote(OWN, view, BlockId([1; 32]));
        assert!(stage.speaks(&mut *deed, 0, None, &commit).is_empty());
    }
}

#[test]
fn splitter_completes_the_block_ahead_towards_all_but_the_next_leader() {
    let mut stage = Stage::new(&[OWN]);
    let mut deed = stage.deed("splitter");
    let (ahead, normal) = (stage.block(4, 0, 1), stage.block(4, 0, 2));
    stage.overhears(
        &mut *deed,
        0,
        None,
        &stage.proposal(ahead, ProposalKind::Optimistic),
    );
    stage.overhears(
        &mut *deed,
        0,
        None,
        &stage.proposal(normal, ProposalKind::Normal),
    );
    assert!(
        stage
            .overhears(&mut *deed, 0, None, &stage.vote(0, 4, ahead.id()))
            .is_empty()
    );
    let said = stage.overhears(&mut *deed, 2, None, &stage.vote(2, 4, ahead.id()));
    assert_eq!(votes(&said).len(), 2, "hosts 0 and 2");
    assert!(votes(&said).iter().all(|vote| vote.block == ahead.id()));
    let lies = timeouts(&said);
    assert_eq!(lies.len(), 1);
    assert_eq!(lies[0].timeout.voted, Some(normal.id()));
    let lied_to: Vec<_> = said
        .iter()
        .filter(|said| said.message.kind() == "timeout")
        .map(|said| said.to)
        .collect();
    assert_eq!(lied_to, [Some(1)], "member 1 leads view 5");
}

#[test]
fn splitter_makes_both_proposals_in_its_own_view() {
    let mut stage = Stage::new(&[OWN]);
    let mut deed = stage.deed("splitter");
    let mut kinds = std::collections::BTreeSet::new();
    for view in [3, 7, 11, 15, 19] {
        let block = stage.block(view, OWN, 0);
        let justification = stage.justification(view - 1, block.parent);
        let message = stage.proposal_with(block, ProposalKind::Normal, Some(justification));
        let said = stage.speaks(&mut *deed, 0, None, &message);
        assert_eq!(receivers(&said).len(), 3, "everyone hears one");
        kinds.extend(
            proposals(&said)
                .iter()
                .map(|said| (said.kind, said.block.id() == block.id())),
        );
    }
    assert_eq!(
        kinds.into_iter().collect::<Vec<_>>(),
        [
            (ProposalKind::Normal, true),
            (ProposalKind::Optimistic, false)
        ]
    );
}

#[test]
fn forkers_keep_their_sides_apart_also_among_themselves() {
    let mut stage = Stage::new(&[OWN, 2]);
    let mut deed = stage.deed("forkers");
    assert_eq!(halves(4, &[2, OWN]), [vec![0], vec![1]]);
    assert_eq!(halves(7, &[2, 5, 6]), [vec![0, 1], vec![3, 4]]);
    let vote = stage.vote(OWN, 3, BlockId([1; 32]));
    for side in 0..2 {
        let said = stage.speaks(&mut *deed, side, None, &vote);
        let honest: Vec<_> = said.iter().filter(|said| said.to != Some(2)).collect();
        assert_eq!(honest.len(), 1);
        assert_eq!(honest[0].to, Some(side), "half {side} is host {side}");
        let told: Vec<_> = said.iter().filter(|said| said.to == Some(2)).collect();
        assert_eq!(told.len(), 2, "which side, and then what");
        assert_eq!(*told[1].message, *vote);
    }
    // What accomplice 2 tells host 3 is heard by the side that it is for.
    let mut accomplice = Stage::new(&[2, OWN]);
    let mut other = accomplice.deed("forkers");
    let word = accomplice.vote(2, 3, BlockId([2; 32]));
    let said = accomplice.speaks(&mut *other, 1, None, &word);
    assert!(!stage.hears(&mut *deed, 1, 2, &word).0, "not known yet");
    for said in said.iter().filter(|said| said.to == Some(OWN)) {
        stage.overhears(&mut *deed, 2, said.to, &said.message);
    }
    assert!(!stage.hears(&mut *deed, 0, 2, &word).0);
    assert!(stage.hears(&mut *deed, 1, 2, &word).0);
    // The halves do not hear each other until gst.
    assert_eq!(deed.holds_back(1_000, 0, 1, &word), 10_000_000 - 1_000);
    assert_eq!(deed.holds_back(1_000, 0, 2, &word), 0);
    let wrong = Message::Consensus(ConsensusMessage::Certificate(
        stage.justification(1, BlockId([0; 32])),
    ));
    assert!(
        !stage.hears(&mut *deed, 1, 0, &wrong).0,
        "host 0 is of the other half"
    );
    assert!(stage.hears(&mut *deed, 0, 0, &wrong).0);
}

#[test]
fn certificates_that_a_deed_completes_are_of_the_view_it_says() {
    let mut stage = Stage::new(&[OWN]);
    let mut deed = stage.deed("selective-certifier");
    let block = stage.block(6, 2, 0).id();
    stage.overhears(&mut *deed, 0, None, &stage.vote(0, 6, block));
    let said = stage.overhears(&mut *deed, 1, None, &stage.vote(1, 6, block));
    let Message::Consensus(ConsensusMessage::Certificate(held)) = &*said[0].message else {
        panic!("a certificate");
    };
    assert_eq!(Justification::view(held), View(6));
    assert_eq!(held.resolved().block, Some(block));
}
