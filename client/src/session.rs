//! Many submissions over one WebSocket, without waiting for one before the next.

use crate::calls::{submission, submitted};
use crate::error::ClientError;
use crate::follow::{connect, websocket_url};
use jsonrpsee::core::client::ClientT;
use jsonrpsee::ws_client::WsClient;
use outrider_types::{RollupId, TransactionId};

/// Most requests of one session that wait for an answer; past that a call waits for a place.
pub const SESSION_REQUESTS_MAX: usize = 4_096;

/// One WebSocket to a member. Calls may run at the same time.
#[derive(Debug)]
pub struct Session {
    url: String,
    client: WsClient,
}

impl Session {
    /// Connect to the member at `http://host:port` (or `ws://`).
    pub async fn connect(url: &str) -> Result<Self, ClientError> {
        let url = websocket_url(url);
        let client = connect(&url).await?;
        Ok(Self { url, client })
    }

    /// Whether the connection is still there.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.client.is_connected()
    }

    /// Submit opaque bytes for a rollup; what is known already is no error.
    pub async fn submit(
        &self,
        rollup: RollupId,
        payload: &[u8],
    ) -> Result<TransactionId, ClientError> {
        let method = "outrider_submit";
        let answer = self
            .client
            .request(method, submission(rollup, payload))
            .await
            .map_err(|error| ClientError::of_call(&self.url, method, error));
        submitted(answer, rollup, payload)
    }
}
