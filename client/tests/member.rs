//! The client against a server that speaks as a member does.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use jsonrpsee::server::{Server, ServerHandle};
use jsonrpsee::types::ErrorObjectOwned;
use jsonrpsee::{RpcModule, SubscriptionMessage};
use outrider_client::{
    CODE_DUPLICATE, Client, ClientError, Finality, FinalityProof, Follower, Session, Status, Trust,
};
use outrider_types::{
    Aggregate, Batch, ChainId, Epoch, FinalityCertificate, MemberIndex, Payload, Signed, Timestamp,
    View, Vote,
};
use outrider_types::{
    Block, Bytes, Committee, Height, Member, RollupId, SecretKey, Stake, Transaction, TransactionId,
};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::broadcast;

/// A member that has committed blocks up to `head`, and announces what is sent to `announce`.
#[derive(Clone)]
struct Fake {
    head: Arc<AtomicU64>,
    announce: broadcast::Sender<Value>,
    committee: Committee,
    proof: Option<FinalityProof>,
    finality: Arc<Mutex<Option<&'static str>>>,
}

fn committee() -> Committee {
    let member = Member {
        public_key: SecretKey::from_seed(&[1; 32]).public_key(),
        stake: Stake(1),
    };
    Committee::new(ChainId(1), Epoch(0), vec![member], None).unwrap()
}

fn id_at(height: u64) -> TransactionId {
    TransactionId([u8::try_from(height).unwrap(); 32])
}

fn announced(height: u64) -> Value {
    json!({ "height": height, "id": "00".repeat(32), "timestamp": 1, "transactions": [id_at(height)] })
}

impl Fake {
    fn new() -> Self {
        Self {
            head: Arc::default(),
            announce: broadcast::channel(64).0,
            committee: committee(),
            proof: None,
            finality: Arc::default(),
        }
    }

    fn settle(&self, finality: &'static str) {
        *self.finality.lock().unwrap() = Some(finality);
    }

    fn trust(&self) -> Trust {
        Trust::new(self.committee.clone())
    }

    fn commit(&self, height: u64) {
        self.head.store(height, Ordering::SeqCst);
    }

    fn served(&self, height: u64) -> Option<Value> {
        let header = Block {
            height: Height(height),
            ..Block::genesis(&self.committee)
        };
        (height <= self.head.load(Ordering::SeqCst)).then(|| {
            json!({ "id": header.id(), "header": header, "certificate": null,
                    "transactions": [{ "rollup": 1, "id": id_at(height) }] })
        })
    }

    async fn serve(&self, address: &str) -> (SocketAddr, ServerHandle) {
        let mut module = RpcModule::new(self.clone());
        module
            .register_method("outrider_submit", |params, _, _| {
                let value: Value = params.parse().unwrap();
                let payload = value["payload"].as_str().unwrap().to_owned();
                match payload.as_str() {
                    "0xdd" => Err(ErrorObjectOwned::owned(CODE_DUPLICATE, "known", None::<()>)),
                    "0xee" => Err(ErrorObjectOwned::owned(
                        -32_054,
                        "not ordered here",
                        None::<()>,
                    )),
                    _ => Ok(json!({ "id": id_at(value["rollup"].as_u64().unwrap()) })),
                }
            })
            .unwrap();
        module
            .register_method("outrider_transactionStatus", |params, fake, _| {
                let id: TransactionId = params.one().unwrap();
                let head = fake.head.load(Ordering::SeqCst);
                if id == id_at(head) {
                    let mut status = json!({ "stage": "soft", "height": head, "block": "00".repeat(32), "position": 4 });
                    // As members of before say nothing of it.
                    if let Some(finality) = *fake.finality.lock().unwrap() {
                        status["finality"] = json!(finality);
                    }
                    status
                } else {
                    json!({ "stage": "pending" })
                }
            })
            .unwrap();
        module
            .register_method("outrider_block", |params, fake, _| {
                fake.served(params.one().unwrap())
            })
            .unwrap();
        module
            .register_method("outrider_transactionProof", |_, fake, _| json!(fake.proof))
            .unwrap();
        module
            .register_method("outrider_head", |_, _, _| json!({ "height": "many" }))
            .unwrap();
        module
            .register_async_method("outrider_limits", |_, _, _| std::future::pending::<Value>())
            .unwrap();
        module
            .register_subscription(
                "outrider_subscribe",
                "outrider_subscription",
                "outrider_unsubscribe",
                |_, pending, fake, _| async move {
                    let mut blocks = fake.announce.subscribe();
                    let sink = pending.accept().await?;
                    while let Ok(item) = blocks.recv().await {
                        if item == json!("close") {
                            return Err("too slow".into());
                        }
                        sink.send(SubscriptionMessage::from(serde_json::value::to_raw_value(
                            &item,
                        )?))
                        .await?;
                    }
                    Ok::<(), jsonrpsee::core::SubscriptionError>(())
                },
            )
            .unwrap();
        let server = Server::builder().build(address).await.unwrap();
        let address = server.local_addr().unwrap();
        (address, server.start(module))
    }
}

async fn fake() -> (Fake, String, ServerHandle) {
    fake_with(None).await
}

async fn fake_with(proof: Option<FinalityProof>) -> (Fake, String, ServerHandle) {
    let fake = Fake {
        proof,
        ..Fake::new()
    };
    let (address, handle) = fake.serve("127.0.0.1:0").await;
    (fake, format!("http://{address}"), handle)
}

#[tokio::test]
async fn follower_fills_gaps_by_height() {
    let (fake, url, _handle) = fake().await;
    let mut follower = Follower::new(&url, None);
    follower.connect().await.unwrap();
    fake.commit(9);
    for item in [
        announced(5),
        announced(5),
        announced(9),
        json!({ "lagged": 3 }),
    ] {
        fake.announce.send(item).unwrap();
    }
    for height in 5..=9 {
        let block = follower.next().await.unwrap();
        assert_eq!(block.height, Height(height));
        assert_eq!(block.transactions, [id_at(height)]);
    }
    assert_eq!(follower.next_height(), Some(Height(10)));
}

#[tokio::test]
async fn follower_reconnects_and_goes_on_where_it_was() {
    let (fake, url, _handle) = fake().await;
    let mut follower = Follower::new(&url, Some(Height(2)));
    follower.connect().await.unwrap();
    fake.commit(2);
    fake.announce.send(announced(2)).unwrap();
    assert_eq!(follower.next().await.unwrap().height, Height(2));
    fake.announce.send(json!("close")).unwrap();
    assert!(matches!(
        follower.next().await,
        Err(ClientError::Unreachable { .. })
    ));
    assert!(!follower.is_connected());
    // Committed while nobody listened.
    fake.commit(6);
    follower.connect().await.unwrap();
    fake.announce.send(announced(6)).unwrap();
    for height in 3..=6 {
        assert_eq!(follower.next().await.unwrap().height, Height(height));
    }
}

#[tokio::test]
async fn follower_moves_to_another_member_and_misses_nothing() {
    let (first, url, _handle) = fake().await;
    let (second, other, _other_handle) = fake().await;
    let mut follower = Follower::new(&url, Some(Height(1)));
    follower.connect().await.unwrap();
    first.commit(1);
    first.announce.send(announced(1)).unwrap();
    assert_eq!(follower.next().await.unwrap().height, Height(1));
    follower.move_to(&other);
    follower.connect().await.unwrap();
    second.commit(3);
    second.announce.send(announced(3)).unwrap();
    assert_eq!(follower.next().await.unwrap().height, Height(2));
    assert_eq!(follower.next().await.unwrap().height, Height(3));
}

#[tokio::test]
async fn follower_says_when_a_block_below_the_head_is_gone() {
    let (fake, url, _handle) = fake().await;
    let mut follower = Follower::new(&url, Some(Height(1)));
    follower.connect().await.unwrap();
    // Announced, but not served.
    fake.announce.send(announced(5)).unwrap();
    let error = follower.next().await.unwrap_err();
    assert!(
        matches!(
            error,
            ClientError::MissingBlock {
                height: Height(1),
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(follower.next_height(), Some(Height(1)));
}

#[tokio::test]
async fn submissions_are_idempotent_and_refusals_are_typed() {
    let (_fake, url, _handle) = fake().await;
    let client = Client::new(&url).unwrap();
    let session = Session::connect(&url).await.unwrap();
    assert_eq!(client.submit(RollupId(7), &[1]).await.unwrap(), id_at(7));
    assert_eq!(session.submit(RollupId(7), &[1]).await.unwrap(), id_at(7));
    let known = Transaction {
        rollup: RollupId(7),
        data: Bytes::from_static(&[0xdd]),
    }
    .id();
    assert_eq!(client.submit(RollupId(7), &[0xdd]).await.unwrap(), known);
    assert_eq!(session.submit(RollupId(7), &[0xdd]).await.unwrap(), known);
    let error = session.submit(RollupId(7), &[0xee]).await.unwrap_err();
    assert!(
        matches!(&error, ClientError::Refused { code: -32_054, message, .. } if message == "not ordered here")
    );
    assert!(!error.retry_helps());
}

#[tokio::test]
async fn waiting_ends_with_soft_or_with_the_last_status() {
    let (fake, url, _handle) = fake().await;
    let client = Client::new(&url).unwrap();
    let error = client
        .wait_soft(id_at(3), Duration::from_millis(1))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            ClientError::NotYet {
                status: Status::Pending,
                wanted: Finality::Soft,
                ..
            }
        ),
        "{error}"
    );
    fake.commit(3);
    let status = client
        .wait_soft(id_at(3), Duration::from_secs(60))
        .await
        .unwrap();
    assert!(matches!(
        status,
        Status::Soft {
            height: Height(3),
            position: 4,
            finality: Finality::Soft,
            ..
        }
    ));
    assert_eq!(
        status.to_string(),
        "soft-final at height 3, position 4 of its rollup"
    );

    // What the settlement chain adds is waited for as well.
    let wait = async |wanted, timeout| client.wait(id_at(3), wanted, timeout).await;
    let moment = Duration::from_millis(1);
    let error = wait(Finality::Settled, moment).await.unwrap_err();
    assert!(error.retry_helps());
    assert!(
        error.to_string().contains("is not settled on L1"),
        "{error}"
    );
    fake.settle("settled");
    let minute = Duration::from_secs(60);
    let status = wait(Finality::Settled, minute).await.unwrap();
    assert_eq!(status.finality(), Some(Finality::Settled));
    assert!(wait(Finality::Final, moment).await.is_err());
    fake.settle("final");
    let status = wait(Finality::Settled, minute).await.unwrap();
    assert!(status.to_string().ends_with(", final on L1"), "{status}");
}

#[tokio::test]
async fn no_proof_yet_is_an_error_that_says_so() {
    let (fake, url, _handle) = fake().await;
    let client = Client::new(&url).unwrap();
    assert!(client.proof(id_at(1)).await.unwrap().is_none());
    let error = client
        .verified_proof(id_at(1), &mut fake.trust())
        .await
        .unwrap_err();
    assert!(
        matches!(&error, ClientError::NoProof { .. }) && error.retry_helps(),
        "{error}"
    );
}

#[tokio::test]
async fn answers_that_cannot_be_read_are_errors() {
    let (_fake, url, _handle) = fake().await;
    let error = Client::new(&url).unwrap().head().await.unwrap_err();
    assert!(
        matches!(
            error,
            ClientError::Answer {
                method: "outrider_head",
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_silent_member_is_a_timeout() {
    let (_fake, url, _handle) = fake().await;
    let client = Client::with_timeout(&url, Duration::from_millis(20)).unwrap();
    let error = client.limits().await.unwrap_err();
    assert!(
        matches!(
            error,
            ClientError::Timeout {
                method: "outrider_limits",
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_dead_member_is_unreachable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = Client::new(&url).unwrap().head().await.unwrap_err();
    assert!(
        matches!(&error, ClientError::Unreachable { .. }) && error.retry_helps(),
        "{error}"
    );
    assert!(matches!(
        Session::connect(&url).await,
        Err(ClientError::Unreachable { .. })
    ));
    assert!(matches!(
        Client::new("not an address"),
        Err(ClientError::Url { .. })
    ));
}

/// A valid proof of one transaction, in a block that the committee's only member voted for.
fn proof() -> FinalityProof {
    let (committee, key) = (committee(), SecretKey::from_seed(&[1; 32]));
    let genesis = Block::genesis(&committee);
    let payload = Payload {
        batches: vec![Batch {
            rollup: RollupId(9),
            transactions: vec![Bytes::from_static(b"pay")],
        }],
    };
    let block = Block {
        view: View(1),
        height: Height(1),
        parent: genesis.id(),
        payload: payload.id(),
        timestamp: Timestamp(1),
        ..genesis
    };
    let vote = Vote {
        epoch: block.epoch,
        view: block.view,
        block: block.id(),
    };
    let signed = Signed::sign(vote, block.chain, MemberIndex(0), &key);
    let certificate = FinalityCertificate::Fast(Aggregate::assemble([&signed]).unwrap());
    let id = payload.ids().next().unwrap();
    FinalityProof::build(&committee, block, Vec::new(), certificate, &payload, id).unwrap()
}

#[tokio::test]
async fn proof_of_another_transaction_is_refused() {
    let proof = proof();
    let id = proof.inclusion.transaction;
    let (fake, url, _handle) = fake_with(Some(proof)).await;
    let client = Client::new(&url).unwrap();
    let (_, checked) = client.verified_proof(id, &mut fake.trust()).await.unwrap();
    assert_eq!((checked.transaction, checked.rollup), (id, RollupId(9)));
    let error = client
        .verified_proof(id_at(1), &mut fake.trust())
        .await
        .unwrap_err();
    assert!(
        matches!(error, ClientError::OtherTransaction { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn proof_that_does_not_verify_is_refused() {
    let mut proof = proof();
    let id = proof.inclusion.transaction;
    proof.block.timestamp = Timestamp(2);
    let (fake, url, _handle) = fake_with(Some(proof)).await;
    let error = Client::new(&url)
        .unwrap()
        .verified_proof(id, &mut fake.trust())
        .await
        .unwrap_err();
    assert!(matches!(error, ClientError::Proof(_)), "{error}");
}
