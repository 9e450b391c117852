//! Who were members when, for attestations of blocks of epochs that are over.

use crate::handle::{NodeHandle, Stopped};
use outrider_types::{Block, Contact, Epoch, EpochStart, MemberIndex, PublicKey};
use std::collections::BTreeMap;

/// Epochs that are remembered. Settlement that is further behind than that begins again where it can.
const EPOCHS_KEPT: usize = 64;

/// The last epochs, and their last blocks.
#[derive(Debug)]
pub(super) struct Epochs {
    starts: BTreeMap<Epoch, EpochStart>,
    lasts: BTreeMap<Epoch, Block>,
}

impl Epochs {
    pub(super) fn new(genesis: EpochStart) -> Self {
        Self {
            starts: BTreeMap::from([(genesis.committee.epoch(), genesis)]),
            lasts: BTreeMap::new(),
        }
    }

    pub(super) fn get(&self, epoch: Epoch) -> Option<&EpochStart> {
        self.starts.get(&epoch)
    }

    /// The last block of an epoch that is over.
    pub(super) fn last_of(&self, epoch: Epoch) -> Option<&Block> {
        self.lasts.get(&epoch)
    }

    /// A member of an epoch by its key.
    pub(super) fn seat(&self, epoch: Epoch, key: &PublicKey) -> Option<(MemberIndex, &Contact)> {
        let start = self.get(epoch)?;
        let member = start.committee.index_of(key)?;
        Some((member, start.contacts.get(member.index())?))
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
        if !added {
            // The way here was pruned: only this epoch is known.
            let epoch = current.committee.epoch();
            epochs.starts.insert(epoch, (*current).clone());
            return Ok(());
        }
    }
}
