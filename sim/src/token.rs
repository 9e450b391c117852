//! Run tokens: one word that names a run, printed on failure and taken by `outrider sim repro`.
//!
//! ```text
//! 3f09c2d1a4b5e687:42@1a2b3c4d     a scenario by its hash, the seed of the run, the commit of the code
//! swarm:42@1a2b3c4d                the scenario that the swarm draws from the seed
//! zoo-no-backoff:42@1a2b3c4d       the scenario of the seed in which the zoo looks for this mutant
//! ```

use crate::scenario::{Scenario, ScenarioError};
use crate::swarm::draw::draw;
use crate::zoo::case;
use outrider_types::zoo::Mutant;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Files looked at in one folder.
const FILES_MAX: usize = 10_000;
/// Longest name of a commit.
const COMMIT_BYTES_MAX: usize = 64;
/// Hex digits of a scenario's hash.
const HASH_DIGITS: usize = 16;

/// Which scenario a run is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// The one of this hash ([`Scenario::hash`]).
    Hash(String),
    /// The one that the swarm draws from the seed of the run.
    Swarm,
    /// The one in which this mutant is looked for with the seed of the run.
    Zoo(Mutant),
}

/// The name of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its scenario.
    pub scenario: Named,
    /// Its seed.
    pub seed: u64,
    /// The code it ran: a commit, or `unknown`. Other code may run otherwise.
    pub commit: String,
}

/// Why a text is no token, or a token leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Not of the form.
    #[error(
        "`{text}` is no token: {reason}; tokens look like 3f09c2d1a4b5e687:42@1a2b3c4d, swarm:42@1a2b3c4d or zoo-no-backoff:42@1a2b3c4d"
    )]
    Form {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A folder cannot be read.
    #[error("cannot look for scenarios in {}: {source}", folder.display())]
    Folder {
        /// Which.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No file has that hash.
    #[error(
        "none of {looked_at} files in {} is the scenario {hash}; give its folder, or check out the commit of the token, for a scenario that was changed has another hash{}",
        folders.join(", "),
        listed(unread)
    )]
    NotFound {
        /// The hash.
        hash: String,
        /// Where was looked.
        folders: Vec<String>,
        /// How many scenarios.
        looked_at: usize,
        /// Files that are no scenarios, and why.
        unread: Vec<ScenarioError>,
    },
}

fn listed(errors: &[ScenarioError]) -> String {
    errors.iter().map(|error| format!("\n{error}")).collect()
}

impl Token {
    /// The name of a run of a scenario.
    #[must_use]
    pub fn new(scenario: &Scenario, seed: u64, commit: &str) -> Self {
        Self {
            scenario: Named::Hash(scenario.hash()),
            seed,
            commit: commit.to_owned(),
        }
    }

    /// The name of the swarm's run of a seed.
    #[must_use]
    pub fn swarm(seed: u64, commit: &str) -> Self {
        Self {
            scenario: Named::Swarm,
            seed,
            commit: commit.to_owned(),
        }
    }

    /// The name of the run of a seed in which the zoo looks for a mutant.
    #[must_use]
    pub fn zoo(mutant: Mutant, seed: u64, commit: &str) -> Self {
        Self {
            scenario: Named::Zoo(mutant),
            seed,
            commit: commit.to_owned(),
        }
    }

    /// Find the scenario: draw it, or look for its hash among the `*.toml` of these folders, in order; folders that do not
    /// exist are passed over.
    pub fn resolve(&self, folders: &[&Path]) -> Result<Scenario, TokenError> {
        let hash = match &self.scenario {
            Named::Hash(hash) => hash,
            Named::Swarm => return Ok(draw(self.seed)),
            Named::Zoo(mutant) => {
                return Ok(Scenario {
                    mutant: Some(*mutant),
                    ..(case(*mutant).scenario)(self.seed)
                });
            }
        };
        let mut looked_at = 0;
        let mut unread = Vec::new();
        for folder in folders {
            for file in files(folder)? {
                match Scenario::load(&file) {
                    Ok(scenario) if scenario.hash() == *hash => return Ok(scenario),
                    Ok(_) => {}
                    Err(error) => unread.push(error),
                }
                looked_at += 1;
            }
        }
        Err(TokenError::NotFound {
            hash: hash.clone(),
            folders: folders
                .iter()
                .map(|folder| folder.display().to_string())
                .collect(),
            looked_at,
            unread,
        })
    }
}

/// Scenario files of a folder, by name.
fn files(folder: &Path) -> Result<Vec<PathBuf>, TokenError> {
    let failed = |source| TokenError::Folder {
        folder: folder.to_owned(),
        source,
    };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut files = Vec::new();
    for entry in entries.take(FILES_MAX) {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|ending| ending == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            scenario,
            seed,
            commit,
        } = self;
        match scenario {
            Named::Hash(hash) => write!(f, "{hash}:{seed}@{commit}"),
            Named::Swarm => write!(f, "swarm:{seed}@{commit}"),
            Named::Zoo(mutant) => write!(f, "zoo-{}:{seed}@{commit}", mutant.name()),
        }
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let wrong = |reason| TokenError::Form {
            text: text.to_owned(),
            reason,
        };
        let (scenario, rest) = text
            .split_once(':')
            .ok_or_else(|| wrong("a `:` is missing"))?;
        let (seed, commit) = rest
            .split_once('@')
            .ok_or_else(|| wrong("an `@` is missing"))?;
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let scenario = match scenario {
            "swarm" => Named::Swarm,
            hash if hash.len() == HASH_DIGITS && hash.bytes().all(hex) => {
                Named::Hash(hash.to_owned())
            }
            other => {
                let mutant = other
                    .strip_prefix("zoo-")
                    .and_then(|name| Mutant::find(name).filter(|mutant| mutant.name() == name));
                let reason =
                    "it begins with neither `swarm` nor `zoo-` and a mutant nor 16 hex digits";
                Named::Zoo(mutant.ok_or_else(|| wrong(reason))?)
            }
        };
        let digits = seed.bytes().all(|byte| byte.is_ascii_digit());
        let seed = seed.parse().ok().filter(|_| digits);
        let seed = seed.ok_or_else(|| wrong("the seed is no number below 2^64"))?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-+._".contains(&byte);
        if !(1..=COMMIT_BYTES_MAX).contains(&commit.len()) || !commit.bytes().all(plain) {
            return Err(wrong("the commit is empty, too long, or has odd letters"));
        }
        Ok(Self {
            scenario,
            seed,
            commit: commit.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_back() {
        let calm = Token::new(&Scenario::calm(4), u64::MAX, "1a2b3c4d-dirty");
        let zoo = Token::zoo(Mutant::NoBackoff, 3, "unknown");
        assert_eq!(zoo.to_string(), "zoo-no-backoff:3@unknown");
        for token in [calm, Token::swarm(0, "unknown"), zoo] {
            assert_eq!(token.to_string().parse::<Token>().unwrap(), token);
        }
        for wrong in [
            "",
            "swarm:1",
            "swarm@1",
            "swarm:@a",
            "swarm:+1@a",
            "swarm:18446744073709551616@a",
            "3f09c2d1a4b5e68:1@a",
            "3f09c2d1a4b5e68G:1@a",
            "swarm:1@",
            "swarm:1@a b",
            "zoo-24:1@a",
            "zoo-unknown:1@a",
        ] {
            let error = wrong.parse::<Token>().unwrap_err();
            assert!(matches!(error, TokenError::Form { .. }), "{wrong}");
        }
    }

    #[test]
    fn a_token_leads_to_its_scenario() {
        let (empty, full) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut scenario = Scenario::calm(5);
        scenario.name = "mine".to_owned();
        let token = Token::new(&scenario, 3, "unknown");
        let none = empty.path().join("not-there");
        let folders = [none.as_path(), empty.path(), full.path()];
        assert!(matches!(
            token.resolve(&folders),
            Err(TokenError::NotFound { looked_at: 0, .. })
        ));
        std::fs::write(full.path().join("mine.toml"), scenario.to_toml()).unwrap();
        std::fs::write(full.path().join("broken.toml"), "gst = 1").unwrap();
        assert_eq!(token.resolve(&folders).unwrap(), scenario);
        let other = Token::new(&Scenario::calm(6), 3, "unknown");
        let error = other.resolve(&folders).unwrap_err().to_string();
        assert!(
            error.contains("none of 2 files") && error.contains("gst: "),
            "{error}"
        );
    }

    #[test]
    fn the_swarm_draws_again_what_it_drew() {
        let token: Token = "swarm:42@unknown".parse().unwrap();
        assert_eq!(token.resolve(&[]).unwrap(), draw(42));
    }
}
