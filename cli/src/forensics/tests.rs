//! `outrider forensics` on a fork of four members, two of which sign for both sides.

use super::*;
use outrider_types::testing::{CHAIN, committee, key};
use outrider_types::{
    Aggregate, Batch, Block, Bytes, CommitVote, FinalityCertificate, Height, MemberIndex, Payload,
    RollupId, Signed, View,
};

/// A block of view 1 made final by commit votes of these members.
fn proof(salt: u8, signers: [u16; 3]) -> FinalityProof {
    let (committee, _) = committee(&[1; 4]);
    let payload = Payload {
        batches: vec![Batch {
            rollup: RollupId(1),
            transactions: vec![Bytes::from(vec![salt])],
        }],
    };
    let base = Block::genesis(&committee);
    let block = Block {
        view: View(1),
        height: Height(1),
        parent: base.id(),
        payload: payload.id(),
        ..base
    };
    let statement = CommitVote {
        epoch: block.epoch,
        view: block.view,
        block: block.id(),
    };
    let signed: Vec<_> = signers
        .iter()
        .map(|signer| {
            let key = key(usize::from(*signer));
            Signed::sign(statement, CHAIN, MemberIndex(*signer), &key)
        })
        .collect();
    let certificate = FinalityCertificate::Slow(Aggregate::assemble(&signed).unwrap());
    let id = payload.ids().next().unwrap();
    FinalityProof::build(&committee, block, Vec::new(), certificate, &payload, id).unwrap()
}

struct Case {
    folder: tempfile::TempDir,
    verb: Forensics,
}

impl Case {
    fn new(first: &FinalityProof, second: &FinalityProof) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: String| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let store = CertificateStore::new(committee(&[1; 4]).0);
        let verb = Forensics {
            first: file("a.json", first.to_json()),
            second: file("b.json", second.to_json()),
            certificates: vec![file("certificates.json", store.to_json())],
            committee: None,
            out: Some(folder.path().join("guilty")),
        };
        Self { folder, verb }
    }
}

#[test]
fn fork_names_the_guilty_and_writes_their_evidence() {
    let case = Case::new(&proof(1, [0, 1, 2]), &proof(2, [1, 2, 3]));
    case.verb.run().unwrap();
    let mut names: Vec<_> = std::fs::read_dir(case.folder.path().join("guilty"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["E3-0-1-1.json", "E3-0-1-2.json"]);
    for name in names {
        let bytes = std::fs::read(case.folder.path().join("guilty").join(name)).unwrap();
        outrider_client::verify_evidence_json(&bytes, None).unwrap();
    }
}

#[test]
fn verdict_says_offence_stake_and_bound() {
    let (committee, _) = committee(&[1; 4]);
    let (first, second) = (proof(1, [0, 1, 2]), proof(2, [1, 2, 3]));
    let verdict = investigate(&committee, &first, &second, &[]).unwrap();
    let text = describe(&verdict, &committee);
    for part in [
        "fork in epoch 0, height 1",
        "guilty       m1 (key ",
        "E3 double commit vote in view 1",
        "guilty stake 2 of 4; a fork takes f+1 = 2",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn one_chain_is_no_fork() {
    let case = Case::new(&proof(1, [0, 1, 2]), &proof(1, [0, 1, 3]));
    let error = case.verb.run().unwrap_err();
    assert!(error.to_string().contains("do not conflict"), "{error}");
}

#[test]
fn changed_files_are_refused() {
    let (first, second) = (proof(1, [0, 1, 2]), proof(2, [1, 2, 3]));
    let case = Case::new(&first, &second);
    let text = first.to_json();
    let changed = text.replacen("\"view\": 1", "\"view\": 2", 1);
    assert_ne!(changed, text);
    std::fs::write(&case.verb.first, changed).unwrap();
    assert!(matches!(case.verb.run(), Err(Failure::Proof { .. })));
    std::fs::write(&case.verb.first, text).unwrap();
    std::fs::write(&case.verb.certificates[0], "{}").unwrap();
    assert!(matches!(
        case.verb.run(),
        Err(Failure::CertificateStore { .. })
    ));
}

#[test]
fn without_a_committee_nothing_can_be_checked() {
    let mut case = Case::new(&proof(1, [0, 1, 2]), &proof(2, [1, 2, 3]));
    case.verb.certificates.clear();
    assert!(matches!(case.verb.run(), Err(Failure::WhichCommittee)));
}
