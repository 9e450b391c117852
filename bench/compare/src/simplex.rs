//! A member of commonware-consensus simplex: votes in its journal, blocks in memory, load made inside.
//!
//! Blocks travel on a channel of their own, beside votes and certificates, and voters wait for them, as the library leaves
//! dissemination to its user.

use crate::error::CompareError;
use crate::inside::{Inside, MemberArgs, is_block, parent_of};
use bytes::Bytes;
use clap::Args;
use commonware_actor::Feedback;
use commonware_consensus::simplex::elector::RoundRobin;
use commonware_consensus::simplex::scheme::ed25519::Scheme;
use commonware_consensus::simplex::types::{Activity, Context};
use commonware_consensus::simplex::{self, Plan};
use commonware_consensus::types::{Epoch, ViewDelta};
use commonware_consensus::{Automaton, CertifiableAutomaton, Handoff, Relay, Reporter};
use commonware_cryptography::ed25519::{PrivateKey, PublicKey};
use commonware_cryptography::sha256::Digest;
use commonware_cryptography::{ChaCha20Poly1305, Hasher as _, Sha256, Signer as _};
use commonware_p2p::authenticated::lookup;
use commonware_p2p::{Address, AddressableManager as _, Receiver as _, Recipients, Sender as _};
use commonware_parallel::Sequential;
use commonware_runtime::buffer::paged::CacheRef;
use commonware_runtime::{Quota, Runner as _, Supervisor as _, tokio as runtime};
use commonware_stream::cups::{self, Cups};
use commonware_stream::sake::{self, Sake};
use commonware_utils::channel::oneshot;
use commonware_utils::ordered::{Map, Set};
use commonware_utils::{NZU16, NZU32, NZUsize, NonZeroDuration, TryCollect as _};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Blocks that are remembered after their commit, for members that ask late; and final ones whose bytes are awaited.
const REMEMBERED_MAX: usize = 64;
/// A leader with nothing to order waits this long before it proposes an empty block.
const IDLE_BLOCK: Duration = Duration::from_millis(20);
/// Between two looks for transactions.
const LOOK: Duration = Duration::from_millis(1);

/// What differs between the ways in which simplex is run.
#[derive(Clone, Debug, Args)]
pub struct SimplexArgs {
    #[command(flatten)]
    member: MemberArgs,
    /// The next leader proposes with its vote, before the parent is certified.
    #[arg(long)]
    handoff: bool,
    /// Timer for a proposal.
    #[arg(long)]
    leader_ms: u64,
    /// Timer for a certificate.
    #[arg(long)]
    certification_ms: u64,
    /// Before a timeout is said again.
    #[arg(long)]
    retry_ms: u64,
    /// A leader who was silent for this long is skipped.
    #[arg(long)]
    skip_ms: u64,
}

type BlockSender = lookup::Sender<PublicKey, runtime::Context>;

/// A block, and whether it is one.
type Held = (Arc<Vec<u8>>, bool);

/// The engine's configuration, with what this member gives it.
type EngineConfig = simplex::Config<
    Scheme,
    RoundRobin<Sha256>,
    lookup::Oracle<PublicKey>,
    Digest,
    App,
    App,
    App,
    Sequential,
>;

#[derive(Default)]
struct State {
    blocks: BTreeMap<Digest, Held>,
    voters: BTreeMap<Digest, Vec<oneshot::Sender<bool>>>,
    /// Final, but not logged: bytes are missing.
    finals: VecDeque<Digest>,
    logged: VecDeque<Digest>,
}

#[derive(Clone)]
struct App {
    inside: Arc<Inside>,
    state: Arc<Mutex<State>>,
    sender: Arc<Mutex<BlockSender>>,
    handoff: bool,
}

/// Shares the block with the network without a copy.
struct Shared(Arc<Vec<u8>>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl State {
    /// Log what is final and held, with its ancestors that are not logged yet, oldest first.
    fn log(&mut self, inside: &Inside) {
        let finals = std::mem::take(&mut self.finals);
        for tip in finals {
            if !self.blocks.contains_key(&tip) {
                self.finals.push_back(tip);
                continue;
            }
            for digest in self.branch(tip).into_iter().rev() {
                if let Some((block, _)) = self.blocks.get(&digest) {
                    inside.committed(block);
                }
                self.logged.push_back(digest);
                if self.logged.len() > REMEMBERED_MAX
                    && let Some(oldest) = self.logged.pop_front()
                {
                    self.blocks.remove(&oldest);
                }
            }
        }
        while self.finals.len() > REMEMBERED_MAX {
            self.finals.pop_front();
        }
    }

    /// The block and its ancestors that are held and not logged, youngest first.
    fn branch(&self, tip: Digest) -> Vec<Digest> {
        let mut branch = Vec::new();
        let mut next = Some(tip);
        while let Some(digest) = next
            && !self.logged.contains(&digest)
            && let Some((block, _)) = self.blocks.get(&digest)
        {
            branch.push(digest);
            next = parent_of(block).map(Digest::from);
        }
        branch
    }
}

impl App {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn arrived(&self, block: Vec<u8>) {
        let digest = Sha256::hash(&[&block]);
        let valid = is_block(&block);
        let mut state = self.state();
        state.blocks.insert(digest, (Arc::new(block), valid));
        for voter in state.voters.remove(&digest).unwrap_or_default() {
            // One that has moved on does not wait for it any more.
            let _ = voter.send(valid);
        }
        state.log(&self.inside);
    }

    async fn make(&self, context: &Context<Digest, PublicKey>) -> Digest {
        let end = tokio::time::Instant::now() + IDLE_BLOCK;
        while self.inside.is_idle() && tokio::time::Instant::now() < end {
            tokio::time::sleep(LOOK).await;
        }
        let mut parent = [0; 32];
        parent.copy_from_slice(context.parent.1.as_ref());
        let block = self.inside.build(&parent, context.round.view().get());
        let digest = Sha256::hash(&[&block]);
        self.state().blocks.insert(digest, (Arc::new(block), true));
        digest
    }
}

impl Automaton for App {
    type Digest = Digest;
    type Context = Context<Digest, PublicKey>;

    async fn propose(&mut self, context: Self::Context) -> oneshot::Receiver<Digest> {
        let (sender, receiver) = oneshot::channel();
        let app = self.clone();
        tokio::spawn(async move { sender.send(app.make(&context).await) });
        receiver
    }

    async fn verify(&mut self, _: Self::Context, digest: Digest) -> oneshot::Receiver<bool> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.state();
        match state.blocks.get(&digest) {
            Some((_, valid)) => {
                let _ = sender.send(*valid);
            }
            None => state.voters.entry(digest).or_default().push(sender),
        }
        receiver
    }
}

impl CertifiableAutomaton for App {
    async fn prepare(&mut self, context: Self::Context) -> oneshot::Receiver<Handoff<Digest>> {
        let (sender, receiver) = oneshot::channel();
        if !self.handoff {
            let _ = sender.send(Handoff::Wait);
            return receiver;
        }
        let app = self.clone();
        tokio::spawn(async move { sender.send(Handoff::Vote(app.make(&context).await)) });
        receiver
    }
}

impl Relay for App {
    type Digest = Digest;
    type PublicKey = PublicKey;
    type Plan = Plan<PublicKey>;

    fn broadcast(&mut self, digest: Digest, plan: Plan<PublicKey>) -> Feedback {
        let to = match plan {
            Plan::Prepare { .. } => return Feedback::Ok,
            Plan::Propose { .. } => Recipients::All,
            Plan::Forward { recipients, .. } => recipients,
        };
        let block = self.state().blocks.get(&digest).map(|held| held.0.clone());
        if let Some(block) = block {
            let mut sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
            sender.send(to, Bytes::from_owner(Shared(block)), false);
        }
        Feedback::Ok
    }
}

impl Reporter for App {
    type Activity = Activity<Scheme, Digest>;

    fn report(&mut self, activity: Self::Activity) -> Feedback {
        if let Activity::Finalization(finalization) = activity {
            let mut state = self.state();
            state.finals.push_back(finalization.proposal.payload);
            state.log(&self.inside);
        }
        Feedback::Ok
    }
}

/// Run the member until standard input ends.
pub fn run(arguments: &SimplexArgs) -> Result<(), CompareError> {
    let config = runtime::Config::new()
        .with_storage_directory(&arguments.member.store)
        .with_worker_threads(std::thread::available_parallelism().map_or(2, usize::from))
        .with_tcp_nodelay(Some(true));
    let arguments = arguments.clone();
    runtime::Runner::new(config).start(async move |context| member(context, arguments).await)
}

fn refused(what: &'static str) -> CompareError {
    CompareError::Peer {
        peer: "simplex",
        what: what.to_owned(),
    }
}

fn key(index: usize) -> PrivateKey {
    PrivateKey::from_seed(u64::try_from(index).unwrap_or(u64::MAX))
}

fn engine_config(
    arguments: &SimplexArgs,
    members: Set<PublicKey>,
    oracle: lookup::Oracle<PublicKey>,
    app: App,
) -> Result<EngineConfig, CompareError> {
    let me = arguments.member.me;
    let fetch = NonZeroDuration::new(Duration::from_secs(1));
    let scheme = Scheme::signer(b"outrider-compare votes", members, key(me));
    Ok(simplex::Config {
        scheme: scheme.ok_or_else(|| refused("its own key"))?,
        elector: RoundRobin::<Sha256>::default(),
        blocker: oracle,
        automaton: app.clone(),
        relay: app.clone(),
        reporter: app,
        track_historical_votes: false,
        strategy: Sequential,
        partition: format!("member-{me}"),
        mailbox_size: NZUsize!(1024),
        epoch: Epoch::zero(),
        floor: simplex::Floor::Genesis(Sha256::hash(&[b"genesis"])),
        replay_buffer: NZUsize!(1024 * 1024),
        write_buffer: NZUsize!(1024 * 1024),
        page_cache: CacheRef::new(NZU16!(16_384), NZUsize!(1_000)),
        leader_timeout: Duration::from_millis(arguments.leader_ms),
        certification_timeout: Duration::from_millis(arguments.certification_ms),
        timeout_retry: Duration::from_millis(arguments.retry_ms),
        view_retention: ViewDelta::new(10),
        skip: simplex::SkipPolicy::Enabled {
            timeout: Duration::from_millis(arguments.skip_ms),
            budget: Default::default(),
        },
        fetch_timeout: fetch.ok_or_else(|| refused("a timeout of 1 s"))?,
        fetch_retry_delay: Duration::from_millis(10),
        forward: simplex::ForwardPolicy::Disabled,
    })
}

async fn member(context: runtime::Context, arguments: SimplexArgs) -> Result<(), CompareError> {
    let MemberArgs { me, addresses, .. } = arguments.member.clone();
    let listen = *addresses.get(me).ok_or_else(|| refused("its own place"))?;
    let keys: Vec<PublicKey> = (0..addresses.len())
        .map(|at| key(at).public_key())
        .collect();
    let handshake = Sake {
        signer: key(me),
        synchrony_bound: Duration::from_secs(5),
        max_handshake_age: Duration::from_secs(10),
        version: sake::Version::V1,
    };
    let block_bytes = u32::try_from(arguments.member.block_bytes).unwrap_or(u32::MAX);
    let network = lookup::Config::local(
        Cups::<_, ChaCha20Poly1305>::new(handshake, cups::Version::V1),
        b"outrider-compare",
        listen,
        NZUsize!(4),
        block_bytes.saturating_add(4_096),
        NZUsize!(4_096),
    );
    let (mut network, mut oracle) = lookup::Network::new(context.child("network"), network);
    let peers = keys
        .iter()
        .cloned()
        .zip(addresses.into_iter().map(Address::from));
    let peers: Map<PublicKey, Address> = peers
        .collect::<Vec<_>>()
        .try_into()
        .map_err(|_| refused("the addresses"))?;
    oracle.track(0, peers);
    let quota = Quota::per_second(NZU32!(2_000));
    let votes = network.register(0, quota);
    let certificates = network.register(1, quota);
    let resolver = network.register(2, quota);
    let (sender, mut blocks) = network.register(3, Quota::per_second(NZU32!(500)));
    let app = App {
        inside: Inside::start(&arguments.member)?,
        state: Arc::default(),
        sender: Arc::new(Mutex::new(sender)),
        handoff: arguments.handoff,
    };
    let members = keys.into_iter().try_collect();
    let members = members.map_err(|_| refused("the members"))?;
    let config = engine_config(&arguments, members, oracle, app.clone())?;
    let engine = simplex::Engine::new(context.child("engine"), config);
    network.start();
    engine.start(votes, certificates, resolver);
    while let Ok((_, message)) = blocks.recv().await {
        app.arrived(message.as_ref().to_vec());
    }
    Ok(())
}
