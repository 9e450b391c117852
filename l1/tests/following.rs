//! Following L1 on anvil: final blocks, reorgs, outages, and what is settled.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

mod common;

use common::stand_in::{StandIn, changed, honest, silent};
use common::{
    Anvil, DEADLINE, Header, account, attested, begun, deployed, endpoints_within, registered,
};
use outrider_l1::deployment::Deployment;
use outrider_l1::endpoint::EndpointLimits;
use outrider_l1::endpoints::{AgreementLimits, Endpoints};
use outrider_l1::event::L1Event;
use outrider_l1::finals::FinalBlock;
use outrider_l1::watch::{WatchEvent, WatchLimits};
use outrider_l1::watcher::Watcher;
use outrider_types::{Epoch, Height, RollupId};
use serde_json::json;
use std::time::Duration;

/// A chain whose blocks are final after two epochs of one block.
fn anvil() -> Anvil {
    Anvil::start(&["--slots-in-an-epoch", "1"])
}

fn watcher(endpoints: Endpoints, deployment: Deployment, every_from: u64) -> Watcher {
    let limits = WatchLimits {
        range_blocks: 7,
        segment_blocks: 5,
        window_blocks: 64,
    };
    let interval = Duration::from_millis(10);
    Watcher::new(endpoints, deployment, limits, interval, every_from)
}

/// Events until one that is wanted, itself included.
async fn until(watcher: &mut Watcher, wanted: impl Fn(&WatchEvent) -> bool) -> Vec<WatchEvent> {
    let look = async {
        let mut all = Vec::new();
        loop {
            for event in watcher.next().await {
                let found = wanted(&event);
                all.push(event);
                if found {
                    return all;
                }
            }
        }
    };
    let seen = tokio::time::timeout(DEADLINE, look).await;
    seen.expect("what is waited for happens")
}

/// The rest of the events of this turn may hold final blocks as well, so they are collected over all calls.
async fn finals(watcher: &mut Watcher, to: u64) -> Vec<FinalBlock> {
    let look = async {
        let mut blocks = Vec::new();
        while watcher.finals().tip().is_none_or(|tip| tip.number < to) {
            for event in watcher.next().await {
                if let WatchEvent::Final(block) = event {
                    blocks.push(block);
                }
            }
        }
        blocks
    };
    let seen = tokio::time::timeout(DEADLINE, look).await;
    seen.expect("blocks become final")
}

fn settled_at(height: u64) -> impl Fn(&WatchEvent) -> bool {
    move |event| {
        let WatchEvent::Marks(marks) = event else {
            return false;
        };
        marks
            .settled
            .is_some_and(|point| point.height == Height(height))
    }
}

#[tokio::test]
async fn final_blocks_are_told_in_order_with_the_inbox_and_snapshots() {
    let anvil = anvil();
    let contracts = deployed(&anvil).await;
    let deployment = contracts.deployment;
    registered(&anvil, &deployment, 4).await;
    let sender = anvil.sender(account(1));
    sender.send(deployment.snapshot(Epoch(0))).await.unwrap();
    for number in 0..3_u8 {
        let data = vec![number + 1; 40];
        let call = deployment.enqueue(RollupId(9), data.into());
        sender.send(call).await.unwrap();
        anvil.mine(2).await;
    }
    anvil.mine(10).await;
    let head = contracts.latest().await.unwrap().heads();
    let last = head.finalized.unwrap().number;
    let every_from = deployment.block + 9;
    let mut watcher = watcher(anvil.endpoints(), deployment, every_from);
    let blocks = finals(&mut watcher, last).await;
    let sparse = blocks
        .iter()
        .filter(|one| one.block.number < every_from)
        .count();
    assert!((1..=3).contains(&sparse), "{sparse}");
    let numbers: Vec<u64> = blocks
        .iter()
        .skip(sparse)
        .map(|one| one.block.number)
        .collect();
    assert_eq!(numbers, (every_from..=last).collect::<Vec<_>>());
    for two in blocks[sparse..].windows(2) {
        assert_eq!(two[1].block.parent, two[0].block.hash);
    }
    let entries: Vec<_> = blocks.iter().flat_map(FinalBlock::entries).collect();
    assert_eq!(entries.len(), 3);
    for (index, entry) in (0_u8..).zip(&entries) {
        assert_eq!((entry.index, entry.rollup), (u64::from(index), RollupId(9)));
        assert_eq!(entry.data.as_ref(), vec![index + 1; 40]);
        let block = blocks
            .iter()
            .find(|one| one.block.number == entry.l1_number);
        let block = block.expect("entries come where every block is told");
        assert_eq!(block.inbox, u64::from(index) + 1);
        assert_eq!(block.block.timestamp, entry.enqueued_at);
    }
    assert_eq!(watcher.finals().inbox(), 3);
    let point = watcher.finals().snapshot(Epoch(0)).unwrap();
    let record = contracts
        .latest()
        .await
        .unwrap()
        .committee(point.id)
        .await
        .unwrap();
    assert_eq!(record.unwrap().members.len(), 4);
    assert_eq!(watcher.finals().snapshot(Epoch(1)), None);
    // It goes on with the next.
    anvil.mine(3).await;
    let more = finals(&mut watcher, last + 3).await;
    let numbers: Vec<u64> = more.iter().map(|one| one.block.number).collect();
    assert_eq!(numbers, [last + 1, last + 2, last + 3]);
}

#[tokio::test]
async fn settled_moves_back_with_a_reorg_and_never_below_the_final_block() {
    let anvil = Anvil::start(&["--slots-in-an-epoch", "4"]);
    let contracts = deployed(&anvil).await;
    let deployment = contracts.deployment;
    begun(&anvil, &contracts).await;
    let sender = anvil.sender(account(1));
    let settle = |height| {
        let header = Header::at(height);
        deployment.settle(&header.0, &attested(&deployment, &header, &[2, 3, 4]))
    };
    sender.send(settle(10)).await.unwrap();
    anvil.mine(8).await;
    let mut watcher = watcher(anvil.endpoints(), deployment, u64::MAX);
    until(&mut watcher, settled_at(10)).await;
    sender.send(settle(20)).await.unwrap();
    until(&mut watcher, settled_at(20)).await;
    let marks = watcher.watch().marks();
    assert_eq!(marks.finalized.unwrap().height, Height(10));
    // Gone is the block with the second settlement, and two empty ones take its place.
    anvil.call("anvil_reorg", json!([1, []])).await;
    anvil.mine(1).await;
    let events = until(&mut watcher, settled_at(10)).await;
    assert!(events.iter().any(|event| matches!(
        event,
        WatchEvent::Reorg {
            ancestor: Some(_),
            ..
        }
    )));
    assert_eq!(watcher.watch().marks().settled.unwrap().height, Height(10));
    sender.send(settle(30)).await.unwrap();
    until(&mut watcher, settled_at(30)).await;
    anvil.mine(8).await;
    until(&mut watcher, |event| {
        matches!(event, WatchEvent::Marks(marks) if marks.finalized.is_some_and(|point| point.height == Height(30)))
    })
    .await;
}

#[tokio::test]
async fn an_outage_is_loud_and_loses_nothing() {
    let anvil = anvil();
    let contracts = deployed(&anvil).await;
    let deployment = contracts.deployment;
    let stand_in = StandIn::honest(&anvil.url).await;
    let limits = AgreementLimits {
        endpoint: EndpointLimits {
            timeout: Duration::from_millis(300),
            ..EndpointLimits::default()
        },
        ..AgreementLimits::default()
    };
    let endpoints = endpoints_within(&[&stand_in.url], limits);
    let mut watcher = watcher(endpoints, deployment, 0);
    until(&mut watcher, |event| matches!(event, WatchEvent::Caught(_))).await;
    stand_in.becomes(silent());
    until(&mut watcher, |event| {
        matches!(event, WatchEvent::Outage { .. })
    })
    .await;
    let sender = anvil.sender(account(201));
    for byte in 1..=3 {
        let call = deployment.enqueue(RollupId(1), vec![byte].into());
        sender.send(call).await.unwrap();
    }
    anvil.mine(5).await;
    let last = contracts
        .latest()
        .await
        .unwrap()
        .heads()
        .finalized
        .unwrap()
        .number;
    stand_in.becomes(honest());
    let known = watcher
        .finals()
        .tip()
        .map_or(deployment.block - 1, |tip| tip.number);
    let blocks = finals(&mut watcher, last).await;
    let numbers: Vec<u64> = blocks.iter().map(|one| one.block.number).collect();
    assert_eq!(numbers, (known + 1..=last).collect::<Vec<_>>());
    assert_eq!(blocks.iter().flat_map(FinalBlock::entries).count(), 3);
}

#[tokio::test]
async fn a_missing_entry_stops_final_blocks_until_it_is_told() {
    let anvil = anvil();
    let contracts = deployed(&anvil).await;
    let deployment = contracts.deployment;
    let sender = anvil.sender(account(201));
    for byte in 1..=2 {
        let call = deployment.enqueue(RollupId(1), vec![byte].into());
        sender.send(call).await.unwrap();
    }
    anvil.mine(5).await;
    let last = contracts
        .latest()
        .await
        .unwrap()
        .heads()
        .finalized
        .unwrap()
        .number;
    let liar = StandIn::before(
        Some(&anvil.url),
        changed("eth_getLogs", |logs| {
            if let Some(logs) = logs.as_array_mut().filter(|logs| logs.len() > 1) {
                logs.remove(0);
            }
        }),
    )
    .await;
    let limits = WatchLimits::default();
    let endpoints = common::endpoints(&[&liar.url]);
    let interval = Duration::from_millis(10);
    let mut watcher = Watcher::new(endpoints, deployment, limits, interval, 0);
    let events = until(&mut watcher, |event| {
        matches!(event, WatchEvent::Outage { .. })
    })
    .await;
    assert!(
        !events
            .iter()
            .any(|event| matches!(event, WatchEvent::Final(_)))
    );
    let Some(WatchEvent::Outage { reason, .. }) = events.last() else {
        panic!("{events:?}");
    };
    assert!(reason.contains("forced inbox"), "{reason}");
    liar.becomes(honest());
    let blocks = finals(&mut watcher, last).await;
    let entries: Vec<_> = blocks.iter().flat_map(FinalBlock::entries).collect();
    assert_eq!(entries.len(), 2);
}

#[tokio::test]
async fn another_final_block_ends_the_following() {
    let anvil = anvil();
    let contracts = deployed(&anvil).await;
    let deployment = contracts.deployment;
    anvil.mine(4).await;
    let mut watcher = watcher(anvil.endpoints(), deployment, 0);
    until(&mut watcher, |event| matches!(event, WatchEvent::Caught(_))).await;
    assert!(watcher.finals().tip().is_some());
    anvil.call("anvil_reorg", json!([6, []])).await;
    anvil.mine(3).await;
    until(&mut watcher, |event| {
        matches!(event, WatchEvent::FinalReplaced { .. })
    })
    .await;
    assert!(watcher.watch().is_broken());
}

#[tokio::test]
async fn an_outage_that_ends_with_another_final_block_does_not_end() {
    let anvil = anvil();
    let deployment = deployed(&anvil).await.deployment;
    anvil.mine(4).await;
    let stand_in = StandIn::honest(&anvil.url).await;
    let limits = AgreementLimits {
        endpoint: EndpointLimits {
            timeout: Duration::from_millis(300),
            ..EndpointLimits::default()
        },
        ..AgreementLimits::default()
    };
    let endpoints = endpoints_within(&[&stand_in.url], limits);
    let mut watcher = watcher(endpoints, deployment, 0);
    until(&mut watcher, |event| matches!(event, WatchEvent::Caught(_))).await;
    stand_in.becomes(silent());
    until(&mut watcher, |event| {
        matches!(event, WatchEvent::Outage { .. })
    })
    .await;
    anvil.call("anvil_reorg", json!([6, []])).await;
    anvil.mine(3).await;
    stand_in.becomes(honest());
    let mut events = until(&mut watcher, |event| {
        matches!(event, WatchEvent::FinalReplaced { .. })
    })
    .await;
    events.extend(watcher.next().await);
    let restored = |event: &WatchEvent| matches!(event, WatchEvent::Restored);
    assert!(!events.iter().any(restored), "{events:?}");
}

#[tokio::test]
async fn one_of_three_that_still_answers_is_an_outage() {
    let anvil = anvil();
    let deployment = deployed(&anvil).await.deployment;
    let stand_ins = [
        StandIn::honest(&anvil.url).await,
        StandIn::honest(&anvil.url).await,
        StandIn::honest(&anvil.url).await,
    ];
    let limits = AgreementLimits {
        endpoint: EndpointLimits {
            timeout: Duration::from_secs(1),
            ..EndpointLimits::default()
        },
        ..AgreementLimits::default()
    };
    let urls: Vec<&str> = stand_ins.iter().map(|one| one.url.as_str()).collect();
    let mut watcher = watcher(endpoints_within(&urls, limits), deployment, 0);
    until(&mut watcher, |event| matches!(event, WatchEvent::Caught(_))).await;
    let tip = watcher.watch().tip().unwrap().number;
    // One that hangs is no harm.
    stand_ins[0].becomes(silent());
    anvil.mine(1).await;
    let caught = |number| move |event: &WatchEvent| matches!(event, WatchEvent::Caught(block) if block.number == number);
    until(&mut watcher, caught(tip + 1)).await;
    // Two are.
    stand_ins[1].becomes(silent());
    anvil.mine(1).await;
    let events = until(&mut watcher, |event| {
        matches!(event, WatchEvent::Outage { .. })
    })
    .await;
    let Some(WatchEvent::Outage { reason, .. }) = events.last() else {
        panic!("{events:?}");
    };
    assert!(reason.starts_with("1 of 3 L1 endpoints"), "{reason}");
    assert_eq!(watcher.watch().tip().unwrap().number, tip + 1);
    stand_ins[1].becomes(honest());
    until(&mut watcher, caught(tip + 2)).await;
}

#[tokio::test]
async fn events_carry_what_the_contracts_told() {
    let anvil = anvil();
    let contracts = deployed(&anvil).await;
    let deployment = contracts.deployment;
    begun(&anvil, &contracts).await;
    let mut watcher = watcher(anvil.endpoints(), deployment, u64::MAX);
    let events = until(&mut watcher, |event| matches!(event, WatchEvent::Caught(_))).await;
    let happened: Vec<&L1Event> = events
        .iter()
        .filter_map(|event| match event {
            WatchEvent::Happened(happened) => Some(&happened.event),
            _ => None,
        })
        .collect();
    let registered = happened
        .iter()
        .filter(|one| matches!(one, L1Event::Registered { .. }));
    assert_eq!(registered.count(), 4);
    assert!(happened.iter().any(|one| matches!(
        one,
        L1Event::Snapshot {
            members: 4,
            total: 100,
            ..
        }
    )));
    assert!(
        happened
            .iter()
            .any(|one| matches!(one, L1Event::Begun { .. }))
    );
    assert!(
        !events
            .iter()
            .any(|event| matches!(event, WatchEvent::Unreadable(_)))
    );
}
