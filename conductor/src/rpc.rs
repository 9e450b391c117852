//! JSON-RPC 2.0 to an execution node: single calls, and batches of the same call.

use crate::execution::DriverError;
use crate::http::{HttpClient, HttpError};
use crate::jwt::JwtSecret;
use outrider_types::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// Most calls in one batch.
const BATCH_CALLS_MAX: usize = 1_024;
/// Most bytes of parameters in one batch, one call more than that excepted.
const BATCH_BYTES_MAX: usize = 1024 * 1024;

/// A JSON-RPC endpoint.
#[derive(Clone, Debug)]
pub struct Rpc {
    http: HttpClient,
    secret: Option<JwtSecret>,
}

/// What a node answers when it refuses.
#[derive(Clone, Debug, Deserialize)]
pub struct RpcRefusal {
    /// Its code.
    pub code: i64,
    /// Why.
    #[serde(default)]
    pub message: String,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    result: Value,
    error: Option<RpcRefusal>,
}

impl Rpc {
    /// At this address; with a secret, requests carry a JWT.
    #[must_use]
    pub fn new(url: &str, secret: Option<JwtSecret>) -> Self {
        Self {
            http: HttpClient::new(url),
            secret,
        }
    }

    /// Where it calls.
    #[must_use]
    pub fn url(&self) -> &str {
        self.http.url()
    }

    /// The error of an answer that cannot be used.
    pub fn wrong(&self, method: &'static str, reason: impl ToString) -> DriverError {
        DriverError::Answer {
            url: self.url().to_owned(),
            method,
            reason: reason.to_string(),
        }
    }

    /// The error of a call that was refused.
    pub fn refused(&self, method: &'static str, refusal: RpcRefusal) -> DriverError {
        DriverError::Refused {
            url: self.url().to_owned(),
            method,
            code: refusal.code,
            message: refusal.message,
        }
    }

    /// One call.
    pub async fn call<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: Value,
    ) -> Result<T, DriverError> {
        self.try_call(method, params)
            .await?
            .map_err(|refusal| self.refused(method, refusal))
    }

    /// One call, whose refusal is an answer too.
    pub async fn try_call<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: Value,
    ) -> Result<Result<T, RpcRefusal>, DriverError> {
        let request = json!({"jsonrpc": "2.0", "id": 0, "method": method, "params": params});
        let body = self.post(method, &request).await?;
        let answer: Answer =
            serde_json::from_slice(&body).map_err(|error| self.wrong(method, error))?;
        if let Some(refusal) = answer.error {
            return Ok(Err(refusal));
        }
        serde_json::from_value(answer.result)
            .map(Ok)
            .map_err(|error| self.wrong(method, error))
    }

    /// The same call many times over, in order, in as few requests as the limits allow; an answer for each.
    pub async fn batch<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: Vec<Value>,
    ) -> Result<Vec<Result<T, RpcRefusal>>, DriverError> {
        let mut answers = Vec::with_capacity(params.len());
        let mut rest = params.into_iter().peekable();
        while rest.peek().is_some() {
            let (mut calls, mut bytes) = (Vec::new(), 0);
            while calls.len() < BATCH_CALLS_MAX && bytes < BATCH_BYTES_MAX {
                let Some(params) = rest.next() else { break };
                bytes += params.to_string().len();
                let id = calls.len();
                calls.push(json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
            }
            let count = calls.len();
            let body = self.post(method, &Value::Array(calls)).await?;
            answers.extend(self.read_batch(method, &body, count)?);
        }
        Ok(answers)
    }

    fn read_batch<T: DeserializeOwned>(
        &self,
        method: &'static str,
        body: &[u8],
        count: usize,
    ) -> Result<Vec<Result<T, RpcRefusal>>, DriverError> {
        let read: Vec<Answer> =
            serde_json::from_slice(body).map_err(|error| self.wrong(method, error))?;
        let mut answers: Vec<Option<Result<T, RpcRefusal>>> = (0..count).map(|_| None).collect();
        for answer in read {
            let id = answer.id.as_u64().and_then(|id| usize::try_from(id).ok());
            let place = id.and_then(|id| answers.get_mut(id));
            let place =
                place.ok_or_else(|| self.wrong(method, "an answer to what was not asked"))?;
            *place = Some(match answer.error {
                Some(refusal) => Err(refusal),
                None => Ok(serde_json::from_value(answer.result)
                    .map_err(|error| self.wrong(method, error))?),
            });
        }
        let all: Option<Vec<_>> = answers.into_iter().collect();
        all.ok_or_else(|| self.wrong(method, "fewer answers than calls"))
    }

    async fn post(&self, method: &'static str, request: &Value) -> Result<Bytes, DriverError> {
        let token = self.secret.as_ref().map(|secret| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            secret.token(now.map_or(0, |now| now.as_secs()))
        });
        let body = request.to_string().into_bytes();
        let answer = self.http.post("", body, token.as_deref()).await;
        answer.map_err(|error| match error {
            HttpError::Status {
                status: 401 | 403, ..
            } => DriverError::Refused {
                url: self.url().to_owned(),
                method,
                code: 401,
                message: format!("{error}; check the file of --jwt and both clocks"),
            },
            error => DriverError::Unreachable {
                url: self.url().to_owned(),
                error,
            },
        })
    }
}
