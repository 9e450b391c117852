//! What verbs that speak to the settlement chain share, and `outrider l1`.

pub mod deploy;
mod enqueue;
mod native;
mod status;

use crate::failure::Failure;
use crate::output::say;
use crate::password;
use alloy_primitives::utils::format_ether;
use alloy_primitives::{Address, U256};
use clap::{Args, Subcommand};
use outrider_l1::account::Account;
use outrider_l1::calls::Call;
use outrider_l1::deployment::Deployment;
use outrider_l1::endpoints::{AgreementLimits, Endpoints};
use outrider_l1::model::Receipt;
use outrider_l1::operator::Explained;
use outrider_l1::sender::{SendLimits, Sender, plan};
use outrider_l1::state::Contracts;
use outrider_node::keys::{KeyFileError, keystore, read_private};
use serde::Serialize;
use std::path::PathBuf;

/// The settlement chain.
#[derive(Debug, Subcommand)]
pub enum L1 {
    /// Deploy the six contracts, and write the network file.
    ///
    /// With --dry-run: where they would be, and with which parameters. Parameters can never be changed.
    Deploy(Box<deploy::Deploy>),
    /// Record the committee of an epoch from the stakes of now. Anybody may.
    Snapshot(Box<deploy::Snapshot>),
    /// Begin to settle, from the recorded committee of the first epoch. Only the deployer, once.
    Begin(Box<deploy::Begin>),
    /// Put a transaction into the forced inbox: the committee must include it before its deadline. Anybody may.
    Enqueue(Box<enqueue::Enqueue>),
    /// Settle a block by the certificate of consensus, when too few attest. Anybody may.
    ///
    /// The block is in the epoch that settles on L1: by default the member's newest, or the last one if the epoch is over. Run it again until
    /// L1 is where you want it. What the member says is checked with the committee on L1. It takes commit votes where an L1 transaction
    /// could not pay for the votes.
    SettleNative(Box<native::SettleNative>),
    /// Show what is settled, the forced inbox, and the committees of now and next.
    Status(status::Status),
}

impl L1 {
    /// Do it.
    pub async fn run(&self) -> Result<(), Failure> {
        match self {
            Self::Deploy(deploy) => deploy.run().await,
            Self::Snapshot(snapshot) => snapshot.run().await,
            Self::Begin(begin) => begin.run().await,
            Self::Enqueue(enqueue) => enqueue.run().await,
            Self::SettleNative(settle) => settle.run().await,
            Self::Status(status) => status.run().await,
        }
    }
}

/// Endpoints of L1.
#[derive(Clone, Debug, Args)]
pub struct Urls {
    /// An endpoint of L1, as http://127.0.0.1:8545 or https://host/key. Give three of different operators: more than half of all given have to agree.
    #[arg(long = "l1", value_name = "URL", required = true)]
    pub l1: Vec<String>,
}

/// Who sends a transaction, and whether.
#[derive(Clone, Debug, Args)]
pub struct From {
    /// The account that sends: a keystore as wallets write it (version 3), or a file with a private key in hex; readable by its owner only.
    #[arg(long, required_unless_present = "from")]
    account: Option<PathBuf>,
    /// The file with the password of the account's keystore (chmod 600). Without it, standard input if that is a pipe, or else a prompt.
    #[arg(long)]
    account_password_file: Option<PathBuf>,
    /// With --dry-run, the address that would send, instead of its account.
    #[arg(long, requires = "dry_run", conflicts_with = "account")]
    from: Option<Address>,
    /// Send nothing: print target, value, decoded calldata and gas.
    #[arg(long)]
    pub dry_run: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// The network and who sends to it.
#[derive(Clone, Debug, Args)]
pub struct Sending {
    /// The network file: where the contracts are.
    #[arg(long)]
    pub network: PathBuf,
    #[command(flatten)]
    urls: Urls,
    #[command(flatten)]
    from: From,
}

/// The network, to look at.
#[derive(Clone, Debug, Args)]
pub struct Looking {
    /// The network file: where the contracts are.
    #[arg(long)]
    network: PathBuf,
    #[command(flatten)]
    urls: Urls,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Looking {
    /// The contracts.
    pub fn open(&self) -> Result<Contracts, Failure> {
        let deployment = Deployment::load(&self.network)?;
        Ok(Contracts {
            endpoints: self.urls.endpoints(deployment.l1_chain)?,
            deployment,
        })
    }

    /// Show what was found there, and what endpoints did that they should not.
    pub fn show<T: Serialize>(&self, contracts: &Contracts, found: &T, print: impl FnOnce(&T)) {
        say_faults(&contracts.endpoints);
        if self.json {
            print_json(found);
        } else {
            print(found);
        }
    }
}

/// What was sent.
#[derive(Debug, Serialize)]
pub struct Sent {
    sent: Explained,
    /// What became of it.
    pub receipt: Receipt,
}

impl Sent {
    fn print(&self, json: bool) {
        if json {
            return print_json(self);
        }
        say!("{}", self.sent.what);
        say!("transaction  {}", self.receipt.transaction);
        say!("block        {}", self.receipt.number);
        say!("gas          {}", self.receipt.gas_used);
    }
}

impl Urls {
    /// The endpoints, of this chain. Faults of single ones are said at the end of a verb.
    pub fn endpoints(&self, chain: u64) -> Result<Endpoints, Failure> {
        Ok(Endpoints::new(&self.l1, chain, AgreementLimits::default())?)
    }
}

impl From {
    /// The account, its keystore opened.
    pub fn account(&self) -> Result<Account, Failure> {
        let path = self.account.as_deref().unwrap_or(std::path::Path::new(""));
        let text = read_private(path)?;
        if !keystore::is_keystore(&text) {
            let text = std::str::from_utf8(&text).unwrap_or_default();
            return Ok(Account::from_hex(text)?);
        }
        let prompt = format!("password of {}", path.display());
        let password = password::read(self.account_password_file.as_deref(), &prompt)?;
        let secret =
            keystore::open_v3(&text, &password).map_err(|error| KeyFileError::Keystore {
                path: path.to_path_buf(),
                error,
            })?;
        Ok(Account::from_secret(&secret)?)
    }
}

/// A verb's transactions: who sends them where.
pub struct Session {
    /// Where the contracts are.
    pub contracts: Contracts,
    account: Option<Account>,
    address: Address,
    json: bool,
}

impl Sending {
    /// Read files, ask for the password.
    pub fn open(&self) -> Result<Session, Failure> {
        let deployment = Deployment::load(&self.network)?;
        let (account, address) = match self.from.from {
            Some(address) => (None, address),
            None => {
                let account = self.from.account()?;
                let address = account.address();
                ((!self.from.dry_run).then_some(account), address)
            }
        };
        Ok(Session {
            contracts: Contracts {
                endpoints: self.urls.endpoints(deployment.l1_chain)?,
                deployment,
            },
            account,
            address,
            json: self.from.json,
        })
    }
}

impl Session {
    /// Who sends.
    pub const fn address(&self) -> Address {
        self.address
    }

    /// Where the contracts are.
    pub const fn deployment(&self) -> &Deployment {
        &self.contracts.deployment
    }

    /// Whether JSON is asked for.
    pub const fn is_json(&self) -> bool {
        self.json
    }

    /// Whether nothing is sent.
    pub const fn is_dry_run(&self) -> bool {
        self.account.is_none()
    }

    /// Send it and say so, or show what would be sent.
    pub async fn send(&self, call: Call) -> Result<(), Failure> {
        self.send_all(vec![call]).await
    }

    /// Send them one after the other and say so, or show what would be sent. If one would revert now, none is sent; if one fails, the
    /// error says what is done and what is not.
    pub async fn send_all(&self, calls: Vec<Call>) -> Result<(), Failure> {
        if calls.len() > 1 {
            for call in &calls {
                self.plan(call).await?;
            }
        }
        let whats: Vec<&'static str> = calls.iter().map(|call| call.what).collect();
        for (place, call) in calls.into_iter().enumerate() {
            let sent = match self.submit(call, place as u64).await {
                Err(Failure::L1Send(error)) if whats.len() > 1 => {
                    return Err(Failure::L1Unfinished {
                        done: whats[..place].join(", "),
                        left: whats[place..].join(", "),
                        error,
                    });
                }
                sent => sent?,
            };
            if let Some(sent) = sent {
                sent.print(self.json);
            }
        }
        self.say_faults();
        Ok(())
    }

    /// Send it, or show what would be sent after so many others.
    pub async fn submit(&self, call: Call, after: u64) -> Result<Option<Sent>, Failure> {
        let mut sent = self.plan(&call).await?;
        let Some(account) = self.account.clone() else {
            sent.nonce = sent.nonce.saturating_add(after);
            print_plan(&sent, self.json);
            return Ok(None);
        };
        let endpoints = self.contracts.endpoints.clone();
        let sender = Sender::new(endpoints, account, SendLimits::default());
        let receipt = sender.send(call).await.map_err(Box::new)?;
        Ok(Some(Sent { sent, receipt }))
    }

    async fn plan(&self, call: &Call) -> Result<Explained, Failure> {
        let endpoints = &self.contracts.endpoints;
        let limits = SendLimits::default();
        let planned = plan(endpoints, self.address, call.clone(), &limits).await;
        Ok(self.deployment().explain(&planned.map_err(Box::new)?))
    }

    /// What endpoints did that they should not.
    pub fn say_faults(&self) {
        say_faults(&self.contracts.endpoints);
    }
}

/// On standard error: what endpoints did that they should not, and that a single one is not checked.
pub fn say_faults(endpoints: &Endpoints) {
    for event in endpoints.take_events() {
        if event.standing != outrider_l1::endpoints::Standing::Good {
            crate::output::tell!("{} {}", event.url, event.standing);
        }
    }
}

/// As JSON on one line.
pub fn print_json(value: &impl Serialize) {
    // Structs of numbers and texts always serialize.
    say!("{}", serde_json::to_string(value).unwrap_or_default());
}

fn print_plan(plan: &Explained, json: bool) {
    if json {
        return print_json(plan);
    }
    let target = plan
        .to
        .map_or_else(|| "a new contract".to_owned(), |to| to.to_string());
    let name = plan
        .contract
        .map(|name| format!(" ({name})"))
        .unwrap_or_default();
    say!("to         {target}{name}");
    if let Some(function) = &plan.function {
        say!("function   {function}");
    }
    for (name, value) in &plan.arguments {
        say!("  {name} = {value}");
    }
    say!("value      {} ETH", format_ether(plan.value));
    say!("calldata   {}", plan.calldata);
    say!(
        "from       {}, nonce {}, L1 chain {}",
        plan.from,
        plan.nonce,
        plan.l1_chain
    );
    say!("gas        {}, limit {}", plan.gas_estimate, plan.gas_limit);
    say!(
        "fees       at most {} wei per gas, {} of it tip",
        plan.max_fee,
        plan.priority_fee
    );
    say!("cost       at most {} ETH", format_ether(plan.cost_max));
    say!("nothing was sent (--dry-run)");
}

/// An amount with its unit: `32eth`, `0.5eth`, `5gwei` or `100wei`.
pub fn amount(text: &str) -> Result<U256, String> {
    let wrong = || format!("{text:?} is not an amount as 32eth, 0.5eth, 5gwei or 100wei");
    let units = [("eth", 18), ("gwei", 9), ("wei", 0)];
    let (number, places) = units
        .iter()
        .find_map(|(end, places)| Some((text.strip_suffix(end)?, *places)))
        .ok_or_else(wrong)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|letter| letter.is_ascii_digit());
    let right = !whole.is_empty() && digits(whole) && digits(fraction);
    // What is less than a wei is no amount.
    if !right || fraction.len() > usize::from(places) {
        return Err(wrong());
    }
    let parsed = alloy_primitives::utils::parse_units(number, places);
    parsed
        .map(|value| value.get_absolute())
        .map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_need_a_unit() {
        assert_eq!(amount("1wei"), Ok(U256::from(1)));
        assert_eq!(amount("5gwei"), Ok(U256::from(5_000_000_000_u64)));
        assert_eq!(
            amount("0.5eth"),
            Ok(U256::from(500_000_000_000_000_000_u64))
        );
        assert_eq!(
            amount("32eth"),
            Ok(U256::from(32) * U256::from(10).pow(U256::from(18)))
        );
        for wrong in [
            "", "1", "eth", "-1eth", "1.5wei", "1e3eth", "0x1eth", "1 ether", "1btc",
        ] {
            assert!(amount(wrong).is_err(), "{wrong}");
        }
    }
}
