//! Passwords for key files: from a file, from a pipe, or typed without being shown.

use crate::failure::Failure;
use clap::Args;
use outrider_node::keys::password::Password;
use outrider_node::keys::{self, KeyFileError};
use outrider_types::SecretKey;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use std::io::{IsTerminal as _, Write as _, stdin};
use std::path::{Path, PathBuf};

/// Where the password of an encrypted key file comes from.
#[derive(Clone, Debug, Default, Args)]
pub struct PasswordFrom {
    /// The file with the password of an encrypted key file (chmod 600). Without it, the first line of standard input if that is a
    /// pipe, or else a prompt.
    #[arg(long)]
    pub password_file: Option<PathBuf>,
}

impl PasswordFrom {
    /// Read a key file, asking for its password only if it is encrypted.
    pub fn load(&self, path: &Path) -> Result<SecretKey, Failure> {
        Ok(keys::load_with(path, || {
            read(
                self.password_file.as_deref(),
                &format!("password of {}", path.display()),
            )
        })?)
    }

    /// The password for a file that is to be encrypted: typed twice, if it is typed.
    pub fn choose(&self, path: &Path) -> Result<Password, Failure> {
        let file = self.password_file.as_deref();
        let prompt = format!("new password for {}", path.display());
        let password = read(file, &prompt)?;
        if file.is_none() && stdin().is_terminal() {
            let again = read(None, "the same again")?;
            if again != password {
                return Err(Failure::PasswordsDiffer);
            }
        }
        Ok(password)
    }
}

/// Read a key file; if it is encrypted, the password comes from a pipe or a prompt.
pub fn load(path: &Path) -> Result<SecretKey, Failure> {
    PasswordFrom::default().load(path)
}

/// A password from a file, a pipe, or a prompt.
pub fn read(file: Option<&Path>, prompt: &str) -> Result<Password, KeyFileError> {
    if let Some(path) = file {
        return Ok(Password::read_file(path)?);
    }
    let input = stdin();
    if !input.is_terminal() {
        return Ok(Password::read_line(input.lock(), "standard input")?);
    }
    let _ = write!(std::io::stderr(), "{prompt}: ");
    let shown = Echo::off();
    let password = Password::read_line(input.lock(), "the terminal");
    drop(shown);
    let _ = writeln!(std::io::stderr());
    Ok(password?)
}

/// Shows again what is typed, once it is dropped.
struct Echo(Option<rustix::termios::Termios>);

impl Echo {
    fn off() -> Self {
        let input = stdin();
        let before = tcgetattr(&input).ok();
        if let Some(mut modes) = before.clone() {
            modes.local_modes &= !LocalModes::ECHO;
            let _ = tcsetattr(&input, OptionalActions::Flush, &modes);
        }
        Self(before)
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        if let Some(modes) = &self.0 {
            let _ = tcsetattr(stdin(), OptionalActions::Flush, modes);
        }
    }
}
