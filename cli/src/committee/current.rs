//! The committee of the epoch that the network is in, and where its members are.

use super::change::ChangeError;
use crate::candidate::check_contacts;
use crate::failure::Failure;
use clap::Args;
use outrider_client::{Client, ClientError, CurrentCommittee, FOLLOW_REQUESTS_MAX, Trust};
use outrider_node::committee_file::CommitteeFile;
use outrider_types::{Committee, Contact, MemberIndex};
use std::path::PathBuf;

/// Where to learn it from.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub struct Known {
    /// The committee file: of this epoch, or with --rpc of an earlier one.
    #[arg(long)]
    committee: Option<PathBuf>,
    /// A member's RPC, as http://127.0.0.1:9601. With --committee every hand-over since then is verified; alone, it is
    /// believed: ask your own member.
    #[arg(long)]
    rpc: Option<String>,
}

/// What it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Current {
    pub committee: Committee,
    pub contacts: Vec<Contact>,
}

impl Known {
    /// Learn it.
    pub async fn current(&self) -> Result<Current, Failure> {
        let file = match &self.committee {
            Some(path) => Some(Current::from(CommitteeFile::load(path)?)),
            None => None,
        };
        match (file, &self.rpc) {
            (Some(file), None) => Ok(file),
            (Some(file), Some(url)) => follow(&Client::new(url)?, file).await,
            (None, Some(url)) => Current::told(Client::new(url)?.committee().await?),
            // The arguments require one of them.
            (None, None) => Err(Failure::WhichCommittee),
        }
    }
}

/// Every hand-over from a trusted committee on. Whoever approved of a change approved of its addresses too.
async fn follow(client: &Client, mut current: Current) -> Result<Current, Failure> {
    let mut trust = Trust::new(current.committee);
    for _ in 0..FOLLOW_REQUESTS_MAX {
        let ends = client.epoch_ends(trust.epoch()).await?;
        if ends.is_empty() {
            current.committee = trust.current().clone();
            return Ok(current);
        }
        for end in ends {
            let contacts = end.change.as_ref().map(|change| change.contacts.clone());
            trust.follow(end).map_err(ClientError::from)?;
            if let Some(contacts) = contacts {
                current.contacts = contacts;
            }
        }
    }
    Err(Failure::Pages {
        url: client.url().to_owned(),
    })
}

impl From<CommitteeFile> for Current {
    fn from(file: CommitteeFile) -> Self {
        Self {
            committee: file.committee,
            contacts: file.members,
        }
    }
}

impl Current {
    /// What a member says.
    pub fn told(answer: CurrentCommittee) -> Result<Self, Failure> {
        let CurrentCommittee {
            committee,
            contacts,
            ..
        } = answer;
        check_contacts(&committee, &contacts).map_err(ChangeError::Contacts)?;
        Ok(Self {
            committee,
            contacts,
        })
    }

    /// The name of one.
    pub fn name(&self, member: MemberIndex) -> String {
        self.contacts
            .get(member.index())
            .map_or_else(|| member.to_string(), |contact| contact.name.clone())
    }
}
