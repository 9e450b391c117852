//! What verbs that speak to the settlement chain share, and `outrider l1`.

pub mod deploy;

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
    Deploy(Box<deploy::Deploy>),
    /// Record the committee of an epoch from the stakes of now. Anybody may.
    Snapshot(Box<deploy::Snapshot>),
    /// Begin to settle, from the recorded committee of the first epoch. Only the deployer, once.
    Begin(Box<deploy::Begin>),
}

impl L1 {
    /// Do it.
    pub async fn run(&self) -> Result<(), Failure> {
        match self {
            Self::Deploy(deploy) => deploy.run().await,
            Self::Snapshot(snapshot) => snapshot.run().await,
            Self::Begin(begin) => begin.run().await,
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

/// What was sent.
#[derive(Debug, Serialize)]
struct Sent {
    sent: Explained,
    receipt: outrider_l1::model::Receipt,
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

    /// Send it and say so, or show what would be sent.
    pub async fn send(&self, call: Call) -> Result<(), Failure> {
        let endpoints = self.contracts.endpoints.clone();
        let limits = SendLimits::default();
        let planned = plan(&endpoints, self.address, call.clone(), &limits).await;
        let planned = planned.map_err(Box::new)?;
        let explained = self.deployment().explain(&planned);
        let Some(account) = self.account.clone() else {
            print_plan(&explained, self.json);
            self.say_faults();
            return Ok(());
        };
        let sender = Sender::new(endpoints, account, limits);
        let receipt = sender.send(call).await.map_err(Box::new)?;
        if self.json {
            let sent = explained;
            print_json(&Sent { sent, receipt });
        } else {
            say!("{}", explained.what);
            say!("transaction  {}", receipt.transaction);
            say!("block        {}", receipt.number);
            say!("gas          {}", receipt.gas_used);
        }
        self.say_faults();
        Ok(())
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
