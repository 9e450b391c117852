//! `outrider keys`: make or show a member's key, and what others need to know of it.

use crate::candidate::Candidate;
use crate::failure::Failure;
use crate::output::say;
use clap::Subcommand;
use outrider_network::{transport_public_key, transport_seed};
use outrider_node::keys;
use outrider_types::{Contact, SecretKey, TransportKey};
use std::net::SocketAddr;
use std::path::PathBuf;

/// What to do with a key.
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Make a new key. An existing file is never overwritten.
    New {
        /// The file to write, readable by its owner only.
        #[arg(long)]
        out: PathBuf,
    },
    /// Print the public keys of a key file.
    Show {
        /// The file.
        file: PathBuf,
    },
    /// Print what others need to have a member in a committee, as JSON: for `outrider committee propose --add` or --replace.
    Contact {
        /// The key file.
        file: PathBuf,
        /// What people call the member.
        #[arg(long)]
        name: String,
        /// Where other members connect to, as 192.0.2.7:9600.
        #[arg(long)]
        address: SocketAddr,
        /// Where users connect to, if it serves them, as http://192.0.2.7:9601.
        #[arg(long)]
        rpc: Option<String>,
    },
}

impl Keys {
    /// Do it.
    pub fn run(&self) -> Result<(), Failure> {
        let key = match self {
            Self::New { out } => {
                let key = keys::generate()?;
                keys::write(out, &key)?;
                key
            }
            Self::Show { file } => keys::load(file)?,
            Self::Contact {
                file,
                name,
                address,
                rpc,
            } => {
                let key = keys::load(file)?;
                let contact = Contact {
                    name: name.clone(),
                    transport_key: TransportKey(transport_key(&key)),
                    address: *address,
                    rpc: rpc.clone(),
                    attester: None,
                };
                let public_key = key.public_key();
                let candidate = Candidate {
                    public_key,
                    contact,
                };
                candidate.check()?;
                say!("{}", candidate.to_json().trim_end());
                return Ok(());
            }
        };
        say!("public key     {}", key.public_key());
        say!("transport key  {}", hex::encode(transport_key(&key)));
        Ok(())
    }
}

/// The public transport key of a member's key.
pub fn transport_key(key: &SecretKey) -> [u8; 32] {
    transport_public_key(&transport_seed(&key.seed()))
}
