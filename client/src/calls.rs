//! Calls over HTTP, one typed method each.

use crate::error::{CODE_DUPLICATE, ClientError};
use crate::model::{
    BlockSummary, CurrentCommittee, Finality, Head, RawSubmitted, ServedBlock, Settlement, Status,
    Submitted,
};
use crate::submit::Poster;
use jsonrpsee::core::client::ClientT;
use jsonrpsee::core::params::{ArrayParams, ObjectParams};
use jsonrpsee::core::traits::ToRpcParams;
use jsonrpsee::http_client::{HttpClient, HttpClientBuilder};
use outrider_finality::{
    CertificatePage, Checked, EvidencePage, FinalityProof, SnapshotItem, Trust,
};
use outrider_types::{
    Bytes, CommitteeChange, Epoch, EpochEnd, Height, RollupId, Transaction, TransactionId, decode,
};
use serde::de::DeserializeOwned;
use std::time::Duration;
use tokio::time::Instant;

/// The longest that one request takes, connecting included.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Most bytes of an answer.
pub const RESPONSE_BYTES_MAX: u32 = 16 * 1024 * 1024;
/// Most requests of one [`Client::follow`]; each brings at least one epoch.
pub const FOLLOW_REQUESTS_MAX: usize = 4_096;
/// [`Client::wait`] asks again after this time, and twice as long each time after,
const POLL_FIRST: Duration = Duration::from_millis(10);
/// up to this,
const POLL_LAST: Duration = Duration::from_millis(160);
/// or this for what is soft-final already.
const POLL_L1: Duration = Duration::from_secs(1);

/// A member's RPC over HTTP. Cheap to clone; connections are kept and reused.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) url: String,
    http: HttpClient,
    pub(crate) poster: Poster,
}

/// The Ethereum dialect of one rollup at a member, as wallets use it.
#[derive(Clone, Debug)]
pub struct RollupClient {
    rollup: RollupId,
    calls: Client,
}

impl Client {
    /// For a member at `http://host:port`. Nothing is sent yet.
    pub fn new(url: &str) -> Result<Self, ClientError> {
        Self::with_timeout(url, REQUEST_TIMEOUT)
    }

    /// Like [`new`](Self::new), with another time limit for each request.
    pub fn with_timeout(url: &str, timeout: Duration) -> Result<Self, ClientError> {
        let url = url.trim_end_matches('/').to_owned();
        let built = HttpClientBuilder::default()
            .request_timeout(timeout)
            .connect_timeout(timeout)
            .max_response_size(RESPONSE_BYTES_MAX)
            .build(&url);
        match built {
            Ok(http) => Ok(Self {
                url,
                http,
                poster: Poster::new(timeout),
            }),
            Err(error) => Err(ClientError::Url {
                url,
                reason: error.to_string(),
            }),
        }
    }

    /// Where it sends.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The Ethereum dialect for one rollup.
    pub fn rollup(&self, rollup: RollupId) -> Result<RollupClient, ClientError> {
        let timeout = REQUEST_TIMEOUT;
        let calls = Self::with_timeout(&format!("{}/rollup/{rollup}", self.url), timeout)?;
        Ok(RollupClient { rollup, calls })
    }

    /// Submit a signed Ethereum transaction (EIP-2718 bytes) for a rollup.
    pub async fn submit_raw_ethereum(
        &self,
        rollup: RollupId,
        raw: &[u8],
    ) -> Result<RawSubmitted, ClientError> {
        self.rollup(rollup)?.send_raw(raw).await
    }

    /// Where a transaction is.
    pub async fn status(&self, id: TransactionId) -> Result<Status, ClientError> {
        self.call("outrider_transactionStatus", one(id)).await
    }

    /// How far blocks have come on the settlement chain; none if the member knows of none.
    pub async fn settlement(&self) -> Result<Option<Settlement>, ClientError> {
        self.call("outrider_settlement", ArrayParams::new()).await
    }

    /// The chain as this member sees it.
    pub async fn head(&self) -> Result<Head, ClientError> {
        self.call("outrider_head", ArrayParams::new()).await
    }

    /// The committed block at a height, if it is committed there.
    pub async fn block(&self, height: Height) -> Result<Option<BlockSummary>, ClientError> {
        let block: Option<ServedBlock> = self.call("outrider_block", one(height)).await?;
        Ok(block.map(BlockSummary::from))
    }

    /// The committee of the epoch that this member is in, and where its members are: its word alone. [`follow`](Self::follow)
    /// proves it.
    pub async fn committee(&self) -> Result<CurrentCommittee, ClientError> {
        self.call("outrider_committee", ArrayParams::new()).await
    }

    /// Ends of consecutive epochs from this one on, unverified; none if it is not over there. Ask again for those that
    /// follow.
    pub async fn epoch_ends(&self, from: Epoch) -> Result<Vec<EpochEnd>, ClientError> {
        let method = "outrider_epochEnds";
        let ends: Vec<EpochEnd> = self.call(method, one(from)).await?;
        let mut next = from;
        for end in &ends {
            if end.last.epoch != next {
                return Err(ClientError::Answer {
                    url: self.url.clone(),
                    method,
                    reason: format!("the end of epoch {next} is missing"),
                });
            }
            next = next.next();
        }
        Ok(ends)
    }

    /// Go on to an epoch, which must have begun there: every hand-over is fetched and verified. What was followed stays
    /// in `trust`, also after an error.
    pub async fn follow(&self, trust: &mut Trust, to: Epoch) -> Result<(), ClientError> {
        for _ in 0..FOLLOW_REQUESTS_MAX {
            if trust.epoch() >= to {
                return Ok(());
            }
            let ends = self.epoch_ends(trust.epoch()).await?;
            if ends.is_empty() {
                break;
            }
            for end in ends {
                if trust.epoch() < to {
                    trust.follow(end)?;
                }
            }
        }
        if trust.epoch() >= to {
            return Ok(());
        }
        Err(ClientError::NotOver {
            url: self.url.clone(),
            epoch: trust.epoch(),
            to,
        })
    }

    /// Hand in a change of the committee that members of enough stake approve of. It takes effect at the end of the epoch.
    pub async fn submit_change(&self, change: &CommitteeChange) -> Result<(), ClientError> {
        let _: serde_json::Value = self.call("outrider_submitChange", one(change)).await?;
        Ok(())
    }

    /// What the member takes.
    pub async fn limits(&self) -> Result<serde_json::Value, ClientError> {
        self.call("outrider_limits", ArrayParams::new()).await
    }

    /// How the member is.
    pub async fn health(&self) -> Result<serde_json::Value, ClientError> {
        self.call("outrider_health", ArrayParams::new()).await
    }

    /// The proof that a transaction is final, unverified; none while it is not committed there.
    pub async fn proof(&self, id: TransactionId) -> Result<Option<FinalityProof>, ClientError> {
        self.call("outrider_transactionProof", one(id)).await
    }

    /// The proof that a transaction is final, verified with the committee of its epoch, and what it says. If that epoch is
    /// later than the last one that `trust` knows, the hand-overs are fetched and followed first.
    pub async fn verified_proof(
        &self,
        id: TransactionId,
        trust: &mut Trust,
    ) -> Result<(FinalityProof, Checked), ClientError> {
        let proof = self.proof(id).await?.ok_or_else(|| ClientError::NoProof {
            url: self.url.clone(),
            id,
        })?;
        if proof.inclusion.transaction != id {
            return Err(ClientError::OtherTransaction {
                asked: id,
                found: proof.inclusion.transaction,
            });
        }
        let trust = self.reach(trust, proof.block.epoch).await?;
        let checked = trust.verify(&proof)?;
        Ok((proof, checked))
    }

    /// A page of the evidence that the member holds, unverified; from the start, or where the last page says.
    pub async fn evidence(&self, from: Option<&str>) -> Result<EvidencePage, ClientError> {
        self.call("outrider_evidence", one(from)).await
    }

    /// A page of the certificates that the member keeps of an epoch (none: its own), unverified; from the start, or where
    /// the last page says.
    pub async fn certificates(
        &self,
        epoch: Option<Epoch>,
        from: Option<&str>,
    ) -> Result<CertificatePage, ClientError> {
        let mut params = one(epoch);
        let inserted = params.insert(from);
        assert!(inserted.is_ok(), "a text is JSON");
        self.call("outrider_certificates", params).await
    }

    /// Part of a snapshot, unverified: blocks from one height down to another, a page of them at most; or the checkpoint
    /// and its rollups.
    pub async fn snapshot(
        &self,
        blocks: Option<(Height, Height)>,
    ) -> Result<Vec<SnapshotItem>, ClientError> {
        let method = "outrider_snapshot";
        let mut params = one(blocks.map(|(from, _)| from));
        let inserted = params.insert(blocks.map(|(_, first)| first));
        assert!(inserted.is_ok(), "a height is JSON");
        let items: Vec<String> = self.call(method, params).await?;
        let read = |item: &String| {
            let bytes = hex::decode(item).map_err(|error| error.to_string())?;
            decode(bytes).map_err(|error| error.to_string())
        };
        let read: Result<Vec<SnapshotItem>, String> = items.iter().map(read).collect();
        read.map_err(|reason| ClientError::Answer {
            url: self.url.clone(),
            method,
            reason,
        })
    }

    /// The digest of the member's ledger at a height, in hex; none if it does not remember it.
    pub async fn state_digest(&self, height: Height) -> Result<Option<String>, ClientError> {
        self.call("outrider_stateDigest", one(height)).await
    }

    /// Ask until the transaction is soft-final, at most for `timeout`. This is the member's word; fetch the proof to
    /// be certain.
    pub async fn wait_soft(
        &self,
        id: TransactionId,
        timeout: Duration,
    ) -> Result<Status, ClientError> {
        self.wait(id, Finality::Soft, timeout).await
    }

    /// Ask until the transaction is so final, at most for `timeout`. What is settled and final is the member's word; the
    /// contract on L1 knows it, too. A member without L1 never says more than soft.
    pub async fn wait(
        &self,
        id: TransactionId,
        wanted: Finality,
        timeout: Duration,
    ) -> Result<Status, ClientError> {
        let start = Instant::now();
        let mut pause = POLL_FIRST;
        loop {
            let status = self.status(id).await?;
            let found = status.finality();
            if found >= Some(wanted) {
                return Ok(status);
            }
            if start.elapsed() >= timeout {
                return Err(ClientError::NotYet {
                    id,
                    wanted,
                    waited_ms: start.elapsed().as_millis(),
                    status,
                });
            }
            // What is ordered waits for L1, which takes seconds at least.
            let longest = if found.is_some() { POLL_L1 } else { POLL_LAST };
            tokio::time::sleep(pause.min(timeout.saturating_sub(start.elapsed()))).await;
            pause = (pause * 2).min(longest);
        }
    }

    pub(crate) async fn call<T, P>(&self, method: &'static str, params: P) -> Result<T, ClientError>
    where
        T: DeserializeOwned,
        P: ToRpcParams + Send,
    {
        self.http
            .request(method, params)
            .await
            .map_err(|error| ClientError::of_call(&self.url, method, error))
    }
}

impl RollupClient {
    /// `eth_chainId`.
    pub async fn chain_id(&self) -> Result<String, ClientError> {
        self.calls.call("eth_chainId", ArrayParams::new()).await
    }

    /// `eth_sendRawTransaction` of a signed transaction's EIP-2718 bytes.
    pub async fn send_raw(&self, raw: &[u8]) -> Result<RawSubmitted, ClientError> {
        let method = "eth_sendRawTransaction";
        let answer: String = self
            .calls
            .call(method, one(const_hex::encode_prefixed(raw)))
            .await?;
        let mut hash = [0; 32];
        let digits = answer.strip_prefix("0x").unwrap_or(&answer);
        hex::decode_to_slice(digits, &mut hash).map_err(|error| ClientError::Answer {
            url: self.calls.url.clone(),
            method,
            reason: format!("not a hash: {error}"),
        })?;
        let transaction = Transaction {
            rollup: self.rollup,
            data: Bytes::copy_from_slice(raw),
        };
        Ok(RawSubmitted {
            hash,
            id: transaction.id(),
        })
    }
}

/// Parameters of `outrider_submit`.
pub(crate) fn submission(rollup: RollupId, payload: &[u8]) -> ObjectParams {
    let mut params = ObjectParams::new();
    let inserted = params
        .insert("rollup", rollup)
        .and_then(|()| params.insert("payload", const_hex::encode_prefixed(payload)));
    assert!(inserted.is_ok(), "a number and a text are JSON");
    params
}

/// The id that a submission has, if it was taken, now or before.
pub(crate) fn submitted(
    answer: Result<Submitted, ClientError>,
    rollup: RollupId,
    payload: &[u8],
) -> Result<TransactionId, ClientError> {
    match answer {
        Ok(submitted) => Ok(submitted.id),
        Err(ClientError::Refused { code, .. }) if code == CODE_DUPLICATE => Ok(Transaction {
            rollup,
            data: Bytes::copy_from_slice(payload),
        }
        .id()),
        Err(error) => Err(error),
    }
}

/// A list of one parameter.
pub(crate) fn one(value: impl serde::Serialize) -> ArrayParams {
    let mut params = ArrayParams::new();
    let inserted = params.insert(value);
    assert!(inserted.is_ok(), "ids, heights, texts and records are JSON");
    params
}
