//! Marks: names, merging, and that facts made by hand reach the marks that they should and no others.

use crate::stage::{Stage, crashed, restarted, timeout_of, vote_of};
use outrider_sim::fact::{Fact, Micros, Observer as _};
use outrider_sim::marks::{MARKS, Mark, Marks};
use outrider_types::{Certificate, ConsensusMessage, Justification, ProposalKind};
use std::collections::BTreeSet;

fn reached(stage: &Stage, facts: &[(Micros, Fact)]) -> Vec<&'static str> {
    let mut marks = Marks::new(&stage.scenario);
    marks.see(0, &stage.epoch()).unwrap();
    for (at, fact) in facts {
        marks.see(*at, fact).unwrap();
    }
    marks.reached()
}

/// A microsecond apart.
fn in_order(facts: Vec<Fact>) -> Vec<(Micros, Fact)> {
    (1..).zip(facts).collect()
}

#[test]
fn names_are_unique_and_there_are_at_least_forty() {
    let names: BTreeSet<&str> = MARKS.iter().map(|(_, name, _)| *name).collect();
    assert_eq!(names.len(), MARKS.len());
    assert!(names.len() >= 40);
    for (at, (mark, _, about)) in MARKS.iter().enumerate() {
        assert_eq!(*mark as usize, at);
        assert!(about.ends_with('.'));
    }
}

#[test]
fn merging_adds_counts_and_every_mark_is_reached_or_missing() {
    let stage = Stage::new(&[]);
    let block = stage.child(&stage.genesis(), 1, 0);
    let facts = in_order(vec![
        stage.proposal(1, &block, ProposalKind::Optimistic),
        stage.vote(0, &block),
    ]);
    let mut marks = Marks::new(&stage.scenario);
    marks.see(0, &stage.epoch()).unwrap();
    for (at, fact) in &facts {
        marks.see(*at, fact).unwrap();
    }
    let mut total = Marks::default();
    assert_eq!(total.missing().len(), MARKS.len());
    total.merge(&marks);
    total.merge(&marks);
    assert_eq!(total.count(Mark::OptimisticVoted), 2);
    assert_eq!(total.reached(), ["optimistic-voted"]);
    assert_eq!(total.reached().len() + total.missing().len(), MARKS.len());
    assert_eq!(total.counts().len(), MARKS.len());
}

#[test]
fn certificates_beside_each_other() {
    let stage = Stage::new(&[]);
    let block = stage.child(&stage.genesis(), 1, 0);
    let other = stage.child(&stage.genesis(), 1, 1);
    let id = block.id();
    let quorum = Justification::Certificate(stage.quorum(&[0, 1, 2], &block));
    let entries = [(0, 0, Some(id)), (1, 0, Some(id)), (2, 0, None)];
    let adopting = stage.adopting(1, id, &entries);
    let of_other = stage.adopting(1, other.id(), &entries);
    let bare = stage.extending(1, None, &entries);
    let both = |one: &Justification, two: &Justification| {
        let facts = vec![stage.entered(0, one), stage.entered(1, two)];
        reached(&stage, &in_order(facts))
    };
    assert_eq!(both(&quorum, &quorum), [""; 0]);
    assert_eq!(both(&quorum, &bare), ["bare-tc", "qc-beside-tc"]);
    assert_eq!(
        both(&adopting, &quorum),
        ["adopting-tc", "qc-beside-adopting-tc"]
    );
    assert_eq!(
        both(&quorum, &of_other),
        ["adopting-tc", "qc-beside-other-adoption"]
    );
}

#[test]
fn commits_on_both_paths() {
    let stage = Stage::new(&[]);
    let block = stage.child(&stage.genesis(), 1, 0);
    let commits = |member, fast: bool| {
        let certificate = if fast {
            stage.fast(&[0, 1, 2, 3], &block)
        } else {
            stage.slow(&[0, 1, 2], &block)
        };
        stage.committed(member, &block, &[], Some(&certificate))
    };
    let mut votes = stage.votes(&[0, 1, 2], &block);
    votes.push(commits(0, false));
    assert_eq!(
        reached(&stage, &in_order(votes)),
        ["slow-commit", "slow-for-lack-of-votes"]
    );
    let mut votes = stage.votes(&[0, 1, 2, 3], &block);
    votes.extend([commits(0, true), commits(1, false)]);
    assert_eq!(
        reached(&stage, &in_order(votes)),
        ["fast-commit", "slow-commit", "fast-beside-slow"]
    );
}

#[test]
fn giving_up_early() {
    let stage = Stage::new(&[]);
    let block = stage.child(&stage.genesis(), 1, 0);
    let entry = Justification::Certificate(stage.quorum(&[0, 1, 2], &block));
    let enters = |at, member| (at, stage.entered(member, &entry));
    let gives_up = |at, member| (at, stage.timeout(member, 2, None, None));
    // Base timer 200 ms. At once, and nobody else did: R10. Before the timer, after two others (W = 2): R9.
    assert_eq!(
        reached(&stage, &[enters(5, 3), gives_up(5, 3)]),
        ["leader-skipped"]
    );
    let amplified = [
        enters(5, 1),
        enters(5, 2),
        enters(5, 3),
        gives_up(200_005, 1),
        gives_up(200_005, 2),
        gives_up(200_004, 3),
    ];
    assert_eq!(reached(&stage, &amplified), ["amplified"]);
    // When the timer fires, it is nothing rare; saying it again is R8.
    let fired = [enters(5, 3), gives_up(200_005, 3)];
    assert_eq!(reached(&stage, &fired), [""; 0]);
    let again = [enters(5, 3), gives_up(200_005, 3), gives_up(300_005, 3)];
    assert_eq!(reached(&stage, &again), ["timeout-again"]);
}

#[test]
fn restarts_with_something_unsaid() {
    let stage = Stage::new(&[]);
    let block = stage.child(&stage.genesis(), 1, 0);
    let durable = stage.durable(2, |safety| safety.voted = Some(vote_of(&block)));
    let life = [crashed(2), restarted(2, 0)];
    let with = |facts: Vec<Fact>| reached(&stage, &in_order([facts, life.to_vec()].concat()));
    assert_eq!(with(vec![durable.clone()]), ["vote-unsent"]);
    assert_eq!(with(vec![durable.clone(), stage.vote(2, &block)]), [""; 0]);
    let timeout = stage.durable(2, |safety| safety.timed_out = Some(timeout_of(1, 0, None)));
    assert_eq!(with(vec![timeout]), ["timeout-unsent"]);
    let facts = vec![
        durable,
        stage.vote(2, &block),
        crashed(2),
        restarted(2, 0),
        stage.vote(2, &block),
    ];
    assert_eq!(reached(&stage, &in_order(facts)), ["vote-again"]);
}

#[test]
fn offences_of_byzantine_members() {
    let stage = Stage::new(&[3]);
    let genesis = stage.genesis();
    let (one, other) = (stage.child(&genesis, 3, 0), stage.child(&genesis, 3, 1));
    let normal = |block| stage.proposal(3, block, ProposalKind::Normal);
    let cases = [
        (vec![normal(&one), normal(&other)], "double-proposal"),
        (
            vec![stage.vote(3, &one), stage.vote(3, &other)],
            "double-vote",
        ),
        (
            vec![stage.commit_vote(3, &one), stage.commit_vote(3, &other)],
            "double-commit-vote",
        ),
        (
            vec![stage.vote(3, &one), stage.timeout(3, 3, None, None)],
            "hidden-vote",
        ),
        (
            vec![stage.commit_vote(3, &one), stage.timeout(3, 4, None, None)],
            "broken-lock",
        ),
    ];
    for (facts, name) in cases {
        assert_eq!(reached(&stage, &in_order(facts.clone())), [name]);
        assert_eq!(reached(&stage, &in_order(facts[..1].to_vec())), [""; 0]);
    }
}

#[test]
fn certificates_that_are_handed_on() {
    let stage = Stage::new(&[]);
    let block = stage.child(&stage.genesis(), 1, 0);
    let quorum: Certificate = stage.quorum(&[0, 1, 2], &block);
    let entry = Justification::Certificate(quorum);
    let message =
        || outrider_sim::fact::Message::Consensus(ConsensusMessage::Certificate(entry.clone()));
    // The stage's leader of every view is host 0.
    let to = |to| vec![stage.entered(2, &entry), stage.sent_to(2, to, message())];
    assert_eq!(reached(&stage, &in_order(to(Some(0)))), ["entry-forwarded"]);
    assert_eq!(reached(&stage, &in_order(to(Some(1)))), ["laggard-helped"]);
    assert_eq!(reached(&stage, &in_order(to(None))), [""; 0]);
}
