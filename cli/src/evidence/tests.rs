//! `outrider evidence verify` on true, false and foreign files.

use super::*;
use outrider_types::evidence::Pair;
use outrider_types::testing::{CHAIN, committee, key};
use outrider_types::{BlockId, Evidence as Proven, MemberIndex, Signed, View, Vote};

/// Member 1 votes twice in view 5.
fn file() -> EvidenceFile {
    let (committee, _) = committee(&[1; 4]);
    let sign = |block| {
        let vote = Vote {
            epoch: committee.epoch(),
            view: View(5),
            block: BlockId([block; 32]),
        };
        Signed::sign(vote, CHAIN, MemberIndex(1), &key(1)).into_inner()
    };
    let pair = Pair {
        first: sign(1),
        second: sign(2),
    };
    let evidence = Proven::DoubleVote(pair).verify(&committee).unwrap();
    EvidenceFile::new(committee, evidence)
}

fn verify(path: &Path) -> Result<(), Failure> {
    let file = path.to_path_buf();
    let committee = None;
    VerifyEvidence { file, committee }.run()
}

#[test]
fn true_evidence_says_who_did_what() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), &file()).unwrap();
    assert_eq!(path, folder.path().join("E2-0-5-1.json"));
    verify(&path).unwrap();
    let text = describe(&check(&path, None).unwrap());
    for part in [
        "guilty: m1 of E2, double vote",
        "stake        1 of 4",
        "view         5",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let id = committee(&[1; 4]).0.id();
    check(&path, Some(id)).unwrap();
    let other = check(&path, Some(committee(&[1; 5]).0.id())).unwrap_err();
    assert!(other.to_string().contains("checked against committee"));
}

#[test]
fn changed_evidence_is_refused_and_never_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("evidence.json");
    let text = file().to_json();
    for (from, to) in [
        ("\"view\": 5", "\"view\": 6"),
        ("\"signer\": 1", "\"signer\": 2"),
        ("\"stake\": 1", "\"stake\":  1"),
        ("0101", "0102"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        std::fs::write(&path, changed).unwrap();
        assert!(
            matches!(verify(&path), Err(Failure::Evidence { .. })),
            "{from}"
        );
    }
    let mut legal = file();
    if let Proven::DoubleVote(pair) = &mut legal.evidence {
        pair.second = pair.first;
    }
    assert!(write(folder.path(), &legal).is_err());
    assert!(!folder.path().join("E2-0-5-1.json").exists());
    assert!(matches!(
        verify(&folder.path().join("none")),
        Err(Failure::File { .. })
    ));
}
