//! How transactions come in: one, a list, or a list as plain bytes.
//!
//! All three put them to the driver as one command, which decides each for itself: one that is refused does not harm its
//! neighbours.
//!
//! The bytes come as the body of an HTTP request to `/rollup/{id}/submit`. [`route`] turns that into a call of
//! `outrider_submitBytes` with the body beside it, so the limits of the server (connections, bytes, time) hold for it
//! as for every other call.

use super::errors::{ErrorCode, refused};
use super::native::{invalid, native};
use super::wire::{SubmittedBytes, SubmittedOne};
use super::{Api, Refusal, Route, Submitted};
use crate::handle::SubmitError;
use jsonrpsee::core::RegisterMethodError;
use jsonrpsee::server::{HttpBody, HttpRequest};
use jsonrpsee::types::{ErrorObjectOwned, Params};
use jsonrpsee::{Extensions, RpcModule};
use outrider_types::limits::TRANSACTION_BYTES_MAX;
use outrider_types::{Bytes, RollupId, Transaction};
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Most transactions of one `outrider_submitMany` or of one body at `/rollup/{id}/submit`.
pub const SUBMIT_MANY_MAX: usize = 1_024;
/// Most bytes that the answer for one of them takes; `every_refusal_fits_its_place` holds it.
pub(super) const ANSWER_BYTES_MAX: usize = 512;
/// Bytes of the length in front of each transaction of a body, big-endian.
const LENGTH_BYTES: usize = 4;
/// What the body of `/rollup/{id}/submit` must be said to be.
const OCTETS: &str = "application/octet-stream";
/// The call that such a body becomes.
const CALL: &str = r#"{"jsonrpc":"2.0","id":0,"method":"outrider_submitBytes"}"#;

pub(super) fn register(module: &mut RpcModule<Api>) -> Result<(), RegisterMethodError> {
    module.register_async_method("outrider_submit", submit)?;
    module.register_async_method("outrider_submitMany", submit_many)?;
    module.register_async_method("outrider_submitBytes", submit_bytes)?;
    Ok(())
}

/// The body of a request to `/rollup/{id}/submit`, until the call takes it.
#[derive(Clone)]
struct Body(Arc<Mutex<Option<HttpBody>>>);

/// Say which path a request came to, and make a call of a body of transactions.
pub(super) fn route(request: HttpRequest) -> HttpRequest {
    let route = Route::of(request.uri().path());
    let (mut parts, mut body) = request.into_parts();
    parts.extensions.insert(route);
    let kind = parts.headers.get(http::header::CONTENT_TYPE);
    if matches!(route, Route::Submission(_))
        && parts.method == http::Method::POST
        && kind.is_some_and(|kind| kind.as_bytes().eq_ignore_ascii_case(OCTETS.as_bytes()))
    {
        let json = http::HeaderValue::from_static("application/json");
        parts.headers.insert(http::header::CONTENT_TYPE, json);
        // The length of the real body stays in the headers: the server refuses one that is too large.
        let held = Body(Arc::new(Mutex::new(Some(body))));
        parts.extensions.insert(held);
        body = HttpBody::from(CALL);
    }
    HttpRequest::from_parts(parts, body)
}

/// Bytes from hex, `0x` optional, not more than a transaction may have.
fn bytes(text: &str) -> Result<Bytes, ErrorObjectOwned> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    if digits.len() > 2 * TRANSACTION_BYTES_MAX {
        return Err(too_large(digits.len() / 2));
    }
    // It takes a prefix off itself (0X too); given the digits, it would take off a second one.
    const_hex::decode(text)
        .map(Bytes::from)
        .map_err(|error| invalid(format!("not hex: {error}")))
}

fn too_large(bytes: usize) -> ErrorObjectOwned {
    let text =
        format!("the transaction has {bytes} bytes, at most {TRANSACTION_BYTES_MAX} are allowed");
    ErrorCode::Size.error(text, None)
}

/// A transaction in hex as it stands in parameters, decoded where it stands; or why it is none.
pub(super) struct Hex(pub(super) Result<Bytes, ErrorObjectOwned>);

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(HexVisitor)
    }
}

struct HexVisitor;

impl Visitor<'_> for HexVisitor {
    type Value = Hex;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a transaction in hex")
    }

    fn visit_str<E>(self, text: &str) -> Result<Hex, E> {
        Ok(Hex(bytes(text)))
    }
}

/// At most [`SUBMIT_MANY_MAX`] of them.
struct HexList(Vec<Hex>);

impl<'de> Deserialize<'de> for HexList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(HexListVisitor)
    }
}

struct HexListVisitor;

impl<'de> Visitor<'de> for HexListVisitor {
    type Value = HexList;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {SUBMIT_MANY_MAX} transactions in hex")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<HexList, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Hex>()? {
            if list.len() >= SUBMIT_MANY_MAX {
                return Err(A::Error::invalid_length(SUBMIT_MANY_MAX + 1, &self));
            }
            list.push(item);
        }
        Ok(HexList(list))
    }
}

async fn submit(
    params: Params<'static>,
    api: Arc<Api>,
    extensions: Extensions,
) -> Result<Submitted, ErrorObjectOwned> {
    native(&extensions)?;
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Named {
        rollup: RollupId,
        payload: Hex,
    }
    let (rollup, payload) = if params.is_object() {
        let Named { rollup, payload } = params.parse()?;
        (rollup, payload)
    } else {
        params.parse::<(RollupId, Hex)>()?
    };
    let data = payload.0?;
    let transaction = Transaction { rollup, data };
    let answer = api.handle.submit(transaction).await;
    let id = answer.map_err(|error| refused(&error))?;
    Ok(Submitted { id })
}

async fn submit_many(
    params: Params<'static>,
    api: Arc<Api>,
    extensions: Extensions,
) -> Result<Vec<SubmittedOne>, ErrorObjectOwned> {
    native(&extensions)?;
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Named {
        rollup: RollupId,
        payloads: HexList,
    }
    let (rollup, payloads) = if params.is_object() {
        let Named { rollup, payloads } = params.parse()?;
        (rollup, payloads)
    } else {
        params.parse::<(RollupId, HexList)>()?
    };
    let list = payloads.0.into_iter().map(|hex| hex.0).collect();
    let answers = all(&api, rollup, list).await?;
    Ok(answers.into_iter().map(SubmittedOne::from).collect())
}

async fn submit_bytes(
    _: Params<'static>,
    api: Arc<Api>,
    extensions: Extensions,
) -> Result<SubmittedBytes, ErrorObjectOwned> {
    let body = extensions.get::<Body>().and_then(|held| {
        let mut held = held.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.take()
    });
    let (Some(Route::Submission(rollup)), Some(body)) = (extensions.get::<Route>(), body) else {
        let text = format!("this is a POST of {OCTETS} to /rollup/{{id}}/submit");
        return Err(ErrorCode::WrongPath.error(text, None));
    };
    let limit = api.limits.request_bytes_max as usize;
    let body = axum::body::to_bytes(axum::body::Body::new(body), limit)
        .await
        .map_err(|error| invalid(format!("the body, of at most {limit} bytes: {error}")))?;
    let list = split(&body)?;
    drop(body);
    let answers = all(&api, *rollup, list).await?;
    let mut found = SubmittedBytes::default();
    for (index, answer) in answers.into_iter().enumerate() {
        match answer {
            Ok(_) => found.taken += 1,
            Err(error) => found.refused.push(Refusal { index, error }),
        }
    }
    Ok(found)
}

/// The transactions of a body: of each, its length and its bytes, until the body ends. They are copied: a small one that
/// waits in the mempool must not keep the whole body in memory.
fn split(mut body: &[u8]) -> Result<Vec<Result<Bytes, ErrorObjectOwned>>, ErrorObjectOwned> {
    let mut list = Vec::new();
    while !body.is_empty() {
        let at = list.len();
        if at >= SUBMIT_MANY_MAX {
            return Err(too_many(SUBMIT_MANY_MAX));
        }
        let item = body
            .split_first_chunk::<LENGTH_BYTES>()
            .and_then(|(length, rest)| {
                let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
                rest.split_at_checked(length)
            });
        let Some((data, rest)) = item else {
            return Err(invalid(format!(
                "transaction {at} of the body is cut off; before each stands its length, {LENGTH_BYTES} bytes, big-endian"
            )));
        };
        body = rest;
        list.push(if data.len() > TRANSACTION_BYTES_MAX {
            Err(too_large(data.len()))
        } else {
            Ok(Bytes::copy_from_slice(data))
        });
    }
    Ok(list)
}

fn too_many(limit: usize) -> ErrorObjectOwned {
    invalid(format!(
        "at most {limit} transactions are taken in one request"
    ))
}

/// Put all of them to the driver, in order, and wait until each is decided.
async fn all(
    api: &Api,
    rollup: RollupId,
    list: Vec<Result<Bytes, ErrorObjectOwned>>,
) -> Result<Vec<Result<Submitted, ErrorObjectOwned>>, ErrorObjectOwned> {
    let limit = api.limits.transactions_per_request_max;
    if list.len() > limit {
        return Err(too_many(limit));
    }
    let mut answers = Vec::with_capacity(list.len());
    let mut transactions = Vec::with_capacity(list.len());
    for data in list {
        answers.push(data.map(|data| transactions.push(Transaction { rollup, data })));
    }
    let mut decided = api.handle.submit_many(transactions).await.into_iter();
    let answers = answers.into_iter().map(|asked| {
        asked?;
        let answer = decided.next().unwrap_or(Err(SubmitError::Stopping));
        let id = answer.map_err(|error| refused(&error))?;
        Ok(Submitted { id })
    });
    Ok(answers.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handle::{Finality, TransactionStatus};
    use outrider_types::{BlockId, Height};

    #[test]
    fn hex_has_one_prefix_at_most() {
        assert_eq!(bytes("0x00fF").unwrap(), [0, 255][..]);
        assert_eq!(bytes("00ff").unwrap(), [0, 255][..]);
        assert_eq!(bytes("0X00ff").unwrap(), [0, 255][..]);
        assert_eq!(bytes("").unwrap(), [][..]);
        for bad in ["0x0x00", "0x0", "0x0X00", "zz", " 00", "é0"] {
            assert!(bytes(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn body_is_split_and_a_cut_one_is_refused() {
        assert!(split(&[]).unwrap().is_empty());
        let body = [0, 0, 0, 2, 7, 8, 0, 0, 0, 0];
        let list = split(&body).unwrap();
        assert_eq!(list, [Ok(Bytes::from_static(&[7, 8])), Ok(Bytes::new())]);
        for end in [1, 4, 5, 7, 9] {
            assert!(split(&body[..end]).is_err(), "{end}");
        }
        assert!(split(&[255; 8]).is_err());
        let empty = vec![0; LENGTH_BYTES * SUBMIT_MANY_MAX];
        assert_eq!(split(&empty).unwrap().len(), SUBMIT_MANY_MAX);
        assert!(split(&vec![0; LENGTH_BYTES * (SUBMIT_MANY_MAX + 1)]).is_err());
    }

    #[test]
    fn every_refusal_fits_its_place() {
        let (limit, retry_after_ms) = (u64::MAX, u64::MAX);
        let unit = "transactions";
        let rollup = RollupId(u64::MAX);
        let status = TransactionStatus::Soft {
            height: Height(u64::MAX),
            block: BlockId([255; 32]),
            position: u64::MAX,
            finality: Finality::Settled,
        };
        let errors = [
            SubmitError::Full {
                limit,
                unit,
                retry_after_ms,
            },
            SubmitError::LaneFull {
                rollup,
                limit,
                unit,
                retry_after_ms,
            },
            SubmitError::TooLarge {
                bytes: usize::MAX,
                limit: usize::MAX,
            },
            SubmitError::Empty,
            SubmitError::Duplicate { status },
            SubmitError::UnknownRollup { rollup },
            SubmitError::NotHeld {
                waited_ms: u64::MAX,
            },
            SubmitError::Stopping,
        ];
        let errors = errors.iter().map(refused);
        let others = ["\u{7f}\u{1}z", "\u{10ffff}", "1"].map(|text| bytes(text).unwrap_err());
        for error in errors.chain(others).chain([too_large(usize::MAX)]) {
            let index = usize::MAX;
            let refusal = serde_json::to_string(&Refusal { index, error }).unwrap();
            assert!(refusal.len() < ANSWER_BYTES_MAX, "{refusal}");
        }
    }
}
