//! F10, F11: from one committee to the next, and proofs of later epochs. F4 at the end of an epoch.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod epochs;

use epochs::{BLOCKS, Chain, commit, filler};
use outrider_finality::{
    EPOCHS_KEPT_MAX, FinalityProof, HANDOVERS_BYTES_MAX, HandoverError, HandoverFile,
    HandoverFileError, ProofError, TextError, Trust, verify,
};
use outrider_types::limits::FILLERS_MAX;
use outrider_types::{
    Block, CommitteeId, Epoch, EpochEnd, FinalityCertificate, Height, Invalid, PayloadId,
    Timestamp, View,
};
use proptest::prelude::*;

fn invalid(found: Result<&outrider_types::Committee, HandoverError>) -> Invalid {
    match found {
        Err(HandoverError::Invalid { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn every_epoch_hands_over_to_the_committee_that_its_last_block_names(epochs in 1..6_u64, fillers in 0..4_u64) {
        let chain = Chain::new(epochs, fillers);
        let mut trust = Trust::new(chain.committees[0].clone());
        for (end, next) in chain.ends.iter().zip(&chain.committees[1..]) {
            prop_assert_eq!(trust.follow(end.clone()).unwrap(), next);
        }
        prop_assert_eq!(trust.epoch(), Epoch(epochs));
        for (epoch, committee) in (0..).zip(&chain.committees) {
            prop_assert_eq!(trust.committee(Epoch(epoch)), Some(committee));
        }
        prop_assert_eq!(trust.committee(Epoch(epochs + 1)), None);
        // Every transaction of every epoch that is over has a proof; those of the last heights end in fillers.
        for epoch in 0..epochs {
            for height in 1..=BLOCKS {
                let proof = chain.proof(epoch, height);
                let checked = trust.verify_json(proof.to_json().as_bytes()).unwrap();
                prop_assert_eq!(trust.verify(&proof), Ok(checked));
                prop_assert_eq!(checked.epoch, Epoch(epoch));
                prop_assert_eq!(checked.height, Height(epoch * BLOCKS + height));
                prop_assert_eq!(proof.path.len() as u64, BLOCKS - height + fillers);
                // Nobody needs the hand-overs who knows the committee.
                prop_assert_eq!(verify(&chain.committees[epoch as usize], &proof), Ok(checked));
            }
        }
    }

    #[test]
    fn no_flipped_byte_of_a_chain_of_handovers_passes(at: usize, bit in 0..8_u32) {
        let chain = Chain::new(2, 2);
        let mut text = HandoverFile::new(chain.ends.clone()).unwrap().to_json().into_bytes();
        let at = at % text.len();
        text[at] ^= 1 << bit;
        let mut trust = Trust::new(chain.committees[0].clone());
        let passed = HandoverFile::from_json(&text).ok().and_then(|file| trust.follow_file(file, Epoch(2)).ok());
        prop_assert_eq!(passed, None, "byte {} bit {}", at, bit);
        prop_assert!(trust.epoch() < Epoch(2));
        prop_assert_eq!(trust.current(), &chain.committees[trust.epoch().0 as usize]);
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        prop_assert!(HandoverFile::from_json(&bytes).is_err());
    }
}

#[test]
fn skipping_repeating_or_reordering_an_epoch_is_refused() {
    let chain = Chain::new(3, 1);
    let mut trust = Trust::new(chain.committees[0].clone());
    let wrong = |found, expected| {
        Err(HandoverError::Epoch {
            found: Epoch(found),
            expected: Epoch(expected),
        })
    };
    assert_eq!(trust.follow(chain.ends[1].clone()), wrong(1, 0));
    assert_eq!(trust.follow(chain.ends[2].clone()), wrong(2, 0));
    trust.follow(chain.ends[0].clone()).unwrap();
    assert_eq!(trust.follow(chain.ends[0].clone()), wrong(0, 1));
    assert_eq!(trust.follow(chain.ends[2].clone()), wrong(2, 1));
    assert_eq!(trust.current(), &chain.committees[1]);

    let [first, second, third] = &chain.ends[..] else {
        panic!("three epochs")
    };
    let order = |ends: &[&EpochEnd]| {
        HandoverFile::new(ends.iter().map(|end| (*end).clone()).collect()).unwrap_err()
    };
    let (found, expected) = (Epoch(2), Epoch(1));
    assert_eq!(
        order(&[first, third]),
        HandoverFileError::Order { found, expected }
    );
    let (found, expected) = (Epoch(1), Epoch(2));
    assert_eq!(
        order(&[second, second]),
        HandoverFileError::Order { found, expected }
    );
}

#[test]
fn an_old_committee_hands_over_once() {
    // Epoch 0's members sign the end of epoch 1, in which all but one of them have no say any more.
    let chain = Chain::new(2, 0);
    let mut trust = Trust::new(chain.committees[0].clone());
    trust.follow(chain.ends[0].clone()).unwrap();
    let mut end = chain.ends[1].clone();
    end.certificate = commit(&chain.committees[1], &chain.keys[0], &end.last);
    assert!(matches!(
        invalid(trust.follow(end)),
        Invalid::Signature { .. }
    ));
    // A certificate of another epoch counts as little as one that says it is of this one.
    let mut end = chain.ends[1].clone();
    let FinalityCertificate::Slow(votes) = &mut end.certificate else {
        unreachable!()
    };
    votes.statement.epoch = Epoch(0);
    assert!(matches!(invalid(trust.follow(end)), Invalid::Epoch { .. }));

    let mut proof = chain.proof(1, 1);
    proof.committee = chain.committees[0].id();
    assert!(matches!(
        trust.verify(&proof),
        Err(ProofError::OtherCommittee { .. })
    ));
    let last = *proof.path.last().unwrap();
    proof.committee = chain.committees[1].id();
    proof.certificate = commit(&chain.committees[1], &chain.keys[0], &last);
    assert!(matches!(
        trust.verify(&proof),
        Err(ProofError::Certificate {
            reason: Invalid::Signature { .. }
        })
    ));
    let compact = chain.proof(1, 1).to_json().replace('\n', "");
    assert!(matches!(
        trust.verify_json(compact.as_bytes()),
        Err(ProofError::NotCanonical { .. })
    ));
    assert!(matches!(
        verify(&chain.committees[0], &chain.proof(1, 1)),
        Err(ProofError::OtherCommittee { .. })
    ));
}

/// What is said of an altered end of epoch 0, which had two fillers.
fn refused(chain: &Chain, change: impl Fn(&mut EpochEnd)) -> HandoverError {
    let mut trust = Trust::new(chain.committees[0].clone());
    let mut end = chain.ends[0].clone();
    change(&mut end);
    let error = trust.follow(end).unwrap_err();
    assert_eq!(trust.epoch(), Epoch(0), "an error changes nothing");
    error
}

fn malformed(what: &'static str) -> HandoverError {
    HandoverError::Invalid {
        epoch: Epoch(0),
        reason: Invalid::Malformed { what },
    }
}

#[test]
fn ends_with_another_successor_are_refused() {
    let chain = Chain::new(1, 2);
    let other = chain.committees[1].with_epoch_blocks(9);
    let unnamed = malformed("another committee than the last block names");
    assert_eq!(refused(&chain, |end| end.change = None), unnamed);
    assert_eq!(refused(&chain, |end| end.last.next = other.id()), unnamed);
    let unapproved = malformed("approvals of another change");
    assert_eq!(
        refused(&chain, |end| end.change.as_mut().unwrap().next =
            other.clone()),
        unapproved
    );
    assert_eq!(
        refused(&chain, |end| end.change.as_mut().unwrap().contacts[0]
            .address
            .set_port(1)),
        unapproved
    );
    let few = refused(&chain, |end| {
        end.change
            .as_mut()
            .unwrap()
            .approvals
            .signatures
            .truncate(2)
    });
    assert!(matches!(
        few,
        HandoverError::Invalid {
            reason: Invalid::Stake { .. },
            ..
        }
    ));
}

#[test]
fn ends_that_are_not_proved_final_are_refused() {
    let chain = Chain::new(1, 2);
    let unfit = malformed("filler that does not follow the last block");
    assert_eq!(
        refused(&chain, |end| end.last.timestamp = Timestamp(1)),
        unfit
    );
    assert_eq!(
        refused(&chain, |end| end.fillers[1].payload = PayloadId([1; 32])),
        unfit
    );
    assert_eq!(
        refused(&chain, |end| {
            end.fillers.remove(0);
        }),
        unfit
    );
    let height = Height(BLOCKS + 1);
    assert_eq!(
        refused(&chain, |end| end.last = end.fillers[0]),
        HandoverError::Height {
            epoch: Epoch(0),
            found: height,
            expected: Height(BLOCKS)
        }
    );
    assert_eq!(
        refused(&chain, |end| end.fillers[0].version = 1),
        HandoverError::BlockVersion { height, found: 1 }
    );
    assert!(matches!(
        refused(&chain, |end| end.fillers.truncate(1)),
        HandoverError::View { .. }
    ));
    let many = FILLERS_MAX + 1;
    assert_eq!(
        refused(&chain, |end| end.fillers = vec![end.fillers[0]; many]),
        HandoverError::Fillers { found: many }
    );
    let few = refused(&chain, |end| {
        let FinalityCertificate::Slow(votes) = &mut end.certificate else {
            unreachable!()
        };
        votes.signatures.truncate(2);
    });
    assert!(matches!(
        few,
        HandoverError::Invalid {
            reason: Invalid::Stake { .. },
            ..
        }
    ));
}

#[test]
fn an_epoch_ends_where_its_committee_says() {
    let chain = Chain::new(1, 0);
    let endless = chain.committees[0].with_epoch_blocks(0);
    assert_eq!(
        Trust::new(endless).follow(chain.ends[0].clone()),
        Err(HandoverError::NeverEnds { epoch: Epoch(0) })
    );
    // One height later there is no block of the epoch with a transaction in it.
    let longer = chain.committees[0].with_epoch_blocks(BLOCKS + 1);
    assert!(matches!(
        Trust::new(longer).follow(chain.ends[0].clone()),
        Err(HandoverError::Height { .. })
    ));
    // From a checkpoint whose epoch begins elsewhere.
    let trust = Trust::with_base(chain.committees[0].clone(), Height(BLOCKS));
    let proof = chain.proof(0, BLOCKS);
    assert_eq!(
        trust.verify(&proof),
        Err(ProofError::OutsideEpoch {
            height: Height(BLOCKS),
            epoch: Epoch(0),
            last: Height(2 * BLOCKS)
        })
    );
    assert!(
        Trust::with_base(chain.committees[0].clone(), Height(0))
            .verify(&proof)
            .is_ok()
    );
}

#[test]
fn a_path_ends_with_its_epoch() {
    let chain = Chain::new(2, 1);
    let good = chain.proof(0, BLOCKS - 1);
    assert_eq!(good.path[0].next, chain.committees[1].id());
    let [_, end] = good.path[..] else {
        panic!("the last block and one filler")
    };
    let check = |path: Vec<Block>| {
        let certified = *path.last().unwrap();
        let certificate = commit(&chain.committees[0], &chain.keys[0], &certified);
        let proof = FinalityProof {
            path,
            certificate,
            ..good.clone()
        };
        verify(&chain.committees[0], &proof)
    };
    assert!(check(good.path.clone()).is_ok());
    assert!(check([&good.path[..], &[filler(&end)]].concat()).is_ok());
    // Into the next epoch, although its first block is a child of the last one.
    let first = chain.blocks[1][0];
    assert_eq!(first.parent, good.path[0].id());
    assert_eq!(
        check(vec![good.path[0], first]),
        Err(ProofError::OtherEpoch {
            height: Height(BLOCKS + 1),
            found: Epoch(1),
            expected: Epoch(0)
        })
    );
    let height = Height(end.height.0);
    let full = Block {
        payload: chain.payload.id(),
        ..end
    };
    assert_eq!(
        check(vec![good.path[0], full]),
        Err(ProofError::NotFiller { height })
    );
    let naming = Block {
        next: chain.committees[1].id(),
        ..end
    };
    assert_eq!(
        check(vec![good.path[0], naming]),
        Err(ProofError::NotFiller { height })
    );
    assert_eq!(good.block.next, CommitteeId::NONE);
}

#[test]
fn proofs_of_unknown_epochs_are_named() {
    let chain = Chain::new(2, 0);
    let trust = Trust::new(chain.committees[0].clone());
    assert_eq!(
        trust.verify(&chain.proof(1, 1)),
        Err(ProofError::UnknownEpoch {
            found: Epoch(1),
            first: Epoch(0),
            last: Epoch(0)
        })
    );
    // Trust that begins in epoch 1 knows nothing of epoch 0, and goes on from where it begins.
    let mut trust = Trust::new(chain.committees[1].clone());
    assert_eq!(
        trust.verify(&chain.proof(0, 1)),
        Err(ProofError::UnknownEpoch {
            found: Epoch(0),
            first: Epoch(1),
            last: Epoch(1)
        })
    );
    let file = HandoverFile::new(chain.ends.clone()).unwrap();
    trust.follow_file(file, Epoch(2)).unwrap();
    assert_eq!(trust.current(), &chain.committees[2]);
    assert!(trust.verify(&chain.proof(1, 1)).is_ok());
}

#[test]
fn the_oldest_committees_are_forgotten_and_can_be_had_again() {
    let epochs = EPOCHS_KEPT_MAX as u64;
    let chain = Chain::new(epochs, 0);
    let mut trust = Trust::new(chain.committees[0].clone());
    let file = HandoverFile::new(chain.ends.clone()).unwrap();
    trust.follow_file(file.clone(), Epoch(epochs - 1)).unwrap();
    assert!(trust.verify(&chain.proof(0, 1)).is_ok(), "at the limit");
    trust.follow_file(file, Epoch(epochs)).unwrap();
    assert_eq!(trust.committee(Epoch(0)), None, "one more");
    assert!(matches!(
        trust.verify(&chain.proof(0, 1)),
        Err(ProofError::UnknownEpoch { .. })
    ));
    assert_eq!(trust.first_epoch(), Epoch(0));
    assert!(trust.restarted().verify(&chain.proof(0, 1)).is_ok());
}

#[test]
fn file_is_followed_only_as_far_as_it_is_needed() {
    let chain = Chain::new(3, 1);
    let mut ends = chain.ends.clone();
    let FinalityCertificate::Slow(votes) = &mut ends[2].certificate else {
        unreachable!()
    };
    votes.statement.view = View(votes.statement.view.0 + 1);
    let file = HandoverFile::new(ends).unwrap();
    let mut trust = Trust::new(chain.committees[0].clone());
    trust.follow_file(file.clone(), Epoch(2)).unwrap();
    assert_eq!(trust.epoch(), Epoch(2));
    assert!(matches!(
        trust.follow_file(file, Epoch(3)),
        Err(HandoverError::View { .. })
    ));
    assert_eq!(trust.epoch(), Epoch(2));
}

#[test]
fn faults_of_the_file_are_named() {
    let chain = Chain::new(1, 1);
    let text = HandoverFile::new(chain.ends.clone()).unwrap().to_json();
    assert_eq!(
        HandoverFile::from_json(text.as_bytes()).unwrap().ends,
        chain.ends
    );
    let changed = |from: &str, to: &str| {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        HandoverFile::from_json(changed.as_bytes()).unwrap_err()
    };
    assert_eq!(
        changed("\"version\": 1", "\"version\": 2"),
        HandoverFileError::Version { found: 2 }
    );
    assert!(matches!(
        changed("\"ends\"", "\"extra\": 1, \"ends\""),
        HandoverFileError::Text(TextError::NotJson { .. })
    ));
    assert!(matches!(
        changed("  ", " "),
        HandoverFileError::Text(TextError::NotCanonical { .. })
    ));
    let bytes = HANDOVERS_BYTES_MAX + 1;
    assert_eq!(
        HandoverFile::from_json(&vec![b' '; bytes]),
        Err(HandoverFileError::Text(TextError::TooLarge {
            bytes,
            limit: HANDOVERS_BYTES_MAX
        }))
    );
}
