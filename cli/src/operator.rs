//! `outrider operator`: what an operator does on L1, from registration to the withdrawal of its stake.

use crate::candidate::Candidate;
use crate::failure::Failure;
use crate::l1::{Sending, Urls, amount, print_json, say_faults};
use crate::output::say;
use crate::password::PasswordFrom;
use alloy_primitives::utils::format_ether;
use alloy_primitives::{Address, U256};
use clap::{Args, Subcommand};
use outrider_ethereum::attestation::AttesterKey;
use outrider_l1::account::Account;
use outrider_l1::deployment::Deployment;
use outrider_l1::operator::OperatorStatus;
use outrider_l1::state::Contracts;
use outrider_types::SecretKey;
use std::path::PathBuf;

/// What an operator does on L1.
#[derive(Debug, Subcommand)]
pub enum Operator {
    /// Register the sending account as an operator, with the keys of its member.
    Register(Box<Register>),
    /// Say where the member is reached now.
    Update(Box<Update>),
    /// Use other keys from the next snapshot on.
    Rotate(Box<Rotate>),
    /// Leave for good: no snapshot has the operator from now on.
    Exit(Plain),
    /// Bond stake.
    Deposit(Box<Deposit>),
    /// Begin to take stake out.
    Unbond(Box<Unbond>),
    /// Take out what is unbonded for long enough.
    Withdraw(Plain),
    /// Take out rewards that could not be paid at once.
    Collect(Plain),
    /// Show how an operator stands.
    Status(Status),
}

/// The member's key.
#[derive(Debug, Args)]
pub struct MemberKey {
    /// The key file of the member.
    #[arg(long)]
    key: PathBuf,
    #[command(flatten)]
    password: PasswordFrom,
}

/// Register the sending account as an operator, with the keys of its member.
#[derive(Debug, Args)]
pub struct Register {
    #[command(flatten)]
    sending: Sending,
    #[command(flatten)]
    key: MemberKey,
    /// Where the member is reached: the file that `outrider keys contact` prints.
    #[arg(long)]
    contact: PathBuf,
}

/// Say where the member is reached now.
#[derive(Debug, Args)]
pub struct Update {
    #[command(flatten)]
    sending: Sending,
    /// Where the member is reached: the file that `outrider keys contact` prints.
    #[arg(long)]
    contact: PathBuf,
}

/// Use other keys from the next snapshot on.
#[derive(Debug, Args)]
pub struct Rotate {
    #[command(flatten)]
    sending: Sending,
    #[command(flatten)]
    key: MemberKey,
    /// Rotate the attester only; a second transaction after the member key.
    #[arg(long)]
    attester: bool,
}

/// A transaction without more to say.
#[derive(Debug, Args)]
pub struct Plain {
    #[command(flatten)]
    sending: Sending,
}

/// Bond stake.
#[derive(Debug, Args)]
pub struct Deposit {
    #[command(flatten)]
    sending: Sending,
    /// How much, as 32eth.
    #[arg(long, value_parser = amount)]
    amount: U256,
    /// For whom; by default the sending account. Only the operator can take it out again.
    #[arg(long)]
    operator: Option<Address>,
}

/// Begin to take stake out.
#[derive(Debug, Args)]
pub struct Unbond {
    #[command(flatten)]
    sending: Sending,
    /// How much, as 32eth.
    #[arg(long, value_parser = amount)]
    amount: U256,
}

/// Show how an operator stands.
#[derive(Debug, Args)]
pub struct Status {
    /// The operator's address.
    operator: Address,
    /// The network file: where the contracts are.
    #[arg(long)]
    network: PathBuf,
    #[command(flatten)]
    urls: Urls,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl MemberKey {
    fn load(&self) -> Result<(SecretKey, Account), Failure> {
        let key = self.password.load(&self.key)?;
        let attester = Account::from_secret(&AttesterKey::of_seed(&key.seed()).secret())?;
        Ok((key, attester))
    }
}

/// The contact of a file as L1 holds it.
fn contact(path: &std::path::Path) -> Result<(Candidate, alloy_primitives::Bytes), Failure> {
    let candidate = Candidate::load(path)?;
    let bytes = outrider_types::encode(&candidate.contact).into();
    Ok((candidate, bytes))
}

impl Operator {
    /// Do it.
    pub async fn run(&self) -> Result<(), Failure> {
        match self {
            Self::Register(register) => register.run().await,
            Self::Update(update) => {
                let (_, contact) = contact(&update.contact)?;
                let session = update.sending.open()?;
                session.send(session.deployment().update(contact)).await
            }
            Self::Rotate(rotate) => rotate.run().await,
            Self::Exit(plain) => {
                let session = plain.sending.open()?;
                session.send(session.deployment().exit()).await
            }
            Self::Deposit(deposit) => {
                let session = deposit.sending.open()?;
                let operator = deposit.operator.unwrap_or(session.address());
                let call = session.deployment().deposit(operator, deposit.amount);
                session.send(call).await
            }
            Self::Unbond(unbond) => {
                let session = unbond.sending.open()?;
                session
                    .send(session.deployment().unbond(unbond.amount))
                    .await
            }
            Self::Withdraw(plain) => {
                let session = plain.sending.open()?;
                session.send(session.deployment().withdraw()).await
            }
            Self::Collect(plain) => {
                let session = plain.sending.open()?;
                session.send(session.deployment().collect()).await
            }
            Self::Status(status) => status.run().await,
        }
    }
}

impl Register {
    async fn run(&self) -> Result<(), Failure> {
        let (candidate, contact) = contact(&self.contact)?;
        let (key, attester) = self.key.load()?;
        if candidate.public_key != key.public_key() {
            return Err(Failure::ContactOfAnother {
                path: self.contact.clone(),
                found: candidate.public_key,
                expected: key.public_key(),
            });
        }
        let session = self.sending.open()?;
        let call = session
            .deployment()
            .register(session.address(), &key, &attester, contact)?;
        session.send(call).await
    }
}

impl Rotate {
    async fn run(&self) -> Result<(), Failure> {
        let (key, attester) = self.key.load()?;
        let session = self.sending.open()?;
        let (deployment, operator) = (session.deployment(), session.address());
        let call = match self.attester {
            true => deployment.rotate_attester(operator, &attester)?,
            false => deployment.rotate(operator, &key),
        };
        session.send(call).await
    }
}

impl Status {
    async fn run(&self) -> Result<(), Failure> {
        let deployment = Deployment::load(&self.network)?;
        let contracts = Contracts {
            endpoints: self.urls.endpoints(deployment.l1_chain)?,
            deployment,
        };
        let state = contracts.latest().await.map_err(Box::new)?;
        let status = state.status(self.operator).await.map_err(Box::new)?;
        say_faults(&contracts.endpoints);
        if self.json {
            print_json(&status);
        } else {
            print(&status);
        }
        Ok(())
    }
}

fn print(status: &OperatorStatus) {
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "none".to_owned());
    say!("operator        {}", status.operator);
    say!("standing        {:?}", status.standing);
    say!(
        "member key      {}",
        or_none(status.member_key.map(|key| key.to_string()))
    );
    say!(
        "attester        {}",
        or_none(status.attester.map(|one| one.to_string()))
    );
    say!(
        "attester's gas  {} ETH",
        format_ether(status.attester_balance)
    );
    say!(
        "stake           {} ETH, needed {}",
        format_ether(status.stake),
        format_ether(status.stake_min)
    );
    say!("slashable       {} ETH", format_ether(status.slashable));
    say!("bonded          {} ETH", format_ether(status.bonded));
    say!(
        "unbonding       {} ETH, until {}",
        format_ether(status.unbonding),
        status.withdrawable_at
    );
    say!(
        "in committee    {} (epoch {} settles)",
        status.in_committee,
        status.epoch
    );
    say!(
        "last epoch      {}",
        or_none(status.last_epoch.map(|epoch| epoch.to_string()))
    );
    say!("open case       {}", status.open_case);
    say!("at L1 block     {}", status.l1_block);
}
