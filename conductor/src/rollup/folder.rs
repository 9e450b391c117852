//! The folder of a short-lived rollup: `rollup.json` says what was opened, from before it is registered, so that the same command goes on
//! with the same rollup after it was killed.

use super::RollupError;
use outrider_types::registry::Vm;
use outrider_types::{Policy, PublicKey, Registration, RollupId};
use serde::{Deserialize, Serialize};
use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Version of the file.
const VERSION: u16 = 1;
/// Most bytes of it: some thousand funded accounts.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What is opened. All of it must be the same when the command is run again, or the execution would be another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenOptions {
    /// What executes it.
    pub vm: Vm,
    /// How it is ordered.
    pub policy: Policy,
    /// How long it lives, in seconds.
    pub ttl_s: u64,
    /// Time in one execution block, in microseconds.
    pub block_time_us: u64,
    /// Accounts that have something from the start, in an EVM.
    #[serde(with = "addresses")]
    pub fund: Vec<[u8; 20]>,
}

/// Addresses in hex.
mod addresses {
    use alloy_primitives::Address;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(super) fn serialize<S: Serializer>(
        list: &[[u8; 20]],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let list: Vec<Address> = list.iter().map(Address::from).collect();
        list.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<[u8; 20]>, D::Error> {
        let list = Vec::<Address>::deserialize(deserializer)?;
        Ok(list.into_iter().map(Into::into).collect())
    }
}

impl OpenOptions {
    /// Time in one execution block.
    #[must_use]
    pub const fn block_time(&self) -> Duration {
        Duration::from_micros(self.block_time_us)
    }

    /// The first thing in which two differ.
    fn difference(&self, other: &Self) -> Option<&'static str> {
        [
            (self.vm == other.vm, "--vm"),
            (self.policy == other.policy, "--order"),
            (self.ttl_s == other.ttl_s, "--ttl"),
            (self.block_time_us == other.block_time_us, "--block-time"),
            (self.fund == other.fund, "--fund"),
        ]
        .into_iter()
        .find_map(|(same, name)| (!same).then_some(name))
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: u16,
    rollup: RollupId,
    options: OpenOptions,
    owner: PublicKey,
    /// Once it is registered.
    registration: Option<Registration>,
}

/// The folder, held while this lives: nobody else runs the rollup meanwhile.
#[derive(Debug)]
pub struct RollupFolder {
    path: PathBuf,
    rollup: RollupId,
    options: OpenOptions,
    /// Of the file that was there.
    owner: Option<PublicKey>,
    registration: Option<Registration>,
    _lock: File,
}

impl RollupFolder {
    /// Go on with the rollup that the folder is of, or begin one with this id. `path` is by default named after the id.
    pub fn open(
        path: Option<&Path>,
        options: &OpenOptions,
        rollup: RollupId,
    ) -> Result<Self, RollupError> {
        let path = path.map_or_else(
            || PathBuf::from(format!("rollup-{rollup}")),
            Path::to_path_buf,
        );
        std::fs::create_dir_all(&path).map_err(failed("make", &path))?;
        let lock = lock(&path)?;
        let mut folder = Self {
            rollup,
            options: options.clone(),
            owner: None,
            registration: None,
            _lock: lock,
            path,
        };
        if let Some(written) = folder.read()? {
            if let Some(option) = written.options.difference(options) {
                return Err(RollupError::OtherOption {
                    path: folder.file(),
                    option,
                });
            }
            folder.rollup = written.rollup;
            folder.owner = Some(written.owner);
            folder.registration = written.registration;
        }
        Ok(folder)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whose it is.
    #[must_use]
    pub const fn rollup(&self) -> RollupId {
        self.rollup
    }

    /// What was asked for.
    #[must_use]
    pub const fn options(&self) -> &OpenOptions {
        &self.options
    }

    /// Whether an earlier run began it.
    #[must_use]
    pub const fn is_begun(&self) -> bool {
        self.owner.is_some()
    }

    /// What an earlier run was told when it was registered.
    pub(super) const fn registration(&self) -> Option<Registration> {
        self.registration
    }

    fn file(&self) -> PathBuf {
        self.path.join("rollup.json")
    }

    /// Remember who owns it and, once that is known, its registration. Synced: nothing is sent before.
    pub(super) fn remember(
        &mut self,
        owner: PublicKey,
        registration: Option<Registration>,
    ) -> Result<(), RollupError> {
        if self.owner.is_some_and(|before| before != owner) {
            return Err(RollupError::OtherOption {
                path: self.file(),
                option: "--owner-key",
            });
        }
        if self.owner == Some(owner) && self.registration == registration {
            return Ok(());
        }
        let written = Written {
            version: VERSION,
            rollup: self.rollup,
            options: self.options.clone(),
            owner,
            registration,
        };
        let text = serde_json::json!(written).to_string();
        let (path, new) = (self.file(), self.path.join("rollup.json.new"));
        let write = || {
            let mut file = File::create(&new)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&new, &path)?;
            File::open(&self.path)?.sync_all()
        };
        write().map_err(failed("write", &path))?;
        (self.owner, self.registration) = (Some(owner), registration);
        Ok(())
    }

    /// Nothing was begun here.
    pub(super) fn forget(&mut self) -> Result<(), RollupError> {
        let path = self.file();
        std::fs::remove_file(&path).map_err(failed("remove", &path))?;
        (self.owner, self.registration) = (None, None);
        Ok(())
    }

    fn read(&self) -> Result<Option<Written>, RollupError> {
        let path = self.file();
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("open", &path)(error)),
        };
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX)
            .read_to_end(&mut bytes)
            .map_err(failed("read", &path))?;
        let written: Written =
            serde_json::from_slice(&bytes).map_err(|error| RollupError::Folder {
                path: path.clone(),
                reason: error.to_string(),
            })?;
        if written.version != VERSION {
            let reason = format!("version {}, this program reads {VERSION}", written.version);
            return Err(RollupError::Folder { path, reason });
        }
        Ok(Some(written))
    }
}

fn lock(folder: &Path) -> Result<File, RollupError> {
    let path = folder.join("rollup.lock");
    let file = File::create(&path).map_err(failed("make", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(RollupError::Held {
            path: folder.to_path_buf(),
        }),
        Err(TryLockError::Error(error)) => Err(failed("lock", &path)(error)),
    }
}

fn failed(act: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> RollupError {
    let path = path.to_path_buf();
    move |error| RollupError::File { act, path, error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use outrider_types::SecretKey;

    fn options() -> OpenOptions {
        OpenOptions {
            vm: Vm::Kv,
            policy: Policy::Fcfs,
            ttl_s: 600,
            block_time_us: 200_000,
            fund: vec![[7; 20]],
        }
    }

    #[test]
    fn folder_goes_on_with_the_rollup_that_it_is_of() {
        let kept = tempfile::tempdir().unwrap();
        let owner = SecretKey::from_seed(&[1; 32]).public_key();
        let open = |options: &OpenOptions, id| {
            RollupFolder::open(Some(kept.path()), options, RollupId(id))
        };
        let mut folder = open(&options(), 1).unwrap();
        assert!(!folder.is_begun());
        assert!(matches!(open(&options(), 1), Err(RollupError::Held { .. })));
        folder.remember(owner, None).unwrap();
        drop(folder);

        let mut folder = open(&options(), 2).unwrap();
        assert!(folder.is_begun());
        assert_eq!(
            (folder.rollup(), folder.options()),
            (RollupId(1), &options())
        );
        let other = SecretKey::from_seed(&[2; 32]).public_key();
        assert!(matches!(
            folder.remember(other, None),
            Err(RollupError::OtherOption {
                option: "--owner-key",
                ..
            })
        ));
        drop(folder);

        let changed = OpenOptions {
            ttl_s: 601,
            ..options()
        };
        assert!(matches!(
            open(&changed, 2),
            Err(RollupError::OtherOption {
                option: "--ttl",
                ..
            })
        ));
        std::fs::write(kept.path().join("rollup.json"), "{}").unwrap();
        assert!(matches!(
            open(&options(), 2),
            Err(RollupError::Folder { .. })
        ));
    }
}
