//! `outrider operator rotate`: another key file from the next snapshot on.

use super::{MemberKey, contact, must_be_of};
use crate::failure::Failure;
use crate::keys::transport_key;
use crate::l1::{Sending, Session};
use crate::output::say;
use clap::Args;
use outrider_l1::account::Account;
use outrider_l1::calls::Call;
use outrider_types::{Contact, SecretKey, TransportKey, decode, encode};
use std::path::PathBuf;

/// Use the keys of another key file from the next snapshot on.
///
/// Member key, attester key and transport key all come from the key file, so it is up to three transactions: the contact, which names the
/// transport key, the member key, and the attester. What is so already is not sent again: after a failure, run the same again.
#[derive(Debug, Args)]
pub struct Rotate {
    #[command(flatten)]
    sending: Sending,
    #[command(flatten)]
    key: MemberKey,
    /// Where the member with the new key is reached: the file that `outrider keys contact` or `outrider init --join` writes. By default where
    /// the old one is.
    #[arg(long)]
    contact: Option<PathBuf>,
}

impl Rotate {
    /// Do it.
    pub async fn run(&self) -> Result<(), Failure> {
        let (key, attester) = self.key.load()?;
        let given = match &self.contact {
            Some(path) => {
                let (candidate, bytes) = contact(path)?;
                must_be_of(&candidate, key.public_key(), path)?;
                Some(bytes)
            }
            None => None,
        };
        let session = self.sending.open()?;
        let calls = calls(&session, &key, &attester, given).await?;
        let many = calls.len();
        session.send_all(calls).await?;
        match many {
            _ if session.is_json() => Ok(()),
            0 => {
                say!("L1 has these keys and this contact already; nothing was sent");
                Ok(())
            }
            _ => advise(&session).await,
        }
    }
}

/// What is to be done now.
async fn advise(session: &Session) -> Result<(), Failure> {
    if session.is_dry_run() {
        return Ok(());
    }
    say!(
        "they count from the next snapshot on: the member with the old key must run until an epoch has begun with the new one"
    );
    let state = session.contracts.latest().await.map_err(Box::new)?;
    let outlook = state.outlook().await.map_err(Box::new)?;
    if outlook.recorded.is_some() && !outlook.is_recorded() {
        say!(
            "the committee of epoch {} was recorded before: `outrider l1 snapshot` records it anew, or they count an epoch later",
            outlook.epoch
        );
    }
    Ok(())
}

/// What is not so yet.
async fn calls(
    session: &Session,
    key: &SecretKey,
    attester: &Account,
    contact: Option<alloy_primitives::Bytes>,
) -> Result<Vec<Call>, Failure> {
    let (deployment, operator) = (session.deployment(), session.address());
    let state = session.contracts.latest().await.map_err(Box::new)?;
    let record = state.operator(operator).await.map_err(Box::new)?;
    let record = record.ok_or(Failure::L1NoOperator { operator })?;
    let contact = match contact {
        Some(contact) => contact,
        None => {
            let bytes = outrider_types::Bytes::copy_from_slice(&record.contact);
            let old: Contact = decode(bytes).map_err(|_| Failure::L1Contact { operator })?;
            let transport_key = TransportKey(transport_key(key));
            let new = Contact {
                transport_key,
                attester: None,
                ..old
            };
            encode(&new).into()
        }
    };
    // The contact first: a snapshot that comes in between can be taken anew once the keys are there, and then has the contact.
    let mut calls = Vec::new();
    if record.contact != contact {
        calls.push(deployment.update(contact));
    }
    if record.member != key.public_key() {
        calls.push(deployment.rotate(operator, key));
    }
    if record.attester != attester.address() {
        calls.push(deployment.rotate_attester(operator, attester)?);
    }
    Ok(calls)
}
