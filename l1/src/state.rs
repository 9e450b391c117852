//! What the contracts hold, after one L1 block that most endpoints agree on.

use crate::abi::{
    BondedStake, CommitteeManager, FinalityAnchor, ForcedInbox, OperatorRegistry, SlashingCourt,
};
use crate::deployment::Deployment;
use crate::endpoint::EndpointError;
use crate::endpoints::{AgreementError, Endpoints, Heads};
use crate::model::BlockRef;
use crate::revert::Revert;
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::SolCall;
use outrider_types::{BlockId, CommitteeId, Epoch, Height, PublicKey};

/// Most members of a committee on L1.
pub const MEMBERS_MAX: usize = 256;
/// Operators that one call lists.
const OPERATORS_AT_ONCE: u64 = 256;

/// Why the state cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// The endpoints.
    #[error(transparent)]
    Endpoints(#[from] AgreementError),
    /// The contract refuses.
    #[error("{function} reverted: {revert}")]
    Reverted {
        /// What was asked.
        function: &'static str,
        /// What it said.
        revert: Revert,
    },
    /// The contract returns something else than it should.
    #[error(
        "{function} at {at} returned {bytes} bytes that are not its type; are the addresses of the network file right?"
    )]
    Unreadable {
        /// What was asked.
        function: &'static str,
        /// Of which contract.
        at: Address,
        /// What came.
        bytes: usize,
    },
}

/// An operator as the registry knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorRecord {
    /// Its member key now.
    pub member: PublicKey,
    /// Its attester now.
    pub attester: Address,
    /// When it registered, seconds since the Unix epoch.
    pub registered_at: u64,
    /// When it left.
    pub exit_at: Option<u64>,
    /// Whether it was thrown out.
    pub ejected: bool,
    /// How its member is reached: the wire encoding of a contact, unless it registered something else.
    pub contact: Bytes,
}

/// A member of a committee on L1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct MemberRecord {
    /// Its key.
    pub key: PublicKey,
    /// Its stake, in units.
    pub weight: u64,
    /// Its attester.
    pub attester: Address,
    /// Who operates it.
    pub operator: Address,
}

/// A committee on L1.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct CommitteeRecord {
    /// Its id.
    pub id: CommitteeId,
    /// Of which epoch.
    pub epoch: Epoch,
    /// Stake of all.
    pub total: u64,
    /// Weight that settles.
    pub quorum: u64,
    /// Weight of votes that commits fast.
    pub fast: u64,
    /// The L1 block of the snapshot.
    pub snapshot_block: u64,
    /// Members, in order.
    pub members: Vec<MemberRecord>,
}

/// The anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct AnchorState {
    /// Whether settlement began.
    pub begun: bool,
    /// Whether it ended for ever.
    pub frozen: bool,
    /// The epoch that settles now.
    pub epoch: Epoch,
    /// Its committee.
    pub committee: CommitteeId,
    /// The height that is settled.
    pub height: Height,
    /// The block that is settled.
    pub id: BlockId,
    /// Entries of the inbox that are consumed.
    pub inbox: u64,
    /// When, seconds since the Unix epoch.
    pub at: u64,
}

/// An operator's stake in BondedStake, in wei.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bond {
    /// Counts.
    pub bonded: U256,
    /// Is on its way out.
    pub unbonding: U256,
    /// From when it can be withdrawn, seconds since the Unix epoch.
    pub withdrawable_at: u64,
}

/// How a case stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CaseState {
    /// Waits for the veto window to end, and to be executed.
    Open,
    /// Closed without punishment.
    Vetoed,
    /// Slashed.
    Executed,
    /// Something that this version does not know.
    Unknown(u8),
}

/// A case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct CaseRecord {
    /// Which.
    pub id: U256,
    /// Against whom.
    pub operator: Address,
    /// Of which offence: 1 to 5 are E1 to E5, 6 is two checkpoints.
    pub offence: u8,
    /// In which epoch.
    pub epoch: Epoch,
    /// By whom.
    pub reporter: Address,
    /// When, seconds since the Unix epoch.
    pub reported_at: u64,
    /// How it stands.
    pub state: CaseState,
}

/// The contracts on a chain.
#[derive(Clone, Debug)]
pub struct Contracts {
    /// Whom to ask.
    pub endpoints: Endpoints,
    /// Where they are.
    pub deployment: Deployment,
}

impl Contracts {
    /// Their state after the newest block that most endpoints have.
    pub async fn latest(&self) -> Result<State<'_>, StateError> {
        let heads = self.endpoints.heads().await?;
        Ok(State {
            contracts: self,
            heads,
            block: heads.latest,
        })
    }
}

/// The state after one block.
#[derive(Clone, Copy, Debug)]
pub struct State<'a> {
    contracts: &'a Contracts,
    heads: Heads,
    block: BlockRef,
}

impl State<'_> {
    /// After which block.
    #[must_use]
    pub const fn block(&self) -> BlockRef {
        self.block
    }

    /// The heads when it was begun to read.
    #[must_use]
    pub const fn heads(&self) -> Heads {
        self.heads
    }

    /// The same contracts after another block.
    #[must_use]
    pub const fn at(self, block: BlockRef) -> Self {
        Self { block, ..self }
    }

    /// Ask a contract something.
    pub async fn get<C: SolCall>(&self, at: Address, call: &C) -> Result<C::Return, StateError> {
        let function = C::SIGNATURE;
        let data = call.abi_encode().into();
        let endpoints = &self.contracts.endpoints;
        let answer = match endpoints.read(at, &data, self.block.number).await {
            Ok(answer) => answer,
            Err(AgreementError::Endpoint(EndpointError::Refused {
                revert: Some(revert),
                ..
            })) => {
                let revert = Revert::read(&revert);
                return Err(StateError::Reverted { function, revert });
            }
            Err(error) => return Err(error.into()),
        };
        C::abi_decode_returns_validate(&answer).map_err(|_| StateError::Unreadable {
            function,
            at,
            bytes: answer.len(),
        })
    }

    pub(crate) const fn endpoints(&self) -> &Endpoints {
        &self.contracts.endpoints
    }

    pub(crate) const fn deployment(&self) -> &Deployment {
        &self.contracts.deployment
    }

    /// An operator, if it ever registered.
    pub async fn operator(&self, operator: Address) -> Result<Option<OperatorRecord>, StateError> {
        let call = OperatorRegistry::operatorCall { who: operator };
        let told = self.get(self.deployment().operator_registry, &call).await?;
        Ok((told.registeredAt != 0).then_some(OperatorRecord {
            member: PublicKey(told.memberKey.0),
            attester: told.attester,
            registered_at: told.registeredAt,
            exit_at: (told.exitAt != 0).then_some(told.exitAt),
            ejected: told.ejected,
            contact: told.contact,
        }))
    }

    /// Whose a member key is or was.
    pub async fn operator_of(&self, key: &PublicKey) -> Result<Option<Address>, StateError> {
        let call = OperatorRegistry::operatorOfCall {
            memberKey: B256::from(key.0),
        };
        let told = self.get(self.deployment().operator_registry, &call).await?;
        Ok((told != Address::ZERO).then_some(told))
    }

    /// Operators in order of registration, `from` which on; at most 256.
    pub async fn operators(&self, from: u64) -> Result<Vec<Address>, StateError> {
        let call = OperatorRegistry::operatorsCall {
            from: U256::from(from),
            count: U256::from(OPERATORS_AT_ONCE),
        };
        self.get(self.deployment().operator_registry, &call).await
    }

    /// The anchor.
    pub async fn anchor(&self) -> Result<AnchorState, StateError> {
        let at = self.deployment().finality_anchor;
        let begun = self.get(at, &FinalityAnchor::begunCall {}).await?;
        let frozen = self.get(at, &FinalityAnchor::frozenCall {}).await?;
        let epoch = self.get(at, &FinalityAnchor::epochCall {}).await?;
        let committee = self.get(at, &FinalityAnchor::committeeIdCall {}).await?;
        let settled = self.get(at, &FinalityAnchor::settledCall {}).await?;
        Ok(AnchorState {
            begun,
            frozen,
            epoch: Epoch(epoch),
            committee: CommitteeId(committee.0),
            height: Height(settled.height),
            id: BlockId(settled.id.0),
            inbox: settled.inbox,
            at: settled.settledAt,
        })
    }

    /// When an epoch ended, seconds since the Unix epoch.
    pub async fn ended_at(&self, epoch: Epoch) -> Result<Option<u64>, StateError> {
        let call = FinalityAnchor::endedAtCall { epoch: epoch.0 };
        let told = self.get(self.deployment().finality_anchor, &call).await?;
        Ok((told != 0).then_some(told))
    }

    /// A committee with its members, if L1 knows it.
    pub async fn committee(&self, id: CommitteeId) -> Result<Option<CommitteeRecord>, StateError> {
        let at = self.deployment().committee_manager;
        let word = B256::from(id.0);
        let told = match self
            .get(at, &CommitteeManager::committeeCall { id: word })
            .await
        {
            Err(StateError::Reverted { revert, .. }) if revert.name == "UnknownCommittee" => {
                return Ok(None);
            }
            told => told?,
        };
        if told.members == 0 {
            return Ok(None);
        }
        let call = CommitteeManager::membersCall { id: word };
        let members = self.get(at, &call).await?;
        let count = members.keys.len();
        let lengths = [
            members.weights.len(),
            members.attesters.len(),
            members.operators.len(),
            usize::from(told.members),
        ];
        if count > MEMBERS_MAX || lengths.iter().any(|length| *length != count) {
            return Err(StateError::Unreadable {
                function: CommitteeManager::membersCall::SIGNATURE,
                at,
                bytes: count,
            });
        }
        let keys = members.keys.iter().zip(&members.weights);
        let people = members.attesters.iter().zip(&members.operators);
        let members = keys
            .zip(people)
            .map(|((key, weight), (attester, operator))| MemberRecord {
                key: PublicKey(key.0),
                weight: *weight,
                attester: *attester,
                operator: *operator,
            });
        Ok(Some(CommitteeRecord {
            id,
            epoch: Epoch(told.epoch),
            total: told.total,
            quorum: told.quorum,
            fast: told.fast,
            snapshot_block: told.snapshotBlock,
            members: members.collect(),
        }))
    }

    /// The last epoch in which an operator is or was in the committee.
    pub async fn last_epoch_of(&self, operator: Address) -> Result<Option<Epoch>, StateError> {
        let call = CommitteeManager::lastEpochOfCall { operator };
        let told = self.get(self.deployment().committee_manager, &call).await?;
        Ok(told.ever.then_some(Epoch(told.epoch)))
    }

    /// The stake that counts, in wei: for each adapter.
    pub async fn stakes(
        &self,
        operator: Address,
    ) -> Result<Vec<(Address, U256, U256)>, StateError> {
        let at = self.deployment().committee_manager;
        let adapters = self.get(at, &CommitteeManager::adaptersCall {}).await?;
        let mut stakes = Vec::new();
        for adapter in adapters.into_iter().take(MEMBERS_MAX) {
            let stake = self
                .get(adapter, &BondedStake::stakeOfCall { operator })
                .await?;
            let call = BondedStake::slashableCall { operator };
            let slashable = self.get(adapter, &call).await?;
            stakes.push((adapter, stake, slashable));
        }
        Ok(stakes)
    }

    /// What an operator has in BondedStake.
    pub async fn bond(&self, operator: Address) -> Result<Bond, StateError> {
        let call = BondedStake::balanceOfCall { operator };
        let told = self.get(self.deployment().bonded_stake, &call).await?;
        Ok(Bond {
            bonded: told.bonded,
            unbonding: told.unbonding,
            withdrawable_at: told.withdrawableAt,
        })
    }

    /// How many entries the forced inbox ever had.
    pub async fn inbox_length(&self) -> Result<u64, StateError> {
        let at = self.deployment().forced_inbox;
        self.get(at, &ForcedInbox::lengthCall {}).await
    }

    /// How long the committee may take to include an entry of the forced inbox, seconds.
    pub async fn inbox_window(&self) -> Result<u64, StateError> {
        let at = self.deployment().forced_inbox;
        self.get(at, &ForcedInbox::inboxWindowCall {}).await
    }

    /// The epoch that settlement begins with, and the blocks of an epoch.
    pub async fn epochs(&self) -> Result<(Epoch, u64), StateError> {
        let at = self.deployment().committee_manager;
        let first = self.get(at, &CommitteeManager::firstEpochCall {}).await?;
        let blocks = self.get(at, &CommitteeManager::epochBlocksCall {}).await?;
        Ok((Epoch(first), blocks))
    }

    /// Wei of stake that a member needs at least, and wei of one unit of its weight.
    pub async fn stake_min(&self) -> Result<(U256, U256), StateError> {
        let at = self.deployment().committee_manager;
        let least = self.get(at, &CommitteeManager::stakeMinCall {}).await?;
        let unit = self.get(at, &CommitteeManager::stakeUnitCall {}).await?;
        Ok((least, unit))
    }

    /// When an entry of the forced inbox came, and `sha256(rollup || data)`.
    pub async fn inbox_entry(&self, index: u64) -> Result<(u64, [u8; 32]), StateError> {
        let call = ForcedInbox::entryCall { index };
        let told = self.get(self.deployment().forced_inbox, &call).await?;
        Ok((told.enqueuedAt, told.hash.0))
    }

    /// Whether an entry from this one on should have been consumed.
    pub async fn is_overdue(&self, consumed: u64) -> Result<bool, StateError> {
        let call = ForcedInbox::overdueCall { consumed };
        self.get(self.deployment().forced_inbox, &call).await
    }

    /// How many entries the forced inbox ever had, and when those from this one on are overdue, seconds since the Unix epoch; none if there is none.
    pub async fn inbox_due(&self, consumed: u64) -> Result<(u64, Option<u64>), StateError> {
        let call = ForcedInbox::dueCall { consumed };
        let told = self.get(self.deployment().forced_inbox, &call).await?;
        Ok((told.length, (told.deadline != 0).then_some(told.deadline)))
    }

    /// How many cases there ever were.
    pub async fn case_count(&self) -> Result<U256, StateError> {
        let at = self.deployment().slashing_court;
        self.get(at, &SlashingCourt::caseCountCall {}).await
    }

    /// Who can stop a case, and within how many seconds.
    pub async fn veto_terms(&self) -> Result<(Address, u64), StateError> {
        let at = self.deployment().slashing_court;
        let vetoer = self.get(at, &SlashingCourt::vetoerCall {}).await?;
        let window = self.get(at, &SlashingCourt::vetoWindowCall {}).await?;
        Ok((vetoer, window))
    }

    /// Whether a case against an operator is open.
    pub async fn has_open_case(&self, operator: Address) -> Result<bool, StateError> {
        let call = SlashingCourt::openCaseOfCall { operator };
        self.get(self.deployment().slashing_court, &call).await
    }

    /// A case.
    pub async fn case(&self, id: U256) -> Result<CaseRecord, StateError> {
        let call = SlashingCourt::casesCall { caseId: id };
        let told = self.get(self.deployment().slashing_court, &call).await?;
        Ok(CaseRecord {
            id,
            operator: told.operator,
            offence: told.offence,
            epoch: Epoch(told.epoch),
            reporter: told.reporter,
            reported_at: told.reportedAt,
            state: match told.state {
                1 => CaseState::Open,
                2 => CaseState::Vetoed,
                3 => CaseState::Executed,
                other => CaseState::Unknown(other),
            },
        })
    }
}
