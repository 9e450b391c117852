//! Typed transactions to the contracts. Nothing is sent here: [`crate::sender`] does that.

use crate::abi::{
    BondedStake, CommitteeManager, FinalityAnchor, ForcedInbox, OperatorRegistry, SlashingCourt,
};
use crate::account::{Account, AccountError};
use crate::deployment::Deployment;
use crate::revert::inner_text;
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::{SolCall, SolInterface};
use outrider_types::codec::{EncodeSize as _, Write as _};
use outrider_types::{CommitteeId, Epoch, Evidence, PublicKey, RollupId, SecretKey};

/// Most headers of a native settlement.
pub const NATIVE_HEADERS_MAX: usize = 32;
/// Most letters of one decoded argument.
const ARGUMENT_TEXT_MAX: usize = 400;

/// A transaction before it has a sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What it does, for people and logs.
    pub what: &'static str,
    /// The contract; none creates one.
    pub to: Option<Address>,
    /// Wei that go with it.
    pub value: U256,
    /// The contract's input.
    pub data: Bytes,
}

/// What a transaction would do, read from its bytes.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Decoded {
    /// The contract's name.
    pub contract: &'static str,
    /// The function with the types of its arguments.
    pub function: String,
    /// Name and value of each argument.
    pub arguments: Vec<(String, String)>,
}

/// Bitmap and signatures of members, as `settle` wants them: ascending, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signers {
    bitmap: U256,
    signatures: Vec<u8>,
}

impl Signers {
    /// Of signatures by place in the committee; `None` if a place is twice there, not ascending, or above 255.
    #[must_use]
    pub fn new(signatures: &[(u16, [u8; 64])]) -> Option<Self> {
        let mut signers = Self::default();
        let mut next = 0;
        for (place, signature) in signatures {
            if *place < next || *place > 255 {
                return None;
            }
            next = *place + 1;
            signers.bitmap.set_bit(usize::from(*place), true);
            signers.signatures.extend_from_slice(signature);
        }
        Some(signers)
    }

    /// Bit i: member i signed.
    #[must_use]
    pub const fn bitmap(&self) -> U256 {
        self.bitmap
    }

    fn bytes(&self) -> Bytes {
        Bytes::copy_from_slice(&self.signatures)
    }
}

/// What certifies the last header of a native settlement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NativeKind {
    /// Votes of weight F.
    FastVotes,
    /// Commit votes of weight Q.
    CommitVotes,
}

fn call(what: &'static str, to: Address, data: &impl SolCall) -> Call {
    Call {
        what,
        to: Some(to),
        value: U256::ZERO,
        data: data.abi_encode().into(),
    }
}

/// Everything that an operator does.
impl Deployment {
    /// Register the operator with its keys. `contact` is the wire encoding of [`outrider_types::Contact`].
    pub fn register(
        &self,
        operator: Address,
        key: &SecretKey,
        attester: &Account,
        contact: Bytes,
    ) -> Result<Call, AccountError> {
        let enrolment = self.enrolment(operator);
        let data = OperatorRegistry::registerCall {
            memberKey: B256::from(key.public_key().0),
            memberProof: enrolment.prove_member(key).into(),
            attester: attester.address(),
            attesterProof: enrolment.prove_attester(attester)?.into(),
            contact,
        };
        Ok(call("register the operator", self.operator_registry, &data))
    }

    /// Use another member key from the next snapshot on.
    #[must_use]
    pub fn rotate(&self, operator: Address, key: &SecretKey) -> Call {
        let data = OperatorRegistry::rotateCall {
            memberKey: B256::from(key.public_key().0),
            memberProof: self.enrolment(operator).prove_member(key).into(),
        };
        call("rotate the member key", self.operator_registry, &data)
    }

    /// Use another attester from the next snapshot on.
    pub fn rotate_attester(
        &self,
        operator: Address,
        attester: &Account,
    ) -> Result<Call, AccountError> {
        let data = OperatorRegistry::rotateAttesterCall {
            attester: attester.address(),
            attesterProof: self.enrolment(operator).prove_attester(attester)?.into(),
        };
        Ok(call(
            "rotate the attester key",
            self.operator_registry,
            &data,
        ))
    }

    /// Say where the member is reached.
    #[must_use]
    pub fn update(&self, contact: Bytes) -> Call {
        let data = OperatorRegistry::updateCall { contact };
        call("update the contact", self.operator_registry, &data)
    }

    /// Leave: no snapshot has the operator from now on. For good.
    #[must_use]
    pub fn exit(&self) -> Call {
        let data = OperatorRegistry::exitCall {};
        call("exit", self.operator_registry, &data)
    }

    /// Bond wei for an operator.
    #[must_use]
    pub fn deposit(&self, operator: Address, amount: U256) -> Call {
        let data = BondedStake::depositCall { operator };
        Call {
            value: amount,
            ..call("deposit stake", self.bonded_stake, &data)
        }
    }

    /// Begin to take out wei.
    #[must_use]
    pub fn unbond(&self, amount: U256) -> Call {
        let data = BondedStake::unbondCall { amount };
        call("unbond stake", self.bonded_stake, &data)
    }

    /// Take out what is unbonded.
    #[must_use]
    pub fn withdraw(&self) -> Call {
        let data = BondedStake::withdrawCall {};
        call("withdraw stake", self.bonded_stake, &data)
    }

    /// Take out rewards that could not be paid at once.
    #[must_use]
    pub fn collect(&self) -> Call {
        let data = BondedStake::collectCall {};
        call("collect rewards", self.bonded_stake, &data)
    }
}

/// Everything that keeps the committee and settlement going.
impl Deployment {
    /// Record the committee of an epoch from the stakes of now.
    #[must_use]
    pub fn snapshot(&self, epoch: Epoch) -> Call {
        let data = CommitteeManager::snapshotCall { epoch: epoch.0 };
        call("snapshot the committee", self.committee_manager, &data)
    }

    /// Record the members of the current committee for the epoch after it.
    #[must_use]
    pub fn successor(&self, id: CommitteeId) -> Call {
        let data = CommitteeManager::successorCall {
            id: B256::from(id.0),
        };
        call(
            "continue with the same committee",
            self.committee_manager,
            &data,
        )
    }

    /// Put an operator on the list that snapshots look at, while there is room.
    #[must_use]
    pub fn enlist(&self, operator: Address) -> Call {
        let data = CommitteeManager::enlistCall { operator };
        call("enlist the operator", self.committee_manager, &data)
    }

    /// Put an operator on the list in the place of one with less stake.
    #[must_use]
    pub fn enlist_instead(&self, operator: Address, victim: Address) -> Call {
        let data = CommitteeManager::enlistInsteadCall { operator, victim };
        call(
            "enlist the operator instead of another",
            self.committee_manager,
            &data,
        )
    }

    /// Begin to settle from a genesis header. Only the deployer.
    #[must_use]
    pub fn begin(&self, header: &[u8]) -> Call {
        let data = FinalityAnchor::beginCall {
            header: Bytes::copy_from_slice(header),
        };
        call("begin to settle", self.finality_anchor, &data)
    }

    /// Settle a checkpoint by attestations.
    #[must_use]
    pub fn settle(&self, header: &[u8], signers: &Signers) -> Call {
        let data = FinalityAnchor::settleCall {
            header: Bytes::copy_from_slice(header),
            bitmap: signers.bitmap,
            signatures: signers.bytes(),
        };
        call("settle a checkpoint", self.finality_anchor, &data)
    }

    /// Settle the first of these headers by the certificate of the last.
    #[must_use]
    pub fn settle_native(&self, headers: &[&[u8]], kind: NativeKind, signers: &Signers) -> Call {
        let data = FinalityAnchor::settleNativeCall {
            headers: headers
                .iter()
                .copied()
                .map(Bytes::copy_from_slice)
                .collect(),
            kind: match kind {
                NativeKind::FastVotes => 0,
                NativeKind::CommitVotes => 1,
            },
            bitmap: signers.bitmap,
            signatures: signers.bytes(),
        };
        call(
            "settle a checkpoint by its certificate",
            self.finality_anchor,
            &data,
        )
    }

    /// Show two certified checkpoints of one height.
    #[must_use]
    pub fn freeze(&self, a: (&[u8], &Signers), b: (&[u8], &Signers)) -> Call {
        let data = FinalityAnchor::freezeCall {
            headerA: Bytes::copy_from_slice(a.0),
            bitmapA: a.1.bitmap,
            signaturesA: a.1.bytes(),
            headerB: Bytes::copy_from_slice(b.0),
            bitmapB: b.1.bitmap,
            signaturesB: b.1.bytes(),
        };
        call("freeze settlement", self.finality_anchor, &data)
    }

    /// Put a transaction into the forced inbox.
    #[must_use]
    pub fn enqueue(&self, rollup: RollupId, data: Bytes) -> Call {
        let data = ForcedInbox::enqueueCall {
            rollup: rollup.0,
            data,
        };
        call("force a transaction in", self.forced_inbox, &data)
    }

    /// Report an offence of the member with this key. L1 reads the wire encoding without the version byte of messages.
    #[must_use]
    pub fn report(&self, member: &PublicKey, evidence: &Evidence) -> Call {
        let mut bytes = Vec::with_capacity(evidence.encode_size());
        evidence.write(&mut bytes);
        let data = SlashingCourt::reportCall {
            memberKey: B256::from(member.0),
            evidence: bytes.into(),
        };
        call("report an offence", self.slashing_court, &data)
    }

    /// Report an attester that signed two checkpoints of one height.
    #[must_use]
    pub fn report_checkpoints(&self, a: (&[u8], [u8; 64]), b: (&[u8], [u8; 64])) -> Call {
        let data = SlashingCourt::reportCheckpointsCall {
            headerA: Bytes::copy_from_slice(a.0),
            signatureA: a.1.into(),
            headerB: Bytes::copy_from_slice(b.0),
            signatureB: b.1.into(),
        };
        call("report two checkpoints", self.slashing_court, &data)
    }

    /// Stop a case. Only the vetoer.
    #[must_use]
    pub fn veto(&self, case: U256) -> Call {
        let data = SlashingCourt::vetoCall { caseId: case };
        call("veto a case", self.slashing_court, &data)
    }

    /// Slash, once the veto window is over.
    #[must_use]
    pub fn execute(&self, case: U256) -> Call {
        let data = SlashingCourt::executeCall { caseId: case };
        call("execute a case", self.slashing_court, &data)
    }

    /// What a transaction would do, read from its bytes; none if it is for none of these contracts.
    #[must_use]
    pub fn decode(&self, call: &Call) -> Option<Decoded> {
        let to = call.to?;
        let (contract, _) = self.contracts().into_iter().find(|(_, at)| *at == to)?;
        let data = &call.data;
        match contract {
            "OperatorRegistry" => {
                type Calls = OperatorRegistry::OperatorRegistryCalls;
                decode::<Calls>(contract, data, Calls::signature_by_selector)
            }
            "BondedStake" => {
                type Calls = BondedStake::BondedStakeCalls;
                decode::<Calls>(contract, data, Calls::signature_by_selector)
            }
            "CommitteeManager" => {
                type Calls = CommitteeManager::CommitteeManagerCalls;
                decode::<Calls>(contract, data, Calls::signature_by_selector)
            }
            "ForcedInbox" => {
                type Calls = ForcedInbox::ForcedInboxCalls;
                decode::<Calls>(contract, data, Calls::signature_by_selector)
            }
            "FinalityAnchor" => {
                type Calls = FinalityAnchor::FinalityAnchorCalls;
                decode::<Calls>(contract, data, Calls::signature_by_selector)
            }
            _ => {
                type Calls = SlashingCourt::SlashingCourtCalls;
                decode::<Calls>(contract, data, Calls::signature_by_selector)
            }
        }
    }
}

fn decode<C: SolInterface + std::fmt::Debug>(
    contract: &'static str,
    data: &[u8],
    signature: fn([u8; 4]) -> Option<&'static str>,
) -> Option<Decoded> {
    let selector = data.first_chunk::<4>()?;
    let call = C::abi_decode_validate(data).ok()?;
    let pretty = format!("{call:#?}");
    // Fields of the struct inside the variant stand two levels deep.
    let fields = pretty.lines().filter_map(|line| {
        let line = line
            .strip_prefix("        ")
            .filter(|line| !line.starts_with([' ', ']', '}']))?;
        let (name, value) = line.split_once(": ")?;
        let value = value.strip_suffix(',').unwrap_or(value);
        let value = value.chars().take(ARGUMENT_TEXT_MAX).collect();
        Some((name.to_owned(), value))
    });
    let name = inner_text(&call);
    let function = signature(*selector).map_or(name, str::to_owned);
    Some(Decoded {
        contract,
        function,
        arguments: fields.collect(),
    })
}
