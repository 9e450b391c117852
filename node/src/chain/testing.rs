//! A chain that grows without a network, for the tests of pruning and snapshots: real hashes, real certificates.

use super::Chain;
use outrider_finality::Outlook;
use outrider_storage::Store;
use outrider_types::testing::{committee, key};
use outrider_types::{
    Aggregate, Batch, Block, BlockRecord, CheckedPayload, CommitVote, Committee, CommitteeId,
    FinalityCertificate, Height, MemberIndex, Payload, RollupId, Signed, Timestamp, View,
};

/// Every so many blocks one has a certificate of its own; the blocks between are final through it.
pub(super) const CERTIFIED_EVERY: u64 = 4;

pub(super) fn members() -> Committee {
    committee(&[1; 4]).0
}

pub(super) fn open<S: Store>(store: S) -> Chain<S> {
    Chain::open(store, members(), Vec::new()).unwrap()
}

/// Two transactions of `bytes` bytes each, in every block but each fifth, of two rollups.
pub(super) fn payload(height: u64, bytes: usize) -> Payload {
    if height.is_multiple_of(5) {
        return Payload::default();
    }
    let batch = |rollup: u64| {
        let mut data = format!("{height} of {rollup} ").into_bytes();
        data.resize(bytes.max(data.len()), b'.');
        Batch {
            rollup: RollupId(rollup),
            transactions: vec![data.into()],
        }
    };
    Payload {
        batches: vec![batch(1), batch(2 + height % 3)],
    }
}

pub(super) fn child<S: Store>(chain: &Chain<S>, payload: &Payload) -> Block {
    let parent = chain.root();
    let checked = CheckedPayload::new(payload.clone()).unwrap();
    let roots = Outlook::default().roots(chain.ledger(), parent.id(), &checked);
    Block {
        roots: roots.unwrap(),
        origin: outrider_types::Origin::NONE,
        view: View(parent.view.0 + 1),
        height: Height(parent.height.0 + 1),
        parent: parent.id(),
        justify: parent.view,
        payload: payload.id(),
        timestamp: Timestamp(parent.timestamp.0 + 1),
        next: CommitteeId::NONE,
        ..*parent
    }
}

pub(super) fn certificate(block: &Block) -> FinalityCertificate {
    let statement = CommitVote {
        epoch: block.epoch,
        view: block.view,
        block: block.id(),
    };
    let sign = |at: u16| {
        let signer = key(usize::from(at));
        Signed::sign(statement, block.chain, MemberIndex(at), &signer)
    };
    let signed: Vec<_> = (0..3).map(sign).collect();
    FinalityCertificate::Slow(Aggregate::assemble(&signed).unwrap())
}

/// One more final block, as the driver appends it.
pub(super) fn append<S: Store>(chain: &mut Chain<S>, payload: &Payload) -> Block {
    let block = child(chain, payload);
    let record = BlockRecord {
        block,
        justification: None,
    };
    let certified = block.height.0.is_multiple_of(CERTIFIED_EVERY);
    let certificate = certified.then(|| certificate(&block));
    chain.put_record(&record).unwrap();
    chain.put_payload(block.payload, payload).unwrap();
    chain
        .commit(
            &block,
            &CheckedPayload::new(payload.clone()).unwrap(),
            certificate.as_ref(),
        )
        .unwrap();
    block
}

/// Grow to this height.
pub(super) fn grow<S: Store>(chain: &mut Chain<S>, to: u64, bytes: usize) {
    while chain.root().height.0 < to {
        append(chain, &payload(chain.root().height.0 + 1, bytes));
    }
    chain.sync().unwrap();
}
