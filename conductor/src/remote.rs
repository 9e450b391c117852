//! Driving any virtual machine over HTTP: a process that executes what it is given, see `docs/conductor.md`.

use crate::aggregate::Interval;
use crate::execution::{BlockRef, DriverError, Executed, ExecutionDriver};
use crate::http::{HttpClient, HttpError};
use crate::skip::{SAYING_CHARS_MAX, SkipReason, Skipped};
use alloy_primitives::B256;
use outrider_types::{Bytes, RollupId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Under what a virtual machine executes: all of it follows from the lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteEnvironment {
    /// The rollup.
    pub rollup: RollupId,
    /// Microseconds since the Unix epoch: where the interval begins.
    pub timestamp_us: u64,
    /// The first lane block in it.
    pub lane_first: u64,
    /// The last lane block in it.
    pub lane_last: u64,
}

/// Body of `POST /execute`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecuteRequest {
    /// The block to build on.
    pub parent: BlockRef,
    /// Under what.
    pub environment: RemoteEnvironment,
    /// The transactions in order, in hex.
    pub transactions: Vec<String>,
}

/// Answer of `POST /execute`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecuteAnswer {
    /// The block.
    #[serde(flatten)]
    pub block: BlockRef,
    /// The state after it.
    pub state_root: B256,
    /// Places of what was executed, in order.
    pub included: Vec<usize>,
    /// What each of these did, in the same order, at most 200 characters each; may be left out.
    #[serde(default)]
    pub results: Vec<String>,
    /// The others, in order.
    pub skipped: Vec<RemoteSkip>,
}

/// A transaction that the machine did not execute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteSkip {
    /// Its place.
    pub index: usize,
    /// Why.
    pub reason: String,
}

/// A virtual machine behind HTTP.
#[derive(Clone, Debug)]
pub struct RemoteDriver {
    http: HttpClient,
    rollup: RollupId,
}

impl RemoteDriver {
    /// At this address.
    #[must_use]
    pub fn new(url: &str, rollup: RollupId) -> Self {
        Self {
            http: HttpClient::new(url),
            rollup,
        }
    }

    fn failed(
        &self,
        method: &'static str,
        error: HttpError,
        parent: Option<BlockRef>,
    ) -> DriverError {
        let url = self.http.url().to_owned();
        match (error, parent) {
            (HttpError::Status { status: 409, .. }, Some(parent)) => {
                DriverError::NoParent { url, parent }
            }
            (HttpError::Status { status, text }, _) => DriverError::Refused {
                url,
                method,
                code: i64::from(status),
                message: text,
            },
            (error, _) => DriverError::Unreachable { url, error },
        }
    }

    fn read<T: DeserializeOwned>(
        &self,
        method: &'static str,
        body: &Bytes,
    ) -> Result<T, DriverError> {
        serde_json::from_slice(body).map_err(|error| self.wrong(method, &error.to_string()))
    }

    fn wrong(&self, method: &'static str, reason: &str) -> DriverError {
        DriverError::Answer {
            url: self.http.url().to_owned(),
            method,
            reason: reason.to_owned(),
        }
    }
}

/// Whether each place from 0 is named once, included or skipped, each list in order.
fn is_whole(answer: &ExecuteAnswer, count: usize) -> bool {
    let results = &answer.results;
    if (!results.is_empty() && results.len() != answer.included.len())
        || results.iter().any(|one| one.len() > SAYING_CHARS_MAX)
    {
        return false;
    }
    let mut included = answer.included.iter().peekable();
    let mut skipped = answer.skipped.iter().peekable();
    (0..count).all(|place| {
        included.next_if(|at| **at == place).is_some()
            || skipped.next_if(|one| one.index == place).is_some()
    }) && included.next().is_none()
        && skipped.next().is_none()
}

impl ExecutionDriver for RemoteDriver {
    async fn check(&mut self, _rollup: RollupId) -> Result<(), DriverError> {
        self.head().await.map(|_| ())
    }

    async fn head(&mut self) -> Result<BlockRef, DriverError> {
        let body = self.http.get("/head").await;
        let body = body.map_err(|error| self.failed("head", error, None))?;
        self.read("head", &body)
    }

    async fn block(&mut self, number: u64) -> Result<Option<BlockRef>, DriverError> {
        match self.http.get(&format!("/block/{number}")).await {
            Ok(body) => self.read("block", &body).map(Some),
            Err(HttpError::Status { status: 404, .. }) => Ok(None),
            Err(error) => Err(self.failed("block", error, None)),
        }
    }

    async fn execute(
        &mut self,
        parent: BlockRef,
        interval: &Interval,
    ) -> Result<Executed, DriverError> {
        let method = "execute";
        let request = ExecuteRequest {
            parent,
            environment: RemoteEnvironment {
                rollup: self.rollup,
                timestamp_us: interval.start.0,
                lane_first: interval.lane_first,
                lane_last: interval.last.lane_height,
            },
            transactions: interval
                .transactions
                .iter()
                .map(const_hex::encode_prefixed)
                .collect(),
        };
        let body = serde_json::to_vec(&request);
        let body = body.map_err(|error| self.wrong(method, &error.to_string()))?;
        let answer = self.http.post("/execute", body, None).await;
        let answer = answer.map_err(|error| self.failed(method, error, Some(parent)))?;
        let answer: ExecuteAnswer = self.read(method, &answer)?;
        if answer.block.number != parent.number + 1 {
            return Err(self.wrong(method, "the block does not follow its parent"));
        }
        if !is_whole(&answer, interval.transactions.len()) {
            return Err(self.wrong(method, "not every transaction is included or skipped, once, or it says too much of what they did"));
        }
        let skipped = answer.skipped.into_iter().map(|one| Skipped {
            index: one.index,
            why: SkipReason::refused(&one.reason),
        });
        Ok(Executed {
            block: answer.block,
            state_root: answer.state_root,
            included: answer.included,
            results: answer.results,
            skipped: skipped.collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_is_named_once() {
        let answer = |included: &[usize], skipped: &[usize]| ExecuteAnswer {
            block: BlockRef {
                number: 1,
                hash: B256::ZERO,
            },
            state_root: B256::ZERO,
            included: included.to_vec(),
            results: vec![],
            skipped: skipped
                .iter()
                .map(|index| RemoteSkip {
                    index: *index,
                    reason: String::new(),
                })
                .collect(),
        };
        assert!(is_whole(&answer(&[0, 2], &[1]), 3));
        assert!(is_whole(&answer(&[], &[]), 0));
        for wrong in [
            answer(&[0], &[]),
            answer(&[0, 1], &[1]),
            answer(&[1, 0], &[]),
            answer(&[0, 1, 2], &[]),
            answer(&[0], &[1, 2]),
        ] {
            assert!(!is_whole(&wrong, 2), "{wrong:?}");
        }
    }
}
