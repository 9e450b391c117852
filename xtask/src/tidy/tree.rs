//! Reads the files of the repository that the checks look at.

use std::collections::BTreeSet;
use std::path::Path;

/// Folders that hold no source of ours.
const SKIPPED: [&str; 4] = ["target", "devnet", "node_modules", ".git"];

/// A text file and its path from the root of the repository, with `/` between folders.
pub struct File {
    pub path: String,
    pub text: String,
}

/// The files of the repository, by kind, in order of their paths.
#[derive(Default)]
pub struct Tree {
    pub rust: Vec<File>,
    pub markdown: Vec<File>,
    pub clippy: Vec<File>,
}

impl Tree {
    /// Reads everything below `root`.
    pub fn read(root: &Path) -> Result<Self, String> {
        let mut tree = Self::default();
        let mut folders = BTreeSet::from([root.to_path_buf()]);
        while let Some(folder) = folders.pop_first() {
            let unreadable = |error| format!("cannot read {}: {error}", folder.display());
            for entry in std::fs::read_dir(&folder).map_err(unreadable)? {
                let entry = entry.map_err(unreadable)?;
                let kind = entry.file_type().map_err(unreadable)?;
                let name = entry.file_name().to_string_lossy().into_owned();
                if kind.is_dir() && !SKIPPED.contains(&name.as_str()) {
                    folders.insert(entry.path());
                } else if kind.is_file() {
                    tree.add(root, &entry.path(), &name)?;
                }
            }
        }
        for files in [&mut tree.rust, &mut tree.markdown, &mut tree.clippy] {
            files.sort_by(|left, right| left.path.cmp(&right.path));
        }
        Ok(tree)
    }

    fn add(&mut self, root: &Path, path: &Path, name: &str) -> Result<(), String> {
        let files = match name.rsplit_once('.') {
            Some((_, "rs")) => &mut self.rust,
            Some((_, "md")) => &mut self.markdown,
            _ if name == "clippy.toml" => &mut self.clippy,
            _ => return Ok(()),
        };
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let path = path
            .strip_prefix(root)
            .unwrap_or(path)
            .to_string_lossy()
            .into_owned();
        files.push(File { path, text });
        Ok(())
    }
}

impl File {
    /// A test file by its place: below a folder `tests`, or called `tests.rs`.
    pub fn is_test(&self) -> bool {
        self.path
            .split('/')
            .any(|part| part == "tests" || part == "tests.rs")
    }
}

#[cfg(test)]
pub fn file(path: &str, text: &str) -> File {
    File {
        path: path.to_owned(),
        text: text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_files_are_known_by_their_place() {
        assert!(file("consensus/tests/safety.rs", "").is_test());
        assert!(file("types/src/codec/tests.rs", "").is_test());
        assert!(!file("types/src/codec.rs", "").is_test());
    }

    #[test]
    fn this_repository_can_be_read() {
        let tree = Tree::read(&crate::command::root()).unwrap();
        assert!(
            tree.rust
                .iter()
                .any(|file| file.path == "xtask/src/tidy/tree.rs")
        );
        assert!(
            tree.rust
                .iter()
                .all(|file| !file.path.starts_with("target/"))
        );
        assert!(tree.clippy.iter().any(|file| file.path == "clippy.toml"));
    }
}
