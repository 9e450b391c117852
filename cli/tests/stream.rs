//! Lanes streamed by a committee of real processes that are killed with -9, to readers that are cut off or killed at random
//! points and go on with their last cursor at any member: no gap, nothing twice, one chain for all.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

use jsonrpsee::core::client::{Subscription, SubscriptionClientT as _};
use jsonrpsee::rpc_params;
use jsonrpsee::ws_client::{WsClient, WsClientBuilder};
use outrider_client::Client;
use outrider_node::api::{LaneEvent, StreamedLane};
use outrider_types::{Bytes, LaneBlock, LaneHash, LaneHeight, LaneTip, RollupId, Transaction};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

const OUTRIDER: &str = env!("CARGO_BIN_EXE_outrider");
const ROLLUP: RollupId = RollupId(31_337);
const MEMBERS: usize = 4;
/// Resumes over each of SSE and WebSocket that had a cursor, reached a member and brought at least one lane block.
const RESUMES: u64 = 1_050;
/// Members killed with -9.
const KILLS: u64 = 20;
/// Processes of `outrider lane follow` killed with -9.
const KILLED_READERS: u64 = 20;
/// Nothing here takes so long; a wait that does is a failure.
const DEADLINE: Duration = Duration::from_secs(300);

/// Numbers from a seed.
struct Dice(u64);

impl Dice {
    /// The seed of a run, which is printed.
    fn seed() -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let seed = std::env::var("OUTRIDER_SEED")
            .ok()
            .and_then(|seed| seed.parse().ok())
            .unwrap_or(u64::from(now.subsec_nanos()));
        println!("OUTRIDER_SEED={seed}");
        seed
    }

    fn below(&mut self, limit: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    fn place(&mut self, count: usize) -> usize {
        usize::try_from(self.below(count as u64)).unwrap()
    }

    /// A moment at which something is cut.
    fn millis(&mut self, limit: u64) -> Duration {
        Duration::from_millis(self.below(limit))
    }
}

/// What all tasks share.
struct Run {
    folder: PathBuf,
    addresses: Vec<String>,
    /// The hash of each lane height, as whoever read it first found it.
    hashes: Mutex<BTreeMap<LaneHeight, LaneHash>>,
    sse: AtomicU64,
    websocket: AtomicU64,
    kills: AtomicU64,
    killed_readers: AtomicU64,
    /// Streams that broke in the middle by themselves: their member was killed.
    breaks: AtomicU64,
    /// No more kills, all members run.
    calm: AtomicBool,
}

impl Run {
    fn is_enough(&self) -> bool {
        self.sse.load(Ordering::SeqCst) >= RESUMES
            && self.websocket.load(Ordering::SeqCst) >= RESUMES
            && self.kills.load(Ordering::SeqCst) >= KILLS
            && self.killed_readers.load(Ordering::SeqCst) >= KILLED_READERS
    }

    fn is_calm(&self) -> bool {
        self.calm.load(Ordering::SeqCst)
    }

    fn counts(&self) -> String {
        format!(
            "resumes {} over SSE, {} over WebSocket; {} members and {} followers killed; {} streams broke",
            self.sse.load(Ordering::SeqCst),
            self.websocket.load(Ordering::SeqCst),
            self.kills.load(Ordering::SeqCst),
            self.killed_readers.load(Ordering::SeqCst),
            self.breaks.load(Ordering::SeqCst),
        )
    }

    fn client(&self, member: usize, seconds: u64) -> Client {
        let url = format!("http://{}", self.addresses[member]);
        Client::with_timeout(&url, Duration::from_secs(seconds)).unwrap()
    }

    fn start(&self, member: usize) -> Child {
        let folder = self.folder.join(format!("member-{member}"));
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(folder.join("outrider.log"))
            .unwrap();
        Command::new(OUTRIDER)
            .args(["start", "--config"])
            .arg(folder.join("outrider.toml"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    async fn until_it_answers(&self, member: usize) {
        let client = self.client(member, 2);
        while client.head().await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The end of the part of a lane that somebody has read. Checks that lane blocks come each once and in order.
#[derive(Default)]
struct Chain {
    tip: LaneTip,
    cursor: Option<String>,
}

impl Chain {
    fn take(&mut self, run: &Run, cursor: &str, lane: &LaneBlock, transactions: &[String]) {
        assert_eq!(lane.rollup, ROLLUP);
        assert_eq!(
            lane.height,
            self.tip.height.next(),
            "no gap, and none twice, after {:?}",
            self.cursor
        );
        assert_eq!(lane.parent, self.tip.hash, "it is of this chain");
        let hash = lane.hash();
        assert_eq!(cursor, format!("{}-{hash}", lane.height));
        let id = |text: &String| {
            let data = hex::decode(text.strip_prefix("0x").unwrap()).unwrap();
            let data = Bytes::from(data);
            Transaction {
                rollup: ROLLUP,
                data,
            }
            .id()
        };
        let ids: Vec<_> = transactions.iter().map(id).collect();
        assert!(lane.is_of(&ids), "its transactions are those it commits to");
        let known = *run
            .hashes
            .lock()
            .unwrap()
            .entry(lane.height)
            .or_insert(hash);
        assert_eq!(known, hash, "all members have one chain");
        self.tip = lane.tip();
        self.cursor = Some(cursor.to_owned());
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Over {
    Sse,
    WebSocket,
}

enum Stream {
    Sse(BufReader<TcpStream>),
    WebSocket {
        events: Subscription<LaneEvent>,
        _socket: WsClient,
    },
}

impl Stream {
    /// None if the member is not there.
    async fn open(over: Over, address: &str, from: Option<&str>, reset: bool) -> Option<Self> {
        match over {
            Over::Sse => Self::open_sse(address, from, reset).await,
            Over::WebSocket => {
                let url = format!("ws://{address}");
                let socket = WsClientBuilder::default().build(url).await.ok()?;
                let from = from.map_or(json!(1), |cursor| json!(cursor));
                let topic = json!({ "rollup": ROLLUP, "from": from, "stage": "soft" });
                let events = socket
                    .subscribe(
                        "outrider_subscribe",
                        rpc_params!["lane", topic],
                        "outrider_unsubscribe",
                    )
                    .await;
                match events {
                    Ok(events) => Some(Self::WebSocket {
                        events,
                        _socket: socket,
                    }),
                    Err(jsonrpsee::core::client::Error::Call(error)) => panic!("{error}"),
                    Err(_) => None,
                }
            }
        }
    }

    async fn open_sse(address: &str, from: Option<&str>, reset: bool) -> Option<Self> {
        let mut stream = TcpStream::connect(address).await.ok()?;
        if reset {
            // It ends without a goodbye.
            stream.set_zero_linger().ok()?;
        }
        let last = from.map_or(String::new(), |last| format!("Last-Event-ID: {last}\r\n"));
        let request = format!("GET /rollup/{ROLLUP}/stream HTTP/1.1\r\nHost: x\r\n{last}\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        if line.is_empty() {
            return None;
        }
        assert!(line.starts_with("HTTP/1.1 200"), "{line}");
        while line != "\r\n" {
            line.clear();
            if stream.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
        }
        Some(Self::Sse(stream))
    }

    /// None: the stream broke.
    async fn event(&mut self) -> Option<(Option<String>, LaneEvent)> {
        let stream = match self {
            Self::WebSocket { events, .. } => return Some((None, events.next().await?.ok()?)),
            Self::Sse(stream) => stream,
        };
        let (mut id, mut data) = (None, None);
        let mut line = String::new();
        loop {
            line.clear();
            if stream.read_line(&mut line).await.ok()? == 0 || !line.ends_with('\n') {
                return None;
            }
            match line.trim_end_matches('\n').split_once(": ") {
                Some(("id", text)) => id = Some(text.to_owned()),
                Some(("data", text)) => data = Some(serde_json::from_str(text).unwrap()),
                // The sizes of chunks, the kind of the event, the end of it.
                _ => {}
            }
            if line == "\n"
                && let Some(event) = data.take()
            {
                return Some((id, event));
            }
        }
    }

    /// The next lane block. None: the stream broke.
    async fn lane(&mut self) -> Option<StreamedLane> {
        loop {
            match self.event().await? {
                (id, LaneEvent::Lane(lane)) => {
                    assert!(id.is_none_or(|id| id == lane.cursor));
                    return Some(*lane);
                }
                (_, LaneEvent::Heartbeat { .. }) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Reads pieces of the lane, each from where the one before was cut.
async fn read(run: Arc<Run>, over: Over, mut dice: Dice) {
    let counter = match over {
        Over::Sse => &run.sse,
        Over::WebSocket => &run.websocket,
    };
    let mut chain = Chain::default();
    while !run.is_calm() {
        let address = run.addresses[dice.place(MEMBERS)].clone();
        let (before, last, pieces) = (chain.tip, chain.cursor.clone(), dice.below(8));
        let (cut, reset) = (dice.millis(400), dice.below(2) == 0);
        let piece = async {
            let stream = Stream::open(over, &address, last.as_deref(), reset).await;
            let Some(mut stream) = stream else {
                // Nobody is there: another member.
                sleep(Duration::from_millis(5)).await;
                return;
            };
            for _ in 0..pieces {
                let Some(found) = stream.lane().await else {
                    run.breaks.fetch_add(1, Ordering::SeqCst);
                    return;
                };
                chain.take(&run, &found.cursor, &found.lane, &found.transactions);
            }
        };
        // Cut at a random moment, also in the middle of a message, or after a random number of lane blocks.
        let _ = timeout(cut, piece).await;
        if last.is_some() && chain.tip != before {
            counter.fetch_add(1, Ordering::SeqCst);
        }
        if dice.below(100) == 0 {
            // Somebody who has read nothing yet.
            chain = Chain::default();
        }
    }
    let tip = run.client(0, 60).lane_tip(ROLLUP).await.unwrap();
    while chain.tip.height < tip.height {
        let address = &run.addresses[dice.place(MEMBERS)];
        let last = chain.cursor.clone();
        let stream = Stream::open(over, address, last.as_deref(), false).await;
        let mut stream = stream.expect("all members run");
        for _ in 0..=dice.below(50) {
            if chain.tip.height >= tip.height {
                break;
            }
            let found = stream.lane().await.expect("nobody is killed");
            chain.take(&run, &found.cursor, &found.lane, &found.transactions);
        }
    }
    let hash = run.hashes.lock().unwrap().get(&tip.height).copied();
    assert_eq!(hash, Some(tip.hash));
}

/// A line of `outrider lane follow --json`.
#[derive(Deserialize)]
struct Followed {
    cursor: String,
    lane: LaneBlock,
    transactions: Vec<String>,
}

/// Follows with the command, which proves all it prints, and kills it with -9.
async fn follow(run: Arc<Run>, mut dice: Dice) {
    let mut chain = Chain::default();
    while !run.is_calm() {
        let mut command = Command::new(OUTRIDER);
        command.args(["lane", "follow", "--json", "--rollup", &ROLLUP.to_string()]);
        command
            .arg("--committee")
            .arg(run.folder.join("committee.json"));
        command.args(["--from", chain.cursor.as_deref().unwrap_or("1")]);
        let first = dice.place(MEMBERS);
        for place in 0..MEMBERS {
            let address = &run.addresses[(first + place) % MEMBERS];
            command.args(["--rpc", &format!("http://{address}")]);
        }
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(run.folder.join("follow.log"));
        command
            .stdout(Stdio::piped())
            .stderr(log.unwrap())
            .kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let before = chain.tip;
        let cut = Duration::from_millis(200) + dice.millis(1_500);
        let all = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                let found: Followed = serde_json::from_str(&line).unwrap();
                chain.take(&run, &found.cursor, &found.lane, &found.transactions);
            }
            panic!("outrider lane follow ended by itself: see follow.log");
        };
        let _ = timeout(cut, all).await;
        child.kill().await.unwrap();
        if chain.tip != before {
            run.killed_readers.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Kills one member after the other with -9, sometimes two at once, so that nothing is final until one is back.
async fn kill(run: Arc<Run>, mut members: Vec<Child>, mut dice: Dice) -> Vec<Child> {
    while !run.is_enough() {
        sleep(dice.millis(2_400)).await;
        let first = dice.place(MEMBERS);
        let mut victims = vec![first];
        if dice.below(4) == 0 {
            victims.push((first + 1 + dice.place(MEMBERS - 1)) % MEMBERS);
        }
        for victim in &victims {
            members[*victim].kill().await.unwrap();
            run.kills.fetch_add(1, Ordering::SeqCst);
        }
        sleep(dice.millis(500)).await;
        for victim in &victims {
            members[*victim] = run.start(*victim);
        }
        for victim in victims {
            run.until_it_answers(victim).await;
        }
    }
    members
}

/// Hands in transactions, at whoever takes them.
async fn submit(run: Arc<Run>, mut dice: Dice) {
    let clients: Vec<Client> = (0..MEMBERS).map(|member| run.client(member, 2)).collect();
    let mut number: u64 = 0;
    while !run.is_calm() {
        let client = &clients[dice.place(MEMBERS)];
        // A member that is killed forgets what it was told and had passed on to nobody.
        let _ = client.submit(ROLLUP, &number.to_be_bytes()).await;
        number += 1;
        sleep(dice.millis(40)).await;
    }
}

/// The same lane at all members.
async fn agreed(run: &Run) -> LaneTip {
    loop {
        let mut tips = Vec::new();
        for member in 0..MEMBERS {
            tips.push(run.client(member, 60).lane_tip(ROLLUP).await.unwrap());
        }
        if tips.windows(2).all(|pair| pair[0] == pair[1]) {
            return tips[0];
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Ports from one on that are free, below those that the system gives to outgoing connections.
fn free_ports(dice: &mut Dice, count: u64) -> u64 {
    for _ in 0..200 {
        let base = 10_000 + dice.below(20_000);
        let held: Result<Vec<_>, _> = (base..base + count)
            .map(|port| std::net::TcpListener::bind(format!("127.0.0.1:{port}")))
            .collect();
        if held.is_ok() {
            return base;
        }
    }
    panic!("no free ports");
}

async fn make(folder: &Path, dice: &mut Dice) -> Vec<String> {
    let base = free_ports(dice, 3 * MEMBERS as u64);
    let made = Command::new(OUTRIDER)
        .args(["init", "--members", &MEMBERS.to_string(), "--base-port"])
        .args([&base.to_string(), "--dir"])
        .arg(folder)
        .output()
        .await
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let text = fs::read_to_string(folder.join("committee.json")).unwrap();
    let file: serde_json::Value = serde_json::from_str(&text).unwrap();
    let address = |member: &serde_json::Value| {
        let url = member["rpc"].as_str().unwrap();
        url.strip_prefix("http://").unwrap().to_owned()
    };
    let members = file["members"].as_array().unwrap();
    members.iter().map(address).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_resumes_while_real_members_are_killed_leave_no_gap_and_repeat_nothing() {
    let seed = Dice::seed();
    let dice = |task: u64| Dice(seed.wrapping_add(task << 32));
    let kept = tempfile::tempdir().unwrap();
    let folder = kept.path().join("net");
    let addresses = make(&folder, &mut dice(0)).await;
    let run = Arc::new(Run {
        folder,
        addresses,
        hashes: Mutex::default(),
        sse: AtomicU64::new(0),
        websocket: AtomicU64::new(0),
        kills: AtomicU64::new(0),
        killed_readers: AtomicU64::new(0),
        breaks: AtomicU64::new(0),
        calm: AtomicBool::new(false),
    });
    let members: Vec<Child> = (0..MEMBERS).map(|member| run.start(member)).collect();
    let begun = Instant::now();
    let all = async {
        for member in 0..MEMBERS {
            run.until_it_answers(member).await;
        }
        // If one fails, so does the test, and the members end with it.
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..4 {
            tasks.spawn(read(Arc::clone(&run), Over::Sse, dice(10 + task)));
            tasks.spawn(read(Arc::clone(&run), Over::WebSocket, dice(20 + task)));
        }
        tasks.spawn(follow(Arc::clone(&run), dice(30)));
        let mut load = tokio::spawn(submit(Arc::clone(&run), dice(40)));
        let killer = kill(Arc::clone(&run), members, dice(50));
        let members = tokio::select! {
            biased;
            failed = tasks.join_next() => panic!("a reader: {failed:?}"),
            failed = &mut load => panic!("the load: {failed:?}"),
            members = killer => members,
        };
        load.abort();
        run.calm.store(true, Ordering::SeqCst);
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
        let tip = agreed(&run).await;
        let last = run
            .hashes
            .lock()
            .unwrap()
            .last_key_value()
            .map(|(height, _)| *height);
        assert!(last <= Some(tip.height));
        drop(members);
        tip
    };
    let done = timeout(DEADLINE, all).await;
    println!("after {:?}: {}", begun.elapsed(), run.counts());
    let tip = done.expect("within the deadline");
    println!(
        "{} lane blocks, {} transactions",
        tip.height, tip.transactions
    );
    assert!(run.breaks.load(Ordering::SeqCst) > 0);
    for member in 0..MEMBERS {
        let log = run.folder.join(format!("member-{member}/outrider.log"));
        let log = fs::read_to_string(log).unwrap();
        assert!(!log.contains("panicked"), "member-{member}: {log}");
    }
}
