//! L2 over epochs, against a server that speaks as a member does.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use jsonrpsee::RpcModule;
use jsonrpsee::server::{Server, ServerHandle};
use outrider_client::{Client, ClientError, FinalityProof, HandoverError, ProofError, Trust};
use outrider_types::{
    Aggregate, Approve, Batch, Block, Bytes, ChainId, Committee, CommitteeChange, CommitteeId,
    Contact, Epoch, EpochEnd, FinalityCertificate, Height, Member, MemberIndex, Payload, RollupId,
    SecretKey, Signed, Stake, TransactionId, TransportKey, View, Vote,
};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Ends of epochs in one answer.
const PAGE: usize = 2;

/// A network whose only member is replaced at the end of every epoch, which has one block.
#[derive(Clone)]
struct Fake {
    ends: Vec<EpochEnd>,
    proof: Option<FinalityProof>,
    /// How often it was asked for ends.
    asked: Arc<AtomicUsize>,
    changes: Arc<AtomicUsize>,
}

fn key(epoch: u64) -> SecretKey {
    SecretKey::from_seed(&[u8::try_from(epoch).unwrap() + 1; 32])
}

fn committee(epoch: u64) -> Committee {
    let member = Member {
        public_key: key(epoch).public_key(),
        stake: Stake(1),
    };
    Committee::new(ChainId(1), Epoch(epoch), vec![member], None)
        .unwrap()
        .with_epoch_blocks(1)
}

fn contact(epoch: u64) -> Contact {
    Contact {
        name: format!("of epoch {epoch}"),
        transport_key: TransportKey([7; 32]),
        address: ([10, 0, 0, 1], 9_000).into(),
        rpc: None,
        attester: None,
    }
}

fn payload() -> Payload {
    Payload {
        batches: vec![Batch {
            rollup: RollupId(9),
            transactions: vec![Bytes::from_static(b"pay")],
        }],
    }
}

fn change(epoch: u64) -> CommitteeChange {
    let (next, contacts) = (committee(epoch + 1), vec![contact(epoch + 1)]);
    let statement = Approve {
        epoch: Epoch(epoch),
        change: CommitteeChange::id_of(&next, &contacts),
    };
    let signed = Signed::sign(statement, ChainId(1), MemberIndex(0), &key(epoch));
    CommitteeChange {
        next,
        contacts,
        approvals: Aggregate::assemble([&signed]).unwrap(),
    }
}

fn vote(block: &Block) -> FinalityCertificate {
    let vote = Vote {
        epoch: block.epoch,
        view: block.view,
        block: block.id(),
    };
    let signed = Signed::sign(vote, block.chain, MemberIndex(0), &key(block.epoch.0));
    FinalityCertificate::Fast(Aggregate::assemble([&signed]).unwrap())
}

impl Fake {
    /// The epochs before this one are over, the proof is of its block.
    fn new(epoch: u64) -> Self {
        let genesis = Block::genesis(&committee(0));
        let mut parent = genesis;
        let mut ends = Vec::new();
        let mut block = |epoch: u64, next: CommitteeId| {
            parent = Block {
                epoch: Epoch(epoch),
                view: View(1),
                height: Height(epoch + 1),
                parent: parent.id(),
                payload: payload().id(),
                next,
                ..genesis
            };
            parent
        };
        for epoch in 0..epoch {
            let change = change(epoch);
            let last = block(epoch, change.next.id());
            ends.push(EpochEnd {
                last,
                fillers: Vec::new(),
                certificate: vote(&last),
                change: Some(change),
            });
        }
        let held = block(epoch, committee(epoch + 1).id());
        let id = payload().ids().next().unwrap();
        let certificate = vote(&held);
        let proof = FinalityProof::build(
            &committee(epoch),
            held,
            Vec::new(),
            certificate,
            &payload(),
            id,
        );
        Self {
            ends,
            proof: Some(proof.unwrap()),
            asked: Arc::default(),
            changes: Arc::default(),
        }
    }

    fn id() -> TransactionId {
        payload().ids().next().unwrap()
    }

    async fn serve(&self) -> (Client, ServerHandle) {
        let mut module = RpcModule::new(self.clone());
        module
            .register_method("outrider_transactionProof", |_, fake, _| json!(fake.proof))
            .unwrap();
        module
            .register_method("outrider_epochEnds", |params, fake, _| {
                let from: u64 = params.one().unwrap();
                fake.asked.fetch_add(1, Ordering::SeqCst);
                let from = usize::try_from(from).unwrap().min(fake.ends.len());
                let page: Vec<_> = fake.ends[from..].iter().take(PAGE).collect();
                json!(page)
            })
            .unwrap();
        module
            .register_method("outrider_committee", |_, fake, _| {
                let epoch = fake.ends.len() as u64;
                json!({ "epoch": epoch, "committee": committee(epoch), "contacts": [contact(epoch)],
                        "last_height": epoch + 1, "more": 1 })
            })
            .unwrap();
        module
            .register_method("outrider_submitChange", |params, fake, _| {
                let handed: CommitteeChange = params.one().unwrap();
                assert_eq!(handed, change(fake.ends.len() as u64));
                fake.changes.fetch_add(1, Ordering::SeqCst);
                Value::Null
            })
            .unwrap();
        let server = Server::builder().build("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", server.local_addr().unwrap());
        (Client::new(&url).unwrap(), server.start(module))
    }
}

fn trust() -> Trust {
    Trust::new(committee(0))
}

#[tokio::test]
async fn proof_of_a_later_epoch_verifies_from_the_first_committee_alone() {
    let fake = Fake::new(5);
    let (client, _handle) = fake.serve().await;
    let mut trust = trust();
    let (_, checked) = client.verified_proof(Fake::id(), &mut trust).await.unwrap();
    assert_eq!((checked.epoch, checked.height), (Epoch(5), Height(6)));
    assert_eq!(
        fake.asked.load(Ordering::SeqCst),
        3,
        "five ends in pages of two"
    );
    // What was followed is not fetched again.
    client.verified_proof(Fake::id(), &mut trust).await.unwrap();
    assert_eq!(fake.asked.load(Ordering::SeqCst), 3);
    // Nor is anything in the epoch that is trusted already.
    let mut at = Trust::new(committee(5));
    client.verified_proof(Fake::id(), &mut at).await.unwrap();
    assert_eq!(fake.asked.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn proof_of_an_epoch_before_the_trusted_one_is_refused() {
    let fake = Fake::new(2);
    let (client, _handle) = fake.serve().await;
    let mut late = Trust::new(committee(3));
    let error = client
        .verified_proof(Fake::id(), &mut late)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            ClientError::Proof(ProofError::UnknownEpoch {
                found: Epoch(2),
                ..
            })
        ),
        "{error}"
    );
}

#[tokio::test]
async fn altered_or_missing_handovers_are_refused() {
    let mut altered = Fake::new(4);
    altered.ends[2].change = Some(change(3));
    let (client, _handle) = altered.serve().await;
    let mut partly = trust();
    let error = client
        .verified_proof(Fake::id(), &mut partly)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            ClientError::Handover(HandoverError::Invalid {
                epoch: Epoch(2),
                ..
            })
        ),
        "{error}"
    );
    assert!(!error.retry_helps());
    assert_eq!(partly.epoch(), Epoch(2), "what is proved stays");

    let mut skipping = Fake::new(4);
    skipping.ends.remove(1);
    let (client, _handle) = skipping.serve().await;
    let error = client
        .verified_proof(Fake::id(), &mut trust())
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            ClientError::Answer {
                method: "outrider_epochEnds",
                ..
            }
        ),
        "{error}"
    );

    let mut behind = Fake::new(4);
    behind.ends.truncate(3);
    let (client, _handle) = behind.serve().await;
    let error = client
        .verified_proof(Fake::id(), &mut trust())
        .await
        .unwrap_err();
    let (from, asked) = (Epoch(3), Epoch(4));
    assert!(
        matches!(&error, ClientError::NotOver { epoch, to, .. } if (*epoch, *to) == (from, asked)),
        "{error}"
    );
    assert!(error.retry_helps());
}

#[tokio::test]
async fn proof_that_claims_a_far_epoch_is_refused() {
    let mut fake = Fake::new(1);
    if let Some(proof) = &mut fake.proof {
        proof.block.epoch = Epoch(u64::MAX);
    }
    let (client, _handle) = fake.serve().await;
    let error = client
        .verified_proof(Fake::id(), &mut trust())
        .await
        .unwrap_err();
    assert!(matches!(error, ClientError::NotOver { .. }), "{error}");
}

#[tokio::test]
async fn committee_is_read_and_change_is_handed_in() {
    let fake = Fake::new(3);
    let (client, _handle) = fake.serve().await;
    let current = client.committee().await.unwrap();
    assert_eq!(
        (current.committee, current.contacts),
        (committee(3), vec![contact(3)])
    );
    assert_eq!(current.last_height, Some(Height(4)));
    client.submit_change(&change(3)).await.unwrap();
    assert_eq!(fake.changes.load(Ordering::SeqCst), 1);
}
