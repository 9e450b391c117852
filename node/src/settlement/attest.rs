//! Attesting: this member's signatures for L1 under final blocks, and those of the others.

use super::epochs::catch_up;
use super::journal::AttestationJournal;
use super::{Shared, lock};
use crate::handle::{AskError, BlockAt, CommittedBlock, SettlementHeard, Stopped};
use outrider_ethereum::attestation::recover;
use outrider_finality::{Attested, is_settlement_point};
use outrider_types::{Attestation, Block, BlockId, Height};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;

/// From one sending of one's own attestations to the next: a member that was away hears them, too.
const AGAIN_EVERY: Duration = Duration::from_secs(5);
/// Of the own attestations that are sent again at once, the newest; the others are those that end an epoch.
const AGAIN_MAX: usize = 8;
/// Blocks looked through after a start for what should be attested to.
const LOOK_BACK_BLOCKS: u64 = 2_048;

/// Attests, and hears others do so.
struct Desk {
    shared: Arc<Shared>,
    journal: AttestationJournal,
}

pub(super) async fn run(shared: Arc<Shared>, journal: AttestationJournal) -> Result<(), Stopped> {
    let mut blocks = shared.handle.follow();
    let mut heard = shared.handle.heard_of_settlement();
    let mut desk = Desk { shared, journal };
    let mut parent = desk.look_back().await?;
    let mut again = tokio::time::interval(AGAIN_EVERY);
    again.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            block = blocks.recv() => match block {
                Ok(block) => parent = desk.on_block(parent, &block).await?,
                // What was missed is looked for.
                Err(RecvError::Lagged(_)) => parent = desk.look_back().await?,
                Err(RecvError::Closed) => return Err(Stopped),
            },
            said = heard.recv() => match said {
                Ok(SettlementHeard::Attestation(attestation)) => take(&desk.shared, attestation),
                // For others; or some were missed, and come again.
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Err(Stopped),
            },
            _ = again.tick() => say_again(&desk.shared).await?,
        }
    }
}

impl Desk {
    /// Go through the last blocks, and the last of each epoch before them, in order of height: a member attests to nothing below what it
    /// has attested to.
    async fn look_back(&mut self) -> Result<Option<Block>, Stopped> {
        let shared = self.shared.clone();
        catch_up(&shared.handle, &shared.epochs).await?;
        let head = shared.handle.head().height;
        let settled = shared.settled();
        let from = settled.0.max(head.0.saturating_sub(LOOK_BACK_BLOCKS));
        let ends: Vec<Block> = {
            let epochs = lock(&shared.epochs);
            let unsettled = |last: &&Block| last.height > settled && last.height.0 <= from;
            epochs.lasts().filter(unsettled).copied().collect()
        };
        for last in ends {
            self.open(last, last.id()).await?;
        }
        let mut parent: Option<Block> = None;
        for height in from..=head.0 {
            let at = BlockAt::Height(Height(height));
            parent = match shared.handle.block(at).await {
                Ok(Some(found)) => self.on_block(parent, &found).await?,
                Ok(None) | Err(AskError::Pruned(_)) => None,
                Err(AskError::Stopped(stopped)) => return Err(stopped),
            };
        }
        Ok(parent)
    }

    async fn on_block(
        &mut self,
        parent: Option<Block>,
        found: &CommittedBlock,
    ) -> Result<Option<Block>, Stopped> {
        let (shared, block) = (&self.shared, found.block);
        shared.soft(block.height);
        if lock(&shared.epochs).get(block.epoch).is_none() {
            catch_up(&shared.handle, &shared.epochs).await?;
        }
        if parent.is_some_and(|parent| is_settlement_point(&parent, &block)) {
            self.open(block, found.id).await?;
        }
        Ok(Some(block))
    }

    /// A block to be attested to is final here.
    async fn open(&mut self, block: Block, id: BlockId) -> Result<(), Stopped> {
        lock(&self.shared.attestations).open(block, id);
        if let Some(own) = self.sign(&block, id).await? {
            take(&self.shared, own);
            self.shared.handle.attest(own).await?;
        }
        let early = lock(&self.shared.attestations).take_early(block.height);
        for attestation in early {
            take(&self.shared, attestation);
        }
        Ok(())
    }

    /// This member's attestation, if it is a member of the block's epoch, L1 knows its attester key, and it may. It is written down first.
    async fn sign(&mut self, block: &Block, id: BlockId) -> Result<Option<Attestation>, Stopped> {
        let shared = self.shared.clone();
        let (signer, base) = {
            let epochs = lock(&shared.epochs);
            let Some(signer) = epochs.seat(block.epoch, &shared.key.public_key()) else {
                return Ok(None);
            };
            if epochs.attester(block.epoch, signer) != Some(shared.attester.attester()) {
                return Ok(None);
            }
            let base = epochs.get(block.epoch).map(|start| start.base.timestamp);
            (signer, base.unwrap_or_default())
        };
        if !self.journal.attest(block, base).await? {
            return Ok(None);
        }
        let signature = shared.attester.sign(&shared.digest(id));
        Ok(signature.map(|signature| Attestation {
            epoch: block.epoch,
            height: block.height,
            block: id,
            signer,
            signature,
        }))
    }
}

/// Someone's attestation: only what the contract would count is kept.
fn take(shared: &Shared, attestation: Attestation) {
    let committee = {
        let epochs = lock(&shared.epochs);
        let Some(start) = epochs.get(attestation.epoch) else {
            return;
        };
        let Some(attester) = epochs.attester(attestation.epoch, attestation.signer) else {
            return;
        };
        let signed = recover(&shared.digest(attestation.block), &attestation.signature);
        if signed != Some(attester) {
            tracing::debug!(signer = %attestation.signer, "an attestation is not signed by its attester");
            return;
        }
        start.committee.clone()
    };
    let now = shared.now();
    let taken = lock(&shared.attestations).add(attestation, &committee, now);
    if taken == Attested::Complete {
        tracing::debug!(height = %attestation.height, "enough attestations to settle");
    }
}

/// Say again what L1 has not settled: the newest, and the end of every epoch, for L1 settles nothing of the next one before it.
async fn say_again(shared: &Shared) -> Result<(), Stopped> {
    catch_up(&shared.handle, &shared.epochs).await?;
    let said: BTreeMap<Height, Attestation> = {
        let epochs = lock(&shared.epochs);
        let attestations = lock(&shared.attestations);
        let key = shared.key.public_key();
        let own: Vec<&Attestation> = epochs
            .seats(&key)
            .flat_map(|(epoch, member)| {
                let own = attestations.own(member);
                own.filter(move |one| one.epoch == epoch)
            })
            .collect();
        let is_end = |one: &&&Attestation| {
            let last = epochs.last_of(one.epoch);
            last.is_some_and(|last| last.height == one.height)
        };
        let newest = own.iter().rev().take(AGAIN_MAX);
        let ends = own.iter().filter(is_end);
        newest.chain(ends).map(|one| (one.height, **one)).collect()
    };
    for attestation in said.into_values() {
        shared.handle.attest(attestation).await?;
    }
    Ok(())
}
