//! S3 to S7, R1 to R3.

use crate::stage::{Stage, commit_of, crashed, restarted, timeout_of, vote_of};
use outrider_sim::fact::{Class, Fact};
use outrider_types::{Certificate, ConsensusMessage, Epoch, Justification, ProposalKind, View};
use std::sync::Arc;

#[test]
fn s3_two_blocks_of_a_view_with_a_quorum_each() {
    let stage = Stage::new(&[0]);
    let (one, other) = (
        stage.child(&stage.genesis(), 1, 0),
        stage.child(&stage.genesis(), 1, 1),
    );
    // Member 0 votes for both; two honest members for the one, one for the other.
    let mut facts = stage.votes(&[0, 1, 2], &one);
    facts.extend(stage.votes(&[0, 3], &other));
    stage.fine(&facts);
    // A certificate of the other one cannot be, whoever signed it.
    let certificate = stage.quorum(&[0, 2, 3], &other);
    facts.push(stage.sent(
        1,
        ConsensusMessage::Certificate(Justification::Certificate(certificate)),
    ));
    stage.fires("S7", &facts);

    // The vote that completes it is an offence as well; two certificates are the greater evil.
    let mut facts = stage.votes(&[0, 1, 2], &one);
    facts.extend(stage.votes(&[0, 3, 2], &other));
    stage.fires("S3", &facts);
    // With stake 2 Byzantine, more than f, it can happen, and is not S3's business.
    let overrun = Stage::new(&[0, 1]);
    let mut facts = overrun.votes(&[0, 1, 2], &one);
    facts.extend(overrun.votes(&[0, 1, 3], &other));
    overrun.fine(&facts);
}

#[test]
fn s7_counts_stake_and_not_heads() {
    let stage = Stage::new(&[0, 1]);
    let keys = &stage.keys;
    let members = keys
        .iter()
        .zip([1, 1, 4, 4])
        .map(|(key, stake)| outrider_types::Member {
            public_key: key.public_key(),
            stake: outrider_types::Stake(stake),
        });
    let faults = Some((outrider_types::Stake(2), outrider_types::Stake(0)));
    let committee = outrider_types::Committee::simulated(
        crate::stage::CHAIN,
        Epoch(0),
        members.collect(),
        faults,
    )
    .unwrap();
    let mut stage = Stage { committee, ..stage };
    stage.scenario.committee.faults = Some((2, 0));
    // N = 10, f = 2, Q = 7: members 0, 1 and 2 together are 6, which is short of it.
    let one = stage.child(&stage.genesis(), 1, 0);
    let entry = Justification::Certificate(stage.quorum(&[0, 1, 2], &one));
    let mut facts = stage.votes(&[0, 1, 2], &one);
    facts.push(stage.entered(3, &entry));
    stage.fires("S7", &facts);
    let entry = Justification::Certificate(stage.quorum(&[2, 3], &one));
    let mut facts = stage.votes(&[2, 3], &one);
    facts.push(stage.entered(3, &entry));
    stage.fine(&facts);
}

#[test]
fn s4_views_only_go_back_over_a_restart_to_what_is_durable() {
    let stage = Stage::new(&[]);
    stage.fires("S4", &[stage.stepped(0, 5, 0), stage.stepped(0, 4, 0)]);
    let durable = stage.durable(0, |safety| safety.view = View(4));
    let life = [durable, stage.stepped(0, 5, 0), crashed(0), restarted(0, 0)];
    stage.fine(&[&life[..], &[stage.stepped(0, 4, 0)]].concat());
    stage.fires("S4", &[&life[..], &[stage.stepped(0, 3, 0)]].concat());
    // What a Byzantine host does is its own affair.
    let stage = Stage::new(&[0]);
    stage.fine(&[stage.stepped(0, 5, 0), stage.stepped(0, 4, 0)]);
}

#[test]
fn s4_durable_statements_only_go_forward() {
    let stage = Stage::new(&[]);
    let block = stage.child(&stage.genesis(), 3, 0);
    let other = stage.child(&stage.genesis(), 3, 1);
    let later = stage.child(&block, 4, 0);
    let voted = |block| stage.durable(0, move |safety| safety.voted = Some(vote_of(block)));
    stage.fine(&[voted(&block), voted(&block), voted(&later)]);
    stage.fires("S4", &[voted(&later), voted(&block)]);
    stage.fires("S4", &[voted(&block), voted(&other)]);
    stage.fires("S4", &[voted(&block), stage.durable(0, |_| {})]);
    // R4, R5: nothing for a view that it had given up on.
    let gave_up = |view| {
        stage.durable(0, move |safety| {
            safety.timed_out = Some(timeout_of(view, 0, None))
        })
    };
    let then = |vote: bool, commit: bool| {
        let (view, block) = (3, block);
        stage.durable(0, move |safety| {
            safety.timed_out = Some(timeout_of(view, 0, None));
            safety.voted = vote.then(|| vote_of(&block));
            safety.commit_voted = commit.then(|| commit_of(&block));
        })
    };
    stage.fires("S4", &[gave_up(3), then(true, false)]);
    stage.fires("S4", &[gave_up(3), then(false, true)]);
    stage.fine(&[gave_up(2), then(true, false)]);
    // An earlier state of an epoch after a later one.
    let of_epoch = |epoch| stage.durable(0, move |safety| safety.epoch = Epoch(epoch));
    stage.fires("S4", &[of_epoch(1), of_epoch(0)]);
}

#[test]
fn s4_nothing_leaves_before_it_is_durable() {
    let stage = Stage::new(&[]);
    let block = stage.child(&stage.genesis(), 2, 0);
    let other = stage.child(&stage.genesis(), 1, 0);
    let durable = |block| stage.durable(1, move |safety| safety.voted = Some(vote_of(block)));
    stage.fine(&[durable(&block), stage.vote(1, &block)]);
    stage.fires("S4", &[durable(&other), stage.vote(1, &block)]);
    let commit = stage.durable(1, |safety| safety.commit_voted = Some(commit_of(&block)));
    stage.fine(&[commit.clone(), stage.commit_vote(1, &block)]);
    stage.fires("S4", &[durable(&block), stage.commit_vote(1, &block)]);
    let timeout = stage.timeout(1, 2, None, None);
    let gave_up = stage.durable(1, |safety| safety.timed_out = Some(timeout_of(2, 0, None)));
    stage.fine(&[gave_up, timeout.clone()]);
    stage.fires("S4", &[commit, timeout]);
    let proposal = stage.proposal(2, &block, ProposalKind::Normal);
    stage.fires("S4", &[durable(&block), proposal]);
}

#[test]
fn s4_a_member_that_lost_its_state_does_not_sign_where_it_had_signed() {
    let stage = Stage::new(&[]);
    let (one, two) = (
        stage.child(&stage.genesis(), 1, 0),
        stage.child(&stage.genesis(), 2, 0),
    );
    let wiped = Fact::Crashed {
        member: 1,
        wiped: true,
    };
    let life = [stage.vote(1, &one), wiped.clone(), restarted(1, 0)];
    stage.fires("S4", &[&life[..], &[stage.vote(1, &two)]].concat());
    // It never signed anything before.
    stage.fine(&[wiped, restarted(1, 0), stage.vote(1, &two)]);
}

#[test]
fn s5_offences_of_honest_members() {
    let stage = Stage::new(&[3]);
    let genesis = stage.genesis();
    let (one, other) = (stage.child(&genesis, 1, 0), stage.child(&genesis, 1, 1));
    let next = stage.child(&one, 2, 0);
    let offences = [
        [
            stage.proposal(1, &one, ProposalKind::Normal),
            stage.proposal(1, &other, ProposalKind::Normal),
        ],
        [stage.vote(1, &one), stage.vote(1, &other)],
        [stage.commit_vote(1, &one), stage.commit_vote(1, &other)],
        [stage.vote(1, &one), stage.timeout(1, 1, None, None)],
        [
            stage.timeout(1, 1, None, Some(other.id())),
            stage.vote(1, &one),
        ],
        [stage.commit_vote(1, &one), stage.timeout(1, 3, None, None)],
        [stage.timeout(1, 3, None, None), stage.commit_vote(1, &one)],
    ];
    for pair in offences {
        let violation = stage.fires("S5", &pair);
        assert_eq!(violation.class, Class::Safety);
    }
    let quorum = stage.quorum(&[0, 1, 2], &one);
    let mut locked = stage.votes(&[0, 1, 2], &one);
    locked.extend([
        stage.commit_vote(1, &one),
        stage.timeout(1, 3, Some(&quorum), None),
    ]);
    stage.fine(&locked);
    stage.fine(&[
        stage.proposal(1, &one, ProposalKind::Normal),
        stage.proposal(1, &other, ProposalKind::Optimistic),
        stage.vote(1, &one),
        stage.vote(1, &one),
        stage.timeout(1, 1, None, Some(one.id())),
        stage.vote(1, &next),
    ]);
    // Member 3 is Byzantine.
    stage.fine(&[stage.vote(3, &one), stage.vote(3, &other)]);
}

#[test]
fn s5_who_signed_counts_and_not_who_sent() {
    let stage = Stage::new(&[3]);
    let genesis = stage.genesis();
    let (one, other) = (stage.child(&genesis, 1, 0), stage.child(&genesis, 1, 1));
    // Host 3 hands on a vote of member 1 for the one, and makes one up for the other.
    stage.fires(
        "S5",
        &[stage.vote_by(3, 1, &one), stage.vote_by(3, 1, &other)],
    );
    let mut forged = *stage.sign(3, vote_of(&other));
    forged.signer = crate::stage::index(1);
    stage.fine(&[
        stage.vote(1, &one),
        stage.sent(3, ConsensusMessage::Vote(forged)),
    ]);
}

#[test]
fn s6_the_highest_certificate_is_never_lowered() {
    let stage = Stage::new(&[]);
    stage.fires("S6", &[stage.stepped(0, 5, 3), stage.stepped(0, 6, 2)]);
    stage.fine(&[stage.stepped(0, 5, 3), stage.stepped(0, 6, 3)]);
    // Entering by a certificate of view 4 means to hold it.
    let block = stage.child(&stage.genesis(), 4, 0);
    let entry = Justification::Certificate(stage.quorum(&[0, 1, 2], &block));
    let mut facts = stage.votes(&[0, 1, 2], &block);
    facts.push(stage.entered(3, &entry));
    facts.push(stage.stepped(3, 5, 4));
    stage.fine(&facts);
    facts.pop();
    facts.push(stage.stepped(3, 5, 3));
    stage.fires("S6", &facts);
}

#[test]
fn s7_certificates_of_votes_that_were_not_given() {
    let stage = Stage::new(&[0]);
    let block = stage.child(&stage.genesis(), 1, 0);
    let said = stage.votes(&[1, 2], &block);
    let enters = |certificate: Certificate| {
        let entry = Justification::Certificate(certificate);
        [&said[..], &[stage.entered(1, &entry)]].concat()
    };
    // A Byzantine member may sign what it says to nobody.
    stage.fine(&enters(stage.quorum(&[0, 1, 2], &block)));
    stage.fires("S7", &enters(stage.quorum(&[1, 2, 3], &block)));
    stage.fires("S7", &enters(stage.quorum(&[1, 2], &block)));
    let mut twice = stage.aggregate(&[0, 1, 2], vote_of(&block));
    twice.signatures[0] = twice.signatures[1];
    stage.fires("S7", &enters(Certificate::Quorum(twice)));
    let mut forged = stage.aggregate(&[0, 1, 2], vote_of(&block));
    forged.signatures[0].1 = forged.signatures[1].1;
    stage.fires("S7", &enters(Certificate::Quorum(forged)));
    // Votes are no commit votes.
    let commit = stage.aggregate(&[0, 1, 2], commit_of(&block));
    stage.fires("S7", &enters(Certificate::Commit(commit)));
}

#[test]
fn s7_what_does_not_end_the_view_before() {
    let stage = Stage::new(&[]);
    let block = stage.child(&stage.genesis(), 1, 0);
    let entry = Justification::Certificate(stage.quorum(&[0, 1, 2], &block));
    let mut facts = stage.votes(&[0, 1, 2], &block);
    facts.push(Fact::Entered {
        member: 1,
        epoch: 0,
        view: View(3),
        leader: 3,
        by_timeout: false,
        entry: Some(Arc::new(entry)),
    });
    stage.fires("S7", &facts);
}

#[test]
fn s7_timeout_certificates() {
    let stage = Stage::new(&[]);
    let block = stage.child(&stage.genesis(), 1, 0);
    let id = block.id();
    let quorum = stage.quorum(&[0, 1, 2], &block);
    let mut said = stage.votes(&[0, 1, 2], &block);
    said.extend([
        stage.timeout(0, 2, Some(&quorum), None),
        stage.timeout(1, 2, Some(&quorum), None),
        stage.timeout(2, 2, None, None),
    ]);
    let enters = |entry: &Justification| [&said[..], &[stage.entered(3, entry)]].concat();
    let right = [(0, 1, None), (1, 1, None), (2, 0, None)];
    stage.fine(&enters(&stage.extending(2, Some(quorum.clone()), &right)));
    stage.fires("S7", &enters(&stage.extending(2, None, &right)));
    stage.fires(
        "S7",
        &enters(&stage.extending(2, Some(quorum.clone()), &right[..2])),
    );
    let other = [(0, 1, None), (1, 1, None), (2, 1, None)];
    stage.fires(
        "S7",
        &enters(&stage.extending(2, Some(quorum.clone()), &other)),
    );
    let high = [(0, 1, None), (1, 1, None), (2, 2, None)];
    stage.fires("S7", &enters(&stage.extending(2, Some(quorum), &high)));

    // Adoption: two of four report the block, A = 2.
    let mut said = stage.votes(&[0, 1], &block);
    said.extend([
        stage.timeout(0, 1, None, Some(id)),
        stage.timeout(1, 1, None, Some(id)),
        stage.timeout(2, 1, None, None),
    ]);
    let enters = |entry: &Justification| [&said[..], &[stage.entered(3, entry)]].concat();
    let reported = [(0, 0, Some(id)), (1, 0, Some(id)), (2, 0, None)];
    stage.fine(&enters(&stage.adopting(1, id, &reported)));
    stage.fires("S7", &enters(&stage.extending(1, None, &reported)));
    let another = stage.child(&stage.genesis(), 1, 1).id();
    stage.fires("S7", &enters(&stage.adopting(1, another, &reported)));
}

#[test]
fn s7_what_a_block_is_committed_by() {
    let stage = Stage::new(&[]);
    let block = stage.child(&stage.genesis(), 1, 0);
    let said = stage.votes(&[0, 1, 2, 3], &block);
    let commits = |members: &[usize]| {
        let certificate = stage.fast(members, &block);
        let fact = stage.committed(1, &block, &[], Some(&certificate));
        [&said[..], &[fact]].concat()
    };
    stage.fine(&commits(&[0, 1, 2, 3]));
    // F = 4.
    stage.fires("S7", &commits(&[0, 1, 2]));
    let slow = stage.slow(&[0, 1, 2], &block);
    let fact = stage.committed(1, &block, &[], Some(&slow));
    stage.fires("S7", &[&said[..], std::slice::from_ref(&fact)].concat());
    let mut said = stage.commit_votes(&[0, 1, 2], &block);
    said.push(fact);
    stage.fine(&said);
}

#[test]
fn r1_memory_is_bounded() {
    let stage = Stage::new(&[]);
    let holds = |held| Fact::Stepped {
        member: 0,
        epoch: 0,
        view: View(1),
        high: View(0),
        held,
    };
    stage.fine(&[holds(4_000)]);
    stage.fires("R1", &[holds(40_000)]);
}

#[test]
fn r2_no_panic() {
    let stage = Stage::new(&[]);
    let reason = "index out of bounds".to_owned();
    let violation = stage.fires("R2", &[Fact::Panicked { member: 2, reason }]);
    assert_eq!(violation.class.exit_code(), 13);
}

#[test]
fn r3_verifications_per_message_are_bounded() {
    let stage = Stage::new(&[]);
    let block = stage.child(&stage.genesis(), 1, 0);
    let vote = stage.vote(1, &block);
    let Fact::Sent { number, .. } = vote else {
        panic!("a message");
    };
    let checked = |signatures| Fact::Checked {
        member: 2,
        number,
        signatures,
    };
    stage.fine(&[vote.clone(), checked(1)]);
    stage.fires("R3", &[vote, checked(50)]);
}
