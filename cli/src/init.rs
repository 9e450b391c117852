//! `outrider init`: keys, committee file and a folder per member; or the folder of one new member of a network.

use crate::candidate::Candidate;
use crate::failure::Failure;
use crate::folder::{
    COMMITTEE_FILE, CONFIG_FILE, Genesis, Given, KEY_FILE, L1_FILE, MEMBERS_MAX, Network, Ports,
    contact, create_member,
};
use crate::output::say;
use clap::Args;
use outrider_l1::deployment::Deployment;
use outrider_l1::endpoints::{AgreementLimits, Endpoints};
use outrider_node::committee_file::CommitteeFile;
use outrider_node::keys;
use outrider_types::ChainId;
use std::fs;
use std::path::{Path, PathBuf};

/// The chain id of a network that names none.
pub const CHAIN_DEFAULT: u64 = 7_777;

/// Name of the file by which a new member is proposed.
const CANDIDATE_FILE: &str = "candidate.json";

/// Make keys, a committee file and a folder with a commented configuration for each member. With --join, make the folder of
/// one new member of a network that exists.
#[derive(Debug, Args)]
pub struct Init {
    /// How many members; with 4, one may be Byzantine.
    #[arg(long, required_unless_present = "join", conflicts_with = "join", value_parser = clap::value_parser!(u16).range(1..=i64::from(MEMBERS_MAX)))]
    members: Option<u16>,
    /// The folder; nothing in it is overwritten. With --join, the member's own folder.
    #[arg(long)]
    dir: PathBuf,
    /// The id of this Outrider network, in everything that members sign.
    #[arg(long, default_value_t = CHAIN_DEFAULT, conflicts_with = "join")]
    chain_id: u64,
    /// Length of an epoch in blocks: the committee can change at the end of each. 0: the first epoch never ends.
    #[arg(long, default_value_t = 0, conflicts_with = "join")]
    epoch_blocks: u64,
    /// The order in which members take turns, as member-2,member-0,..: neighbours in network latency follow each other.
    #[arg(long, value_delimiter = ',', conflicts_with = "join")]
    ring: Vec<String>,
    /// Ports from here on: for each member p2p, RPC, metrics, on 127.0.0.1.
    #[arg(long, default_value_t = 9_600, value_parser = clap::value_parser!(u16).range(1..))]
    base_port: u16,
    /// Make a folder for one new member of the network of --committee. It votes once a committee has it in.
    #[arg(long, requires = "committee", requires = "name")]
    join: bool,
    /// With --join: the committee file that the network began with.
    #[arg(long, requires = "join")]
    committee: Option<PathBuf>,
    /// With --join: what people call the member.
    #[arg(long, requires = "join")]
    name: Option<String>,
    /// With --join, if the network settles on L1: the network file, which is copied to where the member looks for it.
    #[arg(long, requires = "join", requires = "l1")]
    network: Option<PathBuf>,
    /// With --network: URLs of L1 endpoints, with commas between; best three of different operators.
    #[arg(long, requires = "network", value_delimiter = ',')]
    l1: Vec<String>,
}

impl Init {
    /// Do it.
    pub fn run(&self) -> Result<(), Failure> {
        if let (Some(committee), Some(name)) = (&self.committee, &self.name) {
            return self.join(committee, name);
        }
        let members = usize::from(self.members.unwrap_or_default());
        let ports = ports(self.base_port, members)?;
        let genesis = Genesis {
            chain: ChainId(self.chain_id),
            epoch_blocks: self.epoch_blocks,
            ring: self.ring.clone(),
            l1: None,
        };
        Network::create(&self.dir, &genesis, &ports)?;
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

    fn join(&self, committee: &Path, name: &str) -> Result<(), Failure> {
        let file = CommitteeFile::load(committee)?;
        if self.dir.exists() {
            return Err(Failure::Exists(self.dir.clone()));
        }
        let ports = ports(self.base_port, 1)?[0];
        let deployment = self.network.as_deref().map(Deployment::load).transpose()?;
        let l1: Vec<Given> = deployment.map_or_else(Vec::new, |_| {
            let network = ("l1.network", L1_FILE.to_owned());
            vec![("l1.endpoints", self.l1.join(",")), network]
        });
        if let Some(deployment) = deployment {
            Endpoints::new(&self.l1, deployment.l1_chain, AgreementLimits::default())?;
        }
        let key = keys::generate()?;
        let candidate = Candidate {
            public_key: key.public_key(),
            contact: contact(name.to_owned(), &key, ports),
        };
        candidate.check()?;
        if let Some(parent) = self.dir.parent() {
            fs::create_dir_all(parent).map_err(Failure::file("create the folder", parent))?;
        }
        create_member(
            &self.dir,
            &key,
            ports,
            (Path::new(COMMITTEE_FILE), &file.committee),
            &l1,
        )?;
        if let Some(deployment) = deployment {
            deployment.save(&self.dir.join(L1_FILE))?;
        }
        let own = self.dir.join(COMMITTEE_FILE);
        fs::write(&own, file.to_json()).map_err(Failure::file("write", &own))?;
        let proposal = self.dir.join(CANDIDATE_FILE);
        fs::write(&proposal, candidate.to_json()).map_err(Failure::file("write", &proposal))?;
        let config = self.dir.join(CONFIG_FILE);
        if deployment.is_some() {
            say!(
                "register   outrider operator register --key {} --contact {} ..",
                self.dir.join(KEY_FILE).display(),
                proposal.display()
            );
        } else {
            say!(
                "propose    outrider committee propose --add {} ..",
                proposal.display()
            );
        }
        say!("start      outrider start --config {}", config.display());
        say!(
            "change p2p.listen there, and the address in {CANDIDATE_FILE}, if others are not on this machine"
        );
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
    use alloy_primitives::Address;

    #[test]
    fn joining_member_has_a_key_a_journal_and_a_candidacy() {
        let dir = tempfile::tempdir().unwrap();
        let net = dir.path().join("net");
        let genesis = Genesis {
            l1: None,
            chain: ChainId(5),
            epoch_blocks: 30,
            ring: Vec::new(),
        };
        Network::create(&net, &genesis, &ports(9_600, 4).unwrap()).unwrap();
        let init = Init {
            members: None,
            dir: dir.path().join("new"),
            chain_id: CHAIN_DEFAULT,
            epoch_blocks: 0,
            ring: Vec::new(),
            base_port: 9_700,
            join: true,
            committee: Some(net.join(COMMITTEE_FILE)),
            name: Some("eve".to_owned()),
            network: Some(dir.path().join("network.json")),
            l1: ["https://one.example/key", "http://127.0.0.1:1"]
                .map(str::to_owned)
                .into(),
        };
        let deployer = Address::repeat_byte(1);
        let deployment = Deployment::predicted(1, ChainId(5), 7, deployer, 0);
        deployment.save(&dir.path().join("network.json")).unwrap();
        init.run().unwrap();
        let candidate = Candidate::load(&init.dir.join(CANDIDATE_FILE)).unwrap();
        let key = keys::load(&init.dir.join(crate::folder::KEY_FILE)).unwrap();
        assert_eq!(candidate.public_key, key.public_key());
        assert_eq!(candidate.contact.name, "eve");
        assert_eq!(candidate.contact.address.port(), 9_700);
        let config = init.dir.join(CONFIG_FILE);
        let config = outrider_node::config::NodeConfig::load(&config, [], &[]).unwrap();
        assert_eq!(
            CommitteeFile::load(&config.node.committee).unwrap(),
            CommitteeFile::load(&net.join(COMMITTEE_FILE)).unwrap()
        );
        assert!(config.node.data_dir.join("journal").exists());
        assert_eq!(config.l1.urls(), init.l1);
        assert_eq!(Deployment::load(&config.l1.network).unwrap(), deployment);
        assert!(matches!(init.run(), Err(Failure::Exists(_))));
    }

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
