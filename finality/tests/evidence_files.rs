//! Files of evidence: what they say, and that a changed one says nothing.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use outrider_finality::{
    EVIDENCE_BYTES_MAX, EvidenceFile, EvidenceFileError, TextError, verify_evidence_json,
};
use outrider_types::evidence::Pair;
use outrider_types::testing::{CHAIN, committee};
use outrider_types::{
    BlockId, Committee, Epoch, Evidence, MemberIndex, Offence, SecretKey, Signed, View, Vote,
};

const EPOCH: Epoch = Epoch(0);

struct World {
    committee: Committee,
    keys: Vec<SecretKey>,
}

impl World {
    fn new(members: usize) -> Self {
        let (committee, keys) = committee(&vec![1; members]);
        Self { committee, keys }
    }

    /// Member 1 votes in view 5.
    fn vote(&self, block: u8) -> Signed<Vote> {
        let vote = Vote {
            epoch: EPOCH,
            view: View(5),
            block: BlockId([block; 32]),
        };
        Signed::sign(vote, CHAIN, MemberIndex(1), &self.keys[1]).into_inner()
    }
}

fn double_vote(world: &World) -> EvidenceFile {
    let pair = Pair {
        first: world.vote(1),
        second: world.vote(2),
    };
    let evidence = Evidence::DoubleVote(pair).verify(&world.committee).unwrap();
    EvidenceFile::new(world.committee.clone(), evidence)
}

#[test]
fn file_of_evidence_says_who_did_what() {
    let world = World::new(4);
    let file = double_vote(&world);
    assert_eq!(file.charge().file_name(), "E2-0-5-1.json");
    let id = world.committee.id();
    for expected in [None, Some(id)] {
        let checked = verify_evidence_json(file.to_json().as_bytes(), expected).unwrap();
        assert_eq!(checked.offence, Offence::E2);
        assert_eq!(checked.member, MemberIndex(1));
        assert_eq!(checked.public_key, world.keys[1].public_key());
        assert_eq!((checked.epoch, checked.view), (EPOCH, View(5)));
        assert_eq!((checked.stake.0, checked.total.0), (1, 4));
        assert_eq!(checked.committee, id);
    }
}

#[test]
fn file_for_another_committee_version_or_of_no_offence_is_refused() {
    let world = World::new(4);
    let file = double_vote(&world);
    let other = World::new(5).committee;
    assert_eq!(
        file.verify(Some(other.id())),
        Err(EvidenceFileError::OtherCommittee {
            found: world.committee.id(),
            expected: other.id()
        })
    );
    let mut later = file.clone();
    later.version = 2;
    assert_eq!(
        later.verify(None),
        Err(EvidenceFileError::Version { found: 2 })
    );
    let mut legal = file.clone();
    if let Evidence::DoubleVote(pair) = &mut legal.evidence {
        pair.second = pair.first;
    }
    assert!(matches!(
        legal.verify(None),
        Err(EvidenceFileError::NoOffence(_))
    ));
    let mut strangers = file;
    let mut members = other.members().to_vec();
    members.remove(1);
    strangers.committee = Committee::new(CHAIN, EPOCH, members, None).unwrap();
    assert!(matches!(
        strangers.verify(None),
        Err(EvidenceFileError::NoOffence(_))
    ));
}

#[test]
fn a_changed_byte_anywhere_in_a_file_of_evidence_is_an_error() {
    let world = World::new(4);
    let text = double_vote(&world).to_json().into_bytes();
    let id = Some(world.committee.id());
    for at in 0..text.len() {
        for bit in [0, 5] {
            let mut changed = text.clone();
            changed[at] ^= 1 << bit;
            assert!(
                verify_evidence_json(&changed, id).is_err(),
                "byte {at}, bit {bit}"
            );
        }
    }
    for cut in 0..text.len() {
        assert!(
            verify_evidence_json(&text[..cut], id).is_err(),
            "cut at {cut}"
        );
    }
    let mut long = text;
    long.push(b'\n');
    assert!(matches!(
        verify_evidence_json(&long, id),
        Err(EvidenceFileError::Text(TextError::NotCanonical { .. }))
    ));
    long.resize(EVIDENCE_BYTES_MAX + 1, b' ');
    assert!(matches!(
        verify_evidence_json(&long, id),
        Err(EvidenceFileError::Text(TextError::TooLarge { .. }))
    ));
}

#[test]
fn unknown_fields_of_a_file_of_evidence_are_refused() {
    let world = World::new(4);
    let text = double_vote(&world).to_json();
    let extra = text.replacen("{\n", "{\n  \"more\": 1,\n", 1);
    assert!(matches!(
        verify_evidence_json(extra.as_bytes(), None),
        Err(EvidenceFileError::Text(TextError::NotJson { .. }))
    ));
}
