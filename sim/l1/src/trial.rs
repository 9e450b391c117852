//! What L1 makes of a fork: everything that must happen there, checked against the contracts.

use crate::chain::L1Error;
use crate::fork::Fork;
use crate::network::{FoundError, Network, someone, stake_unit};
use alloy_primitives::{Address, B256, U256, address};
use alloy_sol_types::SolCall as _;
use outrider_l1::abi::{BondedStake, CommitteeManager, FinalityAnchor, SlashingCourt};
use outrider_l1::calls::{Call, Signers};
use outrider_types::evidence::NoOffence;
use outrider_types::{Block, Epoch, Evidence, MemberIndex, Offence, PublicKey, Stake};
use std::collections::{BTreeMap, BTreeSet};

/// Where what is slashed and not paid to the reporter goes.
const BURNED: Address = address!("0x000000000000000000000000000000000000dEaD");

/// What a fork came to on L1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Members of the committee.
    pub members: usize,
    /// Stake of the operators with an open case.
    pub slashable: Stake,
    /// What the fork must cost: f + 1.
    pub needed: Stake,
    /// Offences of the cases.
    pub offences: BTreeSet<Offence>,
    /// Reports that were taken.
    pub taken: usize,
    /// Reports that were refused, as they must be.
    pub refused: usize,
    /// Whether both blocks could be attested, so that the anchor froze.
    pub froze: bool,
    /// Most gas of a report.
    pub gas: u64,
    /// Of L1 in the end.
    pub fingerprint: B256,
}

/// A promise that is broken, or an L1 that does not work.
#[derive(Debug, thiserror::Error)]
pub enum Wrong {
    /// The contracts could not be set up.
    #[error(transparent)]
    Found(#[from] FoundError),
    /// A transaction that must work.
    #[error(transparent)]
    L1(#[from] L1Error),
    /// L1 takes what it must refuse.
    #[error("L1 takes {what}, which it must refuse with {wanted:?}")]
    Taken {
        /// What.
        what: String,
        /// How it must be refused.
        wanted: Vec<&'static str>,
    },
    /// L1 refuses it for another reason.
    #[error("L1 refuses {what} with `{found}`, not with {wanted:?}")]
    OtherReason {
        /// What.
        what: String,
        /// How it must be refused.
        wanted: Vec<&'static str>,
        /// How it is.
        found: String,
    },
    /// The node believes an accusation out of what an honest member signed.
    #[error("what honest member {member} signed is called an offence: {evidence:?} ({verdict:?})")]
    HonestGuilty {
        /// Who.
        member: MemberIndex,
        /// The accusation.
        evidence: Box<Evidence>,
        /// What the node says, which is not that the pair is legal.
        verdict: Option<Box<NoOffence>>,
    },
    /// Somebody is slashable who should not be, or the other way round.
    #[error("member {member} (honest: {honest}) has an open case on L1: {open}")]
    OpenCase {
        /// Who.
        member: MemberIndex,
        /// Whether it kept to the rules.
        honest: bool,
        /// Whether it has one.
        open: bool,
    },
    /// Too little stake pays for the fork.
    #[error("operators with a stake of {stake} are slashable for a fork, {needed} is f + 1")]
    TooLittle {
        /// Theirs.
        stake: Stake,
        /// f + 1.
        needed: Stake,
    },
    /// Money is not where it must be.
    #[error("{what} is {found} wei, {wanted} is right")]
    Wei {
        /// Whose.
        what: String,
        /// How much.
        found: U256,
        /// How much it must be.
        wanted: U256,
    },
    /// The next committee has somebody that it must not have, or lacks somebody.
    #[error("the next committee is of {found:?}, it must be of {wanted:?}")]
    NextCommittee {
        /// The operators that are in it.
        found: Vec<Address>,
        /// Those that must be.
        wanted: Vec<Address>,
    },
    /// A frozen anchor that is not.
    #[error("the anchor took two certified blocks of one height and is not frozen")]
    NotFrozen,
    /// The test itself is wrong.
    #[error("the trial cannot go on: {what}")]
    Trial {
        /// Why.
        what: &'static str,
    },
}

/// Take a fork to L1: report, execute, snapshot, and freeze on a copy. Everything that must be refused is tried as well.
pub fn judge(fork: &Fork) -> Result<Verdict, Wrong> {
    let mut trial = Trial {
        network: Network::found(&fork.committee, &fork.keys)?,
        fork,
        guilty: BTreeMap::new(),
        offences: BTreeSet::new(),
        taken: 0,
        refused: 0,
        gas: 0,
    };
    for evidence in &fork.evidence {
        let of = trial.guilty.entry(evidence.accused()).or_default();
        of.push(evidence);
    }
    trial.honest_cannot_be_accused()?;
    let froze = trial.clone().freeze()?;
    trial.report_all()?;
    let slashable = trial.slashable()?;
    trial.execute_all()?;
    trial.next_committee_is_honest()?;
    Ok(Verdict {
        members: fork.keys.len(),
        slashable,
        needed: fork.committee.thresholds().witness,
        offences: trial.offences,
        taken: trial.taken,
        refused: trial.refused,
        froze: froze.is_some(),
        gas: trial.gas,
        fingerprint: B256::from(outrider_types::crypto::sha256(&[
            trial.network.l1.fingerprint().as_slice(),
            froze.unwrap_or_default().as_slice(),
        ])),
    })
}

#[derive(Clone)]
struct Trial<'a> {
    fork: &'a Fork,
    network: Network,
    guilty: BTreeMap<MemberIndex, Vec<&'a Evidence>>,
    offences: BTreeSet<Offence>,
    taken: usize,
    refused: usize,
    gas: u64,
}

impl Trial<'_> {
    fn honest(&self) -> impl Iterator<Item = MemberIndex> + use<'_> {
        self.members().filter(|member| self.is_honest(*member))
    }

    fn members(&self) -> impl Iterator<Item = MemberIndex> + use<> {
        (0..).map(MemberIndex).take(self.fork.keys.len())
    }

    fn is_honest(&self, member: MemberIndex) -> bool {
        self.fork.honest.get(member.index()).copied() == Some(true)
    }

    fn operator(&self, member: MemberIndex) -> Result<Address, Wrong> {
        let operator = self.network.operators.get(member.index()).copied();
        operator.ok_or(Wrong::Trial {
            what: "a member has no operator",
        })
    }

    fn key(&self, member: MemberIndex) -> Result<PublicKey, Wrong> {
        let member = self.fork.member(member);
        member.map(|one| one.public_key).ok_or(Wrong::Trial {
            what: "somebody who is no member is accused",
        })
    }

    fn report(&self, accused: MemberIndex, evidence: &Evidence) -> Result<Call, Wrong> {
        let key = self.key(accused)?;
        Ok(self.network.deployment.report(&key, evidence))
    }

    /// L1 must refuse this, with one of these errors.
    fn refuses(
        &mut self,
        call: &Call,
        wanted: &[&'static str],
        what: impl FnOnce() -> String,
    ) -> Result<(), Wrong> {
        let found = match self.network.dry_run(someone("anyone", 1), call) {
            Ok(_) => {
                return Err(Wrong::Taken {
                    what: what(),
                    wanted: wanted.to_vec(),
                });
            }
            Err(L1Error::Reverted { revert, .. }) => revert,
            Err(other) => return Err(other.into()),
        };
        if !wanted.contains(&found.name.as_str()) {
            return Err(Wrong::OtherReason {
                what: what(),
                wanted: wanted.to_vec(),
                found: found.text,
            });
        }
        self.refused += 1;
        Ok(())
    }

    /// Neither with what they signed nor with what others did.
    fn honest_cannot_be_accused(&mut self) -> Result<(), Wrong> {
        let honest: Vec<MemberIndex> = self.honest().collect();
        for member in honest {
            let said = self.fork.said.get(member.index());
            for evidence in said.map(|said| said.accusations()).unwrap_or_default() {
                let verdict = evidence.clone().verify(&self.fork.committee).err();
                if !matches!(verdict, Some(NoOffence::Legal { .. })) {
                    return Err(Wrong::HonestGuilty {
                        member,
                        evidence: Box::new(evidence),
                        verdict: verdict.map(Box::new),
                    });
                }
                let call = self.report(member, &evidence)?;
                self.refuses(&call, &["Legal"], || {
                    format!("{evidence:?} against honest {member}")
                })?;
            }
            let others: Vec<&Evidence> = self
                .guilty
                .values()
                .filter_map(|all| all.first().copied())
                .collect();
            for evidence in others {
                let call = self.report(member, evidence)?;
                self.refuses(&call, &["BadSignature"], || {
                    format!(
                        "evidence against {} as one against honest {member}",
                        evidence.accused()
                    )
                })?;
            }
        }
        Ok(())
    }

    /// One of them, another one for each fork.
    fn any<'e>(&self, all: &[&'e Evidence]) -> Result<&'e Evidence, Wrong> {
        let by = usize::from(self.fork.blocks[0].id().0[0]);
        let chosen = all.get(by % all.len().max(1)).copied();
        chosen.ok_or(Wrong::Trial {
            what: "somebody is guilty of nothing",
        })
    }

    /// Some piece of evidence against each: with a bit changed it is refused, else taken; after it neither the same nor any
    /// other is.
    fn report_all(&mut self) -> Result<(), Wrong> {
        for (member, all) in self.guilty.clone() {
            let operator = self.operator(member)?;
            let chosen = self.any(&all)?;
            let call = self.report(member, chosen)?;
            self.altered_is_refused(member, &call)?;
            let receipt = self.network.send(reporter(member), &call)?;
            self.gas = self.gas.max(receipt.gas);
            self.taken += 1;
            self.offences.insert(chosen.offence());
            for evidence in all {
                let call = self.report(member, evidence)?;
                self.refuses(&call, &["AlreadyReported"], || {
                    format!("a second report of {operator}")
                })?;
            }
        }
        Ok(())
    }

    fn altered_is_refused(&mut self, member: MemberIndex, call: &Call) -> Result<(), Wrong> {
        let good = SlashingCourt::reportCall::abi_decode(&call.data).map_err(|_| Wrong::Trial {
            what: "a report does not decode",
        })?;
        // Places that differ from fork to fork, and are the same for one fork.
        let seed = outrider_types::crypto::sha256(&[&good.evidence]);
        for random in seed.chunks_exact(4).take(4) {
            let random = random
                .iter()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            let (byte, bit) = (random / 8 % good.evidence.len(), random % 8);
            let mut bad = good.evidence.to_vec();
            bad[byte] ^= 1 << bit;
            let bad = SlashingCourt::reportCall {
                evidence: bad.into(),
                ..good.clone()
            };
            let altered = Call {
                data: bad.abi_encode().into(),
                ..call.clone()
            };
            let wanted = [
                "BadSignature",
                "Legal",
                "TwoSigners",
                "TwoEpochs",
                "UnknownOffence",
                "UnknownKind",
                "UnknownFlag",
                "WrongLength",
                "HighView",
                "LastView",
                "EpochNotBegun",
            ];
            self.refuses(&altered, &wanted, || {
                format!("evidence against {member} with bit {bit} of byte {byte} changed")
            })?;
        }
        Ok(())
    }

    /// The stake of those with an open case: at least f + 1, and nobody honest among them.
    fn slashable(&self) -> Result<Stake, Wrong> {
        let court = self.network.deployment.slashing_court;
        let mut guilty = Vec::new();
        for member in self.members() {
            let operator = self.operator(member)?;
            let open = self
                .network
                .ask(court, &SlashingCourt::openCaseOfCall { operator })?;
            let honest = self.is_honest(member);
            if open && honest || !open && self.guilty.contains_key(&member) {
                return Err(Wrong::OpenCase {
                    member,
                    honest,
                    open,
                });
            }
            if open {
                guilty.push(member);
            }
        }
        let (stake, needed) = (
            self.fork.stake(&guilty),
            self.fork.committee.thresholds().witness,
        );
        if stake < needed {
            return Err(Wrong::TooLittle { stake, needed });
        }
        Ok(stake)
    }

    /// Not before the veto window is over; then anyone, once.
    fn execute_all(&mut self) -> Result<(), Wrong> {
        let court = self.network.deployment.slashing_court;
        let count = self.network.ask(court, &SlashingCourt::caseCountCall {})?;
        let cases: Vec<U256> = (0..count.saturating_to::<u64>()).map(U256::from).collect();
        for case in &cases {
            let call = self.network.deployment.execute(*case);
            self.refuses(&call, &["VetoOpen"], || format!("case {case}, too early"))?;
        }
        self.network.pass(self.network.parameters.vetoWindow + 1);
        for case in &cases {
            let call = self.network.deployment.execute(*case);
            self.network.send(someone("anyone", 2), &call)?;
            self.refuses(&call, &["NotOpen"], || format!("case {case} once more"))?;
        }
        self.money_is_where_it_belongs()?;
        for (member, all) in self.guilty.clone() {
            for evidence in all {
                let call = self.report(member, evidence)?;
                self.refuses(&call, &["AlreadyReported"], || {
                    format!("evidence against {member}, who was slashed for the epoch")
                })?;
            }
        }
        Ok(())
    }

    fn money_is_where_it_belongs(&self) -> Result<(), Wrong> {
        let bonded = self.network.deployment.bonded_stake;
        let share = self.network.parameters.rewardShare;
        let whole = self.network.parameters.slashShare;
        let is = |what: String, found: U256, wanted: U256| match found == wanted {
            true => Ok(()),
            false => Err(Wrong::Wei {
                what,
                found,
                wanted,
            }),
        };
        let mut burned = U256::ZERO;
        for member in self.members() {
            let operator = self.operator(member)?;
            let stake = U256::from(self.fork.stake(&[member]).0) * stake_unit();
            let guilty = self.guilty.contains_key(&member);
            let left = self
                .network
                .ask(bonded, &BondedStake::slashableCall { operator })?;
            let wanted = if guilty { U256::ZERO } else { stake };
            is(
                format!("what is left of the stake of {member}"),
                left,
                wanted,
            )?;
            if guilty {
                let reward = stake * share / whole;
                burned += stake - reward;
                let found = self.network.l1.balance(reporter(member));
                is(format!("the reward for reporting {member}"), found, reward)?;
            }
        }
        is(
            "what is burned".to_owned(),
            self.network.l1.balance(BURNED),
            burned,
        )
    }

    /// The members of the next snapshot are the honest ones.
    fn next_committee_is_honest(&mut self) -> Result<(), Wrong> {
        let next = Epoch(self.fork.committee.epoch().0 + 1);
        let call = self.network.deployment.snapshot(next);
        let receipt = self.network.send(someone("anyone", 3), &call)?;
        let id = B256::try_from(receipt.output.as_ref()).map_err(|_| Wrong::Trial {
            what: "a snapshot did not return an id",
        })?;
        let manager = self.network.deployment.committee_manager;
        let found = self
            .network
            .ask(manager, &CommitteeManager::membersCall { id })?
            .operators;
        let innocent = self
            .members()
            .filter(|member| !self.guilty.contains_key(member));
        let wanted: Vec<Address> = innocent
            .map(|member| self.operator(member))
            .collect::<Result<_, _>>()?;
        if found != wanted {
            return Err(Wrong::NextCommittee { found, wanted });
        }
        Ok(())
    }

    /// If both blocks can be attested: the first settles, the second does not, both together freeze the anchor, and that
    /// alone makes f + 1 slashable. The state of L1 then; none if too few can attest.
    fn freeze(mut self) -> Result<Option<B256>, Wrong> {
        let quorum = self.fork.committee.thresholds().quorum;
        let attesters = self.fork.attesters();
        if attesters.iter().any(|all| self.fork.stake(all) < quorum) {
            return Ok(None);
        }
        let [a, b] = [0, 1].map(|side: usize| {
            let block: &Block = &self.fork.blocks[side];
            let signers = self.network.attest(block.id(), &attesters[side]);
            signers.map(|signers| (block.header_bytes(), signers))
        });
        let (Some(a), Some(b)) = (a, b) else {
            return Err(Wrong::Trial {
                what: "attester keys do not sign",
            });
        };
        let anchor = self.network.deployment.finality_anchor;
        let relayer = someone("anyone", 4);
        let settle =
            |side: &([u8; Block::BYTES], Signers)| self.network.deployment.settle(&side.0, &side.1);
        let (first, second) = (settle(&a), settle(&b));
        self.network.send(relayer, &first)?;
        self.refuses(&second, &["NotAbove"], || {
            "a second block of a settled height".to_owned()
        })?;
        let freeze = self.network.deployment.freeze((&a.0, &a.1), (&b.0, &b.1));
        self.network.send(reporter(MemberIndex(0)), &freeze)?;
        if !self.network.ask(anchor, &FinalityAnchor::frozenCall {})? {
            return Err(Wrong::NotFrozen);
        }
        for call in [&first, &second, &freeze] {
            self.refuses(call, &["Frozen"], || format!("`{}` when frozen", call.what))?;
        }
        self.twice_attested_are_reported(&attesters)?;
        // Those whom the freezing did not report can still be reported.
        self.report_the_rest()?;
        self.slashable()?;
        Ok(Some(self.network.l1.fingerprint()))
    }

    /// Those who attested both blocks have a case by the freezing alone.
    fn twice_attested_are_reported(&self, attesters: &[Vec<MemberIndex>; 2]) -> Result<(), Wrong> {
        let court = self.network.deployment.slashing_court;
        let [first, second] = attesters;
        let both = first.iter().filter(|member| second.contains(member));
        let both: Vec<MemberIndex> = both.copied().collect();
        for member in self.members() {
            let operator = self.operator(member)?;
            let open = self
                .network
                .ask(court, &SlashingCourt::openCaseOfCall { operator })?;
            let honest = self.is_honest(member);
            if open != both.contains(&member) || open && honest {
                return Err(Wrong::OpenCase {
                    member,
                    honest,
                    open,
                });
            }
        }
        let (stake, needed) = (
            self.fork.stake(&both),
            self.fork.committee.thresholds().witness,
        );
        match stake < needed {
            true => Err(Wrong::TooLittle { stake, needed }),
            false => Ok(()),
        }
    }

    fn report_the_rest(&mut self) -> Result<(), Wrong> {
        let court = self.network.deployment.slashing_court;
        for (member, all) in self.guilty.clone() {
            let call = self.report(member, self.any(&all)?)?;
            let operator = self.operator(member)?;
            let open = self
                .network
                .ask(court, &SlashingCourt::openCaseOfCall { operator })?;
            if open {
                self.refuses(&call, &["AlreadyReported"], || {
                    format!("evidence against {member}, whom the freezing reported")
                })?;
            } else {
                self.network.send(reporter(member), &call)?;
            }
        }
        Ok(())
    }
}

/// Anyone at all: one for each member, so that rewards can be told apart.
fn reporter(member: MemberIndex) -> Address {
    someone("reporter", u64::from(member.0))
}
