//! What happens on the contracts, out of their logs.

use crate::abi::{CommitteeManager, FinalityAnchor, ForcedInbox, OperatorRegistry, SlashingCourt};
use crate::deployment::Deployment;
use crate::model::Log;
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::SolEvent;
use outrider_types::{BlockId, CommitteeId, Epoch, Height, PublicKey, RollupId};

/// Where something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The L1 block's number.
    pub number: u64,
    /// The L1 block's hash.
    pub block: B256,
    /// The place in the block.
    pub index: u64,
    /// The transaction.
    pub transaction: B256,
}

impl Place {
    /// Of a log.
    #[must_use]
    pub const fn of(log: &Log) -> Self {
        Self {
            number: log.number,
            block: log.block,
            index: log.index,
            transaction: log.transaction,
        }
    }
}

/// Something that happened on L1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happened {
    /// Where.
    pub place: Place,
    /// What.
    pub event: L1Event,
}

/// What happens on the contracts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum L1Event {
    /// An operator registered.
    Registered {
        /// Who.
        operator: Address,
        /// Its member key.
        member: PublicKey,
        /// Its attester.
        attester: Address,
        /// Its contact, as it gave it.
        contact: Bytes,
    },
    /// An operator has another member key from the next snapshot on.
    Rotated {
        /// Who.
        operator: Address,
        /// The new key.
        member: PublicKey,
    },
    /// An operator has another attester from the next snapshot on.
    AttesterRotated {
        /// Who.
        operator: Address,
        /// The new one.
        attester: Address,
    },
    /// An operator has another contact.
    Updated {
        /// Who.
        operator: Address,
        /// Its contact, as it gave it.
        contact: Bytes,
    },
    /// An operator leaves.
    Exited {
        /// Who.
        operator: Address,
    },
    /// An operator was thrown out.
    Ejected {
        /// Who.
        operator: Address,
    },
    /// A committee was recorded.
    Snapshot {
        /// Of which epoch.
        epoch: Epoch,
        /// Its id.
        id: CommitteeId,
        /// Its members.
        members: u16,
        /// Their stake, in units.
        total: u64,
        /// Of which L1 block.
        l1_block: u64,
    },
    /// Settlement began.
    Begun {
        /// With this committee.
        committee: CommitteeId,
        /// From this genesis block.
        id: BlockId,
    },
    /// A checkpoint settled.
    Settled {
        /// Its height.
        height: Height,
        /// The block.
        id: BlockId,
        /// Its epoch.
        epoch: Epoch,
        /// Entries of the inbox that are consumed.
        inbox: u64,
        /// Who sent it.
        relayer: Address,
        /// By a certificate of votes instead of attestations.
        native: bool,
    },
    /// An epoch ended.
    EpochEnded {
        /// Which.
        epoch: Epoch,
        /// Who follows.
        next: CommitteeId,
    },
    /// Two certified blocks of one height: nothing settles any more.
    Froze {
        /// Their epoch.
        epoch: Epoch,
        /// Their height.
        height: Height,
        /// One.
        a: BlockId,
        /// The other.
        b: BlockId,
    },
    /// A transaction was put into the forced inbox.
    Enqueued {
        /// Its place there.
        index: u64,
        /// For which rollup.
        rollup: RollupId,
        /// Who put it there.
        sender: Address,
        /// When, in seconds since the Unix epoch.
        enqueued_at: u64,
        /// The transaction.
        data: Bytes,
    },
    /// A case was opened.
    Reported {
        /// Which.
        case: U256,
        /// Against whom.
        operator: Address,
        /// Of which offence.
        offence: u8,
        /// In which epoch.
        epoch: Epoch,
        /// By whom.
        reporter: Address,
    },
    /// A case was closed without punishment.
    Vetoed {
        /// Which.
        case: U256,
    },
    /// An operator was slashed.
    Executed {
        /// In which case.
        case: U256,
        /// Wei that it lost.
        taken: U256,
        /// Wei of it for the reporter.
        reward: U256,
    },
}

fn decode<E: SolEvent>(log: &Log) -> Option<E> {
    E::decode_raw_log_validate(log.topics.iter().copied(), &log.data).ok()
}

/// Reads a log of one contract: none if it is not of it, or cannot be read.
fn registry(log: &Log) -> Option<L1Event> {
    use OperatorRegistry as R;
    Some(match *log.topics.first()? {
        R::Registered::SIGNATURE_HASH => {
            let event: R::Registered = decode(log)?;
            L1Event::Registered {
                operator: event.operator,
                member: PublicKey(event.memberKey.0),
                attester: event.attester,
                contact: event.contact,
            }
        }
        R::Rotated::SIGNATURE_HASH => {
            let event: R::Rotated = decode(log)?;
            L1Event::Rotated {
                operator: event.operator,
                member: PublicKey(event.memberKey.0),
            }
        }
        R::AttesterRotated::SIGNATURE_HASH => {
            let event: R::AttesterRotated = decode(log)?;
            L1Event::AttesterRotated {
                operator: event.operator,
                attester: event.attester,
            }
        }
        R::Updated::SIGNATURE_HASH => {
            let event: R::Updated = decode(log)?;
            L1Event::Updated {
                operator: event.operator,
                contact: event.contact,
            }
        }
        R::Exited::SIGNATURE_HASH => L1Event::Exited {
            operator: decode::<R::Exited>(log)?.operator,
        },
        R::Ejected::SIGNATURE_HASH => L1Event::Ejected {
            operator: decode::<R::Ejected>(log)?.operator,
        },
        _ => return None,
    })
}

fn anchor(log: &Log) -> Option<L1Event> {
    use FinalityAnchor as A;
    Some(match *log.topics.first()? {
        A::Begun::SIGNATURE_HASH => {
            let event: A::Begun = decode(log)?;
            L1Event::Begun {
                committee: CommitteeId(event.committeeId.0),
                id: BlockId(event.id.0),
            }
        }
        A::Settled::SIGNATURE_HASH => {
            let event: A::Settled = decode(log)?;
            L1Event::Settled {
                height: Height(event.height),
                id: BlockId(event.id.0),
                epoch: Epoch(event.epoch),
                inbox: event.inbox,
                relayer: event.relayer,
                native: event.native,
            }
        }
        A::EpochEnded::SIGNATURE_HASH => {
            let event: A::EpochEnded = decode(log)?;
            L1Event::EpochEnded {
                epoch: Epoch(event.epoch),
                next: CommitteeId(event.nextCommittee.0),
            }
        }
        A::Froze::SIGNATURE_HASH => {
            let event: A::Froze = decode(log)?;
            L1Event::Froze {
                epoch: Epoch(event.epoch),
                height: Height(event.height),
                a: BlockId(event.a.0),
                b: BlockId(event.b.0),
            }
        }
        _ => return None,
    })
}

fn court(log: &Log) -> Option<L1Event> {
    use SlashingCourt as C;
    Some(match *log.topics.first()? {
        C::Reported::SIGNATURE_HASH => {
            let event: C::Reported = decode(log)?;
            L1Event::Reported {
                case: event.caseId,
                operator: event.operator,
                offence: event.offence,
                epoch: Epoch(event.epoch),
                reporter: event.reporter,
            }
        }
        C::Vetoed::SIGNATURE_HASH => L1Event::Vetoed {
            case: decode::<C::Vetoed>(log)?.caseId,
        },
        C::Executed::SIGNATURE_HASH => {
            let event: C::Executed = decode(log)?;
            L1Event::Executed {
                case: event.caseId,
                taken: event.taken,
                reward: event.reward,
            }
        }
        _ => return None,
    })
}

fn snapshot(log: &Log) -> Option<L1Event> {
    let event: CommitteeManager::Snapshot = decode(log)?;
    Some(L1Event::Snapshot {
        epoch: Epoch(event.epoch),
        id: CommitteeId(event.id.0),
        members: event.members,
        total: event.total,
        l1_block: event.l1Block,
    })
}

fn enqueued(log: &Log) -> Option<L1Event> {
    let event: ForcedInbox::Enqueued = decode(log)?;
    Some(L1Event::Enqueued {
        index: event.index,
        rollup: RollupId(event.rollup),
        sender: event.sender,
        enqueued_at: event.enqueuedAt,
        data: event.data,
    })
}

impl Happened {
    /// What a log tells; none if it is of no contract of ours, or of none of these events.
    #[must_use]
    pub fn read(log: &Log, deployment: &Deployment) -> Option<Self> {
        let address = log.address;
        let event = if address == deployment.operator_registry {
            registry(log)
        } else if address == deployment.committee_manager {
            snapshot(log)
        } else if address == deployment.forced_inbox {
            enqueued(log)
        } else if address == deployment.finality_anchor {
            anchor(log)
        } else if address == deployment.slashing_court {
            court(log)
        } else {
            None
        };
        event.map(|event| Self {
            place: Place::of(log),
            event,
        })
    }
}

/// The first topics of everything that is read.
#[must_use]
pub fn topics() -> Vec<B256> {
    vec![
        OperatorRegistry::Registered::SIGNATURE_HASH,
        OperatorRegistry::Rotated::SIGNATURE_HASH,
        OperatorRegistry::AttesterRotated::SIGNATURE_HASH,
        OperatorRegistry::Updated::SIGNATURE_HASH,
        OperatorRegistry::Exited::SIGNATURE_HASH,
        OperatorRegistry::Ejected::SIGNATURE_HASH,
        CommitteeManager::Snapshot::SIGNATURE_HASH,
        ForcedInbox::Enqueued::SIGNATURE_HASH,
        FinalityAnchor::Begun::SIGNATURE_HASH,
        FinalityAnchor::Settled::SIGNATURE_HASH,
        FinalityAnchor::EpochEnded::SIGNATURE_HASH,
        FinalityAnchor::Froze::SIGNATURE_HASH,
        SlashingCourt::Reported::SIGNATURE_HASH,
        SlashingCourt::Vetoed::SIGNATURE_HASH,
        SlashingCourt::Executed::SIGNATURE_HASH,
    ]
}
