//! Snapshot files: made from one member's store, checked by anyone who has the genesis committee, installed in another's.
//!
//! ```text
//! magic "OUTRSNAP" | version u32 LE = 1
//! frame*   length u32 LE | SnapshotItem in the wire format
//! end      0 u32 LE | 32 bytes: h(n)     h(0) = SHA-256(magic, version), h(i) = SHA-256(h(i-1), frame i without its length)
//! ```
//!
//! Both ends work item by item and hold no more than one. The hash finds damage; what a snapshot says is believed because
//! of signatures and hashes of the chain (see [`outrider_finality::SnapshotItem`]).

use crate::chain::{Chain, ChainError, InstallError, Installer, TakeError, lane_items};
use crate::committee_file::CommitteeFile;
use outrider_finality::{Checkpoint, SnapshotError, SnapshotItem, SnapshotVerifier};
use outrider_storage::{DataDirLock, LockError, SledStore, Store, StoreError, StoreOptions};
use outrider_types::crypto::sha256;
use outrider_types::limits::MESSAGE_BYTES_MAX;
use outrider_types::merkle::Hash;
use outrider_types::{Bytes, Committee, Contact, DecodeError, Height, decode, encode};
use std::io::{self, Read, Write};
use std::path::Path;

/// The first bytes of a snapshot.
const MAGIC: &[u8; 8] = b"OUTRSNAP";
/// Version of the format.
pub const SNAPSHOT_VERSION: u32 = 2;
/// Ends of epochs read from the store at a time.
const ENDS_PER_READ: usize = 64;

/// Why a snapshot cannot be written, read, believed or installed.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotFileError {
    /// The file.
    #[error("cannot read or write the snapshot: {0}; check the path, the disk and its free space")]
    Io(#[from] io::Error),
    /// Something else.
    #[error("this is not a snapshot: it does not begin with OUTRSNAP")]
    NotASnapshot,
    /// Another format.
    #[error(
        "snapshot version {found}, this build reads version {SNAPSHOT_VERSION}: use the release that wrote it"
    )]
    Version {
        /// Its version.
        found: u32,
    },
    /// A frame that no snapshot has.
    #[error(
        "frame {frame} of {bytes} bytes, at most {MESSAGE_BYTES_MAX} are allowed: the file is damaged"
    )]
    FrameSize {
        /// Which, from 1.
        frame: u64,
        /// Its length.
        bytes: u32,
    },
    /// A frame that cannot be read.
    #[error("frame {frame} cannot be read ({error}): the file is damaged")]
    Decode {
        /// Which, from 1.
        frame: u64,
        /// Why not.
        error: DecodeError,
    },
    /// Changed bytes.
    #[error("the checksum at the end does not match: the file is damaged")]
    Checksum,
    /// Bytes after the end.
    #[error("there are bytes after the end: the file is damaged")]
    Trailing,
    /// It is not a snapshot of this chain.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// It cannot be taken.
    #[error(transparent)]
    Take(#[from] TakeError),
    /// It cannot be installed.
    #[error(transparent)]
    Install(#[from] InstallError),
}

/// Writes a snapshot.
#[derive(Debug)]
pub struct SnapshotWriter<W> {
    out: W,
    hash: Hash,
}

impl<W: Write> SnapshotWriter<W> {
    /// Begin one.
    pub fn new(mut out: W) -> Result<Self, SnapshotFileError> {
        let version = SNAPSHOT_VERSION.to_le_bytes();
        out.write_all(MAGIC)?;
        out.write_all(&version)?;
        Ok(Self {
            out,
            hash: sha256(&[MAGIC, &version]),
        })
    }

    /// Add an item.
    pub fn put(&mut self, item: &SnapshotItem) -> Result<(), SnapshotFileError> {
        let body = encode(item);
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(&body)?;
        self.hash = sha256(&[&self.hash, &body]);
        Ok(())
    }

    /// End it.
    pub fn finish(mut self) -> Result<W, SnapshotFileError> {
        self.out.write_all(&0_u32.to_le_bytes())?;
        self.out.write_all(&self.hash)?;
        self.out.flush()?;
        Ok(self.out)
    }
}

/// Reads a snapshot.
#[derive(Debug)]
pub struct SnapshotReader<R> {
    input: R,
    hash: Hash,
    frame: u64,
}

impl<R: Read> SnapshotReader<R> {
    /// Begin to read one.
    pub fn new(mut input: R) -> Result<Self, SnapshotFileError> {
        let mut magic = [0; 8];
        input.read_exact(&mut magic)?;
        if magic != *MAGIC {
            return Err(SnapshotFileError::NotASnapshot);
        }
        let mut version = [0; 4];
        input.read_exact(&mut version)?;
        let found = u32::from_le_bytes(version);
        if found != SNAPSHOT_VERSION {
            return Err(SnapshotFileError::Version { found });
        }
        Ok(Self {
            input,
            hash: sha256(&[MAGIC, &version]),
            frame: 0,
        })
    }

    /// The next item; none at the end, when the checksum has been found right.
    pub fn next_item(&mut self) -> Result<Option<SnapshotItem>, SnapshotFileError> {
        self.frame += 1;
        let frame = self.frame;
        let mut length = [0; 4];
        self.input.read_exact(&mut length)?;
        let bytes = u32::from_le_bytes(length);
        if bytes == 0 {
            let mut hash = [0; 32];
            self.input.read_exact(&mut hash)?;
            if hash != self.hash {
                return Err(SnapshotFileError::Checksum);
            }
            return match self.input.read(&mut [0])? {
                0 => Ok(None),
                _ => Err(SnapshotFileError::Trailing),
            };
        }
        if bytes as usize > MESSAGE_BYTES_MAX {
            return Err(SnapshotFileError::FrameSize { frame, bytes });
        }
        let mut body = vec![0; bytes as usize];
        self.input.read_exact(&mut body)?;
        self.hash = sha256(&[&self.hash, &body]);
        let item = decode(Bytes::from(body));
        item.map(Some)
            .map_err(|error| SnapshotFileError::Decode { frame, error })
    }
}

/// What a snapshot is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The block to start from.
    pub checkpoint: Checkpoint,
    /// Ends of epochs before it.
    pub epochs_ended: u64,
    /// Whether the transactions of each rollup are proven too.
    pub counters_proven: bool,
    /// If they are not: the digest that honest members answer for this height if they are right.
    pub digest: Option<(Height, Hash)>,
}

/// The ends of epochs that lead to the epoch of a checkpoint, and then all its other items, to `put`.
pub fn items_of<S: Store>(
    chain: &Chain<S>,
    mut put: impl FnMut(SnapshotItem) -> Result<(), SnapshotFileError>,
) -> Result<Checkpoint, SnapshotFileError> {
    let (checkpoint, lanes) = chain.checkpoint()?;
    let mut epoch = chain.genesis().epoch;
    while epoch < checkpoint.block.epoch {
        let ends = chain
            .epoch_ends(epoch, ENDS_PER_READ)
            .map_err(TakeError::from)?;
        if ends.is_empty() {
            break;
        }
        for end in ends {
            epoch = end.last.epoch.next();
            if epoch <= checkpoint.block.epoch {
                put(SnapshotItem::EpochEnd(Box::new(end)))?;
            }
        }
    }
    put(SnapshotItem::Checkpoint(Box::new(checkpoint.clone())))?;
    lane_items(&lanes).try_for_each(&mut put)?;
    let (mut from, first) = (checkpoint.block.height, checkpoint.first);
    while from >= first {
        for block in chain.snapshot_blocks(from, first)? {
            from = Height(block.block.height.0.saturating_sub(1));
            put(SnapshotItem::Block(Box::new(block)))?;
        }
    }
    Ok(checkpoint)
}

/// Write a snapshot of the newest block of a chain that has a certificate of its own. What is written is checked.
pub fn create<S: Store>(
    chain: &Chain<S>,
    genesis: &Committee,
    out: impl Write,
) -> Result<Summary, SnapshotFileError> {
    let mut writer = SnapshotWriter::new(out)?;
    let mut verifier = SnapshotVerifier::new(genesis);
    let mut epochs_ended = 0;
    let checkpoint = items_of(chain, |item| {
        epochs_ended += u64::from(matches!(item, SnapshotItem::EpochEnd(_)));
        writer.put(&item)?;
        verifier.take(item)?;
        Ok(())
    })?;
    verifier.finish()?;
    writer.finish()?;
    Ok(summary(checkpoint, epochs_ended, &verifier))
}

fn summary(checkpoint: Checkpoint, epochs_ended: u64, verifier: &SnapshotVerifier) -> Summary {
    Summary {
        checkpoint,
        epochs_ended,
        counters_proven: verifier.counters_proven(),
        digest: verifier.digest(),
    }
}

/// Read a whole snapshot through `take`; what it is of.
fn read(
    input: impl Read,
    mut take: impl FnMut(SnapshotItem) -> Result<(), SnapshotFileError>,
) -> Result<(Checkpoint, u64), SnapshotFileError> {
    let mut reader = SnapshotReader::new(input)?;
    let (mut found, mut epochs_ended) = (None, 0);
    while let Some(item) = reader.next_item()? {
        match &item {
            SnapshotItem::Checkpoint(checkpoint) => found = Some((**checkpoint).clone()),
            SnapshotItem::EpochEnd(_) => epochs_ended += 1,
            SnapshotItem::Lanes(_) | SnapshotItem::Block(_) => {}
        }
        take(item)?;
    }
    let checkpoint = found.ok_or(SnapshotError::Order {
        what: "the end of the snapshot",
        expected: "a checkpoint",
    })?;
    Ok((checkpoint, epochs_ended))
}

/// Check a snapshot with the genesis committee, from somebody you trust, alone.
pub fn verify(genesis: &Committee, input: impl Read) -> Result<Summary, SnapshotFileError> {
    let mut verifier = SnapshotVerifier::new(genesis);
    let (checkpoint, epochs_ended) = read(input, |item| {
        verifier.take(item)?;
        Ok(())
    })?;
    verifier.finish()?;
    Ok(summary(checkpoint, epochs_ended, &verifier))
}

/// Check a snapshot and put it into an empty store. `contacts` say where the members of the genesis committee are.
/// After an error the store is not to be used.
pub fn install<S: Store>(
    store: S,
    genesis: &Committee,
    contacts: Vec<Contact>,
    input: impl Read,
) -> Result<Summary, SnapshotFileError> {
    let mut installer = Installer::new(store, genesis.clone(), contacts)?;
    let (checkpoint, epochs_ended) = read(input, |item| Ok(installer.take(item)?))?;
    let (_, verifier) = installer.finish()?;
    Ok(summary(checkpoint, epochs_ended, &verifier))
}

/// Why the folder of a member cannot be used for a snapshot.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotFolderError {
    /// A member runs there.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is in it.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The snapshot.
    #[error(transparent)]
    Snapshot(#[from] SnapshotFileError),
}

/// Write a snapshot of the store in the data folder of a member that does not run.
pub fn create_from(
    data_dir: &Path,
    file: &CommitteeFile,
    out: impl Write,
) -> Result<Summary, SnapshotFolderError> {
    let _lock = DataDirLock::acquire(data_dir)?;
    let store = SledStore::open(&data_dir.join("store"), StoreOptions::default())?;
    let chain = Chain::open(store, file.committee.clone(), file.members.clone())?;
    Ok(create(&chain, &file.committee, out)?)
}

/// Check a snapshot and install it in the data folder of a member that has no store yet.
pub fn install_in(
    data_dir: &Path,
    file: &CommitteeFile,
    input: impl Read,
) -> Result<Summary, SnapshotFolderError> {
    let _lock = DataDirLock::acquire(data_dir)?;
    let store = SledStore::open(&data_dir.join("store"), StoreOptions::default())?;
    let contacts = file.members.clone();
    Ok(install(store, &file.committee, contacts, input)?)
}
