//! The table of options.

use super::{
    ConsensusSection, L1Section, LogConfig, MetricsConfig, NodeConfig, NodeSection, P2pConfig,
    RpcConfig, StorageConfig,
};
use outrider_mempool::Limits;
use outrider_network::Tuning;
use outrider_types::RollupId;
use outrider_types::limits::TRANSACTION_BYTES_MAX;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Rollups that an option may name.
const ROLLUPS_MAX: usize = 1_024;

/// One option.
#[derive(Debug)]
pub struct Opt {
    /// `section.key`.
    pub key: &'static str,
    /// Its type, its bounds, and where its value goes.
    pub kind: Kind,
    /// Its default, as it would be written in the environment.
    pub default: &'static str,
    /// What a number counts; empty for others.
    pub unit: &'static str,
    /// What it does, in one sentence or two.
    pub help: &'static str,
}

/// The type of an option with its bounds, and the field that holds it.
#[derive(Debug)]
pub enum Kind {
    /// A path.
    Path(fn(&mut NodeConfig) -> &mut PathBuf),
    /// A path, or none.
    OptionalPath(fn(&mut NodeConfig) -> &mut Option<PathBuf>),
    /// `ip:port`.
    Address(fn(&mut NodeConfig) -> &mut SocketAddr),
    /// A text.
    Text(fn(&mut NodeConfig) -> &mut String),
    /// A text for each of some rollups: `7=text,8=text`, or a table in the file.
    Rollups(fn(&mut NodeConfig) -> &mut BTreeMap<RollupId, String>),
    /// One of these words.
    Choice(&'static [&'static str], fn(&mut NodeConfig) -> &mut String),
    /// `true` or `false`.
    Flag(fn(&mut NodeConfig) -> &mut bool),
    /// A number from, to.
    U64(u64, u64, fn(&mut NodeConfig) -> &mut u64),
    /// A number from, to.
    U32(u32, u32, fn(&mut NodeConfig) -> &mut u32),
    /// A number from, to.
    Size(usize, usize, fn(&mut NodeConfig) -> &mut usize),
}

impl Opt {
    /// The variable of the environment that sets it.
    #[must_use]
    pub fn variable(&self) -> String {
        let key = self.key.to_uppercase().replace('.', "_");
        format!("{}{key}", super::ENVIRONMENT_PREFIX)
    }
}

fn number<T: std::str::FromStr + PartialOrd + std::fmt::Display>(
    text: &str,
    from: T,
    to: T,
) -> Result<T, String> {
    // TOML allows 65_536, so everything does.
    match text.replace('_', "").parse::<T>() {
        Ok(value) if value >= from && value <= to => Ok(value),
        _ => Err(format!(
            "{text:?} is not a whole number from {from} to {to}"
        )),
    }
}

impl Kind {
    /// Whether it is a number.
    #[must_use]
    pub const fn is_number(&self) -> bool {
        matches!(self, Self::U64(..) | Self::U32(..) | Self::Size(..))
    }

    /// For the docs.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Path(_) => "path".to_owned(),
            Self::OptionalPath(_) => "path, or nothing".to_owned(),
            Self::Address(_) => "ip:port".to_owned(),
            Self::Text(_) => "text".to_owned(),
            Self::Rollups(_) => "rollup=text, or a table".to_owned(),
            Self::Choice(words, _) => words.join(" or "),
            Self::Flag(_) => "true or false".to_owned(),
            Self::U64(from, to, _) => range(*from, *to),
            Self::U32(from, to, _) => range(u64::from(*from), u64::from(*to)),
            Self::Size(from, to, _) => range(*from as u64, *to as u64),
        }
    }

    pub(super) fn set(&self, config: &mut NodeConfig, text: &str) -> Result<(), String> {
        match self {
            Self::Path(field) => {
                if text.is_empty() {
                    return Err("the path is empty".to_owned());
                }
                *field(config) = PathBuf::from(text);
            }
            Self::OptionalPath(field) => {
                *field(config) = (!text.is_empty()).then(|| PathBuf::from(text));
            }
            Self::Address(field) => {
                *field(config) = text.parse().map_err(|_| {
                    format!("{text:?} is not an address as 127.0.0.1:9000 or [::1]:9000")
                })?;
            }
            Self::Text(field) => *field(config) = text.to_owned(),
            Self::Rollups(field) => *field(config) = rollups(text)?,
            Self::Choice(words, field) => {
                if !words.contains(&text) {
                    return Err(format!("{text:?} is not one of {}", words.join(", ")));
                }
                *field(config) = text.to_owned();
            }
            Self::Flag(field) => {
                *field(config) = text
                    .parse()
                    .map_err(|_| format!("{text:?} is not true or false"))?;
            }
            Self::U64(from, to, field) => *field(config) = number(text, *from, *to)?,
            Self::U32(from, to, field) => *field(config) = number(text, *from, *to)?,
            Self::Size(from, to, field) => *field(config) = number(text, *from, *to)?,
        }
        Ok(())
    }
}

/// `7=text,8=text`; nothing is no rollup.
fn rollups(text: &str) -> Result<BTreeMap<RollupId, String>, String> {
    let mut found = BTreeMap::new();
    for item in text.split(',').filter(|item| !item.trim().is_empty()) {
        let parsed = item.trim().split_once('=').and_then(|(rollup, text)| {
            let rollup = rollup.trim().parse().ok()?;
            Some((RollupId(rollup), text.trim().to_owned()))
        });
        let (rollup, text) =
            parsed.ok_or_else(|| format!("{item:?} is not a rollup and a text, as 7=text"))?;
        if found.insert(rollup, text).is_some() {
            return Err(format!("rollup {rollup} is there twice"));
        }
    }
    if found.len() > ROLLUPS_MAX {
        return Err(format!("at most {ROLLUPS_MAX} rollups"));
    }
    Ok(found)
}

/// A table of the file as such a text; none if it is no such table.
pub(super) fn rollups_text(table: &toml::Table) -> Option<String> {
    let items = table.iter().map(|(rollup, text)| {
        let text = text.as_str().filter(|text| !text.contains(','))?;
        Some(format!("{rollup}={text}"))
    });
    items
        .collect::<Option<Vec<_>>>()
        .map(|items| items.join(","))
}

fn range(from: u64, to: u64) -> String {
    format!("{from} to {to}")
}

pub(super) fn find(key: &str) -> Option<&'static Opt> {
    OPTIONS.iter().find(|option| option.key == key)
}

/// Whether options begin with this and a dot.
pub(super) fn is_section(name: &str) -> bool {
    OPTIONS.iter().any(|option| {
        option
            .key
            .strip_prefix(name)
            .is_some_and(|rest| rest.starts_with('.'))
    })
}

/// The option that was probably meant.
pub(super) fn nearest(key: &str) -> Option<&'static str> {
    OPTIONS
        .iter()
        .map(|option| (distance(key, option.key), option.key))
        .min()
        .filter(|(distance, _)| *distance <= 3)
        .map(|(_, key)| key)
}

/// Letters to insert, delete or replace.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

impl NodeConfig {
    /// With nothing in it; the table's defaults follow.
    pub(super) fn blank() -> Self {
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            node: NodeSection {
                data_dir: PathBuf::new(),
                committee: PathBuf::new(),
                key: PathBuf::new(),
                key_password_file: None,
                verify_workers: 0,
                follow: false,
                unsafe_accept_lost_journal: false,
            },
            p2p: P2pConfig {
                listen: nowhere,
                tuning: Tuning::default(),
            },
            rpc: RpcConfig {
                listen: nowhere,
                max_connections: 0,
                max_request_bytes: 0,
                max_response_bytes: 0,
                max_batch_calls: 0,
                max_subscriptions_per_connection: 0,
                max_streams: 0,
                max_buffered_messages: 0,
                request_timeout_ms: 0,
                conductor: BTreeMap::new(),
                execution: BTreeMap::new(),
                execution_timeout_ms: 0,
                execution_requests: 0,
            },
            metrics: MetricsConfig {
                listen: nowhere,
                allow_remote: false,
            },
            consensus: ConsensusSection {
                base_timeout_ms: 0,
                timeout_cap_ms: 0,
                idle_block_ms: 0,
                dead_after_views: 0,
            },
            l1: L1Section {
                endpoints: String::new(),
                network: PathBuf::new(),
                poll_ms: 0,
                lag_ms: 0,
                relay: false,
                settle_s: 0,
                settle_latest_s: 0,
                fallback_s: 0,
                max_fee_gwei: 0,
            },
            mempool: Limits::default(),
            storage: StorageConfig {
                unsafe_no_fsync_for_benchmarks: false,
                segment_bytes: 0,
                cache_bytes: 0,
                journal_file_bytes: 0,
                evidence_views: 0,
                keep_blocks: 0,
            },
            log: LogConfig {
                format: String::new(),
                filter: String::new(),
            },
        }
    }
}

const MINUTE_MS: u64 = 60_000;
const GIB: u64 = 1 << 30;

const fn option(
    key: &'static str,
    kind: Kind,
    default: &'static str,
    unit: &'static str,
    help: &'static str,
) -> Opt {
    Opt {
        key,
        kind,
        default,
        unit,
        help,
    }
}

use Kind::{Address, Choice, Flag, OptionalPath, Path, Rollups, Size, Text, U32, U64};

/// Every option, section by section.
#[rustfmt::skip]
pub const OPTIONS: &[Opt] = &[
    option("node.data_dir", Path(|c| &mut c.node.data_dir), "data", "", "Folder for the chain and the vote journal; one process at a time. Relative paths are relative to this file."),
    option("node.committee", Path(|c| &mut c.node.committee), "committee.json", "", "The committee file: members, stake, addresses."),
    option("node.key", Path(|c| &mut c.node.key), "member.key", "", "The key file of this member; readable by its owner only (chmod 600)."),
    option("node.key_password_file", OptionalPath(|c| &mut c.node.key_password_file), "", "", "The file with the password of the key file, if that is encrypted; readable by its owner only (chmod 600)."),
    option("node.verify_workers", U64(1, 64, |c| &mut c.node.verify_workers), "2", "workers per channel", "Workers that decode and verify what members send."),
    option("node.follow", Flag(|c| &mut c.node.follow), "false", "", "Run although the key is no member's now: follow the chain, and vote once a committee has it in."),
    option("node.unsafe_accept_lost_journal", Flag(|c| &mut c.node.unsafe_accept_lost_journal), "false", "", "Vote although the vote journal is gone, and not only from a later epoch on: the member could sign twice and lose its stake. Only if you are certain that it signed nothing in this epoch."),

    option("p2p.listen", Address(|c| &mut c.p2p.listen), "0.0.0.0:9000", "", "Where the other members connect to."),
    option("p2p.ping_ms", U64(1, MINUTE_MS, |c| &mut c.p2p.tuning.ping_ms), "500", "ms", "Ping interval; below read_write_timeout_ms."),
    option("p2p.cooldown_ms", U64(1, MINUTE_MS, |c| &mut c.p2p.tuning.cooldown_ms), "250", "ms", "Least time between two connection attempts with the same member."),
    option("p2p.dial_ms", U64(1, MINUTE_MS, |c| &mut c.p2p.tuning.dial_ms), "100", "ms", "Average time between two dials, over all members."),
    option("p2p.dial_timeout_ms", U64(1, MINUTE_MS, |c| &mut c.p2p.tuning.dial_timeout_ms), "1000", "ms", "Limit of one dial: connect and handshake."),
    option("p2p.handshake_timeout_ms", U64(1, MINUTE_MS, |c| &mut c.p2p.tuning.handshake_timeout_ms), "1000", "ms", "Limit of one handshake."),
    option("p2p.handshakes_per_ip_per_s", U32(1, 65_536, |c| &mut c.p2p.tuning.handshakes_per_ip_per_s), "128", "handshakes/s", "Incoming handshakes per IP."),
    option("p2p.handshakes_concurrent", U32(1, 65_536, |c| &mut c.p2p.tuning.handshakes_concurrent), "512", "handshakes", "Incoming handshakes at once."),
    option("p2p.synchrony_bound_ms", U64(1, MINUTE_MS, |c| &mut c.p2p.tuning.synchrony_bound_ms), "5000", "ms", "A member whose clock is ahead of ours by this much is never connected."),
    option("p2p.max_handshake_age_ms", U64(1, MINUTE_MS, |c| &mut c.p2p.tuning.max_handshake_age_ms), "10000", "ms", "A member's clock may be behind ours by at most this."),
    option("p2p.block_ms", U64(1, 60 * MINUTE_MS, |c| &mut c.p2p.tuning.block_ms), "60000", "ms", "How long a member that was cut off stays so."),
    option("p2p.check_peer_ip", Flag(|c| &mut c.p2p.tuning.check_peer_ip), "true", "", "Turn away connections from an IP that no member has. Off for members behind NAT."),
    option("p2p.mailbox_messages", U32(1, 65_536, |c| &mut c.p2p.tuning.mailbox_messages), "256", "messages", "Slots of each internal queue."),
    option("p2p.send_batch_messages", U32(1, 1_024, |c| &mut c.p2p.tuning.send_batch_messages), "4", "messages", "Queued messages written to a member at once."),
    option("p2p.connect_timeout_ms", U64(1, MINUTE_MS, |c| &mut c.p2p.tuning.connect_timeout_ms), "1000", "ms", "Limit of a TCP connect."),
    option("p2p.read_write_timeout_ms", U64(1, MINUTE_MS, |c| &mut c.p2p.tuning.read_write_timeout_ms), "2000", "ms", "Limit of one read of a message and of one write of a batch."),
    option("p2p.consensus.per_second", U32(1, 1_000_000, |c| &mut c.p2p.tuning.consensus.per_second), "2000", "messages/s", "Votes and proposals, per member."),
    option("p2p.consensus.burst", U32(1, 65_536, |c| &mut c.p2p.tuning.consensus.burst), "128", "messages", "Votes and proposals at once, per member."),
    option("p2p.payload.per_second", U32(1, 1_000_000, |c| &mut c.p2p.tuning.payload.per_second), "2000", "messages/s", "Payloads and transactions, per member."),
    option("p2p.payload.burst", U32(1, 65_536, |c| &mut c.p2p.tuning.payload.burst), "64", "messages", "Payloads and transactions at once, per member."),
    option("p2p.sync.per_second", U32(1, 1_000_000, |c| &mut c.p2p.tuning.sync.per_second), "200", "messages/s", "Requests and answers of members that catch up, per member."),
    option("p2p.sync.burst", U32(1, 65_536, |c| &mut c.p2p.tuning.sync.burst), "32", "messages", "Requests and answers at once, per member."),

    option("rpc.listen", Address(|c| &mut c.rpc.listen), "127.0.0.1:8600", "", "JSON-RPC over HTTP and WebSocket. It has no access control: put a proxy in front of it before others can reach it."),
    option("rpc.max_connections", U32(1, 65_536, |c| &mut c.rpc.max_connections), "512", "connections", "Requests and WebSocket connections at once; more are refused with HTTP status 429."),
    option("rpc.max_request_bytes", U32(1_024, 64 << 20, |c| &mut c.rpc.max_request_bytes), "2097152", "bytes", "One request or WebSocket message; a transaction in hex takes twice its size."),
    option("rpc.max_response_bytes", U32(65_536, 256 << 20, |c| &mut c.rpc.max_response_bytes), "16777216", "bytes", "One answer; a full block with data takes up to 8 MB."),
    option("rpc.max_batch_calls", U32(1, 65_536, |c| &mut c.rpc.max_batch_calls), "128", "calls", "Calls in one batch."),
    option("rpc.max_subscriptions_per_connection", U32(1, 1_024, |c| &mut c.rpc.max_subscriptions_per_connection), "16", "subscriptions", "Subscriptions of one WebSocket connection."),
    option("rpc.max_streams", Size(0, 65_536, |c| &mut c.rpc.max_streams), "256", "streams", "Streams of Server-Sent Events at once; more are refused with HTTP status 503."),
    option("rpc.max_buffered_messages", U32(1, 65_536, |c| &mut c.rpc.max_buffered_messages), "64", "messages", "Messages that wait for one WebSocket connection; then its calls and subscriptions wait."),
    option("rpc.request_timeout_ms", U64(1_000, 10 * MINUTE_MS, |c| &mut c.rpc.request_timeout_ms), "30000", "ms", "One HTTP request, its body and its answer included."),
    option("rpc.conductor", Rollups(|c| &mut c.rpc.conductor), "", "", "Passwords for /conductor/{id}, which stands in for op-conductor: 901=PASSWORD, or a table [rpc.conductor]. The same at all members whose sequencers share the rollup; 16 letters or more."),
    option("rpc.execution", Rollups(|c| &mut c.rpc.execution), "", "", "Execution nodes that answer wallets at /rollup/{id}: 7=http://127.0.0.1:8545,8=http://127.0.0.1:8546, or a table [rpc.execution]. They need no public address."),
    option("rpc.execution_timeout_ms", U64(10, MINUTE_MS, |c| &mut c.rpc.execution_timeout_ms), "10000", "ms", "One question to an execution node, waiting for its turn included."),
    option("rpc.execution_requests", Size(1, 4_096, |c| &mut c.rpc.execution_requests), "64", "requests", "Questions to one execution node at once; others wait."),

    option("metrics.listen", Address(|c| &mut c.metrics.listen), "127.0.0.1:9100", "", "Prometheus metrics at /metrics, state at /health."),
    option("metrics.allow_remote", Flag(|c| &mut c.metrics.allow_remote), "false", "", "Allow metrics.listen to be an address that others can reach."),

    option("consensus.base_timeout_ms", U64(10, 10 * MINUTE_MS, |c| &mut c.consensus.base_timeout_ms), "1000", "ms", "Least timer of a view while blocks commit: at least five times the delay between members. It grows by itself when views take longer."),
    option("consensus.timeout_cap_ms", U64(10, 10 * MINUTE_MS, |c| &mut c.consensus.timeout_cap_ms), "8000", "ms", "Longest timer of a view."),
    option("consensus.idle_block_ms", U64(1, MINUTE_MS, |c| &mut c.consensus.idle_block_ms), "200", "ms", "A leader with nothing to order waits this long before it proposes an empty block; below a quarter of base_timeout_ms."),
    option("consensus.dead_after_views", U64(0, 1_000_000, |c| &mut c.consensus.dead_after_views), "8", "views", "A leader from whom nothing was heard for this many views in which a quorum was heard is skipped at once; 0: never."),

    option("l1.endpoints", Text(|c| &mut c.l1.endpoints), "", "", "URLs of L1 endpoints (http or https, with a user or a key if need be), with commas between. More than half of them have to agree, so name three of different operators: one may be away or lie. Empty: this member knows of no settlement chain."),
    option("l1.network", Path(|c| &mut c.l1.network), "l1.json", "", "Where the contracts of this network are, as `outrider l1 deploy` writes it."),
    option("l1.poll_ms", U64(100, MINUTE_MS, |c| &mut c.l1.poll_ms), "2000", "ms", "From one look at L1 to the next."),
    option("l1.lag_ms", U64(0, 10 * MINUTE_MS, |c| &mut c.l1.lag_ms), "6000", "ms", "A leader builds on an L1 block only once it was seen final here for so long, so that the others have seen it, too."),
    option("l1.relay", Flag(|c| &mut c.l1.relay), "true", "", "Send settlements and snapshots to L1 when it is this member's turn; the account of its attester key pays for gas."),
    option("l1.settle_s", U64(1, 86_400, |c| &mut c.l1.settle_s), "60", "s", "Usual time from one settlement to the next; longer while gas costs several times its median."),
    option("l1.settle_latest_s", U64(1, 604_800, |c| &mut c.l1.settle_latest_s), "3600", "s", "Longest time from one settlement to the next."),
    option("l1.fallback_s", U64(1, 86_400, |c| &mut c.l1.fallback_s), "30", "s", "A member whose turn it is gets this much time before the next one takes over."),
    option("l1.max_fee_gwei", U64(1, 1_000_000, |c| &mut c.l1.max_fee_gwei), "200", "gwei", "The most that this member pays for a unit of gas, tip included. While gas is dearer it sends nothing."),

    option("mempool.transaction_bytes", Size(1, TRANSACTION_BYTES_MAX, |c| &mut c.mempool.transaction_bytes), "131072", "bytes", "One transaction."),
    option("mempool.total_transactions", Size(1, 16_777_216, |c| &mut c.mempool.total_transactions), "65536", "transactions", "Transactions that wait, all rollups."),
    option("mempool.total_bytes", Size(1, 16 << 30, |c| &mut c.mempool.total_bytes), "67108864", "bytes", "Bytes of transactions that wait, all rollups."),
    option("mempool.lane_transactions", Size(1, 16_777_216, |c| &mut c.mempool.lane_transactions), "32768", "transactions", "Transactions that wait, one rollup."),
    option("mempool.lane_bytes", Size(1, 16 << 30, |c| &mut c.mempool.lane_bytes), "33554432", "bytes", "Bytes of transactions that wait, one rollup."),
    option("mempool.lanes", Size(1, 65_536, |c| &mut c.mempool.lanes), "1024", "rollups", "Rollups that have transactions waiting."),

    option("storage.unsafe_no_fsync_for_benchmarks", Flag(|c| &mut c.storage.unsafe_no_fsync_for_benchmarks), "false", "", "Never wait for the disk: a power loss then loses votes and blocks, and the member could sign twice. For benchmarks only."),
    option("storage.segment_bytes", U64(4_096, GIB, |c| &mut c.storage.segment_bytes), "67108864", "bytes", "Size at which the block store begins a new file."),
    option("storage.cache_bytes", U64(1 << 20, 64 * GIB, |c| &mut c.storage.cache_bytes), "67108864", "bytes", "Memory for the cache of the block store's index."),
    option("storage.journal_file_bytes", U64(8_192, GIB, |c| &mut c.storage.journal_file_bytes), "4194304", "bytes", "Size of each of the two files of the vote journal."),
    option("storage.keep_blocks", U64(0, u64::MAX, |c| &mut c.storage.keep_blocks), "200000", "blocks", "Final blocks that are kept; 0: all. At least 110000. Older ones cannot be asked for here, and members further behind need a snapshot."),
    option("storage.evidence_views", U64(1_024, 1_000_000_000, |c| &mut c.storage.evidence_views), "65536", "views", "Certificates are kept for this many views, so that the makers of a fork can be named. At least the time in which stake can be taken from them."),

    option("log.format", Choice(&["text", "json"], |c| &mut c.log.format), "text", "", "How log lines on standard error are written."),
    option("log.filter", Text(|c| &mut c.log.filter), "info", "", "What is logged, as tracing's directives: info,outrider_node=debug."),
];
