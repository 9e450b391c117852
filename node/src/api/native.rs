//! The native methods.

use super::errors::ErrorCode;
use super::lane_stream::{From, LaneStream, LaneTopic, STALL};
use super::openrpc;
use super::wire::{BlockInfo, Health, Notification, ServedBlock};
use super::{Api, Route};
use crate::handle::{AskError, BlockAt, Head, SettlementReport};
use jsonrpsee::core::{RegisterMethodError, SubscriptionError};
use jsonrpsee::types::{ErrorObjectOwned, Params};
use jsonrpsee::{
    Extensions, PendingSubscriptionSink, RpcModule, SendTimeoutError, SubscriptionMessage,
};
use outrider_storage::KEY_BYTES_MAX;
use outrider_types::{BlockId, CommitteeChange, Epoch, Height, RollupId, TransactionId, encode};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::broadcast::error::RecvError;

/// A block is behind when others have shown one this much higher.
const SYNCING_BLOCKS: u64 = 8;

pub(super) fn register(module: &mut RpcModule<Api>) -> Result<(), RegisterMethodError> {
    module.register_async_method(
        "outrider_transactionStatus",
        |params, api, extensions| async move {
            let id = transaction(&params, &api, &extensions)?;
            let status = api.handle.status(id).await.map_err(stopped)?;
            Ok::<_, ErrorObjectOwned>(json!(status))
        },
    )?;
    module.register_async_method(
        "outrider_transactionProof",
        |params, api, extensions| async move {
            let id = transaction(&params, &api, &extensions)?;
            let proof = api.handle.proof(id).await.map_err(unanswered)?;
            Ok::<_, ErrorObjectOwned>(json!(proof))
        },
    )?;
    register_epochs(module)?;
    module.register_async_method("outrider_evidence", evidence)?;
    module.register_async_method("outrider_certificates", certificates)?;
    module.register_async_method("outrider_block", block)?;
    module.register_async_method("outrider_snapshot", snapshot)?;
    module.register_async_method(
        "outrider_stateDigest",
        |params, api, extensions| async move {
            native(&extensions)?;
            let height: Height = params.one()?;
            let digest = api.handle.state_digest(height).await.map_err(stopped)?;
            Ok::<_, ErrorObjectOwned>(digest.map(hex::encode))
        },
    )?;
    module.register_method("outrider_head", |_, api, extensions| {
        native(extensions).map(|()| json!(api.handle.head()))
    })?;
    module.register_method("outrider_settlement", |_, api, extensions| {
        native(extensions).map(|()| json!(api.handle.settlement()))
    })?;
    module.register_method("outrider_committee", |_, api, extensions| {
        native(extensions)?;
        let epoch = api.handle.epoch();
        let committee = &epoch.committee;
        let answer = json!({
            "id": committee.id(),
            "committee": committee,
            "contacts": epoch.contacts,
            "thresholds": committee.thresholds(),
            "base": epoch.base,
            "last_height": committee.last_height(epoch.base.height),
        });
        Ok::<_, ErrorObjectOwned>(answer)
    })?;
    module.register_method("outrider_limits", |_, api, extensions| {
        native(extensions)?;
        Ok::<_, ErrorObjectOwned>(api.limits.clone())
    })?;
    module.register_method("outrider_health", |_, api, extensions| {
        native(extensions)?;
        let head = api.handle.head();
        let syncing = syncing(&head);
        Ok::<_, ErrorObjectOwned>(Health {
            member: api.handle.member(),
            height: head.height,
            view: head.view,
            syncing,
        })
    })?;
    module.register_method("rpc.discover", |_, _, _| {
        Ok::<_, ErrorObjectOwned>(openrpc::document())
    })?;
    module.register_subscription(
        "outrider_subscribe",
        "outrider_subscription",
        "outrider_unsubscribe",
        follow,
    )?;
    Ok(())
}

/// Whether it is behind.
pub(super) const fn syncing(head: &Head) -> bool {
    head.seen.0 > head.height.0 + SYNCING_BLOCKS
}

pub(super) fn stopped(error: crate::handle::Stopped) -> ErrorObjectOwned {
    ErrorCode::Stopping.error(error.to_string(), None)
}

pub(super) fn unanswered(error: AskError) -> ErrorObjectOwned {
    match error {
        AskError::Stopped(error) => stopped(error),
        AskError::Pruned(error) => {
            let data = json!({ "first": error.first });
            ErrorCode::Pruned.error(error.to_string(), Some(data))
        }
    }
}

/// What concerns epochs (R13).
fn register_epochs(module: &mut RpcModule<Api>) -> Result<(), RegisterMethodError> {
    module.register_async_method("outrider_epochEnds", |params, api, extensions| async move {
        native(&extensions)?;
        let from: Epoch = params.one()?;
        let ends = api.handle.epoch_ends(from).await.map_err(stopped)?;
        Ok::<_, ErrorObjectOwned>(json!(ends))
    })?;
    module.register_async_method(
        "outrider_submitChange",
        |params, api, extensions| async move {
            native(&extensions)?;
            let change: CommitteeChange = params.one()?;
            let next = change.next.id();
            let taken = api.handle.submit_change(change).await.map_err(stopped)?;
            taken.map_err(invalid)?;
            Ok::<_, ErrorObjectOwned>(json!(next))
        },
    )?;
    Ok(())
}

pub(super) fn invalid(reason: impl std::fmt::Display) -> ErrorObjectOwned {
    ErrorCode::InvalidParams.error(format!("invalid parameters: {reason}"), None)
}

/// Native methods stand at `/` alone.
pub(super) fn native(extensions: &Extensions) -> Result<(), ErrorObjectOwned> {
    match extensions.get::<Route>() {
        Some(Route::Root) => Ok(()),
        _ => Err(ErrorCode::WrongPath.error("this method is served at /", None)),
    }
}

/// A transaction by its id, or by an Ethereum hash taken here.
fn transaction(
    params: &Params<'_>,
    api: &Api,
    extensions: &Extensions,
) -> Result<TransactionId, ErrorObjectOwned> {
    native(extensions)?;
    let text: String = params.one()?;
    let id: TransactionId = text.parse().map_err(invalid)?;
    Ok(super::ethereum::lookup(api, &id.0).unwrap_or(id))
}

/// Where a page begins: what the page before said, a key of the store in hex.
fn page(from: Option<String>) -> Result<Option<Vec<u8>>, ErrorObjectOwned> {
    let Some(text) = from else { return Ok(None) };
    if text.len() > 2 * KEY_BYTES_MAX {
        return Err(invalid("from is not what a page before this one said"));
    }
    hex::decode(text).map(Some).map_err(invalid)
}

async fn evidence(
    params: Params<'static>,
    api: Arc<Api>,
    extensions: Extensions,
) -> Result<Value, ErrorObjectOwned> {
    native(&extensions)?;
    let from = page(params.sequence().optional_next()?)?;
    let found = api.handle.evidence(from).await.map_err(stopped)?;
    Ok(json!(found))
}

async fn certificates(
    params: Params<'static>,
    api: Arc<Api>,
    extensions: Extensions,
) -> Result<Value, ErrorObjectOwned> {
    native(&extensions)?;
    let mut sequence = params.sequence();
    let epoch: Option<Epoch> = sequence.optional_next()?;
    let from = page(sequence.optional_next()?)?;
    let found = api.handle.certificates(epoch, from).await;
    let found = found
        .map_err(stopped)?
        .ok_or_else(|| invalid("this member knows nothing of that epoch"))?;
    Ok(json!(found))
}

async fn block(
    params: Params<'static>,
    api: Arc<Api>,
    extensions: Extensions,
) -> Result<Value, ErrorObjectOwned> {
    native(&extensions)?;
    let mut sequence = params.sequence();
    let at: Value = sequence.next()?;
    let with_data: bool = sequence.optional_next()?.unwrap_or(false);
    let at = match &at {
        Value::Number(number) => BlockAt::Height(Height(
            number
                .as_u64()
                .ok_or_else(|| invalid("a height is not negative"))?,
        )),
        Value::String(text) => BlockAt::Id(text.parse::<BlockId>().map_err(invalid)?),
        _ => return Err(invalid("a height (number) or a block id (hex) is expected")),
    };
    let found = api.handle.block(at).await.map_err(unanswered)?;
    Ok(json!(
        found.map(|block| ServedBlock::new(&block, with_data))
    ))
}

/// Items of a snapshot in the wire format, in hex.
async fn snapshot(
    params: Params<'static>,
    api: Arc<Api>,
    extensions: Extensions,
) -> Result<Vec<String>, ErrorObjectOwned> {
    native(&extensions)?;
    let mut sequence = params.sequence();
    let from: Option<Height> = sequence.optional_next()?;
    let first: Option<Height> = sequence.optional_next()?;
    let blocks = from.map(|from| (from, first.unwrap_or(from)));
    let items = api.handle.snapshot(blocks).await.map_err(stopped)?;
    let items = items.map_err(|error| ErrorCode::Pruned.error(error.to_string(), None))?;
    Ok(items.iter().map(|item| hex::encode(encode(item))).collect())
}

async fn follow(
    params: Params<'static>,
    pending: PendingSubscriptionSink,
    api: Arc<Api>,
    extensions: Extensions,
) -> Result<(), SubscriptionError> {
    if let Err(error) = native(&extensions) {
        pending.reject(error).await;
        return Ok(());
    }
    let mut sequence = params.sequence();
    let topic: Result<String, _> = sequence.next();
    match topic.as_deref() {
        Ok("blocks") => follow_blocks(pending, &api).await,
        Ok("lane") => {
            let parsed = sequence.next::<LaneTopic>();
            match parsed.and_then(|topic| Ok((topic.rollup, topic.from()?))) {
                Ok((rollup, from)) => follow_lane(pending, &api, rollup, from).await,
                Err(error) => {
                    pending.reject(error).await;
                    Ok(())
                }
            }
        }
        Ok("settlement") => follow_settlement(pending, &api).await,
        _ => {
            let error = invalid("the topics are \"blocks\", \"lane\" and \"settlement\"");
            pending.reject(error).await;
            Ok(())
        }
    }
}

async fn follow_lane(
    pending: PendingSubscriptionSink,
    api: &Api,
    rollup: RollupId,
    from: From,
) -> Result<(), SubscriptionError> {
    let mut stream = match LaneStream::open(api.handle.clone(), rollup, from).await {
        Ok(stream) => stream,
        Err(error) => {
            pending.reject(stopped(error)).await;
            return Ok(());
        }
    };
    let sink = pending.accept().await?;
    loop {
        let event = tokio::select! {
            biased;
            () = sink.closed() => return Ok(()),
            event = stream.next() => event.map_err(|error| error.to_string())?,
        };
        let text = serde_json::value::to_raw_value(&event)?;
        match sink
            .send_timeout(SubscriptionMessage::from(text), STALL)
            .await
        {
            Ok(()) if event.is_last() => return Err("the stream has ended".into()),
            Ok(()) => {}
            Err(SendTimeoutError::Closed(_)) => return Ok(()),
            Err(SendTimeoutError::Timeout(_)) => {
                return Err("the reader is too slow; go on after its last cursor".into());
            }
        }
    }
}

/// What is settled, whenever something of it but the soft-final height has changed: that, blocks tell.
async fn follow_settlement(
    pending: PendingSubscriptionSink,
    api: &Api,
) -> Result<(), SubscriptionError> {
    let mut reports = api.handle.watch_settlement();
    if reports.borrow().is_none() {
        let error = invalid("this member knows of no settlement chain: [l1] is not configured");
        pending.reject(error).await;
        return Ok(());
    }
    let sink = pending.accept().await?;
    let mut told = None;
    loop {
        let report = reports.borrow_and_update().clone();
        let news = report.as_ref().map(SettlementReport::without_soft);
        if news != told {
            let text = serde_json::value::to_raw_value(&report)?;
            if sink.send(SubscriptionMessage::from(text)).await.is_err() {
                return Ok(());
            }
            told = news;
        }
        tokio::select! {
            biased;
            () = sink.closed() => return Ok(()),
            changed = reports.changed() => if changed.is_err() {
                return Err("the member has stopped".into());
            },
        }
    }
}

async fn follow_blocks(
    pending: PendingSubscriptionSink,
    api: &Api,
) -> Result<(), SubscriptionError> {
    let mut blocks = api.handle.follow();
    let sink = pending.accept().await?;
    loop {
        let (notification, last) = tokio::select! {
            biased;
            () = sink.closed() => return Ok(()),
            next = blocks.recv() => match next {
                Ok(block) => (
                    Notification::Block(BlockInfo {
                        height: block.block.height,
                        id: block.id,
                        timestamp: block.block.timestamp,
                        transactions: block.transactions.to_vec(),
                    }),
                    false,
                ),
                Err(RecvError::Lagged(lagged)) => (Notification::Lagged { lagged }, true),
                Err(RecvError::Closed) => return Err("the member has stopped".into()),
            },
        };
        let text = serde_json::value::to_raw_value(&notification)?;
        if sink.send(SubscriptionMessage::from(text)).await.is_err() {
            return Ok(());
        }
        if last {
            // Without it the reader would wait for ever.
            return Err(
                "the reader is too slow; subscribe again and fetch what is missing by height"
                    .into(),
            );
        }
    }
}
