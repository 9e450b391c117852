//! Runs other programs: from the root of the repository, without a keyboard, failing with the command's own words.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The root of the repository: the folder above this crate.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// A program to be run from the root of the repository.
pub fn program(name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(name);
    command
        .args(arguments)
        .current_dir(root())
        .stdin(Stdio::null());
    // `cargo run` describes this package to us. Passed on, that makes build scripts which watch these variables run
    // again on every nested build.
    for (key, _) in std::env::vars_os() {
        let key = key.to_string_lossy();
        if key.starts_with("CARGO_PKG_") || key.starts_with("CARGO_MANIFEST_") {
            command.env_remove(key.as_ref());
        }
    }
    command
}

/// The cargo that runs us.
pub fn cargo(arguments: &[&str]) -> Command {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    program(&cargo, arguments)
}

/// What a person would type to run the command.
pub fn words(command: &Command) -> String {
    let name = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    std::iter::once(name)
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Runs to the end, output to the terminal.
pub fn run(mut command: Command) -> Result<(), String> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{}` failed: {status}", words(&command))),
        Err(error) => Err(format!(
            "`{}` could not be started: {error}",
            words(&command)
        )),
    }
}

/// Runs to the end and returns what it printed.
pub fn output(mut command: Command) -> Result<String, String> {
    command.stderr(Stdio::inherit());
    match command.output() {
        Ok(output) if output.status.success() => {
            String::from_utf8(output.stdout).map_err(|error| {
                format!(
                    "`{}` printed something that is not text: {error}",
                    words(&command)
                )
            })
        }
        Ok(output) => Err(format!("`{}` failed: {}", words(&command), output.status)),
        Err(error) => Err(format!(
            "`{}` could not be started: {error}",
            words(&command)
        )),
    }
}
