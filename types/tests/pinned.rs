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
    assert_eq!((WIRE_VERSION, BLOCK_VERSION, Block::BYTES), (2, 2, 148));
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
        "842cc6c84adaa499da61300bd4cc1e8779c56f3a549ec39495f575f3fd67847b",
    ),
    (
        "block-record",
        "c7db41b88d3ff3bc755ecad03218bdcf3b355ae9c06178ccccd4a96cd2177e38",
    ),
    (
        "safety-state",
        "ab8c3e7a325171f1483be3a3ba652fcd1c88571d330db835ab87504bbca214e2",
    ),
    (
        "safety-state/fresh",
        "1cdb56a90594fd08b87cf3c31b3a716b367719eb085a483c4b843921fc178652",
    ),
    (
        "payload-record",
        "3edd51e28a52c21d932756d9e5113318a3e6c8efb1a652d75894f5cc5893c2d6",
    ),
    (
        "finality/fast",
        "4fa05ceb6a40905adb7ac376c5912941ff1f55558344b674616c7bd628e841c7",
    ),
    (
        "finality/slow",
        "db72cf5b83f2fb40ca11c3fbb0cbbf30dfde5d824a1dd134a47168e556372652",
    ),
    (
        "justification",
        "747bbbab9808a8d8c865de3665d0809f07c4c48ed8ea1bb78fbef04bde8ed127",
    ),
    (
        "consensus/proposal",
        "77d34b9ad0730f8038eb2a831b159b6cce27213ac605553322c8c54145147131",
    ),
    (
        "consensus/vote",
        "f4103f22c3e63da2df72d69b41bdcfbd3b6a1de6642f53547a43ae537b14e115",
    ),
    (
        "consensus/commit-vote",
        "f0d8e61fb901cc350f0eb20d993a20b11f2f34aee8e1fc2cc7e7adb3445a2fc0",
    ),
    (
        "consensus/timeout",
        "b010978df5c684a74a178d03d604799bae6045ca9d24deebc69dc82de73a259b",
    ),
    (
        "consensus/certificate-quorum",
        "b603aba1d7ae684a89ee3f55ef97607e76c0f50b899f4ed15b440918c80fed37",
    ),
    (
        "consensus/certificate-commit",
        "bd3092bc36d157dd5aaae6c73b4d79b8a3151bf51f5319daf27e2e3a7fa2ea33",
    ),
    (
        "consensus/certificate-adopting",
        "b45f393954986b0702563bfa263d875eb93e161b935986b5fc98210721daf200",
    ),
    (
        "consensus/certificate-timeout",
        "03aa137ff3dbcae0881e980cd06cbb914160b43ccb72d227251e93e70c266595",
    ),
    (
        "consensus/epoch-end",
        "520af5cd7d36d7a636a81c9e63c98aae6ca535238131765e46257a9d9697c97a",
    ),
    (
        "payload/payload",
        "08c41a906e52b9700989ba7c33fe7ac6cf34db4fd2125934078a240ac94fffc5",
    ),
    (
        "payload/transactions",
        "5925831117b52b850265cb7a8d16fe50b55e675bb46aa04ef7822f227f18f369",
    ),
    (
        "payload/received",
        "b24150a02bf84441c6986f44201242f48ad906b9d14dc15524c1795c2aaec463",
    ),
    (
        "payload/references",
        "5a426c355b92f2ea12ac1e54778421d72ae5216ae32873bb7b9c8c01e9322efd",
    ),
    (
        "payload/batch-request",
        "61a4c5d96939676520f2254b07f5ea48a9f4c4ed27404de158224df8a46fd08c",
    ),
    (
        "sync/block-request",
        "86d267709159b1606c666d0041fc203660b6ecd274ca8728e53b6a967855aa90",
    ),
    (
        "sync/block",
        "26d4a8f9ef21dedd81d118dfe9761a1309ffcc85c4237b192e394f624a3c48b9",
    ),
    (
        "sync/range-request",
        "56e14adce149d68728a5b5fc51685f4d7e014de8f80064847aec1e09474f5841",
    ),
    (
        "sync/range",
        "46b7b3d0480d6ecbb58bbbdf4658309fdcfaaef7b46efd8f6781e92e28b88776",
    ),
    (
        "sync/change-request",
        "d4f7fca20203386935f40450f29b54d7af0e5b5b11b03a06d26d457e5c2dd2a9",
    ),
    (
        "sync/change",
        "9439f864840b1c9e0898b79457f9564020c379a4bc9bd84cdaaa9c5c0ad3d93e",
    ),
    (
        "sync/evidence",
        "df26242447c337c180f4fb3be0bf384ce48a42d656352bfdc32f888e7e225f6c",
    ),
    (
        "evidence/e1",
        "acd8a13469ae32f32518bea9120a425c953393903f7e8ab6af9983458d541406",
    ),
    (
        "evidence/e2",
        "dcb8930c21bff26c94eb3ecaf5e1782a3c0a73233e3a5073e2fbd6513f510400",
    ),
    (
        "evidence/e3",
        "ad81b5522de8160bb1e7c9d2d9a5b11c31fe09fc9c33dd6d05fc53b8490b5f36",
    ),
    (
        "evidence/e4",
        "a7ef72cc31c5c3404ff0061183463d03925a4595f9dc8cbdc8f96979518c2fa0",
    ),
    (
        "evidence/e5",
        "188a3f3846d738a5b25572f02c1dd8d06331aa1b7d3a8b1343a606339c08bee1",
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
        "approve",
        "4f5554524e45585407cc209deb1b1d9bc435dde09734929940d12b5c7536274a0f4059c7db126f86",
    ),
];
const IDENTITIES: &Table = &[
    (
        "committee",
        "413074fdcac702c570040e6b1999a03ad74a9300604bd75a20dd1ddbaf1e6927",
    ),
    (
        "block",
        "4597e25293ccd0c8f2e33780c1bcae0b300896c03b6c44e7c8e7541e06561291",
    ),
    (
        "genesis",
        "eec06f88ba6e60ce077bc03f394cf77aeb01d34c0c06c2a789a2469d2b2e278e",
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
