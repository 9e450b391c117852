//! T5: `resolve` looks at the entries and nothing else, and keeps the promise of protocol section 5: what may have
//! been committed fast is adopted by every timeout certificate of its view.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod common;

use common::{A, B, EPOCH, member};
use outrider_types::resolve::{Resolution, resolve};
use outrider_types::testing::{committee, committee_with};
use outrider_types::{
    BlockId, Committee, Signature, Stake, TimeoutCertificate, TimeoutEntry, View,
};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Smaller than A and B: what an adversary names to win ties.
const C: BlockId = BlockId([0x01; 32]);

type Report = (usize, u64, Option<BlockId>);

fn certificate(reports: &[Report]) -> TimeoutCertificate {
    let entries = reports
        .iter()
        .map(|(index, high_view, voted)| TimeoutEntry {
            member: member(*index),
            high_view: View(*high_view),
            voted: *voted,
            signature: Signature([0; 64]),
        })
        .collect();
    TimeoutCertificate {
        epoch: EPOCH,
        view: View(9),
        entries,
    }
}

fn reports(voted: &[Option<BlockId>]) -> Vec<Report> {
    voted
        .iter()
        .enumerate()
        .map(|(i, voted)| (i, i as u64, *voted))
        .collect()
}

#[test]
fn exactly_a_adopts_and_one_below_does_not() {
    let (committee, _) = committee(&[1; 6]);
    assert_eq!(committee.thresholds().adoption, Stake(3));
    let exactly = certificate(&reports(&[Some(B), None, Some(B), None, Some(B)]));
    assert_eq!(resolve(&exactly, &committee), Resolution::Adopt(B));
    let below = certificate(&reports(&[Some(B), None, Some(B), None, None]));
    assert_eq!(resolve(&below, &committee), Resolution::Extend(View(4)));
}

#[test]
fn adoption_counts_stake_and_not_members() {
    let (committee, _) = committee(&[3, 2, 2, 1, 1]);
    assert_eq!(committee.thresholds().adoption, Stake(4));
    // Two members of stake 5 against three of stake 4.
    let heavy = certificate(&reports(&[Some(B), Some(B), Some(A), Some(A), Some(A)]));
    assert_eq!(resolve(&heavy, &committee), Resolution::Adopt(B));
    let light = certificate(&reports(&[None, Some(B), None, Some(B), None]));
    assert_eq!(resolve(&light, &committee), Resolution::Extend(View(4)));
}

#[test]
fn a_tie_goes_to_the_smaller_block_id() {
    let (committee, _) = committee(&[1; 6]);
    for voted in [
        [A, B, A, B, A, B],
        [B, A, B, A, B, A],
        [A, A, A, B, B, B],
        [B, B, B, A, A, A],
    ] {
        let tie = certificate(&reports(&voted.map(Some)));
        assert_eq!(resolve(&tie, &committee), Resolution::Adopt(A));
    }
}

#[test]
fn nothing_reported_extends_the_greatest_rank() {
    let (committee, _) = committee(&[1; 6]);
    assert_eq!(
        resolve(&certificate(&[]), &committee),
        Resolution::Extend(View(0))
    );
    let none = certificate(&[(0, 3, None), (1, 8, None), (4, 0, None)]);
    assert_eq!(resolve(&none, &committee), Resolution::Extend(View(8)));
}

fn any_report() -> impl Strategy<Value = (u64, Option<BlockId>)> {
    (
        0..9u64,
        prop::option::of(prop::sample::select(vec![A, B, C])),
    )
}

proptest! {
    /// Restated on its own arithmetic: sort blocks by (stake descending, id ascending), take the first.
    #[test]
    fn the_most_reported_block_of_stake_a_is_adopted_and_else_the_greatest_rank_extended(
        stakes in prop::collection::vec(1..9u64, 6),
        said in prop::collection::vec(any_report(), 6),
        present in prop::collection::vec(any::<bool>(), 6),
    ) {
        let (committee, _) = committee(&stakes);
        let reports: Vec<Report> = (0..6)
            .filter(|i| present[*i])
            .map(|i| (i, said[i].0, said[i].1))
            .collect();
        let mut ranked: Vec<(u64, std::cmp::Reverse<BlockId>)> = [A, B, C]
            .map(|block| {
                let stake = reports.iter().filter(|r| r.2 == Some(block)).map(|r| stakes[r.0]).sum();
                (stake, std::cmp::Reverse(block))
            })
            .to_vec();
        ranked.sort();
        let (stake, std::cmp::Reverse(first)) = ranked[2];
        let high = reports.iter().map(|r| r.1).max().unwrap_or(0);
        let expected = if stake >= committee.thresholds().adoption.0 {
            Resolution::Adopt(first)
        } else {
            Resolution::Extend(View(high))
        };
        prop_assert_eq!(resolve(&certificate(&reports), &committee), expected);
    }

    /// Order of entries, signatures, epoch and view change nothing.
    #[test]
    fn only_what_the_entries_report_counts(
        said in prop::collection::vec(any_report(), 6),
        order in Just((0..6usize).collect::<Vec<_>>()).prop_shuffle(),
        noise in any::<u8>(),
    ) {
        let (committee, _) = committee(&[3, 2, 2, 1, 1, 1]);
        let reports: Vec<Report> = said.iter().enumerate().map(|(i, said)| (i, said.0, said.1)).collect();
        let straight = certificate(&reports);
        let mut other = certificate(&order.iter().map(|i| reports[*i]).collect::<Vec<_>>());
        other.entries.iter_mut().for_each(|entry| entry.signature = Signature([noise; 64]));
        other.view = View(u64::from(noise) + 9);
        other.epoch = outrider_types::Epoch(u64::from(noise));
        prop_assert_eq!(resolve(&straight, &committee), resolve(&other, &committee));
    }

    /// Section 5, rank v, with random committees: votes of stake >= F for B, a certificate of stake >= T, up to f
    /// stake of liars.
    #[test]
    fn a_fast_commit_is_adopted_whatever_byzantine_members_say(
        stakes in prop::collection::vec(1..6u64, 3..10),
        crashed in 0..4u64,
        order in prop::collection::vec(any::<u32>(), 10),
        lies in prop::collection::vec(any_report(), 10),
    ) {
        let total: u64 = stakes.iter().sum();
        let crashed = crashed.min((total - 1) / 2);
        let byzantine = (total - 1 - 2 * crashed) / 3;
        let (committee, _) = committee_with(&stakes, Some((Stake(byzantine), Stake(crashed))));
        let t = *committee.thresholds();
        // Three greedy choices in three random orders: liars, those who did not vote B, those who are silent.
        let pick = |limit: u64, salt: u32| -> Vec<bool> {
            let mut members: Vec<usize> = (0..stakes.len()).collect();
            members.sort_by_key(|i| order[*i].rotate_left(salt).wrapping_mul(2_654_435_761));
            let (mut sum, mut picked) = (0, vec![false; stakes.len()]);
            for i in members {
                if sum + stakes[i] <= limit {
                    sum += stakes[i];
                    picked[i] = true;
                }
            }
            picked
        };
        let liar = pick(t.byzantine.0, 0);
        let other = pick(t.missing.0, 11);
        let silent = pick(t.total.0 - t.timeout.0, 22);
        let reports: Vec<Report> = (0..stakes.len())
            .filter(|i| !silent[*i])
            .map(|i| match (liar[i], other[i]) {
                (false, false) => (i, 0, Some(B)),
                _ => (i, lies[i].0, lies[i].1),
            })
            .collect();
        prop_assert_eq!(resolve(&certificate(&reports), &committee), Resolution::Adopt(B));
    }
}

/// Every subset of members with a stake in the range, as a bit mask.
fn subsets(stakes: &[u64], range: impl std::ops::RangeBounds<u64>) -> Vec<u32> {
    let stake = |set: u32| -> u64 {
        stakes
            .iter()
            .enumerate()
            .filter(|(i, _)| set >> i & 1 == 1)
            .map(|(_, stake)| stake)
            .sum()
    };
    (0..1u32 << stakes.len())
        .filter(|set| range.contains(&stake(*set)))
        .collect()
}

/// All timeout certificates that can follow votes of at least `votes` stake for B, and what they resolve to. The
/// adversary chooses the voters, the liars, who is heard, and what each who is free to says: nothing or a block
/// with a smaller id than B.
fn outcomes(committee: &Committee, votes: u64) -> BTreeMap<bool, u64> {
    let stakes: Vec<u64> = committee
        .members()
        .iter()
        .map(|member| member.stake.0)
        .collect();
    let t = committee.thresholds();
    let mut counted = BTreeMap::new();
    for voters in subsets(&stakes, votes..) {
        for liars in subsets(&stakes, ..=t.byzantine.0) {
            for heard in subsets(&stakes, t.timeout.0..) {
                let bound = voters & !liars & heard;
                let free = heard & !bound;
                // Every subset of the free ones says C, the rest of them says nothing.
                let mut says_c = free;
                loop {
                    let reports: Vec<Report> = (0..stakes.len())
                        .filter(|i| heard >> i & 1 == 1)
                        .map(|i| {
                            let voted = if bound >> i & 1 == 1 { Some(B) } else { None };
                            (i, 0, if says_c >> i & 1 == 1 { Some(C) } else { voted })
                        })
                        .collect();
                    let adopts = resolve(&certificate(&reports), committee) == Resolution::Adopt(B);
                    *counted.entry(adopts).or_insert(0) += 1;
                    if says_c == 0 {
                        break;
                    }
                    says_c = (says_c - 1) & free;
                }
            }
        }
    }
    counted
}

/// Stakes and `(f, c)`.
type Case = (&'static [u64], Option<(u64, u64)>);

#[test]
fn every_timeout_certificate_after_a_fast_commit_adopts_it_in_all_small_committees() {
    let committees: [Case; 8] = [
        (&[1; 4], None),
        (&[1; 6], None),
        (&[1; 6], Some((1, 1))),
        (&[1; 7], None),
        (&[1; 7], Some((1, 1))),
        (&[1; 7], Some((1, 0))),
        (&[3, 2, 2, 1, 1], None),
        (&[3, 2, 2, 1, 1], Some((1, 1))),
    ];
    for (stakes, faults) in committees {
        let faults = faults.map(|(f, c)| (Stake(f), Stake(c)));
        let (committee, _) = committee_with(stakes, faults);
        let fast = committee.thresholds().fast.0;
        let at_f = outcomes(&committee, fast);
        assert!(
            !at_f.contains_key(&false),
            "{stakes:?} {faults:?}: {at_f:?}"
        );
        assert!(at_f[&true] > 0);
        // The threshold is tight: one unit of stake less and some certificate does not adopt.
        let below = outcomes(&committee, fast - 1);
        assert!(
            below.contains_key(&false),
            "{stakes:?} {faults:?}: {below:?}"
        );
    }
}
