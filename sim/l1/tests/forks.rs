//! Every fork ends on L1 with stake of f+1 slashable and slashed, and nobody honest. `OUTRIDER_SEEDS` is how many forks of each
//! of the two sources; `--nocapture` prints what they came to.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

#[path = "../../../finality/tests/forked/mod.rs"]
mod forked;

use outrider_finality::investigate;
use outrider_sim_l1::fork::{Fork, in_kernel};
use outrider_sim_l1::said::Said;
use outrider_sim_l1::trial::{Verdict, Wrong, judge};
use outrider_types::{MemberIndex, Offence};
use std::collections::BTreeMap;

/// Forks of each source, unless the caller says otherwise.
const FORKS: u64 = 50;
/// Of so many random worlds one has a fork at least, or the generator is broken.
const WORLDS_PER_FORK_MAX: u64 = 100;

fn forks() -> u64 {
    std::env::var("OUTRIDER_SEEDS").map_or(FORKS, |text| text.parse().unwrap())
}

/// A fork of a random world, which not every seed has.
fn random(seed: u64) -> Option<Fork> {
    let (world, [one, two]) = forked::run(seed)?;
    let verdict = investigate(&world.committee, &one, &two, &world.stores()).unwrap();
    let header = |id| *world.header(id).unwrap();
    let members = world.keys.len();
    let said = (0..members).map(|member| {
        let own = world.signed_by(member);
        Said {
            votes: own.votes.into_iter().collect(),
            commit_votes: own.commit_votes.into_iter().collect(),
            timeouts: own.timeouts.into_iter().collect(),
            ..Said::default()
        }
    });
    let evidence = verdict.guilty.iter().flat_map(|guilty| &guilty.evidence);
    Some(Fork {
        honest: (0..members)
            .map(|member| forked::HONEST.contains(&member))
            .collect(),
        evidence: evidence.map(|one| (**one).clone()).collect(),
        said: said.collect(),
        blocks: [
            header(verdict.conflict.first),
            header(verdict.conflict.second),
        ],
        finality: [one.certificate, two.certificate],
        committee: world.committee,
        keys: world.keys,
    })
}

/// What the forks of one source came to.
#[derive(Default)]
struct Sum {
    forks: u64,
    taken: usize,
    refused: usize,
    froze: u64,
    gas: u64,
    offences: BTreeMap<Offence, u64>,
}

impl Sum {
    /// A fork, made and judged twice: L1 must come to the same state.
    fn add(&mut self, name: &str, seed: u64, make: impl Fn() -> Fork) {
        let run = || judge(&make()).unwrap_or_else(|wrong| panic!("{name} {seed}: {wrong}"));
        let verdict: Verdict = run();
        assert_eq!(verdict, run(), "{name} {seed}: one seed, two states of L1");
        assert!(verdict.slashable >= verdict.needed, "{name} {seed}");
        self.forks += 1;
        self.taken += verdict.taken;
        self.refused += verdict.refused;
        self.froze += u64::from(verdict.froze);
        self.gas = self.gas.max(verdict.gas);
        for offence in verdict.offences {
            *self.offences.entry(offence).or_default() += 1;
        }
    }

    fn print(&self, name: &str) {
        println!(
            "{name}: {} forks, all with f+1 slashable and slashed; reports taken {}, refused {}; the anchor froze in {}; offences {:?}; most gas of a report {}",
            self.forks, self.taken, self.refused, self.froze, self.offences, self.gas
        );
    }
}

#[test]
fn whatever_fork_whole_members_come_to_f_plus_1_are_slashed_on_l1() {
    let mut sum = Sum::default();
    for seed in 0..forks() {
        sum.add("kernel", seed, || in_kernel(seed).unwrap());
    }
    sum.print("kernel");
    assert_eq!(
        sum.froze, sum.forks,
        "each side of such a fork has a quorum of its own"
    );
}

/// E2 to E5.
#[test]
fn whatever_fork_the_rules_allow_f_plus_1_are_slashed_on_l1() {
    let mut sum = Sum::default();
    for seed in 0..forks() * WORLDS_PER_FORK_MAX {
        if sum.forks == forks() {
            break;
        }
        if random(seed).is_some() {
            sum.add("random", seed, || random(seed).unwrap());
        }
    }
    sum.print("random");
    assert_eq!(sum.forks, forks(), "the random worlds have too few forks");
    assert!(
        forks() < FORKS || sum.offences.len() >= 3,
        "{:?}",
        sum.offences
    );
    assert!(forks() < FORKS || sum.froze > 0);
}

#[test]
fn a_trial_in_which_an_honest_member_is_guilty_fails() {
    let mut fork = in_kernel(0).unwrap();
    let guilty = fork.evidence[0].accused();
    fork.honest[guilty.index()] = true;
    let wrong = judge(&fork).unwrap_err();
    let named = matches!(&wrong, Wrong::HonestGuilty { member, .. } if *member == guilty);
    assert!(named, "{wrong}");
}

#[test]
fn a_trial_in_which_too_few_are_guilty_fails() {
    let mut fork = in_kernel(0).unwrap();
    let one: MemberIndex = fork.evidence[0].accused();
    fork.evidence.retain(|evidence| evidence.accused() == one);
    // As if nobody had attested twice: then the freezing accuses nobody, and does not come about.
    fork.finality[1] = fork.finality[0].clone();
    fork.honest = fork.honest.iter().map(|_| true).collect();
    fork.honest[one.index()] = false;
    fork.said
        .iter_mut()
        .for_each(|said| *said = Said::default());
    let wrong = judge(&fork).unwrap_err();
    assert!(matches!(wrong, Wrong::TooLittle { .. }), "{wrong}");
}
