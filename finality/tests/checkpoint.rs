//! A snapshot is believed only as far as signatures and hashes carry it, and says where they do not.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, also in its helpers"
)]

use outrider_finality::{
    Checkpoint, DIGEST_EVERY_BLOCKS, DUPLICATE_WINDOW_BLOCKS, HISTORY_CHUNK, LaneEnd, Ledger,
    Outlook, PayloadIds, SnapshotBlock, SnapshotError, SnapshotItem, SnapshotVerifier, Taken,
    state_digest,
};
use outrider_types::merkle::{Hash, Peaks};
use outrider_types::{
    Aggregate, Batch, Block, BlockId, CheckedPayload, CommitVote, Committee, CommitteeId, EpochEnd,
    FinalityCertificate, Height, HistoryRoot, LaneBlock, LaneTip, MemberIndex, Payload, RollupId,
    SecretKey, Signed, Timestamp, Transaction, TransactionId, TransactionsRoot, View, decode,
    encode, testing,
};

fn checked(payload: &Payload) -> CheckedPayload {
    CheckedPayload::new(payload.clone()).unwrap()
}

/// A chain with a transaction in every third block, of two rollups in turn; and one of rollup 0 in the first block.
struct Chain {
    committee: Committee,
    keys: Vec<SecretKey>,
    ledger: Ledger,
    blocks: Vec<(Block, Payload)>,
    lanes: Vec<Vec<LaneBlock>>,
}

fn payload_at(height: u64) -> Payload {
    if height > 1 && !height.is_multiple_of(3) {
        return Payload::default();
    }
    let rollups = if height == 1 {
        0..=0
    } else {
        1..=1 + height % 2
    };
    let batches = rollups.map(|rollup| Batch {
        rollup: RollupId(rollup),
        transactions: vec![format!("{height} of {rollup}").into()],
    });
    Payload {
        batches: batches.collect(),
    }
}

fn child(ledger: &Ledger, parent: &Block, payload: &Payload) -> Block {
    let roots = Outlook::default().roots(ledger, parent.id(), &checked(payload));
    Block {
        roots: roots.unwrap(),
        origin: outrider_types::Origin::NONE,
        view: View(parent.view.0 + 1),
        height: parent.height.next(),
        parent: parent.id(),
        justify: parent.view,
        payload: payload.id(),
        timestamp: Timestamp(parent.timestamp.0 + 1),
        next: CommitteeId::NONE,
        ..*parent
    }
}

fn certify(committee: &Committee, keys: &[SecretKey], block: &Block) -> FinalityCertificate {
    let statement = CommitVote {
        epoch: committee.epoch(),
        view: block.view,
        block: block.id(),
    };
    let sign = |at: u16| {
        let key = &keys[usize::from(at)];
        Signed::sign(statement, block.chain, MemberIndex(at), key)
    };
    let signed: Vec<_> = (0..3).map(sign).collect();
    FinalityCertificate::Slow(Aggregate::assemble(&signed).unwrap())
}

impl Chain {
    fn new(blocks: u64) -> Self {
        let (committee, keys) = testing::committee(&[1; 4]);
        let genesis = Block::genesis(&committee);
        let mut chain = Self {
            ledger: Ledger::new(&genesis),
            committee,
            keys,
            blocks: vec![(genesis, Payload::default())],
            lanes: vec![Vec::new()],
        };
        for height in 1..=blocks {
            let payload = payload_at(height);
            let block = child(&chain.ledger, chain.tip(), &payload);
            chain.push(block, payload);
        }
        chain
    }

    fn push(&mut self, block: Block, payload: Payload) {
        let appended = self.ledger.append(&block, &checked(&payload)).unwrap();
        self.blocks.push((block, payload));
        self.lanes.push(appended.lanes);
    }

    fn tip(&self) -> &Block {
        &self.blocks.last().unwrap().0
    }

    fn checkpoint(&self, committee: &Committee) -> Checkpoint {
        Checkpoint {
            genesis: self.blocks[0].0.id(),
            first: Checkpoint::window_of(self.tip().height),
            block: *self.tip(),
            certificate: certify(committee, &self.keys, self.tip()),
            transactions: self.ledger.transactions(),
            rollups: self.ledger.lanes().count() as u32,
            history: self.history(),
            registry: self.ledger.registry().iter().copied().collect(),
        }
    }

    /// Peaks of the blocks that come before those of the window that complete the history.
    fn history(&self) -> Vec<Hash> {
        let last = self.tip().height.0;
        let first = Checkpoint::window_of(Height(last)).0;
        let whole = last / HISTORY_CHUNK * HISTORY_CHUNK;
        let mut peaks = Peaks::default();
        for (block, _) in &self.blocks[..first.max(whole) as usize] {
            peaks.push(HistoryRoot::leaf(block.id()));
        }
        peaks.peaks().to_vec()
    }

    /// All items of a snapshot of the tip; `wrong` is added to the counter of the first rollup, which has transactions in block 1
    /// alone.
    fn items(&self, wrong: u64) -> Vec<SnapshotItem> {
        let mut checkpoint = self.checkpoint(&self.committee);
        checkpoint.transactions += wrong;
        let mut items = vec![SnapshotItem::Checkpoint(Box::new(checkpoint.clone()))];
        let lanes = self.ledger.lanes().enumerate().map(|(at, (rollup, tip))| {
            let wrong = if at == 0 { wrong } else { 0 };
            let transactions = tip.transactions + wrong;
            let tip = LaneTip {
                transactions,
                ..tip
            };
            LaneEnd { rollup, tip }
        });
        items.push(SnapshotItem::Lanes(lanes.collect()));
        let window = &self.blocks[checkpoint.first.0 as usize..];
        let lanes = &self.lanes[checkpoint.first.0 as usize..];
        items.extend(
            window
                .iter()
                .zip(lanes)
                .rev()
                .map(|((block, payload), lanes)| {
                    SnapshotItem::Block(Box::new(SnapshotBlock {
                        block: *block,
                        holds: PayloadIds::of(payload, lanes),
                    }))
                }),
        );
        items
    }
}

fn verify(
    committee: &Committee,
    items: Vec<SnapshotItem>,
) -> Result<SnapshotVerifier, SnapshotError> {
    let mut verifier = SnapshotVerifier::new(committee);
    for item in items {
        let item = decode::<SnapshotItem>(encode(&item)).unwrap();
        verifier.take(item)?;
    }
    verifier.finish()?;
    Ok(verifier)
}

#[test]
fn whole_short_chain_is_proven_from_the_genesis_committee() {
    let chain = Chain::new(40);
    let mut verifier = SnapshotVerifier::new(&chain.committee);
    let mut found = Vec::new();
    for item in chain.items(0) {
        if let Taken::Block { block, entries } = verifier.take(item).unwrap() {
            found.extend(
                entries
                    .iter()
                    .map(|entry| (entry.id, entry.position, block.block.height)),
            );
        }
    }
    verifier.finish().unwrap();
    assert!(verifier.counters_proven());
    // The same places as a ledger that saw every payload gives.
    let mut ledger = Ledger::new(&chain.blocks[0].0);
    let mut expected = Vec::new();
    for (block, payload) in &chain.blocks[1..] {
        let appended = ledger.append(block, &checked(payload)).unwrap();
        expected.extend(
            appended
                .entries
                .iter()
                .map(|entry| (entry.id, entry.position, block.height)),
        );
    }
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn wrong_counters_of_a_whole_chain_are_refused() {
    let chain = Chain::new(40);
    let refused = verify(&chain.committee, chain.items(1)).unwrap_err();
    let expected = SnapshotError::Lane {
        rollup: RollupId(0),
        height: Height(1),
    };
    assert_eq!(refused, expected);
}

#[test]
fn wrong_counters_of_a_long_chain_show_in_the_digest_alone() {
    let chain = Chain::new(DUPLICATE_WINDOW_BLOCKS + 500);
    let at = Height((DUPLICATE_WINDOW_BLOCKS + 500) / DIGEST_EVERY_BLOCKS * DIGEST_EVERY_BLOCKS);
    let mut ledger = Ledger::new(&chain.blocks[0].0);
    for (block, payload) in &chain.blocks[1..=at.0 as usize] {
        ledger.append(block, &checked(payload)).unwrap();
    }
    let honest = (at, state_digest(at, ledger.tip().id, ledger.lanes()));
    let verifier = verify(&chain.committee, chain.items(0)).unwrap();
    assert!(!verifier.counters_proven());
    assert_eq!(verifier.digest(), Some(honest));
    let verifier = verify(&chain.committee, chain.items(1)).unwrap();
    assert_ne!(verifier.digest(), Some(honest));
}

#[test]
fn every_lie_about_a_block_is_noticed() {
    let chain = Chain::new(12);
    let items = chain.items(0);
    let lied = |lie: &dyn Fn(&mut Vec<SnapshotItem>)| {
        let mut items = items.clone();
        lie(&mut items);
        verify(&chain.committee, items).unwrap_err()
    };
    let block = |items: &mut Vec<SnapshotItem>, at: usize, change: &dyn Fn(&mut SnapshotBlock)| {
        if let SnapshotItem::Block(block) = &mut items[at] {
            change(block);
        }
    };
    // Item 2 is block 12, item 5 block 9.
    let header = lied(&|items| block(items, 5, &|it| it.block.timestamp.0 += 1));
    assert!(matches!(header, SnapshotError::Block { height, .. } if height == Height(9)));
    let left_out = lied(&|items| block(items, 5, &|it| it.holds.lanes.clear()));
    assert_eq!(left_out, SnapshotError::Ids { height: Height(9) });
    let other = TransactionId([9; 32]);
    let replaced = lied(&|items| block(items, 5, &|it| it.holds.lanes[0].ids[0] = other));
    assert_eq!(replaced, SnapshotError::Ids { height: Height(9) });
    let lane = lied(&|items| block(items, 5, &|it| it.holds.lanes[0].lane.first += 1));
    assert_eq!(lane, SnapshotError::LaneBlocks { height: Height(9) });
    let missing = lied(&|items| drop(items.remove(4)));
    assert!(matches!(missing, SnapshotError::Block { height, .. } if height == Height(10)));
    let short = lied(&|items| items.truncate(9));
    assert!(matches!(short, SnapshotError::Order { .. }));
    let twice = lied(&|items| items.push(items[13].clone()));
    assert!(matches!(twice, SnapshotError::Order { .. }));
    let unordered = lied(&|items| items.swap(0, 1));
    assert!(matches!(unordered, SnapshotError::Order { .. }));
    let lanes = lied(&|items| {
        if let SnapshotItem::Lanes(lanes) = &mut items[1] {
            lanes.reverse();
        }
    });
    assert!(matches!(lanes, SnapshotError::Lanes { .. }));
    let end = lied(&|items| {
        if let SnapshotItem::Lanes(lanes) = &mut items[1] {
            lanes[1].tip.hash.0[0] ^= 1;
        }
    });
    assert!(matches!(end, SnapshotError::Lane { .. }));
    let history = lied(&|items| {
        if let SnapshotItem::Checkpoint(checkpoint) = &mut items[0] {
            checkpoint.history[0][0] ^= 1;
        }
    });
    assert_eq!(history, SnapshotError::History { height: Height(12) });
}

#[test]
fn every_lie_about_the_checkpoint_is_noticed() {
    let chain = Chain::new(12);
    let lied = |lie: &dyn Fn(&mut Checkpoint)| {
        let mut checkpoint = chain.checkpoint(&chain.committee);
        lie(&mut checkpoint);
        let mut verifier = SnapshotVerifier::new(&chain.committee);
        verifier
            .take(SnapshotItem::Checkpoint(Box::new(checkpoint)))
            .unwrap_err()
    };
    let other = lied(&|it| it.genesis = BlockId([1; 32]));
    assert!(matches!(other, SnapshotError::OtherChain { .. }));
    let header = lied(&|it| it.block.height.0 += 1);
    assert!(matches!(header, SnapshotError::Certificate { .. }));
    let few = lied(&|it| {
        if let FinalityCertificate::Slow(aggregate) = &mut it.certificate {
            aggregate.signatures.pop();
        }
    });
    assert!(matches!(few, SnapshotError::Certificate { .. }));
    let narrow = lied(&|it| it.first.0 += 1);
    assert!(matches!(narrow, SnapshotError::Window { .. }));
    let (strangers, _) = testing::committee(&[1; 7]);
    let mut verifier = SnapshotVerifier::new(&strangers);
    let item = SnapshotItem::Checkpoint(Box::new(chain.checkpoint(&chain.committee)));
    let refused = verifier.take(item).unwrap_err();
    assert!(matches!(refused, SnapshotError::OtherChain { .. }));
}

#[test]
fn checkpoint_of_a_later_epoch_is_proven_through_the_ends_of_epochs() {
    let mut chain = Chain::new(6);
    let next = chain.committee.successor();
    let mut last = child(&chain.ledger, chain.tip(), &Payload::default());
    last.next = next.id();
    chain.push(last, Payload::default());
    let end = EpochEnd {
        last,
        fillers: Vec::new(),
        certificate: certify(&chain.committee, &chain.keys, &last),
        change: None,
    };
    let mut first = child(&chain.ledger, &last, &Payload::default());
    (first.epoch, first.view, first.justify) = (next.epoch(), View(1), View(0));
    chain.push(first, Payload::default());

    let mut items = chain.items(0);
    let certified = chain.checkpoint(&next);
    items[0] = SnapshotItem::Checkpoint(Box::new(certified));
    let without = verify(&chain.committee, items.clone()).unwrap_err();
    assert!(matches!(without, SnapshotError::Certificate { .. }));
    items.insert(0, SnapshotItem::EpochEnd(Box::new(end.clone())));
    assert!(
        verify(&chain.committee, items.clone())
            .unwrap()
            .counters_proven()
    );
    let mut forged = end;
    forged.last.timestamp.0 += 1;
    items[0] = SnapshotItem::EpochEnd(Box::new(forged));
    let refused = verify(&chain.committee, items).unwrap_err();
    assert!(matches!(refused, SnapshotError::EpochEnd { .. }));
}

#[test]
fn a_payload_is_committed_to_by_its_ids_alone() {
    let payload = payload_at(9);
    let lanes: Vec<LaneBlock> = payload
        .batches
        .iter()
        .map(|batch| {
            let ids: Vec<_> = batch.ids().collect();
            let root = TransactionsRoot(Batch::root(&ids));
            LaneTip::default().extend(batch.rollup, batch.count(), root)
        })
        .collect();
    let ids = PayloadIds::of(&payload, &lanes);
    assert_eq!(ids.commitment(), payload.id());
    assert_eq!(PayloadIds::default().commitment(), Payload::default().id());
    let transaction = Transaction {
        rollup: RollupId(1),
        data: "9 of 1".into(),
    };
    assert!(ids.ids().any(|id| id == transaction.id()));
}
