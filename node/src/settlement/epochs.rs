//! Who were members when, for attestations of blocks of epochs that are over.

use crate::handle::{NodeHandle, Stopped};
use outrider_types::{Attester, Block, Epoch, EpochStart, MemberIndex, PublicKey};
use std::collections::BTreeMap;

/// Epochs that are remembered. Settlement that is further behind than that begins again where it can.
const EPOCHS_KEPT: usize = 64;

/// The last epochs, and their last blocks.
#[derive(Debug)]
pub(super) struct Epochs {
    starts: BTreeMap<Epoch, EpochStart>,
    lasts: BTreeMap<Epoch, Block>,
    /// Whom L1 counts, by member; for epochs that it was asked about.
    attesters: BTreeMap<Epoch, Vec<Attester>>,
}

impl Epochs {
    pub(super) fn new(genesis: EpochStart) -> Self {
        Self {
            starts: BTreeMap::from([(genesis.committee.epoch(), genesis)]),
            lasts: BTreeMap::new(),
            attesters: BTreeMap::new(),
        }
    }

    pub(super) fn get(&self, epoch: Epoch) -> Option<&EpochStart> {
        self.starts.get(&epoch)
    }

    /// The last block of an epoch that is over.
    pub(super) fn last_of(&self, epoch: Epoch) -> Option<&Block> {
        self.lasts.get(&epoch)
    }

    /// Epochs from this one on.
    pub(super) fn from(&self, epoch: Epoch) -> impl Iterator<Item = &EpochStart> {
        self.starts.range(epoch..).map(|(_, start)| start)
    }

    /// Last blocks of the epochs that are over, oldest first.
    pub(super) fn lasts(&self) -> impl Iterator<Item = &Block> {
        self.lasts.values()
    }

    /// A member of an epoch by its key.
    pub(super) fn seat(&self, epoch: Epoch, key: &PublicKey) -> Option<MemberIndex> {
        self.get(epoch)?.committee.index_of(key)
    }

    /// The epochs of which this key is a member's.
    pub(super) fn seats(&self, key: &PublicKey) -> impl Iterator<Item = (Epoch, MemberIndex)> {
        let seat =
            |(epoch, start): (&Epoch, &EpochStart)| Some((*epoch, start.committee.index_of(key)?));
        self.starts.iter().filter_map(seat)
    }

    /// Whom L1 counts attestations of a member by: as it says, or else as contacts say.
    pub(super) fn attester(&self, epoch: Epoch, member: MemberIndex) -> Option<Attester> {
        if let Some(told) = self.attesters.get(&epoch) {
            return told.get(member.index()).copied();
        }
        self.get(epoch)?.contacts.get(member.index())?.attester
    }

    /// What L1 says of the attesters of an epoch. Whether it is something else than before.
    pub(super) fn set_attesters(&mut self, epoch: Epoch, attesters: Vec<Attester>) -> bool {
        if !self.starts.contains_key(&epoch) {
            return false;
        }
        let old = self.attesters.insert(epoch, attesters);
        old.as_ref() != self.attesters.get(&epoch)
    }

    fn newest(&self) -> Option<&EpochStart> {
        self.starts.last_key_value().map(|(_, start)| start)
    }
}

/// Learn of all epochs up to the current one.
pub(super) async fn catch_up(
    handle: &NodeHandle,
    epochs: &std::sync::Mutex<Epochs>,
) -> Result<(), Stopped> {
    loop {
        let known = super::lock(epochs)
            .newest()
            .map(|start| start.committee.epoch());
        let (Some(known), current) = (known, handle.epoch()) else {
            return Ok(());
        };
        if known >= current.committee.epoch() {
            return Ok(());
        }
        let ends = handle.epoch_ends(known).await?;
        let mut epochs = super::lock(epochs);
        let before = epochs.starts.len();
        for end in ends {
            let Some(start) = epochs.get(end.last.epoch).map(|start| end.start(start)) else {
                continue;
            };
            epochs.lasts.insert(end.last.epoch, end.last);
            epochs.starts.insert(start.committee.epoch(), start);
        }
        let added = epochs.starts.len() > before;
        while epochs.starts.len() > EPOCHS_KEPT {
            epochs.starts.pop_first();
            epochs.lasts.pop_first();
        }
        let oldest = epochs.starts.keys().next().copied();
        if let Some(oldest) = oldest {
            epochs.attesters = epochs.attesters.split_off(&oldest);
        }
        if !added {
            // The way here was pruned: only this epoch is known.
            let epoch = current.committee.epoch();
            epochs.starts.insert(epoch, (*current).clone());
            return Ok(());
        }
    }
}
