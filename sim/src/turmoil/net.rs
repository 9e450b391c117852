//! TCP of the context: turmoil's sockets with commonware's contract (whole-call timeouts, a failed
//! or cancelled half stays closed).

use super::context::{Config, Context};
use commonware_runtime::{Error, IoBuf, IoBufs, Network, Resolver, SinkOf, StreamOf};
use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    time::timeout,
};
use turmoil::net::{
    TcpListener, TcpStream,
    tcp::{OwnedReadHalf, OwnedWriteHalf},
};

/// Read buffer of a connection; production's is the same.
const READ_BUFFER_BYTES: usize = 64 * 1024;

/// The writing half of a simulated connection.
pub struct Sink {
    timeout: Duration,
    half: OwnedWriteHalf,
    open: bool,
}

/// The reading half of a simulated connection.
pub struct Stream {
    timeout: Duration,
    half: BufReader<OwnedReadHalf>,
    open: bool,
}

/// A simulated listening socket.
pub struct Listener {
    timeout: Duration,
    socket: TcpListener,
}

fn split(timeout: Duration, stream: TcpStream) -> (Sink, Stream) {
    let (read, write) = stream.into_split();
    (
        Sink {
            timeout,
            half: write,
            open: true,
        },
        Stream {
            timeout,
            half: BufReader::with_capacity(READ_BUFFER_BYTES, read),
            open: true,
        },
    )
}

impl commonware_runtime::Sink for Sink {
    async fn send(&mut self, bufs: impl Into<IoBufs> + Send) -> Result<(), Error> {
        if !self.open {
            return Err(Error::Closed);
        }
        // Closed until the write completes, so that a cancelled one leaves it closed.
        self.open = false;
        // One write is one turmoil segment.
        let bytes = bufs.into().coalesce();
        let sent = match timeout(self.timeout, self.half.write_all(bytes.as_ref())).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Error::SendFailed),
            Err(_) => Err(Error::Timeout),
        };
        match sent {
            Ok(()) => self.open = true,
            // It has failed already; there is nothing to do about a failed goodbye.
            Err(_) => drop(self.half.shutdown().await),
        }
        sent
    }
}

impl commonware_runtime::Stream for Stream {
    async fn recv(&mut self, len: usize) -> Result<IoBufs, Error> {
        if !self.open {
            return Err(Error::Closed);
        }
        self.open = false;
        let mut bytes = vec![0; len];
        match timeout(self.timeout, self.half.read_exact(&mut bytes)).await {
            Ok(Ok(_)) => {
                self.open = true;
                Ok(IoBufs::from(IoBuf::from(bytes)))
            }
            Ok(Err(_)) => Err(Error::RecvFailed),
            Err(_) => Err(Error::Timeout),
        }
    }

    fn peek(&self, len_max: usize) -> &[u8] {
        let buffered = self.half.buffer();
        &buffered[..buffered.len().min(len_max)]
    }
}

impl commonware_runtime::Listener for Listener {
    type Sink = Sink;
    type Stream = Stream;

    async fn accept(&mut self) -> Result<(SocketAddr, Sink, Stream), Error> {
        let (stream, address) = self.socket.accept().await.map_err(|_| Error::Closed)?;
        let (sink, stream) = split(self.timeout, stream);
        Ok((address, sink, stream))
    }

    fn local_addr(&self) -> Result<SocketAddr, io::Error> {
        self.socket.local_addr()
    }
}

impl Network for Context {
    type Listener = Listener;

    async fn bind(&self, address: SocketAddr) -> Result<Listener, Error> {
        // turmoil binds wildcard and loopback only; a host has one address anyway.
        let any = match address {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let socket = TcpListener::bind(SocketAddr::new(any, address.port()))
            .await
            .map_err(|_| Error::BindFailed)?;
        Ok(Listener {
            timeout: self.config().read_write_timeout,
            socket,
        })
    }

    async fn dial(&self, address: SocketAddr) -> Result<(SinkOf<Self>, StreamOf<Self>), Error> {
        let config: &Config = self.config();
        match timeout(config.connect_timeout, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => Ok(split(config.read_write_timeout, stream)),
            Ok(Err(_)) => Err(Error::ConnectionFailed),
            Err(_) => Err(Error::Timeout),
        }
    }
}

impl Resolver for Context {
    async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, Error> {
        let addresses = turmoil::net::lookup_host((host, 0_u16))
            .await
            .map_err(|cause| Error::ResolveFailed(cause.to_string()))?;
        Ok(addresses.map(|address| address.ip()).collect())
    }
}
