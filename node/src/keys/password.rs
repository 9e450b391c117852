//! Passwords of key files.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

/// Most bytes of a password.
pub const PASSWORD_BYTES_MAX: usize = 1_024;

/// Why there is no password.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// It cannot be read.
    #[error("cannot read the password from {from}: {error}")]
    Read {
        /// The file, or what else.
        from: String,
        /// Why not.
        error: io::Error,
    },
    /// Others can read it.
    #[error("the password file {path} is open to others (mode {mode:03o}); if nobody has read it, run: chmod 600 {path}", path = path.display())]
    TooOpen {
        /// Which.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Nothing, or too much, or no text.
    #[error("the password from {from} is not a line of 1 to {PASSWORD_BYTES_MAX} bytes of text")]
    NotALine {
        /// The file, or what else.
        from: String,
    },
}

/// A password. Its memory is wiped when it is dropped; it is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Zeroizing<String>);

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Password(..)")
    }
}

impl Password {
    /// This text; none if it is empty or too long.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let fits = (1..=PASSWORD_BYTES_MAX).contains(&text.len());
        fits.then(|| Self(Zeroizing::new(text.to_owned())))
    }

    /// The first line of a file that only its owner can read.
    pub fn read_file(path: &Path) -> Result<Self, PasswordError> {
        let from = path.display().to_string();
        let failed = |error| PasswordError::Read {
            from: from.clone(),
            error,
        };
        let file = File::open(path).map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(PasswordError::TooOpen {
                path: path.to_path_buf(),
                mode,
            });
        }
        Self::read_line(file, &from)
    }

    /// The first line of a stream. Bytes behind it are left unread where the stream allows.
    pub fn read_line(mut stream: impl Read, from: &str) -> Result<Self, PasswordError> {
        let not_a_line = || PasswordError::NotALine {
            from: from.to_owned(),
        };
        let mut line = Zeroizing::new(Vec::with_capacity(PASSWORD_BYTES_MAX + 2));
        let mut byte = Zeroizing::new([0; 1]);
        loop {
            let read = stream
                .read(&mut *byte)
                .map_err(|error| PasswordError::Read {
                    from: from.to_owned(),
                    error,
                })?;
            if read == 0 || byte[0] == b'\n' {
                break;
            }
            if line.len() > PASSWORD_BYTES_MAX {
                return Err(not_a_line());
            }
            line.push(byte[0]);
        }
        let text = std::str::from_utf8(&line).map_err(|_| not_a_line())?;
        Self::new(text.strip_suffix('\r').unwrap_or(text)).ok_or_else(not_a_line)
    }

    /// As it was typed: Ethereum's keystores of version 3 take it like this.
    pub(super) fn as_typed(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// As EIP-2335 takes it: NFKD, without control codes.
    pub(super) fn normalized(&self) -> Zeroizing<Vec<u8>> {
        // A letter may become many; with room for what fits a screen, growing leaves no copies behind.
        let mut text = Zeroizing::new(String::with_capacity(32 * PASSWORD_BYTES_MAX));
        text.extend(self.0.nfkd().filter(|letter| !letter.is_control()));
        Zeroizing::new(text.as_bytes().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn eip_2335_passwords_are_normalized() {
        let password = Password::new("𝔱𝔢𝔰𝔱𝔭𝔞𝔰𝔰𝔴𝔬𝔯𝔡🔑").unwrap();
        let expected = [b"testpassword".as_slice(), &[0xf0, 0x9f, 0x94, 0x91]].concat();
        assert_eq!(*password.normalized(), expected);
        let control = Password::new("a\u{7f}b\u{85}c\t").unwrap();
        assert_eq!(*control.normalized(), b"abc");
        assert!(!format!("{password:?}").contains("test"));
    }

    #[test]
    fn first_line_of_a_private_file_is_the_password() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        fs::write(&path, "correct horse \r\nother\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = Password::read_file(&path).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let password = Password::read_file(&path).unwrap();
        assert_eq!(password.as_typed(), b"correct horse ");
    }

    #[test]
    fn passwords_have_one_byte_at_least_and_not_too_many() {
        let read = |text: &[u8]| Password::read_line(text, "here");
        assert!(read(b"").is_err());
        assert!(read(b"\n").is_err());
        assert!(read(b"\xff\n").is_err());
        let longest = vec![b'a'; PASSWORD_BYTES_MAX];
        assert_eq!(read(&longest).unwrap().as_typed(), longest);
        assert!(read(&vec![b'a'; PASSWORD_BYTES_MAX + 1]).is_err());
        assert!(read(&vec![b'a'; 1 << 20]).is_err());
    }
}
