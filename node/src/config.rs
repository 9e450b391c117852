//! The configuration of a member: default < file < environment < `--set`, checked in one place, all faults at once.
//!
//! [`OPTIONS`] is the one table: it drives the file, the environment, the flags, the file that `outrider init` writes
//! ([`to_toml`]) and the table in the docs ([`to_markdown`]).

mod faults;
mod l1;
mod options;
mod write;

pub use l1::L1Section;
pub use options::{Kind, OPTIONS, Opt};
pub use write::{to_markdown, to_toml};

use outrider_consensus::Config as ConsensusConfig;
use outrider_mempool::Limits;
use outrider_network::Tuning;
use outrider_storage::{JournalOptions, StoreOptions};
use outrider_types::RollupId;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::{Table, Value};

/// Most bytes of a configuration file.
pub const CONFIG_BYTES_MAX: u64 = 1024 * 1024;
/// Fewest blocks that a member may keep: the window of F1, and the time in which a snapshot is fetched.
pub const KEEP_BLOCKS_MIN: u64 = 110_000;
/// Shortest password of a conductor.
pub const PASSWORD_BYTES_MIN: usize = 16;
/// Variables of the environment that set an option begin with this.
pub const ENVIRONMENT_PREFIX: &str = "OUTRIDER_";

/// Everything that a member is started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeConfig {
    /// `[node]`
    pub node: NodeSection,
    /// `[p2p]`
    pub p2p: P2pConfig,
    /// `[rpc]`
    pub rpc: RpcConfig,
    /// `[metrics]`
    pub metrics: MetricsConfig,
    /// `[consensus]`
    pub consensus: ConsensusSection,
    /// `[mempool]`; which rollups are ordered stands in the committee file.
    pub mempool: Limits,
    /// `[l1]`
    pub l1: L1Section,
    /// `[storage]`
    pub storage: StorageConfig,
    /// `[log]`
    pub log: LogConfig,
}

/// Files and workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSection {
    /// Where the chain and the vote journal are.
    pub data_dir: PathBuf,
    /// The committee file.
    pub committee: PathBuf,
    /// The key file.
    pub key: PathBuf,
    /// The file with its password, if it is encrypted.
    pub key_password_file: Option<PathBuf>,
    /// Verifying workers per channel.
    pub verify_workers: u64,
    /// Run without being a member.
    pub follow: bool,
    /// Speak although the vote journal is gone.
    pub unsafe_accept_lost_journal: bool,
}

/// The port for other members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct P2pConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Timings and limits.
    pub tuning: Tuning,
}

/// The port for users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Requests and WebSocket connections at once.
    pub max_connections: u32,
    /// Bytes of one request or WebSocket message.
    pub max_request_bytes: u32,
    /// Bytes of one answer.
    pub max_response_bytes: u32,
    /// Calls in one batch.
    pub max_batch_calls: u32,
    /// Subscriptions of one WebSocket connection.
    pub max_subscriptions_per_connection: u32,
    /// Streams of Server-Sent Events at once.
    pub max_streams: usize,
    /// Messages that wait for one WebSocket connection.
    pub max_buffered_messages: u32,
    /// Time for one HTTP request, its body and answer included.
    pub request_timeout_ms: u64,
    /// Passwords of sequencers that take this member for their op-conductor, by rollup.
    pub conductor: BTreeMap<RollupId, String>,
    /// Execution nodes, by rollup.
    pub execution: BTreeMap<RollupId, String>,
    /// Time for one question to an execution node.
    pub execution_timeout_ms: u64,
    /// Questions to one execution node at once.
    pub execution_requests: usize,
}

/// The port for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Whether an address that others can reach is meant.
    pub allow_remote: bool,
}

/// Timers of the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsensusSection {
    /// Timer of a view while blocks commit.
    pub base_timeout_ms: u64,
    /// Longest timer of a view.
    pub timeout_cap_ms: u64,
    /// How long a leader waits for transactions before it proposes an empty block.
    pub idle_block_ms: u64,
    /// R10; 0: never.
    pub dead_after_views: u64,
}

/// The disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageConfig {
    /// Skip every sync.
    pub unsafe_no_fsync_for_benchmarks: bool,
    /// Size at which a new segment file is begun.
    pub segment_bytes: u64,
    /// Cache of the index.
    pub cache_bytes: u64,
    /// Size of each of the two journal files.
    pub journal_file_bytes: u64,
    /// Certificates are kept as evidence for this many views.
    pub evidence_views: u64,
    /// Final blocks that are kept; 0: all.
    pub keep_blocks: u64,
}

/// The log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// `text` or `json`.
    pub format: String,
    /// What is logged, as tracing's directives: `info,outrider_node=debug`.
    pub filter: String,
}

impl RpcConfig {
    /// What is wrong with what is said of rollups.
    fn faults(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        for (rollup, url) in &self.execution {
            let is_url = url.parse::<http::Uri>().is_ok_and(|url| {
                url.scheme_str() == Some("http") && url.host().is_some_and(|host| !host.is_empty())
            });
            if !is_url {
                let problem = format!(
                    "{url:?} of rollup {rollup} is not a URL as http://127.0.0.1:8545; only http is spoken to execution nodes"
                );
                found.push(("rpc.execution", problem));
            }
        }
        for (rollup, password) in &self.conductor {
            if password.len() < PASSWORD_BYTES_MIN {
                let problem = format!(
                    "the password of rollup {rollup} has fewer than {PASSWORD_BYTES_MIN} letters: who guesses it can order payloads; openssl rand -hex 16 makes one"
                );
                found.push(("rpc.conductor", problem));
            }
        }
        found
    }
}

impl ConsensusSection {
    /// As the replica takes it.
    #[must_use]
    pub const fn replica(&self) -> ConsensusConfig {
        ConsensusConfig {
            base_timeout: Duration::from_millis(self.base_timeout_ms),
            timeout_cap: Duration::from_millis(self.timeout_cap_ms),
            dead_after_views: self.dead_after_views,
        }
    }

    /// How long a leader waits for transactions.
    #[must_use]
    pub const fn idle_block(&self) -> Duration {
        Duration::from_millis(self.idle_block_ms)
    }
}

impl StorageConfig {
    /// Whether what is said to be on disk is there. Always, but in benchmarks.
    #[must_use]
    pub const fn durable(&self) -> bool {
        !self.unsafe_no_fsync_for_benchmarks
    }

    /// As the store takes it.
    #[must_use]
    pub const fn store(&self) -> StoreOptions {
        StoreOptions {
            durable: self.durable(),
            segment_bytes: self.segment_bytes,
            cache_bytes: self.cache_bytes,
        }
    }

    /// As the journal takes it.
    #[must_use]
    pub const fn journal(&self) -> JournalOptions {
        JournalOptions {
            file_bytes: self.journal_file_bytes,
            durable: self.durable(),
        }
    }
}

/// Where a value comes from. Later ones win.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The table of options.
    Default,
    /// The configuration file.
    File,
    /// A variable of the environment.
    Environment(String),
    /// `--set`.
    Flag,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("by default"),
            Self::File => f.write_str("in the file"),
            Self::Environment(variable) => write!(f, "in the environment ({variable})"),
            Self::Flag => f.write_str("in --set"),
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The option, as `section.key`.
    pub key: String,
    /// Where its value comes from.
    pub source: Source,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.key, self.source, self.problem)
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {error}; name the file with --config, `outrider init` writes one", path = path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// The file is no configuration.
    #[error("{path} has more than {CONFIG_BYTES_MAX} bytes; it is not a configuration", path = path.display())]
    TooLarge {
        /// Which.
        path: PathBuf,
    },
    /// Not TOML.
    #[error("{path} is not TOML: {error}", path = path.display())]
    Syntax {
        /// Which.
        path: PathBuf,
        /// Where and why.
        error: Box<toml::de::Error>,
    },
    /// Everything that is wrong with the values.
    #[error("{} faults in the configuration:{}", .0.len(), list(.0))]
    Faults(Vec<Fault>),
}

fn list(faults: &[Fault]) -> String {
    faults.iter().map(|fault| format!("\n  {fault}")).collect()
}

impl NodeConfig {
    /// Read a file, the variables of an environment, and the values of `--set` (each `section.key=value`).
    ///
    /// Relative paths, wherever they come from, are relative to the folder of the file.
    pub fn load(
        path: &Path,
        environment: impl IntoIterator<Item = (String, String)>,
        sets: &[String],
    ) -> Result<Self, ConfigError> {
        let unreadable = |error| ConfigError::Read {
            path: path.to_path_buf(),
            error,
        };
        let mut text = String::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(CONFIG_BYTES_MAX + 1).read_to_string(&mut text))
            .map_err(unreadable)?;
        if text.len() as u64 > CONFIG_BYTES_MAX {
            return Err(ConfigError::TooLarge {
                path: path.to_path_buf(),
            });
        }
        let table = toml::from_str(&text).map_err(|error| ConfigError::Syntax {
            path: path.to_path_buf(),
            error: Box::new(error),
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::from_parts(&table, environment, sets, folder).map_err(ConfigError::Faults)
    }

    /// The same from a parsed file. `folder` is what relative paths are relative to.
    pub fn from_parts(
        file: &Table,
        environment: impl IntoIterator<Item = (String, String)>,
        sets: &[String],
        folder: &Path,
    ) -> Result<Self, Vec<Fault>> {
        let mut loading = Loading::default();
        loading.file(file, "");
        for (variable, value) in environment {
            loading.environment(&variable, &value);
        }
        for set in sets {
            loading.flag(set);
        }
        let Loading {
            mut config,
            sources,
            mut faults,
        } = loading;
        for path in [
            &mut config.node.data_dir,
            &mut config.node.committee,
            &mut config.node.key,
            &mut config.l1.network,
        ] {
            *path = folder.join(&*path);
        }
        if let Some(path) = &mut config.node.key_password_file {
            *path = folder.join(&*path);
        }
        let source = |key: &str| sources.get(key).cloned().unwrap_or(Source::Default);
        for (key, problem) in config.contradictions() {
            faults.push(Fault {
                key: key.to_owned(),
                source: source(key),
                problem,
            });
        }
        if faults.is_empty() {
            Ok(config)
        } else {
            Err(faults)
        }
    }
}

/// A configuration on its way.
struct Loading {
    config: NodeConfig,
    sources: BTreeMap<&'static str, Source>,
    faults: Vec<Fault>,
}

impl Default for Loading {
    fn default() -> Self {
        let mut loading = Self {
            config: NodeConfig::blank(),
            sources: BTreeMap::new(),
            faults: Vec::new(),
        };
        for option in OPTIONS {
            loading.set_text(option, option.default, Source::Default);
        }
        assert!(
            loading.faults.is_empty(),
            "the defaults are valid: {}",
            list(&loading.faults)
        );
        loading
    }
}

impl Loading {
    fn file(&mut self, table: &Table, prefix: &str) {
        for (name, value) in table {
            let key = format!("{prefix}{name}");
            match (options::find(&key), value) {
                (Some(option), value) => self.set_value(option, value),
                (None, Value::Table(inner)) if options::is_section(&key) => {
                    self.file(inner, &format!("{key}."));
                }
                (None, _) => self.unknown(key, Source::File),
            }
        }
    }

    fn environment(&mut self, variable: &str, value: &str) {
        let Some(name) = variable.strip_prefix(ENVIRONMENT_PREFIX) else {
            return;
        };
        let option = OPTIONS.iter().find(|option| option.variable() == variable);
        if let Some(option) = option {
            let source = Source::Environment(variable.to_owned());
            self.set_text(option, value, source);
        } else if name
            .split_once('_')
            .is_some_and(|(section, _)| options::is_section(&section.to_lowercase()))
        {
            // Other tools may have variables with our prefix, but not with a section of ours.
            let key = name.to_lowercase().replacen('_', ".", 1);
            self.unknown(key, Source::Environment(variable.to_owned()));
        }
    }

    fn flag(&mut self, set: &str) {
        let Some((key, value)) = set.split_once('=') else {
            self.faults.push(Fault {
                key: set.to_owned(),
                source: Source::Flag,
                problem: "write it as section.key=value".to_owned(),
            });
            return;
        };
        match options::find(key.trim()) {
            Some(option) => self.set_text(option, value.trim(), Source::Flag),
            None => self.unknown(key.trim().to_owned(), Source::Flag),
        }
    }

    fn unknown(&mut self, key: String, source: Source) {
        let near = options::nearest(&key)
            .map(|near| format!("; did you mean {near}?"))
            .unwrap_or_default();
        self.faults.push(Fault {
            key,
            source,
            problem: format!("there is no such option{near}"),
        });
    }

    fn set_value(&mut self, option: &'static Opt, value: &Value) {
        let text = match (&option.kind, value) {
            (Kind::Flag(_), Value::Boolean(flag)) => flag.to_string(),
            (kind, Value::Integer(number)) if kind.is_number() => number.to_string(),
            (Kind::Rollups(_), Value::Table(table)) => match options::rollups_text(table) {
                Some(text) => text,
                None => return self.mistyped(option, "a text in quotes for each rollup", value),
            },
            (Kind::Flag(_), other) => return self.mistyped(option, "true or false", other),
            (kind, other) if kind.is_number() => {
                return self.mistyped(option, "a whole number without quotes", other);
            }
            (_, Value::String(text)) => text.clone(),
            (_, other) => return self.mistyped(option, "a text in quotes", other),
        };
        self.set_text(option, &text, Source::File);
    }

    fn mistyped(&mut self, option: &Opt, expected: &str, found: &Value) {
        self.faults.push(Fault {
            key: option.key.to_owned(),
            source: Source::File,
            problem: format!("expected {expected}, found {}: {found}", found.type_str()),
        });
    }

    fn set_text(&mut self, option: &'static Opt, text: &str, source: Source) {
        match option.kind.set(&mut self.config, text) {
            Ok(()) => {
                self.sources.insert(option.key, source);
            }
            Err(problem) => self.faults.push(Fault {
                key: option.key.to_owned(),
                source,
                problem,
            }),
        }
    }
}

#[cfg(test)]
mod tests;
