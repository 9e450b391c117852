//! A short-lived rollup while it lives: executed, served to wallets, and written down at its end.

use super::gateway::Gateway;
use super::home::Home;
use super::{FINAL_VERSION, FinalFile, RollupError};
use crate::certify::{Certifier, Outcome};
use crate::conduct::{Event, Plan};
use crate::lane::Cursor;
use crate::options::{Options, run};
use crate::steps::StepLog;
use outrider_client::{Client, ClientError, ExecutionFile, LaneClaim, LaneProof, Trust};
use outrider_types::{LaneHeight, LaneTip, Registration, RollupId, SecretKey, Timestamp};
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
    /// The committee that proofs start at; none: what members say is believed.
    pub trust: Option<Trust>,
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
    let conductor = conductor(options, &home);
    let (reached, reader) = watch::channel(None);
    let (passed, passes) = watch::channel(Timestamp(0));
    let conducted = run(&conductor, |event| {
        if let Some(outcome) = Outcome::reached(&event) {
            reached.send_replace(Some(outcome));
        }
        if let Event::Passed { time } = event {
            passed.send_replace(time);
        }
        tell(LiveEvent::Conduct(event));
    });
    let mut trust = options.trust.clone();
    let over = tokio::select! {
        biased;
        () = stop => false,
        () = closed(&members, options, trust.as_mut(), passes) => true,
        error = home.ended() => return Err(error),
        ended = gateway.serve(listener) => {
            ended?;
            false
        }
        ended = conducted => {
            ended?;
            false
        }
    };
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
    let last = last_of(&members, options, trust.as_mut(), outcome).await?;
    if over {
        let lane = last.as_ref().map_or_else(LaneTip::default, tip_of);
        tell(LiveEvent::Closed { lane });
    }
    let end = End {
        over,
        outcome,
        last,
    };
    write_down(options, &members, trust, &home, end).await
}

/// What drives the home.
fn conductor(options: &LiveOptions, home: &Home) -> Options {
    Options {
        trust: options.trust.clone(),
        plan: Plan {
            rollup: options.registration.rollup,
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
    }
}

/// Where it ended.
struct End {
    /// Nothing comes any more.
    over: bool,
    outcome: Option<Outcome>,
    last: Option<LaneProof>,
}

/// Returns when the rollup is closed and everything in its lane is executed.
async fn closed(
    members: &[Client],
    options: &LiveOptions,
    mut trust: Option<&mut Trust>,
    passes: watch::Receiver<Timestamp>,
) {
    let mut closes = options.registration.closes;
    while *passes.borrow() < closes {
        tokio::time::sleep(LOOK_EVERY).await;
        for member in members {
            // A member that says that it is open though it was closed delays the end until its time is over.
            if let Ok(Some(found)) = closed_at(member, options, trust.as_deref_mut()).await {
                closes = closes.min(found);
            }
        }
    }
}

/// The time at which the owner closed it; none if nobody did.
async fn closed_at(
    member: &Client,
    options: &LiveOptions,
    trust: Option<&mut Trust>,
) -> Result<Option<Timestamp>, ClientError> {
    let before = options.registration;
    let state = member.rollup_state(before.rollup).await?;
    let mut found = state.registration;
    if found.is_none_or(|it| it.closes >= before.closes) {
        return Ok(None);
    }
    if let Some(trust) = trust {
        found = member.verified_registration(before.rollup, trust).await?.1;
    }
    let same = found.filter(|it| it.opened == before.opened && it.owner == before.owner);
    Ok(same.map(|it| it.closes))
}

fn height_of(outcome: Option<Outcome>) -> u64 {
    outcome.map_or(0, |outcome| outcome.cursor.lane_height)
}

/// The proof of the last lane block that was executed.
async fn last_of(
    members: &[Client],
    options: &LiveOptions,
    trust: Option<&mut Trust>,
    outcome: Option<Outcome>,
) -> Result<Option<LaneProof>, RollupError> {
    let Some(outcome) = outcome else {
        return Ok(None);
    };
    let proof = proof_of(members, options, trust, outcome.cursor).await?;
    let (found, executed) = (tip_of(&proof).height, outcome.cursor.lane_height);
    if found.0 != executed {
        return Err(RollupError::State {
            reason: format!("the member proves lane block {found}, but {executed} was executed"),
        });
    }
    Ok(Some(proof))
}

fn tip_of(proof: &LaneProof) -> LaneTip {
    match &proof.claim {
        LaneClaim::Holds(member) => member.lane.tip(),
        LaneClaim::Absent(_) => LaneTip::default(),
    }
}

async fn write_down(
    options: &LiveOptions,
    members: &[Client],
    trust: Option<Trust>,
    home: &Home,
    end: End,
) -> Result<FinalFile, RollupError> {
    let rollup = options.registration.rollup;
    let End {
        over,
        outcome,
        last,
    } = end;
    let executed = height_of(outcome);
    let lane = last.as_ref().map_or_else(LaneTip::default, tip_of);
    let (block, claims) = home.state().await?;
    let wait = options.certify.is_some() && executed > 0;
    let certificate = certificate_of(members, rollup, lane.height, wait).await;
    // One that does not hold is not written down.
    let certificate = certificate.filter(|file| {
        trust
            .as_ref()
            .is_none_or(|trust| trust.verify_execution(file).is_ok())
    });
    let file = FinalFile {
        version: FINAL_VERSION,
        digest: alloy_primitives::B256::ZERO,
        rollup,
        vm: options.registration.vm,
        closed: over,
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
    mut trust: Option<&mut Trust>,
    cursor: Cursor,
) -> Result<LaneProof, RollupError> {
    let rollup = options.registration.rollup;
    let mut failure: Option<ClientError> = None;
    for _ in 0..TRIES_MAX {
        for member in members {
            let found = match &mut trust {
                None => member.lane_proof(rollup, cursor.height).await,
                Some(trust) => {
                    let found = member.verified_lane(rollup, cursor.height, trust).await;
                    found.map(|(proof, _)| Some(proof))
                }
            };
            match found {
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
