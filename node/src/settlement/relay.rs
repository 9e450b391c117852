//! Sending to L1: settlements and snapshots, by whoever's turn it is.

use super::{Shared, lock};
use crate::handle::Stopped;
use outrider_finality::{FEES_KEPT, Fees, SettlementPoint, is_turn};
use outrider_l1::calls::{Call, Signers};
use outrider_l1::sender::{SendError, Sender};
use outrider_l1::state::AnchorState;
use outrider_types::{Epoch, Height, MemberIndex};
use std::mem::{Discriminant, discriminant};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Of an epoch's blocks, the part after which L1 is asked for the next committee: there is time left for members to approve of it.
const SNAPSHOT_AFTER: (u64, u64) = (1, 2);
/// After a failure, at least so long until the next attempt.
const PAUSE: Duration = Duration::from_secs(2);
/// A failure that goes on is said again after so long.
const COMPLAIN_EVERY: Duration = Duration::from_secs(300);

struct Relay {
    shared: Arc<Shared>,
    sender: Sender,
    /// When the contract's settled height last rose, as seen here.
    rose: (Height, Instant),
    /// The epoch for which a snapshot was last sent from here.
    snapshot: Option<Epoch>,
    /// The failure that was last said, and when.
    complained: Option<(Discriminant<SendError>, Instant)>,
    /// The L1 block up to which it is known what gas costs.
    fees_at: Option<u64>,
}

pub(super) async fn run(shared: Arc<Shared>) -> Result<(), Stopped> {
    if !shared.config.relay {
        return Ok(());
    }
    let mut relay = Relay {
        sender: shared.sender(),
        rose: (Height(0), Instant::now()),
        snapshot: None,
        complained: None,
        fees_at: None,
        shared,
    };
    let mut epoch = relay.shared.handle.watch_epoch();
    loop {
        tokio::select! {
            biased;
            changed = epoch.changed() => if changed.is_err() {
                return Err(Stopped);
            },
            () = tokio::time::sleep(relay.shared.config.poll.max(PAUSE / 4)) => {}
        }
        match relay.look().await {
            Ok(()) => relay.complained = None,
            Err(error) => {
                relay.complain(&error);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

impl Relay {
    /// Whoever loses a race to another member hears from the contract that it came too late, which is nobody's fault.
    fn complain(&mut self, error: &SendError) {
        match error {
            SendError::WouldRevert { revert, .. } | SendError::Reverted { revert, .. }
                if ["NotAbove", "WrongEpoch"].contains(&revert.name.as_str()) =>
            {
                tracing::debug!(%error, "another member was faster");
            }
            _ => {
                let kind = discriminant(error);
                let said = self.complained.filter(|(said, _)| *said == kind);
                if said.is_some_and(|(_, at)| at.elapsed() < COMPLAIN_EVERY) {
                    return;
                }
                self.complained = Some((kind, Instant::now()));
                tracing::warn!(%error, "cannot send to L1 now; another member will, or this one later");
            }
        }
    }

    async fn look(&mut self) -> Result<(), SendError> {
        // Without L1 there is nothing to decide; whoever follows it says why.
        let contracts = self.shared.contracts();
        let Ok(state) = contracts.latest().await else {
            return Ok(());
        };
        let Ok(anchor) = state.anchor().await else {
            return Ok(());
        };
        self.note_fees(state.block().number).await;
        if !anchor.begun || anchor.frozen {
            return Ok(());
        }
        if anchor.height > self.rose.0 {
            self.rose = (anchor.height, Instant::now());
        }
        self.settle(&anchor).await?;
        self.snapshot(&anchor).await
    }

    /// What gas costs, whenever L1 has a new block.
    async fn note_fees(&mut self, number: u64) {
        if self.fees_at == Some(number) {
            return;
        }
        // The block to come is one of them.
        let blocks = FEES_KEPT as u64 - 1;
        match self.shared.endpoints.base_fees(blocks).await {
            Ok(base_fees) => {
                *lock(&self.shared.fees) = Fees::of(base_fees);
                self.fees_at = Some(number);
            }
            Err(error) => tracing::debug!(%error, "what gas costs on L1 is not known now"),
        }
    }

    /// This member's place among those of an epoch.
    fn seat(&self, epoch: Epoch) -> Option<(MemberIndex, usize)> {
        let epochs = lock(&self.shared.epochs);
        let member = epochs.seat(epoch, &self.shared.key.public_key())?;
        let start = epochs.get(epoch)?;
        Some((member, start.committee.members().len()))
    }

    async fn settle(&mut self, anchor: &AnchorState) -> Result<(), SendError> {
        let Some((point, waited)) = self.due(anchor) else {
            return Ok(());
        };
        let Some((member, members)) = self.seat(point.block.epoch) else {
            return Ok(());
        };
        let height = point.block.height;
        if !is_turn(height, member, members, waited, self.shared.config.fallback) {
            return Ok(());
        }
        let Some(call) = self.settlement(&point) else {
            return Ok(());
        };
        let receipt = self.sender.send(call).await?;
        self.rose = (height, Instant::now());
        tracing::info!(%height, l1_block = receipt.number, gas = receipt.gas_used, "settled on L1");
        Ok(())
    }

    /// What to settle now, and for how long someone could have done it.
    fn due(&self, anchor: &AnchorState) -> Option<(SettlementPoint, Duration)> {
        let now = self.shared.now();
        let point = {
            let attestations = lock(&self.shared.attestations);
            attestations.next(anchor.epoch).cloned()
        };
        let point = point.filter(|point| point.block.height > anchor.height)?;
        let pause = self.shared.config.cadence.pause(&lock(&self.shared.fees));
        let since = self.rose.1.elapsed();
        // Nothing of the next epoch settles before the end of this one.
        let is_end = point.block.next != outrider_types::CommitteeId::NONE;
        if since < pause && !is_end {
            return None;
        }
        let complete = point.complete().map_or(Duration::ZERO, |at| now.since(at));
        let waited = if is_end {
            complete
        } else {
            since.saturating_sub(pause).min(complete)
        };
        Some((point, waited))
    }

    fn settlement(&self, point: &SettlementPoint) -> Option<Call> {
        let signatures: Vec<(u16, [u8; 64])> = point
            .attestations()
            .map(|one| (one.signer.0, one.signature.0))
            .collect();
        let signers = Signers::new(&signatures)?;
        let deployment = &self.shared.config.deployment;
        Some(deployment.settle(&point.block.header_bytes(), &signers))
    }

    /// In the latter half of an epoch: have L1 say who is in the next one.
    async fn snapshot(&mut self, anchor: &AnchorState) -> Result<(), SendError> {
        let start = self.shared.handle.epoch();
        let (epoch, next) = (start.committee.epoch(), start.committee.epoch().next());
        let known = self
            .shared
            .wanted
            .borrow()
            .as_ref()
            .map(|wanted| wanted.epoch);
        if anchor.epoch != epoch || self.snapshot == Some(next) || known == Some(next) {
            return Ok(());
        }
        let Some(last) = start.committee.last_height(start.base.height) else {
            return Ok(());
        };
        let head = self.shared.handle.head().height;
        let (part, whole) = SNAPSHOT_AFTER;
        let half = start.base.height.0 + (last.0 - start.base.height.0) * part / whole;
        if head.0 < half {
            return Ok(());
        }
        let Some((member, members)) = self.seat(epoch) else {
            return Ok(());
        };
        // Blocks tell how long someone could have done it: there are at least as many as idle ones.
        let waited = Duration::from_millis((head.0 - half) * 200);
        if !is_turn(
            Height(epoch.0),
            member,
            members,
            waited,
            self.shared.config.fallback,
        ) {
            return Ok(());
        }
        let call = self.shared.config.deployment.snapshot(next);
        let receipt = self.sender.send(call).await?;
        self.snapshot = Some(next);
        tracing::info!(epoch = %next, l1_block = receipt.number, gas = receipt.gas_used, "asked L1 for the next committee");
        Ok(())
    }
}
