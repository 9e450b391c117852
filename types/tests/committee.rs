//! T4: thresholds are those of the protocol, each as tight as it can be, and what violates a fact is an error.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod common;

use outrider_types::crypto::KeyError;
use outrider_types::limits::MEMBERS_MAX;
use outrider_types::testing::{CHAIN, committee, committee_with, key};
use outrider_types::{
    Certificate, Committee, CommitteeError, Epoch, FinalityCertificate, Invalid, Justification,
    Member, MemberIndex, PublicKey, Stake, Thresholds, Verified,
};
use proptest::prelude::*;

fn qtpfaw(total: u64, byzantine: u64, crashed: u64) -> [u64; 6] {
    let t = Thresholds::new(total, byzantine, crashed).unwrap();
    [
        t.quorum, t.timeout, t.missing, t.fast, t.adoption, t.witness,
    ]
    .map(|stake| stake.0)
}

#[test]
fn thresholds_are_the_examples_of_the_protocol() {
    assert_eq!(qtpfaw(4, 1, 0), [3, 3, 0, 4, 2, 2]);
    assert_eq!(qtpfaw(6, 1, 0), [4, 5, 1, 5, 3, 2]);
    assert_eq!(qtpfaw(100, 20, 15), [61, 65, 12, 88, 33, 21]);
}

#[test]
fn by_default_f_is_the_largest_that_is_safe_and_c_is_zero() {
    for (members, byzantine) in [(1, 0), (3, 0), (4, 1), (6, 1), (7, 2), (10, 3), (100, 33)] {
        let (committee, _) = committee(&vec![1; members]);
        let t = committee.thresholds();
        assert_eq!(
            (t.byzantine, t.crashed),
            (Stake(byzantine), Stake(0)),
            "{members} members"
        );
        assert!(Thresholds::new(members as u64, byzantine + 1, 0).is_err());
    }
}

/// `N`, `f`, `c` with `N >= 3f + 2c + 1`, many of them on the edge.
fn faults() -> impl Strategy<Value = (u64, u64, u64)> {
    let small = (0..40u64, 0..40u64, 0..12u64);
    let large = (0..1u64 << 57, 0..1u64 << 57, 0..1u64 << 40);
    prop_oneof![3 => small, 1 => large].prop_map(|(f, c, spare)| (3 * f + 2 * c + 1 + spare, f, c))
}

/// The facts of protocol section 1 and the counting steps of section 5, in 128 bits, for any choice of thresholds.
fn holds(n: u64, f: u64, c: u64, [q, t, p, fast, a, w]: [u64; 6]) -> Result<(), &'static str> {
    let [n, f, c, q, t, p, fast, a, w] = [n, f, c, q, t, p, fast, a, w].map(i128::from);
    let facts = [
        ("2Q - N >= f + 1", 2 * q - n > f),
        ("Q >= 2f + c + 1", q > 2 * f + c),
        ("Q <= T", q <= t),
        ("Q + T - N >= f + 1", q + t - n > f),
        ("N >= 3f + c + 2p + 1", n > 3 * f + c + 2 * p),
        ("F >= Q", fast >= q),
        (
            "liveness: the correct alone are a timeout quorum",
            t <= n - f - c,
        ),
        ("liveness: F is reached with p missing", fast <= n - p),
        (
            "section 5: after a fast commit every timeout quorum reports it with A",
            t - (n - fast) - f >= a,
        ),
        (
            "section 5: anything else is reported with less than A",
            f + (n - fast) < a,
        ),
        ("an adopted block has an honest voter", a > f),
        ("a witness is honest", w > f),
        // As tight as can be: a threshold one lower, or a p one higher, breaks the fact that it is there for.
        ("Q is the least with 2Q - N >= f + 1", 2 * (q - 1) - n <= f),
        (
            "T is the greatest that the correct alone reach",
            t + 1 > n - f - c,
        ),
        (
            "p is the greatest with N >= 3f + c + 2p + 1",
            n <= 3 * f + c + 2 * (p + 1),
        ),
        (
            "A is the least that nothing else reaches",
            f + (n - fast) >= a - 1,
        ),
        ("W is the least", w - 1 <= f),
    ];
    facts
        .into_iter()
        .find(|(_, holds)| !holds)
        .map_or(Ok(()), |(fact, _)| Err(fact))
}

proptest! {
    #[test]
    fn every_fact_holds_and_every_threshold_off_by_one_breaks_one((n, f, c) in faults()) {
        let thresholds = qtpfaw(n, f, c);
        prop_assert_eq!(holds(n, f, c, thresholds), Ok(()));
        for index in 0..thresholds.len() {
            let mut mutant = thresholds;
            mutant[index] += 1;
            prop_assert!(holds(n, f, c, mutant).is_err(), "{:?} of {:?}", mutant, (n, f, c));
            let mut mutant = thresholds;
            if let Some(less) = mutant[index].checked_sub(1) {
                mutant[index] = less;
                prop_assert!(holds(n, f, c, mutant).is_err(), "{:?} of {:?}", mutant, (n, f, c));
            }
        }
    }

    #[test]
    fn one_unit_of_stake_too_few_is_an_error(f in 0..1000u64, c in 0..1000u64) {
        let total = 3 * f + 2 * c + 1;
        prop_assert!(Thresholds::new(total, f, c).is_ok());
        let error = CommitteeError::TooFew { total: total - 1, byzantine: f, crashed: c };
        prop_assert_eq!(Thresholds::new(total - 1, f, c), Err(error));
    }

    /// Any numbers at all: an answer, never an overflow, and never a violated fact (`CommitteeError::Fact`).
    #[test]
    fn any_numbers_are_thresholds_or_an_error_other_than_a_fact(
        n in any::<u64>(), f in any::<u64>(), c in any::<u64>(), shift in 0..64u32,
    ) {
        for (f, c) in [(f, c), (f >> shift, c >> shift), (n / 3, 0), (0, n / 2)] {
            let fact = matches!(Thresholds::new(n, f, c), Err(CommitteeError::Fact { .. }));
            prop_assert!(!fact);
        }
    }
}

fn new(members: Vec<Member>, faults: Option<(u64, u64)>) -> Result<Committee, CommitteeError> {
    Committee::new(
        CHAIN,
        Epoch(0),
        members,
        faults.map(|(f, c)| (Stake(f), Stake(c))),
    )
}

fn members(stakes: &[u64]) -> Vec<Member> {
    let member = |(i, stake): (usize, &u64)| Member {
        public_key: key(i).public_key(),
        stake: Stake(*stake),
    };
    stakes.iter().enumerate().map(member).collect()
}

#[test]
fn a_committee_has_members_and_at_most_the_limit() {
    assert_eq!(
        new(Vec::new(), None),
        Err(CommitteeError::Size { members: 0 })
    );
    assert!(new(members(&[1]), None).is_ok());
    // Keys are only looked at after the count, so one key will do.
    let many = vec![members(&[1])[0]; MEMBERS_MAX + 1];
    assert_eq!(
        new(many, None),
        Err(CommitteeError::Size {
            members: MEMBERS_MAX + 1
        })
    );
    assert!(new(members(&[1; MEMBERS_MAX]), None).is_ok());
}

#[test]
fn every_member_has_stake_and_the_sum_leaves_room() {
    let member = MemberIndex(2);
    assert_eq!(
        new(members(&[1, 1, 0, 1]), None),
        Err(CommitteeError::NoStake { member })
    );
    let limit = u64::MAX >> 3;
    assert!(new(members(&[limit - 1, 1]), None).is_ok());
    let error = CommitteeError::TooMuchStake { limit };
    assert_eq!(new(members(&[limit, 1]), None), Err(error.clone()));
    assert_eq!(
        new(members(&[u64::MAX, u64::MAX]), None),
        Err(error.clone())
    );
    assert_eq!(Thresholds::new(limit + 1, 0, 0), Err(error));
}

#[test]
fn too_many_faults_are_an_error() {
    let error = |byzantine, crashed| {
        Err(CommitteeError::TooFew {
            total: 4,
            byzantine,
            crashed,
        })
    };
    assert_eq!(new(members(&[1; 4]), Some((2, 0))), error(2, 0));
    assert_eq!(new(members(&[1; 4]), Some((1, 1))), error(1, 1));
    assert_eq!(
        new(members(&[1; 4]), Some((u64::MAX, u64::MAX))),
        error(u64::MAX, u64::MAX)
    );
    assert!(new(members(&[1; 4]), Some((0, 1))).is_ok());
}

#[test]
fn two_members_with_one_key_are_an_error() {
    let mut members = members(&[1; 4]);
    members[3].public_key = members[1].public_key;
    let error = CommitteeError::SameKey {
        first: MemberIndex(1),
        second: MemberIndex(3),
    };
    assert_eq!(new(members, None), Err(error));
}

fn hex32(text: &str) -> PublicKey {
    text.parse().unwrap()
}

fn refuses_key(public_key: PublicKey, reason: KeyError) {
    let mut members = members(&[1; 4]);
    members[2].public_key = public_key;
    let error = CommitteeError::Key {
        member: MemberIndex(2),
        reason,
    };
    assert_eq!(new(members, None), Err(error), "{public_key}");
}

/// The eight points of small order in their canonical encodings.
#[test]
fn small_order_keys_are_refused() {
    for key in [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    ] {
        refuses_key(hex32(key), KeyError::SmallOrder);
    }
}

/// `y >= p`, and `x = 0` with its sign bit set: second encodings of points that have a first one.
#[test]
fn non_canonical_keys_are_refused() {
    for key in [
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // y = p + 1
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // y = p
        "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // y = p + 3, of large order
        "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "0100000000000000000000000000000000000000000000000000000000000080", // x = -0
    ] {
        refuses_key(hex32(key), KeyError::NotAPoint);
    }
    // The same y = 3 written canonically is a key, so it was the encoding that was refused above.
    let mut canonical = members(&[1; 4]);
    canonical[2].public_key =
        hex32("0300000000000000000000000000000000000000000000000000000000000000");
    assert!(new(canonical, None).is_ok());
}

#[test]
fn bytes_that_are_no_point_are_refused() {
    refuses_key(
        hex32("0200000000000000000000000000000000000000000000000000000000000000"),
        KeyError::NotAPoint,
    );
}

#[test]
fn identity_covers_everything_that_defines_a_committee() {
    let base = new(members(&[1; 7]), Some((1, 1))).unwrap();
    let mut swapped = members(&[1; 7]);
    swapped.swap(0, 1);
    let others = [
        Committee::new(
            outrider_types::ChainId(1),
            Epoch(0),
            members(&[1; 7]),
            Some((Stake(1), Stake(1))),
        ),
        Committee::new(
            CHAIN,
            Epoch(1),
            members(&[1; 7]),
            Some((Stake(1), Stake(1))),
        ),
        new(members(&[1; 7]), Some((2, 0))),
        new(members(&[1; 7]), Some((1, 0))),
        new(members(&[1, 1, 1, 1, 1, 1, 2]), Some((1, 1))),
        new(members(&[1; 8]), Some((1, 1))),
        new(swapped, Some((1, 1))),
        Ok(base.with_epoch_blocks(9)),
        Ok(base.successor()),
        base.with_ring((0..7).rev().map(outrider_types::MemberIndex).collect()),
    ];
    for other in others {
        assert_ne!(other.unwrap().id(), base.id());
    }
    assert_eq!(new(members(&[1; 7]), Some((1, 1))).unwrap(), base);
}

#[test]
fn stake_counts_members_in_strictly_ascending_order_once() {
    let (committee, _) = committee(&[3, 2, 2, 1, 1]);
    let stake = |list: &[u16]| committee.stake_of(list.iter().map(|i| MemberIndex(*i)));
    assert_eq!(stake(&[]), Ok(Stake(0)));
    assert_eq!(stake(&[0, 2, 4]), Ok(Stake(6)));
    assert_eq!(
        stake(&[0, 2, 2]),
        Err(Invalid::SignerOrder {
            signer: MemberIndex(2)
        })
    );
    assert_eq!(
        stake(&[2, 0]),
        Err(Invalid::SignerOrder {
            signer: MemberIndex(0)
        })
    );
    let unknown = Invalid::UnknownSigner {
        signer: MemberIndex(5),
        members: 5,
    };
    assert_eq!(stake(&[0, 5]), Err(unknown));
    assert_eq!(committee.stake(MemberIndex(0)), Some(Stake(3)));
    assert_eq!(committee.stake(MemberIndex(5)), None);
    for index in committee.indexes() {
        let key = &committee.members()[index.index()].public_key;
        assert_eq!(committee.index_of(key), Some(index));
    }
    assert_eq!(committee.index_of(&key(5).public_key()), None);
}

/// The places that use Q, T and F: with stake of exactly the threshold there is a proof, one below there is none.
#[test]
fn each_proof_is_assembled_at_its_threshold_and_not_one_below() {
    for (stakes, faults) in [([1; 7], (1, 1)), ([1; 7], (1, 0)), ([1; 7], (2, 0))] {
        let (committee, keys) = committee_with(&stakes, Some((Stake(faults.0), Stake(faults.1))));
        let world = common::World { committee, keys };
        let (t, committee) = (*world.committee.thresholds(), &world.committee);
        let members = |stake: Stake| 0..usize::try_from(stake.0).unwrap();
        let below = |stake: Stake| Stake(stake.0 - 1);
        let votes = |stake| -> Vec<_> {
            let vote = common::vote(5, common::A);
            members(stake).map(|i| world.sign(i, vote)).collect()
        };
        let commits = |stake| -> Vec<_> {
            let vote = common::commit_vote(5, common::A);
            members(stake).map(|i| world.sign(i, vote)).collect()
        };
        let timeouts = |stake| -> Vec<_> {
            let messages = members(stake).map(|i| world.timeout(i, 5, 0, None));
            messages.collect()
        };
        let quorum = |stake| Verified::<Certificate>::quorum(&votes(stake), committee);
        let fast = |stake| Verified::<FinalityCertificate>::fast(&votes(stake), committee);
        let slow = |stake| Verified::<FinalityCertificate>::slow(&commits(stake), committee);
        let ended = |stake| Verified::<Justification>::timeouts(&timeouts(stake), committee);
        assert!(quorum(t.quorum).is_some() && quorum(below(t.quorum)).is_none());
        assert!(fast(t.fast).is_some() && fast(below(t.fast)).is_none());
        assert!(slow(t.quorum).is_some() && slow(below(t.quorum)).is_none());
        assert!(ended(t.timeout).is_some() && ended(below(t.timeout)).is_none());
        // A quorum certificate is a proof of finality from F on.
        let certificate = |stake| quorum(stake).unwrap().finality(committee);
        assert!(certificate(t.fast).is_some());
        assert!(t.fast == t.quorum || certificate(below(t.fast)).is_none());
    }
}
