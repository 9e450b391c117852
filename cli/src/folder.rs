//! The folder of a committee on one machine: `committee.json`, and `member-N/` with key, configuration, data and log.

use crate::failure::Failure;
use crate::keys::transport_key;
use outrider_node::committee_file::CommitteeFile;
use outrider_node::config::{NodeConfig, to_toml};
use outrider_node::keys;
use outrider_types::{ChainId, Committee, Contact, Epoch, Member, Stake, TransportKey};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// Name of the committee file.
pub const COMMITTEE_FILE: &str = "committee.json";
/// Most members of one such folder: they all run on one machine.
pub const MEMBERS_MAX: u16 = 64;

/// The ports of one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// For other members.
    pub p2p: u16,
    /// JSON-RPC.
    pub rpc: u16,
    /// Prometheus.
    pub metrics: u16,
}

/// A committee in a folder.
#[derive(Debug)]
pub struct Network {
    /// The folder.
    pub dir: PathBuf,
    /// Its members, in order.
    pub members: Vec<MemberFiles>,
}

/// Where a member of the folder is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberFiles {
    /// Its name and the name of its folder.
    pub name: String,
    /// Its configuration.
    pub config: PathBuf,
    /// Its data.
    pub data: PathBuf,
    /// Its log.
    pub log: PathBuf,
    /// Its process id while it runs.
    pub pid: PathBuf,
    /// Its JSON-RPC.
    pub rpc: SocketAddr,
    /// Its metrics.
    pub metrics: SocketAddr,
}

impl MemberFiles {
    /// The address of its RPC.
    pub fn rpc_url(&self) -> String {
        format!("http://{}", self.rpc)
    }

    /// The address of its metrics.
    pub fn metrics_url(&self) -> String {
        format!("http://{}/metrics", self.metrics)
    }
}

impl Network {
    /// Whether there is a committee in a folder.
    pub fn exists(dir: &Path) -> bool {
        dir.join(COMMITTEE_FILE).exists()
    }

    /// Make keys and configurations. Nothing is overwritten; the committee file is written last, so that an interrupted
    /// creation is no committee.
    pub fn create(dir: &Path, chain: ChainId, ports: &[Ports]) -> Result<(), Failure> {
        let committee_path = dir.join(COMMITTEE_FILE);
        let folders: Vec<PathBuf> = (0..ports.len())
            .map(|index| dir.join(name(index)))
            .collect();
        if let Some(there) = folders
            .iter()
            .chain([&committee_path])
            .find(|path| path.exists())
        {
            return Err(Failure::Exists(there.clone()));
        }
        fs::create_dir_all(dir).map_err(Failure::file("create the folder", dir))?;
        let (mut members, mut entries) = (Vec::new(), Vec::new());
        for (index, (folder, ports)) in folders.iter().zip(ports).enumerate() {
            fs::create_dir(folder).map_err(Failure::file("create the folder", folder))?;
            let key = keys::generate()?;
            keys::write(&folder.join("member.key"), &key)?;
            let config = folder.join("outrider.toml");
            fs::write(&config, config_text(*ports)).map_err(Failure::file("write", &config))?;
            members.push(Member {
                public_key: key.public_key(),
                stake: Stake(1),
            });
            entries.push(Contact {
                name: name(index),
                transport_key: TransportKey(transport_key(&key)),
                address: local(ports.p2p),
                rpc: Some(format!("http://{}", local(ports.rpc))),
            });
        }
        let committee = Committee::new(chain, Epoch(0), members, None)?;
        let file = CommitteeFile {
            committee,
            members: entries,
            rollups: None,
        };
        fs::write(&committee_path, file.to_json()).map_err(Failure::file("write", &committee_path))
    }

    /// Read a folder that was created.
    pub fn open(dir: &Path) -> Result<Self, Failure> {
        let file = CommitteeFile::load(&dir.join(COMMITTEE_FILE))?;
        let members = (0..file.members.len())
            .map(|index| member(dir, index))
            .collect::<Result<_, Failure>>()?;
        Ok(Self {
            dir: dir.to_path_buf(),
            members,
        })
    }
}

fn member(dir: &Path, index: usize) -> Result<MemberFiles, Failure> {
    let folder = dir.join(name(index));
    let path = folder.join("outrider.toml");
    let config = NodeConfig::load(&path, [], &[])?;
    Ok(MemberFiles {
        name: name(index),
        config: path,
        data: config.node.data_dir,
        log: folder.join("outrider.log"),
        pid: folder.join("pid"),
        rpc: config.rpc.listen,
        metrics: config.metrics.listen,
    })
}

fn name(index: usize) -> String {
    format!("member-{index}")
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn config_text(ports: Ports) -> String {
    to_toml(&[
        ("node.data_dir", "data".to_owned()),
        ("node.committee", format!("../{COMMITTEE_FILE}")),
        ("node.key", "member.key".to_owned()),
        ("p2p.listen", local(ports.p2p).to_string()),
        ("rpc.listen", local(ports.rpc).to_string()),
        ("metrics.listen", local(ports.metrics).to_string()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(base: u16) -> Vec<Ports> {
        (0..4)
            .map(|i| base + 3 * i)
            .map(|p2p| Ports {
                p2p,
                rpc: p2p + 1,
                metrics: p2p + 2,
            })
            .collect()
    }

    #[test]
    fn folder_is_read_back_as_it_was_made() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!Network::exists(dir.path()));
        Network::create(dir.path(), ChainId(5), &ports(9_000)).unwrap();
        let network = Network::open(dir.path()).unwrap();
        let file = CommitteeFile::load(&dir.path().join(COMMITTEE_FILE)).unwrap();
        assert_eq!(file.committee.chain(), ChainId(5));
        assert_eq!(network.members.len(), 4);
        assert_eq!(network.members[2].rpc_url(), "http://127.0.0.1:9007");
        assert_eq!(network.members[3].metrics.port(), 9_011);
        assert_eq!(network.members[1].data, dir.path().join("member-1/data"));
    }

    #[test]
    fn nothing_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        Network::create(dir.path(), ChainId(5), &ports(9_000)).unwrap();
        let before = fs::read(dir.path().join(COMMITTEE_FILE)).unwrap();
        let again = Network::create(dir.path(), ChainId(5), &ports(9_000));
        assert!(matches!(again, Err(Failure::Exists(_))));
        assert_eq!(fs::read(dir.path().join(COMMITTEE_FILE)).unwrap(), before);
        fs::remove_file(dir.path().join(COMMITTEE_FILE)).unwrap();
        let again = Network::create(dir.path(), ChainId(5), &ports(9_000));
        assert!(matches!(again, Err(Failure::Exists(path)) if path.ends_with("member-0")));
    }
}
