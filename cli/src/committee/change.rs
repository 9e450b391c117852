//! The file of a change: the next committee, where its members are, and who approves so far.

use super::current::Current;
use crate::candidate::check_contacts;
use crate::failure::Failure;
use crate::verify::read_limited;
use outrider_node::committee_file::MemberFault;
use outrider_types::{
    Aggregate, Approve, ChangeId, Committee, CommitteeChange, Contact, Epoch, Invalid, MemberIndex,
    PublicKey, SecretKey, Signed, Stake,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Version of the format.
const CHANGE_VERSION: u16 = 1;
/// Most bytes of the file: 1,024 members and as many approvals fit.
const CHANGE_BYTES_MAX: u64 = 2 * 1024 * 1024;

/// Why there is no change.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// It is something else.
    #[error("{path} is not a change of the committee: {error}; `outrider committee propose` writes one", path = path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        error: serde_json::Error,
    },
    /// Another format.
    #[error("{path} has version {found}, this build reads version {CHANGE_VERSION}: use the release that wrote it", path = path.display())]
    Version {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: u16,
    },
    /// Too late, or too early.
    #[error(
        "a change at the end of epoch {found}, but the committee given is that of epoch {current}: propose it again for the epoch that the network is in"
    )]
    Epoch {
        /// The epoch at whose end it is to take effect.
        found: Epoch,
        /// The epoch of the committee.
        current: Epoch,
    },
    /// The epoch does not end.
    #[error(
        "epoch {epoch} never ends (epoch_blocks is 0), so its committee stays: only a network begun with --epoch-blocks can change it"
    )]
    NeverEnds {
        /// Which.
        epoch: Epoch,
    },
    /// It does not fit the committee.
    #[error("the change cannot follow the committee: {0}")]
    Shape(Invalid),
    /// Names or addresses.
    #[error("{} faults in names and addresses of the committee:{}", .0.len(), list(.0))]
    Contacts(Vec<MemberFault>),
    /// Approvals of something else.
    #[error(
        "the approvals are of another change than the one in the file: it was changed after somebody approved"
    )]
    OtherApprovals,
    /// An approval that counts for nothing.
    #[error("an approval is not valid: {0}")]
    Approval(Invalid),
    /// Too few.
    #[error(
        "approved by stake {found}, {needed} is needed: stake {} is missing; next: outrider committee approve", needed.0.saturating_sub(found.0)
    )]
    Missing {
        /// Stake of those who approve.
        found: Stake,
        /// Q.
        needed: Stake,
    },
    /// Files that do not belong together.
    #[error("{path} is another change than the first file", path = path.display())]
    OtherChange {
        /// Which file.
        path: PathBuf,
    },
    /// No say in it.
    #[error("{key} is not the key of a member of epoch {epoch}: only its members approve")]
    NotMember {
        /// The key.
        key: PublicKey,
        /// The epoch.
        epoch: Epoch,
    },
    /// Nothing to approve of.
    #[error("nothing would change: without a change the same members go on in the next epoch")]
    Nothing,
    /// Whose stake is to be.
    #[error("how much stake does {name} have? the members differ in it: pass --stake {name}=N")]
    Stake {
        /// Who.
        name: String,
    },
    /// A ring that leaves somebody out.
    #[error("--ring must name each of these once: {names}")]
    Ring {
        /// Everyone.
        names: String,
    },
    /// The operator said no.
    #[error("not approved; nothing was written")]
    Declined,
    /// Nobody can be asked.
    #[error(
        "nobody can be asked, for standard input is not a terminal: read the change above, then pass --yes"
    )]
    NoTerminal,
}

fn list(faults: &[MemberFault]) -> String {
    faults.iter().map(|fault| format!("\n  {fault}")).collect()
}

/// A change with the approvals that it has so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeFile {
    version: u16,
    pub change: CommitteeChange,
}

impl ChangeFile {
    /// A change that nobody has approved of yet.
    pub fn new(current: &Current, next: Committee, contacts: Vec<Contact>) -> Self {
        let statement = Approve {
            epoch: current.committee.epoch(),
            change: CommitteeChange::id_of(&next, &contacts),
        };
        let approvals = Aggregate {
            statement,
            signatures: Vec::new(),
        };
        Self {
            version: CHANGE_VERSION,
            change: CommitteeChange {
                next,
                contacts,
                approvals,
            },
        }
    }

    /// Read a file. [`check`](Self::check) says whether it is worth anything.
    pub fn load(path: &Path) -> Result<Self, Failure> {
        let bytes = read_limited(path, CHANGE_BYTES_MAX)?;
        let file: Self =
            serde_json::from_slice(&bytes).map_err(|error| ChangeError::Malformed {
                path: path.to_path_buf(),
                error,
            })?;
        if file.version != CHANGE_VERSION {
            return Err(ChangeError::Version {
                path: path.to_path_buf(),
                found: file.version,
            }
            .into());
        }
        Ok(file)
    }

    /// Write a file, whole or not at all.
    pub fn save(&self, path: &Path) -> Result<(), Failure> {
        // Strings, numbers and lists always serialize.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let beside = path.with_file_name(name);
        std::fs::write(&beside, text).map_err(Failure::file("write", &beside))?;
        std::fs::rename(&beside, path).map_err(Failure::file("write", path))
    }

    /// Its name among members.
    pub fn id(&self) -> ChangeId {
        CommitteeChange::id_of(&self.change.next, &self.change.contacts)
    }

    /// Everything but whether enough approve; how much stake does.
    pub fn check(&self, current: &Current) -> Result<Stake, ChangeError> {
        let (change, committee) = (&self.change, &current.committee);
        let (found, epoch) = (change.approvals.statement.epoch, committee.epoch());
        if found != epoch {
            return Err(ChangeError::Epoch {
                found,
                current: epoch,
            });
        }
        if committee.epoch_blocks().is_none() {
            return Err(ChangeError::NeverEnds { epoch });
        }
        change.check_shape(committee).map_err(ChangeError::Shape)?;
        check_contacts(&change.next, &change.contacts).map_err(ChangeError::Contacts)?;
        let statement = change.approvals.statement;
        if statement.change != self.id() {
            return Err(ChangeError::OtherApprovals);
        }
        for (signer, signature) in &change.approvals.signatures {
            let signed = Signed {
                statement,
                signer: *signer,
                signature: *signature,
            };
            signed.verify(committee).map_err(ChangeError::Approval)?;
        }
        change
            .approvals
            .stake(committee)
            .map_err(ChangeError::Approval)
    }

    /// Everything. What comes back is worth submitting.
    pub fn complete(&self, current: &Current) -> Result<(), ChangeError> {
        let (found, needed) = (self.check(current)?, current.committee.thresholds().quorum);
        if found < needed {
            return Err(ChangeError::Missing { found, needed });
        }
        let verified = self.change.clone().verify(&current.committee);
        verified.map(drop).map_err(ChangeError::Approval)
    }

    /// Add the approval of the member with this key.
    pub fn approve(
        &mut self,
        current: &Current,
        key: &SecretKey,
    ) -> Result<MemberIndex, ChangeError> {
        let (committee, public_key) = (&current.committee, key.public_key());
        let member = committee
            .index_of(&public_key)
            .ok_or_else(|| ChangeError::NotMember {
                key: public_key,
                epoch: committee.epoch(),
            })?;
        let statement = self.change.approvals.statement;
        assert!(
            statement.change == self.id() && statement.epoch == committee.epoch(),
            "only what was checked is signed"
        );
        let signed = Signed::sign(statement, committee.chain(), member, key);
        self.add([(member, signed.signature)]);
        Ok(member)
    }

    /// Add the approvals of another copy of the same change.
    pub fn merge(&mut self, other: &Self, path: &Path) -> Result<(), ChangeError> {
        if self.id() != other.id()
            || self.change.approvals.statement != other.change.approvals.statement
        {
            return Err(ChangeError::OtherChange {
                path: path.to_path_buf(),
            });
        }
        self.add(other.change.approvals.signatures.iter().copied());
        Ok(())
    }

    fn add(&mut self, more: impl IntoIterator<Item = (MemberIndex, outrider_types::Signature)>) {
        let signatures = &mut self.change.approvals.signatures;
        let mut all: BTreeMap<_, _> = signatures.drain(..).collect();
        all.extend(more);
        *signatures = all.into_iter().collect();
    }
}
