//! Bundles: transactions of several rollups, ordered in one block or not at all.

use super::errors::refused;
use super::native::{invalid, native};
use super::submit::Hex;
use super::{Api, SubmittedBundle};
use jsonrpsee::core::RegisterMethodError;
use jsonrpsee::types::{ErrorObjectOwned, Params};
use jsonrpsee::{Extensions, RpcModule};
use outrider_types::RollupId;
use outrider_types::bundle::{self, PARTS_MAX};
use serde::Deserialize;
use std::sync::Arc;

pub(super) fn register(module: &mut RpcModule<Api>) -> Result<(), RegisterMethodError> {
    module.register_async_method("outrider_submitBundle", submit_bundle)?;
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    rollup: RollupId,
    payload: Hex,
}

async fn submit_bundle(
    params: Params<'static>,
    api: Arc<Api>,
    extensions: Extensions,
) -> Result<SubmittedBundle, ErrorObjectOwned> {
    native(&extensions)?;
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Named {
        parts: Vec<Part>,
    }
    let parts = if params.is_object() {
        params.parse::<Named>()?.parts
    } else {
        params.parse::<(Vec<Part>,)>()?.0
    };
    let mut data = Vec::new();
    for part in parts.into_iter().take(PARTS_MAX + 1) {
        data.push((part.rollup, part.payload.0?));
    }
    let Some((bundle, transactions)) = bundle::wrap(&data) else {
        return Err(invalid(format!("a bundle has 2 to {PARTS_MAX} parts")));
    };
    let ids = transactions.iter().map(|one| one.id()).collect();
    for answer in api.handle.submit_many(transactions).await {
        answer.map_err(|error| refused(&error))?;
    }
    Ok(SubmittedBundle { bundle, ids })
}
