//! A member of hotstuff_rs: everything in memory, blocks inside proposals, load made inside, plain TCP between members.
//!
//! The library leaves the network and the storage to its user; both are the least that works, which favours it: messages
//! are neither encrypted nor authenticated, and nothing reaches a disk.

use crate::error::CompareError;
use crate::inside::{Inside, MemberArgs, is_block};
use borsh::{BorshDeserialize as _, BorshSerialize as _};
use ed25519_dalek::{SigningKey, VerifyingKey};
use hotstuff_rs::app::{
    App, ProduceBlockRequest, ProduceBlockResponse, ValidateBlockRequest, ValidateBlockResponse,
};
use hotstuff_rs::block_tree::pluggables::{KVGet, KVStore, WriteBatch};
use hotstuff_rs::events::{CommitBlockEvent, InsertBlockEvent};
use hotstuff_rs::networking::messages::Message;
use hotstuff_rs::networking::network::Network;
use hotstuff_rs::replica::{Configuration, Replica, ReplicaSpec};
use hotstuff_rs::types::crypto_primitives::{CryptoHasher, Digest as _};
use hotstuff_rs::types::data_types::{
    BufferSize, ChainID, CryptoHash, Data, Datum, EpochLength, Power,
};
use hotstuff_rs::types::update_sets::{AppStateUpdates, ValidatorSetUpdates};
use hotstuff_rs::types::validator_set::{ValidatorSet, ValidatorSetState};
use std::collections::BTreeMap;
use std::io::{BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A leader with nothing to order waits this long before it proposes an empty block.
const IDLE_BLOCK: Duration = Duration::from_millis(20);
/// Between two looks for transactions.
const LOOK: Duration = Duration::from_millis(1);
/// Before a member that does not answer is dialled again.
const REDIAL: Duration = Duration::from_millis(50);
/// Until all members listen.
const LISTENING: Duration = Duration::from_millis(700);
/// Messages that wait for one connection; more are lost, which consensus must bear.
const OUTGOING_MAX: usize = 1_024;
/// Most bytes of a message.
const MESSAGE_BYTES_MAX: u32 = 64 * 1024 * 1024;
/// Longest view. A silent leader costs up to this.
const VIEW: Duration = Duration::from_millis(2_000);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn refused(what: &'static str) -> CompareError {
    CompareError::Peer {
        peer: "hotstuff_rs",
        what: what.to_owned(),
    }
}

type Received = (VerifyingKey, Message);

/// TCP to every other member: a byte that names the dialler, then messages with their lengths before them.
#[derive(Clone)]
struct Tcp {
    me: VerifyingKey,
    outgoing: BTreeMap<[u8; 32], SyncSender<Arc<Vec<u8>>>>,
    to_itself: Sender<Received>,
    incoming: Arc<Mutex<Receiver<Received>>>,
}

impl Tcp {
    fn start(
        me: usize,
        keys: &[VerifyingKey],
        addresses: &[SocketAddr],
    ) -> Result<Self, CompareError> {
        let (to_itself, incoming) = channel();
        let own = addresses.get(me).ok_or_else(|| refused("its own place"))?;
        let listener = TcpListener::bind(own).map_err(CompareError::network("listen"))?;
        let (all, sink) = (keys.to_vec(), to_itself.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (all, sink) = (all.clone(), sink.clone());
                std::thread::spawn(move || receive(stream, &all, &sink));
            }
        });
        let mut outgoing = BTreeMap::new();
        for (other, address) in addresses.iter().copied().enumerate() {
            let (sender, messages) = sync_channel(OUTGOING_MAX);
            if other != me {
                outgoing.insert(keys[other].to_bytes(), sender);
                std::thread::spawn(move || deliver(me, address, &messages));
            }
        }
        Ok(Self {
            me: keys[me],
            outgoing,
            to_itself,
            incoming: Arc::new(Mutex::new(incoming)),
        })
    }
}

/// Read one connection until it ends or says something that is no message.
fn receive(mut stream: TcpStream, keys: &[VerifyingKey], sink: &Sender<Received>) {
    let mut dialler = [0; 1];
    if stream.read_exact(&mut dialler).is_err() {
        return;
    }
    let Some(key) = keys.get(usize::from(dialler[0])) else {
        return;
    };
    let mut stream = BufReader::with_capacity(64 * 1024, stream);
    let mut length = [0; 4];
    while stream.read_exact(&mut length).is_ok() {
        let length = u32::from_le_bytes(length);
        if length > MESSAGE_BYTES_MAX {
            return;
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        if stream.read_exact(&mut bytes).is_err() {
            return;
        }
        let Ok(message) = Message::deserialize(&mut &bytes[..]) else {
            return;
        };
        if sink.send((*key, message)).is_err() {
            return;
        }
    }
}

/// Write to one member, and dial it again for as long as it takes. What is sent meanwhile is lost.
fn deliver(me: usize, address: SocketAddr, messages: &Receiver<Arc<Vec<u8>>>) {
    loop {
        let Ok(mut stream) = TcpStream::connect(address) else {
            std::thread::sleep(REDIAL);
            while messages.try_recv().is_ok() {}
            continue;
        };
        // Slower without, but not wrong.
        let _ = stream.set_nodelay(true);
        let mut sent = stream.write_all(&[u8::try_from(me).unwrap_or(u8::MAX)]);
        while sent.is_ok() {
            let Ok(message) = messages.recv() else {
                return;
            };
            let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
            sent = stream
                .write_all(&length.to_le_bytes())
                .and_then(|()| stream.write_all(&message));
        }
    }
}

impl Network for Tcp {
    fn init_validator_set(&mut self, _: ValidatorSet) {}

    fn update_validator_set(&mut self, _: ValidatorSetUpdates) {}

    fn send(&mut self, peer: VerifyingKey, message: Message) {
        if peer == self.me {
            // It ends with the process.
            let _ = self.to_itself.send((self.me, message));
        } else if let (Some(member), Ok(bytes)) =
            (self.outgoing.get(&peer.to_bytes()), message.try_to_vec())
        {
            let _ = member.try_send(Arc::new(bytes));
        }
    }

    fn broadcast(&mut self, message: Message) {
        if let Ok(bytes) = message.try_to_vec() {
            let bytes = Arc::new(bytes);
            for member in self.outgoing.values() {
                let _ = member.try_send(Arc::clone(&bytes));
            }
        }
        let _ = self.to_itself.send((self.me, message));
    }

    fn recv(&mut self) -> Option<Received> {
        lock(&self.incoming).try_recv().ok()
    }
}

type Pairs = BTreeMap<Vec<u8>, Vec<u8>>;

/// The block tree, in memory.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Pairs>>);

struct Batch(Vec<(Vec<u8>, Option<Vec<u8>>)>);

struct Snapshot<'a>(MutexGuard<'a, Pairs>);

impl WriteBatch for Batch {
    fn new() -> Self {
        Self(Vec::new())
    }

    fn set(&mut self, key: &[u8], value: &[u8]) {
        self.0.push((key.to_vec(), Some(value.to_vec())));
    }

    fn delete(&mut self, key: &[u8]) {
        self.0.push((key.to_vec(), None));
    }
}

impl KVGet for Snapshot<'_> {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.get(key).cloned()
    }
}

impl KVGet for Memory {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        lock(&self.0).get(key).cloned()
    }
}

impl KVStore for Memory {
    type WriteBatch = Batch;
    type Snapshot<'a> = Snapshot<'a>;

    fn write(&mut self, batch: Batch) {
        let mut pairs = lock(&self.0);
        for (key, value) in batch.0 {
            match value {
                Some(value) => pairs.insert(key, value),
                None => pairs.remove(&key),
            };
        }
    }

    fn clear(&mut self) {
        lock(&self.0).clear();
    }

    fn snapshot<'b>(&'b self) -> Snapshot<'b> {
        Snapshot(lock(&self.0))
    }
}

struct Work(Arc<Inside>);

fn hash(bytes: &[u8]) -> CryptoHash {
    let mut hasher = CryptoHasher::new();
    hasher.update(bytes);
    CryptoHash::new(hasher.finalize().into())
}

impl App<Memory> for Work {
    fn produce_block(&mut self, request: ProduceBlockRequest<'_, Memory>) -> ProduceBlockResponse {
        let end = Instant::now() + IDLE_BLOCK;
        while self.0.is_idle() && Instant::now() < end {
            std::thread::sleep(LOOK);
        }
        let block = self.0.build(&[0; 32], request.cur_view().int());
        ProduceBlockResponse {
            data_hash: hash(&block),
            data: Data::new(vec![Datum::new(block)]),
            app_state_updates: None,
            validator_set_updates: None,
        }
    }

    fn validate_block(
        &mut self,
        request: ValidateBlockRequest<'_, '_, Memory>,
    ) -> ValidateBlockResponse {
        self.validate_block_for_sync(request)
    }

    fn validate_block_for_sync(
        &mut self,
        request: ValidateBlockRequest<'_, '_, Memory>,
    ) -> ValidateBlockResponse {
        let block = request.proposed_block();
        match block.data.vec().first() {
            Some(datum) if block.data_hash == hash(datum.bytes()) && is_block(datum.bytes()) => {
                ValidateBlockResponse::Valid {
                    app_state_updates: None,
                    validator_set_updates: None,
                }
            }
            _ => ValidateBlockResponse::Invalid,
        }
    }
}

fn configuration(key: SigningKey) -> Configuration {
    Configuration::builder()
        .me(key)
        .chain_id(ChainID::new(0))
        .block_sync_request_limit(10)
        .block_sync_server_advertise_time(Duration::from_secs(10))
        .block_sync_response_timeout(Duration::from_secs(3))
        .block_sync_blacklist_expiry_time(Duration::from_secs(10))
        .block_sync_trigger_min_view_difference(2)
        .block_sync_trigger_timeout(Duration::from_secs(60))
        .progress_msg_buffer_capacity(BufferSize::new(64 * 1024 * 1024))
        .epoch_length(EpochLength::new(50))
        .max_view_time(VIEW)
        .log_events(false)
        .build()
}

/// Run the member until standard input ends.
pub fn run(arguments: &MemberArgs) -> Result<(), CompareError> {
    let seeds = (1..=u8::MAX).take(arguments.addresses.len());
    let keys: Vec<SigningKey> = seeds
        .map(|seed| SigningKey::from_bytes(&[seed; 32]))
        .collect();
    let public: Vec<VerifyingKey> = keys.iter().map(SigningKey::verifying_key).collect();
    let network = Tcp::start(arguments.me, &public, &arguments.addresses)?;
    let store = Memory::default();
    let mut updates = ValidatorSetUpdates::new();
    for key in &public {
        updates.insert(*key, Power::new(1));
    }
    let mut validators = ValidatorSet::new();
    validators.apply_updates(&updates);
    let state = ValidatorSetState::new(validators.clone(), validators, None, true);
    Replica::initialize(store.clone(), AppStateUpdates::new(), state);
    std::thread::sleep(LISTENING);
    let inside = Inside::start(arguments)?;
    // Announced when inserted, named when committed.
    let inserted: Arc<Mutex<BTreeMap<[u8; 32], Vec<u8>>>> = Arc::default();
    let (insert, remove) = (Arc::clone(&inserted), inserted);
    let log = Arc::clone(&inside);
    let key = keys
        .get(arguments.me)
        .ok_or_else(|| refused("its own key"))?;
    let _replica = ReplicaSpec::builder()
        .app(Work(inside))
        .network(network)
        .kv_store(store)
        .configuration(configuration(key.clone()))
        .on_insert_block(move |event: &InsertBlockEvent| {
            if let Some(datum) = event.block.data.vec().first() {
                let hash = event.block.hash.bytes();
                lock(&insert).insert(hash, datum.bytes().clone());
            }
        })
        .on_commit_block(move |event: &CommitBlockEvent| {
            if let Some(block) = lock(&remove).remove(&event.block.bytes()) {
                log.committed(&block);
            }
        })
        .build()
        .start();
    loop {
        std::thread::park();
    }
}
