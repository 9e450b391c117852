//! Forks by more stake than f, with real keys, out of the simulator's kernel.

use crate::said::{Ears, Said};
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
}

/// What runs with this seed: a committee of `SHAPES`, in turns, whose Byzantine members lead the honest ones apart.
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
