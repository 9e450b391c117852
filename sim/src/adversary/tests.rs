//! Tests of the deeds: what leaves is as described, nothing is signed in an honest name, one stream gives one output.

mod scripted;
mod stage;

use super::*;
use crate::fact::Message;
use outrider_types::message::{BlockRequest, RangeRequest, Transactions};
use outrider_types::{
    Batch, BlockId, Bytes, Certificate, ConsensusMessage, Evidence, Height, Justification, Payload,
    PayloadMessage, ProposalKind, RollupId, SyncMessage, Transaction, View,
};
use stage::{OWN, Stage, kinds, proposals, receivers, timeouts, votes};
use std::collections::BTreeSet;

#[test]
fn every_deed_in_the_table_exists_and_no_other() {
    let setup = Stage::new(&[OWN]).setup();
    let names: BTreeSet<&str> = DEEDS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names.len(), DEEDS.len(), "no name twice");
    for (name, about) in DEEDS {
        assert!(deed(name, &setup).is_some(), "{name}");
        assert!(!about.is_empty());
    }
    assert!(deed("saint", &setup).is_none());
}

#[test]
fn one_stream_gives_one_output_for_every_deed() {
    for (name, _) in DEEDS {
        let run = |seed| format!("{:?}", Stage::seeded(seed).play(name));
        assert_eq!(run(1), run(1), "{name}");
    }
    let run = |seed| format!("{:?}", Stage::seeded(seed).play("mutator"));
    assert_ne!(run(1), run(2), "the stream matters");
}

#[test]
fn no_deed_signs_in_the_name_of_an_honest_member() {
    for (name, _) in DEEDS {
        let mut stage = Stage::seeded(3);
        let said = stage.play(name);
        for said in said {
            stage.assert_no_forgery(name, &said.message);
        }
    }
}

#[test]
fn equivocator_says_two_different_things_to_two_parts() {
    let mut stage = Stage::new(&[OWN]);
    let mut deed = stage.deed("equivocator");
    assert_eq!(deed.sides(), 2);
    let block = stage.block(3, OWN, 0);
    let proposal = stage.proposal(block, ProposalKind::Optimistic);
    let vote = stage.vote(OWN, 3, block.id());
    let first = stage.speaks(&mut *deed, 0, None, &proposal);
    let second = stage.speaks(&mut *deed, 1, None, &proposal);
    let (one, other) = (proposals(&first), proposals(&second));
    let hosts = receivers(&first).len() + receivers(&second).len();
    assert_eq!(hosts, 3, "each of the others hears one side");
    assert!(receivers(&first).is_disjoint(&receivers(&second)));
    for proposal in one.iter().chain(&other) {
        assert!(stage.valid(&Message::Consensus(ConsensusMessage::Proposal(
            proposal.clone()
        ))));
    }
    assert!(
        one.iter()
            .all(|one| other.iter().all(|other| one.block.id() != other.block.id()))
    );
    // The second side votes for what it said, not for what it thinks it said.
    let voted = votes(&stage.speaks(&mut *deed, 1, Some(0), &vote));
    let voted = voted
        .into_iter()
        .chain(votes(&stage.speaks(&mut *deed, 1, Some(1), &vote)));
    let voted = voted.chain(votes(&stage.speaks(&mut *deed, 1, Some(2), &vote)));
    for vote in voted {
        assert_ne!(vote.block, block.id());
    }
}

#[test]
fn twin_connects_each_side_with_two_thirds_of_the_others() {
    let mut stage = Stage::new(&[OWN]);
    let mut deed = stage.deed("twin");
    let vote = stage.vote(OWN, 1, BlockId([1; 32]));
    let one = receivers(&stage.speaks(&mut *deed, 0, None, &vote));
    let other = receivers(&stage.speaks(&mut *deed, 1, None, &vote));
    assert_eq!((one.len(), other.len()), (2, 2));
    assert_eq!(one.intersection(&other).count(), 1, "one hears both");
    for (side, hosts) in [(0, one), (1, other)] {
        for from in 0..3 {
            let heard = stage.hears(&mut *deed, side, from, &vote).0;
            assert_eq!(heard, hosts.contains(&from), "both directions alike");
        }
    }
}

#[test]
fn withholder_forwards_no_certificate_and_answers_nothing() {
    let mut stage = Stage::new(&[OWN]);
    let mut deed = stage.deed("withholder");
    let certificate = stage.certificate(2, stage.block(2, 2, 0).id());
    assert!(stage.speaks(&mut *deed, 0, None, &certificate).is_empty());
    let request = stage.request(BlockId([1; 32]));
    assert_eq!(
        stage.speaks(&mut *deed, 0, None, &request).len(),
        1,
        "it asks"
    );
    let payload = Arc::new(Message::Payload(
        PayloadMessage::Payload(Payload::default()),
    ));
    let mut reached = BTreeSet::new();
    for view in 0..32 {
        stage.view = view;
        reached.insert(stage.speaks(&mut *deed, 0, None, &payload).len());
    }
    assert!(
        reached.contains(&1) && reached.contains(&2),
        "only some: {reached:?}"
    );
}

#[test]
fn silent_says_nothing() {
    let mut stage = Stage::new(&[OWN]);
    let mut deed = stage.deed("silent");
    let vote = stage.vote(OWN, 1, BlockId([1; 32]));
    assert!(stage.speaks(&mut *deed, 0, None, &vote).is_empty());
}

#[test]
fn liar_never_says_what_it_voted_for() {
    let mut stage = Stage::new(&[OWN]);
    let mut deed = stage.deed("liar");
    let voted = BlockId([7; 32]);
    let mut lies = BTreeSet::new();
    for _ in 0..16 {
        let timeout = stage.timeout(OWN, 4, Some(voted));
        for lie in timeouts(&stage.speaks(&mut *deed, 0, None, &timeout)) {
            assert_ne!(lie.timeout.voted, Some(voted));
            assert!(stage.valid(&Message::Consensus(ConsensusMessage::Timeout(lie.clone()))));
            lies.insert((lie.timeout.voted.is_some(), lie.high.is_some()));
        }
    }
    assert_eq!(
        lies.len(),
        3,
        "hides all, hides the vote, claims another: {lies:?}"
    );
}

#[test]
fn double_voter_votes_twice_in_a_view_and_gives_up_on_it() {
    let mut stage = Stage::new(&[OWN]);
    let mut deed = stage.deed("double-voter");
    let mut said = Vec::new();
    for salt in 0..2 {
        let block = stage.block(3, 3, salt);
        let proposal = stage.proposal(block, ProposalKind::Normal);
        said.extend(stage.overhears(&mut *deed, 3, None, &proposal));
        said.extend(stage.overhears(&mut *deed, 3, None, &proposal));
    }
    let blocks: BTreeSet<BlockId> = votes(&said).iter().map(|vote| vote.block).collect();
    assert_eq!(blocks.len(), 2, "E2");
    assert_eq!(votes(&said).len(), 2, "each block once");
    assert_eq!(kinds(&said, "commit-vote"), 2, "E3");
    assert!(
        timeouts(&said)
            .iter()
            .all(|said| said.timeout.voted.is_none()),
        "E4, E5"
    );
}

#[test]
fn selective_voter_votes_towards_one_member_of_a_view() {
    let mut stage = Stage::new(&[OWN]);
    let mut deed = stage.deed("selective-voter");
    let mut chosen = BTreeSet::new();
    for view in 1..20 {
        let vote = stage.vote(OWN, view, BlockId([1; 32]));
        let one = receivers(&stage.speaks(&mut *deed, 0, None, &vote));
        let commit = stage.commit_vote(OWN, view, BlockId([1; 32]));
        assert_eq!(one, receivers(&stage.speaks(&mut *deed, 0, None, &commit)));
        assert_eq!(one.len(), 1);
        chosen.extend(one);
    }
    assert_eq!(chosen.len(), 3, "another one each time");
}

#[test]
fn forger_forges_and_nothing_of_it_verifies() {
    let mut stage = Stage::new(&[OWN]);
    let mut deed = stage.deed("forger");
    let (block, mut said) = (stage.block(4, 0, 0), Vec::new());
    said.extend(stage.overhears(
        &mut *deed,
        0,
        None,
        &stage.proposal(block, ProposalKind::Normal),
    ));
    for member in 0..3 {
        let vote = stage.vote(member, 4, block.id());
        said.extend(stage.overhears(&mut *deed, member, None, &vote));
        let timeout = stage.timeout(member, 4, Some(block.id()));
        said.extend(stage.overhears(&mut *deed, member, None, &timeout));
    }
    said.extend(stage.overhears(&mut *deed, 0, None, &stage.vote(0, 5, block.id())));
    assert!(said.len() > 15, "{}", said.len());
    for said in &said {
        assert!(!stage.valid(&said.message), "{:?}", said.message);
    }
    for kind in ["vote", "commit-vote", "timeout", "proposal", "certificate"] {
        assert!(kinds(&said, kind) > 0, "{kind}");
    }
}

#[test]
fn replayer_says_old_things_again_in_three_ways() {
    let mut stage = Stage::new(&[OWN]);
    let mut deed = stage.deed("replayer");
    let mut said = Vec::new();
    let mut heard = Vec::new();
    for view in 1..400 {
        let certificate = stage.certificate(view, BlockId([1; 32]));
        heard.push(certificate.clone());
        said.extend(stage.overhears(&mut *deed, 0, None, &certificate));
    }
    let again = said.iter().filter(|said| heard.contains(&said.message));
    assert!(again.count() > 50);
    let retyped = said.iter().filter(|said| {
        matches!(
            &*said.message,
            Message::Consensus(ConsensusMessage::Certificate(Justification::Certificate(
                Certificate::Commit(_)
            )))
        )
    });
    assert!(retyped.clone().count() > 50, "votes as commit votes");
    assert!(retyped.into_iter().all(|said| !stage.valid(&said.message)));
    // The next epoch: what it says of the last one is called present.
    stage.committee = stage.committee.successor();
    let said = stage.overhears_often(&mut *deed, 40);
    let relabelled = said.iter().filter_map(|said| match &*said.message {
        Message::Consensus(message) => Some(message),
        _ => None,
    });
    let present = relabelled.filter(|message| message.epoch() == stage.committee.epoch());
    assert!(present.count() > 0);
}

#[test]
fn mutator_changes_one_thing_and_signs_its_own_anew() {
    let mut stage = Stage::new(&[OWN]);
    let mut deed = stage.deed("mutator");
    let mut changed = BTreeSet::new();
    for view in 1..200 {
        let block = stage.block(view, OWN, 0);
        let proposal = stage.proposal(block, ProposalKind::Normal);
        stage.overhears(&mut *deed, 0, None, &stage.certificate(view, block.id()));
        for proposal in proposals(&stage.speaks(&mut *deed, 0, None, &proposal)) {
            assert!(
                proposal.signed().verify(&stage.committee).is_ok(),
                "signed anew"
            );
            let other = proposal.block;
            changed.insert((
                other.view != block.view,
                other.justify != block.justify,
                other.parent != block.parent,
                other.height != block.height,
                other.payload != block.payload,
                proposal.justification.is_some(),
                proposal.kind == ProposalKind::Optimistic,
            ));
        }
    }
    assert!(changed.len() >= 7, "{changed:?}");
}

fn batch(rollup: u64) -> Batch {
    Batch {
        rollup: RollupId(rollup),
        transactions: vec![Bytes::from_static(b"transaction")],
    }
}

#[test]
fn censor_proposes_everything_but_one_rollup() {
    let mut stage = Stage::new(&[OWN]);
    let mut deed = stage.deed("censor");
    let whole = Payload {
        batches: vec![batch(1), batch(2)],
    };
    let left = Payload {
        batches: vec![batch(2)],
    };
    let mut block = stage.block(3, OWN, 0);
    block.payload = whole.id();
    let proposal = stage.proposal(block, ProposalKind::Normal);
    let payload = Arc::new(Message::Payload(PayloadMessage::Payload(whole)));
    let said = stage.speaks(&mut *deed, 0, None, &payload);
    assert_eq!(
        *said[0].message,
        Message::Payload(PayloadMessage::Payload(left.clone()))
    );
    let said = stage.speaks(&mut *deed, 0, None, &proposal);
    let other = &proposals(&said)[0];
    assert_eq!(other.block.payload, left.id());
    assert!(stage.valid(&said[0].message));
    let said = stage.speaks(&mut *deed, 0, None, &stage.vote(OWN, 3, block.id()));
    assert_eq!(votes(&said)[0].block, other.block.id());
    let spread = |rollup: u64| {
        let list = vec![Transaction {
            rollup: RollupId(rollup),
            data: Bytes::from_static(b"transaction"),
        }];
        Arc::new(Message::Payload(PayloadMessage::Transactions(
            Transactions { list },
        )))
    };
    assert!(stage.speaks(&mut *deed, 0, None, &spread(1)).is_empty());
    assert_eq!(stage.speaks(&mut *deed, 0, None, &spread(2)).len(), 1);
}

#[test]
fn late_leader_proposes_just_before_the_timer() {
    let mut stage = Stage::new(&[OWN]);
    let mut deed = stage.deed("late-leader");
    let proposal = stage.proposal(stage.block(3, OWN, 0), ProposalKind::Normal);
    let said = stage.speaks(&mut *deed, 0, None, &proposal);
    assert_eq!(said[0].after, stage.setup().base_timeout / 5 * 4);
    let said = stage.speaks(&mut *deed, 0, None, &stage.vote(OWN, 3, BlockId([1; 32])));
    assert_eq!(said[0].after, 0);
}

#[test]
fn spammer_says_at_most_two_hundred_messages_a_second() {
    let mut stage = Stage::new(&[OWN]);
    let mut deed = stage.deed("spammer");
    let vote = stage.vote(0, 1, BlockId([1; 32]));
    let mut said = Vec::new();
    for now in 0..1_000 {
        stage.now = now * 1_000;
        said.extend(stage.overhears(&mut *deed, 0, None, &vote));
        said.extend(stage.hears(&mut *deed, 0, 0, &vote).1);
    }
    assert!((150..=200).contains(&said.len()), "{}", said.len());
    let far = votes(&said).iter().map(|vote| vote.view).max();
    assert!(far > Some(View(1_000_000)));
}

#[test]
fn lying_syncer_never_gives_what_was_asked_for() {
    let mut stage = Stage::new(&[OWN]);
    let mut deed = stage.deed("lying-syncer");
    let (block, mut far) = (stage.block(3, OWN, 0), 0);
    let proposal = stage.proposal(block, ProposalKind::Normal);
    for _ in 0..20 {
        let said = stage.speaks(&mut *deed, 0, None, &proposal);
        far += usize::from(proposals(&said)[0].block.height > Height(1_000_000));
    }
    assert!(
        (1..20).contains(&far),
        "sometimes it claims a height far ahead"
    );
    let mut blocks = Vec::new();
    for view in 1..10 {
        let block = stage.block(view, 0, 0);
        let justification = stage.justification(view - 1, block.parent);
        let proposal =
            stage.proposal_with(block, ProposalKind::Normal, Some(justification.clone()));
        stage.overhears(&mut *deed, 0, None, &proposal);
        blocks.push((block, justification));
    }
    let mut lies = 0;
    for (block, justification) in blocks.iter().cycle().take(90) {
        let request = SyncMessage::BlockRequest(BlockRequest { block: block.id() });
        let (heard, said) = stage.hears(&mut *deed, 0, 1, &Message::Sync(request));
        assert!(!heard, "its side must not answer");
        for said in said {
            let Message::Sync(SyncMessage::Block(full)) = &*said.message else {
                panic!("an answer is a block");
            };
            let right = full.record.block == *block
                && full.record.justification.as_ref() == Some(justification)
                && full.payload == Payload::default();
            lies += usize::from(!right);
        }
        let from = Height(block.height.0);
        let request = SyncMessage::RangeRequest(RangeRequest { from });
        for said in stage.hears(&mut *deed, 0, 1, &Message::Sync(request)).1 {
            match &*said.message {
                Message::Sync(SyncMessage::Range(range)) => {
                    assert!(range.certificate.clone().verify(&stage.committee).is_err());
                    lies += 1;
                }
                message => assert!(!stage.valid(message), "a claim of another epoch"),
            }
        }
    }
    assert!(lies > 100, "{lies}");
}

#[test]
fn evidence_forger_accuses_and_proves_nothing() {
    let mut stage = Stage::new(&[OWN]);
    let mut deed = stage.deed("evidence-forger");
    let mut said = Vec::new();
    for view in 1..12 {
        let block = stage.block(view, 0, 0);
        for member in 0..3 {
            let vote = stage.vote(member, view, block.id());
            said.extend(stage.overhears(&mut *deed, member, None, &vote));
            let timeout = stage.timeout(member, view, Some(block.id()));
            said.extend(stage.overhears(&mut *deed, member, None, &timeout));
            let commit = stage.commit_vote(member, view + 1, block.id());
            said.extend(stage.overhears(&mut *deed, member, None, &commit));
        }
    }
    let mut offences = BTreeSet::new();
    for said in said {
        let Message::Sync(SyncMessage::Evidence(evidence)) = &*said.message else {
            panic!("evidence is all that it says");
        };
        offences.insert(evidence.offence());
        let verdict: Result<_, _> = Evidence::verify(evidence.clone(), &stage.committee);
        assert!(verdict.is_err(), "{evidence:?}");
    }
    assert_eq!(offences.len(), 3, "E2, E4, E5: {offences:?}");
}
