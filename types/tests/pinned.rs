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
    assert_eq!((WIRE_VERSION, BLOCK_VERSION, Block::BYTES), (3, 3, 244));
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
        "002ba643593a80028215c88c572a5f81f94be9273beba27b6855117a13adfcf7",
    ),
    (
        "block-record",
        "246b94990db74c3620e89c79c84886b8f67b22429852cd1c4bcdba09da5ee798",
    ),
    (
        "safety-state",
        "d9601579add904e0feed7115affc241aa996f99529759023d220e9d63e885d2f",
    ),
    (
        "safety-state/fresh",
        "7f29ea49d39c73ac11df4a9b0cc516dfd09d3547c6f725f0a439f50ed88161c6",
    ),
    (
        "payload-record",
        "58c4ac148aa218cc8e53ec4d61df7db72ca93002cf50561b518ef2354d88c6ef",
    ),
    (
        "finality/fast",
        "3de4fc287207e87f6fcd63f89512967879a3201abc2c96d022fc7339eb8d3b4c",
    ),
    (
        "finality/slow",
        "86ab6baceacf0f1c8b2db5610db2eba02287014c88b10db1d220254e7f5742a0",
    ),
    (
        "justification",
        "cc8f40c9718a361c0936d33b33bfa063435c934270bd7f658d2d9319cd7e9e89",
    ),
    (
        "consensus/proposal",
        "0f1a7052fa1664d9e66bc0fe2cfd28bdad63e18e54ebfa59d9ed5b9e2f14142a",
    ),
    (
        "consensus/vote",
        "86b85aa580e4d9b2ed253fd2d3db3e6475878816b984ac475762b309c51ad033",
    ),
    (
        "consensus/commit-vote",
        "09e98fc50ed0cd8f385353824d94089c734447bca20bc56bba7dcf44a11aea1a",
    ),
    (
        "consensus/timeout",
        "a7e2a35054315994fdcc91602305c59d799cd627381fddf776b7a9ad8bf4a5c3",
    ),
    (
        "consensus/certificate-quorum",
        "1e0ada8ffb21c9cf22b969e131dd42e827f8ed8945dc5917bef80390c90527c3",
    ),
    (
        "consensus/certificate-commit",
        "3e68a4bf38c0cf053c3c48b04ea977ce30f84ad36384c096d9b47da677419238",
    ),
    (
        "consensus/certificate-adopting",
        "391adfa288ec0843bc4f197064a014f56c114682925e707deb0c8c584c7b8c69",
    ),
    (
        "consensus/certificate-timeout",
        "baa42d427248778a2ad32558942ea19c597cdb98b9852aff00bedeb4ddd1ae74",
    ),
    (
        "consensus/epoch-end",
        "febe34772ef83b48914fcf65eeb41e3d0d7795592e7eea8ee3d56c00822e979a",
    ),
    (
        "payload/payload",
        "aa65a0635876548766b7d63f913c52bc4bc30803f3d48db2ef29f5a286d448bc",
    ),
    (
        "payload/transactions",
        "f61bfcd9f1f2b78687f42333c6038d9e4a7cd926fc92af89b220465afdcf1c66",
    ),
    (
        "payload/received",
        "1aa05f9323cbd0d6f64f2e5ede785a95a469edded8df188aa09b0d141b3fe413",
    ),
    (
        "payload/references",
        "bc9dbcd0473824d92879b668d965fbfaa5742455ed1d08ad26dacb267af71cdc",
    ),
    (
        "payload/batch-request",
        "5f71df1d3d7eb60da6d68adf78de56a307341c5e3e21190fb027723c88f0656c",
    ),
    (
        "sync/block-request",
        "a01e3bee8fa0caf3942bcc61c9bba72e17fee8fd1728cfd6b4272d3b679fb4de",
    ),
    (
        "sync/block",
        "55ee0a6626c2e842963979f946039f1ca8b327c6d5274cec9c529110c136c3f8",
    ),
    (
        "sync/range-request",
        "440d18ad2d095179a33f5d9d887213e732e76011787022698e1cf8c9a6a8be16",
    ),
    (
        "sync/range",
        "2b8849eceb11066e01e974c9c6b29f93752f068cd40139b8247b6eba00f08628",
    ),
    (
        "sync/change-request",
        "628ed8a87c592f0035258a302120d534aff6777b4d43792e3a7427f7222fd42c",
    ),
    (
        "sync/change",
        "62f1ad5174490dbf8eb46eed053d1d3fe5051179dff68f1e3898d4fb205b64d0",
    ),
    (
        "sync/evidence",
        "ca4ae989ce03b6a6503846dc6f4c77dabdf63a704e27bf0605b7cd1f376cb0c6",
    ),
    (
        "sync/execution",
        "d073863f7e4f3752550570013af83c3782271fbb645198ac6df54e6c7a134dae",
    ),
    (
        "evidence/e1",
        "03f85d63b7b386ddfda7182ad5c2d7527f321ecb7b79633d7794fa1a44ebd3d2",
    ),
    (
        "evidence/e2",
        "ce8a924f351e5dd2794a06f4ec56f63daecdf8e55a769a5d4a4740af66ea9561",
    ),
    (
        "evidence/e3",
        "323d39c25aa8f3a77d45e10abcd6b722ca5ab2204a77cb095810476a4ef68e9f",
    ),
    (
        "evidence/e4",
        "53eced1466d17f9adf88b7dcf4c8189d5338fa6b5b2f946e355752343de59711",
    ),
    (
        "evidence/e5",
        "a85b5db7b5a1d148c3fdf51a203627ba5dcd6a5f5b557287cd6216ec6d13bce1",
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
        "46667cb3f51cf5cd11366a259fa5a94c7f1687cfc905e197f8ee8774738115e6",
    ),
    (
        "genesis",
        "d0ef18863263a19137a7315193230c8b648786f620fa40240c2b74b5c80cfdc6",
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
