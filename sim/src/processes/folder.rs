//! A committee in a folder, made by the binary's own `outrider init`, in which each member finds the others at proxies.
//!
//! Addresses are no part of a committee's identity, so each member gets a committee file of its own: the same
//! committee, other addresses.

use super::ProcessesError;
use super::proxy::Proxies;
use crate::rng::Stream;
use outrider_node::committee_file::CommitteeFile;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

/// Ports of a member: p2p, RPC, metrics.
const PORTS_EACH: u16 = 3;
/// The first port that is tried.
const PORT_FIRST: u16 = 10_000;
/// Used if the system does not say where its ephemeral ports begin. Ours are below: members dial all the time, and the
/// port of a member that is down must not go to such a connection.
const EPHEMERAL_FIRST_DEFAULT: u16 = 32_768;
/// How often ports are looked for.
const TRIES_MAX: u32 = 1_024;

/// A committee in a folder.
#[derive(Debug)]
pub struct Folder {
    /// Where.
    pub dir: PathBuf,
    /// Committee and true addresses.
    pub file: CommitteeFile,
    /// Its members, in order.
    pub members: Vec<MemberFiles>,
}

/// What belongs to a member.
#[derive(Clone, Debug)]
pub struct MemberFiles {
    /// Its name and that of its folder.
    pub name: String,
    /// Its configuration.
    pub config: PathBuf,
    /// Its own committee file.
    pub committee: PathBuf,
    /// Its log.
    pub log: PathBuf,
    /// Its JSON-RPC.
    pub rpc: String,
}

impl Folder {
    /// Make it, with new keys, on free ports.
    pub async fn create(
        program: &Path,
        dir: &Path,
        members: usize,
        epoch_blocks: u64,
    ) -> Result<Self, ProcessesError> {
        let dir = std::path::absolute(dir).map_err(ProcessesError::file("find", dir))?;
        let init = Command::new(program)
            .args(["init", "--members", &members.to_string(), "--dir"])
            .arg(&dir)
            .args(["--base-port", &free_ports(members)?.to_string()])
            .args(["--epoch-blocks", &epoch_blocks.to_string()])
            .stdin(Stdio::null())
            .output()
            .await
            .map_err(ProcessesError::file("start", program))?;
        if !init.status.success() {
            let said = String::from_utf8_lossy(&init.stderr).trim().to_owned();
            return Err(ProcessesError::Init { dir, said });
        }
        let file = CommitteeFile::load(&dir.join("committee.json"))?;
        let files = |(name, rpc): (&String, String)| {
            let folder = dir.join(name);
            MemberFiles {
                name: name.clone(),
                config: folder.join("outrider.toml"),
                committee: folder.join("committee.json"),
                log: folder.join("outrider.log"),
                rpc,
            }
        };
        let members = file.members.iter().filter_map(|contact| {
            // `init` names the RPC of every member.
            Some(files((&contact.name, contact.rpc.clone()?)))
        });
        Ok(Self {
            members: members.collect(),
            dir: dir.clone(),
            file,
        })
    }

    /// Where the members listen for each other.
    #[must_use]
    pub fn targets(&self) -> Vec<SocketAddr> {
        let contacts = self.file.members.iter();
        contacts.map(|contact| contact.address).collect()
    }

    /// Write each member's own committee file, with the proxies in the places of the others.
    pub fn divert(&self, proxies: &Proxies) -> Result<(), ProcessesError> {
        for (from, files) in self.members.iter().enumerate() {
            let path = &files.committee;
            std::fs::write(path, diverted(&self.file, from, proxies).to_json())
                .map_err(ProcessesError::file("write", path))?;
        }
        Ok(())
    }
}

fn diverted(file: &CommitteeFile, from: usize, proxies: &Proxies) -> CommitteeFile {
    let mut own = file.clone();
    for (to, contact) in own.members.iter_mut().enumerate() {
        contact.address = proxies.address(from, to);
    }
    own
}

/// The first of so many ports in a row as `init` needs, all free now.
fn free_ports(members: usize) -> Result<u16, ProcessesError> {
    let count = u16::try_from(members).unwrap_or(u16::MAX);
    let count = count.saturating_mul(PORTS_EACH);
    let end = ephemeral_first().max(PORT_FIRST + 4_096);
    let room = u64::from((end - PORT_FIRST).saturating_sub(count));
    // Another process looks elsewhere.
    let mut stream = Stream::new(u64::from(std::process::id()), "processes ports");
    for _ in 0..TRIES_MAX {
        let base = PORT_FIRST + u16::try_from(stream.below(room)).unwrap_or(0);
        // Held until all are found free.
        let bound: Result<Vec<TcpListener>, _> = (base..base + count)
            .map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)))
            .collect();
        if bound.is_ok() {
            return Ok(base);
        }
    }
    Err(ProcessesError::Ports { count })
}

fn ephemeral_first() -> u16 {
    std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|text| text.split_whitespace().next()?.parse().ok())
        .unwrap_or(EPHEMERAL_FIRST_DEFAULT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use outrider_types::{
        ChainId, Committee, Contact, Epoch, Member, SecretKey, Stake, TransportKey,
    };

    #[test]
    fn ports_in_a_row_are_free() {
        let base = free_ports(4).unwrap();
        assert!(base >= PORT_FIRST);
        for port in base..base + 4 * PORTS_EACH {
            drop(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap());
        }
    }

    #[tokio::test]
    async fn diverted_committee_is_the_same_one_at_other_addresses() {
        let members = (0..3).map(|index| Member {
            public_key: SecretKey::from_seed(&[index + 1; 32]).public_key(),
            stake: Stake(1),
        });
        let contacts = (0..3_u8).map(|index| Contact {
            name: format!("member-{index}"),
            transport_key: TransportKey(outrider_network::transport_public_key(&[index; 32])),
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 9_000 + u16::from(index))),
            rpc: None,
            attester: None,
        });
        let file = CommitteeFile {
            committee: Committee::new(ChainId(1), Epoch(0), members.collect(), None).unwrap(),
            members: contacts.collect(),
            rollups: None,
        };
        let targets: Vec<_> = file.members.iter().map(|contact| contact.address).collect();
        let proxies = Proxies::start(&targets).await.unwrap();
        let own = diverted(&file, 1, &proxies);
        own.check().unwrap();
        assert_eq!(own.committee.id(), file.committee.id());
        assert_eq!(own.members[1], file.members[1]);
        for to in [0, 2] {
            assert_eq!(own.members[to].address, proxies.address(1, to));
            assert_ne!(own.members[to].address, targets[to]);
            // Nobody shares a proxy, so it is known who dials.
            assert_ne!(proxies.address(1, to), proxies.address(2 - to, to));
        }
    }
}
