//! A candidate: what others must know to have it in a committee. `outrider keys contact` prints it, and
//! `outrider committee propose` takes it.

use crate::failure::Failure;
use crate::verify::read_limited;
use outrider_node::committee_file::{CommitteeFile, CommitteeFileError, MemberFault};
use outrider_types::{ChainId, Committee, Contact, Epoch, Member, PublicKey, Stake};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Most bytes of a candidate's file.
const CANDIDATE_BYTES_MAX: u64 = 4_096;

/// A member without its stake, which is for the committee to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// Verifies what it signs.
    pub public_key: PublicKey,
    /// Where it is.
    pub contact: Contact,
}

impl Candidate {
    /// Read and check a file.
    pub fn load(path: &Path) -> Result<Self, Failure> {
        let bytes = read_limited(path, CANDIDATE_BYTES_MAX)?;
        let candidate: Self =
            serde_json::from_slice(&bytes).map_err(|error| Failure::CandidateFile {
                path: path.to_path_buf(),
                error,
            })?;
        candidate.check()?;
        Ok(candidate)
    }

    /// Whether a committee of it alone could be.
    pub fn check(&self) -> Result<(), Failure> {
        let member = Member {
            public_key: self.public_key,
            stake: Stake(1),
        };
        let committee = Committee::new(ChainId(0), Epoch(0), vec![member], None)?;
        check_contacts(&committee, std::slice::from_ref(&self.contact)).map_err(|faults| {
            faults.into_iter().next().map_or(
                CommitteeFileError::Faults(Vec::new()).into(),
                Failure::Candidate,
            )
        })
    }

    /// As it stands in the file.
    pub fn to_json(&self) -> String {
        // Strings and numbers always serialize.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }
}

/// Everything that a committee file checks of names and addresses.
pub fn check_contacts(committee: &Committee, contacts: &[Contact]) -> Result<(), Vec<MemberFault>> {
    CommitteeFile {
        committee: committee.clone(),
        members: contacts.to_vec(),
        rollups: None,
    }
    .check()
}

#[cfg(test)]
mod tests {
    use super::*;
    use outrider_types::{SecretKey, TransportKey};

    fn sample() -> Candidate {
        Candidate {
            public_key: SecretKey::from_seed(&[3; 32]).public_key(),
            contact: Contact {
                name: "eve".to_owned(),
                transport_key: TransportKey(outrider_network::transport_public_key(&[4; 32])),
                address: ([192, 0, 2, 7], 9_600).into(),
                rpc: None,
                attester: None,
            },
        }
    }

    fn load(text: &str) -> Result<Candidate, Failure> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Candidate::load(file.path())
    }

    #[test]
    fn candidate_is_read_back_and_faults_are_named() {
        let text = sample().to_json();
        assert_eq!(load(&text).unwrap(), sample());
        for (from, to, reason) in [
            ("\"contact\"", "\"stake\": 1, \"contact\"", "unknown field"),
            ("eve", "", "name"),
            ("eve", "\\u001b[2J", "name"),
            ("192.0.2.7:9600", "0.0.0.0:9600", "nobody can connect"),
            ("ca93ac17", "04", "64 hex digits"),
            // Not a point on the curve.
            (
                &sample().contact.transport_key.to_string()[..],
                &"02".repeat(32)[..],
                "not an Ed25519 key",
            ),
            (
                &sample().public_key.to_string()[..],
                &"00".repeat(32)[..],
                "small-order",
            ),
        ] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text, "{from}");
            let error = load(&changed).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        assert!(matches!(
            load(&" ".repeat(5_000)),
            Err(Failure::TooLarge { .. })
        ));
    }
}
