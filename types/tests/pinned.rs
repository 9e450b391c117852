//! T2: the bytes of every message, record, signed preimage and identity, pinned by their SHA-256.
//!
//! A failure here means that members of two builds would not understand each other, or that signatures and ids
//! made before would not be found again. If that is meant: raise `WIRE_VERSION` (or `BLOCK_VERSION` for the header,
//! or the tag for a preimage), describe the change in `docs/wire-format.md`, and put the table that the failing test
//! prints in place of the old one, all in one commit.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod common;

use common::{
    A, B, World, commit_vote, execution, payload, propose, samples, timeout, transactions, vote,
};
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
    assert_eq!((WIRE_VERSION, BLOCK_VERSION, Block::BYTES), (4, 4, 292));
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
        ("execution", execution().preimage(CHAIN)),
        (
            "approve",
            World::six().change().approvals.statement.preimage(CHAIN),
        ),
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
        "2114c89446fe3b478700483f728a8098762c41d96063d0faf3a3ddf1afc4da0e",
    ),
    (
        "block-record",
        "dfcc681758c475286fd99f825077d66871a2299deab52ba4e696822fd97a4457",
    ),
    (
        "safety-state",
        "3a7b3a6de24520a6fe36f17d71999fe8e570e623e17ddd41418ef16d8a8c777e",
    ),
    (
        "safety-state/fresh",
        "29a8b1e1d4e2e5da7a36e5f39cb97f69ed99518f710da167aed20b9792e5da1c",
    ),
    (
        "payload-record",
        "605bdab3664e42335452a2ef11f1e1f23612127d3b66a4cda453b9986108ac34",
    ),
    (
        "finality/fast",
        "dd83d78cc0bcd73f3a65ccbfe8c715453dd642f43646f0c4ea653226e564682a",
    ),
    (
        "finality/slow",
        "60e4b433cbde77c7b24d29c1c87ab409c30f6614c9bec9635df1ff4782eb772a",
    ),
    (
        "justification",
        "43239d8d2bf03be5bb19a476d1b42a0259ffa5ce638faa0011450c88f9bfeba5",
    ),
    (
        "consensus/proposal",
        "18867154c51cd66d14eb178429617af0ba219dcd0dbc68f894c1995a72caa71a",
    ),
    (
        "consensus/vote",
        "1e1fc518c4dd61b74395d43631683742d4b1e0e59dcf51e5c21d19f68efa7b3f",
    ),
    (
        "consensus/commit-vote",
        "b97fca7e3acaa4d9dbd9ec48234b2c8c094ad6b0e5ec8501cb655252fc325096",
    ),
    (
        "consensus/timeout",
        "b6d588a595eadb42406b7b9e4889392abf66e14aaf6f1bde33a70b431f771949",
    ),
    (
        "consensus/certificate-quorum",
        "d3c80543fd63d9ead15777711ecf3ab24bfbc2a3ef75eef901d929fe881190ad",
    ),
    (
        "consensus/certificate-commit",
        "85d9013ee323681d70bf4f91a9f702b71543f0719190d93ac760cdfdd422ce4f",
    ),
    (
        "consensus/certificate-adopting",
        "1e8d9e3b6a6b2e39107b5914f9322dba4c974fc0af6b40f45eddcba9fa613043",
    ),
    (
        "consensus/certificate-timeout",
        "a8e92b749bb2ecf42195131bebd6a15ad74b323f124f66e8c0bb52f6452fcba0",
    ),
    (
        "consensus/epoch-end",
        "718b997cd06f2a0518023dde132e1c4de858ea4247717bb99455a354aae3399c",
    ),
    (
        "payload/payload",
        "6c3a0bb6fcfd01d164384f60674be449f68ca28ea1be7aa2e5a21a1ef1c5ff2d",
    ),
    (
        "payload/transactions",
        "c538f5a4f2f7a09fc4a9a79946e7a8d7edbcc818d24fc33957a667ea34e99a0a",
    ),
    (
        "payload/received",
        "a0795851638ad4d51eae34991e3c05ea50b0b14d84ee4a98a623e3a1e42b3bf9",
    ),
    (
        "payload/references",
        "90be67941f704fce9df0e92697e2653624557cddb93a319b77e7e3ff94be6305",
    ),
    (
        "payload/batch-request",
        "620b80479790e53124ee0c0a3769257736947f84bb0b96e3de88e09f1e208508",
    ),
    (
        "sync/block-request",
        "55810b1fce8a4f8426bbb5e009c0849d2d9454d825d468ceb6212054f33ee0c1",
    ),
    (
        "sync/block",
        "b3f6ec664737c1dca6c6f6ee8664b1dd965a4c24622ba7b39f245212b50492ee",
    ),
    (
        "sync/range-request",
        "19b99b93ec107fac9eca97be0139d15abef58c45154f1f3917bd1681ec779ab8",
    ),
    (
        "sync/range",
        "67cd38adac53e192c4402a67021ae2690897f5b0963b3bcf9e0512f7c75ad991",
    ),
    (
        "sync/change-request",
        "55757872c3cc12cb611c0dd2947b874dd39c5e4f815bdc71f66b911c44726b0c",
    ),
    (
        "sync/change",
        "08ec0517300c3056fca5cfa499a93a71fa33526da520b782afef634b51c510dc",
    ),
    (
        "sync/evidence",
        "28167ab0bcd3946bed2e08e16499d9e5672146738a3c31a4a50fa3e9ce0d984a",
    ),
    (
        "sync/execution",
        "8ca913de230682f4d64fa1e9181aac26555bc8600e0cbb72ba975d5674bf51e9",
    ),
    (
        "sync/attestation",
        "1f89bfcdb261a2eee5393d8280c284b9cf4fbaea8390c81ba3c5c72c4595c96d",
    ),
    (
        "sync/approval",
        "280edb889a7eae0bdaf77f143629153d035f504f04904a89f96a162aae4f9229",
    ),
    (
        "evidence/e1",
        "1d16492e585371cc6a8624197f8adc323f76098f45490a0d0a6d16fc0569d9da",
    ),
    (
        "evidence/e2",
        "30a9db8536fdaa4b68b79184e7cbd6461e59b535544fef54be0e77bde1674b5a",
    ),
    (
        "evidence/e3",
        "163e2fc1f874060316d99f53bdd4c2c5855917a01ffd8e305505e80b87a485ba",
    ),
    (
        "evidence/e4",
        "deacd0131fd65a92df888ff6eb801e80c9cd8ba0df93c3d09994156c3177755f",
    ),
    (
        "evidence/e5",
        "fad5370f28cfe36c8a0d3de1abfd73003b28a8139cdec5fa7c53c140504f6e85",
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
    (
        "execution",
        "4f555452455845439a33785af9b635031ed2c3226c2128a45e8b89653009c1c5b97bb9c328fc9634",
    ),
    (
        "approve",
        "4f5554524e45585416f32e55c9c2803c27db4cfac4426f645293521e1866b3581dcd2cf0781120aa",
    ),
];
const IDENTITIES: &Table = &[
    (
        "committee",
        "413074fdcac702c570040e6b1999a03ad74a9300604bd75a20dd1ddbaf1e6927",
    ),
    (
        "block",
        "0fe850a85eead91e8c460c1b5cd8387b966ca921c4cc05bdd7872e4ea8c61e46",
    ),
    (
        "genesis",
        "0278665da45dbf4e106742c84cd7b19ecb51e6020a1e3f47d4b9a78855ceafb5",
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
