//! Whom L1 counts. Attesters are not in the id of a committee: until the contract enters an epoch, a later snapshot of the same committee
//! may name other ones. Contacts hold those of when the change was approved of, which is good enough until L1 can be asked.

use super::epochs::catch_up;
use super::{Shared, lock};
use crate::handle::Stopped;
use outrider_ethereum::attestation::recover;
use outrider_l1::state::{CommitteeRecord, StateError};
use outrider_types::{Attester, Committee, Epoch, EpochStart};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) async fn run(shared: Arc<Shared>) -> Result<(), Stopped> {
    let mut rosters = shared.rosters.subscribe();
    let mut epoch = shared.handle.watch_epoch();
    loop {
        // What changes from here on is looked at again.
        rosters.mark_unchanged();
        catch_up(&shared.handle, &shared.epochs).await?;
        let known = match read(&shared).await {
            Ok(found) => {
                for (epoch, attesters) in found {
                    take(&shared, epoch, attesters);
                }
                true
            }
            Err(error) => {
                tracing::debug!(%error, "attesters cannot be read from L1; asking again");
                false
            }
        };
        tokio::select! {
            biased;
            changed = epoch.changed() => changed.map_err(|_| Stopped)?,
            changed = rosters.changed() => changed.map_err(|_| Stopped)?,
            () = tokio::time::sleep(shared.config.poll), if !known => {}
        }
    }
}

/// The attesters of each epoch from the one that settles on, as of the newest L1 block: members of one's own committee in their order.
async fn read(shared: &Shared) -> Result<BTreeMap<Epoch, Vec<Attester>>, StateError> {
    let contracts = shared.contracts();
    let state = contracts.latest().await?;
    let anchor = state.anchor().await?;
    let starts: Vec<EpochStart> = lock(&shared.epochs).from(anchor.epoch).cloned().collect();
    let mut found = BTreeMap::new();
    let mut before: Option<CommitteeRecord> = None;
    for start in starts {
        let committee = &start.committee;
        // A committee that goes on need not be recorded: its attesters go on, too.
        let record = state.committee(committee.id()).await?.or(before);
        let attesters = record.as_ref().and_then(|one| attesters(committee, one));
        if let Some(attesters) = attesters {
            found.insert(committee.epoch(), attesters);
        }
        before = record;
    }
    Ok(found)
}

/// None if it is another committee's record.
fn attesters(committee: &Committee, record: &CommitteeRecord) -> Option<Vec<Attester>> {
    let of = |key| {
        let member = record.members.iter().find(|member| member.key == key)?;
        Some(Attester(member.attester.into_array()))
    };
    let members = committee.members().iter();
    members.map(|member| of(member.public_key)).collect()
}

fn take(shared: &Shared, epoch: Epoch, attesters: Vec<Attester>) {
    let mut epochs = lock(&shared.epochs);
    if !epochs.set_attesters(epoch, attesters) {
        return;
    }
    let seat = epochs.seat(epoch, &shared.key.public_key());
    let known = seat.and_then(|member| epochs.attester(epoch, member));
    let found = shared.attester.attester();
    if let Some(known) = known.filter(|known| *known != found) {
        tracing::warn!(%epoch, %known, %found, "L1 knows another attester key of this member: its attestations count for nothing in this epoch; `outrider operator rotate` changes it for later ones");
    }
    let Some(start) = epochs.get(epoch) else {
        return;
    };
    lock(&shared.attestations).recheck(&start.committee, |one| {
        let signed = recover(&shared.digest(one.block), &one.signature);
        signed.is_some() && signed == epochs.attester(epoch, one.signer)
    });
}
