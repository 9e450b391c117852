//! `outrider init`: keys, committee file and a folder per member.

use crate::failure::Failure;
use crate::folder::{COMMITTEE_FILE, MEMBERS_MAX, Network, Ports};
use crate::output::say;
use clap::Args;
use outrider_types::ChainId;
use std::path::PathBuf;

/// The chain id of a network that names none.
pub const CHAIN_DEFAULT: u64 = 7_777;

/// Make keys, a committee file and a folder with a commented configuration for each member.
#[derive(Debug, Args)]
pub struct Init {
    /// How many members; with 4, one may be Byzantine.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=i64::from(MEMBERS_MAX)))]
    members: u16,
    /// The folder; nothing in it is overwritten.
    #[arg(long)]
    dir: PathBuf,
    /// The id of this Outrider network, in everything that members sign.
    #[arg(long, default_value_t = CHAIN_DEFAULT)]
    chain_id: u64,
    /// Ports from here on: for each member p2p, RPC, metrics, on 127.0.0.1.
    #[arg(long, default_value_t = 9_600, value_parser = clap::value_parser!(u16).range(1..))]
    base_port: u16,
}

impl Init {
    /// Do it.
    pub fn run(&self) -> Result<(), Failure> {
        let ports = ports(self.base_port, usize::from(self.members))?;
        Network::create(&self.dir, ChainId(self.chain_id), &ports)?;
        let network = Network::open(&self.dir)?;
        say!("committee  {}", self.dir.join(COMMITTEE_FILE).display());
        for member in &network.members {
            say!(
                "start      outrider start --config {}",
                member.config.display()
            );
        }
        Ok(())
    }
}

fn ports(base: u16, members: usize) -> Result<Vec<Ports>, Failure> {
    let needed = members * 3;
    let numbers: Vec<u16> = (base..=u16::MAX).take(needed).collect();
    if numbers.len() < needed {
        return Err(Failure::PortRange {
            members,
            needed,
            base,
        });
    }
    Ok(numbers
        .chunks_exact(3)
        .map(|ports| Ports {
            p2p: ports[0],
            rpc: ports[1],
            metrics: ports[2],
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_three_a_member_and_end_at_65535() {
        let found = ports(100, 2).unwrap();
        assert_eq!(
            found[1],
            Ports {
                p2p: 103,
                rpc: 104,
                metrics: 105
            }
        );
        assert!(ports(65_533, 1).is_ok());
        assert!(matches!(
            ports(65_534, 1),
            Err(Failure::PortRange { needed: 3, .. })
        ));
    }
}
