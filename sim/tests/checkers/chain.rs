//! S1, S2, S8, S9, S10.

use crate::stage::{Stage, committee, crashed, ids, payload, restarted};
use outrider_sim::fact::{Fact, Message};
use outrider_types::message::FullBlock;
use outrider_types::{
    Block, BlockRecord, Committee, Epoch, Height, Payload, PayloadMessage, ProposalKind,
    SyncMessage, View,
};

/// Three blocks.
fn three(stage: &Stage) -> [Block; 3] {
    let one = stage.child(&stage.genesis(), 1, 0);
    let two = stage.child(&one, 2, 0);
    let three = stage.child(&two, 3, 0);
    [one, two, three]
}

fn commits(stage: &Stage, member: usize, blocks: &[Block]) -> Vec<Fact> {
    let each = blocks.iter();
    each.map(|block| stage.committed(member, block, &[], None))
        .collect()
}

#[test]
fn s1_two_blocks_of_a_height() {
    let stage = Stage::new(&[0]);
    let [one, two, _] = three(&stage);
    let other = stage.child(&one, 2, 1);
    let facts = commits(&stage, 1, &[one, two]);
    let with = |member, blocks: &[Block]| [facts.clone(), commits(&stage, member, blocks)].concat();
    stage.fine(&with(2, &[one, two]));
    stage.fires("S1", &with(2, &[one, other]));
    // A Byzantine host may say what it likes.
    stage.fine(&with(0, &[one, other]));
    // Over a restart too.
    let life = [crashed(2), restarted(2, 1)];
    let again = |block| {
        [
            with(2, &[one, two]),
            life.to_vec(),
            commits(&stage, 2, &[block]),
        ]
        .concat()
    };
    stage.fine(&again(two));
    stage.fires("S1", &again(other));
}

#[test]
fn s2_a_ledger_without_gaps_that_extends_itself() {
    let stage = Stage::new(&[]);
    let [one, two, three] = three(&stage);
    stage.fine(&commits(&stage, 1, &[one, two, three]));
    stage.fires("S2", &commits(&stage, 1, &[one, three]));
    stage.fires("S2", &commits(&stage, 1, &[one, two, two]));
    let stranger = stage.child(&stage.child(&one, 2, 5), 3, 0);
    stage.fires("S2", &commits(&stage, 1, &[one, two, stranger]));
    let backwards = Block {
        view: View(2),
        ..stage.child(&two, 3, 0)
    };
    stage.fires("S2", &commits(&stage, 1, &[one, two, backwards]));
    // After a restart the last block is told again; one is left out.
    let life = [crashed(1), restarted(1, 1)];
    let before = commits(&stage, 1, &[one, two]);
    let again = |blocks: &[Block]| [&before[..], &life, &commits(&stage, 1, blocks)].concat();
    stage.fine(&again(&[two, three]));
    stage.fires("S2", &again(&[three]));
}

#[test]
fn s2_fillers_are_no_part_of_the_ledger_and_the_next_epoch_goes_on() {
    let mut stage = Stage::new(&[]);
    stage.committee = committee(&stage.keys, 0, 2);
    let [one, two, three] = three(&stage);
    stage.fine(&commits(&stage, 1, &[one, two]));
    stage.fires("S2", &commits(&stage, 1, &[one, two, three]));
    let next: Committee = stage.committee.successor();
    let begins = Fact::Epoch {
        committee: next,
        hosts: vec![0, 1, 2, 3],
    };
    let of_next = Block {
        epoch: Epoch(1),
        view: View(1),
        ..three
    };
    let mut facts = commits(&stage, 1, &[one, two]);
    facts.push(begins);
    facts.extend(commits(&stage, 1, &[of_next]));
    stage.fine(&facts);
}

fn holding(stage: &Stage, parent: &Block, view: u64, payload: &Payload) -> Block {
    Block {
        payload: payload.id(),
        ..stage.child(parent, view, 0)
    }
}

#[test]
fn s8_a_block_orders_what_it_commits_to_the_same_for_everyone() {
    let stage = Stage::new(&[]);
    let payload = payload(1, 3);
    let all = ids(&payload);
    let block = holding(&stage, &stage.genesis(), 1, &payload);
    let taken = stage.accepted(0, &payload);
    let with = |more: &[Fact]| [&taken[..], more].concat();
    let right = stage.committed(1, &block, &all, None);
    stage.fine(&with(std::slice::from_ref(&right)));
    stage.fires("S8", &with(&[stage.committed(1, &block, &all[..2], None)]));
    let mut turned = all.clone();
    turned.reverse();
    stage.fires("S8", &with(&[stage.committed(1, &block, &turned, None)]));
    let other = stage.committed(2, &block, &all[1..], None);
    stage.fires("S8", &with(&[right.clone(), other]));
    stage.fine(&with(&[right, stage.committed(2, &block, &all, None)]));
}

#[test]
fn s8_votes_for_payloads_that_were_never_sent() {
    let stage = Stage::new(&[1]);
    let payload = payload(1, 3);
    let block = holding(&stage, &stage.genesis(), 1, &payload);
    let proposed = stage.proposal(1, &block, ProposalKind::Normal);
    let carry = |to| {
        let message = PayloadMessage::Payload(payload.clone());
        stage.sent_to(1, to, Message::Payload(message))
    };
    let votes = stage.votes(&[0, 2, 3], &block);
    let with = |facts: &[Fact]| [facts, &votes].concat();
    stage.fine(&with(&[proposed.clone(), carry(None)]));
    stage.fires("S8", &with(std::slice::from_ref(&proposed)));
    stage.fires("S8", &with(&[proposed.clone(), carry(Some(0))]));
    // One of them may have assembled the same payload by itself.
    stage.fine(&with(&[proposed.clone(), carry(Some(0)), carry(Some(2))]));
    let record = BlockRecord {
        block,
        justification: None,
    };
    let full = SyncMessage::Block(FullBlock {
        record,
        payload: payload.clone(),
    });
    let fetched = stage.sync(0, 2, full);
    stage.fine(&with(&[proposed, carry(Some(0)), fetched]));
}

#[test]
fn s9_receipts_hold() {
    let stage = Stage::new(&[]);
    let payload = payload(1, 2);
    let all = ids(&payload);
    let block = holding(&stage, &stage.genesis(), 1, &payload);
    let next = stage.child(&block, 2, 0);
    let mut facts = stage.accepted(0, &payload);
    facts.push(stage.committed(0, &block, &all, None));
    facts.push(stage.committed(0, &next, &[], None));
    let receipt = |member, height, id| Fact::Receipt {
        member,
        id,
        height: Height(height),
    };
    let with = |fact| [&facts[..], &[fact]].concat();
    stage.fine(&with(receipt(0, 1, all[0])));
    stage.fires("S9", &with(receipt(0, 2, all[0])));
    stage.fires(
        "S9",
        &with(receipt(0, 1, ids(&crate::stage::payload(9, 1))[0])),
    );
    // Member 1 has not committed it.
    stage.fires("S9", &with(receipt(1, 1, all[0])));
}

#[test]
fn s10_transactions_once_and_only_those_handed_in() {
    let stage = Stage::new(&[]);
    let payload = payload(1, 2);
    let all = ids(&payload);
    let one = holding(&stage, &stage.genesis(), 1, &payload);
    let two = holding(&stage, &one, 2, &payload);
    let first = stage.committed(1, &one, &all, None);
    let taken = stage.accepted(0, &payload);
    stage.fine(&[&taken[..], std::slice::from_ref(&first)].concat());
    let again = stage.committed(1, &two, &all, None);
    stage.fires("S10", &[&taken[..], &[first.clone(), again]].concat());
    stage.fires("S10", std::slice::from_ref(&first));
    // A Byzantine leader may order what it made up.
    Stage::new(&[3]).fine(&[first]);
}
