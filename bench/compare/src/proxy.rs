//! A TCP proxy on loopback for every ordered pair of members: it holds every byte back for a constant time, and counts.
//!
//! ```text
//! member i --dials--> listener (i, j) --after the delay--> member j
//!                                     <--after the delay--
//! ```
//!
//! Order and bandwidth stay as they are. A connection is opened at once, as the handshake of TCP is not what is measured.

use crate::error::CompareError;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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
/// Chunks of one direction that wait for their time (64 MiB); then nothing more is read, and the sender's own queue fills.
const CHUNKS_MAX: usize = 1_024;
/// Before the next try after a failed accept or connect.
const PAUSE: Duration = Duration::from_millis(10);

/// The proxies of a committee. They end when this is dropped.
#[derive(Debug)]
pub struct Proxies {
    addresses: Vec<Vec<SocketAddr>>,
    bytes: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

impl Proxies {
    /// In front of members that listen at `targets`.
    pub async fn start(targets: &[SocketAddr], delay: Duration) -> Result<Self, CompareError> {
        let bytes = Arc::new(AtomicU64::new(0));
        let mut tasks = JoinSet::new();
        let mut addresses = Vec::with_capacity(targets.len());
        for from in 0..targets.len() {
            let mut own = Vec::with_capacity(targets.len());
            for (to, target) in targets.iter().enumerate() {
                if from == to {
                    own.push(*target);
                    continue;
                }
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
                    .await
                    .map_err(CompareError::network("listen"))?;
                let address = listener.local_addr();
                own.push(address.map_err(CompareError::network("listen"))?);
                tasks.spawn(serve(listener, *target, delay, Arc::clone(&bytes)));
            }
            addresses.push(own);
        }
        Ok(Self {
            addresses,
            bytes,
            _tasks: tasks,
        })
    }

    /// Where `from` dials to reach each member; its own address for itself.
    #[must_use]
    pub fn seen_by(&self, from: usize) -> &[SocketAddr] {
        &self.addresses[from]
    }

    /// Bytes carried so far, both directions of all pairs, without the headers of TCP.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

async fn serve(listener: TcpListener, target: SocketAddr, delay: Duration, bytes: Arc<AtomicU64>) {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            Some(_) = open.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((dialler, _)) if open.len() < CONNECTIONS_MAX => {
                    open.spawn(carry(dialler, target, delay, Arc::clone(&bytes)));
                }
                // One too many: closed by dropping it.
                Ok(_) => {}
                Err(_) => sleep(PAUSE).await,
            },
        }
    }
}

/// One connection. How it ended is the members' business: both see that it did.
async fn carry(dialler: TcpStream, target: SocketAddr, delay: Duration, bytes: Arc<AtomicU64>) {
    let Ok(listener) = TcpStream::connect(target).await else {
        return;
    };
    if dialler
        .set_nodelay(true)
        .and(listener.set_nodelay(true))
        .is_err()
    {
        return;
    }
    let (from_dialler, to_dialler) = dialler.into_split();
    let (from_listener, to_listener) = listener.into_split();
    let _ = tokio::select! {
        biased;
        ended = pump(from_dialler, to_listener, delay, &bytes) => ended,
        ended = pump(from_listener, to_dialler, delay, &bytes) => ended,
    };
}

/// One direction: read, wait for the delay, write.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    delay: Duration,
    bytes: &AtomicU64,
) -> io::Result<()> {
    let (queue, mut chunks) = mpsc::channel::<(Instant, Vec<u8>)>(CHUNKS_MAX);
    let read = async move {
        loop {
            let mut chunk = vec![0; CHUNK_BYTES];
            let length = from.read(&mut chunk).await?;
            chunk.truncate(length);
            bytes.fetch_add(u64::try_from(length).unwrap_or(0), Ordering::Relaxed);
            if length == 0 || queue.send((Instant::now() + delay, chunk)).await.is_err() {
                return Ok(());
            }
        }
    };
    let write = async {
        while let Some((due, chunk)) = chunks.recv().await {
            if !delay.is_zero() {
                sleep_until(due).await;
            }
            to.write_all(&chunk).await?;
        }
        to.shutdown().await
    };
    tokio::try_join!(read, write).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATE: Duration = Duration::from_millis(60);

    #[tokio::test]
    async fn bytes_arrive_late_in_both_directions_and_are_counted() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let target = listener.local_addr().unwrap();
        let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let proxies = Proxies::start(&[nobody, target], LATE).await.unwrap();
        assert_eq!(proxies.seen_by(1)[1], target);
        let mut dialler = TcpStream::connect(proxies.seen_by(0)[1]).await.unwrap();
        let (mut accepted, _) = listener.accept().await.unwrap();
        let begin = Instant::now();
        dialler.write_all(b"there").await.unwrap();
        let mut five = [0; 5];
        accepted.read_exact(&mut five).await.unwrap();
        // Never earlier; how much later is the machine's business.
        assert!(begin.elapsed() >= LATE);
        accepted.write_all(b"back").await.unwrap();
        let mut four = [0; 4];
        dialler.read_exact(&mut four).await.unwrap();
        assert!(begin.elapsed() >= LATE * 2);
        assert_eq!((&five, &four, proxies.bytes()), (b"there", b"back", 9));
        drop(dialler);
        assert_eq!(accepted.read(&mut four).await.unwrap(), 0);
    }
}
