//! `outrider keys`: make or show a member's key, and what others need to know of it.

use crate::candidate::Candidate;
use crate::failure::Failure;
use crate::output::say;
use crate::password::PasswordFrom;
use clap::Subcommand;
use outrider_ethereum::attestation::AttesterKey;
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
        /// Encrypt it with a password (EIP-2335).
        #[arg(long)]
        encrypt: bool,
        #[command(flatten)]
        password: PasswordFrom,
    },
    /// Write a key file anew, encrypted with a password (EIP-2335). The old file stays: remove it when the new one opens.
    Encrypt {
        /// The key file.
        file: PathBuf,
        /// The file to write.
        #[arg(long)]
        out: PathBuf,
        #[command(flatten)]
        password: PasswordFrom,
    },
    /// Write an encrypted key file anew, without a password.
    Decrypt {
        /// The key file.
        file: PathBuf,
        /// The file to write.
        #[arg(long)]
        out: PathBuf,
        #[command(flatten)]
        password: PasswordFrom,
    },
    /// Print the public keys of a key file.
    Show {
        /// The file.
        file: PathBuf,
        #[command(flatten)]
        password: PasswordFrom,
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
        #[command(flatten)]
        password: PasswordFrom,
    },
}

impl Keys {
    /// Do it.
    pub fn run(&self) -> Result<(), Failure> {
        let key = match self {
            Self::New {
                out,
                encrypt,
                password,
            } => {
                let key = keys::generate()?;
                if *encrypt {
                    keys::write_encrypted(out, &key, &password.choose(out)?)?;
                } else {
                    keys::write(out, &key)?;
                }
                key
            }
            Self::Encrypt {
                file,
                out,
                password,
            } => {
                let key = keys::load(file)?;
                keys::write_encrypted(out, &key, &password.choose(out)?)?;
                key
            }
            Self::Decrypt {
                file,
                out,
                password,
            } => {
                let key = password.load(file)?;
                keys::write(out, &key)?;
                key
            }
            Self::Show { file, password } => password.load(file)?,
            Self::Contact {
                file,
                name,
                address,
                rpc,
                password,
            } => {
                let key = password.load(file)?;
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
        let attester = AttesterKey::of_seed(&key.seed()).attester();
        say!(
            "attester       {}",
            alloy_primitives::Address::from(attester.0)
        );
        Ok(())
    }
}

/// The public transport key of a member's key.
pub fn transport_key(key: &SecretKey) -> [u8; 32] {
    transport_public_key(&transport_seed(&key.seed()))
}
