//! Following committed blocks over a WebSocket, without gaps.

use crate::calls::{REQUEST_TIMEOUT, RESPONSE_BYTES_MAX, one};
use crate::error::ClientError;
use crate::model::{BlockSummary, ServedBlock};
use crate::session::SESSION_REQUESTS_MAX;
use jsonrpsee::core::client::{ClientT, Subscription, SubscriptionClientT};
use jsonrpsee::ws_client::{PingConfig, WsClient, WsClientBuilder};
use outrider_types::{BlockId, Height, TransactionId};
use serde::Deserialize;
use std::time::Duration;

/// Blocks that wait for a slow reader; past that the follower drops them and fetches them again by height.
pub const FOLLOW_BUFFER_MAX: usize = 1_024;
/// A member that sends nothing, not even an answer to a ping, for about this long is taken for gone.
const SILENCE: Duration = Duration::from_secs(5);

/// Follows the blocks of one member: every block from the first one on, in order, each once.
///
/// When the connection breaks, [`next`](Self::next) returns the error once; calling it again connects again and goes on
/// where it was. The caller decides how long to pause and when to give up or change the member with
/// [`move_to`](Self::move_to).
#[derive(Debug)]
pub struct Follower {
    url: String,
    next: Option<Height>,
    connection: Option<Connection>,
    /// Announced, but blocks before it are missing.
    ahead: Option<BlockSummary>,
}

#[derive(Debug)]
struct Connection {
    client: WsClient,
    blocks: Subscription<Item>,
}

/// What the subscription sends: a block, or the news that some were skipped because we were slow. Not an untagged enum,
/// which would keep every id as a text of its own before it is read.
#[derive(Debug, Deserialize)]
struct Item {
    height: Option<Height>,
    id: Option<BlockId>,
    timestamp: Option<u64>,
    transactions: Option<Vec<TransactionId>>,
}

impl Item {
    fn block(self) -> Option<BlockSummary> {
        Some(BlockSummary {
            height: self.height?,
            id: self.id?,
            timestamp: self.timestamp?,
            transactions: self.transactions?,
        })
    }
}

impl Follower {
    /// Follow the member at `ws://host:port` (or `http://`), from the next block it commits, or from a height.
    #[must_use]
    pub fn new(url: &str, from: Option<Height>) -> Self {
        Self {
            url: websocket_url(url),
            next: from,
            connection: None,
            ahead: None,
        }
    }

    /// Go on at another member, where this one was.
    pub fn move_to(&mut self, url: &str) {
        self.url = websocket_url(url);
        self.connection = None;
        self.ahead = None;
    }

    /// Height of the block that comes next, once that is known.
    #[must_use]
    pub const fn next_height(&self) -> Option<Height> {
        self.next
    }

    /// Whether there is a connection. A broken one is noticed by [`next`](Self::next).
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// Connect and subscribe, unless that is done: blocks committed from now on will not be missed.
    pub async fn connect(&mut self) -> Result<(), ClientError> {
        if self.connection.is_some() {
            return Ok(());
        }
        let client = connect(&self.url).await?;
        let blocks = client
            .subscribe("outrider_subscribe", one("blocks"), "outrider_unsubscribe")
            .await
            .map_err(|error| ClientError::of_call(&self.url, "outrider_subscribe", error))?;
        self.connection = Some(Connection { client, blocks });
        Ok(())
    }

    /// The next block. Safe to cancel: no block is lost.
    pub async fn next(&mut self) -> Result<BlockSummary, ClientError> {
        loop {
            self.connect().await?;
            let result = self.step().await;
            if result.is_err() {
                self.connection = None;
                self.ahead = None;
            }
            if let Some(block) = result? {
                self.next = Some(block.height.next());
                return Ok(block);
            }
        }
    }

    /// One wait: for the block of a gap, or for the subscription.
    async fn step(&mut self) -> Result<Option<BlockSummary>, ClientError> {
        let Some(connection) = &mut self.connection else {
            return Ok(None);
        };
        if let Some(ahead) = &self.ahead {
            let next = self.next.unwrap_or(ahead.height);
            if next >= ahead.height {
                return Ok(self.ahead.take().filter(|ahead| ahead.height == next));
            }
            let found: Option<ServedBlock> = connection
                .client
                .request("outrider_block", one(next))
                .await
                .map_err(|error| ClientError::of_call(&self.url, "outrider_block", error))?;
            return found
                .map(BlockSummary::from)
                .filter(|block| block.height == next)
                .map(Some)
                .ok_or_else(|| ClientError::MissingBlock {
                    url: self.url.clone(),
                    height: next,
                });
        }
        match connection.blocks.next().await {
            // Without one, the next block shows how much is missing.
            Some(Ok(item)) => self.ahead = item.block(),
            Some(Err(error)) => {
                return Err(ClientError::Answer {
                    url: self.url.clone(),
                    method: "outrider_subscribe",
                    reason: error.to_string(),
                });
            }
            // The buffer was full, or the connection is gone: the caller, or the next turn, connects again.
            None => {
                return Err(ClientError::Unreachable {
                    url: self.url.clone(),
                    reason: "the subscription ended".into(),
                });
            }
        }
        Ok(None)
    }
}

pub(crate) async fn connect(url: &str) -> Result<WsClient, ClientError> {
    let ping = PingConfig::new()
        .ping_interval(SILENCE / 2)
        .inactive_limit(SILENCE)
        .max_failures(1);
    WsClientBuilder::default()
        .request_timeout(REQUEST_TIMEOUT)
        .max_concurrent_requests(SESSION_REQUESTS_MAX)
        .connection_timeout(REQUEST_TIMEOUT)
        .max_response_size(RESPONSE_BYTES_MAX)
        .max_buffer_capacity_per_subscription(FOLLOW_BUFFER_MAX)
        .enable_ws_ping(ping)
        .build(url)
        .await
        .map_err(|error| ClientError::of_call(url, "connect", error))
}

/// The WebSocket address of a member's RPC, which listens on one port for both.
pub(crate) fn websocket_url(url: &str) -> String {
    let url = url.trim_end_matches('/');
    match url.split_once("://") {
        Some(("http", rest)) => format!("ws://{rest}"),
        Some(("https", rest)) => format!("wss://{rest}"),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_addresses_become_websocket_addresses() {
        assert_eq!(websocket_url("http://a:1/"), "ws://a:1");
        assert_eq!(websocket_url("https://a"), "wss://a");
        assert_eq!(websocket_url("ws://a:1"), "ws://a:1");
    }
}
