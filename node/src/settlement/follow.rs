//! Following L1: everything that happened there is taken in the order of its blocks, once these are final.

use super::Shared;
use super::committee::Wanted;
use crate::handle::Stopped;
use outrider_finality::{InboxEntry, L1Block};
use outrider_l1::endpoints::{Heads, Standing};
use outrider_l1::event::{Happened, L1Event};
use outrider_l1::model::BlockRef;
use outrider_l1::watch::{Marks, WatchEvent};
use outrider_l1::watcher::Watcher;
use outrider_types::{Bytes, Height, L1BlockHash, RollupId, Timestamp, Transaction};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Events of L1 that may wait here, not final there yet, or entries that the driver has no room for; then L1 is not read on.
const WAITING_MAX: usize = 8_192;
/// Entries handed to the driver at once.
const ENTRIES_AT_ONCE: usize = 64;

/// One's place in L1.
struct Follow {
    shared: Arc<Shared>,
    /// Half of what the contract gives: from then on, no block may leave an entry out.
    half_window: Option<Duration>,
    /// What happened in blocks that are not final yet, in order.
    waiting: VecDeque<Happened>,
    entries: VecDeque<InboxEntry>,
    /// What operators say of where they are.
    contacts: BTreeMap<[u8; 20], Bytes>,
    finalized: Option<BlockRef>,
    /// Everything up to this L1 block was told.
    caught: u64,
    /// The last that the driver was told of.
    told: u64,
}

pub(super) async fn run(shared: Arc<Shared>, mut watcher: Watcher) -> Result<(), Stopped> {
    let mut follow = Follow {
        shared,
        half_window: None,
        waiting: VecDeque::new(),
        entries: VecDeque::new(),
        contacts: BTreeMap::new(),
        finalized: None,
        caught: 0,
        told: 0,
    };
    loop {
        if follow.waiting.len() < WAITING_MAX && follow.entries.len() < WAITING_MAX {
            for event in watcher.next().await {
                follow.on(event);
            }
        } else {
            tokio::time::sleep(follow.shared.config.poll).await;
        }
        if follow.half_window.is_none() && !follow.read_window().await {
            continue;
        }
        follow.release();
        follow.feed().await?;
    }
}

impl Follow {
    fn on(&mut self, event: WatchEvent) {
        match event {
            WatchEvent::Heads(heads) => self.on_heads(&heads),
            WatchEvent::Happened(happened) => self.waiting.push_back(happened),
            WatchEvent::Reorg { old, ancestor } => {
                let kept = ancestor.map_or(0, |block| block.number);
                tracing::warn!(
                    old = old.number,
                    kept,
                    "L1 reorganised; what it had settled above is not settled any more, soft-final blocks stay"
                );
                self.waiting.retain(|one| one.place.number <= kept);
                self.caught = self.caught.min(kept);
            }
            WatchEvent::Marks(marks) => self.on_marks(&marks),
            WatchEvent::Caught(tip) => self.caught = tip.number,
            WatchEvent::FinalReplaced { known, found } => {
                tracing::error!(
                    number = known.number,
                    ?known,
                    ?found,
                    "L1 endpoints took back a block that was final there: nothing of L1 is believed any more; look at the endpoints, then restart this member"
                );
            }
            WatchEvent::Endpoint(event) => {
                let url = event.url;
                match event.standing {
                    Standing::Good => tracing::info!(%url, "L1 endpoint is in use"),
                    standing => tracing::warn!(%url, ?standing, "L1 endpoint is not used"),
                }
            }
            WatchEvent::Unreadable(place) => {
                tracing::warn!(?place, "an event of the contracts cannot be read");
            }
            WatchEvent::Outage { reason, retry } => {
                tracing::warn!(
                    reason,
                    ?retry,
                    "L1 cannot be followed; blocks stay soft-final and go on"
                );
                self.shared.modify(|report| report.outage = Some(reason));
            }
            WatchEvent::Restored => {
                tracing::info!("L1 is followed again");
                self.shared.modify(|report| report.outage = None);
            }
        }
    }

    fn on_heads(&mut self, heads: &Heads) {
        let newer = heads
            .finalized
            .filter(|new| self.finalized.is_none_or(|old| new.number > old.number));
        self.finalized = newer.or(self.finalized);
        let number = heads.latest.number;
        self.shared.modify(|report| report.l1_block = number);
    }

    fn on_marks(&mut self, marks: &Marks) {
        let height = |point: Option<outrider_l1::watch::SettledPoint>| {
            point.map_or(Height(0), |point| point.height)
        };
        let (settled, finalized) = (height(marks.settled), height(marks.finalized));
        super::lock(&self.shared.attestations).settled(settled);
        self.shared.modify(|report| {
            if !report.heights.l1(settled, finalized) {
                tracing::error!(%finalized, "L1 took back a settlement that was final there");
            }
        });
    }

    /// How long the contract gives. False while L1 cannot be asked.
    async fn read_window(&mut self) -> bool {
        let contracts = self.shared.contracts();
        let window = match contracts.latest().await {
            Ok(state) => state.inbox_window().await,
            Err(error) => Err(error),
        };
        match window {
            Ok(window) => {
                self.half_window = Some(window / 2);
                true
            }
            Err(error) => {
                tracing::warn!(%error, "the forced inbox cannot be read");
                false
            }
        }
    }

    /// Take what is final on L1 now.
    fn release(&mut self) {
        let last = self.finalized.map_or(0, |block| block.number);
        while let Some(happened) = self.waiting.front()
            && happened.place.number <= last
            && self.entries.len() < WAITING_MAX
            && let Some(happened) = self.waiting.pop_front()
        {
            self.take(happened);
        }
    }

    fn take(&mut self, Happened { place, event }: Happened) {
        match event {
            L1Event::Enqueued {
                index,
                rollup,
                enqueued_at,
                data,
                ..
            } => {
                let half = self.half_window.unwrap_or_default();
                let due = Timestamp(enqueued_at.saturating_mul(1_000_000)).after(half);
                let transaction = Transaction {
                    rollup: RollupId(rollup.0),
                    data: data.0,
                };
                let entry = InboxEntry::new((index, place.number), transaction, due);
                self.entries.push_back(entry);
            }
            L1Event::Registered {
                operator, contact, ..
            }
            | L1Event::Updated { operator, contact } => {
                self.contacts.insert(operator.into_array(), contact.0);
            }
            L1Event::Snapshot { epoch, id, .. } => {
                let wanted = Wanted {
                    epoch,
                    id,
                    contacts: self.contacts.clone(),
                };
                tracing::info!(%epoch, %id, l1_block = place.number, "L1 has a committee for an epoch");
                self.shared.wanted.send_replace(Some(wanted));
            }
            L1Event::Froze { epoch, height, .. } => {
                tracing::error!(%epoch, %height, "two certified blocks of one height were shown to L1: nothing settles any more");
                self.shared.modify(|report| report.frozen = true);
            }
            L1Event::Reported {
                operator, offence, ..
            } => tracing::warn!(%operator, offence, "an operator was reported on L1"),
            _ => {}
        }
    }

    /// Tell the driver: entries first, then the block that they came up to.
    async fn feed(&mut self) -> Result<(), Stopped> {
        let handle = self.shared.handle.clone();
        let next = handle.next_inbox_entry().await?;
        while self.entries.front().is_some_and(|entry| entry.index < next) {
            self.entries.pop_front();
        }
        let entries: Vec<InboxEntry> = self.entries.iter().take(ENTRIES_AT_ONCE).cloned().collect();
        let all = entries.len() == self.entries.len() && self.waiting_is_above_final();
        let blocks: Vec<L1Block> = self
            .finalized
            .filter(|last| all && self.caught >= last.number && last.number > self.told)
            .map(|last| L1Block {
                number: last.number,
                hash: L1BlockHash(last.hash.0),
            })
            .into_iter()
            .collect();
        if entries.is_empty() && blocks.is_empty() {
            return Ok(());
        }
        self.told = blocks.first().map_or(self.told, |block| block.number);
        handle.saw_l1(blocks, entries).await
    }

    fn waiting_is_above_final(&self) -> bool {
        let last = self.finalized.map_or(0, |block| block.number);
        self.waiting
            .front()
            .is_none_or(|happened| happened.place.number > last)
    }
}
