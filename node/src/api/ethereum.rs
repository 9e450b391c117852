//! What wallets speak, at `/rollup/{id}`.

use super::errors::{ErrorCode, bad_transaction, refused};
use super::submit::Hex;
use super::table::METHODS;
use super::{Api, Route, receipt};
use crate::ethereum::{Decoded, decode};
use crate::handle::SubmitError;
use jsonrpsee::core::RegisterMethodError;
use jsonrpsee::types::ErrorObjectOwned;
use jsonrpsee::{Extensions, RpcModule};
use outrider_types::{Bytes, RollupId, Transaction, TransactionId};
use std::collections::{BTreeMap, VecDeque};
use std::sync::PoisonError;

/// Ethereum hashes that are remembered.
const HASHES_MAX: usize = 65_536;

/// Ids of transactions by their Ethereum hash, the newest [`HASHES_MAX`] that this member took. After a restart use the
/// id, which is `sha256(rollup || raw transaction)`.
#[derive(Debug, Default)]
pub(crate) struct HashIndex {
    ids: BTreeMap<[u8; 32], TransactionId>,
    order: VecDeque<[u8; 32]>,
}

impl HashIndex {
    fn insert(&mut self, hash: [u8; 32], id: TransactionId) {
        if self.ids.insert(hash, id).is_none() {
            self.order.push_back(hash);
        }
        if self.order.len() > HASHES_MAX
            && let Some(old) = self.order.pop_front()
        {
            self.ids.remove(&old);
        }
    }
}

/// The id of a transaction with this Ethereum hash, if this member took it lately.
pub(super) fn lookup(api: &Api, hash: &[u8; 32]) -> Option<TransactionId> {
    api.hashes
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .ids
        .get(hash)
        .copied()
}

pub(super) fn register(module: &mut RpcModule<Api>) -> Result<(), RegisterMethodError> {
    module.register_method("eth_chainId", |_, _, extensions| {
        rollup(extensions).map(|rollup| format!("{:#x}", rollup.0))
    })?;
    module.register_method("net_version", |_, _, extensions| {
        rollup(extensions).map(|rollup| rollup.0.to_string())
    })?;
    module.register_async_method(
        "eth_sendRawTransaction",
        |params, api, extensions| async move {
            let rollup = rollup(&extensions)?;
            let ordered = order(&api, rollup, params.one::<Hex>()?.0?).await?;
            Ok::<_, ErrorObjectOwned>(format!("0x{}", hex::encode(ordered.decoded.hash)))
        },
    )?;
    module.register_async_method("eth_sendRawTransactionSync", receipt::send_sync)?;
    module.register_method("eth_accounts", |_, _, extensions| {
        rollup(extensions).map(|_| Vec::<String>::new())
    })?;
    for method in METHODS.iter().filter(|method| method.proxied) {
        module.register_async_method(method.name, move |params, api, extensions| async move {
            let rollup = rollup(&extensions)?;
            api.executions
                .forward(&api.handle, rollup, method, params.as_str())
                .await
        })?;
    }
    Ok(())
}

/// A transaction that was put to the committee.
pub(super) struct Ordered {
    pub(super) id: TransactionId,
    pub(super) decoded: Decoded,
}

/// Check a signed transaction, and have it ordered.
pub(super) async fn order(
    api: &Api,
    rollup: RollupId,
    data: Bytes,
) -> Result<Ordered, ErrorObjectOwned> {
    let decoded = decode(rollup, &data).map_err(|error| bad_transaction(&error))?;
    let transaction = Transaction { rollup, data };
    let id = transaction.id();
    let answer = api.handle.submit(transaction).await;
    // One that too few members confirmed may still be ordered, and be asked for.
    if matches!(
        answer,
        Ok(_) | Err(SubmitError::Duplicate { .. } | SubmitError::NotHeld { .. })
    ) {
        api.hashes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(decoded.hash, id);
    }
    match answer {
        // Wallets send again when they are unsure; the same hash is the right answer.
        Ok(_) | Err(SubmitError::Duplicate { .. }) => Ok(Ordered { id, decoded }),
        Err(error) => Err(refused(&error)),
    }
}

pub(super) fn rollup(extensions: &Extensions) -> Result<RollupId, ErrorObjectOwned> {
    match extensions.get::<Route>() {
        Some(Route::Rollup(rollup)) => Ok(*rollup),
        _ => Err(ErrorCode::WrongPath.error(
            "Ethereum methods are served at /rollup/{id}, where id is the rollup's chain id in decimal",
            None,
        )),
    }
}
