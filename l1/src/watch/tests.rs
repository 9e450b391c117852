//! What is a reorg, and what is a broken promise of L1.

use super::*;
use alloy_primitives::{Address, B256};
use outrider_types::ChainId;

/// The blocks of a chain by number, each of the branch that is told.
fn chain(branches: &[u8]) -> Vec<BlockRef> {
    let mut parent = B256::ZERO;
    let mut blocks = Vec::new();
    for (number, branch) in (0..).zip(branches) {
        let mut hash = B256::repeat_byte(*branch);
        hash[0] = number;
        blocks.push(BlockRef {
            number: number.into(),
            hash,
            parent,
            timestamp: number.into(),
        });
        parent = hash;
    }
    blocks
}

fn watch() -> Watch {
    let at = Address::ZERO;
    let deployment = Deployment {
        version: 1,
        l1_chain: 1,
        chain: ChainId(2),
        block: 1,
        operator_registry: at,
        bonded_stake: at,
        committee_manager: at,
        finality_anchor: at,
        forced_inbox: at,
        slashing_court: at,
    };
    Watch::new(deployment, WatchLimits::default())
}

/// One look at a chain on which nothing happens, with this final block.
fn look(watch: &mut Watch, chain: &[BlockRef], finalized: usize) -> Vec<WatchEvent> {
    let mut events = Vec::new();
    let mut ask = watch.poll();
    while let Some(question) = ask {
        let at = |number: u64| usize::try_from(number).unwrap();
        let told = match question {
            Ask::Heads => Told::Heads(Heads {
                latest: *chain.last().unwrap(),
                safe: None,
                finalized: Some(chain[finalized]),
            }),
            Ask::Block(number) => chain
                .get(at(number))
                .map_or(Told::Nothing, |block| Told::Block(*block)),
            Ask::Segment { filter, all } => {
                let first = if all { filter.from } else { filter.to };
                let blocks = chain[at(first)..=at(filter.to)].to_vec();
                let logs = vec![];
                Told::Segment(Segment { blocks, logs })
            }
        };
        let turn = watch.told(told);
        events.extend(turn.events);
        ask = turn.ask;
    }
    events
}

#[test]
fn block_replaced_before_it_became_final_is_a_reorg_also_if_that_was_between_two_looks() {
    let mut watch = watch();
    let (before, after) = (chain(&[1; 6]), chain(&[1, 1, 1, 1, 1, 2, 2, 2, 2]));
    let events = look(&mut watch, &before, 3);
    assert_eq!(events.last(), Some(&WatchEvent::Caught(before[5])));
    // Block 5 was not final when it was read, and another one is now.
    let events = look(&mut watch, &after, 6);
    let reorg = WatchEvent::Reorg {
        old: before[5],
        ancestor: Some(before[4]),
    };
    assert!(events.contains(&reorg), "{events:?}");
    assert_eq!(events.last(), Some(&WatchEvent::Caught(after[8])));
    assert!(!watch.is_broken());
    // What was final at the last look is.
    let events = look(&mut watch, &chain(&[1, 1, 1, 1, 1, 2, 3, 3, 3, 3]), 7);
    let replaced = |event: &WatchEvent| matches!(event, WatchEvent::FinalReplaced { known, .. } if *known == after[6]);
    assert!(events.iter().any(replaced), "{events:?}");
    assert!(watch.is_broken());
}

#[test]
fn block_that_was_final_when_it_was_read_is_never_replaced() {
    for finalized in 1..=4 {
        let mut watch = watch();
        let before = chain(&[1; 6]);
        look(&mut watch, &before, finalized);
        let mut branches = [1; 8];
        branches[finalized..].fill(2);
        let after = chain(&branches);
        let events = look(&mut watch, &after, finalized);
        let replaced = WatchEvent::FinalReplaced {
            known: before[finalized],
            found: after[finalized],
        };
        assert_eq!(events.last(), Some(&replaced));
        assert!(watch.is_broken());
        assert!(look(&mut watch, &after, 7).is_empty());
    }
}

#[test]
fn reorg_down_to_the_final_block_is_one() {
    let mut watch = watch();
    let (before, after) = (chain(&[1; 6]), chain(&[1, 1, 1, 1, 2, 2, 2]));
    look(&mut watch, &before, 3);
    let events = look(&mut watch, &after, 3);
    let ancestor = Some(before[3]);
    assert!(events.contains(&WatchEvent::Reorg {
        old: before[5],
        ancestor
    }));
    assert_eq!(watch.tip(), Some(after[6]));
}
