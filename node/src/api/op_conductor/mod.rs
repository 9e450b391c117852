//! A drop-in for op-conductor, at `/conductor/{id}`: what op-node and op-batcher call there, backed by the committee.
//!
//! The methods and shapes are those of `op-conductor/rpc` in ethereum-optimism/optimism at bcb60e68; `conductor_overrideLeader`
//! may also come without its argument, as before. A rollup has a conductor if `rpc.conductor` names a
//! password for it, the same at all members that sequence; it is the password of HTTP's basic authentication, so op-node
//! is started with `--conductor.rpc=http://conductor:PASSWORD@member:9000/conductor/901`.
//!
//! `conductor_commitUnsafePayload` orders the JSON of the payload on the rollup's lane ([`payload`]) and answers when it is
//! soft-final and counts ([`lane`]). After a start the last [`RECOVER_BLOCKS_MAX`] blocks are searched for the last
//! payload; if there is none in them, the first that comes counts whatever it follows.

mod lane;
mod payload;

use super::errors::{ErrorCode, refused};
use super::native::invalid;
use super::{Api, Route};
use crate::config::RpcConfig;
use crate::handle::{BlockAt, CommittedBlock, NodeHandle, SubmitError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonrpsee::core::RegisterMethodError;
use jsonrpsee::server::HttpRequest;
use jsonrpsee::types::{ErrorObjectOwned, Params};
use jsonrpsee::{Extensions, RpcModule};
use lane::{Lane, Last};
use outrider_types::{EpochStart, Height, MemberIndex, RollupId, Transaction};
use payload::{Numbered, Seal, id_of};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Mutex as Turn, watch};
use tokio::task::JoinSet;

/// Blocks that are searched for the last payload after a start.
const RECOVER_BLOCKS_MAX: u64 = 4_096;
/// Blocks with transactions of the lane that are kept while searching.
const RECOVER_HELD_MAX: usize = 64;

/// The conductors by rollup, and the tasks that follow the chain for them, which end with it.
pub(crate) struct Conductors {
    all: BTreeMap<RollupId, Arc<Conductor>>,
    _tasks: JoinSet<()>,
}

struct Conductor {
    rollup: RollupId,
    /// SHA-256 of it.
    password: [u8; 32],
    seal: Seal,
    lane: Mutex<Lane>,
    /// The height up to which the lane is known; none until the last payload was searched for.
    followed: watch::Sender<Option<Height>>,
    paused: AtomicBool,
    stopped: AtomicBool,
    overridden: AtomicBool,
    /// One payload after the other.
    committing: Turn<()>,
}

/// SHA-256 of the password that a request came with.
#[derive(Clone, Copy)]
struct Password([u8; 32]);

/// Note the password of a request.
pub(super) fn password(mut request: HttpRequest) -> HttpRequest {
    let given = request.headers().get(http::header::AUTHORIZATION);
    let password = given.and_then(|given| {
        let (scheme, encoded) = given.to_str().ok()?.split_once(' ')?;
        let basic = scheme.eq_ignore_ascii_case("basic");
        let decoded = STANDARD.decode(encoded.trim()).ok().filter(|_| basic)?;
        let at = decoded.iter().position(|byte| *byte == b':')?;
        Some(Password(Sha256::digest(decoded.get(at + 1..)?).into()))
    });
    if let Some(password) = password {
        request.extensions_mut().insert(password);
    }
    request
}

impl Conductors {
    /// One for each rollup that has a password, and a task that follows the chain for it.
    pub(super) fn start(handle: &NodeHandle, config: &RpcConfig) -> Self {
        let mut tasks = JoinSet::new();
        let start = |(rollup, password): (&RollupId, &String)| {
            let seal = Seal::new(*rollup, password);
            let conductor = Arc::new(Conductor {
                rollup: *rollup,
                password: Sha256::digest(password).into(),
                seal: seal.clone(),
                lane: Mutex::new(Lane::new(*rollup, seal)),
                followed: watch::Sender::new(None),
                paused: AtomicBool::new(false),
                stopped: AtomicBool::new(false),
                overridden: AtomicBool::new(false),
                committing: Turn::new(()),
            });
            tasks.spawn(follow(conductor.clone(), handle.clone()));
            (*rollup, conductor)
        };
        let all = config.conductor.iter().map(start).collect();
        Self { all, _tasks: tasks }
    }
}

impl Conductor {
    fn with_lane<T>(&self, look: impl FnOnce(&mut Lane) -> T) -> T {
        look(&mut self.lane.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn apply(&self, blocks: impl IntoIterator<Item = Arc<CommittedBlock>>) {
        let height = self.with_lane(|lane| {
            for block in blocks {
                lane.apply(&block);
            }
            lane.height
        });
        self.followed.send_replace(Some(height));
    }

    fn leader(&self, epoch: &EpochStart) -> MemberIndex {
        self.with_lane(|lane| lane.leader(epoch.committee.members().len()))
    }
}

/// Bring the lane up to date, and keep it so. Subscribes first, so nothing falls in between.
async fn follow(conductor: Arc<Conductor>, handle: NodeHandle) {
    let mut blocks = handle.follow();
    recover(&conductor, &handle).await;
    loop {
        match blocks.recv().await {
            Ok(block) => conductor.apply([block]),
            Err(RecvError::Lagged(_)) => catch_up(&conductor, &handle).await,
            Err(RecvError::Closed) => return,
        }
    }
}

/// Search back for the last payload, and begin from there.
async fn recover(conductor: &Conductor, handle: &NodeHandle) {
    let head = handle.head().height.0;
    let mut held: Vec<Arc<CommittedBlock>> = Vec::new();
    for height in (1..=head).rev().take(RECOVER_BLOCKS_MAX as usize) {
        let Ok(Some(block)) = handle.block(BlockAt::Height(Height(height))).await else {
            break;
        };
        let mut batches = block.payload.batches.iter();
        if height != head && !batches.any(|batch| batch.rollup == conductor.rollup) {
            continue;
        }
        held.push(block);
        let mut lane = Lane::new(conductor.rollup, conductor.seal.clone());
        held.iter().rev().for_each(|block| lane.apply(block));
        if lane.last.is_some() || held.len() >= RECOVER_HELD_MAX {
            break;
        }
    }
    held.reverse();
    conductor.apply(held);
}

/// Blocks were passed over: read them.
async fn catch_up(conductor: &Conductor, handle: &NodeHandle) {
    let head = handle.head().height.0;
    let from = conductor.with_lane(|lane| lane.height.0) + 1;
    for height in from..=head {
        match handle.block(BlockAt::Height(Height(height))).await {
            Ok(Some(block)) => conductor.apply([block]),
            // Forgotten here, or the member stops: what follows is judged by what is known.
            _ => return,
        }
    }
}

/// The conductor that a call is for, if the call may be made.
fn conducted<'a>(
    api: &'a Api,
    extensions: &Extensions,
) -> Result<&'a Arc<Conductor>, ErrorObjectOwned> {
    let Some(Route::Conductor(rollup)) = extensions.get::<Route>() else {
        let text = "conductor methods are served at /conductor/{id}, where id is the rollup's id in decimal";
        return Err(ErrorCode::WrongPath.error(text, None));
    };
    let given = extensions.get::<Password>().map(|password| password.0);
    let conductor = api.conductors.all.get(rollup);
    conductor
        .filter(|conductor| given == Some(conductor.password))
        .ok_or_else(|| {
            let text = format!(
                "rollup {rollup} has no conductor here, or the password is wrong: set rpc.conductor, and call http://conductor:PASSWORD@host/conductor/{rollup}"
            );
            ErrorCode::Unauthorized.error(text, None)
        })
}

/// A member as op-conductor tells of a server.
fn server(epoch: &EpochStart, member: MemberIndex) -> Value {
    let contact = epoch.contacts.get(member.index());
    let id = contact.map_or_else(
        || format!("member-{}", member.0),
        |contact| contact.name.clone(),
    );
    let address = contact.map_or_else(String::new, |contact| contact.address.to_string());
    json!({ "id": id, "addr": address, "suffrage": 0 })
}

pub(super) fn register(module: &mut RpcModule<Api>) -> Result<(), RegisterMethodError> {
    type Look = fn(&Api, &Conductor) -> Value;
    let looks: [(&'static str, Look); 9] = [
        ("conductor_active", |_, conductor| {
            let flags = [&conductor.paused, &conductor.stopped];
            json!(!flags.iter().any(|flag| flag.load(Ordering::Relaxed)))
        }),
        ("conductor_paused", |_, conductor| {
            json!(conductor.paused.load(Ordering::Relaxed))
        }),
        ("conductor_stopped", |_, conductor| {
            json!(conductor.stopped.load(Ordering::Relaxed))
        }),
        ("conductor_leader", |api, conductor| {
            let leads = api.handle.member() == Some(conductor.leader(&api.handle.epoch()));
            let known = conductor.followed.borrow().is_some();
            json!((leads && known) || conductor.overridden.load(Ordering::Relaxed))
        }),
        ("conductor_leaderOverridden", |_, conductor| {
            json!(conductor.overridden.load(Ordering::Relaxed))
        }),
        ("conductor_leaderWithID", |api, conductor| {
            if conductor.overridden.load(Ordering::Relaxed) {
                return json!({ "id": "N/A (Leader overridden)", "addr": "N/A", "suffrage": 0 });
            }
            let epoch = api.handle.epoch();
            server(&epoch, conductor.leader(&epoch))
        }),
        ("conductor_sequencerHealthy", |api, _| {
            json!(api.handle.member().is_some() && !super::native::syncing(&api.handle.head()))
        }),
        ("conductor_clusterMembership", |api, _| {
            let epoch = api.handle.epoch();
            let members = 0..epoch.committee.members().len();
            let members = members.filter_map(|at| u16::try_from(at).ok().map(MemberIndex));
            let servers: Vec<_> = members.map(|member| server(&epoch, member)).collect();
            json!({ "servers": servers, "version": epoch.committee.epoch() })
        }),
        ("conductor_pause", |_, conductor| {
            conductor.paused.store(true, Ordering::Relaxed);
            Value::Null
        }),
    ];
    for (name, look) in looks {
        module.register_method(name, move |_, api, extensions| {
            conducted(api, extensions).map(|conductor| look(api, conductor))
        })?;
    }
    module.register_method("conductor_stop", |_, api, extensions| {
        let conductor = conducted(api, extensions)?;
        conductor.stopped.store(true, Ordering::Relaxed);
        Ok::<_, ErrorObjectOwned>(Value::Null)
    })?;
    module.register_method("conductor_resume", |_, api, extensions| {
        let conductor = conducted(api, extensions)?;
        running(conductor)?;
        conductor.paused.store(false, Ordering::Relaxed);
        Ok::<_, ErrorObjectOwned>(Value::Null)
    })?;
    module.register_method("conductor_overrideLeader", |params, api, extensions| {
        let conductor = conducted(api, extensions)?;
        let on: Option<bool> = params.sequence().optional_next()?;
        conductor
            .overridden
            .store(on.unwrap_or(true), Ordering::Relaxed);
        Ok::<_, ErrorObjectOwned>(Value::Null)
    })?;
    module.register_async_method("conductor_commitUnsafePayload", commit)?;
    register_refusals(module)
}

/// What raft needs and a committee does not.
fn register_refusals(module: &mut RpcModule<Api>) -> Result<(), RegisterMethodError> {
    const MEMBERS: &str = "the committee changes by the approval of its members, at the end of an epoch: outrider committee propose, approve, submit";
    const FOLLOWERS: &str =
        "nobody is registered to follow: start a member with node.follow = true";
    const TURNS: &str =
        "who may sequence follows from the chain: its turn ends when it commits nothing for 10 s";
    for (name, why) in [
        ("conductor_addServerAsVoter", MEMBERS),
        ("conductor_addServerAsNonvoter", FOLLOWERS),
        ("conductor_removeServer", MEMBERS),
        ("conductor_transferLeader", TURNS),
        ("conductor_transferLeaderToServer", TURNS),
    ] {
        module.register_method(name, move |_, api, extensions| {
            conducted(api, extensions)?;
            Err::<(), _>(ErrorCode::NoSuchDuty.error(format!("{name}: {why}"), None))
        })?;
    }
    Ok(())
}

fn running(conductor: &Conductor) -> Result<(), ErrorObjectOwned> {
    if conductor.stopped.load(Ordering::Relaxed) {
        let text = "the conductor was stopped; start the member again";
        return Err(ErrorCode::Stopping.error(text, None));
    }
    Ok(())
}

fn not_next(last: Option<Last>, payload: &Numbered) -> ErrorObjectOwned {
    let data = last.map(|last| {
        let hash = const_hex::encode_prefixed(last.payload.hash);
        json!({ "number": last.payload.number, "hash": hash })
    });
    let text = format!(
        "payload {} does not follow the last committed one",
        payload.number
    );
    ErrorCode::NotNext.error(text, data)
}

async fn commit(
    params: Params<'static>,
    api: Arc<Api>,
    extensions: Extensions,
) -> Result<Value, ErrorObjectOwned> {
    let conductor = conducted(&api, &extensions)?;
    running(conductor)?;
    let (text,): (Box<RawValue>,) = params.parse()?;
    let text = text.get().as_bytes();
    let payload = Numbered::read(text).map_err(invalid)?;
    let id = id_of(text);
    let committing = conductor.committing.lock().await;
    let mut followed = conductor.followed.subscribe();
    let known = followed.wait_for(Option::is_some).await;
    known.map_err(|_| super::native::stopped(crate::handle::Stopped))?;
    // Called again, because the answer was lost.
    if conductor.with_lane(|lane| lane.decision(&id)) == Some(true) {
        return Ok(Value::Null);
    }
    let epoch = api.handle.epoch();
    let leader = conductor.leader(&epoch);
    let author = api.handle.member().filter(|member| *member == leader);
    let author = author.ok_or_else(|| {
        let leader = server(&epoch, leader);
        let text = format!("it is the turn of {} to sequence", leader["id"]);
        ErrorCode::NotLeader.error(text, Some(json!({ "leader": leader })))
    })?;
    let (takes, last) = conductor.with_lane(|lane| (lane.takes(&payload), lane.last));
    if !takes {
        return Err(not_next(last, &payload));
    }
    let parts = conductor
        .seal
        .seal(author, text, api.limits.transaction_bytes_max)
        .ok_or_else(|| {
            let text = format!(
                "the payload has {} bytes, too many to be ordered",
                text.len()
            );
            ErrorCode::Size.error(text, None)
        })?;
    let rollup = conductor.rollup;
    let transactions = parts.into_iter().map(|data| Transaction { rollup, data });
    for answer in api.handle.submit_many(transactions.collect()).await {
        match answer {
            Ok(_) | Err(SubmitError::Duplicate { .. }) => {}
            Err(error) => return Err(refused(&error)),
        }
    }
    let wait = Duration::from_millis(api.receipt_wait_ms_max);
    let decided = tokio::time::timeout(wait, async {
        loop {
            if let Some(counts) = conductor.with_lane(|lane| lane.decision(&id)) {
                return Some(counts);
            }
            followed.changed().await.ok()?;
        }
    });
    let decided = decided.await;
    drop(committing);
    match decided {
        Ok(Some(true)) => Ok(Value::Null),
        Ok(Some(false)) => {
            let last = conductor.with_lane(|lane| lane.last);
            Err(not_next(last, &payload))
        }
        _ => {
            let waited_ms = api.receipt_wait_ms_max;
            Err(refused(&SubmitError::NotHeld { waited_ms }))
        }
    }
}
