//! The thin shell of [`crate::watch::Watch`] and [`crate::finals::Finals`]: asks the endpoints, waits between polls, and longer while L1 is away.

use crate::deployment::Deployment;
use crate::endpoints::{AgreementError, Endpoints};
use crate::finals::{Finals, FinalsError};
use crate::watch::{Ask, Told, Turn, Watch, WatchEvent, WatchLimits};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Most questions of one poll; what is left is asked at once in the next.
const ASKS_MAX: usize = 32;
/// The longest wait while L1 is away.
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// Why a poll failed.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error(transparent)]
    Agreement(#[from] AgreementError),
    #[error(transparent)]
    Finals(#[from] FinalsError),
}

/// Follows L1. It starts no task: whoever owns it calls [`Watcher::next`] over and over.
#[derive(Debug)]
pub struct Watcher {
    endpoints: Endpoints,
    watch: Watch,
    finals: Finals,
    interval: Duration,
    /// While L1 is away.
    backoff: Option<Duration>,
    next_at: Instant,
    /// Told by a call of `next` that was not waited for.
    pending: Vec<WatchEvent>,
}

impl Watcher {
    /// A poll every `interval`. Each final block is told from `every_final_from` on, before that the last of each range that was read.
    #[must_use]
    pub fn new(
        endpoints: Endpoints,
        deployment: Deployment,
        limits: WatchLimits,
        interval: Duration,
        every_final_from: u64,
    ) -> Self {
        let (range, segment) = (limits.range_blocks, limits.segment_blocks);
        Self {
            endpoints,
            finals: Finals::new(deployment, every_final_from, range, segment),
            watch: Watch::new(deployment, limits),
            interval,
            backoff: None,
            next_at: Instant::now(),
            pending: Vec::new(),
        }
    }

    /// What is known.
    #[must_use]
    pub const fn watch(&self) -> &Watch {
        &self.watch
    }

    /// What is known of final blocks.
    #[must_use]
    pub const fn finals(&self) -> &Finals {
        &self.finals
    }

    /// Wait for the next poll, and tell what is new; often nothing. It may be dropped at any time: nothing is lost.
    pub async fn next(&mut self) -> Vec<WatchEvent> {
        sleep_until(self.next_at).await;
        let outcome = self.poll().await;
        let events = self.endpoints.take_events();
        self.pending
            .extend(events.into_iter().map(WatchEvent::Endpoint));
        let wait = match outcome {
            Ok(is_behind) => {
                // Answers do not mend a promise that was broken.
                if self.backoff.take().is_some() && !self.watch.is_broken() {
                    self.pending.push(WatchEvent::Restored);
                }
                if is_behind {
                    Duration::ZERO
                } else {
                    self.interval
                }
            }
            Err(error) => {
                let wait = self.backoff.map_or(self.interval, |wait| wait * 2);
                let wait = wait.min(BACKOFF_MAX.max(self.interval));
                self.backoff = Some(wait);
                self.pending.push(WatchEvent::Outage {
                    reason: error.to_string(),
                    retry: wait,
                });
                wait
            }
        };
        self.next_at = Instant::now() + wait;
        std::mem::take(&mut self.pending)
    }

    /// Whether there is more to ask at once.
    async fn poll(&mut self) -> Result<bool, FollowError> {
        let is_behind = self.poll_watch().await?;
        Ok(self.poll_finals().await? || is_behind)
    }

    async fn poll_finals(&mut self) -> Result<bool, FollowError> {
        let Some(finalized) = self.watch.finalized() else {
            return Ok(false);
        };
        for _ in 0..ASKS_MAX {
            if self.watch.is_broken() {
                return Ok(false);
            }
            let Some((filter, all)) = self.finals.ask(finalized) else {
                return Ok(false);
            };
            let segment = match self.endpoints.segment(&filter, all).await {
                Ok(segment) => segment,
                Err(error) => {
                    self.finals.told_nothing();
                    return Err(error.into());
                }
            };
            match self.finals.told(finalized, &filter, all, &segment) {
                Ok(blocks) => self
                    .pending
                    .extend(blocks.into_iter().map(WatchEvent::Final)),
                Err(FinalsError::Replaced { known, found }) => {
                    self.watch.break_off();
                    let (known, found) = (*known, *found);
                    self.pending
                        .push(WatchEvent::FinalReplaced { known, found });
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    async fn poll_watch(&mut self) -> Result<bool, FollowError> {
        let mut ask = self.watch.poll();
        for _ in 0..ASKS_MAX {
            let Some(question) = ask.take() else {
                return Ok(false);
            };
            let answer = match &question {
                Ask::Heads => self.endpoints.heads().await.map(Told::Heads),
                Ask::Block(number) => {
                    let block = self.endpoints.block_at(*number, false).await;
                    block.map(Told::Block)
                }
                Ask::Segment { filter, all } => {
                    let segment = self.endpoints.segment(filter, *all).await;
                    segment.map(Told::Segment)
                }
            };
            let (told, failed) = match answer {
                Ok(told) => (told, None),
                Err(error) => (Told::Nothing, Some(error)),
            };
            let Turn { events, ask: next } = self.watch.told(told);
            self.pending.extend(events);
            if let Some(error) = failed {
                return Err(error.into());
            }
            ask = next;
        }
        Ok(true)
    }
}
