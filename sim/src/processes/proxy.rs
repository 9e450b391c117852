//! Proxies on loopback, one for every ordered pair of members, which hold back, refuse or delay what passes.
//!
//! ```text
//! member i --dials--> listener (i, j) --+--> link (i, j): bytes of i --> member j
//!                                       +<-- link (j, i): bytes of j <--
//! ```
//!
//! A connection carries both directions, whoever dialled it; a link governs one direction. TCP loses nothing, so a cut
//! is either a silence ([`Flow::Held`]: bytes wait, then arrive late, if the connection lives that long) or a refusal
//! ([`Flow::Refused`]: connections end, new ones end at once).

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

/// Connections of one pair at once; one more is closed at once. Members need one, and dial again after a second.
const CONNECTIONS_MAX: usize = 256;
/// Bytes that are read at once.
const CHUNK_BYTES: usize = 16 * 1024;
/// Chunks of one direction that wait for their time; then nothing more is read, and the sender's own queue fills.
const CHUNKS_MAX: usize = 128;
/// Before the next try after a failed accept.
const PAUSE: Duration = Duration::from_millis(10);

/// What becomes of the bytes of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flow {
    /// They arrive.
    #[default]
    Open,
    /// They wait.
    Held,
    /// Connections that carry them end, and new ones too.
    Refused,
}

/// One direction between two members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Whether bytes arrive,
    pub flow: Flow,
    /// and how late.
    pub delay: Duration,
}

/// All links between members: `links[from][to]`.
pub type Links = Vec<Vec<Link>>;

/// The proxies of a committee. They end when this is dropped.
#[derive(Debug)]
pub struct Proxies {
    addresses: Vec<Vec<SocketAddr>>,
    links: Vec<Vec<watch::Sender<Link>>>,
    _tasks: JoinSet<()>,
}

impl Proxies {
    /// In front of members that listen at `targets`. All links are open.
    pub async fn start(targets: &[SocketAddr]) -> io::Result<Self> {
        let row = || targets.iter().map(|_| watch::Sender::new(Link::default()));
        let links: Vec<Vec<_>> = targets.iter().map(|_| row().collect()).collect();
        let mut tasks = JoinSet::new();
        let mut addresses = Vec::with_capacity(targets.len());
        for (from, row) in links.iter().enumerate() {
            let mut own = Vec::with_capacity(targets.len());
            for ((to, target), link) in targets.iter().enumerate().zip(row) {
                if from == to {
                    own.push(*target);
                    continue;
                }
                // Held to the end, so it may come from the ephemeral range: nobody can take it from us.
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
                own.push(listener.local_addr()?);
                let pair = Pair {
                    target: *target,
                    there: link.subscribe(),
                    back: links[to][from].subscribe(),
                };
                tasks.spawn(serve(listener, pair));
            }
            addresses.push(own);
        }
        Ok(Self {
            addresses,
            links,
            _tasks: tasks,
        })
    }

    /// Where `from` dials to reach `to`; its own address for itself.
    #[must_use]
    pub fn address(&self, from: usize, to: usize) -> SocketAddr {
        self.addresses[from][to]
    }

    /// Make the links so.
    pub fn set(&self, links: &Links) {
        assert_eq!(links.len(), self.links.len(), "one row for each member");
        for (senders, row) in self.links.iter().zip(links) {
            for (sender, link) in senders.iter().zip(row) {
                sender.send_if_modified(|now| std::mem::replace(now, *link) != *link);
            }
        }
    }
}

/// What a connection from one member to another needs.
#[derive(Clone, Debug)]
struct Pair {
    target: SocketAddr,
    there: watch::Receiver<Link>,
    back: watch::Receiver<Link>,
}

async fn serve(listener: TcpListener, pair: Pair) {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            Some(_) = open.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((dialler, _)) if open.len() < CONNECTIONS_MAX => {
                    open.spawn(carry(dialler, pair.clone()));
                }
                // One too many: closed by dropping it.
                Ok(_) => {}
                Err(_) => sleep(PAUSE).await,
            },
        }
    }
}

/// One connection, until a side ends it, it breaks, or it is refused.
async fn carry(dialler: TcpStream, pair: Pair) {
    let (mut there, mut back) = (pair.there.clone(), pair.back.clone());
    tokio::select! {
        biased;
        _ = there.wait_for(|link| link.flow == Flow::Refused) => {}
        _ = back.wait_for(|link| link.flow == Flow::Refused) => {}
        // How it ended is the members' business: both see that it did.
        _ = forward(dialler, pair) => {}
    }
}

async fn forward(dialler: TcpStream, pair: Pair) -> io::Result<()> {
    let Pair {
        target,
        mut there,
        mut back,
    } = pair;
    // Connecting takes a packet each way.
    opened(&mut there).await?;
    opened(&mut back).await?;
    let listener = TcpStream::connect(target).await?;
    dialler.set_nodelay(true)?;
    listener.set_nodelay(true)?;
    let (from_dialler, to_dialler) = dialler.into_split();
    let (from_listener, to_listener) = listener.into_split();
    tokio::select! {
        biased;
        ended = pump(from_dialler, to_listener, there) => ended,
        ended = pump(from_listener, to_dialler, back) => ended,
    }
}

/// One direction: read, wait for the delay, wait until the link is open, write.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut link: watch::Receiver<Link>,
) -> io::Result<()> {
    let (queue, mut chunks) = mpsc::channel::<(Instant, Vec<u8>)>(CHUNKS_MAX);
    let delay = link.clone();
    let read = async move {
        loop {
            let mut chunk = vec![0; CHUNK_BYTES];
            let length = from.read(&mut chunk).await?;
            chunk.truncate(length);
            let due = Instant::now() + delay.borrow().delay;
            if length == 0 || queue.send((due, chunk)).await.is_err() {
                return Ok(());
            }
        }
    };
    let write = async {
        while let Some((due, chunk)) = chunks.recv().await {
            sleep_until(due).await;
            opened(&mut link).await?;
            to.write_all(&chunk).await?;
        }
        to.shutdown().await
    };
    tokio::try_join!(read, write).map(|_| ())
}

async fn opened(link: &mut watch::Receiver<Link>) -> io::Result<()> {
    match link.wait_for(|link| link.flow == Flow::Open).await {
        Ok(_) => Ok(()),
        Err(_) => Err(io::ErrorKind::NotConnected.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATE: Duration = Duration::from_millis(150);

    fn links(members: usize) -> Links {
        vec![vec![Link::default(); members]; members]
    }

    /// A committee of two, of which member 1 listens, and the dialler's end and the listener's end of a connection.
    async fn connected() -> (Proxies, TcpListener, TcpStream, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let target = listener.local_addr().unwrap();
        let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let proxies = Proxies::start(&[nobody, target]).await.unwrap();
        assert_eq!(proxies.address(1, 1), target);
        let dialler = TcpStream::connect(proxies.address(0, 1)).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        (proxies, listener, dialler, accepted)
    }

    async fn pass(from: &mut TcpStream, to: &mut TcpStream, bytes: &[u8]) {
        from.write_all(bytes).await.unwrap();
        let mut read = vec![0; bytes.len()];
        to.read_exact(&mut read).await.unwrap();
        assert_eq!(read, bytes);
    }

    #[tokio::test]
    async fn open_links_carry_both_directions() {
        let (_proxies, _listener, mut dialler, mut accepted) = connected().await;
        let long: Vec<u8> = (0..200_000_u32).map(|at| at.to_le_bytes()[0]).collect();
        pass(&mut dialler, &mut accepted, b"hello").await;
        pass(&mut accepted, &mut dialler, b"welcome").await;
        let sent = long.clone();
        let send = async {
            dialler.write_all(&sent).await.unwrap();
            dialler.shutdown().await.unwrap();
        };
        let mut read = Vec::new();
        let (_, length) = tokio::join!(send, accepted.read_to_end(&mut read));
        assert_eq!((length.unwrap(), read), (long.len(), long));
    }

    #[tokio::test]
    async fn held_direction_is_silent_and_the_other_is_not() {
        let (proxies, _listener, mut dialler, mut accepted) = connected().await;
        let mut cut = links(2);
        cut[0][1].flow = Flow::Held;
        proxies.set(&cut);
        dialler.write_all(b"late").await.unwrap();
        // Whatever comes back was carried while those bytes waited.
        pass(&mut accepted, &mut dialler, b"still here").await;
        let mut byte = [0; 4];
        assert_eq!(
            accepted.try_read(&mut byte).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        proxies.set(&links(2));
        accepted.read_exact(&mut byte).await.unwrap();
        assert_eq!(&byte, b"late");
    }

    #[tokio::test]
    async fn refused_link_ends_connections_and_new_ones() {
        let (proxies, listener, mut dialler, mut accepted) = connected().await;
        let mut cut = links(2);
        // One direction is enough: a connection needs both.
        cut[1][0].flow = Flow::Refused;
        proxies.set(&cut);
        let mut byte = [0; 1];
        assert_eq!(dialler.read(&mut byte).await.unwrap(), 0);
        assert_eq!(accepted.read(&mut byte).await.unwrap(), 0);
        let mut again = TcpStream::connect(proxies.address(0, 1)).await.unwrap();
        assert!(matches!(again.read(&mut byte).await, Ok(0) | Err(_)));
        proxies.set(&links(2));
        let mut again = TcpStream::connect(proxies.address(0, 1)).await.unwrap();
        let (mut accepted, _) = listener.accept().await.unwrap();
        pass(&mut again, &mut accepted, b"back").await;
    }

    #[tokio::test]
    async fn delay_is_waited_for_in_its_direction() {
        let (proxies, _listener, mut dialler, mut accepted) = connected().await;
        let mut slow = links(2);
        slow[0][1].delay = LATE;
        proxies.set(&slow);
        let begin = Instant::now();
        pass(&mut dialler, &mut accepted, b"slow").await;
        // Never earlier; how much later is the machine's business.
        assert!(begin.elapsed() >= LATE);
    }

    #[tokio::test]
    async fn end_of_one_side_is_the_end_of_the_other() {
        let (_proxies, _listener, dialler, mut accepted) = connected().await;
        drop(dialler);
        assert_eq!(accepted.read(&mut [0; 1]).await.unwrap(), 0);
    }
}
