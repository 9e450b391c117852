//! Forks by more stake than f, with real keys: out of the simulator's kernel, and out of the random worlds of
//! `finality/tests/forks.rs`.

use crate::forked;
use crate::said::{Ears, Said};
use outrider_finality::{ForensicsError, investigate};
use outrider_sim::checkers::Checkers;
use outrider_sim::kernel::{World, WorldError};
use outrider_sim::scenario::{Byzantine, Keys, Scenario};
use outrider_types::{
    Block, Committee, Evidence, FinalityCertificate, Member, MemberIndex, SecretKey, Stake, testing,
};
use std::time::Duration;

/// Stakes of a committee of the kernel, and the hosts that break the rules: more than f, less than a quorum.
const SHAPES: [(&[u64], &[usize]); 5] = [
    (&[1; 7], &[0, 3, 5]),
    (&[1; 4], &[1, 2]),
    (&[1; 10], &[0, 1, 4, 8]),
    (&[5, 4, 3, 2, 2, 3, 3], &[0, 1]),
    (&[10, 10, 10, 7, 7, 7, 7], &[0, 1, 4]),
];

/// Where a fork comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Whole members in the simulator's kernel; the Byzantine ones do the deed `forkers`.
    Kernel,
    /// Random steps of the rules alone, with liars that say whatever helps.
    Random,
}

/// Two final blocks of one height, and what is known of how they came to be.
#[derive(Clone, Debug)]
pub struct Fork {
    /// Who could sign.
    pub committee: Committee,
    /// The keys of the members.
    pub keys: Vec<SecretKey>,
    /// Whether each member kept to the rules.
    pub honest: Vec<bool>,
    /// What honest members' certificates prove, in the order it was found.
    pub evidence: Vec<Evidence>,
    /// What each member signed; asked of the honest ones only.
    pub said: Vec<Said>,
    /// Two blocks of one height.
    pub blocks: [Block; 2],
    /// What makes each of them final.
    pub finality: [FinalityCertificate; 2],
}

impl Fork {
    /// Those who signed what makes the blocks final, an honest member only for the first: it attests no second block of a
    /// height.
    #[must_use]
    pub fn attesters(&self) -> [Vec<MemberIndex>; 2] {
        let [first, second] = self.finality.each_ref().map(signers);
        let second = second.into_iter().filter(|member| {
            let honest = self.honest.get(member.index()).copied();
            !first.contains(member) || honest == Some(false)
        });
        let second = second.collect();
        [first, second]
    }

    /// Their stake.
    #[must_use]
    pub fn stake(&self, members: &[MemberIndex]) -> Stake {
        let of = |member: &MemberIndex| self.member(*member).map_or(0, |one| one.stake.0);
        Stake(members.iter().map(of).sum())
    }

    /// A member.
    #[must_use]
    pub fn member(&self, member: MemberIndex) -> Option<&Member> {
        self.committee.members().get(member.index())
    }
}

fn signers(certificate: &FinalityCertificate) -> Vec<MemberIndex> {
    let signatures = match certificate {
        FinalityCertificate::Fast(votes) => &votes.signatures,
        FinalityCertificate::Slow(votes) => &votes.signatures,
    };
    let mut members: Vec<MemberIndex> = signatures.iter().map(|(member, _)| *member).collect();
    members.sort_unstable();
    members
}

/// Why a run that must fork did not.
#[derive(Debug, thiserror::Error)]
pub enum ForkError {
    /// It did not begin.
    #[error(transparent)]
    World(#[from] WorldError),
    /// Something else happened, or S11 is broken.
    #[error(
        "seed {seed} in the kernel must end in a fork (S1) with its makers named (S11), but: {came}"
    )]
    Kernel {
        /// Which.
        seed: u64,
        /// What came of it.
        came: String,
    },
    /// The fork could not be investigated.
    #[error("the random fork of seed {seed}: {error}")]
    Forensics {
        /// Which.
        seed: u64,
        /// Why not.
        error: ForensicsError,
    },
    /// A block of the fork that nobody proposed.
    #[error("the random fork of seed {seed}: a block of it is not among those that were proposed")]
    Block {
        /// Which.
        seed: u64,
    },
}

fn scenario(seed: u64) -> Scenario {
    let place = usize::try_from(seed % SHAPES.len() as u64).unwrap_or_default();
    let (stakes, byzantine) = SHAPES[place];
    let mut scenario = Scenario::calm(stakes.len());
    scenario.name = "fork".to_owned();
    scenario.committee.stakes = stakes.to_vec();
    scenario.committee.keys = Keys::Ed25519;
    scenario.byzantine = byzantine
        .iter()
        .map(|host| Byzantine {
            host: *host,
            deed: "forkers".to_owned(),
        })
        .collect();
    scenario.timers.base_timeout = Duration::from_millis(500);
    scenario.timers.timeout_cap = Duration::from_secs(4);
    (scenario.gst, scenario.end) = (20_000_000, 40_000_000);
    scenario.expect.violates = Some("S1".to_owned());
    scenario
}

/// A fork of whole members in the kernel, its evidence found by the production investigation.
pub fn in_kernel(seed: u64) -> Result<Fork, ForkError> {
    let scenario = scenario(seed);
    let members = scenario.members();
    let watchers = (Ears::new(members), Checkers::new(&scenario));
    let mut world = World::new(&scenario, seed, watchers)?;
    let outcome = world.run();
    let (ears, checkers) = world.into_observer();
    let as_expected = checkers.violated_as_expected(&outcome);
    let Some(exposed) = checkers.exposed().filter(|_| as_expected) else {
        return Err(ForkError::Kernel {
            seed,
            came: format!("{outcome:?}"),
        });
    };
    // The kernel makes its keys, and with them this committee, as tests do.
    let (committee, keys) = testing::committee(&scenario.committee.stakes);
    Ok(Fork {
        committee,
        keys,
        honest: (0..members).map(|host| scenario.honest(host)).collect(),
        evidence: exposed.evidence.iter().map(|one| (**one).clone()).collect(),
        said: ears.said,
        blocks: exposed.blocks,
        finality: exposed.finality.clone(),
    })
}

/// A fork of a random world, which not every seed has.
pub fn random(seed: u64) -> Result<Option<Fork>, ForkError> {
    let Some((world, [one, two])) = forked::run(seed) else {
        return Ok(None);
    };
    let verdict = investigate(&world.committee, &one, &two, &world.stores())
        .map_err(|error| ForkError::Forensics { seed, error })?;
    let header = |id| world.header(id).copied();
    let (first, second) = (verdict.conflict.first, verdict.conflict.second);
    let (Some(first), Some(second)) = (header(first), header(second)) else {
        return Err(ForkError::Block { seed });
    };
    let members = world.keys.len();
    let said = (0..members).map(|member| {
        let own = world.signed_by(member);
        Said {
            proposals: std::collections::BTreeSet::new(),
            votes: own.votes.into_iter().collect(),
            commit_votes: own.commit_votes.into_iter().collect(),
            timeouts: own.timeouts.into_iter().collect(),
        }
    });
    let evidence = verdict.guilty.iter().flat_map(|guilty| &guilty.evidence);
    Ok(Some(Fork {
        honest: (0..members)
            .map(|member| forked::HONEST.contains(&member))
            .collect(),
        evidence: evidence.map(|one| (**one).clone()).collect(),
        said: said.collect(),
        blocks: [first, second],
        finality: [one.certificate, two.certificate],
        committee: world.committee,
        keys: world.keys,
    }))
}
