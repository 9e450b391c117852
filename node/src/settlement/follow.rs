//! Following L1: everything that happened there is taken in the order of its blocks, once these are final.

use super::Shared;
use super::committee::Wanted;
use crate::handle::{AskError, BlockAt, Stopped};
use outrider_finality::{InboxEntry, L1Block};
use outrider_l1::endpoints::Standing;
use outrider_l1::event::{Happened, L1Event};
use outrider_l1::finals::FinalBlock;
use outrider_l1::state::Contracts;
use outrider_l1::watch::{Marks, SettledPoint, WatchEvent, WatchLimits};
use outrider_l1::watcher::Watcher;
use outrider_types::{BlockId, Bytes, Height, L1BlockHash, Timestamp, Transaction};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Entries that may wait for the driver to have room for them; then L1 is not read on.
const WAITING_MAX: usize = 1_024;
/// Entries handed to the driver at once.
const ENTRIES_AT_ONCE: usize = 64;
/// Settled blocks that wait for this member to come as far.
const UNCHECKED_MAX: usize = 64;

/// One's place in L1.
struct Follow {
    shared: Arc<Shared>,
    /// Half of what the contract gives: from then on, no block may leave an entry out.
    half_window: Duration,
    entries: VecDeque<InboxEntry>,
    /// Final blocks that the driver was not told of, because entries before them wait.
    blocks: VecDeque<L1Block>,
    /// What operators say of where they are.
    contacts: BTreeMap<[u8; 20], Bytes>,
    /// What is settled, of as much as was read.
    marks: Marks,
    /// They changed, and nobody was told.
    moved: bool,
    /// Blocks that L1 has settled, to be compared with those of this member.
    unchecked: BTreeMap<Height, BlockId>,
    /// Everything that L1 holds was read once.
    caught: bool,
}

pub(super) async fn run(shared: Arc<Shared>) -> Result<(), Stopped> {
    let half_window = window(&shared).await? / 2;
    // Blocks may build on any L1 block from the origin of the last final one on.
    let origin = shared.handle.l1_wanted().await?.block;
    let mut watcher = Watcher::new(
        shared.endpoints.clone(),
        shared.config.deployment,
        WatchLimits::default(),
        shared.config.poll,
        origin.max(1),
    );
    let mut follow = Follow {
        half_window,
        shared,
        entries: VecDeque::new(),
        blocks: VecDeque::new(),
        contacts: BTreeMap::new(),
        marks: Marks::default(),
        moved: false,
        unchecked: BTreeMap::new(),
        caught: false,
    };
    loop {
        if follow.entries.len() < WAITING_MAX {
            for event in watcher.next().await {
                follow.on(event);
            }
        } else {
            tokio::time::sleep(follow.shared.config.poll).await;
        }
        follow.judge().await?;
        follow.feed().await?;
    }
}

/// How long the contract gives for an entry; asked for until L1 answers.
async fn window(shared: &Shared) -> Result<Duration, Stopped> {
    let contracts = shared.contracts();
    loop {
        let window = match contracts.latest().await {
            Ok(state) => state.inbox_window().await,
            Err(error) => Err(error),
        };
        match window {
            Ok(seconds) => {
                shared.modify(|report| report.outage = None);
                settled_before(shared, &contracts).await?;
                return Ok(Duration::from_secs(seconds));
            }
            Err(error) => {
                tracing::warn!(%error, "L1 cannot be followed; blocks stay soft-final and go on");
                shared.modify(|report| report.outage = Some(error.to_string()));
            }
        }
        // Ends with the driver.
        shared.handle.l1_wanted().await?;
        tokio::time::sleep(shared.config.poll).await;
    }
}

/// What was settled before this member looked: to read all that happened on L1 takes longer. An endpoint that does not have the state
/// of the final block does not say; then that does.
async fn settled_before(shared: &Shared, contracts: &Contracts) -> Result<(), Stopped> {
    let Ok(latest) = contracts.latest().await else {
        return Ok(());
    };
    let Ok(anchor) = latest.anchor().await else {
        return Ok(());
    };
    compare(shared, anchor.height, anchor.id).await?;
    let finalized = match latest.heads().finalized {
        Some(block) => latest.at(block).anchor().await.map(|anchor| anchor.height),
        None => Ok(Height(0)),
    };
    shared.modify(|report| {
        report.frozen |= anchor.frozen;
        match finalized {
            Ok(_) if report.diverged.is_some() => {}
            Ok(finalized) => {
                report.known = true;
                report.heights.l1(anchor.height, finalized);
            }
            Err(error) => {
                tracing::debug!(%error, "what is settled in the final block of L1 cannot be read");
            }
        }
    });
    shared.keep_unsettled();
    Ok(())
}

/// Compare what L1 has settled with this member's block of that height, if it has one.
async fn compare(shared: &Shared, height: Height, id: BlockId) -> Result<(), Stopped> {
    let ours = match shared.handle.block(BlockAt::Height(height)).await {
        Ok(Some(found)) => found.id,
        Ok(None) | Err(AskError::Pruned(_)) => return Ok(()),
        Err(AskError::Stopped(stopped)) => return Err(stopped),
    };
    if ours != id {
        tracing::error!(%height, settled = %id, %ours, "L1 has settled another block than this member has final: more than f stake is Byzantine, or the endpoints lie; trust neither before you know which, see the runbook");
        shared.modify(|report| report.diverged = Some(report.diverged.unwrap_or(height)));
    }
    Ok(())
}

impl Follow {
    fn on(&mut self, event: WatchEvent) {
        match event {
            WatchEvent::Heads(heads) => {
                let number = heads.latest.number;
                self.shared.modify(|report| report.l1_block = number);
            }
            WatchEvent::Final(block) => self.on_final(block),
            WatchEvent::Happened(Happened {
                event: L1Event::Snapshot { .. },
                ..
            }) => self.shared.rosters.send_modify(|times| *times += 1),
            // What is not final yet is of no use, but for what is settled and by whom.
            WatchEvent::Happened(_) => {}
            WatchEvent::Caught(_) => {
                self.moved |= !std::mem::replace(&mut self.caught, true);
            }
            WatchEvent::Marks(marks) => {
                self.marks = marks;
                self.moved = true;
                for point in [marks.settled, marks.finalized].into_iter().flatten() {
                    self.unchecked.insert(point.height, point.id);
                }
                // Of too many, the newest say most.
                while self.unchecked.len() > UNCHECKED_MAX {
                    self.unchecked.pop_first();
                }
            }
            WatchEvent::Reorg { old, ancestor } => {
                let kept = ancestor.map_or(0, |block| block.number);
                tracing::warn!(
                    old = old.number,
                    kept,
                    "L1 reorganised; what it had settled above is not settled any more, soft-final blocks stay"
                );
                self.shared.rosters.send_modify(|times| *times += 1);
            }
            WatchEvent::FinalReplaced { known, found } => {
                tracing::error!(
                    number = known.number,
                    ?known,
                    ?found,
                    "L1 endpoints took back a block that was final there: nothing of L1 is believed any more; look at the endpoints, then restart this member"
                );
                let reason = format!(
                    "L1 endpoints took back block {known}, which was final there, for {found}: nothing of L1 is believed until this member is restarted"
                );
                self.shared.modify(|report| report.outage = Some(reason));
            }
            WatchEvent::Endpoint(event) => match event.standing {
                Standing::Good => tracing::info!(url = event.url, "L1 endpoint is in use"),
                Standing::Alone => {
                    tracing::warn!(
                        url = event.url,
                        "the only L1 endpoint: nothing checks what it says; name others beside it in l1.endpoints"
                    );
                }
                standing => {
                    tracing::warn!(url = event.url, ?standing, "L1 endpoint is not used");
                }
            },
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

    /// Compare what L1 has settled with what is final here, as far as this member has come, and tell how far L1 is.
    async fn judge(&mut self) -> Result<(), Stopped> {
        let head = self.shared.handle.head().height;
        while let Some(next) = self.unchecked.first_entry()
            && *next.key() <= head
        {
            let (height, id) = next.remove_entry();
            compare(&self.shared, height, id).await?;
        }
        if std::mem::take(&mut self.moved) {
            self.on_marks();
        }
        Ok(())
    }

    /// Until everything that L1 holds was read, what is heard is less than there is, and no sign of a reorganisation.
    fn on_marks(&self) {
        let height = |point: Option<SettledPoint>| point.map_or(Height(0), |point| point.height);
        let (mut settled, mut finalized) =
            (height(self.marks.settled), height(self.marks.finalized));
        self.shared.modify(|report| {
            if !self.caught {
                settled = settled.max(report.heights.settled_height());
                finalized = finalized.max(report.heights.final_height());
            }
            report.known |= self.caught;
            if report.diverged.is_some() {
                return;
            }
            if !report.heights.l1(settled, finalized) {
                tracing::error!(%finalized, "L1 took back a settlement that was final there");
            }
        });
        self.shared.keep_unsettled();
    }

    fn on_final(&mut self, found: FinalBlock) {
        for happened in found.happened {
            self.take(happened);
        }
        self.blocks.push_back(L1Block {
            number: found.block.number,
            hash: L1BlockHash(found.block.hash.0),
        });
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
                let at = Timestamp(enqueued_at.saturating_mul(1_000_000));
                let transaction = Transaction {
                    rollup,
                    data: data.0,
                };
                let due = at.after(self.half_window);
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

    /// Tell the driver: entries first, then the blocks that they came up to.
    async fn feed(&mut self) -> Result<(), Stopped> {
        let handle = self.shared.handle.clone();
        let next = handle.l1_wanted().await?.entry;
        while self.entries.front().is_some_and(|entry| entry.index < next) {
            self.entries.pop_front();
        }
        let entries: Vec<InboxEntry> = self.entries.iter().take(ENTRIES_AT_ONCE).cloned().collect();
        let later = self.entries.get(entries.len());
        let ready = self
            .blocks
            .partition_point(|block| later.is_none_or(|entry| block.number < entry.l1));
        let blocks: Vec<L1Block> = self.blocks.drain(..ready).collect();
        if entries.is_empty() && blocks.is_empty() {
            return Ok(());
        }
        handle.saw_l1(blocks, entries).await
    }
}
