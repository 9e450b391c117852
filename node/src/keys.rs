//! Key files: one secret per member, readable by its owner only, never overwritten.
//!
//! ```json
//! {"version": 1, "kind": "outrider member key", "seed": "<32 bytes in hex>", "public_key": "<32 bytes in hex>"}
//! ```
//!
//! The seed is the member's only secret: it votes with it, and its transport key and its attester key come from it.
//! Instead of this, a key file may be an EIP-2335 keystore, which a password opens ([`keystore`]).

pub mod keystore;
pub mod password;

use keystore::KeystoreError;
use outrider_types::{PublicKey, SecretKey};
use password::{Password, PasswordError};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The version that is written and read.
pub const KEY_FILE_VERSION: u32 = 1;
/// What a key file says that it is.
pub const KEY_FILE_KIND: &str = "outrider member key";
/// Most bytes of a key file.
const KEY_FILE_BYTES_MAX: usize = 4_096;
const _: () = assert!(KEY_FILE_BYTES_MAX <= keystore::KEYSTORE_BYTES_MAX);

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The system has no randomness.
    #[error("the system gives no randomness for a key: {0}")]
    Random(getrandom::Error),
    /// There is a file already.
    #[error("{path} exists; a key is never overwritten, because a lost key cannot be had back: choose another name, or move the file away", path = .0.display())]
    Exists(PathBuf),
    /// It cannot be written.
    #[error("cannot write the key file {path}: {error}", path = path.display())]
    Write {
        /// Where.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// It cannot be read.
    #[error("cannot read the key file {path}: {error}; `outrider keys` makes one", path = path.display())]
    Read {
        /// Where.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// Others can read or change it.
    #[error("the key file {path} is open to others (mode {mode:03o}); if nobody has read it, run: chmod 600 {path}", path = path.display())]
    TooOpen {
        /// Which.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It is something else.
    #[error("{path} is not a key file: {reason}", path = path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// Why not; never with a part of the seed in it.
        reason: &'static str,
    },
    /// The halves do not belong together.
    #[error("the key file {path} is damaged: its seed gives the public key {found}, but it says {stated}; restore it from your backup", path = path.display())]
    Mismatch {
        /// Which.
        path: PathBuf,
        /// In the file.
        stated: PublicKey,
        /// Of the seed.
        found: PublicKey,
    },
    /// It is encrypted.
    #[error("the key file {path} is encrypted: give its password, with --password-file or as node.key_password_file", path = .0.display())]
    Encrypted(PathBuf),
    /// The keystore does not open.
    #[error("cannot open the key file {path}: {error}", path = path.display())]
    Keystore {
        /// Which.
        path: PathBuf,
        /// Why not.
        error: KeystoreError,
    },
    /// There is no password.
    #[error(transparent)]
    Password(#[from] PasswordError),
}

/// What stands in the file. Borrowed, so that reading leaves no second copy of the seed behind.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile<'a> {
    version: u32,
    kind: &'a str,
    seed: &'a str,
    public_key: PublicKey,
}

/// A new key from the system's randomness.
pub fn generate() -> Result<SecretKey, KeyFileError> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed).map_err(KeyFileError::Random)?;
    Ok(SecretKey::from_seed(&seed))
}

/// Write a key to a new file with mode 600. Durable on return.
pub fn write(path: &Path, key: &SecretKey) -> Result<(), KeyFileError> {
    let mut seed = Zeroizing::new([0; 64]);
    // 32 bytes are 64 digits.
    let encoded = hex::encode_to_slice(*key.seed(), &mut *seed);
    assert!(encoded.is_ok(), "64 digits have room for 32 bytes");
    let content = KeyFile {
        version: KEY_FILE_VERSION,
        kind: KEY_FILE_KIND,
        seed: std::str::from_utf8(&*seed).unwrap_or_default(),
        public_key: key.public_key(),
    };
    // With room from the start: growing would leave copies behind.
    let mut text = Zeroizing::new(Vec::with_capacity(KEY_FILE_BYTES_MAX));
    serde_json::to_writer_pretty(&mut *text, &content)
        .map_err(|error| not_written(path, io::Error::other(error)))?;
    text.push(b'\n');
    write_new(path, &text)
}

/// Write a key, encrypted with a password, to a new file with mode 600. Durable on return.
pub fn write_encrypted(
    path: &Path,
    key: &SecretKey,
    password: &Password,
) -> Result<(), KeyFileError> {
    // Before the work: making the keystore takes a second.
    if path.exists() {
        return Err(KeyFileError::Exists(path.to_path_buf()));
    }
    let public = key.public_key().to_string();
    let text = keystore::seal(&key.seed(), &public, password).map_err(|error| {
        let path = path.to_path_buf();
        KeyFileError::Keystore { path, error }
    })?;
    write_new(path, text.as_bytes())
}

fn not_written(path: &Path, error: io::Error) -> KeyFileError {
    match error.kind() {
        io::ErrorKind::AlreadyExists => KeyFileError::Exists(path.to_path_buf()),
        _ => KeyFileError::Write {
            path: path.to_path_buf(),
            error,
        },
    }
}

fn write_new(path: &Path, text: &[u8]) -> Result<(), KeyFileError> {
    let failed = |error| not_written(path, error);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    file.write_all(text)
        .and_then(|()| file.sync_all())
        .and_then(|()| sync_folder(path))
        .map_err(failed)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

/// Read a key file that is not encrypted. Refuses one that others can read or change.
pub fn load(path: &Path) -> Result<SecretKey, KeyFileError> {
    load_with(path, || Err(KeyFileError::Encrypted(path.to_path_buf())))
}

/// Read a key file. If it is encrypted, the password is asked for.
pub fn load_with(
    path: &Path,
    password: impl FnOnce() -> Result<Password, KeyFileError>,
) -> Result<SecretKey, KeyFileError> {
    let text = read_private(path)?;
    if keystore::is_keystore(&text) {
        return open_keystore(path, &text, &password()?);
    }
    read_plain(path, &text)
}

/// Read a file of at most `KEY_FILE_BYTES_MAX` bytes that nobody else can read or change.
pub fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    let failed = |error| KeyFileError::Read {
        path: path.to_path_buf(),
        error,
    };
    let malformed = |reason| KeyFileError::Malformed {
        path: path.to_path_buf(),
        reason,
    };
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(malformed("it is not a file"));
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::TooOpen {
            path: path.to_path_buf(),
            mode,
        });
    }
    let mut text = Zeroizing::new(vec![0; KEY_FILE_BYTES_MAX + 1]);
    let mut length = 0;
    // Into memory of its final size: growing would leave copies behind.
    let mut limited = file.take(text.len() as u64);
    loop {
        match limited.read(&mut text[length..]).map_err(failed)? {
            0 => break,
            read => length += read,
        }
    }
    if length > KEY_FILE_BYTES_MAX {
        return Err(malformed("it is too long"));
    }
    text.truncate(length);
    Ok(text)
}

fn open_keystore(path: &Path, text: &[u8], password: &Password) -> Result<SecretKey, KeyFileError> {
    let opened = keystore::open(text, password).map_err(|error| KeyFileError::Keystore {
        path: path.to_path_buf(),
        error,
    });
    let (seed, stated) = opened?;
    let key = SecretKey::from_seed(&seed);
    let found = key.public_key();
    match stated.parse::<PublicKey>() {
        Ok(stated) if stated == found => Ok(key),
        Ok(stated) => Err(KeyFileError::Mismatch {
            path: path.to_path_buf(),
            stated,
            found,
        }),
        Err(_) => Err(KeyFileError::Malformed {
            path: path.to_path_buf(),
            reason: "it is a keystore of another kind of key: its pubkey is not 32 bytes in hex",
        }),
    }
}

fn read_plain(path: &Path, text: &[u8]) -> Result<SecretKey, KeyFileError> {
    let malformed = |reason| KeyFileError::Malformed {
        path: path.to_path_buf(),
        reason,
    };
    let content: KeyFile<'_> = serde_json::from_slice(text)
        .map_err(|_| malformed("expected JSON with version, kind, seed and public_key"))?;
    if content.kind != KEY_FILE_KIND {
        return Err(malformed(
            "it is a key of another kind; expected \"outrider member key\"",
        ));
    }
    if content.version != KEY_FILE_VERSION {
        return Err(malformed("it has another version; expected 1"));
    }
    let mut seed = Zeroizing::new([0; 32]);
    hex::decode_to_slice(content.seed, &mut *seed)
        .map_err(|_| malformed("the seed is not 32 bytes in hex"))?;
    let key = SecretKey::from_seed(&seed);
    let found = key.public_key();
    if found != content.public_key {
        return Err(KeyFileError::Mismatch {
            path: path.to_path_buf(),
            stated: content.public_key,
            found,
        });
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn file(folder: &Path, text: &str) -> PathBuf {
        let path = folder.join("written.key");
        let _ = fs::remove_file(&path);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    #[test]
    fn written_key_is_read_back_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("member.key");
        let key = generate().unwrap();
        write(&path, &key).unwrap();
        assert_eq!(load(&path).unwrap().public_key(), key.public_key());
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_ne!(generate().unwrap().public_key(), key.public_key());
    }

    #[test]
    fn key_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("member.key");
        write(&path, &SecretKey::from_seed(&[1; 32])).unwrap();
        let again = write(&path, &SecretKey::from_seed(&[2; 32]));
        assert!(matches!(again, Err(KeyFileError::Exists(_))));
        let kept = load(&path).unwrap().public_key();
        assert_eq!(kept, SecretKey::from_seed(&[1; 32]).public_key());
    }

    #[test]
    fn open_permissions_are_refused_with_the_command_to_run() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("member.key");
        write(&path, &SecretKey::from_seed(&[1; 32])).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o644, 0o610] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = load(&path).unwrap_err();
            assert!(matches!(error, KeyFileError::TooOpen { mode: found, .. } if found == mode));
            let command = format!("chmod 600 {}", path.display());
            assert!(error.to_string().ends_with(&command), "{error}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        load(&path).unwrap();
    }

    #[test]
    fn damage_is_explained_without_showing_the_seed() {
        let folder = tempfile::tempdir().unwrap();
        let seed = "07".repeat(32);
        let right = SecretKey::from_seed(&[7; 32]).public_key();
        let other = SecretKey::from_seed(&[8; 32]).public_key();
        let text = |version: u32, kind: &str, seed: &str, public_key: PublicKey| {
            format!(
                r#"{{"version":{version},"kind":"{kind}","seed":"{seed}","public_key":"{public_key}"}}"#
            )
        };
        load(&file(folder.path(), &text(1, KEY_FILE_KIND, &seed, right))).unwrap();
        let faults = [
            (text(1, KEY_FILE_KIND, &seed, other), "is damaged"),
            (text(2, KEY_FILE_KIND, &seed, right), "another version"),
            (text(1, "ssh key", &seed, right), "another kind"),
            (text(1, KEY_FILE_KIND, &seed[2..], right), "not 32 bytes"),
            (
                text(1, KEY_FILE_KIND, &seed, right).replace("\"kind\"", "\"x\":1,\"kind\""),
                "expected JSON",
            ),
            ("garbage".to_owned(), "expected JSON"),
            (String::new(), "expected JSON"),
            (" ".repeat(KEY_FILE_BYTES_MAX + 1), "too long"),
        ];
        for (text, reason) in faults {
            let error = load(&file(folder.path(), &text)).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
            assert!(!error.contains(&seed[2..]), "{error}");
        }
        let missing = load(&folder.path().join("none")).unwrap_err();
        assert!(matches!(missing, KeyFileError::Read { .. }));
        let folder = load(folder.path()).unwrap_err().to_string();
        assert!(folder.contains("not a file"), "{folder}");
    }

    #[test]
    fn encrypted_key_opens_with_its_password_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("member.key");
        let key = SecretKey::from_seed(&[9; 32]);
        let password = Password::new("correct horse").unwrap();
        write_encrypted(&path, &key, &password).unwrap();
        assert!(
            !fs::read_to_string(&path)
                .unwrap()
                .contains(&"09".repeat(32))
        );
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = write_encrypted(&path, &key, &password);
        assert!(matches!(again, Err(KeyFileError::Exists(_))));
        assert!(matches!(load(&path), Err(KeyFileError::Encrypted(_))));
        let found = load_with(&path, || Ok(password.clone())).unwrap();
        assert_eq!(found.public_key(), key.public_key());
        let wrong = load_with(&path, || Ok(Password::new("horse").unwrap())).unwrap_err();
        assert!(
            wrong.to_string().contains("the password is wrong"),
            "{wrong}"
        );
        // Somebody swapped two files: the seed is not that of the stated key.
        let other = SecretKey::from_seed(&[8; 32]).public_key().to_string();
        let text = fs::read_to_string(&path).unwrap();
        let text = text.replace(&key.public_key().to_string(), &other);
        let swapped = load_with(&file(folder.path(), &text), || Ok(password.clone()));
        assert!(matches!(swapped, Err(KeyFileError::Mismatch { .. })));
    }
}
