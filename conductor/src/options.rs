//! From what an operator names to a running conductor.

use crate::anvil::AnvilDriver;
use crate::certify::{Certifier, Outcome, UNTOLD_MAX};
use crate::conduct::{ConductError, Event, Plan, conduct};
use crate::engine::EngineDriver;
use crate::engine_api::Engine;
use crate::evm_node::EvmNode;
use crate::jwt::{JwtSecret, NotASecret};
use crate::member_lane::MemberLane;
use crate::mirror::MirrorDriver;
use crate::remote::RemoteDriver;
use crate::rpc::Rpc;
use alloy_primitives::Address;
use outrider_client::{ClientError, Trust};
use outrider_types::SecretKey;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// The longest interval.
pub const INTERVAL_MAX: Duration = Duration::from_secs(60);
/// Most bytes of a file with a secret.
const SECRET_FILE_BYTES_MAX: u64 = 1_024;

/// The kinds of execution nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriverKind {
    /// anvil.
    Anvil,
    /// anvil, and an engine that checks every block.
    Mirror,
    /// An engine with the extended attributes of the OP Stack.
    Engine,
    /// Any process over HTTP.
    Http,
}

/// What an operator asks for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Rollup, interval, folder.
    pub plan: Plan,
    /// RPC of members; the first is asked, the others when it fails.
    pub members: Vec<String>,
    /// The committee that proofs start at; none: finality is a member's word.
    pub trust: Option<Trust>,
    /// Which driver.
    pub driver: DriverKind,
    /// The execution node's JSON-RPC; for a mirror anvil's; for [`DriverKind::Http`] the process.
    pub execution: String,
    /// The Engine API.
    pub engine: Option<String>,
    /// JSON-RPC of the node behind the Engine API, for a mirror.
    pub mirror: Option<String>,
    /// File with the secret of the Engine API.
    pub jwt: Option<PathBuf>,
    /// Who gets the tips.
    pub coinbase: [u8; 20],
    /// A member's key: what is executed is signed with it, and told to members.
    pub certify: Option<SecretKey>,
}

/// Why a conductor does not start, or stops.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No member.
    #[error("a conductor needs the RPC of a member: --member http://127.0.0.1:9601")]
    NoMember,
    /// Addresses.
    #[error(transparent)]
    Member(#[from] ClientError),
    /// Longer than an interval may be.
    #[error(
        "--block-time {interval:?} is longer than {INTERVAL_MAX:?}: transactions would wait for so long"
    )]
    Long {
        /// Asked for.
        interval: Duration,
    },
    /// Timestamps of an EVM are whole seconds.
    #[error(
        "--block-time {interval:?} is not a whole number of seconds, which an EVM needs: its timestamps have no fractions"
    )]
    Interval {
        /// Asked for.
        interval: Duration,
    },
    /// Something that this driver needs.
    #[error("this driver needs {0}")]
    Missing(&'static str),
    /// The secret.
    #[error("cannot read the secret in {path}: {error}", path = path.display())]
    SecretFile {
        /// Which file.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// The secret.
    #[error("{path}: {error}", path = path.display())]
    Secret {
        /// Which file.
        path: PathBuf,
        /// Why not.
        error: NotASecret,
    },
    /// It ran, and had to stop.
    #[error(transparent)]
    Conduct(#[from] ConductError),
}

impl StartError {
    /// Whether what was asked for cannot be: nothing was started.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::NoMember
                | Self::Long { .. }
                | Self::Interval { .. }
                | Self::Missing(_)
                | Self::Secret { .. }
        )
    }
}

/// Run a conductor until it has to stop; see [`conduct`].
pub async fn run(options: &Options, tell: impl FnMut(Event<'_>) + Send) -> Result<(), StartError> {
    let Some(key) = &options.certify else {
        return execute(options, tell).await;
    };
    let rollup = options.plan.rollup;
    let mut certifier = Certifier::new(&options.members, rollup, key.clone())?;
    let (sender, mut outcomes) = mpsc::channel::<Outcome>(UNTOLD_MAX);
    let tell = Mutex::new(tell);
    let tell_one = |event: Event<'_>| {
        let mut tell = tell.lock().unwrap_or_else(PoisonError::into_inner);
        (*tell)(event);
    };
    let certified = async {
        while let Some(outcome) = outcomes.recv().await {
            let lane_height = outcome.cursor.lane_height;
            tell_one(match certifier.certify(&outcome).await {
                Ok(taken) => Event::Signed { lane_height, taken },
                Err(error) => Event::NotSigned {
                    lane_height,
                    reason: error.to_string(),
                },
            });
        }
        std::future::pending::<Result<(), StartError>>().await
    };
    let executed = execute(options, |event| {
        let outcome = Outcome::of(&event);
        tell_one(event);
        if let Some(outcome) = outcome
            && sender.try_send(outcome).is_err()
        {
            tell_one(Event::NotSigned {
                lane_height: outcome.cursor.lane_height,
                reason: "members take executions more slowly than they come".to_owned(),
            });
        }
    });
    tokio::select! {
        biased;
        ended = executed => ended,
        never = certified => never,
    }
}

async fn execute(options: &Options, tell: impl FnMut(Event<'_>) + Send) -> Result<(), StartError> {
    let plan = &options.plan;
    let lane = MemberLane::new(plan.rollup, &options.members)?.ok_or(StartError::NoMember)?;
    let interval = plan.interval;
    if interval > INTERVAL_MAX {
        return Err(StartError::Long { interval });
    }
    let evm = options.driver != DriverKind::Http;
    if evm && (interval.is_zero() || interval.subsec_nanos() != 0) {
        return Err(StartError::Interval { interval });
    }
    let lane = lane.trusting(options.trust.clone());
    match options.driver {
        DriverKind::Anvil => {
            let driver = AnvilDriver::new(options.node(&options.execution));
            conduct(plan, lane, driver, tell).await?;
        }
        DriverKind::Mirror => {
            let builder = AnvilDriver::new(options.node(&options.execution));
            let missing = StartError::Missing("--mirror, the JSON-RPC of the engine's node");
            let mirror = options.mirror.as_deref().ok_or(missing)?;
            let driver = MirrorDriver::new(builder, options.node(mirror), options.engine()?);
            conduct(plan, lane, driver, tell).await?;
        }
        DriverKind::Engine => {
            let node = options.node(&options.execution);
            let driver = EngineDriver::new(node, options.engine()?);
            conduct(plan, lane, driver, tell).await?;
        }
        DriverKind::Http => {
            let driver = RemoteDriver::new(&options.execution, plan.rollup);
            conduct(plan, lane, driver, tell).await?;
        }
    }
    Ok(())
}

impl Options {
    fn node(&self, url: &str) -> EvmNode {
        let coinbase = Address::from(self.coinbase);
        EvmNode::new(Rpc::new(url, None), self.plan.rollup, coinbase)
    }

    fn engine(&self) -> Result<Engine, StartError> {
        let missing = StartError::Missing("--engine, the address of the Engine API");
        let url = self.engine.as_deref().ok_or(missing)?;
        let missing = StartError::Missing("--jwt, the file with the secret of the Engine API");
        let path = self.jwt.clone().ok_or(missing)?;
        let text = std::fs::File::open(&path).and_then(|file| {
            let mut text = String::new();
            std::io::Read::read_to_string(
                &mut std::io::Read::take(file, SECRET_FILE_BYTES_MAX),
                &mut text,
            )?;
            Ok(text)
        });
        let text = match text {
            Ok(text) => text,
            Err(error) => return Err(StartError::SecretFile { path, error }),
        };
        let secret =
            JwtSecret::from_hex(&text).map_err(|error| StartError::Secret { path, error })?;
        Ok(Engine::new(Rpc::new(url, Some(secret))))
    }
}
