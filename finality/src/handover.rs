//! From the committee of one epoch to that of the next (R13), for anyone who trusts one of them: a light client.

use crate::proof::{Checked, FinalityProof, ProofError, read_canonical, verify};
use crate::text::{self, TextError};
use outrider_types::block::BLOCK_VERSION;
use outrider_types::limits::FILLERS_MAX;
use outrider_types::{Block, Committee, Epoch, EpochEnd, Height, Invalid, View};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the format of a chain of hand-overs.
pub const HANDOVERS_VERSION: u16 = 1;
/// Most bytes of its text: some thousands of epochs of a hundred members.
pub const HANDOVERS_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Most committees that are remembered; of more, those of the oldest epochs are forgotten.
pub const EPOCHS_KEPT_MAX: usize = 256;

/// The committees that follow from one that the user trusts: from a genesis file, or from a checkpoint.
#[derive(Clone, Debug)]
pub struct Trust {
    anchor: Start,
    /// Consecutive epochs, never none.
    epochs: BTreeMap<Epoch, Start>,
}

/// How an epoch begins.
#[derive(Clone, Debug)]
struct Start {
    committee: Committee,
    /// Height of its base block, if it is known.
    base: Option<Height>,
}

impl Start {
    fn last_height(&self) -> Option<Height> {
        self.committee.last_height(self.base?)
    }
}

/// Why a hand-over leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandoverError {
    /// The next one is another.
    #[error(
        "the end of epoch {found}; the end of epoch {expected} is next, and none may be left out"
    )]
    Epoch {
        /// The epoch that it ends.
        found: Epoch,
        /// The last epoch known.
        expected: Epoch,
    },
    /// The epoch has no end.
    #[error("epoch {epoch} does not end, says its committee")]
    NeverEnds {
        /// Which.
        epoch: Epoch,
    },
    /// Not the last block.
    #[error("epoch {epoch} ends at height {expected}, this block stands at height {found}")]
    Height {
        /// Which epoch.
        epoch: Epoch,
        /// The block's height.
        found: Height,
        /// The last of the epoch.
        expected: Height,
    },
    /// A header in another format.
    #[error(
        "header at height {height} has version {found}, this build checks version {BLOCK_VERSION}"
    )]
    BlockVersion {
        /// The header's height.
        height: Height,
        /// Its version.
        found: u16,
    },
    /// More fillers than any replica makes.
    #[error("{found} fillers, at most {FILLERS_MAX} are allowed")]
    Fillers {
        /// How many.
        found: usize,
    },
    /// Certified in another view than its own.
    #[error("the certificate is of view {found}, its block of view {expected}")]
    View {
        /// The certificate's.
        found: View,
        /// The block's.
        expected: View,
    },
    /// It does not prove that the epoch is over, or names another committee.
    #[error("the end of epoch {epoch} is not valid: {reason}")]
    Invalid {
        /// Which epoch.
        epoch: Epoch,
        /// What is wrong.
        reason: Invalid,
    },
}

impl Trust {
    /// Trust a committee: that of a genesis file, or another one that the user knows to be right.
    #[must_use]
    pub fn new(committee: Committee) -> Self {
        // The genesis block is the base of epoch 0, and of no other.
        let base = (committee.epoch() == Epoch(0)).then_some(Height(0));
        Self::starting(Start { committee, base })
    }

    /// Trust the committee of a checkpoint whose epoch begins above a block of this height.
    #[must_use]
    pub fn with_base(committee: Committee, base: Height) -> Self {
        let base = Some(base);
        Self::starting(Start { committee, base })
    }

    fn starting(anchor: Start) -> Self {
        let epochs = BTreeMap::from([(anchor.committee.epoch(), anchor.clone())]);
        Self { anchor, epochs }
    }

    /// The same trust with nothing followed yet: for a proof of an epoch that is forgotten.
    #[must_use]
    pub fn restarted(&self) -> Self {
        Self::starting(self.anchor.clone())
    }

    /// The first epoch that it can ever know: that of the committee given.
    #[must_use]
    pub fn first_epoch(&self) -> Epoch {
        self.anchor.committee.epoch()
    }

    /// The last epoch known.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.last().committee.epoch()
    }

    /// The committee of the last epoch known.
    #[must_use]
    pub fn current(&self) -> &Committee {
        &self.last().committee
    }

    /// The committee of an epoch, if it is known and not forgotten.
    #[must_use]
    pub fn committee(&self, epoch: Epoch) -> Option<&Committee> {
        self.epochs.get(&epoch).map(|start| &start.committee)
    }

    fn last(&self) -> &Start {
        self.epochs
            .last_key_value()
            .map_or(&self.anchor, |(_, start)| start)
    }

    /// Go on to the next epoch, if this proves that the last one known is over. An error changes nothing.
    pub fn follow(&mut self, end: EpochEnd) -> Result<&Committee, HandoverError> {
        let last = self.last();
        check_form(last, &end)?;
        let epoch = end.last.epoch;
        let next = end.next(&last.committee);
        let end = end
            .verify(&last.committee)
            .map_err(|reason| HandoverError::Invalid { epoch, reason })?;
        assert!(
            next.epoch() == epoch.next() && next.id() == end.last.next,
            "a verified end names the committee of the next epoch"
        );
        let base = Some(end.last.height);
        let start = Start {
            committee: next,
            base,
        };
        self.epochs.insert(epoch.next(), start);
        while self.epochs.len() > EPOCHS_KEPT_MAX {
            self.epochs.pop_first();
        }
        Ok(self.current())
    }

    /// Follow the hand-overs of a file up to an epoch. Those before the last epoch known and those past `to` are not
    /// looked at: nothing is taken from them.
    pub fn follow_file(&mut self, file: HandoverFile, to: Epoch) -> Result<(), HandoverError> {
        for end in file.ends {
            if self.epoch() >= to {
                break;
            }
            if end.last.epoch >= self.epoch() {
                self.follow(end)?;
            }
        }
        Ok(())
    }

    /// The committee under which a block must stand, if its epoch is known and has a block at that height.
    pub(crate) fn committee_of(&self, block: &Block) -> Result<&Committee, ProofError> {
        let (epoch, height) = (block.epoch, block.height);
        let Some(start) = self.epochs.get(&epoch) else {
            let first = self.epochs.first_key_value().map(|(first, _)| *first);
            return Err(ProofError::UnknownEpoch {
                found: epoch,
                first: first.unwrap_or_else(|| self.first_epoch()),
                last: self.epoch(),
            });
        };
        if let Some(last) = start.last_height()
            && (height > last || start.base.is_some_and(|base| height <= base))
        {
            return Err(ProofError::OutsideEpoch {
                height,
                epoch,
                last,
            });
        }
        Ok(&start.committee)
    }

    /// Check a proof of an epoch that is known.
    pub fn verify(&self, proof: &FinalityProof) -> Result<Checked, ProofError> {
        verify(self.committee_of(&proof.block)?, proof)
    }

    /// The same for a proof's text, which must be the canonical one; see [`verify_json`](crate::verify_json).
    pub fn verify_json(&self, bytes: &[u8]) -> Result<Checked, ProofError> {
        self.verify(&read_canonical(bytes)?)
    }
}

/// What can be checked without a signature and is not a matter of one message.
fn check_form(start: &Start, end: &EpochEnd) -> Result<(), HandoverError> {
    let (epoch, found) = (start.committee.epoch(), end.last.height);
    if end.last.epoch != epoch {
        return Err(HandoverError::Epoch {
            found: end.last.epoch,
            expected: epoch,
        });
    }
    if start.committee.epoch_blocks().is_none() {
        return Err(HandoverError::NeverEnds { epoch });
    }
    if let Some(expected) = start.last_height()
        && found != expected
    {
        return Err(HandoverError::Height {
            epoch,
            found,
            expected,
        });
    }
    if end.fillers.len() > FILLERS_MAX {
        return Err(HandoverError::Fillers {
            found: end.fillers.len(),
        });
    }
    let mut certified = &end.last;
    check_version(certified)?;
    for filler in &end.fillers {
        check_version(filler)?;
        certified = filler;
    }
    let view = end.certificate.view();
    if view == certified.view {
        Ok(())
    } else {
        Err(HandoverError::View {
            found: view,
            expected: certified.view,
        })
    }
}

fn check_version(block: &Block) -> Result<(), HandoverError> {
    if block.version == BLOCK_VERSION {
        Ok(())
    } else {
        Err(HandoverError::BlockVersion {
            height: block.height,
            found: block.version,
        })
    }
}

/// The ends of consecutive epochs as a file, for checking offline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandoverFile {
    /// Format, [`HANDOVERS_VERSION`].
    pub version: u16,
    /// By epoch, none left out.
    pub ends: Vec<EpochEnd>,
}

/// Why a text is no chain of hand-overs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandoverFileError {
    /// The text.
    #[error(transparent)]
    Text(#[from] TextError),
    /// Another format.
    #[error(
        "version {found} of the hand-overs, this build checks version {HANDOVERS_VERSION}: use the release that wrote it"
    )]
    Version {
        /// Its version.
        found: u16,
    },
    /// One is missing, or stands in another place.
    #[error(
        "the end of epoch {found} stands where that of epoch {expected} should be: fetch the file again"
    )]
    Order {
        /// Found.
        found: Epoch,
        /// Expected.
        expected: Epoch,
    },
}

impl HandoverFile {
    /// Put the ends of consecutive epochs together.
    pub fn new(ends: Vec<EpochEnd>) -> Result<Self, HandoverFileError> {
        let file = Self {
            version: HANDOVERS_VERSION,
            ends,
        };
        file.check_order()?;
        Ok(file)
    }

    /// The canonical text.
    #[must_use]
    pub fn to_json(&self) -> String {
        text::canonical(self)
    }

    /// From a text, which must be the canonical one. No signature is checked; [`Trust::follow_file`] does that.
    pub fn from_json(bytes: &[u8]) -> Result<Self, HandoverFileError> {
        let file: Self = text::read_canonical(bytes, HANDOVERS_BYTES_MAX)?;
        if file.version != HANDOVERS_VERSION {
            return Err(HandoverFileError::Version {
                found: file.version,
            });
        }
        file.check_order()?;
        Ok(file)
    }

    fn check_order(&self) -> Result<(), HandoverFileError> {
        for pair in self.ends.windows(2) {
            let (expected, found) = (pair[0].last.epoch.next(), pair[1].last.epoch);
            if found != expected || found == pair[0].last.epoch {
                return Err(HandoverFileError::Order { found, expected });
            }
        }
        Ok(())
    }
}
