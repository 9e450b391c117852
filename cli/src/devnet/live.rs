//! The live line: how the committee does, once a second.

use super::children::Children;
use crate::failure::Failure;
use crate::folder::Network;
use crate::numbers::{millis, percentile};
use crate::output::{say, tell};
use indicatif::{ProgressBar, ProgressStyle};
use outrider_client::{BlockSummary, Client, Follower};
use std::collections::VecDeque;
use std::io::IsTerminal as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

const SECOND: Duration = Duration::from_secs(1);
/// Blocks whose latency is shown.
const LATENCIES_MAX: usize = 512;
/// After a broken connection, before the next member is tried.
const PAUSE: Duration = Duration::from_millis(200);

/// What is shown.
#[derive(Debug, Default, PartialEq, Eq)]
struct Line {
    height: u64,
    p50: Option<u64>,
    p99: Option<u64>,
    transactions_per_s: u64,
    view_changes: u64,
    alive: usize,
    members: usize,
    /// Settled and final heights, if the network settles.
    settled: Option<(u64, u64)>,
}

impl Line {
    fn render(&self) -> String {
        let settled = self
            .settled
            .map_or_else(String::new, |(settled, finalized)| {
                format!("  settled {settled}  final {finalized}")
            });
        format!(
            "height {}{settled}  soft-final p50 {} p99 {}  {} tx/s  view changes {}  members {}/{}",
            self.height,
            millis(self.p50),
            millis(self.p99),
            self.transactions_per_s,
            self.view_changes,
            self.alive,
            self.members
        )
    }
}

/// What arrived since the last line.
#[derive(Debug, Default)]
struct Recent {
    height: u64,
    transactions: usize,
    /// When this began, microseconds since 1970: what was proposed before it is no sample, its latency would be the time
    /// between two runs.
    since_us: u64,
    /// Microseconds from the proposal of a block to the news of its finality, of the newest blocks.
    latencies: VecDeque<u64>,
}

impl Recent {
    fn add(&mut self, block: &BlockSummary, now_us: u64) {
        self.height = self.height.max(block.height.0);
        self.transactions += block.transactions.len();
        if block.timestamp < self.since_us {
            return;
        }
        if self.latencies.len() == LATENCIES_MAX {
            self.latencies.pop_front();
        }
        self.latencies
            .push_back(now_us.saturating_sub(block.timestamp));
    }

    fn percentiles(&self) -> (Option<u64>, Option<u64>) {
        let mut sorted: Vec<u64> = self.latencies.iter().copied().collect();
        sorted.sort_unstable();
        (percentile(&sorted, 50), percentile(&sorted, 99))
    }
}

/// Show the line until the time is over, or for ever. Members that end are reported; if all have ended, so does this.
pub async fn show(
    network: &Network,
    children: &mut Children,
    length: Option<Duration>,
) -> Result<(), Failure> {
    let end = length.map(|length| Instant::now() + length);
    let clients = network
        .members
        .iter()
        .map(|member| Client::with_timeout(&member.rpc_url(), SECOND / 4))
        .collect::<Result<Vec<_>, _>>()?;
    let screen = Screen::new();
    let mut source = 0;
    let mut follower = Follower::new(clients[source].url(), None);
    let mut recent = Recent {
        since_us: now_us(),
        ..Recent::default()
    };
    let mut seconds = interval(SECOND);
    seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
    // The first one is at once.
    seconds.tick().await;
    loop {
        tokio::select! {
            biased;
            _ = seconds.tick() => {
                for death in children.look() {
                    screen.say(&death.to_string());
                }
                if children.alive() == 0 {
                    return Ok(());
                }
                let line = survey(&clients, children, &mut recent).await;
                screen.show(&line.render());
                if end.is_some_and(|end| Instant::now() >= end) {
                    return Ok(());
                }
            }
            block = follower.next() => match block {
                Ok(block) => recent.add(&block, now_us()),
                Err(_) => {
                    sleep(PAUSE).await;
                    source = (source + 1) % clients.len();
                    follower.move_to(clients[source].url());
                }
            },
        }
    }
}

/// One line, and a new second begins.
async fn survey(clients: &[Client], children: &Children, recent: &mut Recent) -> Line {
    let mut view_changes = 0;
    let mut settled = None;
    for (index, client) in clients.iter().enumerate() {
        // One that does not answer within its time is left out of this line.
        if children.is_alive(index)
            && let Ok(head) = client.head().await
        {
            view_changes = view_changes.max(head.timeouts);
            recent.height = recent.height.max(head.height.0);
            if settled.is_none() {
                let report = client.settlement().await.ok().flatten();
                settled = report.map(|report| (report.settled.0, report.finalized.0));
            }
        }
    }
    let (p50, p99) = recent.percentiles();
    let transactions = std::mem::take(&mut recent.transactions);
    Line {
        height: recent.height,
        p50,
        p99,
        transactions_per_s: u64::try_from(transactions).unwrap_or(u64::MAX),
        view_changes,
        alive: children.alive(),
        members: clients.len(),
        settled,
    }
}

fn now_us() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// One line that changes on a terminal; a line each on anything else.
enum Screen {
    Terminal(ProgressBar),
    Plain,
}

impl Screen {
    fn new() -> Self {
        if std::io::stdout().is_terminal() && std::io::stderr().is_terminal() {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
                bar.set_style(style);
            }
            Self::Terminal(bar)
        } else {
            Self::Plain
        }
    }

    fn show(&self, line: &str) {
        match self {
            Self::Terminal(bar) => {
                bar.set_message(line.to_owned());
                bar.tick();
            }
            Self::Plain => say!("{line}"),
        }
    }

    fn say(&self, text: &str) {
        match self {
            Self::Terminal(bar) => bar.suspend(|| tell!("{text}")),
            Self::Plain => tell!("{text}"),
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if let Self::Terminal(bar) = self {
            bar.abandon();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use outrider_types::{BlockId, Height, TransactionId};

    fn block(height: u64, timestamp: u64, transactions: usize) -> BlockSummary {
        let transactions = vec![TransactionId::default(); transactions];
        BlockSummary {
            height: Height(height),
            id: BlockId::default(),
            timestamp,
            transactions,
        }
    }

    #[test]
    fn line_says_what_arrived() {
        let mut recent = Recent::default();
        recent.add(&block(7, 1_000_000, 3), 1_012_345);
        recent.add(&block(8, 1_100_000, 4), 1_120_000);
        let (p50, p99) = recent.percentiles();
        let line = Line {
            height: recent.height,
            p50,
            p99,
            transactions_per_s: 7,
            view_changes: 1,
            alive: 3,
            members: 4,
            settled: None,
        };
        let expected =
            "height 8  soft-final p50 12.3 ms p99 20.0 ms  7 tx/s  view changes 1  members 3/4";
        assert_eq!(line.render(), expected);
        let line = Line {
            settled: Some((6, 5)),
            ..line
        };
        assert!(
            line.render()
                .starts_with("height 8  settled 6  final 5  soft-final")
        );
        assert_eq!(recent.transactions, 7);
    }

    #[test]
    fn latencies_are_bounded_and_the_newest() {
        let mut recent = Recent {
            since_us: 1,
            ..Recent::default()
        };
        recent.add(&block(0, 0, 0), 1_000_000);
        recent.since_us = 0;
        for height in 0..=LATENCIES_MAX as u64 {
            recent.add(&block(height, 0, 0), height);
        }
        assert_eq!(recent.latencies.len(), LATENCIES_MAX);
        assert_eq!(recent.latencies.front(), Some(&1));
        assert_eq!(
            Line::default().render(),
            "height 0  soft-final p50 - p99 -  0 tx/s  view changes 0  members 0/0"
        );
    }
}
