//! A short-lived rollup while it lives: executed, served to wallets, and written down at its end.

use super::gateway::Gateway;
use super::home::Home;
use super::{FINAL_VERSION, FinalFile, RollupError};
use crate::certify::{Certifier, Outcome};
use crate::conduct::{Event, Plan};
use crate::lane::Cursor;
use crate::options::{Options, run};
use crate::steps::StepLog;
use outrider_client::{Client, ClientError, ExecutionFile, LaneClaim, LaneProof};
use outrider_types::{LaneHeight, LaneTip, Registration, RollupId, SecretKey};
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// From one look at the registry to the next.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Tries to get a proof from members, at most; they pause between.
const TRIES_MAX: usize = 50;

/// What is run.
#[derive(Clone, Debug)]
pub struct LiveOptions {
    /// The rollup.
    pub registration: Registration,
    /// RPC of members.
    pub members: Vec<String>,
    /// Folder for everything that is kept.
    pub data: PathBuf,
    /// Where wallets are served.
    pub listen: SocketAddr,
    /// The program, for an EVM.
    pub anvil: PathBuf,
    /// Accounts that have something from the start, in an EVM.
    pub fund: Vec<[u8; 20]>,
    /// Time in one execution block.
    pub block_time: Duration,
    /// A member's key: what is executed is signed with it.
    pub certify: Option<SecretKey>,
}

/// What is told.
#[derive(Debug)]
pub enum LiveEvent<'a> {
    /// It is served.
    Serving {
        /// To wallets.
        url: String,
        /// The execution node itself.
        execution: &'a str,
    },
    /// Of the conductor.
    Conduct(Event<'a>),
    /// Nothing comes any more.
    Closed {
        /// The whole lane.
        lane: LaneTip,
    },
}

/// Run a rollup until it is closed and its lane is executed, or until `stop` is done; then say where it ended.
pub async fn live(
    options: &LiveOptions,
    stop: impl Future<Output = ()>,
    mut tell: impl FnMut(LiveEvent<'_>) + Send,
) -> Result<FinalFile, RollupError> {
    std::fs::create_dir_all(&options.data).map_err(|error| RollupError::File {
        act: "make",
        path: options.data.clone(),
        error,
    })?;
    let members = options.members.iter().map(|url| Client::new(url));
    let members = members.collect::<Result<Vec<_>, _>>()?;
    let address = options.listen;
    let failed = |error| RollupError::Listen { address, error };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let url = format!("http://{}", listener.local_addr().map_err(failed)?);
    let mut home = Home::start(options).await?;
    let rollup = options.registration.rollup;
    let steps = StepLog::new(&options.data);
    let gateway = Gateway::new(rollup, &options.members, home.url(), steps);
    tell(LiveEvent::Serving {
        url,
        execution: home.url(),
    });
    let conductor = Options {
        trust: None,
        plan: Plan {
            rollup,
            interval: options.block_time,
            data: options.data.clone(),
        },
        members: options.members.clone(),
        driver: home.driver(),
        execution: home.url().to_owned(),
        engine: None,
        mirror: None,
        jwt: None,
        coinbase: [0; 20],
        certify: options.certify.clone(),
    };
    let (reached, reader) = watch::channel(None);
    let conducted = run(&conductor, |event| {
        if let Some(outcome) = Outcome::of(&event) {
            reached.send_replace(Some(outcome));
        }
        tell(LiveEvent::Conduct(event));
    });
    let closed = tokio::select! {
        biased;
        () = stop => None,
        tip = closed(&members, options, reader.clone()) => Some(tip),
        error = home.ended() => return Err(error),
        ended = gateway.serve(listener) => {
            ended?;
            None
        }
        ended = conducted => {
            ended?;
            None
        }
    };
    if let Some(lane) = closed {
        tell(LiveEvent::Closed { lane });
    }
    let outcome = *reader.borrow();
    if let (Some(key), Some(outcome)) = (&options.certify, &outcome) {
        // The conductor may have been stopped before it told the last one.
        let mut certifier = Certifier::new(&options.members, rollup, key.clone())?;
        let lane_height = outcome.cursor.lane_height;
        if let Err(error) = certifier.certify(outcome).await {
            let reason = error.to_string();
            tell(LiveEvent::Conduct(Event::NotSigned {
                lane_height,
                reason,
            }));
        }
    }
    write_down(options, &members, &home, closed.is_some(), outcome).await
}

/// Returns when the rollup is closed and everything in its lane is executed.
async fn closed(
    members: &[Client],
    options: &LiveOptions,
    reached: watch::Receiver<Option<Outcome>>,
) -> LaneTip {
    let rollup = options.registration.rollup;
    loop {
        for member in members {
            if let Ok(state) = member.rollup_state(rollup).await
                && !state.open
                && state.tip.height.0 == height_of(*reached.borrow())
            {
                return state.tip;
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn height_of(outcome: Option<Outcome>) -> u64 {
    outcome.map_or(0, |outcome| outcome.cursor.lane_height)
}

async fn write_down(
    options: &LiveOptions,
    members: &[Client],
    home: &Home,
    closed: bool,
    outcome: Option<Outcome>,
) -> Result<FinalFile, RollupError> {
    let rollup = options.registration.rollup;
    let last = match outcome {
        None => None,
        Some(outcome) => Some(proof_of(members, options, outcome.cursor).await?),
    };
    let executed = height_of(outcome);
    let lane = match last.as_ref().map(|proof| &proof.claim) {
        Some(LaneClaim::Holds(member)) => member.lane.tip(),
        _ => LaneTip::default(),
    };
    if lane.height.0 != executed {
        return Err(RollupError::State {
            reason: format!(
                "the member proves lane block {}, but {executed} was executed",
                lane.height
            ),
        });
    }
    let (block, claims) = home.state().await?;
    let wait = options.certify.is_some() && executed > 0;
    let certificate = certificate_of(members, rollup, lane.height, wait).await;
    let file = FinalFile {
        version: FINAL_VERSION,
        digest: alloy_primitives::B256::ZERO,
        rollup,
        vm: options.registration.vm,
        closed,
        lane,
        last,
        block,
        certificate,
        claims,
    }
    .sealed();
    let path = options.data.join("final.json");
    std::fs::write(&path, file.to_json()).map_err(|error| RollupError::File {
        act: "write",
        path,
        error,
    })?;
    Ok(file)
}

/// What a quorum says of the last lane block. It is waited for a while if this member says something itself.
async fn certificate_of(
    members: &[Client],
    rollup: RollupId,
    lane: LaneHeight,
    wait: bool,
) -> Option<ExecutionFile> {
    for _ in 0..if wait { TRIES_MAX } else { 1 } {
        for member in members {
            if let Ok(Some(file)) = member.execution_certificate(rollup, lane).await {
                return Some(file);
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    None
}

async fn proof_of(
    members: &[Client],
    options: &LiveOptions,
    cursor: Cursor,
) -> Result<LaneProof, RollupError> {
    let rollup = options.registration.rollup;
    let mut failure: Option<ClientError> = None;
    for _ in 0..TRIES_MAX {
        for member in members {
            match member.lane_proof(rollup, cursor.height).await {
                Ok(Some(proof)) => return Ok(proof),
                Ok(None) => {}
                Err(error) => failure = Some(error),
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let height = cursor.height;
    Err(failure.map_or_else(
        || RollupError::State {
            reason: format!("no member proves what block {height} holds for rollup {rollup}"),
        },
        RollupError::from,
    ))
}
