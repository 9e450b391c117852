//! The committee of the next epoch as L1 has it: members approve of it by themselves, once it is final there (R13).

use super::Shared;
use crate::handle::{SettlementHeard, Stopped};
use outrider_l1::state::CommitteeRecord;
use outrider_types::{
    Aggregate, Approve, Attester, Bytes, CommitteeChange, CommitteeId, Contact, Epoch, EpochStart,
    MemberIndex, Signed, Stake, TransportKey, Verified, decode,
};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;

/// From one sending of one's own approval to the next.
const AGAIN_EVERY: Duration = Duration::from_secs(5);
/// Approvals kept: those of members for changes that L1 may show here later.
const APPROVALS_MAX: usize = 4_096;

/// A committee on L1, and what its operators said of where they are, both as of one L1 block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// For which epoch.
    pub epoch: Epoch,
    /// Its id.
    pub id: CommitteeId,
    /// Contacts by operator.
    pub contacts: BTreeMap<[u8; 20], Bytes>,
}

type Approval = Verified<Signed<Approve>>;

/// What is approved of at the moment.
#[derive(Default)]
struct Desk {
    /// The change that L1 asks for, without approvals, and whether it was handed in.
    change: Option<(CommitteeChange, bool)>,
    approvals: BTreeMap<(Approve, MemberIndex), Approval>,
}

pub(super) async fn run(shared: Arc<Shared>) -> Result<(), Stopped> {
    let mut heard = shared.handle.heard_of_settlement();
    let mut wanted = shared.wanted.subscribe();
    let mut again = tokio::time::interval(AGAIN_EVERY);
    again.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut desk = Desk::default();
    let mut current = None;
    loop {
        tokio::select! {
            biased;
            changed = wanted.changed() => {
                if changed.is_err() {
                    return Err(Stopped);
                }
                current = wanted.borrow_and_update().clone();
                desk.look(&shared, current.as_ref()).await?;
            },
            said = heard.recv() => match said {
                Ok(SettlementHeard::Approval(approval)) => desk.take(&shared, approval).await?,
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Err(Stopped),
            },
            _ = again.tick() => desk.look(&shared, current.as_ref()).await?,
        }
    }
}

impl Desk {
    /// Approve of what L1 asks for, and say so again.
    async fn look(&mut self, shared: &Shared, wanted: Option<&Wanted>) -> Result<(), Stopped> {
        let start = shared.handle.epoch();
        let epoch = start.committee.epoch();
        self.approvals
            .retain(|(approve, _), _| approve.epoch >= epoch);
        let is_next = |wanted: &&Wanted| wanted.epoch == epoch.next();
        let Some(wanted) = wanted.filter(is_next) else {
            self.change = None;
            return Ok(());
        };
        let held = self.change.as_ref();
        if held.is_none_or(|(change, _)| change.next.id() != wanted.id) {
            let Some(change) = change_of(shared, &start, wanted).await else {
                return Ok(());
            };
            self.change = Some((change, false));
        }
        let Some((change, false)) = &self.change else {
            return Ok(());
        };
        if let Some(member) = start.committee.index_of(&shared.key.public_key()) {
            let approve = change.approvals.statement;
            let approval = Signed::sign(approve, start.committee.chain(), member, &shared.key);
            shared.handle.approve(approval.clone()).await?;
            self.take(shared, approval).await?;
        }
        Ok(())
    }

    async fn take(&mut self, shared: &Shared, approval: Approval) -> Result<(), Stopped> {
        if self.approvals.len() >= APPROVALS_MAX {
            self.approvals.pop_first();
        }
        self.approvals
            .insert((approval.statement, approval.signer), approval);
        let Some((change, submitted @ false)) = &mut self.change else {
            return Ok(());
        };
        let start = shared.handle.epoch();
        let approve = change.approvals.statement;
        let given = self
            .approvals
            .iter()
            .filter(|((one, _), _)| *one == approve);
        let Some(approvals) = Aggregate::assemble(given.map(|(_, approval)| approval)) else {
            return Ok(());
        };
        let quorum = start.committee.thresholds().quorum;
        if approvals.stake(&start.committee).unwrap_or(Stake(0)) < quorum {
            return Ok(());
        }
        change.approvals = approvals;
        *submitted = true;
        match shared.handle.submit_change(change.clone()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the committee that L1 asks for is not taken"),
            Err(_) => return Err(Stopped),
        }
        Ok(())
    }
}

/// The change that leads to a committee on L1; none if nothing changes, or L1 cannot be asked, or is wrong.
async fn change_of(
    shared: &Shared,
    start: &EpochStart,
    wanted: &Wanted,
) -> Option<CommitteeChange> {
    if start.committee.successor().id() == wanted.id && same_contacts(start, wanted) {
        return None;
    }
    let contracts = shared.contracts();
    let record = match contracts.latest().await {
        Ok(state) => state.committee(wanted.id).await,
        Err(error) => Err(error),
    };
    let record = match record {
        Ok(Some(record)) => record,
        Ok(None) => {
            tracing::warn!(id = %wanted.id, "L1 has lost a committee that it announced");
            return None;
        }
        Err(error) => {
            tracing::warn!(%error, "a committee cannot be read from L1; asking again");
            return None;
        }
    };
    let blocks = start.committee.epoch_blocks().unwrap_or(0);
    let Ok(next) = record.to_committee(start.committee.chain(), blocks) else {
        tracing::error!(id = %wanted.id, "the committee on L1 is not one that this network can have: it keeps the one it has");
        return None;
    };
    let contacts = contacts_of(&record, &wanted.contacts);
    let approve = Approve {
        epoch: start.committee.epoch(),
        change: CommitteeChange::id_of(&next, &contacts),
    };
    let approvals = Aggregate {
        statement: approve,
        signatures: Vec::new(),
    };
    Some(CommitteeChange {
        next,
        contacts,
        approvals,
    })
}

fn same_contacts(start: &EpochStart, wanted: &Wanted) -> bool {
    let said: BTreeSet<&[u8]> = wanted.contacts.values().map(|bytes| &**bytes).collect();
    start.contacts.iter().all(|contact| {
        let without = Contact {
            attester: None,
            ..contact.clone()
        };
        said.contains(&*outrider_types::encode(&without))
            || said.contains(&*outrider_types::encode(contact))
    })
}

/// Where the members are, by what their operators say. Whoever says nothing that can be used, or what another member says, is nowhere,
/// and keeps nobody else out.
fn contacts_of(record: &CommitteeRecord, said: &BTreeMap<[u8; 20], Bytes>) -> Vec<Contact> {
    let mut names = BTreeSet::new();
    let mut keys = BTreeSet::new();
    let mut addresses = BTreeSet::new();
    let contact = |(at, member): (usize, &outrider_l1::state::MemberRecord)| {
        let operator = member.operator.into_array();
        let own = said.get(&operator);
        let own = own.and_then(|bytes| decode::<Contact>(bytes.clone()).ok());
        let own = own.filter(usable).filter(|own| {
            let fresh = !names.contains(&own.name)
                && !keys.contains(&own.transport_key)
                && !addresses.contains(&own.address);
            if fresh {
                names.insert(own.name.clone());
                keys.insert(own.transport_key);
                addresses.insert(own.address);
            }
            fresh
        });
        let contact = own.unwrap_or_else(|| nowhere(at, member));
        Contact {
            attester: Some(Attester(member.attester.into_array())),
            ..contact
        }
    };
    record.members.iter().enumerate().map(contact).collect()
}

fn usable(contact: &Contact) -> bool {
    crate::committee_file::faults_of(0, contact).is_empty()
}

/// An address of TEST-NET-1 (RFC 5737), and a transport key that nobody has: its member key, which is one.
fn nowhere(at: usize, member: &outrider_l1::state::MemberRecord) -> Contact {
    let port = u16::try_from(at).unwrap_or(u16::MAX - 1) + 1;
    Contact {
        name: format!("operator-{}", hex::encode(member.operator)),
        transport_key: TransportKey(member.key.0),
        address: SocketAddr::from(([192, 0, 2, 1], port)),
        rpc: None,
        attester: None,
    }
}
