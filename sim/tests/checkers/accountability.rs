//! S11.

use crate::stage::{Stage, commit_of, timeout_of, vote_of};
use outrider_sim::fact::{Class, Fact};
use outrider_types::evidence::Pair;
use outrider_types::{Block, ConsensusMessage, Evidence, Justification, SyncMessage};

fn evidence(stage: &Stage, member: usize, one: &Block, other: &Block) -> Evidence {
    Evidence::DoubleVote(Pair {
        first: *stage.sign(member, vote_of(one)),
        second: *stage.sign(member, vote_of(other)),
    })
}

#[test]
fn s11_evidence_that_honest_members_spread() {
    let stage = Stage::new(&[3]);
    let genesis = stage.genesis();
    let (one, other) = (stage.child(&genesis, 1, 0), stage.child(&genesis, 1, 1));
    let spreads = |from, evidence| stage.sync(from, 1, SyncMessage::Evidence(evidence));
    stage.fine(&[spreads(0, evidence(&stage, 3, &one, &other))]);
    let violation = stage.fires("S11", &[spreads(0, evidence(&stage, 2, &one, &other))]);
    assert_eq!(violation.class, Class::Accountability);
    // No offence: the same vote twice; and a legal pair under E5.
    stage.fires("S11", &[spreads(0, evidence(&stage, 3, &one, &one))]);
    let legal = Evidence::BrokenLock(Pair {
        first: *stage.sign(3, commit_of(&one)),
        second: *stage.sign(3, timeout_of(2, 1, None)),
    });
    stage.fires("S11", &[spreads(0, legal)]);
    let broken = Evidence::BrokenLock(Pair {
        first: *stage.sign(3, commit_of(&one)),
        second: *stage.sign(3, timeout_of(2, 0, None)),
    });
    stage.fine(&[spreads(0, broken)]);
    // What a Byzantine member spreads, nobody believes.
    stage.fine(&[spreads(3, evidence(&stage, 2, &one, &other))]);
}

/// Members 0 and 1 of four vote for two blocks of view 1, f = 1: hosts 2 and 3 commit one each.
fn fork(stage: &Stage, guilty: &[usize]) -> Vec<Fact> {
    let genesis = stage.genesis();
    let (one, other) = (stage.child(&genesis, 1, 0), stage.child(&genesis, 1, 1));
    let voters = |last: usize| [guilty, &[last]].concat();
    let mut facts = stage.votes(&voters(2), &one);
    facts.extend(stage.votes(&voters(3), &other));
    for (member, block) in [(2, &one), (3, &other)] {
        let quorum = Justification::Certificate(stage.quorum(&voters(member), block));
        facts.push(stage.kept(member, &quorum));
        facts.extend(stage.commit_votes(&voters(member), block));
        let certificate = stage.slow(&voters(member), block);
        facts.push(stage.committed(member, block, &[], Some(&certificate)));
    }
    facts
}

#[test]
fn s11_a_fork_names_f_plus_one_out_of_what_honest_members_keep() {
    let mut stage = Stage::new(&[0, 1]);
    stage.scenario.expect.violates = Some("S1".to_owned());
    // Two are guilty: S11 is content, and the fork is S1.
    let violation = stage.fires("S1", &fork(&stage, &[0, 1]));
    assert!(violation.what.ends_with("; guilty: m0 m1"), "{violation}");
    assert!(stage.checkers().violated_as_expected(&Err(violation)));
}

#[test]
fn s11_a_fork_that_names_too_few() {
    // Member 3 commits another block with nothing but the certificates of commit votes at hand, and of these members 0 and 1
    // each signed only one: the two certificates were made of votes of too little stake.
    let stage = Stage::new(&[0, 1]);
    let genesis = stage.genesis();
    let (one, other) = (stage.child(&genesis, 1, 0), stage.child(&genesis, 2, 1));
    let mut facts = Vec::new();
    for (member, block, voters) in [(2, &one, [0, 1, 2]), (3, &other, [0, 1, 3])] {
        facts.extend(stage.commit_votes(&voters, block));
        let certificate = stage.slow(&voters, block);
        facts.push(stage.committed(member, block, &[], Some(&certificate)));
    }
    // Views 1 and 2: no pair of statements conflicts, so nobody is named.
    let violation = stage.fires("S11", &facts);
    assert!(
        violation.what.contains("stake 0, 2 is needed"),
        "{violation}"
    );
}

#[test]
fn s11_a_fork_with_transactions_goes_through_the_investigation() {
    use crate::stage::payload;
    use outrider_sim::fact::Message;
    use outrider_types::PayloadMessage;
    let stage = Stage::new(&[0, 1]);
    let genesis = stage.genesis();
    let blocks: Vec<(Block, outrider_types::Payload)> = [1, 2]
        .map(|salt| {
            let payload = payload(salt, 2);
            let block = Block {
                payload: payload.id(),
                ..stage.child(&genesis, 1, u64::from(salt))
            };
            (block, payload)
        })
        .into();
    let run = |kept: bool| {
        let mut facts = Vec::new();
        for ((block, payload), member) in blocks.iter().zip([2, 3]) {
            let voters = [0, 1, member];
            let carried = PayloadMessage::Payload(payload.clone());
            facts.push(stage.sent_to(0, None, Message::Payload(carried)));
            facts.extend(stage.accepted(2, payload));
            facts.extend(stage.votes(&voters, block));
            facts.extend(stage.commit_votes(&voters, block));
            let quorum = Justification::Certificate(stage.quorum(&voters, block));
            if kept {
                facts.push(stage.kept(member, &quorum));
            }
            let certificate = stage.slow(&voters, block);
            let ids = crate::stage::ids(payload);
            facts.push(stage.committed(member, block, &ids, Some(&certificate)));
        }
        facts
    };
    // Double commit votes in the two proofs alone name both of them, double votes in what was kept do too.
    for kept in [true, false] {
        let violation = stage.fires("S1", &run(kept));
        assert!(violation.what.ends_with("; guilty: m0 m1"), "{violation}");
    }
}

#[test]
fn s11_everyone_hears_everything_and_nobody_honest_is_blamed() {
    let stage = Stage::new(&[3]);
    let genesis = stage.genesis();
    let (one, other) = (stage.child(&genesis, 1, 0), stage.child(&genesis, 1, 1));
    let quorum = stage.quorum(&[0, 1, 2], &one);
    let mut facts = stage.votes(&[0, 1, 2, 3], &one);
    facts.push(stage.vote(3, &other));
    facts.extend(stage.commit_votes(&[0, 1, 2], &one));
    facts.extend([0, 1, 2].map(|member| stage.timeout(member, 2, Some(&quorum), None)));
    facts.push(stage.sent(
        3,
        ConsensusMessage::Certificate(Justification::Certificate(quorum)),
    ));
    stage.fine(&facts);
}
