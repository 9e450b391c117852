//! The folder of a committee on one machine: `committee.json`, and `member-N/` with key, configuration, data and log.

use crate::failure::Failure;
use crate::keys::transport_key;
use outrider_ethereum::attestation::AttesterKey;
use outrider_node::committee_file::CommitteeFile;
use outrider_node::config::{NodeConfig, to_toml};
use outrider_node::durable::begin_journal;
use outrider_node::keys;
use outrider_node::member::MemberError;
use outrider_types::{
    ChainId, Committee, Contact, Epoch, Member, MemberIndex, SecretKey, Stake, TransportKey,
};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// Name of the committee file.
pub const COMMITTEE_FILE: &str = "committee.json";
/// Name of the file that says where the contracts are.
pub const L1_FILE: &str = "l1.json";
/// Most members of one such folder: they all run on one machine.
pub const MEMBERS_MAX: u16 = 64;

/// Name of a member's key file.
pub const KEY_FILE: &str = "member.key";
/// Name of a member's configuration.
pub const CONFIG_FILE: &str = "outrider.toml";
/// Where the data is, seen from the configuration.
const DATA: &str = "data";

/// What a new network is, beside its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Genesis {
    /// Its id.
    pub chain: ChainId,
    /// Length of every epoch in blocks; 0: the first one never ends.
    pub epoch_blocks: u64,
    /// Names of members in the order in which they take turns; none: the order of the members.
    pub ring: Vec<String>,
    /// URL of the settlement chain, if there is one.
    pub l1: Option<String>,
}

impl Genesis {
    fn committee(&self, members: Vec<Member>) -> Result<Committee, Failure> {
        let names: Vec<String> = (0..members.len()).map(name).collect();
        let ring = self
            .ring
            .iter()
            .map(|wanted| place(&names, wanted))
            .collect::<Result<_, _>>()?;
        let committee = Committee::new(self.chain, Epoch(0), members, None)?;
        Ok(committee
            .with_epoch_blocks(self.epoch_blocks)
            .with_ring(ring)?)
    }
}

/// The place of a name.
pub fn place(names: &[String], wanted: &str) -> Result<MemberIndex, Failure> {
    names
        .iter()
        .position(|name| name == wanted)
        .and_then(|at| u16::try_from(at).ok())
        .map(MemberIndex)
        .ok_or_else(|| Failure::Name {
            name: wanted.to_owned(),
            known: names.join(", "),
        })
}

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
    /// Its key file.
    pub key: PathBuf,
    /// URLs of the settlement chain, if there is one.
    pub l1: Vec<String>,
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

/// An option and its value.
pub type Given = (&'static str, String);

impl Network {
    /// Whether there is a committee in a folder.
    pub fn exists(dir: &Path) -> bool {
        dir.join(COMMITTEE_FILE).exists()
    }

    /// Make keys, configurations and vote journals. Nothing is overwritten; the committee file is written last, so that an
    /// interrupted creation is no committee.
    pub fn create(dir: &Path, genesis: &Genesis, ports: &[Ports]) -> Result<(), Failure> {
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
        let keys = ports
            .iter()
            .map(|_| keys::generate())
            .collect::<Result<Vec<_>, _>>()?;
        let committee = genesis.committee(keys.iter().map(member_of).collect())?;
        fs::create_dir_all(dir).map_err(Failure::file("create the folder", dir))?;
        let mut entries = Vec::new();
        for (index, ((folder, ports), key)) in folders.iter().zip(ports).zip(&keys).enumerate() {
            let committee_file = Path::new("..").join(COMMITTEE_FILE);
            let l1 = genesis.l1.as_deref().map_or_else(Vec::new, quick_l1);
            create_member(folder, key, *ports, (&committee_file, &committee), &l1)?;
            let attester = AttesterKey::of_seed(&key.seed()).attester();
            let attester = genesis.l1.is_some().then_some(attester);
            entries.push(Contact {
                attester,
                ..contact(name(index), key, *ports)
            });
        }
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

/// Make the folder of a member with a new key: the key, a configuration, and a vote journal, which says that the key has
/// never signed anything. `more` is what its configuration says besides.
pub fn create_member(
    folder: &Path,
    key: &SecretKey,
    ports: Ports,
    (committee_file, committee): (&Path, &Committee),
    more: &[Given],
) -> Result<(), Failure> {
    fs::create_dir(folder).map_err(Failure::file("create the folder", folder))?;
    keys::write(&folder.join(KEY_FILE), key)?;
    let config = folder.join(CONFIG_FILE);
    let follow = committee.index_of(&key.public_key()).is_none();
    let text = config_text(ports, committee_file, follow, more);
    fs::write(&config, text).map_err(Failure::file("write", &config))?;
    let data = folder.join(DATA);
    fs::create_dir(&data).map_err(Failure::file("create the folder", &data))?;
    Ok(begin_journal(&data.join("journal"), committee).map_err(MemberError::from)?)
}

/// Where a member of such a folder is.
pub fn contact(name: String, key: &SecretKey, ports: Ports) -> Contact {
    Contact {
        name,
        transport_key: TransportKey(transport_key(key)),
        address: local(ports.p2p),
        rpc: Some(format!("http://{}", local(ports.rpc))),
        attester: None,
    }
}

fn member_of(key: &SecretKey) -> Member {
    Member {
        public_key: key.public_key(),
        stake: Stake(1),
    }
}

fn member(dir: &Path, index: usize) -> Result<MemberFiles, Failure> {
    let folder = dir.join(name(index));
    let path = folder.join(CONFIG_FILE);
    let config = NodeConfig::load(&path, [], &[])?;
    Ok(MemberFiles {
        name: name(index),
        config: path,
        data: config.node.data_dir,
        log: folder.join("outrider.log"),
        pid: folder.join("pid"),
        rpc: config.rpc.listen,
        metrics: config.metrics.listen,
        key: config.node.key,
        l1: config.l1.urls(),
    })
}

fn name(index: usize) -> String {
    format!("member-{index}")
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// A chain on this machine is quick, and a devnet should show in seconds what takes minutes elsewhere.
fn quick_l1(url: &str) -> Vec<Given> {
    vec![
        ("l1.endpoints", url.to_owned()),
        ("l1.network", format!("../{L1_FILE}")),
        ("l1.poll_ms", "500".to_owned()),
        ("l1.lag_ms", "1500".to_owned()),
        ("l1.settle_s", "4".to_owned()),
        ("l1.settle_latest_s", "60".to_owned()),
        ("l1.fallback_s", "4".to_owned()),
    ]
}

fn config_text(ports: Ports, committee_file: &Path, follow: bool, more: &[Given]) -> String {
    let mut given = vec![
        ("node.data_dir", DATA.to_owned()),
        ("node.committee", committee_file.display().to_string()),
        ("node.key", KEY_FILE.to_owned()),
        ("node.follow", follow.to_string()),
        ("p2p.listen", local(ports.p2p).to_string()),
        ("rpc.listen", local(ports.rpc).to_string()),
        ("metrics.listen", local(ports.metrics).to_string()),
    ];
    given.extend_from_slice(more);
    to_toml(&given)
}

#[cfg(test)]
mod tests {
    use super::*;
    use outrider_storage::{FileJournal, Journal as _, JournalOptions};
    use outrider_types::SafetyState;

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

    fn genesis() -> Genesis {
        Genesis {
            l1: None,
            chain: ChainId(5),
            epoch_blocks: 30,
            ring: ["member-2", "member-0", "member-3", "member-1"]
                .map(str::to_owned)
                .to_vec(),
        }
    }

    #[test]
    fn folder_is_read_back_as_it_was_made() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!Network::exists(dir.path()));
        Network::create(dir.path(), &genesis(), &ports(9_000)).unwrap();
        let network = Network::open(dir.path()).unwrap();
        let file = CommitteeFile::load(&dir.path().join(COMMITTEE_FILE)).unwrap();
        assert_eq!(file.committee.chain(), ChainId(5));
        assert_eq!(file.committee.epoch_blocks(), Some(30));
        assert_eq!(file.committee.ring(), [2, 0, 3, 1].map(MemberIndex));
        assert_eq!(network.members.len(), 4);
        assert_eq!(network.members[2].rpc_url(), "http://127.0.0.1:9007");
        assert_eq!(network.members[3].metrics.port(), 9_011);
        assert_eq!(network.members[1].data, dir.path().join("member-1/data"));
        // Every member may vote at once: its journal says that it has signed nothing.
        for member in &network.members {
            let journal = member.data.join("journal");
            let journal = FileJournal::open(&journal, JournalOptions::default()).unwrap();
            let fresh = SafetyState::new(&file.committee);
            assert_eq!(journal.latest(), Some(&fresh.to_bytes()[..]));
        }
    }

    #[test]
    fn ring_names_every_member_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut wrong = genesis();
        wrong.ring[0] = "member-9".to_owned();
        let error = Network::create(dir.path(), &wrong, &ports(9_000)).unwrap_err();
        assert!(
            matches!(error, Failure::Name { ref name, .. } if name == "member-9"),
            "{error}"
        );
        wrong.ring[0] = "member-0".to_owned();
        let error = Network::create(dir.path(), &wrong, &ports(9_000)).unwrap_err();
        assert!(matches!(error, Failure::NoCommittee(_)), "{error}");
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            0,
            "nothing is left behind"
        );
    }

    #[test]
    fn nothing_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        Network::create(dir.path(), &genesis(), &ports(9_000)).unwrap();
        let before = fs::read(dir.path().join(COMMITTEE_FILE)).unwrap();
        let again = Network::create(dir.path(), &genesis(), &ports(9_000));
        assert!(matches!(again, Err(Failure::Exists(_))));
        assert_eq!(fs::read(dir.path().join(COMMITTEE_FILE)).unwrap(), before);
        fs::remove_file(dir.path().join(COMMITTEE_FILE)).unwrap();
        let again = Network::create(dir.path(), &genesis(), &ports(9_000));
        assert!(matches!(again, Err(Failure::Exists(path)) if path.ends_with("member-0")));
    }
}
