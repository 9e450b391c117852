//! A stand-in for an L1 endpoint: an HTTP server that passes on to a real one, and lies, stalls or talks nonsense as told.

use serde_json::Value;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto};

/// What a stand-in does with an answer: `None` is silence.
pub type Deed = Arc<dyn Fn(&Value, String) -> Option<String> + Send + Sync>;

/// A stand-in for an endpoint. It ends with the runtime of its test.
pub struct StandIn {
    pub url: String,
    deed: Arc<Mutex<Deed>>,
    /// Heads of requests and the methods that were asked for, the newest last; bounded.
    asked: Arc<Mutex<VecDeque<(String, String)>>>,
}

const ASKED_MAX: usize = 10_000;

impl StandIn {
    /// In front of a real one, or of none.
    pub async fn before(real: Option<&str>, deed: Deed) -> Self {
        Self::over(None, real, deed).await
    }

    /// The same over TLS, with the certificate of a host `localhost`.
    pub async fn over_tls(real: Option<&str>, deed: Deed) -> Self {
        let chain = CertificateDer::from_pem_slice(include_bytes!("../tls/localhost.pem"));
        let key = PrivateKeyDer::from_pem_slice(include_bytes!("../tls/localhost.key"));
        let config =
            ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![chain.unwrap()], key.unwrap());
        let acceptor = TlsAcceptor::from(Arc::new(config.unwrap()));
        Self::over(Some(acceptor), real, deed).await
    }

    async fn over(tls: Option<TlsAcceptor>, real: Option<&str>, deed: Deed) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let url = match tls {
            None => format!("http://{address}"),
            Some(_) => format!("https://localhost:{}", address.port()),
        };
        let real = real.map(|url| url.strip_prefix("http://").unwrap().to_owned());
        let deed = Arc::new(Mutex::new(deed));
        let asked = Arc::new(Mutex::new(VecDeque::new()));
        let (shared, heard) = (Arc::clone(&deed), Arc::clone(&asked));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (real, shared, heard) = (real.clone(), Arc::clone(&shared), Arc::clone(&heard));
                let tls = tls.clone();
                tokio::spawn(async move {
                    let _ended = match tls {
                        None => serve(stream, real, shared, heard).await,
                        // Whoever does not like the certificate goes away.
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => serve(stream, real, shared, heard).await,
                            Err(error) => Err(error),
                        },
                    };
                });
            }
        });
        Self { url, deed, asked }
    }

    /// One that passes everything on.
    pub async fn honest(real: &str) -> Self {
        Self::before(Some(real), honest()).await
    }

    /// Do otherwise from now on.
    pub fn becomes(&self, deed: Deed) {
        *self.deed.lock().unwrap() = deed;
    }

    pub fn was_asked(&self, method: &str) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(_, one)| *one == method).count()
    }

    /// The head of the last request, in small letters.
    pub fn last_head(&self) -> Option<String> {
        let asked = self.asked.lock().unwrap();
        asked.back().map(|(head, _)| head.clone())
    }
}

/// Answers as they are.
pub fn honest() -> Deed {
    Arc::new(|_, answer| Some(answer))
}

/// Never answers.
pub fn silent() -> Deed {
    Arc::new(|_, _| None)
}

/// Always this, whatever the question.
pub fn always(text: &str) -> Deed {
    let text = text.to_owned();
    Arc::new(move |_, _| Some(text.clone()))
}

/// Another result for one method.
pub fn changed(method: &'static str, change: impl Fn(&mut Value) + Send + Sync + 'static) -> Deed {
    Arc::new(move |request, answer| {
        let is_it = |one: &Value| one["method"] == method;
        let mut told: Value = serde_json::from_str(&answer).unwrap();
        match (request, &mut told) {
            (Value::Array(requests), Value::Array(answers)) => {
                for (request, answer) in requests.iter().zip(answers) {
                    if is_it(request) {
                        change(&mut answer["result"]);
                    }
                }
            }
            (request, answer) if is_it(request) => change(&mut answer["result"]),
            _ => {}
        }
        Some(told.to_string())
    })
}

/// A request or answer over HTTP/1.1 with a length: its head and its body.
async fn read_message(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<(String, String)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        assert!(head.len() < 16 * 1024, "a head has an end");
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"));
    let mut body = vec![0; length.unwrap().trim().parse().unwrap()];
    stream.read_exact(&mut body).await?;
    Ok((head, String::from_utf8(body).unwrap()))
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    real: Option<String>,
    deed: Arc<Mutex<Deed>>,
    asked: Arc<Mutex<VecDeque<(String, String)>>>,
) -> std::io::Result<()> {
    loop {
        let (head, body) = read_message(&mut stream).await?;
        let request: Value = serde_json::from_str(&body).unwrap();
        {
            let mut asked = asked.lock().unwrap();
            let one = request.as_array().map_or(&request, |all| &all[0]);
            asked.push_back((head, one["method"].as_str().unwrap().to_owned()));
            if asked.len() > ASKED_MAX {
                asked.pop_front();
            }
        }
        let answer = match &real {
            None => "{}".to_owned(),
            Some(real) => pass_on(real, &body).await?,
        };
        let deed = Arc::clone(&deed.lock().unwrap());
        let Some(answer) = deed(&request, answer) else {
            // Until the asker goes away.
            let _closed = stream.read_u8().await;
            return Ok(());
        };
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            answer.len()
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(answer.as_bytes()).await?;
        stream.flush().await?;
    }
}

async fn pass_on(real: &str, body: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(real).await?;
    let head = format!(
        "POST / HTTP/1.1\r\nhost: {real}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    Ok(read_message(&mut stream).await?.1)
}
