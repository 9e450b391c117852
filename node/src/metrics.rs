//! What a member counts. One registry per member, never global: one process may host many.

mod settlement;

use crate::config::MetricsConfig;
use crate::handle::NodeHandle;
use outrider_network::Channel;
use outrider_types::{Epoch, Height, Offence, View};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use settlement::SettlementMetrics;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Why a message of a peer was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum BadMessage {
    /// Bytes that are no message.
    Malformed,
    /// A signature, stake or epoch that does not verify.
    Invalid,
    /// A statement that another member signed.
    Foreign,
    /// A proposal whose attachment does not fit.
    Attachment,
    /// A proposal that is wrong in its signed part.
    Proposal,
}

/// How a block became final here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum CommitPath {
    /// Votes of stake >= F (R6).
    Fast,
    /// Commit votes of stake >= Q (R7).
    Slow,
    /// With a descendant.
    Ancestor,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: BadMessage,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Path {
    path: CommitPath,
}

const OFFENCES: [Offence; 5] = [
    Offence::E1,
    Offence::E2,
    Offence::E3,
    Offence::E4,
    Offence::E5,
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Offender {
    offence: &'static str,
}

impl Offender {
    const fn of(offence: Offence) -> Self {
        let offence = match offence {
            Offence::E1 => "E1",
            Offence::E2 => "E2",
            Offence::E3 => "E3",
            Offence::E4 => "E4",
            Offence::E5 => "E5",
        };
        Self { offence }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Carried {
    channel: &'static str,
}

impl Carried {
    const fn by(channel: Channel) -> Self {
        let channel = match channel {
            Channel::Consensus => "consensus",
            Channel::Payload => "payload",
            Channel::Sync => "sync",
        };
        Self { channel }
    }
}

impl BadMessage {
    const ALL: [Self; 5] = [
        Self::Malformed,
        Self::Invalid,
        Self::Foreign,
        Self::Attachment,
        Self::Proposal,
    ];
}

impl CommitPath {
    const ALL: [Self; 3] = [Self::Fast, Self::Slow, Self::Ancestor];
}

/// Name, kind and meaning of every metric, as `outrider docs metrics` prints them.
pub const METRICS: &[(&str, &str, &str)] = &[
    ("outrider_height", "gauge", "Height of the last final block"),
    ("outrider_epoch", "gauge", "Current epoch"),
    (
        "outrider_votes",
        "gauge",
        "1 if this member may sign in the current epoch; 0 if it only follows",
    ),
    ("outrider_view", "gauge", "Current view"),
    (
        "outrider_view_timeouts_total",
        "counter",
        "Views left by timeout",
    ),
    (
        "outrider_blocks_committed_total",
        "counter",
        "Final blocks, by path: Fast (R6), Slow (R7), Ancestor",
    ),
    (
        "outrider_transactions_committed_total",
        "counter",
        "Final transactions",
    ),
    (
        "outrider_transactions_pending",
        "gauge",
        "Transactions waiting for a block",
    ),
    (
        "outrider_batches_fetched_total",
        "counter",
        "Batches that a leader referred to and this member had to ask for",
    ),
    (
        "outrider_batches_on_probation_total",
        "counter",
        "Batches of suspect authors that this member spread again before it took them in",
    ),
    (
        "outrider_soft_final_latency_seconds",
        "histogram",
        "From first sight of a block to its finality",
    ),
    (
        "outrider_bad_messages_total",
        "counter",
        "Refused messages of peers, by reason; the log at level debug names the peer",
    ),
    (
        "outrider_blocks_unwelcome_total",
        "counter",
        "Valid blocks that got no vote here because of what they say of the settlement chain; the log says why",
    ),
    (
        "outrider_evidence_total",
        "counter",
        "Pieces of evidence that were new here, by offence, E1 to E5; the log names the member",
    ),
    (
        "outrider_messages_received_total",
        "counter",
        "Messages of peers, by channel",
    ),
    (
        "outrider_journal_sync_seconds",
        "histogram",
        "Making a vote durable: block store and vote journal",
    ),
    (
        "outrider_sync_blocks_fetched_total",
        "counter",
        "Blocks got from peers because they were missing here",
    ),
    ("outrider_peers_connected", "gauge", "Members connected"),
    (
        "outrider_store_bytes",
        "gauge",
        "Bytes of the block store on disk",
    ),
    (
        "outrider_settled_height",
        "gauge",
        "Height that L1 has settled; goes back when L1 reorganises. This one and those below are 0 without L1",
    ),
    (
        "outrider_final_height",
        "gauge",
        "Height that L1 has settled in a block that is final there",
    ),
    (
        "outrider_settled_timestamp_seconds",
        "gauge",
        "Unix time at which the settled height rose last, as seen here; until it does, when the member started",
    ),
    ("outrider_l1_block", "gauge", "Last L1 block seen"),
    (
        "outrider_l1_origin",
        "gauge",
        "L1 block that the last final block builds on",
    ),
    (
        "outrider_l1_inbox_consumed",
        "gauge",
        "Entries of the forced inbox that final blocks have consumed",
    ),
    (
        "outrider_l1_outage",
        "gauge",
        "1 if L1 cannot be followed now; the log and outrider_settlement say why",
    ),
    (
        "outrider_l1_frozen",
        "gauge",
        "1 if two certified blocks of one height were shown to L1: nothing settles any more",
    ),
    (
        "outrider_l1_diverged",
        "gauge",
        "1 if L1 has settled another block than this member has final",
    ),
];

/// The metrics of one member.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    height: Gauge,
    epoch: Gauge,
    votes: Gauge,
    view: Gauge,
    timeouts: Counter,
    batches_fetched: Counter,
    batches_on_probation: Counter,
    blocks: Family<Path, Counter>,
    transactions: Counter,
    pending: Gauge,
    latency: Histogram,
    bad: Family<Reason, Counter>,
    reluctant: Counter,
    evidence: Family<Offender, Counter>,
    received: Family<Carried, Counter>,
    sync: Histogram,
    fetched: Counter,
    peers: Gauge,
    store_bytes: Gauge,
    settlement: SettlementMetrics,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// Bounds that double, from `first` seconds on.
fn doubling(first: f64, buckets: u16) -> Histogram {
    Histogram::new((0..buckets).map(move |power| first * f64::from(power).exp2()))
}

impl Metrics {
    /// All at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            height: Gauge::default(),
            epoch: Gauge::default(),
            votes: Gauge::default(),
            view: Gauge::default(),
            timeouts: Counter::default(),
            batches_fetched: Counter::default(),
            batches_on_probation: Counter::default(),
            blocks: Family::default(),
            transactions: Counter::default(),
            pending: Gauge::default(),
            latency: doubling(0.000_5, 16),
            bad: Family::default(),
            reluctant: Counter::default(),
            evidence: Family::default(),
            received: Family::default(),
            sync: doubling(0.000_02, 16),
            fetched: Counter::default(),
            peers: Gauge::default(),
            store_bytes: Gauge::default(),
            settlement: SettlementMetrics::default(),
        };
        metrics.register();
        // Every label is there from the start, at zero: an alert on a series that does not exist yet stays silent.
        for reason in BadMessage::ALL {
            metrics.bad.get_or_create(&Reason { reason }).inc_by(0);
        }
        for offence in OFFENCES {
            metrics
                .evidence
                .get_or_create(&Offender::of(offence))
                .inc_by(0);
        }
        for path in CommitPath::ALL {
            metrics.blocks.get_or_create(&Path { path }).inc_by(0);
        }
        for channel in Channel::ALL {
            metrics
                .received
                .get_or_create(&Carried::by(channel))
                .inc_by(0);
        }
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        for (name, _, help) in METRICS {
            // The library appends `_total` to counters itself.
            let short = name.trim_end_matches("_total");
            match *name {
                "outrider_height" => registry.register(short, *help, self.height.clone()),
                "outrider_epoch" => registry.register(short, *help, self.epoch.clone()),
                "outrider_votes" => registry.register(short, *help, self.votes.clone()),
                "outrider_view" => registry.register(short, *help, self.view.clone()),
                "outrider_batches_fetched_total" => {
                    registry.register(short, *help, self.batches_fetched.clone());
                }
                "outrider_batches_on_probation_total" => {
                    registry.register(short, *help, self.batches_on_probation.clone());
                }
                "outrider_view_timeouts_total" => {
                    registry.register(short, *help, self.timeouts.clone())
                }
                "outrider_blocks_committed_total" => {
                    registry.register(short, *help, self.blocks.clone())
                }
                "outrider_transactions_committed_total" => {
                    registry.register(short, *help, self.transactions.clone())
                }
                "outrider_transactions_pending" => {
                    registry.register(short, *help, self.pending.clone())
                }
                "outrider_soft_final_latency_seconds" => {
                    registry.register(short, *help, self.latency.clone())
                }
                "outrider_bad_messages_total" => registry.register(short, *help, self.bad.clone()),
                "outrider_blocks_unwelcome_total" => {
                    registry.register(short, *help, self.reluctant.clone())
                }
                "outrider_evidence_total" => registry.register(short, *help, self.evidence.clone()),
                "outrider_messages_received_total" => {
                    registry.register(short, *help, self.received.clone())
                }
                "outrider_journal_sync_seconds" => {
                    registry.register(short, *help, self.sync.clone())
                }
                "outrider_sync_blocks_fetched_total" => {
                    registry.register(short, *help, self.fetched.clone())
                }
                "outrider_peers_connected" => registry.register(short, *help, self.peers.clone()),
                "outrider_store_bytes" => registry.register(short, *help, self.store_bytes.clone()),
                other => {
                    let known = self.settlement.register(registry, other, help);
                    assert!(known, "metric {other} has no value");
                }
            }
        }
    }

    /// The text that Prometheus scrapes.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut out = String::new();
        // Writing to a string does not fail.
        let _ = text::encode(&mut out, &self.registry);
        out
    }

    pub(crate) fn received(&self, channel: Channel) {
        self.received.get_or_create(&Carried::by(channel)).inc();
    }

    pub(crate) fn bad_message(&self, reason: BadMessage) {
        self.bad.get_or_create(&Reason { reason }).inc();
    }

    pub(crate) fn reluctant(&self) {
        self.reluctant.inc();
    }

    pub(crate) fn evidence(&self, offence: Offence) {
        self.evidence.get_or_create(&Offender::of(offence)).inc();
    }

    pub(crate) fn journal_synced(&self, took: Duration) {
        self.sync.observe(took.as_secs_f64());
    }

    pub(crate) fn batches_fetched(&self, count: usize) {
        self.batches_fetched.inc_by(count as u64);
    }

    pub(crate) fn batch_on_probation(&self) {
        self.batches_on_probation.inc();
    }

    pub(crate) fn entered(&self, view: View, by_timeout: bool) {
        self.view.set(signed(view.0));
        self.timeouts.inc_by(u64::from(by_timeout));
    }

    pub(crate) fn committed(
        &self,
        height: Height,
        path: CommitPath,
        transactions: usize,
        took: Option<Duration>,
    ) {
        self.height.set(signed(height.0));
        self.blocks.get_or_create(&Path { path }).inc();
        self.transactions.inc_by(transactions as u64);
        if let Some(took) = took {
            self.latency.observe(took.as_secs_f64());
        }
    }

    pub(crate) fn fetched(&self, blocks: usize) {
        self.fetched.inc_by(blocks as u64);
    }

    pub(crate) fn in_epoch(&self, epoch: Epoch, votes: bool) {
        self.epoch.set(signed(epoch.0));
        self.votes.set(i64::from(votes));
    }

    pub(crate) fn surveyed(&self, connected: usize, pending: usize, store_bytes: u64) {
        self.peers.set(signed(connected as u64));
        self.pending.set(signed(pending as u64));
        self.store_bytes.set(signed(store_bytes));
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Why metrics cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The port.
    #[error(
        "metrics.listen: cannot listen on {address}: {source}; is another process on this port? Stop it, or change metrics.listen"
    )]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
}

/// A running metrics server; it ends with the runtime.
#[derive(Clone, Copy, Debug)]
pub struct RunningMetrics {
    address: SocketAddr,
}

impl RunningMetrics {
    /// Where it listens.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }
}

/// Serve `/metrics` and `/health`.
pub async fn serve(
    metrics: Arc<Metrics>,
    handle: NodeHandle,
    config: &MetricsConfig,
) -> Result<RunningMetrics, MetricsError> {
    let listen = |source| MetricsError::Listen {
        address: config.listen,
        source,
    };
    let listener = tokio::net::TcpListener::bind(config.listen)
        .await
        .map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    tokio::spawn(metrics.settlement.clone().follow(handle.clone()));
    let health = move || {
        let head = handle.head();
        async move { axum::Json(head) }
    };
    let app = axum::Router::new()
        .route(
            "/metrics",
            axum::routing::get(move || async move { metrics.encode() }),
        )
        .route("/health", axum::routing::get(health));
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, app).await {
            tracing::error!(%error, "metrics are not served any more");
        }
    });
    Ok(RunningMetrics { address })
}

/// The metrics as a Markdown table.
#[must_use]
pub fn to_markdown() -> String {
    let mut out = String::from("| metric | kind | meaning |\n|---|---|---|\n");
    for (name, kind, help) in METRICS {
        out.push_str(&format!("| `{name}` | {kind} | {help} |\n"));
    }
    out
}
