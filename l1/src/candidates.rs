//! The list that snapshots look at, and the committee that the next epoch will have.

use crate::abi::{CommitteeManager, OperatorRegistry};
use crate::endpoints::Endpoints;
use crate::event::{Happened, L1Event};
use crate::model::LogFilter;
use crate::state::{CommitteeRecord, MEMBERS_MAX, MemberRecord, State, StateError};
use alloy_primitives::{Address, U256};
use alloy_sol_types::SolEvent as _;
use outrider_types::{CommitteeId, Epoch, PublicKey};
use serde::Serialize;

/// Blocks whose logs are asked for at once.
const BLOCKS_AT_ONCE: u64 = 1_000;
/// How often, backwards, until a snapshot is taken to be none.
const ASKED_MAX: u64 = 64;

/// One on the list, or who wants to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// Who.
    pub operator: Address,
    /// Its member key now.
    pub key: PublicKey,
    /// Its attester now.
    pub attester: Address,
    /// Its place in the order of registration, which is that of members.
    pub index: u32,
    /// Registered, has not left, was not thrown out.
    pub active: bool,
    /// Wei of stake that count.
    pub stake: U256,
    /// Its weight in a snapshot of now; none if it may not be in one.
    pub weight: Option<u64>,
}

/// The committee of the next epoch, as far as L1 says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outlook {
    /// The next epoch.
    pub epoch: Epoch,
    /// What the newest snapshot for it recorded, if there is one.
    pub recorded: Option<CommitteeRecord>,
    /// Whom a snapshot of now would record.
    pub now: Vec<MemberRecord>,
}

impl Outlook {
    /// Whether a snapshot of now would record what is recorded.
    #[must_use]
    pub fn is_recorded(&self) -> bool {
        let recorded = self.recorded.as_ref();
        recorded.is_some_and(|recorded| recorded.members == self.now)
    }
}

/// What a snapshot demands of a member: least stake, stake of a unit of weight, most weight.
#[derive(Clone, Copy, Debug)]
struct Terms {
    stake_min: U256,
    stake_unit: U256,
    weight_max: u64,
}

impl State<'_> {
    /// Most operators on the list.
    pub async fn members_max(&self) -> Result<u16, StateError> {
        let at = self.deployment().committee_manager;
        self.get(at, &CommitteeManager::membersMaxCall {}).await
    }

    async fn list(&self) -> Result<Vec<Address>, StateError> {
        let at = self.deployment().committee_manager;
        let mut list = self.get(at, &CommitteeManager::candidatesCall {}).await?;
        list.truncate(MEMBERS_MAX);
        Ok(list)
    }

    /// Whether an operator is on the list.
    pub async fn is_listed(&self, operator: Address) -> Result<bool, StateError> {
        Ok(self.list().await?.contains(&operator))
    }

    /// Everybody on the list, in the order of registration.
    pub async fn candidates(&self) -> Result<Vec<Candidate>, StateError> {
        let terms = self.terms().await?;
        let mut candidates = Vec::new();
        for operator in self.list().await? {
            candidates.push(self.weigh(operator, terms).await?);
        }
        candidates.sort_by_key(|one| one.index);
        Ok(candidates)
    }

    /// An operator as a snapshot would see it, if it is on the list.
    pub async fn candidate(&self, operator: Address) -> Result<Candidate, StateError> {
        self.weigh(operator, self.terms().await?).await
    }

    async fn terms(&self) -> Result<Terms, StateError> {
        let at = self.deployment().committee_manager;
        let (stake_min, stake_unit) = self.stake_min().await?;
        let weight_max = self.get(at, &CommitteeManager::weightMaxCall {}).await?;
        Ok(Terms {
            stake_min,
            stake_unit,
            weight_max,
        })
    }

    async fn weigh(&self, operator: Address, terms: Terms) -> Result<Candidate, StateError> {
        let registry = self.deployment().operator_registry;
        let call = OperatorRegistry::standingCall { who: operator };
        let told = self.get(registry, &call).await?;
        let call = CommitteeManager::stakeOfCall { operator };
        let stake = self.get(self.deployment().committee_manager, &call).await?;
        let is_eligible = told.active && stake >= terms.stake_min;
        let units = stake.checked_div(terms.stake_unit).unwrap_or_default();
        let units = u64::try_from(units).unwrap_or(u64::MAX);
        Ok(Candidate {
            operator,
            key: PublicKey(told.memberKey.0),
            attester: told.attester,
            index: told.index,
            active: told.active,
            stake,
            weight: is_eligible.then_some(units.min(terms.weight_max)),
        })
    }

    /// The committee of the next epoch, as far as L1 says.
    pub async fn outlook(&self) -> Result<Outlook, StateError> {
        let epoch = self.next_snapshot().await?;
        let anchor = self.anchor().await?;
        let current = match anchor.begun {
            true => self.committee(anchor.committee).await?,
            false => None,
        };
        // One for the next epoch comes after the one that is in use.
        let from = current.map_or(self.deployment().block, |one| one.snapshot_block);
        let recorded = match self.newest_snapshot(epoch, from).await? {
            Some(id) => self.committee(id).await?,
            None => None,
        };
        let candidates = self.candidates().await?.into_iter();
        let now = candidates.filter_map(|one| {
            Some(MemberRecord {
                key: one.key,
                weight: one.weight?,
                attester: one.attester,
                operator: one.operator,
            })
        });
        Ok(Outlook {
            epoch,
            recorded,
            now: now.collect(),
        })
    }

    /// The last snapshot for an epoch, looked for from the newest block back to `from`, at most 64,000 blocks.
    async fn newest_snapshot(
        &self,
        epoch: Epoch,
        from: u64,
    ) -> Result<Option<CommitteeId>, StateError> {
        let endpoints: &Endpoints = self.endpoints();
        let mut to = self.block().number;
        for _ in 0..ASKED_MAX {
            let first = from.max(to.saturating_sub(BLOCKS_AT_ONCE - 1));
            let filter = LogFilter {
                from: first,
                to,
                addresses: vec![self.deployment().committee_manager],
                topics: vec![CommitteeManager::Snapshot::SIGNATURE_HASH],
            };
            let segment = endpoints.segment(&filter, false).await?;
            let found = segment.logs.iter().rev().find_map(|log| {
                let happened = Happened::read(log, self.deployment())?;
                match happened.event {
                    L1Event::Snapshot { epoch: of, id, .. } if of == epoch => Some(id),
                    _ => None,
                }
            });
            if found.is_some() || first <= from {
                return Ok(found);
            }
            to = first - 1;
        }
        Ok(None)
    }
}
