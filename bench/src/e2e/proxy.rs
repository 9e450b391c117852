//! Proxies on loopback, one for every ordered pair of members, that make the way between them long or lossy.
//!
//! ```text
//! member i --dials--> listener (i, j) --+--> late bytes of i --> member j
//!                                       +<-- late bytes of j <--
//! ```
//!
//! Every byte leaves a proxy a constant time after it came in. TCP loses nothing, so a lost segment is modelled by what
//! loss does to a connection: the segment, and all bytes behind it in that direction, come when it has been sent again.
//! With [`Recovery::Timeout`] that is always the retransmission timeout, which is worse than a kernel does; with
//! [`Recovery::Fast`] it is a round trip if at least three segments follow it at once (as selective acknowledgements
//! tell), and the timeout otherwise.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

/// Connections of one pair at once; one more is closed at once.
const CONNECTIONS_MAX: usize = 64;
/// Bytes that are read at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// Pieces of one direction on their way; then nothing more is read, and the sender's own queue fills.
const PIECES_MAX: usize = 4_096;
/// Bytes of a segment, as on Ethernet. Loopback has larger ones.
pub const SEGMENT_BYTES: usize = 1_448;
/// Segments behind a lost one by which the sender learns of the loss at once.
const FOLLOWERS_MIN: usize = 3;
/// How often one segment may be lost.
const LOSSES_MAX: u32 = 4;
/// Before the next try after a failed accept.
const PAUSE: Duration = Duration::from_millis(10);

/// How a sender makes up for a lost segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Recovery {
    /// Always after the retransmission timeout.
    Timeout,
    /// After a round trip if three segments follow, after the timeout otherwise.
    Fast,
}

/// The way between two members.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Way {
    /// One way.
    pub delay: Duration,
    /// Chance that a segment is lost.
    pub loss: f64,
    /// How long a sender waits for an acknowledgement.
    pub rto: Duration,
    /// How a sender makes up for a loss.
    pub recovery: Recovery,
}

impl Way {
    /// Whether it differs from none.
    pub fn is_felt(&self) -> bool {
        !self.delay.is_zero() || self.loss > 0.0
    }

    /// What a loss costs, in words.
    pub fn model(&self) -> String {
        let rto = self.rto;
        let cost = match self.recovery {
            Recovery::Timeout => format!("{rto:?} for each lost segment"),
            Recovery::Fast => {
                format!(
                    "a round trip if {FOLLOWERS_MIN} segments follow at once, {rto:?} otherwise"
                )
            }
        };
        format!(
            "no netem: a proxy holds a connection back as a lost segment of {SEGMENT_BYTES} bytes would, {cost}"
        )
    }

    /// How long after its time a segment comes with so many behind it.
    fn late(&self, followers: usize, draw: &mut Draw) -> Duration {
        let mut late = Duration::ZERO;
        for time in 0..LOSSES_MAX {
            if !draw.happens(self.loss) {
                break;
            }
            let fast = self.recovery == Recovery::Fast && followers >= FOLLOWERS_MIN && time == 0;
            // The timeout doubles each time.
            late += if fast {
                2 * self.delay
            } else {
                self.rto * 2_u32.pow(time)
            };
        }
        late
    }
}

/// The proxies of a committee. They end when this is dropped.
#[derive(Debug)]
pub struct Proxies {
    addresses: Vec<Vec<SocketAddr>>,
    _tasks: JoinSet<()>,
}

impl Proxies {
    /// In front of members that listen at `targets`.
    pub async fn start(targets: &[SocketAddr], way: Way) -> io::Result<Self> {
        let mut tasks = JoinSet::new();
        let mut addresses = Vec::with_capacity(targets.len());
        let mut seed = 0;
        for from in 0..targets.len() {
            let mut row = Vec::with_capacity(targets.len());
            for (to, target) in targets.iter().enumerate() {
                if from == to {
                    row.push(*target);
                    continue;
                }
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
                row.push(listener.local_addr()?);
                seed += 1;
                tasks.spawn(serve(listener, *target, way, seed));
            }
            addresses.push(row);
        }
        Ok(Self {
            addresses,
            _tasks: tasks,
        })
    }

    /// Where `from` dials to reach `to`; its own address for itself.
    pub fn address(&self, from: usize, to: usize) -> SocketAddr {
        self.addresses[from][to]
    }
}

async fn serve(listener: TcpListener, target: SocketAddr, way: Way, seed: u64) {
    let mut open = JoinSet::new();
    let mut dialled = 0;
    loop {
        tokio::select! {
            biased;
            Some(_) = open.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((dialler, _)) if open.len() < CONNECTIONS_MAX => {
                    dialled += 1;
                    open.spawn(carry(dialler, target, way, seed << 32 | dialled << 1));
                }
                // One too many: closed by dropping it.
                Ok(_) => {}
                Err(_) => sleep(PAUSE).await,
            },
        }
    }
}

/// One connection, until a side ends it or it breaks. How it ended is the members' business: both see that it did.
async fn carry(dialler: TcpStream, target: SocketAddr, way: Way, seed: u64) -> io::Result<()> {
    // Connecting takes a packet each way.
    sleep(2 * way.delay).await;
    let listener = TcpStream::connect(target).await?;
    dialler.set_nodelay(true)?;
    listener.set_nodelay(true)?;
    let (from_dialler, to_dialler) = dialler.into_split();
    let (from_listener, to_listener) = listener.into_split();
    tokio::select! {
        biased;
        ended = pump(from_dialler, to_listener, Path::new(way, seed)) => ended,
        ended = pump(from_listener, to_dialler, Path::new(way, seed | 1)) => ended,
    }
}

/// One direction: read, give each piece its time, wait for it, write.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut path: Path) -> io::Result<()> {
    let (queue, mut pieces) = mpsc::channel::<(Instant, Vec<u8>)>(PIECES_MAX);
    let read = async move {
        loop {
            let mut chunk = Vec::with_capacity(CHUNK_BYTES);
            if from.read_buf(&mut chunk).await? == 0 {
                return io::Result::Ok(());
            }
            for piece in path.pieces(Instant::now(), chunk) {
                if queue.send(piece).await.is_err() {
                    return Ok(());
                }
            }
        }
    };
    let write = async {
        while let Some((due, piece)) = pieces.recv().await {
            // Not even a tick of the timer for what is due.
            if due > Instant::now() {
                sleep_until(due).await;
            }
            to.write_all(&piece).await?;
        }
        to.shutdown().await
    };
    tokio::try_join!(read, write).map(|_| ())
}

/// One direction of a connection.
#[derive(Debug)]
struct Path {
    way: Way,
    draw: Draw,
    /// Nothing comes before this: what was sent before has not come.
    behind: Option<Instant>,
}

impl Path {
    const fn new(way: Way, seed: u64) -> Self {
        Self {
            way,
            draw: Draw(seed),
            behind: None,
        }
    }

    /// Cut a chunk where segments are lost, and say when each piece comes.
    fn pieces(&mut self, now: Instant, mut chunk: Vec<u8>) -> VecDeque<(Instant, Vec<u8>)> {
        let mut due = now + self.way.delay;
        due = self.behind.map_or(due, |behind| behind.max(due));
        let mut pieces = VecDeque::with_capacity(1);
        let segments = chunk.len().div_ceil(SEGMENT_BYTES);
        if self.way.loss > 0.0 {
            let mut begin = 0;
            for segment in 0..segments {
                let late = self.way.late(segments - segment - 1, &mut self.draw);
                if late.is_zero() {
                    continue;
                }
                let at = segment * SEGMENT_BYTES - begin;
                let rest = chunk.split_off(at);
                if !chunk.is_empty() {
                    pieces.push_back((due, chunk));
                }
                chunk = rest;
                begin += at;
                // Losses of one flight are made up for together.
                due = due.max(now + self.way.delay + late);
                self.behind = Some(due);
            }
        }
        pieces.push_back((due, chunk));
        pieces
    }
}

/// splitmix64: the same losses for the same bytes of the same connection.
#[derive(Debug)]
struct Draw(u64);

impl Draw {
    fn happens(&mut self, chance: f64) -> bool {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^= word >> 31;
        let high = u32::try_from(word >> 32).unwrap_or(u32::MAX);
        f64::from(high) < chance * 4_294_967_296.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATE: Duration = Duration::from_millis(100);

    fn way(loss: f64) -> Way {
        Way {
            delay: LATE,
            loss,
            rto: Duration::from_millis(200),
            recovery: Recovery::Timeout,
        }
    }

    #[tokio::test]
    async fn bytes_arrive_in_order_and_never_early() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let target = listener.local_addr().unwrap();
        let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let proxies = Proxies::start(&[nobody, target], way(0.01)).await.unwrap();
        assert_eq!(proxies.address(1, 1), target);
        let mut dialler = TcpStream::connect(proxies.address(0, 1)).await.unwrap();
        let begin = Instant::now();
        let sent: Vec<u8> = (0..200_000_u32).map(|at| at.to_le_bytes()[0]).collect();
        let copy = sent.clone();
        let send = tokio::spawn(async move {
            dialler.write_all(&copy).await.unwrap();
            dialler.shutdown().await.unwrap();
            dialler
        });
        let (mut accepted, _) = listener.accept().await.unwrap();
        let mut read = Vec::new();
        accepted.read_to_end(&mut read).await.unwrap();
        assert!(read == sent, "what was sent is read");
        assert!(begin.elapsed() >= 3 * LATE, "connect, and one way");
        drop(send.await.unwrap());
    }

    #[test]
    fn chunk_is_cut_where_a_segment_is_lost_and_nothing_overtakes() {
        let mut path = Path::new(way(0.05), 7);
        let now = Instant::now();
        let chunk: Vec<u8> = (0..60_000_u32).map(|at| at.to_le_bytes()[0]).collect();
        let pieces = path.pieces(now, chunk.clone());
        assert!(pieces.len() > 1, "this seed loses one of 42");
        assert!(pieces.iter().map(|(due, _)| due).is_sorted());
        let last = pieces.back().unwrap().0;
        assert!(last >= now + LATE + Duration::from_millis(200));
        let joined: Vec<u8> = pieces.into_iter().flat_map(|(_, piece)| piece).collect();
        assert!(joined == chunk);
        assert!(path.pieces(now, vec![0])[0].0 >= last);
    }

    #[test]
    fn loss_is_as_frequent_as_said() {
        let mut draw = Draw(1);
        let lost = (0..100_000).filter(|_| draw.happens(0.01)).count();
        assert!((900..1_100).contains(&lost), "{lost}");
        assert!(!(0..1_000).any(|_| draw.happens(0.0)));
    }

    #[test]
    fn recovery_is_fast_where_the_sender_can_know() {
        let fast = Way {
            recovery: Recovery::Fast,
            ..way(0.5)
        };
        let lates = |way: Way, followers| -> Vec<Duration> {
            let mut draw = Draw(3);
            (0..200).map(|_| way.late(followers, &mut draw)).collect()
        };
        let rto = Duration::from_millis(200);
        assert!(lates(fast, 3).contains(&(2 * LATE)));
        // The second loss of a segment is found by the timeout, doubled.
        assert!(lates(fast, 3).contains(&(2 * LATE + 2 * rto)));
        assert!(lates(fast, 2).contains(&rto));
        assert!(lates(way(0.5), 9).contains(&(3 * rto)));
        assert!(!lates(way(0.5), 9).contains(&(2 * rto)));
    }
}
