//! T1: decoding any bytes never panics, accepts one encoding of every value, and is bounded in memory.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod common;

use common::{A, World, payload, samples, vote};
use outrider_types::codec::{DecodeError, Encode, Read, WIRE_VERSION};
use outrider_types::limits::{
    BLOCKS_PER_RANGE_MAX, DECODE_BYTES_MAX, LANES_PER_PAYLOAD_MAX, MEMBERS_MAX, MESSAGE_BYTES_MAX,
    TRANSACTION_BYTES_MAX, TRANSACTIONS_PER_MESSAGE_MAX, TRANSACTIONS_PER_PAYLOAD_MAX,
    TRANSACTIONS_PER_RANGE_MAX,
};
use outrider_types::message::{FullBlock, Range, Received, Transactions};
use outrider_types::{
    Aggregate, Batch, BatchId, BlockRecord, Bytes, Committee, ConsensusMessage, Evidence,
    FinalityCertificate, Justification, MemberIndex, Payload, PayloadMessage, RollupId,
    SafetyState, Signature, SyncMessage, TimeoutCertificate, TimeoutEntry, Transaction, View, Vote,
    decode, encode,
};
use proptest::prelude::*;
use std::sync::LazyLock;

/// Bytes that came in, handed to every decoder.
type Decoder = (&'static str, fn(&Bytes));

fn decodes<T: Read<Cfg = ()> + Encode>(bytes: &Bytes) {
    if let Ok(value) = decode::<T>(bytes.clone()) {
        assert_eq!(encode(&value), bytes, "a value has one encoding only");
    }
}

const DECODERS: [Decoder; 10] = [
    ("ConsensusMessage", decodes::<ConsensusMessage>),
    ("PayloadMessage", decodes::<PayloadMessage>),
    ("SyncMessage", decodes::<SyncMessage>),
    ("BlockRecord", decodes::<BlockRecord>),
    ("SafetyState", decodes::<SafetyState>),
    ("Committee", decodes::<Committee>),
    ("Evidence", decodes::<Evidence>),
    ("Payload", decodes::<Payload>),
    ("FinalityCertificate", decodes::<FinalityCertificate>),
    ("Justification", decodes::<Justification>),
];

fn decode_as_everything(bytes: Vec<u8>) {
    let bytes = Bytes::from(bytes);
    for (_, decoder) in DECODERS {
        decoder(&bytes);
    }
}

static SAMPLES: LazyLock<Vec<Bytes>> = LazyLock::new(|| {
    samples(&World::six())
        .into_iter()
        .map(|(_, bytes)| bytes)
        .collect()
});

#[derive(Clone, Debug)]
enum Mutation {
    Flip { at: usize, bit: u8 },
    Put { at: usize, bytes: Vec<u8> },
    Truncate { at: usize },
    Extend { bytes: Vec<u8> },
    Duplicate { from: usize, len: usize, to: usize },
    Remove { from: usize, len: usize },
}

impl Mutation {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let place = |at: usize| at % (bytes.len() + 1);
        match self {
            Self::Flip { at, bit } => {
                let at = place(*at);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << bit;
                }
            }
            Self::Put { at, bytes: put } => {
                let at = place(*at);
                for (to, from) in bytes.iter_mut().skip(at).zip(put) {
                    *to = *from;
                }
            }
            Self::Truncate { at } => bytes.truncate(place(*at)),
            Self::Extend { bytes: more } => bytes.extend(more),
            Self::Duplicate { from, len, to } => {
                let (from, to) = (place(*from), place(*to));
                let slice: Vec<u8> = bytes.iter().skip(from).take(*len).copied().collect();
                bytes.splice(to..to, slice);
            }
            Self::Remove { from, len } => {
                let from = place(*from);
                let end = (from + len).min(bytes.len());
                bytes.drain(from..end);
            }
        }
    }
}

fn mutation() -> impl Strategy<Value = Mutation> {
    // Length prefixes: small, each limit, and more than any.
    let put = prop_oneof![
        prop::collection::vec(any::<u8>(), 1..4),
        prop::sample::select(CLAIMS.to_vec()).prop_map(<[u8]>::to_vec),
    ];
    prop_oneof![
        4 => (any::<usize>(), 0..8u8).prop_map(|(at, bit)| Mutation::Flip { at, bit }),
        3 => (any::<usize>(), put).prop_map(|(at, bytes)| Mutation::Put { at, bytes }),
        2 => any::<usize>().prop_map(|at| Mutation::Truncate { at }),
        1 => prop::collection::vec(any::<u8>(), 1..80).prop_map(|bytes| Mutation::Extend { bytes }),
        2 => (any::<usize>(), 1..120usize, any::<usize>())
            .prop_map(|(from, len, to)| Mutation::Duplicate { from, len, to }),
        1 => (any::<usize>(), 1..120usize).prop_map(|(from, len)| Mutation::Remove { from, len }),
    ]
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic_and_have_one_encoding(bytes in prop::collection::vec(any::<u8>(), 0..2048)) {
        decode_as_everything(bytes);
    }

    #[test]
    fn mostly_zero_bytes_behind_a_good_version_reach_deep_and_never_panic(
        tail in prop::collection::vec(prop_oneof![6 => Just(0u8), 3 => 0..6u8, 1 => any::<u8>()], 0..2048),
    ) {
        let mut bytes = vec![WIRE_VERSION];
        bytes.extend(tail);
        decode_as_everything(bytes);
    }

    #[test]
    fn mutated_messages_never_panic_and_have_one_encoding(
        sample in any::<prop::sample::Index>(),
        mutations in prop::collection::vec(mutation(), 1..5),
    ) {
        let mut bytes = sample.get(&SAMPLES[..]).to_vec();
        for mutation in mutations {
            mutation.apply(&mut bytes);
        }
        decode_as_everything(bytes);
    }
}

#[test]
fn every_sample_decodes_to_the_same_bytes_and_no_prefix_or_extension_of_it_does() {
    let world = World::six();
    for (name, bytes) in samples(&world) {
        let (_, decoder) = decoder_of(name);
        decoder(&bytes);
        assert!(accepts(name, &bytes), "{name}");
        for len in 0..bytes.len() {
            assert!(
                !accepts(name, &bytes.slice(..len)),
                "{name} cut to {len} bytes"
            );
        }
        let mut long = bytes.to_vec();
        long.push(0);
        assert!(!accepts(name, &long.into()), "{name} with a byte behind it");
    }
}

fn decoder_of(name: &str) -> (&'static str, fn(&Bytes)) {
    let kind = match name.split('/').next().unwrap() {
        "consensus" => "ConsensusMessage",
        "payload" => "PayloadMessage",
        "sync" => "SyncMessage",
        "block-record" => "BlockRecord",
        "safety-state" => "SafetyState",
        "committee" => "Committee",
        "evidence" => "Evidence",
        "payload-record" => "Payload",
        "finality" => "FinalityCertificate",
        "justification" => "Justification",
        other => panic!("no decoder for {other}"),
    };
    DECODERS
        .into_iter()
        .find(|(name, _)| *name == kind)
        .unwrap()
}

fn accepts(name: &str, bytes: &Bytes) -> bool {
    fn ok<T: Read<Cfg = ()>>(bytes: &Bytes) -> bool {
        decode::<T>(bytes.clone()).is_ok()
    }
    match decoder_of(name).0 {
        "ConsensusMessage" => ok::<ConsensusMessage>(bytes),
        "PayloadMessage" => ok::<PayloadMessage>(bytes),
        "SyncMessage" => ok::<SyncMessage>(bytes),
        "BlockRecord" => ok::<BlockRecord>(bytes),
        "SafetyState" => ok::<SafetyState>(bytes),
        "Committee" => ok::<Committee>(bytes),
        "Evidence" => ok::<Evidence>(bytes),
        "Payload" => ok::<Payload>(bytes),
        "FinalityCertificate" => ok::<FinalityCertificate>(bytes),
        _ => ok::<Justification>(bytes),
    }
}

#[test]
fn frame_faults_are_told_apart() {
    let over = vec![WIRE_VERSION; MESSAGE_BYTES_MAX + 1];
    assert!(
        matches!(decode::<Payload>(over), Err(DecodeError::TooLarge { bytes, limit })
        if bytes == MESSAGE_BYTES_MAX + 1 && limit == MESSAGE_BYTES_MAX)
    );
    assert!(matches!(
        decode::<Payload>(vec![WIRE_VERSION; MESSAGE_BYTES_MAX]),
        Err(DecodeError::Malformed(_))
    ));
    assert!(matches!(
        decode::<Payload>(Vec::new()),
        Err(DecodeError::Empty)
    ));
    assert!(matches!(
        decode::<Payload>(vec![9, 0]),
        Err(DecodeError::Version { found: 9 })
    ));
    assert!(decode::<Payload>(vec![WIRE_VERSION, 0]).is_ok());
    assert!(
        decode::<Payload>(vec![WIRE_VERSION, 0x80, 0]).is_err(),
        "a length has one encoding only"
    );
}

/// Length prefixes at every limit of this crate, one over each, and the largest that can be written.
const CLAIMS: [&[u8]; 11] = [
    &[0x80, 0x02], // 256, BLOCKS_PER_RANGE_MAX
    &[0x81, 0x02],
    &[0x80, 0x08], // 1,024, MEMBERS_MAX, LANES_PER_PAYLOAD_MAX, TRANSACTIONS_PER_MESSAGE_MAX
    &[0x81, 0x08],
    &[0x80, 0x80, 0x01], // 16,384, TRANSACTIONS_PER_PAYLOAD_MAX
    &[0x81, 0x80, 0x01],
    &[0x80, 0x80, 0x04], // 65,536, TRANSACTIONS_PER_RANGE_MAX
    &[0x80, 0x80, 0x08], // 131,072, TRANSACTION_BYTES_MAX
    &[0x81, 0x80, 0x08],
    &[0xff, 0xff, 0xff, 0xff, 0x0f], // u32::MAX
    &[0xff, 0xff, 0xff, 0xff, 0xff],
];

fn peak(bytes: &Bytes, decoder: fn(&Bytes)) -> usize {
    let info = allocation_counter::measure(|| decoder(bytes));
    usize::try_from(info.bytes_max).unwrap()
}

/// Decodes and drops, without encoding again.
fn only_decodes<T: Read<Cfg = ()>>(bytes: &Bytes) {
    drop(decode::<T>(bytes.clone()));
}

fn only_decoder_of(name: &str) -> fn(&Bytes) {
    match decoder_of(name).0 {
        "ConsensusMessage" => only_decodes::<ConsensusMessage>,
        "PayloadMessage" => only_decodes::<PayloadMessage>,
        "SyncMessage" => only_decodes::<SyncMessage>,
        "BlockRecord" => only_decodes::<BlockRecord>,
        "SafetyState" => only_decodes::<SafetyState>,
        "Committee" => only_decodes::<Committee>,
        "Evidence" => only_decodes::<Evidence>,
        "Payload" => only_decodes::<Payload>,
        "FinalityCertificate" => only_decodes::<FinalityCertificate>,
        _ => only_decodes::<Justification>,
    }
}

#[test]
fn a_length_that_is_only_claimed_takes_no_memory() {
    // Whatever stands at every place of every message is replaced by a length prefix, and nothing comes behind it.
    for (name, sample) in samples(&World::six()) {
        for at in 1..sample.len() {
            for claim in CLAIMS {
                let bytes = Bytes::from([&sample[..at], claim].concat());
                let peak = peak(&bytes, only_decoder_of(name));
                assert!(
                    peak <= 4 * bytes.len() + 2048,
                    "{name}: {} bytes made {peak} bytes of heap, claim {claim:02x?} at {at}",
                    bytes.len(),
                );
            }
        }
    }
}

#[test]
fn hostile_messages_of_64_kib_stay_below_the_bound() {
    let len = 64 * 1024;
    for (name, sample) in samples(&World::six()) {
        // Behind the claim: zeros, which are empty transactions and lists, or ones, which are small lengths.
        for (at, claim, fill) in (1..sample.len())
            .step_by(7)
            .flat_map(|at| CLAIMS.into_iter().map(move |claim| (at, claim)))
            .flat_map(|(at, claim)| [0, 1].map(|fill| (at, claim, fill)))
        {
            let mut bytes = [&sample[..at], claim].concat();
            bytes.resize(len, fill);
            let peak = peak(&bytes.into(), only_decoder_of(name));
            // 32 bytes for the handle of each empty transaction, and 32 for a batch around it.
            let handles = 64 * TRANSACTIONS_PER_PAYLOAD_MAX;
            assert!(
                peak <= 4 * len + handles,
                "{name}: {peak} bytes, claim {claim:02x?} at {at}"
            );
        }
    }
}

fn empty_transactions(lanes: usize, each: usize) -> Payload {
    let batches = (0..lanes)
        .map(|rollup| Batch {
            rollup: RollupId(rollup as u64),
            transactions: vec![Bytes::new(); each],
        })
        .collect();
    Payload { batches }
}

fn timeouts(entries: usize) -> TimeoutCertificate {
    let entry = |member| TimeoutEntry {
        member: MemberIndex(member),
        high_view: View(0),
        voted: None,
        signature: Signature([0; 64]),
    };
    let entries = (0..u16::try_from(entries).unwrap()).map(entry).collect();
    TimeoutCertificate {
        epoch: common::EPOCH,
        view: View(1),
        entries,
    }
}

fn aggregate(signatures: usize) -> Aggregate<Vote> {
    let signatures = (0..u16::try_from(signatures).unwrap())
        .map(|member| (MemberIndex(member), Signature([0; 64])))
        .collect();
    Aggregate {
        statement: vote(1, A),
        signatures,
    }
}

fn range(blocks: usize, payload: &Payload, entries: usize) -> Range {
    let block = FullBlock {
        record: BlockRecord {
            block: World::six().block(),
            justification: (entries > 0).then(|| {
                Justification::Timeout(outrider_types::certificate::TimeoutJustification {
                    timeouts: timeouts(entries),
                    high: None,
                })
            }),
        },
        payload: payload.clone(),
    };
    Range {
        blocks: vec![block; blocks],
        fillers: Vec::new(),
        certificate: FinalityCertificate::Fast(aggregate(4)),
        change: None,
    }
}

#[test]
fn the_largest_messages_stay_below_the_documented_bound() {
    let lanes = TRANSACTIONS_PER_RANGE_MAX / BLOCKS_PER_RANGE_MAX;
    let worst = [
        // As many handles as there can be, each in a batch of its own.
        range(BLOCKS_PER_RANGE_MAX, &empty_transactions(lanes, 1), 0),
        range(4, &empty_transactions(1, TRANSACTIONS_PER_PAYLOAD_MAX), 0),
        // Handles and then as many timeouts as fit.
        range(BLOCKS_PER_RANGE_MAX, &empty_transactions(lanes, 1), 280),
        range(80, &Payload::default(), MEMBERS_MAX),
    ];
    for range in worst {
        let blocks = range.blocks.len();
        let bytes = encode(&SyncMessage::Range(range));
        assert!(bytes.len() <= MESSAGE_BYTES_MAX, "{} bytes", bytes.len());
        assert!(decode::<SyncMessage>(bytes.clone()).is_ok());
        let peak = peak(&bytes, only_decodes::<SyncMessage>);
        assert!(
            peak <= DECODE_BYTES_MAX,
            "{blocks} blocks, {} bytes: {peak} bytes of heap",
            bytes.len()
        );
    }
    let committee = encode(&World::new(&[1; 64]).committee);
    assert!(peak(&committee, only_decodes::<Committee>) < 16 * committee.len());
}

#[test]
fn lists_hold_their_limit_and_not_one_more() {
    let accepts = |message: SyncMessage| decode::<SyncMessage>(encode(&message)).is_ok();
    let consensus = |entries: usize| {
        let message = ConsensusMessage::Certificate(Justification::Timeout(
            outrider_types::certificate::TimeoutJustification {
                timeouts: timeouts(entries),
                high: None,
            },
        ));
        decode::<ConsensusMessage>(encode(&message)).is_ok()
    };
    assert!(consensus(MEMBERS_MAX) && !consensus(MEMBERS_MAX + 1));
    let finality =
        |n| decode::<FinalityCertificate>(encode(&FinalityCertificate::Fast(aggregate(n)))).is_ok();
    assert!(finality(MEMBERS_MAX) && !finality(MEMBERS_MAX + 1));

    let payload = |payload: Payload| decode::<Payload>(encode(&payload)).is_ok();
    assert!(payload(empty_transactions(LANES_PER_PAYLOAD_MAX, 1)));
    assert!(!payload(empty_transactions(LANES_PER_PAYLOAD_MAX + 1, 1)));
    assert!(
        !payload(empty_transactions(1, 0)),
        "a batch holds at least one"
    );
    assert!(payload(empty_transactions(1, TRANSACTIONS_PER_PAYLOAD_MAX)));
    assert!(!payload(empty_transactions(
        1,
        TRANSACTIONS_PER_PAYLOAD_MAX + 1
    )));
    // Over all batches together.
    assert!(payload(empty_transactions(
        4,
        TRANSACTIONS_PER_PAYLOAD_MAX / 4
    )));
    assert!(!payload(empty_transactions(
        5,
        TRANSACTIONS_PER_PAYLOAD_MAX / 4
    )));
    let sized = |bytes: usize| Payload {
        batches: vec![Batch {
            rollup: RollupId(1),
            transactions: vec![vec![0; bytes].into()],
        }],
    };
    assert!(payload(sized(TRANSACTION_BYTES_MAX)) && !payload(sized(TRANSACTION_BYTES_MAX + 1)));

    assert!(accepts(SyncMessage::Range(range(
        BLOCKS_PER_RANGE_MAX,
        &Payload::default(),
        0
    ))));
    assert!(!accepts(SyncMessage::Range(range(
        BLOCKS_PER_RANGE_MAX + 1,
        &Payload::default(),
        0
    ))));
    let full = empty_transactions(1, TRANSACTIONS_PER_PAYLOAD_MAX);
    assert!(accepts(SyncMessage::Range(range(4, &full, 0))));
    assert!(!accepts(SyncMessage::Range(range(5, &full, 0))));

    let spread = |count: usize| {
        let one = Transaction {
            rollup: RollupId(1),
            data: Bytes::new(),
        };
        let message = PayloadMessage::Transactions(Transactions {
            list: vec![one; count],
        });
        let ids = PayloadMessage::Received(Received {
            batch: BatchId([0; 32]),
            refused: vec![0; count],
        });
        (
            decode::<PayloadMessage>(encode(&message)).is_ok(),
            decode::<PayloadMessage>(encode(&ids)).is_ok(),
        )
    };
    assert_eq!(spread(TRANSACTIONS_PER_MESSAGE_MAX), (true, true));
    assert_eq!(spread(TRANSACTIONS_PER_MESSAGE_MAX + 1), (false, false));
}

#[test]
fn what_fitting_allows_decodes_and_one_more_would_not() {
    let certificate = FinalityCertificate::Fast(aggregate(4));
    let large = Payload {
        batches: vec![Batch {
            rollup: RollupId(1),
            transactions: vec![vec![0; TRANSACTION_BYTES_MAX].into(); 15],
        }],
    };
    for payload in [
        payload(),
        empty_transactions(1, TRANSACTIONS_PER_PAYLOAD_MAX),
        large,
    ] {
        let all = range(BLOCKS_PER_RANGE_MAX + 1, &payload, 1).blocks;
        let fitting = Range::fitting(&all, &certificate);
        let accepted = |count: usize| {
            let range = Range {
                blocks: all[..count].to_vec(),
                fillers: Vec::new(),
                certificate: certificate.clone(),
                change: None,
            };
            decode::<SyncMessage>(encode(&SyncMessage::Range(range))).is_ok()
        };
        assert!(fitting > 0 && accepted(fitting), "{fitting} blocks");
        assert!(!accepted(fitting + 1), "{} blocks", fitting + 1);
    }
}

proptest::proptest! {
    /// Ids are ordered as their bytes are, also those that differ late.
    #[test]
    fn ids_are_ordered_as_their_bytes(mut one: [u8; 32], other: [u8; 32], same in 0..=32_usize) {
        one[..same].copy_from_slice(&other[..same]);
        let ids = [one, other].map(outrider_types::TransactionId);
        proptest::prop_assert_eq!(ids[0].cmp(&ids[1]), one.cmp(&other));
        proptest::prop_assert_eq!(ids[0] == ids[1], one == other);
    }
}
