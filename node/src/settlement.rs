//! Settling on another chain (L1): what a member sees there, attests to, sends there and takes from there.
//!
//! ```text
//! L1 --follow--> forced inbox, origins --> driver             (F17, F18)
//!          '---> committees of later epochs --committee--> approvals --> driver   (R13)
//!          '---> attesters of the committees --attesters--> whose attestations count
//!          '---> settled and final heights --> report
//! final blocks --attest--> attestations of all members --relay--> L1
//! ```
//!
//! Each is a task of its own, and none of them is waited for by the driver: whatever L1 or its endpoints do, blocks go on to be
//! soft-final, and nothing that was is undone.

mod attest;
mod attesters;
mod committee;
mod epochs;
mod follow;
mod journal;
mod relay;

pub use journal::{AttestationJournal, AttestationJournalError};

use crate::handle::{NodeHandle, SettlementReport, Stopped};
use epochs::Epochs;
use outrider_ethereum::attestation::{AttesterKey, digest};
use outrider_finality::{Attestations, Cadence, Fees, Tracker};
use outrider_l1::FeeLimits;
use outrider_l1::account::{Account, AccountError};
use outrider_l1::deployment::Deployment;
use outrider_l1::endpoints::{AgreementError, AgreementLimits, Endpoints};
use outrider_l1::sender::{SendLimits, Sender};
use outrider_l1::state::{Contracts, StateError};
use outrider_types::{BlockId, EpochStart, Height, SecretKey, Timestamp};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How a member settles.
#[derive(Clone, Debug)]
pub struct SettlementConfig {
    /// The contracts.
    pub deployment: Deployment,
    /// URLs of L1 endpoints, which are checked against each other.
    pub endpoints: Vec<String>,
    /// From one look at L1 to the next.
    pub poll: Duration,
    /// Whether this member also sends transactions to L1, when it is its turn; its attester's account pays.
    pub relay: bool,
    /// How often blocks are settled.
    pub cadence: Cadence,
    /// A member whose turn it is gets this much time before the next one takes over.
    pub fallback: Duration,
    /// The most that is paid for a unit of gas, in wei.
    pub max_fee: u128,
}

/// Why a member cannot settle.
#[derive(Debug, thiserror::Error)]
pub enum SettlementError {
    /// The endpoints.
    #[error("l1.endpoints: {0}")]
    Endpoints(#[from] AgreementError),
    /// The attester key.
    #[error("the attester key of this member is of no use: {0}")]
    Account(#[from] AccountError),
    /// The contracts.
    #[error("l1.network: {0}")]
    State(#[from] StateError),
}

/// What the tasks share.
struct Shared {
    handle: NodeHandle,
    config: SettlementConfig,
    key: SecretKey,
    attester: AttesterKey,
    account: Account,
    endpoints: Endpoints,
    started: Instant,
    epochs: Mutex<Epochs>,
    attestations: Mutex<Attestations>,
    fees: Mutex<Fees>,
    report: Arc<watch::Sender<Option<SettlementReport>>>,
    /// A committee that L1 asks for, as soon as it is final there.
    wanted: watch::Sender<Option<committee::Wanted>>,
    /// Changes when L1 may have other attesters than before.
    rosters: watch::Sender<u64>,
}

/// Locks even after a panic: every critical section here leaves its value whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn now(&self) -> Timestamp {
        Timestamp(0).after(self.started.elapsed())
    }

    /// Asks L1 with the answer that most endpoints give.
    fn contracts(&self) -> Contracts {
        Contracts {
            endpoints: self.endpoints.clone(),
            deployment: self.config.deployment,
        }
    }

    /// What is signed for a block.
    fn digest(&self, block: BlockId) -> [u8; 32] {
        let deployment = &self.config.deployment;
        let anchor = deployment.finality_anchor.into_array();
        digest(deployment.l1_chain, &anchor, &block)
    }

    fn sender(&self) -> Sender {
        let limits = SendLimits {
            poll: self.config.poll,
            fees: FeeLimits {
                max_fee: self.config.max_fee,
                ..FeeLimits::default()
            },
            ..SendLimits::default()
        };
        Sender::new(self.endpoints.clone(), self.account.clone(), limits)
    }

    fn modify(&self, change: impl FnOnce(&mut SettlementReport)) {
        self.report
            .send_modify(|report| change(report.get_or_insert_default()));
    }

    fn heights(&self) -> Tracker {
        let report = self.report.borrow();
        let heights = report.as_ref().map(|report| report.heights);
        heights.unwrap_or_default()
    }

    /// Up to here, L1 knows the chain.
    fn settled(&self) -> Height {
        self.heights().settled_height()
    }

    /// Attestations of what L1 has settled are of no use any more.
    fn keep_unsettled(&self) {
        let heights = self.heights();
        lock(&self.attestations).settled(heights.settled_height(), heights.final_height());
    }

    fn soft(&self, height: Height) {
        self.modify(|report| report.heights.soft(height));
    }
}

/// Settles for a member. Started with [`start`].
#[derive(Debug)]
pub struct Settlement {
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Settlement {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Begin to settle. It goes on until the driver stops or the value is dropped; an L1 that cannot be reached is told about, and waited for.
pub fn start(
    handle: NodeHandle,
    key: SecretKey,
    genesis: EpochStart,
    journal: AttestationJournal,
    config: SettlementConfig,
) -> Result<Settlement, SettlementError> {
    let limits = AgreementLimits::default();
    let endpoints = Endpoints::new(&config.endpoints, config.deployment.l1_chain, limits)?;
    let attester = AttesterKey::of_seed(&key.seed());
    let account = Account::from_secret(&attester.secret())?;
    let report = handle.settlement_report();
    report.send_replace(Some(SettlementReport::default()));
    let (wanted, _) = watch::channel(None);
    let shared = Arc::new(Shared {
        epochs: Mutex::new(Epochs::new(genesis)),
        handle,
        config,
        key,
        attester,
        account,
        endpoints,
        started: Instant::now(),
        attestations: Mutex::default(),
        fees: Mutex::default(),
        report,
        wanted,
        rosters: watch::Sender::new(0),
    });
    let task = tokio::spawn(async move {
        // Each ends when the driver has stopped.
        let (followed, attested, approved, counted, relayed) = tokio::join!(
            follow::run(shared.clone()),
            attest::run(shared.clone(), journal),
            committee::run(shared.clone()),
            attesters::run(shared.clone()),
            relay::run(shared.clone()),
        );
        let all: [Result<(), Stopped>; 5] = [followed, attested, approved, counted, relayed];
        tracing::debug!(?all, "settlement has ended");
    });
    Ok(Settlement { task })
}
