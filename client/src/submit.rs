//! Submission: one transaction as a call, many as the body of one HTTP request.

use crate::calls::{Client, RESPONSE_BYTES_MAX, submission, submitted};
use crate::error::{CODE_DUPLICATE, ClientError, root_cause};
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jsonrpsee::types::ErrorObjectOwned;
use outrider_types::{Bytes, RollupId, TransactionId};
use serde::Deserialize;
use std::time::Duration;

/// Most transactions of one [`Client::submit_many`] that a member takes.
pub const SUBMIT_MANY_MAX: usize = 1_024;
/// Bytes of the length in front of each transaction of a body.
const LENGTH_BYTES: usize = 4;
/// The name of the call that the body is.
const METHOD: &str = "outrider_submitBytes";

/// A transaction of [`Client::submit_many`] that was not taken.
#[derive(Debug)]
pub struct Refusal {
    /// Which, from 0.
    pub index: usize,
    /// Why; always [`ClientError::Refused`].
    pub error: ClientError,
}

/// Sends bodies. Cheap to clone; connections are kept and reused, one for each request that runs.
#[derive(Clone, Debug)]
pub(crate) struct Poster {
    http: HttpClient<HttpConnector, Full<Bytes>>,
    timeout: Duration,
}

impl Poster {
    pub(crate) fn new(timeout: Duration) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(timeout));
        Self {
            http: HttpClient::builder(TokioExecutor::new()).build(connector),
            timeout,
        }
    }

    /// Status and body of the answer.
    async fn post(&self, url: &str, body: Bytes) -> Result<(http::StatusCode, Bytes), PostError> {
        let request = http::Request::post(url)
            .header(CONTENT_TYPE, "application/octet-stream")
            .body(Full::new(body))
            .map_err(|error| PostError::Broken(root_cause(&error)))?;
        let exchange = async {
            let answer = self.http.request(request).await;
            let (head, body) = answer
                .map_err(|error| PostError::Broken(root_cause(&error)))?
                .into_parts();
            let body = Limited::new(body, RESPONSE_BYTES_MAX as usize)
                .collect()
                .await
                .map_err(|error| PostError::Broken(root_cause(error.as_ref())))?;
            Ok((head.status, body.to_bytes()))
        };
        tokio::time::timeout(self.timeout, exchange)
            .await
            .unwrap_or(Err(PostError::Timeout))
    }
}

/// Why a body got no answer.
#[derive(Debug)]
enum PostError {
    Broken(String),
    Timeout,
}

/// The answer of a member, in the envelope of JSON-RPC.
#[derive(Deserialize)]
struct Answer {
    result: Option<Taken>,
    error: Option<ErrorObjectOwned>,
}

#[derive(Deserialize)]
struct Taken {
    taken: usize,
    refused: Vec<TakenNot>,
}

#[derive(Deserialize)]
struct TakenNot {
    index: usize,
    error: ErrorObjectOwned,
}

impl Client {
    /// Submit opaque bytes for a rollup. The same bytes have the same id and are ordered once, so submitting again what
    /// is known already is no error.
    pub async fn submit(
        &self,
        rollup: RollupId,
        payload: &[u8],
    ) -> Result<TransactionId, ClientError> {
        let answer = self
            .call("outrider_submit", submission(rollup, payload))
            .await;
        submitted(answer, rollup, payload)
    }

    /// Submit many transactions of a rollup, at most [`SUBMIT_MANY_MAX`] and as many bytes as a request may have there
    /// (2 MiB if it is not set otherwise, with 4 bytes for each length), in their order. Returns those that were not
    /// taken; what is known already is taken. The id of a transaction is `Transaction::id`.
    ///
    /// An error is one of the whole request. It may have been carried out unless it is [`ClientError::Refused`];
    /// submitting again is harmless.
    pub async fn submit_many(
        &self,
        rollup: RollupId,
        payloads: &[Bytes],
    ) -> Result<Vec<Refusal>, ClientError> {
        let url = format!("{}/rollup/{rollup}/submit", self.url);
        let answer = self.poster.post(&url, body(payloads)).await;
        let (status, body) = answer.map_err(|error| match error {
            PostError::Broken(reason) => ClientError::Unreachable {
                url: self.url.clone(),
                reason,
            },
            PostError::Timeout => ClientError::Timeout {
                url: self.url.clone(),
                method: METHOD,
            },
        })?;
        read(&self.url, status, &body, payloads.len())
    }
}

/// The length of each, and its bytes.
fn body(payloads: &[Bytes]) -> Bytes {
    let bytes: usize = payloads.iter().map(|data| LENGTH_BYTES + data.len()).sum();
    let mut body = Vec::with_capacity(bytes);
    for data in payloads {
        // Members refuse more than 128 KiB anyhow.
        let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
        body.extend_from_slice(&length.to_be_bytes());
        body.extend_from_slice(data);
    }
    Bytes::from(body)
}

/// What the member says became of so many transactions.
fn read(
    url: &str,
    status: http::StatusCode,
    body: &[u8],
    sent: usize,
) -> Result<Vec<Refusal>, ClientError> {
    let wrong = |reason: String| ClientError::Answer {
        url: url.to_owned(),
        method: METHOD,
        reason,
    };
    let taken = match serde_json::from_slice::<Answer>(body) {
        Ok(Answer {
            error: Some(error), ..
        }) => return Err(ClientError::refused(&error)),
        Ok(Answer {
            result: Some(taken),
            ..
        }) => taken,
        // Too many connections, or a proxy in between.
        _ if !status.is_success() => {
            return Err(ClientError::Unreachable {
                url: url.to_owned(),
                reason: format!("HTTP status {status}"),
            });
        }
        Ok(_) => return Err(wrong("neither a result nor an error".to_owned())),
        Err(error) => return Err(wrong(error.to_string())),
    };
    let ordered = taken
        .refused
        .windows(2)
        .all(|pair| pair[0].index < pair[1].index);
    let inside = taken.refused.last().is_none_or(|last| last.index < sent);
    if !ordered || !inside || taken.taken.checked_add(taken.refused.len()) != Some(sent) {
        return Err(wrong(format!(
            "{sent} transactions were sent, {} taken and {} refused",
            taken.taken,
            taken.refused.len()
        )));
    }
    let refused = taken.refused.into_iter().map(|TakenNot { index, error }| {
        let error = ClientError::refused(&error);
        Refusal { index, error }
    });
    let known = |refusal: &Refusal| matches!(refusal.error, ClientError::Refused { code, .. } if code == CODE_DUPLICATE);
    Ok(refused.filter(|refusal| !known(refusal)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;

    #[test]
    fn body_is_length_and_bytes_of_each() {
        let payloads = [Bytes::from_static(&[7; 2]), Bytes::new()];
        assert_eq!(body(&payloads), [0, 0, 0, 2, 7, 7, 0, 0, 0, 0][..]);
        assert!(body(&[]).is_empty());
    }

    #[test]
    fn refusals_are_typed_and_what_is_known_is_taken() {
        let answer = r#"{"jsonrpc":"2.0","id":0,"result":{"taken":1,"refused":[
            {"index":0,"error":{"code":-32053,"message":"known","data":{"status":{"stage":"pending"}}}},
            {"index":2,"error":{"code":-32051,"message":"full","data":{"retry_after_ms":250}}}]}}"#;
        let refused = read("u", StatusCode::OK, answer.as_bytes(), 3).unwrap();
        assert_eq!(refused.len(), 1);
        assert_eq!(refused[0].index, 2);
        assert!(refused[0].error.retry_helps());
        let ClientError::Refused { data, .. } = &refused[0].error else {
            unreachable!("a refusal");
        };
        assert_eq!(data.as_deref(), Some(r#"{"retry_after_ms":250}"#));
    }

    #[test]
    fn answers_that_cannot_be_are_errors() {
        let read = |status, body: &str| read("u", status, body.as_bytes(), 2).unwrap_err();
        for body in [
            "",
            "{}",
            r#"{"result":{"taken":1,"refused":[]}}"#,
            r#"{"result":{"taken":1,"refused":[{"index":2,"error":{"code":1,"message":""}}]}}"#,
            r#"{"result":{"taken":18446744073709551615,"refused":[{"index":1,"error":{"code":1,"message":""}}]}}"#,
        ] {
            let error = read(StatusCode::OK, body);
            assert!(matches!(error, ClientError::Answer { .. }), "{body}");
        }
        let twice = r#"{"index":1,"error":{"code":1,"message":""}}"#;
        let body = format!(r#"{{"result":{{"taken":0,"refused":[{twice},{twice}]}}}}"#);
        assert!(matches!(
            read(StatusCode::OK, &body),
            ClientError::Answer { .. }
        ));
        let busy = read(StatusCode::TOO_MANY_REQUESTS, "Too many connections");
        assert!(matches!(busy, ClientError::Unreachable { .. }), "{busy}");
        let large = read(
            StatusCode::PAYLOAD_TOO_LARGE,
            r#"{"error":{"code":-32007,"message":"Request is too big"}}"#,
        );
        assert!(matches!(large, ClientError::Refused { code: -32_007, .. }));
    }
}
