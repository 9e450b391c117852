//! The committee file: who orders, with what stake, and where they are. The same for all members, and what
//! `outrider verify --committee` takes.

use outrider_network::is_transport_key;
use outrider_types::limits::{CONTACT_NAME_BYTES_MAX, CONTACT_RPC_BYTES_MAX, MEMBERS_MAX};
use outrider_types::{Committee, CommitteeChange, Contact, RollupId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Most bytes of a committee file.
pub const COMMITTEE_FILE_BYTES_MAX: u64 = 2 * 1024 * 1024;
/// Most rollups that a committee file names.
pub const ROLLUPS_MAX: usize = 65_536;

/// The committee with all that its members need to find each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommitteeFile {
    /// Keys and stake, in member order.
    pub committee: Committee,
    /// Names and addresses, in the same order.
    pub members: Vec<Contact>,
    /// The rollups that are ordered; none: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollups: Option<BTreeSet<RollupId>>,
}

/// What is wrong with where a member is said to be.
#[must_use]
pub fn faults_of(member: usize, contact: &Contact) -> Vec<MemberFault> {
    let Contact {
        name,
        transport_key,
        address,
        rpc,
        attester: _,
    } = contact;
    let mut faults = Vec::new();
    if name.is_empty() || name.len() > CONTACT_NAME_BYTES_MAX || name.chars().any(char::is_control)
    {
        faults.push(MemberFault::Name { member });
    }
    if !is_transport_key(&transport_key.0) {
        faults.push(MemberFault::TransportKey { member });
    }
    if address.port() == 0 || address.ip().is_unspecified() {
        faults.push(MemberFault::Address {
            member,
            address: *address,
        });
    }
    if rpc
        .as_deref()
        .is_some_and(|url| !is_http(url) || url.len() > CONTACT_RPC_BYTES_MAX)
    {
        faults.push(MemberFault::Rpc { member });
    }
    faults
}

/// Why there is no committee.
#[derive(Debug, thiserror::Error)]
pub enum CommitteeFileError {
    /// The file cannot be read.
    #[error("cannot read the committee file {path}: {error}", path = path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// The file is something else.
    #[error("{path} has more than {COMMITTEE_FILE_BYTES_MAX} bytes; it is not a committee file", path = path.display())]
    TooLarge {
        /// Which.
        path: PathBuf,
    },
    /// Not JSON of this shape, or not a committee.
    #[error("{path} is not a committee file: {error}", path = path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// Where and why.
        error: serde_json::Error,
    },
    /// Everything that is wrong with its content.
    #[error("{} faults in the committee file:{}", .0.len(), list(.0))]
    Faults(Vec<MemberFault>),
}

fn list(faults: &[MemberFault]) -> String {
    faults.iter().map(|fault| format!("\n  {fault}")).collect()
}

/// One thing that is wrong in a committee file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MemberFault {
    /// The two lists do not fit.
    #[error(
        "committee.members has {committee} entries, members has {members}; they need the same members in the same order"
    )]
    Lengths {
        /// Length of the one.
        committee: usize,
        /// Length of the other.
        members: usize,
    },
    /// A name is empty, too long or not printable.
    #[error(
        "members[{member}].name is empty, not printable, or longer than {CONTACT_NAME_BYTES_MAX} bytes"
    )]
    Name {
        /// Whose.
        member: usize,
    },
    /// Two members share what each needs for itself.
    #[error("members[{first}] and members[{second}] have the same {what}; each needs its own")]
    Same {
        /// The one.
        first: usize,
        /// The other.
        second: usize,
        /// What.
        what: &'static str,
    },
    /// Nobody can connect there.
    #[error(
        "members[{member}].address is {address}, which nobody can connect to; it needs an IP of its own and a port"
    )]
    Address {
        /// Whose.
        member: usize,
        /// What it is.
        address: SocketAddr,
    },
    /// Not a key.
    #[error(
        "members[{member}].transport_key is not an Ed25519 key; `outrider keys show` prints the right one"
    )]
    TransportKey {
        /// Whose.
        member: usize,
    },
    /// Not a URL.
    #[error(
        "members[{member}].rpc is not an http:// or https:// URL of at most {CONTACT_RPC_BYTES_MAX} bytes"
    )]
    Rpc {
        /// Whose.
        member: usize,
    },
    /// Too many rollups, or none: nothing could be ordered.
    #[error(
        "rollups has {count} entries, 1 to {ROLLUPS_MAX} are allowed; leave it out to order any rollup"
    )]
    Rollups {
        /// How many.
        count: usize,
    },
}

impl CommitteeFile {
    /// Read and check a file.
    pub fn load(path: &Path) -> Result<Self, CommitteeFileError> {
        let mut text = Vec::new();
        std::fs::File::open(path)
            .and_then(|file| {
                file.take(COMMITTEE_FILE_BYTES_MAX + 1)
                    .read_to_end(&mut text)
            })
            .map_err(|error| CommitteeFileError::Read {
                path: path.to_path_buf(),
                error,
            })?;
        if text.len() as u64 > COMMITTEE_FILE_BYTES_MAX {
            return Err(CommitteeFileError::TooLarge {
                path: path.to_path_buf(),
            });
        }
        let file: Self =
            serde_json::from_slice(&text).map_err(|error| CommitteeFileError::Malformed {
                path: path.to_path_buf(),
                error,
            })?;
        file.check().map_err(CommitteeFileError::Faults)?;
        Ok(file)
    }

    /// Everything that JSON cannot check.
    pub fn check(&self) -> Result<(), Vec<MemberFault>> {
        let mut faults = Vec::new();
        let (committee, members) = (self.committee.members().len(), self.members.len());
        assert!(committee <= MEMBERS_MAX, "a committee checks its size");
        if committee != members {
            faults.push(MemberFault::Lengths { committee, members });
        }
        let (mut names, mut keys, mut addresses) =
            (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut attesters = BTreeMap::new();
        for (member, entry) in self.members.iter().enumerate() {
            faults.extend(faults_of(member, entry));
            let same = [
                (names.insert(&entry.name, member), "name"),
                (keys.insert(entry.transport_key, member), "transport_key"),
                (addresses.insert(entry.address, member), "address"),
                (
                    entry
                        .attester
                        .and_then(|attester| attesters.insert(attester, member)),
                    "attester",
                ),
            ];
            for (first, what) in same {
                faults.extend(first.map(|first| MemberFault::Same {
                    first,
                    second: member,
                    what,
                }));
            }
        }
        if let Some(rollups) = &self.rollups
            && (rollups.is_empty() || rollups.len() > ROLLUPS_MAX)
        {
            faults.push(MemberFault::Rollups {
                count: rollups.len(),
            });
        }
        if faults.is_empty() {
            Ok(())
        } else {
            Err(faults)
        }
    }

    /// The next committee of a change, as a file would have it.
    #[must_use]
    pub fn of_change(change: &CommitteeChange) -> Self {
        Self {
            committee: change.next.clone(),
            members: change.contacts.clone(),
            rollups: None,
        }
    }

    /// As it stands in the file.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Strings, numbers and lists always serialize.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        assert!(!text.is_empty(), "a committee file has content");
        text.push('\n');
        text
    }
}

fn is_http(url: &str) -> bool {
    url.parse::<http::Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use outrider_types::{ChainId, Epoch, Member, SecretKey, Stake, TransportKey};
    use std::net::SocketAddr;

    fn sample() -> CommitteeFile {
        let members = (1..=4)
            .map(|seed| Member {
                public_key: SecretKey::from_seed(&[seed; 32]).public_key(),
                stake: Stake(1),
            })
            .collect();
        CommitteeFile {
            committee: Committee::new(ChainId(1), Epoch(0), members, None).unwrap(),
            members: (0..4)
                .map(|index| Contact {
                    name: format!("member-{index}"),
                    transport_key: TransportKey(outrider_network::transport_public_key(
                        &[index; 32],
                    )),
                    address: SocketAddr::from(([127, 0, 0, 1], 9000 + u16::from(index))),
                    rpc: (index == 0).then(|| "http://127.0.0.1:8600".to_owned()),
                    attester: None,
                })
                .collect(),
            rollups: Some(BTreeSet::from([RollupId(7)])),
        }
    }

    fn load(text: &str) -> Result<CommitteeFile, CommitteeFileError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("committee.json");
        std::fs::write(&path, text).unwrap();
        CommitteeFile::load(&path)
    }

    #[test]
    fn written_file_is_read_back() {
        let file = sample();
        let read = load(&file.to_json()).unwrap();
        assert_eq!(read, file);
        assert_eq!(read.members[3].address.port(), 9003);
    }

    #[test]
    fn all_faults_are_reported_at_once() {
        let mut file = sample();
        file.members.pop();
        file.members[0].name = String::new();
        // Not a point on the curve, and one key for two.
        file.members[0].transport_key = TransportKey([2; 32]);
        file.members[1].transport_key = TransportKey([2; 32]);
        file.members[1].address = "0.0.0.0:0".parse().unwrap();
        file.members[2].address = file.members[0].address;
        file.members[2].rpc = Some("ftp://x".to_owned());
        file.rollups = Some(BTreeSet::new());
        let CommitteeFileError::Faults(faults) = load(&file.to_json()).unwrap_err() else {
            panic!("faults");
        };
        let same = |first, second, what| MemberFault::Same {
            first,
            second,
            what,
        };
        assert_eq!(
            faults,
            [
                MemberFault::Lengths {
                    committee: 4,
                    members: 3
                },
                MemberFault::Name { member: 0 },
                MemberFault::TransportKey { member: 0 },
                MemberFault::TransportKey { member: 1 },
                MemberFault::Address {
                    member: 1,
                    address: "0.0.0.0:0".parse().unwrap()
                },
                same(0, 1, "transport_key"),
                MemberFault::Rpc { member: 2 },
                same(0, 2, "address"),
                MemberFault::Rollups { count: 0 },
            ]
        );
    }

    #[test]
    fn unknown_fields_bad_stake_and_bad_addresses_are_refused() {
        let text = sample().to_json();
        for (from, to, reason) in [
            ("\"rollups\"", "\"rollup\"", "unknown field"),
            ("\"name\"", "\"nick\"", "unknown field"),
            ("\"stake\": 1", "\"stake\": 0", "no stake"),
            ("127.0.0.1:9000", "localhost", "address"),
            ("3b6a27bcce", "3b6a", "64 hex digits"),
        ] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text, "{from}");
            let error = load(&changed).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
