//! Transactions from one account: planned, signed, sent to every endpoint, sent again with more, until one is in a block.

use crate::account::{Account, AccountError};
use crate::calls::Call;
use crate::endpoint::{Endpoint, EndpointError};
use crate::endpoints::{AgreementError, Endpoints};
use crate::fees::{FeeLimits, Fees};
use crate::model::{BlockTag, Receipt};
use crate::revert::Revert;
use alloy_consensus::TxEip1559;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often a nonce that somebody else took is asked for anew.
const NONCES_MAX: u32 = 4;

/// Limits of sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendLimits {
    /// What is offered.
    pub fees: FeeLimits,
    /// Percent of gas above what it would take now.
    pub gas_margin_percent: u64,
    /// Most gas of a transaction; EIP-7825 allows no more than 2^24.
    pub gas_max: u64,
    /// How long one offer is waited for.
    pub resend_after: Duration,
    /// Most offers.
    pub attempts_max: u32,
    /// How often it is asked for.
    pub poll: Duration,
    /// Blocks that it must be deep, its own included.
    pub depth: u64,
}

impl Default for SendLimits {
    fn default() -> Self {
        Self {
            fees: FeeLimits::default(),
            gas_margin_percent: 25,
            gas_max: 1 << 24,
            resend_after: Duration::from_secs(36),
            attempts_max: 12,
            poll: Duration::from_secs(2),
            depth: 1,
        }
    }
}

/// A transaction with everything but its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Who sends it.
    pub from: Address,
    /// What it does.
    pub call: Call,
    /// The chain id of L1.
    pub l1_chain: u64,
    /// How many the sender sent before.
    pub nonce: u64,
    /// What it would use now.
    pub gas_estimate: u64,
    /// What it may use.
    pub gas: u64,
    /// What it offers.
    pub fees: Fees,
}

impl Plan {
    /// The most wei that it can cost.
    #[must_use]
    pub fn cost_max(&self) -> U256 {
        self.call
            .value
            .saturating_add(U256::from(self.gas).saturating_mul(U256::from(self.fees.max_fee)))
    }

    fn transaction(&self, fees: Fees) -> TxEip1559 {
        TxEip1559 {
            chain_id: self.l1_chain,
            nonce: self.nonce,
            gas_limit: self.gas,
            max_fee_per_gas: fees.max_fee,
            max_priority_fee_per_gas: fees.priority_fee,
            to: self.call.to.map_or(TxKind::Create, TxKind::Call),
            value: self.call.value,
            access_list: alloy_eips::eip2930::AccessList::default(),
            input: self.call.data.clone(),
        }
    }
}

/// Why a transaction did not do what it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The endpoints.
    #[error(transparent)]
    Endpoints(#[from] AgreementError),
    /// The account.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// It would revert; nothing was sent.
    #[error("cannot {what}: the contract would refuse: {revert}; nothing was sent")]
    WouldRevert {
        /// What it was to do.
        what: &'static str,
        /// What the contract says.
        revert: Revert,
    },
    /// It reverted.
    #[error(
        "could not {what}: the contract refused in block {number}: {revert} (transaction {transaction})"
    )]
    Reverted {
        /// What it was to do.
        what: &'static str,
        /// The transaction.
        transaction: B256,
        /// The block.
        number: u64,
        /// What the contract said.
        revert: Revert,
    },
    /// Too much gas.
    #[error("cannot {what}: it takes {gas} gas, and the limit is {limit}")]
    Gas {
        /// What it was to do.
        what: &'static str,
        /// It would take.
        gas: u64,
        /// The limit.
        limit: u64,
    },
    /// Too dear.
    #[error(
        "cannot {what} now: the base fee is {base} wei per gas, and the limit is {limit}; wait, or raise the limit"
    )]
    Fee {
        /// What it was to do.
        what: &'static str,
        /// The base fee.
        base: u128,
        /// The limit.
        limit: u128,
    },
    /// Not enough ETH.
    #[error("cannot {what}: {from} has {balance} wei, and it may cost {cost}; send ETH to it")]
    Poor {
        /// What it was to do.
        what: &'static str,
        /// The account.
        from: Address,
        /// What it has.
        balance: U256,
        /// What it needs.
        cost: U256,
    },
    /// No endpoint takes it.
    #[error("no L1 endpoint takes the transaction to {what}: {reason}")]
    Refused {
        /// What it was to do.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// Somebody else sends from the account.
    #[error(
        "another transaction of {from} with nonce {nonce} is in a block, not the one to {what}; send from the account in one place at a time, and try again"
    )]
    Overtaken {
        /// What it was to do.
        what: &'static str,
        /// The account.
        from: Address,
        /// The nonce.
        nonce: u64,
    },
    /// Nobody takes it up.
    #[error(
        "the transaction to {what} was sent {attempts} times, last as {transaction}, and is in no block after {waited:?}; it may still get into one: check that, then try again"
    )]
    NotMined {
        /// What it was to do.
        what: &'static str,
        /// How often.
        attempts: u32,
        /// The last one.
        transaction: B256,
        /// How long was waited.
        waited: Duration,
    },
}

/// What came of handing a transaction to the endpoints.
enum Handed {
    Taken,
    TooCheap,
    NonceUsed,
}

/// Sends from one account, one transaction after the other.
#[derive(Clone, Debug)]
pub struct Sender {
    endpoints: Endpoints,
    account: Account,
    limits: SendLimits,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Sender {
    /// Of this account.
    #[must_use]
    pub fn new(endpoints: Endpoints, account: Account, limits: SendLimits) -> Self {
        Self {
            endpoints,
            account,
            limits,
            turn: Arc::new(tokio::sync::Mutex::new(())),
        }
    }

    /// Who sends.
    #[must_use]
    pub const fn address(&self) -> Address {
        self.account.address()
    }

    /// How it sends.
    #[must_use]
    pub const fn limits(&self) -> SendLimits {
        self.limits
    }

    /// Whom it sends to.
    #[must_use]
    pub const fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Plan a transaction without sending it: what a dry run shows.
    pub async fn plan(&self, call: Call) -> Result<Plan, SendError> {
        plan(&self.endpoints, self.address(), call, &self.limits).await
    }

    /// Send a transaction, and wait until it is in a block. Waits for its turn.
    pub async fn send(&self, call: Call) -> Result<Receipt, SendError> {
        let _turn = self.turn.lock().await;
        let mut overtaken = None;
        for _ in 0..NONCES_MAX {
            let plan = self.plan(call.clone()).await?;
            let balance = self.endpoints.balance(self.address()).await?;
            if balance < plan.cost_max() {
                return Err(SendError::Poor {
                    what: call.what,
                    from: self.address(),
                    balance,
                    cost: plan.cost_max(),
                });
            }
            match self.deliver(&plan).await {
                // Another place that sends from the account was faster.
                Err(error @ SendError::Overtaken { .. }) => overtaken = Some(error),
                other => return other,
            }
        }
        Err(overtaken.unwrap_or(SendError::Overtaken {
            what: call.what,
            from: self.address(),
            nonce: 0,
        }))
    }

    async fn deliver(&self, plan: &Plan) -> Result<Receipt, SendError> {
        let what = plan.call.what;
        let begun = Instant::now();
        let mut fees = plan.fees;
        let mut sent: Vec<B256> = Vec::new();
        for _ in 0..self.limits.attempts_max {
            let (raw, transaction) = self.account.sign_transaction(plan.transaction(fees))?;
            if !sent.contains(&transaction) {
                sent.push(transaction);
            }
            let handed = self.hand_over(what, &raw).await;
            match handed {
                // Once it was taken somewhere, a refusal says little.
                Err(error) if sent.len() == 1 => return Err(error),
                Ok(Handed::NonceUsed) if sent.len() == 1 => {
                    return Err(self.overtaken(plan));
                }
                Ok(Handed::TooCheap) => {}
                Ok(Handed::Taken | Handed::NonceUsed) | Err(_) => {
                    if let Some(receipt) = self.wait(plan, &sent).await? {
                        return self.judge(plan, receipt).await;
                    }
                }
            }
            let base = base_fee(&self.endpoints).await.unwrap_or_default();
            fees = fees.bumped(base, &self.limits.fees).unwrap_or(fees);
        }
        Err(SendError::NotMined {
            what,
            attempts: self.limits.attempts_max,
            transaction: sent.last().copied().unwrap_or_default(),
            waited: begun.elapsed(),
        })
    }

    fn overtaken(&self, plan: &Plan) -> SendError {
        SendError::Overtaken {
            what: plan.call.what,
            from: self.address(),
            nonce: plan.nonce,
        }
    }

    /// Hand it to every endpoint. One that takes it is enough.
    async fn hand_over(&self, what: &'static str, raw: &[u8]) -> Result<Handed, SendError> {
        let ask = |endpoint: Endpoint| async move { endpoint.send_raw(raw).await };
        let answers = self.endpoints.whoever(ask).await;
        let mut reasons = Vec::new();
        let (mut too_cheap, mut nonce_used) = (false, false);
        for answer in answers {
            let Err(error) = answer else {
                return Ok(Handed::Taken);
            };
            let EndpointError::Refused { message, .. } = &error else {
                reasons.push(error.to_string());
                continue;
            };
            // Nodes have words for this, and no codes.
            let message = message.to_lowercase();
            let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
            if says(&["already known", "already imported", "known transaction"]) {
                return Ok(Handed::Taken);
            }
            too_cheap |= says(&["underpriced", "less than block base fee", "fee too low"]);
            nonce_used |= says(&["nonce too low"]);
            reasons.push(error.to_string());
        }
        match (too_cheap, nonce_used) {
            (true, _) => Ok(Handed::TooCheap),
            (_, true) => Ok(Handed::NonceUsed),
            _ => Err(SendError::Refused {
                what,
                reason: reasons.join("; "),
            }),
        }
    }

    /// Wait for one of them to be in a block, and that deep. None: not within the time of one offer.
    async fn wait(&self, plan: &Plan, sent: &[B256]) -> Result<Option<Receipt>, SendError> {
        let until = Instant::now() + self.limits.resend_after;
        loop {
            let mut found = None;
            for transaction in sent {
                // An endpoint that is away for a moment is no reason to give up.
                if let Ok(Some(receipt)) = self.endpoints.receipt(*transaction).await {
                    found = Some(receipt);
                }
            }
            match (found, self.endpoints.heads().await) {
                (Some(receipt), Ok(heads))
                    if heads.latest.number + 1
                        >= receipt.number.saturating_add(self.limits.depth) =>
                {
                    return Ok(Some(receipt));
                }
                (None, Ok(heads)) => {
                    let at = heads.latest.number;
                    let nonce = self.endpoints.nonce(self.address(), at).await;
                    let is_used = nonce.is_ok_and(|nonce| nonce > plan.nonce);
                    // A block that came between the two questions may hold it.
                    if is_used && !self.any_mined(sent).await {
                        return Err(self.overtaken(plan));
                    }
                }
                _ => {}
            }
            if Instant::now() >= until {
                return Ok(None);
            }
            sleep(self.limits.poll).await;
        }
    }

    async fn any_mined(&self, sent: &[B256]) -> bool {
        for transaction in sent {
            // When in doubt it is.
            if !matches!(self.endpoints.receipt(*transaction).await, Ok(None)) {
                return true;
            }
        }
        false
    }

    /// A transaction in a block is not yet one that did something.
    async fn judge(&self, plan: &Plan, receipt: Receipt) -> Result<Receipt, SendError> {
        if receipt.succeeded {
            return Ok(receipt);
        }
        let call = &plan.call;
        let from = self.address();
        let at = BlockTag::Number(receipt.number);
        let ask = |endpoint: Endpoint| async move {
            let (value, data) = (call.value, &call.data);
            endpoint.simulate(from, call.to, value, data, at).await
        };
        let answers = self
            .endpoints
            .each("a revert", ask)
            .await
            .unwrap_or_default();
        let said = answers.into_iter().find_map(|answer| match answer {
            Err(EndpointError::Refused { revert, .. }) => revert,
            _ => None,
        });
        Err(SendError::Reverted {
            what: call.what,
            transaction: receipt.transaction,
            number: receipt.number,
            revert: Revert::read(&said.unwrap_or_default()),
        })
    }
}

/// What the next block costs at least per gas.
async fn base_fee(endpoints: &Endpoints) -> Result<u128, AgreementError> {
    let ask = |endpoint: Endpoint| async move {
        let fees = endpoint.base_fees(1).await?;
        Ok(fees.last().map_or(0, |(_, fee)| *fee))
    };
    endpoints.number("the base fee", ask).await
}

/// Plan a transaction of an account, whose key is not needed for it.
pub async fn plan(
    endpoints: &Endpoints,
    from: Address,
    call: Call,
    limits: &SendLimits,
) -> Result<Plan, SendError> {
    let what = call.what;
    let at = endpoints.heads().await?.latest.number;
    let nonce = endpoints.nonce(from, at).await?;
    let gas_estimate = estimate(endpoints, from, &call).await?;
    let gas =
        gas_estimate.saturating_add(gas_estimate.saturating_mul(limits.gas_margin_percent) / 100);
    if gas_estimate > limits.gas_max {
        return Err(SendError::Gas {
            what,
            gas: gas_estimate,
            limit: limits.gas_max,
        });
    }
    let base = base_fee(endpoints).await?;
    let ask = |endpoint: Endpoint| async move { endpoint.priority_fee().await };
    let tip = match endpoints.number("the tip", ask).await {
        // Not every node has an opinion.
        Err(AgreementError::Endpoint(_)) => limits.fees.priority_min,
        tip => tip?,
    };
    let fees = Fees::first(base, tip, &limits.fees).ok_or(SendError::Fee {
        what,
        base,
        limit: limits.fees.max_fee,
    })?;
    Ok(Plan {
        from,
        l1_chain: endpoints.chain(),
        nonce,
        gas_estimate,
        gas: gas.min(limits.gas_max),
        fees,
        call,
    })
}

async fn estimate(endpoints: &Endpoints, from: Address, call: &Call) -> Result<u64, SendError> {
    let ask = |endpoint: Endpoint| async move {
        endpoint
            .estimate(from, call.to, call.value, &call.data)
            .await
    };
    let about = "the gas it takes";
    let answers = endpoints.each(about, ask).await?;
    let reverts = answers.iter().filter_map(|answer| match answer {
        Err(EndpointError::Refused {
            revert, message, ..
        }) if revert.is_some() || message.contains("revert") => Some(revert.clone()),
        _ => None,
    });
    let reverts: Vec<Option<Bytes>> = reverts.collect();
    if endpoints.is_majority(reverts.len()) {
        let said = reverts.into_iter().flatten().next().unwrap_or_default();
        return Err(SendError::WouldRevert {
            what: call.what,
            revert: Revert::read(&said),
        });
    }
    Ok(endpoints.number_of(about, &answers)?)
}
