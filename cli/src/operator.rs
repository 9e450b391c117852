//! `outrider operator`: what an operator does on L1, from registration to the withdrawal of its stake.

mod enlist;
mod rotate;
mod status;

use crate::candidate::Candidate;
use crate::failure::Failure;
use crate::l1::{Sending, amount};
use crate::password::PasswordFrom;
use alloy_primitives::{Address, U256};
use clap::{Args, Subcommand};
use outrider_ethereum::attestation::AttesterKey;
use outrider_l1::account::Account;
use outrider_types::{PublicKey, SecretKey};
use std::path::{Path, PathBuf};

/// What an operator does on L1.
#[derive(Debug, Subcommand)]
pub enum Operator {
    /// Register the sending account as an operator, with the keys of its member.
    Register(Box<Register>),
    /// Say where the member is reached now.
    Update(Box<Update>),
    /// Use the keys of another key file from the next snapshot on.
    ///
    /// Member key, attester key and transport key all come from the key file, so it is up to three transactions: the contact, which names the
    /// transport key, the member key, and the attester. What is so already is not sent again: after a failure, run the same again.
    Rotate(Box<rotate::Rotate>),
    /// Put an operator on the list that snapshots look at, if it was full when it registered. Anybody may.
    ///
    /// On a list that is full it takes the place of one with less stake: of the one with the least, if none is named.
    Enlist(Box<enlist::Enlist>),
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
    Status(status::Status),
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

impl MemberKey {
    fn load(&self) -> Result<(SecretKey, Account), Failure> {
        let key = self.password.load(&self.key)?;
        let attester = Account::from_secret(&AttesterKey::of_seed(&key.seed()).secret())?;
        Ok((key, attester))
    }
}

/// The contact of a file as L1 holds it.
fn contact(path: &Path) -> Result<(Candidate, alloy_primitives::Bytes), Failure> {
    let candidate = Candidate::load(path)?;
    let bytes = outrider_types::encode(&candidate.contact).into();
    Ok((candidate, bytes))
}

fn must_be_of(candidate: &Candidate, expected: PublicKey, path: &Path) -> Result<(), Failure> {
    let found = candidate.public_key;
    if found == expected {
        return Ok(());
    }
    Err(Failure::ContactOfAnother {
        path: path.to_path_buf(),
        found,
        expected,
    })
}

impl Update {
    async fn run(&self) -> Result<(), Failure> {
        let (candidate, contact) = contact(&self.contact)?;
        let session = self.sending.open()?;
        let operator = session.address();
        let state = session.contracts.latest().await.map_err(Box::new)?;
        let record = state.operator(operator).await.map_err(Box::new)?;
        let record = record.ok_or(Failure::L1NoOperator { operator })?;
        // With the transport key of another member key nobody could reach it.
        must_be_of(&candidate, record.member, &self.contact)?;
        session.send(session.deployment().update(contact)).await
    }
}

impl Operator {
    /// Do it.
    pub async fn run(&self) -> Result<(), Failure> {
        match self {
            Self::Register(register) => register.run().await,
            Self::Update(update) => update.run().await,
            Self::Rotate(rotate) => rotate.run().await,
            Self::Enlist(enlist) => enlist.run().await,
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
        must_be_of(&candidate, key.public_key(), &self.contact)?;
        let session = self.sending.open()?;
        let call = session
            .deployment()
            .register(session.address(), &key, &attester, contact)?;
        session.send(call).await
    }
}
