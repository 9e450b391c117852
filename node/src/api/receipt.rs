//! `eth_sendRawTransactionSync`: order a transaction and wait for its receipt (EIP-7966).
//!
//! Subscribe first, then submit, then look: whatever happens after the first step is seen.

use super::Api;
use super::errors::ErrorCode;
use super::ethereum::{order, rollup};
use super::native::{invalid, stopped};
use super::submit::Hex;
use super::tags::quantity;
use crate::handle::{CommittedBlock, TransactionStatus};
use jsonrpsee::Extensions;
use jsonrpsee::types::{ErrorObjectOwned, Params};
use outrider_types::{RollupId, TransactionId};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// How long is waited if the call does not say.
const WAIT_MS: u64 = 2_000;
/// How often the execution node is asked once the transaction is soft-final; it cannot tell by itself.
const ASK_EVERY: Duration = Duration::from_millis(50);
const METHOD: &str = "eth_sendRawTransactionSync";

/// Milliseconds as a number, or as Ethereum writes numbers.
fn milliseconds(given: Option<Value>) -> Result<u64, ErrorObjectOwned> {
    let parsed = match &given {
        None | Some(Value::Null) => Some(WAIT_MS),
        Some(Value::String(text)) => text
            .strip_prefix("0x")
            .and_then(|digits| u64::from_str_radix(digits, 16).ok()),
        Some(other) => other.as_u64(),
    };
    parsed
        .filter(|milliseconds| *milliseconds > 0)
        .ok_or_else(|| invalid("the timeout is a number of milliseconds above 0"))
}

pub(super) async fn send_sync(
    params: Params<'static>,
    api: Arc<Api>,
    extensions: Extensions,
) -> Result<Box<RawValue>, ErrorObjectOwned> {
    let rollup = rollup(&extensions)?;
    let mut sequence = params.sequence();
    let data = sequence.next::<Hex>()?.0?;
    let wait = milliseconds(sequence.optional_next()?)?.min(api.receipt_wait_ms_max);
    // Without a node there is no receipt, so nothing is ordered.
    api.executions.require(rollup, METHOD)?;
    let deadline = tokio::time::Instant::now() + Duration::from_millis(wait);
    let mut blocks = api.handle.follow();
    let ordered = order(&api, rollup, data).await?;
    let hash = format!("0x{}", hex::encode(ordered.decoded.hash));
    let found = tokio::time::timeout_at(deadline, async {
        soft(&api, ordered.id, &mut blocks).await?;
        loop {
            let receipt = receipt(&api, rollup, &hash).await?;
            if receipt.get() != "null" {
                return Ok(receipt);
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    });
    if let Ok(found) = found.await {
        return found;
    }
    let status = api.handle.status(ordered.id).await.map_err(stopped)?;
    if matches!(status, TransactionStatus::Soft { .. }) {
        let sender = format!("0x{}", hex::encode(ordered.decoded.sender));
        let asked = api
            .executions
            .ask(rollup, "eth_getTransactionCount", json!([sender, "latest"]))
            .await;
        let next = asked.ok().and_then(|next| {
            let next: String = serde_json::from_str(next.get()).ok()?;
            quantity(&next)
        });
        if let Some(next) = next.filter(|next| *next < ordered.decoded.nonce) {
            let text = format!(
                "the transaction is ordered, and will not be executed: its nonce is {}, the next one of {sender} is {next}",
                ordered.decoded.nonce
            );
            return Err(ErrorCode::NonceGap.error(text, Some(json!(format!("{next:#x}")))));
        }
    }
    let text = format!("the transaction is taken, and has no receipt after {wait} ms");
    Err(ErrorCode::ReceiptTimeout.error(text, Some(json!(hash))))
}

async fn receipt(
    api: &Api,
    rollup: RollupId,
    hash: &str,
) -> Result<Box<RawValue>, ErrorObjectOwned> {
    api.executions
        .ask(rollup, "eth_getTransactionReceipt", json!([hash]))
        .await
}

/// Wait until a transaction is soft-final.
async fn soft(
    api: &Api,
    id: TransactionId,
    blocks: &mut Receiver<Arc<CommittedBlock>>,
) -> Result<(), ErrorObjectOwned> {
    let is_soft = async || {
        let status = api.handle.status(id).await.map_err(stopped)?;
        Ok::<_, ErrorObjectOwned>(matches!(status, TransactionStatus::Soft { .. }))
    };
    if is_soft().await? {
        return Ok(());
    }
    loop {
        match blocks.recv().await {
            Ok(block) if block.transactions.contains(&id) => return Ok(()),
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => {
                if is_soft().await? {
                    return Ok(());
                }
            }
            Err(RecvError::Closed) => return Err(stopped(crate::handle::Stopped)),
        }
    }
}
