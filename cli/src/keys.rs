//! `outrider keys`: make or show a member's key.

use crate::failure::Failure;
use crate::output::say;
use clap::Subcommand;
use outrider_network::{transport_public_key, transport_seed};
use outrider_node::keys;
use outrider_types::SecretKey;
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
