//! F5, F6: no byte of a proof's text can be changed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod world;

use outrider_finality::{FinalityProof, ProofError, verify, verify_json};
use outrider_types::merkle;
use world::World;

fn no_flip_passes(world: &World, proof: &FinalityProof) {
    let mut text = proof.to_json().into_bytes();
    verify_json(&world.committee, &text).unwrap();
    for at in 0..text.len() {
        for bit in 0..8 {
            let mask = 1 << bit;
            text[at] ^= mask;
            let found = verify_json(&world.committee, &text);
            assert!(
                found.is_err(),
                "byte {at} with mask {mask:#04x} passes: {found:?}"
            );
            text[at] ^= mask;
        }
    }
}

#[test]
fn no_byte_of_a_proof_by_commit_votes_with_a_header_path_can_be_flipped() {
    // Six lanes: a path of the first lane also fits a tree of seven, so the count must be committed to.
    let world = World::new(6, 2);
    let path = world.proof(0).inclusion.lane_path;
    let root = |lanes| merkle::root_from_path([0; 32], 0, lanes, &path);
    assert!(root(6).is_some() && root(6) == root(7));
    no_flip_passes(&world, &world.proof(0));
    no_flip_passes(&world, &world.proof(18));
}

#[test]
fn no_byte_of_a_proof_by_votes_can_be_flipped() {
    let world = World::new(2, 0);
    let proof = world
        .proof_with(1, world.fast(&world.blocks[1], &[0, 1, 2, 3]))
        .unwrap();
    no_flip_passes(&world, &proof);
}

#[test]
fn no_byte_can_be_added_or_left_out() {
    let world = World::new(3, 1);
    let text = world.proof(4).to_json().into_bytes();
    for at in 0..text.len() {
        let mut less = text.clone();
        less.remove(at);
        assert!(
            verify_json(&world.committee, &less).is_err(),
            "without byte {at}"
        );
        assert!(
            verify_json(&world.committee, &text[..at]).is_err(),
            "cut before byte {at}"
        );
        for byte in [b' ', b'\n', b'0', 0] {
            let mut more = text.clone();
            more.insert(at, byte);
            if more != text {
                assert!(
                    verify_json(&world.committee, &more).is_err(),
                    "byte {byte} before {at}"
                );
            }
        }
    }
    assert!(verify_json(&world.committee, &[&text[..], b"\n"].concat()).is_err());
}

#[test]
fn errors_of_form_say_where() {
    let world = World::new(1, 0);
    let text = world.proof(0).to_json();
    let bare = text.trim_end().as_bytes();
    assert_eq!(
        verify_json(&world.committee, bare),
        Err(ProofError::NotCanonical { offset: bare.len() })
    );
    let upper = text.find("\"committee\": \"").unwrap() + 14;
    let upper = upper
        + text[upper..]
            .find(|letter: char| letter.is_ascii_lowercase())
            .unwrap();
    let mut changed = text.clone().into_bytes();
    changed[upper] ^= 0x20;
    assert_eq!(
        verify_json(&world.committee, &changed),
        Err(ProofError::NotCanonical { offset: upper })
    );
    let comma = text.find(',').unwrap();
    changed.clone_from(&text.clone().into_bytes());
    changed[comma] = b';';
    let found = verify_json(&world.committee, &changed);
    assert!(
        matches!(found, Err(ProofError::NotJson { offset, .. }) if offset == comma),
        "{found:?}"
    );

    let compact: String = text.split_whitespace().collect();
    let lenient = FinalityProof::from_json(compact.as_bytes()).unwrap();
    verify(&world.committee, &lenient).unwrap();
    let unknown = text.replacen('{', "{\n  \"extra\": 1,", 1);
    assert!(matches!(
        verify_json(&world.committee, unknown.as_bytes()),
        Err(ProofError::NotJson { .. })
    ));
}

proptest::proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>, at: usize, keep in 0..4_000_usize) {
        let world = World::new(2, 0);
        assert!(verify_json(&world.committee, &bytes).is_err());
        let mut text = world.proof(0).to_json().into_bytes();
        let at = at % text.len();
        let end = (at + keep).min(text.len());
        if text[at..end] != bytes[..] {
            text.splice(at..end, bytes);
            assert!(verify_json(&world.committee, &text).is_err());
        }
    }
}
