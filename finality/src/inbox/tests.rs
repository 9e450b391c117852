//! What a member thinks of blocks, by what it has seen of L1 (F18).

use super::*;
use outrider_types::registry::SHORT_LIVED;
use outrider_types::{Bytes, RollupId, testing};

fn l1(number: u64) -> L1Block {
    L1Block {
        number,
        hash: L1BlockHash([u8::try_from(number).unwrap(); 32]),
    }
}

fn origin(number: u64, inbox: u64) -> Origin {
    Origin {
        number,
        hash: l1(number).hash,
        inbox,
    }
}

fn entry((index, l1): (u64, u64), due: u64, bytes: usize) -> InboxEntry {
    let mut data = vec![0; bytes];
    data[..8].copy_from_slice(&index.to_be_bytes());
    let transaction = Transaction {
        rollup: RollupId(7),
        data: data.into(),
    };
    InboxEntry::new((index, l1), transaction, Timestamp(due))
}

fn block(origin: Origin, at: u64) -> Block {
    Block {
        origin,
        timestamp: Timestamp(at),
        ..Block::genesis(&testing::committee(&[1; 4]).0)
    }
}

/// L1 blocks 10, 11 and 12 with 0, 2 and 3 entries, due at 100, 200 and 300.
fn view() -> InboxView {
    let mut view = InboxView::default();
    for (index, l1) in [(0, 11), (1, 11), (2, 12)] {
        assert!(view.see_entry(entry((index, l1), 100 * (index + 1), 10)));
    }
    for number in [10, 11, 12] {
        assert!(view.see_block(l1(number), Timestamp(number)));
    }
    view
}

const PARENT: Origin = Origin::NONE;

fn judge(view: &InboxView, parent: &Origin, origin: Origin, at: u64) -> Judgement {
    view.judge(parent, &block(origin, at), |_| true)
}

#[test]
fn f18_overdue_entry_may_not_be_left_out() {
    let view = view();
    assert_eq!(judge(&view, &PARENT, PARENT, 99), Judgement::Welcome);
    let overdue = |index| Judgement::Reluctant(Reluctance::Overdue { index });
    assert_eq!(judge(&view, &PARENT, PARENT, 100), overdue(0));
    // Going on to a later L1 block is no excuse, and neither is not going on.
    assert_eq!(judge(&view, &PARENT, origin(12, 0), 100), overdue(0));
    assert_eq!(
        judge(&view, &PARENT, origin(12, 1), 199),
        Judgement::Welcome
    );
    assert_eq!(judge(&view, &PARENT, origin(12, 1), 200), overdue(1));
    assert_eq!(
        judge(&view, &PARENT, origin(12, 3), 900),
        Judgement::Welcome
    );
}

#[test]
fn f18_consumed_entry_is_in_the_block_or_before_it() {
    let view = view();
    let id = entry((1, 11), 0, 10).id;
    let judged = view.judge(&PARENT, &block(origin(11, 2), 0), |entry| entry.index != 1);
    let expected = Reluctance::LeftOut { index: 1, id };
    assert_eq!(judged, Judgement::Reluctant(expected));
}

#[test]
fn f18_what_was_not_seen_is_waited_for() {
    let mut view = view();
    assert_eq!(judge(&view, &PARENT, origin(13, 0), 0), Judgement::Unseen);
    // The one that comes with it is seen, too.
    assert!(view.see_entry(entry((3, 13), 400, 10)));
    assert_eq!(judge(&view, &PARENT, origin(13, 4), 0), Judgement::Unseen);
    assert!(view.see_block(l1(14), Timestamp(14)));
    for inbox in 0..=4 {
        let judged = judge(&view, &PARENT, origin(13, inbox), 0);
        assert_eq!(judged, Judgement::Welcome);
    }
    // Without L1 a member still votes for what goes no further than the parent.
    let blind = InboxView::default();
    let parent = origin(12, 3);
    assert_eq!(judge(&blind, &parent, parent, 900), Judgement::Welcome);
    assert_eq!(
        judge(&blind, &parent, origin(13, 3), 900),
        Judgement::Unseen
    );
}

#[test]
fn f18_origin_and_inbox_are_those_of_l1() {
    let view = view();
    let wrong = Origin {
        hash: L1BlockHash([99; 32]),
        ..origin(12, 0)
    };
    assert!(matches!(
        judge(&view, &PARENT, wrong, 0),
        Judgement::Reluctant(Reluctance::OtherOrigin { number: 12, .. })
    ));
    for (origin, number, index) in [(origin(11, 3), 11, 2), (origin(12, 4), 12, 3)] {
        let beyond = Reluctance::Beyond { number, index };
        let judged = judge(&view, &PARENT, origin, 0);
        assert_eq!(judged, Judgement::Reluctant(beyond));
    }
}

#[test]
fn leader_offers_what_voters_welcome() {
    let view = view();
    let lag = Duration::from_micros(5);
    for (now, expected) in [
        (14, PARENT),
        (15, origin(10, 0)),
        (16, origin(11, 2)),
        (99, origin(12, 3)),
    ] {
        let (origin, entries) = view.offer(PARENT, Timestamp(now), lag);
        assert_eq!(origin, expected, "at {now}");
        assert_eq!(entries.len() as u64, origin.inbox);
        assert_eq!(judge(&view, &PARENT, origin, 99), Judgement::Welcome);
    }
    // On top of what it has not seen itself it consumes what it knows.
    let (origin, entries) = view.offer(origin(20, 1), Timestamp(99), lag);
    assert_eq!((origin.number, origin.inbox, entries.len()), (20, 3, 2));
}

#[test]
fn f18_as_many_entries_as_one_block_holds_and_no_more() {
    let mut view = InboxView::default();
    for index in 0..200 {
        let bytes = if index < 100 { 10 } else { 128 * 1024 };
        assert!(view.see_entry(entry((index, 1), 1, bytes)));
    }
    assert!(view.see_block(l1(1), Timestamp(0)));
    let mut parent = PARENT;
    let mut steps = Vec::new();
    while parent.inbox < 200 {
        let (origin, entries) = view.offer(parent, Timestamp(9), Duration::ZERO);
        steps.push(entries.len());
        assert_eq!(judge(&view, &parent, origin, 9), Judgement::Welcome);
        let fewer = Origin {
            inbox: origin.inbox - 1,
            ..origin
        };
        let expected = Reluctance::Overdue { index: fewer.inbox };
        assert_eq!(
            judge(&view, &parent, fewer, 9),
            Judgement::Reluctant(expected)
        );
        parent = origin;
    }
    assert_eq!(steps[..3], [64, 39, 4]);
    let greedy = judge(&view, &PARENT, origin(1, 65), 0);
    assert_eq!(
        greedy,
        Judgement::Reluctant(Reluctance::TooMany { found: 65 })
    );
}

#[test]
fn only_what_comes_next_is_taken_and_what_is_consumed_is_forgotten() {
    let mut view = view();
    assert!(!view.see_block(l1(12), Timestamp(0)));
    assert!(!view.see_entry(entry((2, 12), 0, 10)));
    assert!(!view.see_entry(entry((4, 13), 0, 10)));
    view.consume(origin(11, 1));
    assert_eq!((view.entries.len(), view.blocks.len()), (2, 2));
    assert_eq!(view.next_entry(), 3);
    view.consume(origin(12, 3));
    assert_eq!((view.entries.len(), view.next_entry()), (0, 3));
    for index in 3..3 + ENTRIES_MAX as u64 {
        assert!(view.see_entry(entry((index, 13), 0, 10)));
    }
    assert!(!view.see_entry(entry((view.next_entry(), 13), 0, 10)));
    for number in 13..13 + L1_BLOCKS_MAX as u64 {
        let block = L1Block {
            number,
            hash: L1BlockHash([0; 32]),
        };
        assert!(view.see_block(block, Timestamp(0)));
    }
    assert_eq!(view.blocks.len(), L1_BLOCKS_MAX);
}

#[test]
fn entry_that_no_block_can_hold_counts_for_nothing() {
    let registry = Registry::default();
    assert!(entry((0, 1), 0, 10).admissible(&registry, Timestamp(0)));
    let unopened = RollupId(SHORT_LIVED.start);
    let closed = Transaction {
        rollup: unopened,
        data: Bytes::from_static(b"x"),
    };
    let closed = InboxEntry::new((0, 1), closed, Timestamp(0));
    assert!(!closed.admissible(&registry, Timestamp(0)));
    let parts = [1, 2].map(|rollup| (RollupId(rollup), Bytes::from_static(b"x")));
    let (_, parts) = outrider_types::bundle::wrap(&parts).unwrap();
    let part = InboxEntry::new((0, 1), parts[0].clone(), Timestamp(0));
    assert!(!part.admissible(&registry, Timestamp(0)));
}
