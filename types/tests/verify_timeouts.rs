//! T3 for timeout certificates: those that adopt a block, those that do not, and the certificates they carry.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod common;

use common::{A, B, World, aggregate, forged, member, other_epoch, timeout, vote, with_large_s};
use outrider_types::certificate::{Adopting, TimeoutJustification};
use outrider_types::{
    Certificate, Epoch, Invalid, Justification, Signature, Stake, TimeoutCertificate,
    TimeoutMessage, View,
};

fn adopting(world: &World) -> Adopting {
    match world.adopting().into_inner() {
        Certificate::Adopting(adopting) => adopting,
        other => panic!("not adopting: {other:?}"),
    }
}

fn extending(world: &World) -> TimeoutJustification {
    match world.extending().into_inner() {
        Justification::Timeout(extending) => extending,
        other => panic!("not extending: {other:?}"),
    }
}

/// Every way of spoiling a timeout certificate of view 5 by members 0 to 4, and why it is refused.
fn spoiled_timeouts(
    world: &World,
    honest: &TimeoutCertificate,
) -> Vec<(TimeoutCertificate, Invalid)> {
    let change = |edit: &dyn Fn(&mut TimeoutCertificate)| {
        let mut timeouts = honest.clone();
        edit(&mut timeouts);
        timeouts
    };
    let needed = world.committee.thresholds().timeout;
    let order = |signer: usize| Invalid::SignerOrder {
        signer: member(signer),
    };
    let resigned = world.sign(2, timeout(5, 5, None));
    vec![
        (
            change(&|t| t.entries.truncate(4)),
            Invalid::Stake {
                found: Stake(4),
                needed,
            },
        ),
        (
            change(&|t| t.entries.clear()),
            Invalid::Stake {
                found: Stake(0),
                needed,
            },
        ),
        (change(&|t| t.entries.push(t.entries[4])), order(4)),
        (change(&|t| t.entries[4] = t.entries[3]), order(3)),
        (change(&|t| t.entries.swap(0, 1)), order(0)),
        (
            change(&|t| t.entries[4].member = member(6)),
            Invalid::UnknownSigner {
                signer: member(6),
                members: 6,
            },
        ),
        (change(&|t| t.entries[4].member = member(5)), forged(5)),
        (change(&|t| t.entries[1].voted = Some(A)), forged(1)),
        (change(&|t| t.entries[3].voted = None), forged(3)),
        (change(&|t| t.entries[2].high_view = View(1)), forged(2)),
        (
            change(&|t| t.entries[0].signature = with_large_s(t.entries[0].signature)),
            forged(0),
        ),
        (change(&|t| t.view = View(6)), forged(0)),
        (change(&|t| t.epoch = Epoch(1)), other_epoch()),
        (
            change(&|t| {
                t.entries[2].high_view = View(5);
                t.entries[2].voted = None;
                t.entries[2].signature = resigned.signature;
            }),
            Invalid::HighView {
                view: View(5),
                high_view: View(5),
            },
        ),
    ]
}

#[test]
fn timeout_certificates_need_distinct_sorted_members_of_enough_stake() {
    let world = World::six();
    let Adopting { block, timeouts } = adopting(&world);
    for (timeouts, why) in spoiled_timeouts(&world, &timeouts) {
        let bad = Certificate::Adopting(Adopting { block, timeouts });
        assert_eq!(bad.clone().verify(&world.committee), Err(why.clone()));
        assert_eq!(
            Justification::Certificate(bad).verify(&world.committee),
            Err(why)
        );
    }
    let TimeoutJustification { timeouts, high } = extending(&world);
    for (timeouts, why) in spoiled_timeouts(&world, &timeouts) {
        let bad = Justification::Timeout(TimeoutJustification {
            timeouts,
            high: high.clone(),
        });
        assert_eq!(bad.verify(&world.committee), Err(why));
    }
}

#[test]
fn a_timeout_certificate_is_used_as_what_it_is() {
    let world = World::six();
    let Adopting { block, timeouts } = adopting(&world);
    assert_eq!(block, B);
    // Adopting, sent as if it led to the embedded certificate.
    let high = Some(world.quorum(3, A).into_inner());
    let hidden = Justification::Timeout(TimeoutJustification {
        timeouts: timeouts.clone(),
        high,
    });
    let adopts = |adopts| Invalid::Adoption {
        view: View(5),
        adopts,
    };
    assert_eq!(hidden.verify(&world.committee), Err(adopts(true)));
    // Adopting, but another block.
    let other = Certificate::Adopting(Adopting { block: A, timeouts });
    assert_eq!(other.verify(&world.committee), Err(adopts(false)));
    // Not adopting, sent as if it did.
    let timeouts = extending(&world).timeouts;
    let claimed = Certificate::Adopting(Adopting { block: B, timeouts });
    assert_eq!(claimed.verify(&world.committee), Err(adopts(false)));
}

#[test]
fn the_embedded_certificate_is_of_the_greatest_rank_and_valid() {
    let world = World::six();
    let TimeoutJustification { timeouts, high } = extending(&world);
    let check = |high: Option<Certificate>| {
        Justification::Timeout(TimeoutJustification {
            timeouts: timeouts.clone(),
            high,
        })
        .verify(&world.committee)
    };
    assert!(check(high).is_ok());
    // Of the same rank, any kind will do.
    assert!(check(Some(world.commit(3, B).into_inner())).is_ok());
    let rank = |found| {
        Err(Invalid::Rank {
            found: View(found),
            expected: View(3),
        })
    };
    assert_eq!(check(None), rank(0));
    assert_eq!(check(Some(world.quorum(2, A).into_inner())), rank(2));
    assert_eq!(check(Some(world.quorum(4, A).into_inner())), rank(4));
    let mut forgery = aggregate(&world, vote(3, A), &[0, 1, 2, 3]);
    forgery.signatures[3].1 = Signature([1; 64]);
    assert_eq!(check(Some(Certificate::Quorum(forgery))), Err(forged(3)));
    let short = Certificate::Quorum(aggregate(&world, vote(3, A), &[0, 1, 2]));
    assert_eq!(
        check(Some(short)),
        Err(Invalid::Stake {
            found: Stake(3),
            needed: Stake(4)
        })
    );

    // Nobody holds anything: the base of the epoch, and no certificate at all.
    let base = world.timeouts([0; 5], [None; 5]).into_inner();
    assert!(base.clone().verify(&world.committee).is_ok());
    assert_eq!(
        (base.resolved().rank, base.resolved().block),
        (View(0), None)
    );
    let Justification::Timeout(mut base) = base else {
        panic!("adopts")
    };
    base.high = Some(world.quorum(1, A).into_inner());
    let invalid = Invalid::Rank {
        found: View(1),
        expected: View(0),
    };
    assert_eq!(
        Justification::Timeout(base).verify(&world.committee),
        Err(invalid)
    );
}

#[test]
fn a_timeout_message_carries_a_valid_certificate_of_the_rank_it_names() {
    let world = World::six();
    let honest = world.timeout(1, 5, 3, Some(A)).into_inner();
    let check = |high: Option<Certificate>| {
        TimeoutMessage {
            high,
            ..honest.clone()
        }
        .verify(&world.committee)
    };
    assert!(check(honest.high.clone()).is_ok());
    let rank = |found| {
        Err(Invalid::Rank {
            found: View(found),
            expected: View(3),
        })
    };
    assert_eq!(check(None), rank(0));
    assert_eq!(check(Some(world.quorum(2, A).into_inner())), rank(2));
    let mut forgery = aggregate(&world, vote(3, A), &[0, 1, 2, 3]);
    forgery.signatures[1].1 = Signature([1; 64]);
    assert_eq!(check(Some(Certificate::Quorum(forgery))), Err(forged(1)));
    let mut unsigned = honest.clone();
    unsigned.timeout.signature = Signature([1; 64]);
    assert_eq!(unsigned.verify(&world.committee), Err(forged(1)));

    // Put together from verified parts: only if the ranks agree.
    let signed = world.sign(1, timeout(5, 3, None));
    assert!(TimeoutMessage::assemble(signed.clone(), None).is_none());
    assert!(TimeoutMessage::assemble(signed.clone(), Some(world.quorum(4, A))).is_none());
    assert!(TimeoutMessage::assemble(signed, Some(world.quorum(3, A))).is_some());
}
