//! The OP-style driver against a stand-in for an engine, in this process: it executes nothing, but counts nonces and gas, refuses a
//! whole payload for one bad transaction as the OP specification says, and wants a JWT.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

use alloy_consensus::{SignableTransaction as _, Transaction as _, TxEip1559, TxEnvelope};
use alloy_eips::eip1559::{BaseFeeParams, calc_next_block_base_fee};
use alloy_eips::eip2718::Encodable2718 as _;
use alloy_primitives::{Address, B256, Signature, TxKind, U256, keccak256};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::{Json, Router, routing::post};
use k256::ecdsa::SigningKey;
use outrider_conductor::{
    BlockRef, Cursor, DriverError, Engine, EngineDriver, EvmNode, Executed, ExecutionDriver,
    Interval, JwtSecret, Rpc,
};
use outrider_ethereum::decode_envelope;
use outrider_types::{Bytes, RollupId, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

const ROLLUP: RollupId = RollupId(42_069);
const GAS_LIMIT: u64 = 30_000_000;
const SECRET: &str = "0707070707070707070707070707070707070707070707070707070707070707";

#[derive(Clone, Default)]
struct Block {
    number: u64,
    hash: B256,
    parent: B256,
    timestamp: u64,
    base_fee: u64,
    raws: Vec<String>,
    hashes: Vec<B256>,
    /// Gas used after each transaction.
    gas: Vec<u64>,
    nonces: BTreeMap<Address, u64>,
}

/// What stands in for an OP engine and its node.
#[derive(Default)]
struct OpStandIn {
    chain: Vec<Block>,
    /// The payload that was asked for last.
    payload: Option<Block>,
    /// Attributes that were tried.
    builds: usize,
}

impl OpStandIn {
    fn with_genesis() -> Self {
        let genesis = Block {
            timestamp: 1_000,
            base_fee: 1_000_000_000,
            ..Block::default()
        };
        Self {
            chain: vec![genesis],
            ..Self::default()
        }
    }

    fn head(&self) -> &Block {
        self.chain.last().unwrap()
    }

    /// All or nothing. A transfer of nothing burns its gas, any other uses 21,000.
    fn build(&mut self, attributes: &Value) -> Result<(), String> {
        self.builds += 1;
        let head = self.head().clone();
        let raws = attributes["transactions"].as_array().unwrap();
        let mut block = Block {
            number: head.number + 1,
            parent: head.hash,
            timestamp: quantity(&attributes["timestamp"]),
            base_fee: calc_next_block_base_fee(
                head.gas.last().copied().unwrap_or(0),
                GAS_LIMIT,
                head.base_fee,
                BaseFeeParams::ethereum(),
            ),
            nonces: head.nonces,
            ..Block::default()
        };
        for raw in raws {
            let text = raw.as_str().unwrap().to_owned();
            let bytes = const_hex::decode(&text).unwrap();
            let (envelope, decoded) = decode_envelope(ROLLUP, &bytes).unwrap();
            let used = block.gas.last().copied().unwrap_or(0);
            let nonce = block
                .nonces
                .entry(Address::from(decoded.sender))
                .or_default();
            if decoded.nonce != *nonce {
                return Err(format!("nonce {}", decoded.nonce));
            }
            if envelope.gas_limit() > GAS_LIMIT - used {
                return Err("block gas".to_owned());
            }
            *nonce += 1;
            let gas = if envelope.value().is_zero() {
                envelope.gas_limit()
            } else {
                21_000
            };
            block.gas.push(used + gas);
            block.hashes.push(B256::from(decoded.hash));
            block.raws.push(text);
        }
        let seal = format!("{} {} {:?}", block.parent, block.timestamp, block.hashes);
        block.hash = keccak256(seal);
        self.payload = Some(block);
        Ok(())
    }

    fn answer(&mut self, method: &str, params: &Value) -> Value {
        let status = |status: &str| json!({"status": status, "latestValidHash": null, "validationError": null});
        match method {
            "eth_chainId" => json!(format!("{:#x}", ROLLUP.0)),
            "eth_getBlockByNumber" => {
                let at = match params[0].as_str().unwrap() {
                    "latest" => self.chain.len() - 1,
                    _ => usize::try_from(quantity(&params[0])).unwrap(),
                };
                self.chain.get(at).map_or(Value::Null, served)
            }
            "eth_getTransactionCount" => {
                let block = &self.chain[usize::try_from(quantity(&params[1])).unwrap()];
                let address: Address = params[0].as_str().unwrap().parse().unwrap();
                json!(format!("{:#x}", block.nonces.get(&address).unwrap_or(&0)))
            }
            "eth_getBalance" => json!(U256::from(10).pow(U256::from(30))),
            "eth_getCode" => json!("0x"),
            "eth_getBlockReceipts" => {
                let gas = &self.chain[usize::try_from(quantity(&params[0])).unwrap()].gas;
                json!(
                    gas.iter()
                        .map(|used| {
                            let used = format!("{used:#x}");
                            json!({"status": "0x1", "gasUsed": "0x5208", "cumulativeGasUsed": used, "logs": []})
                        })
                        .collect::<Vec<_>>()
                )
            }
            "engine_exchangeCapabilities" => params[0].clone(),
            "engine_forkchoiceUpdatedV3" if params[1].is_null() => {
                json!({"payloadStatus": status("VALID"), "payloadId": null})
            }
            "engine_forkchoiceUpdatedV3" => match self.build(&params[1]) {
                Ok(()) => json!({"payloadStatus": status("VALID"), "payloadId": "0x1"}),
                Err(_) => json!({"payloadStatus": status("INVALID"), "payloadId": null}),
            },
            "engine_getPayloadV3" => {
                json!({"executionPayload": payload(self.payload.as_ref().unwrap())})
            }
            "engine_newPayloadV3" => {
                let block = self.payload.clone().unwrap();
                assert_eq!(params[0]["blockHash"], json!(block.hash));
                assert_eq!(block.number as usize, self.chain.len());
                self.chain.push(block);
                status("VALID")
            }
            other => panic!("{other} is called"),
        }
    }
}

fn quantity(value: &Value) -> u64 {
    u64::from_str_radix(value.as_str().unwrap().strip_prefix("0x").unwrap(), 16).unwrap()
}

fn common(block: &Block) -> Value {
    json!({
        "parentHash": block.parent, "stateRoot": block.hash, "receiptsRoot": B256::ZERO,
        "logsBloom": format!("0x{}", "00".repeat(256)), "gasLimit": format!("{GAS_LIMIT:#x}"),
        "gasUsed": format!("{:#x}", block.gas.last().unwrap_or(&0)), "timestamp": format!("{:#x}", block.timestamp),
        "extraData": "0x", "baseFeePerGas": format!("{:#x}", block.base_fee),
    })
}

fn with(mut value: Value, more: &Value) -> Value {
    let fields = value.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    value
}

fn served(block: &Block) -> Value {
    let more = json!({
        "hash": block.hash, "number": format!("{:#x}", block.number), "miner": Address::ZERO, "transactionsRoot": B256::ZERO,
        "mixHash": B256::ZERO, "transactions": block.hashes,
    });
    with(common(block), &more)
}

fn payload(block: &Block) -> Value {
    let more = json!({
        "blockHash": block.hash, "blockNumber": format!("{:#x}", block.number), "feeRecipient": Address::ZERO,
        "prevRandao": B256::ZERO, "transactions": block.raws,
    });
    with(common(block), &more)
}

type Shared = Arc<Mutex<OpStandIn>>;

async fn serve(
    State(engine): State<Shared>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Result<Json<Value>, StatusCode> {
    let one = |call: &Value| {
        let method = call["method"].as_str().unwrap();
        let token = headers
            .get("authorization")
            .map(|token| token.to_str().unwrap());
        let header = token
            .and_then(|token| token.strip_prefix("Bearer "))
            .unwrap_or_default();
        let claims = header.split('.').count() == 3;
        if method.starts_with("engine_") && !claims {
            return Err(StatusCode::UNAUTHORIZED);
        }
        let result = engine.lock().unwrap().answer(method, &call["params"]);
        Ok(json!({"jsonrpc": "2.0", "id": call["id"], "result": result}))
    };
    let answer = match &body {
        Value::Array(calls) => Value::Array(calls.iter().map(one).collect::<Result<_, _>>()?),
        call => one(call)?,
    };
    Ok(Json(answer))
}

async fn start(secret: Option<&str>) -> (Shared, EngineDriver) {
    let engine = Arc::new(Mutex::new(OpStandIn::with_genesis()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let routes = Router::new()
        .route("/", post(serve))
        .with_state(engine.clone());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let secret = secret.map(|secret| JwtSecret::from_hex(secret).unwrap());
    let node = EvmNode::new(Rpc::new(&url, None), ROLLUP, Address::ZERO);
    (
        engine,
        EngineDriver::new(node, Engine::new(Rpc::new(&url, secret))),
    )
}

fn signed(seed: u8, nonce: u64, gas_limit: u64, value: u64) -> Bytes {
    let transaction = TxEip1559 {
        chain_id: ROLLUP.0,
        nonce,
        gas_limit,
        max_fee_per_gas: 2_000_000_000,
        max_priority_fee_per_gas: 1,
        to: TxKind::Call(Address::repeat_byte(9)),
        value: U256::from(value),
        ..TxEip1559::default()
    };
    let key = SigningKey::from_slice(&[seed; 32]).unwrap();
    let hash = transaction.signature_hash();
    let signature: Signature = key.sign_prehash_recoverable(&hash.0).unwrap().into();
    Bytes::from(TxEnvelope::Eip1559(transaction.into_signed(signature)).encoded_2718())
}

fn interval(transactions: Vec<Bytes>) -> Interval {
    Interval {
        start: Timestamp(1_700_000_000_000_000),
        lane_first: 1,
        last: Cursor::default(),
        transactions,
        crowded_out: 0,
    }
}

async fn execute(driver: &mut EngineDriver, transactions: Vec<Bytes>) -> Executed {
    let genesis = BlockRef {
        number: 0,
        hash: B256::ZERO,
    };
    driver
        .execute(genesis, &interval(transactions))
        .await
        .unwrap()
}

fn reasons(executed: &Executed) -> Vec<(usize, &'static str)> {
    let skipped = executed.skipped.iter();
    skipped.map(|one| (one.index, one.why.code())).collect()
}

#[tokio::test]
async fn one_bad_transaction_is_left_out_and_the_others_are_executed() {
    let (engine, mut driver) = start(Some(SECRET)).await;
    driver.check(ROLLUP).await.unwrap();
    let transactions = vec![
        signed(1, 0, 20_000_000, 0),
        signed(2, 0, 21_000, 1),
        signed(3, 0, 15_000_000, 0),
        signed(3, 1, 21_000, 1),
        signed(2, 1, 9_000_000, 1),
        Bytes::from_static(b"garbage"),
        signed(1, 1, 9_000_000, 0),
    ];
    let executed = execute(&mut driver, transactions.clone()).await;
    assert_eq!(executed.included, [0, 1, 4, 6]);
    let skipped = [(2, "block-gas"), (3, "nonce-too-high"), (5, "undecodable")];
    assert_eq!(reasons(&executed), skipped);
    assert_eq!(engine.lock().unwrap().head().hash, executed.block.hash);
    // Asked again, as by a conductor that was killed: recognized, with the same reasons.
    let builds = engine.lock().unwrap().builds;
    assert_eq!(execute(&mut driver, transactions).await, executed);
    assert_eq!(engine.lock().unwrap().builds, builds);
}

#[tokio::test]
async fn a_good_list_is_built_at_once_and_an_empty_one_too() {
    let (engine, mut driver) = start(Some(SECRET)).await;
    let all = (0..50).map(|nonce| signed(1, nonce, 21_000, 1)).collect();
    assert_eq!(execute(&mut driver, all).await.included.len(), 50);
    assert_eq!(engine.lock().unwrap().builds, 1);
    let (_, mut driver) = start(Some(SECRET)).await;
    assert_eq!(execute(&mut driver, vec![]).await.block.number, 1);
}

#[tokio::test]
async fn without_a_token_it_is_refused_for_good() {
    let (_, mut driver) = start(None).await;
    let error = driver.check(ROLLUP).await.unwrap_err();
    assert!(
        matches!(error, DriverError::Refused { code: 401, .. }),
        "{error}"
    );
    assert!(!error.retry_helps());
}

/// Drawn lists against a plain count in the order of the lane.
#[tokio::test]
async fn what_is_included_is_what_fits_one_after_the_other() {
    for seed in 0..12_u64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut draw = |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let (mut transactions, mut expected, mut used) = (Vec::new(), Vec::new(), 0);
        let (mut sent, mut nonces) = ([0_u64; 4], [0_u64; 4]);
        for index in 0..40 {
            let who = usize::try_from(draw(4)).unwrap();
            let gas_limit =
                [21_000, 4_000_000, 9_000_000, 16_000_000][usize::try_from(draw(4)).unwrap()];
            let value = u64::from(gas_limit == 21_000 || draw(3) == 0);
            let nonce = sent[who];
            sent[who] += 1;
            transactions.push(signed(
                u8::try_from(who + 1).unwrap(),
                nonce,
                gas_limit,
                value,
            ));
            if nonce == nonces[who] && gas_limit <= GAS_LIMIT - used {
                nonces[who] += 1;
                used += if value == 0 { gas_limit } else { 21_000 };
                expected.push(index);
            }
        }
        let (engine, mut driver) = start(Some(SECRET)).await;
        let executed = execute(&mut driver, transactions).await;
        assert_eq!(executed.included, expected, "seed {seed}");
        assert_eq!(executed.included.len() + executed.skipped.len(), 40);
        let builds = engine.lock().unwrap().builds;
        assert!(builds <= 40 * 7, "seed {seed}: {builds} builds");
    }
}
