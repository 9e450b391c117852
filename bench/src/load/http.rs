//! One HTTP connection to a member: a request, its answer, the next one. Just what a member's RPC needs.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The longest that a request may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Most bytes of an answer.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Most bytes of an answer's head.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Bytes that are read at once.
const READ_BYTES: usize = 64 * 1024;

/// Why there is no answer to a request. Making it again may help.
#[derive(Debug, thiserror::Error)]
pub enum TryError {
    /// The connection.
    #[error("no answer: {0}")]
    Broken(#[from] io::Error),
    /// What came is no answer to it.
    #[error("refused: {0}")]
    Answer(String),
}

/// Connects when it is needed, and again after an error.
#[derive(Debug)]
pub struct Connection {
    address: SocketAddr,
    stream: Option<TcpStream>,
    /// What was read and not used.
    read: Vec<u8>,
}

impl Connection {
    /// To `http://ip:port`.
    pub fn new(url: &str) -> Result<Self, String> {
        let bare = url.trim_end_matches('/').trim_start_matches("http://");
        let address = bare.parse();
        Ok(Self {
            address: address.map_err(|_| format!("{url:?} is not http://ip:port"))?,
            stream: None,
            read: Vec::new(),
        })
    }

    /// Post JSON, and wait for the answer's body.
    pub async fn ask(&mut self, body: &[u8]) -> Result<Vec<u8>, TryError> {
        // Whatever happens on the way, only a whole answer leaves the connection as it was.
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                self.read.clear();
                let stream = TcpStream::connect(self.address).await?;
                stream.set_nodelay(true)?;
                stream
            }
        };
        let exchange = async {
            let head = format!(
                "POST / HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                self.address,
                body.len()
            );
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(body).await?;
            answer(&mut stream, &mut self.read).await
        };
        let answer = timeout(ANSWER_WITHIN, exchange)
            .await
            .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))?;
        self.stream = Some(stream);
        Ok(answer)
    }
}

async fn answer(stream: &mut TcpStream, read: &mut Vec<u8>) -> Result<Vec<u8>, TryError> {
    let begin = loop {
        if let Some(at) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if read.len() > HEAD_BYTES_MAX {
            return Err(TryError::Answer("its head has no end".to_owned()));
        }
        more(stream, read).await?;
    };
    let length = length(&String::from_utf8_lossy(&read[..begin]))?;
    while read.len() < begin + length {
        more(stream, read).await?;
    }
    let rest = read.split_off(begin + length);
    let mut whole = std::mem::replace(read, rest);
    Ok(whole.split_off(begin))
}

/// The length of the body that follows this head.
fn length(head: &str) -> Result<usize, TryError> {
    let status = head.lines().next().unwrap_or_default();
    if status.split_whitespace().nth(1) != Some("200") {
        return Err(TryError::Answer(status.to_owned()));
    }
    let named = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let length = value.trim().parse().ok()?;
        name.eq_ignore_ascii_case("content-length")
            .then_some(length)
    });
    named
        .filter(|length| *length <= ANSWER_BYTES_MAX)
        .ok_or_else(|| {
            TryError::Answer("its head names no length, or one beyond the limit".to_owned())
        })
}

async fn more(stream: &mut TcpStream, read: &mut Vec<u8>) -> Result<(), TryError> {
    read.reserve(READ_BYTES);
    match stream.read_buf(read).await? {
        0 => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn answers_follow_requests_on_one_connection_and_on_a_new_one() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let serve = tokio::spawn(async move {
            for connection in 0..2 {
                let (mut stream, _) = listener.accept().await.unwrap();
                for request in 0..2 {
                    let mut bytes = vec![0; 4096];
                    let mut length = 0;
                    while !bytes[..length].ends_with(b"[1]") {
                        length += stream.read(&mut bytes[length..]).await.unwrap();
                    }
                    let text = format!(
                        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\nx: y\r\n\r\n{connection}-{request}"
                    );
                    stream.write_all(text.as_bytes()).await.unwrap();
                }
            }
        });
        let mut connection = Connection::new(&url).unwrap();
        for expected in ["0-0", "0-1"] {
            assert_eq!(connection.ask(b"[1]").await.unwrap(), expected.as_bytes());
        }
        // The member closed it: one request fails, the next one goes on a new connection.
        assert!(matches!(
            connection.ask(b"[1]").await,
            Err(TryError::Broken(_))
        ));
        for expected in ["1-0", "1-1"] {
            assert_eq!(connection.ask(b"[1]").await.unwrap(), expected.as_bytes());
        }
        serve.await.unwrap();
    }

    #[test]
    fn heads_without_a_length_or_with_another_status_are_refused() {
        assert_eq!(
            length("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n").unwrap(),
            7
        );
        assert!(length("HTTP/1.1 200 OK\r\n\r\n").is_err());
        let many = length("HTTP/1.1 429 Too Many Requests\r\ncontent-length: 1\r\n\r\n");
        assert!(many.unwrap_err().to_string().contains("429"));
        assert!(length("HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n").is_err());
        assert!(Connection::new("http://name:1").is_err());
    }
}
