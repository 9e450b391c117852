//! T2: the bytes of every message, record, signed preimage and identity, pinned by their SHA-256.
//!
//! A failure here means that members of two builds would not understand each other, or that signatures and ids
//! made before would not be found again. If that is meant: raise `WIRE_VERSION` (or `BLOCK_VERSION` for the header,
//! or the tag for a preimage), describe the change in `docs/wire-format.md`, and put the table that the failing test
//! prints in place of the old one, all in one commit.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod common;

use common::{A, B, World, commit_vote, payload, propose, samples, timeout, transactions, vote};
use outrider_types::block::BLOCK_VERSION;
use outrider_types::codec::WIRE_VERSION;
use outrider_types::crypto::sha256;
use outrider_types::testing::CHAIN;
use outrider_types::{Block, ProposalKind, Statement};

type Table = [(&'static str, &'static str)];

fn is_pinned(found: &[(&'static str, String)], pinned: &Table) {
    let print = || -> String {
        found
            .iter()
            .map(|(name, hash)| format!("    (\"{name}\", \"{hash}\"),\n"))
            .collect()
    };
    let same = found.len() == pinned.len()
        && found
            .iter()
            .zip(pinned)
            .all(|((name, hash), pin)| (*name, hash.as_str()) == *pin);
    assert!(
        same,
        "the format changed; read the head of this file. Found:\n{}",
        print()
    );
}

#[test]
fn versions_are_pinned() {
    assert_eq!((WIRE_VERSION, BLOCK_VERSION, Block::BYTES), (1, 1, 116));
}

#[test]
fn encodings_are_pinned() {
    let found: Vec<_> = samples(&World::six())
        .into_iter()
        .map(|(name, bytes)| (name, hex::encode(sha256(&[&bytes]))))
        .collect();
    is_pinned(&found, ENCODINGS);
}

#[test]
fn preimages_are_pinned() {
    let found = [
        ("vote", vote(5, A).preimage(CHAIN)),
        ("commit-vote", commit_vote(5, A).preimage(CHAIN)),
        (
            "propose/normal",
            propose(5, ProposalKind::Normal, A).preimage(CHAIN),
        ),
        (
            "propose/optimistic",
            propose(5, ProposalKind::Optimistic, A).preimage(CHAIN),
        ),
        ("timeout/voted", timeout(5, 3, Some(B)).preimage(CHAIN)),
        ("timeout/none", timeout(5, 3, None).preimage(CHAIN)),
    ]
    .map(|(name, preimage)| (name, hex::encode(preimage)));
    is_pinned(&found, PREIMAGES);
}

#[test]
fn identities_are_pinned() {
    let world = World::six();
    let found = [
        ("committee", world.committee.id().to_string()),
        ("block", world.block().id().to_string()),
        ("genesis", Block::genesis(&world.committee).id().to_string()),
        ("payload", payload().id().to_string()),
        (
            "payload/empty",
            outrider_types::Payload::default().id().to_string(),
        ),
        ("transaction", transactions().list[0].id().to_string()),
    ];
    is_pinned(&found, IDENTITIES);
}

const ENCODINGS: &Table = &[
    (
        "committee",
        "e34040471162b18c0bb4c14f5e9fd1758b489f958e46bad6ea1dc5ccf4287ed7",
    ),
    (
        "block-record",
        "2a271bc321d9c96f6896138ede614551d9325ff074a1ba1cd3424aa07f3c3a50",
    ),
    (
        "safety-state",
        "45050509245f321724cf54e16f061ab08107d90ba79a854a0103fcfe08c12e57",
    ),
    (
        "safety-state/fresh",
        "def3e95cb5eaad4282587ff5a2deae2e2c805de867c74710d7a186a9a9317cbe",
    ),
    (
        "payload-record",
        "77d437e3841fc843341e08c921b02b5ff512d7f2709b34daea931e723b03cc3d",
    ),
    (
        "finality/fast",
        "2fb93b0e1399f84e0e5849acd9312848126fc5f30ed05e8e49591d3191f146fb",
    ),
    (
        "finality/slow",
        "587431830343438284107589a99f25a7ff4bfbc3e36292f204d88b9d2a2ef1d6",
    ),
    (
        "justification",
        "459737f8a738e71372915566a77b89df2955ab5a5c078c97a865b93792c8f380",
    ),
    (
        "consensus/proposal",
        "ead7809bd987998e502dd42b7919d5a26245ceb69183e9942d7878f976ba3714",
    ),
    (
        "consensus/vote",
        "50e1fd94df37d310dd3b68d292a77f7968650c4cf6f904ae3f385578d6310bd7",
    ),
    (
        "consensus/commit-vote",
        "f25be4d8756dd11a60acec85c8ea6498007afdf7a62aee73479371922a3a2601",
    ),
    (
        "consensus/timeout",
        "ce3bf6007466de84e27e4e6a9dfaa0dc4077b8215b24a8c4a8c3961f841bb89e",
    ),
    (
        "consensus/certificate-quorum",
        "a87bc2dc155a9e62d190a0c2c31b68cbcdde153b09570372b439042ef3292dcf",
    ),
    (
        "consensus/certificate-commit",
        "832a440e651537723d16b1be227a58231a46dfa78f00b95c1311a74edc5a05a1",
    ),
    (
        "consensus/certificate-adopting",
        "f42ad8ba6d2f5d7ade42c3ccb335c7381db71c70fd14e7f464a21f47a32526e6",
    ),
    (
        "consensus/certificate-timeout",
        "0d7801ab38ce3621e1312bb0972710ad709b4cbeac8a55082d01c1aaa55cd5ff",
    ),
    (
        "payload/payload",
        "a33de0e8ec3a2d59d78966215251fef9d5b90b3b39901a9208cfe00099831388",
    ),
    (
        "payload/transactions",
        "6613e21f949bd60f60e9f965cce07dff6687a30c370b6732d5c30070a308b6ab",
    ),
    (
        "payload/received",
        "c9e5117972e5f55cbda00c36ae5bc364ffdf9879286abe508925dee7a3a7ef8b",
    ),
    (
        "sync/block-request",
        "12f94faf22dee4abb174ef00b07d8a6c3443e8af8fe69d8d08dbf21fbac0fb7a",
    ),
    (
        "sync/block",
        "4d63e2ca4872f703a667fb12defd0a53ee65a5cc14b878b70786fd6ebbbb18be",
    ),
    (
        "sync/range-request",
        "3f09aa6e29723f05e3071be16ac1b7ee0748b7ba3d2f86a6f927704c506d4228",
    ),
    (
        "sync/range",
        "cb3cd8759f0bb090bea99f917fb6f5dc35f61e76a8c0d3dda742a31b7b26aa19",
    ),
    (
        "evidence/e1",
        "1e3d04b354189c17cfc3ba30220758fb6ffd974d7f085104d7102f923303aab5",
    ),
    (
        "evidence/e2",
        "e8f851ef572039b73323837b965d58b237a64f735eb29d5aad40d46fe240f3f3",
    ),
    (
        "evidence/e3",
        "d197cceb401972eb457006be070f4f1e7872db5925da0883ca63963e1622f09e",
    ),
    (
        "evidence/e4",
        "206b1dbcddca22becc43fdc475329ef7ea3f85ec2be6df1f36419b0fa8a3571a",
    ),
    (
        "evidence/e5",
        "4908f9178d34153bd546fe5c5014193f1a96732c37f5b7c8a8b829912525e081",
    ),
];
const PREIMAGES: &Table = &[
    (
        "vote",
        "4f555452564f5445cf40fb2ff764c2040449dabea27cb51abe66d54212a5f92370b20b71c549295d",
    ),
    (
        "commit-vote",
        "4f555452434d4954cf40fb2ff764c2040449dabea27cb51abe66d54212a5f92370b20b71c549295d",
    ),
    (
        "propose/normal",
        "4f55545250524f506cba2175e8655b2e4a8df31d240eac31b111d7c98a1d7590706cb4f36ee22d35",
    ),
    (
        "propose/optimistic",
        "4f55545250524f505059bad8369bb908b2e213fb9d1fd751cf5119c1ce7076877d59b4fa2738fec1",
    ),
    (
        "timeout/voted",
        "4f55545254494d458168a43252bb55dfa2181eec2e673da2eb8c786c4fe5828f345fe2445997c9e9",
    ),
    (
        "timeout/none",
        "4f55545254494d45e16001b8136e6319b53bcff46a5c1e225decbbec2de7b49fbb4240bd1c221978",
    ),
];
const IDENTITIES: &Table = &[
    (
        "committee",
        "60093347a6b90c55105018912d1bbbe8dab2a56ffdeb5b81b92cebaaa4fdd2cb",
    ),
    (
        "block",
        "f9822c6e93f78574414c1b12bd3e5f1a5e7937a5013b0e6246ea75b47ad8cec5",
    ),
    (
        "genesis",
        "c73231fdd4f4261f0736df5c439b90d8eb5f31e612c0e8c164e852427bdb2b6a",
    ),
    (
        "payload",
        "15d28118a56d862bd87251272f4dd3ec37a98105926f311f833199459d80c437",
    ),
    (
        "payload/empty",
        "ef6e05891dd1decbeb1567d5ca08228c66db73e06f0e1e614da4445f8f855501",
    ),
    (
        "transaction",
        "4237a0080439ab3639ea210540e78dac30b8b7e95905b1438178ed6bda149ef3",
    ),
];
