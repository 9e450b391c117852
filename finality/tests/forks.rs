//! Random forks of a committee of four with two liars: honest members follow the rules (R1, R4, R5, R8) and keep what
//! protocol section 6 says; whatever fork comes out, what they keep proves f+1 guilty, and nobody honest.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod forked;

use forked::{LIARS, run};
use outrider_finality::investigate;
use std::collections::BTreeSet;

/// E2 to E5.
#[test]
fn whatever_fork_liars_make_honest_members_prove_f_plus_1_guilty() {
    let (mut forks, mut over_views) = (0, 0);
    let mut offences = BTreeSet::new();
    for seed in 0..300 {
        let Some((world, [one, two])) = run(seed) else {
            continue;
        };
        forks += 1;
        let verdict = investigate(&world.committee, &one, &two, &world.stores()).unwrap();
        let (first, last) = verdict.conflict.views;
        over_views += u32::from(first != last);
        let names: Vec<usize> = verdict
            .guilty
            .iter()
            .map(|guilty| guilty.member.index())
            .collect();
        assert_eq!(names, LIARS, "seed {seed}, views {first} and {last}");
        assert!(verdict.complete(), "seed {seed}");
        let deeds = verdict.guilty.iter().flat_map(|guilty| &guilty.evidence);
        offences.extend(deeds.map(|evidence| evidence.offence()));
    }
    assert!(forks >= 15 && over_views >= 10, "{forks}, {over_views}");
    assert!(offences.len() >= 4, "{offences:?}");
}
