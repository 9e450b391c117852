//! Clippy's configuration is not inherited: a crate's own clippy.toml must repeat every setting of the root's, and
//! the pure crates must have one.

use super::Fault;
use super::tree::File;

const ROOT: &str = "clippy.toml";
const NEEDED: [&str; 5] = [
    "consensus/clippy.toml",
    "ethereum/clippy.toml",
    "finality/clippy.toml",
    "mempool/clippy.toml",
    "types/clippy.toml",
];

/// Settings of the root that a crate's file lacks, and files that are missing.
pub fn check(files: &[File]) -> Vec<Fault> {
    let Some(root) = files.iter().find(|file| file.path == ROOT) else {
        return vec![Fault::new(ROOT, "is missing")];
    };
    let mut faults: Vec<Fault> = NEEDED
        .iter()
        .filter(|path| !files.iter().any(|file| file.path == **path))
        .map(|path| {
            Fault::new(
                *path,
                "is missing: it bans clocks and unordered maps in this crate",
            )
        })
        .collect();
    for file in files.iter().filter(|file| file.path != ROOT) {
        for setting in root
            .text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            if !file.text.lines().any(|line| line.trim() == setting) {
                faults.push(Fault::new(
                    &file.path,
                    format!("must repeat `{setting}` of the root's file"),
                ));
            }
        }
    }
    for path in NEEDED {
        for ban in [
            "std::time::Instant",
            "std::time::SystemTime",
            "HashMap",
            "HashSet",
        ] {
            if files
                .iter()
                .any(|file| file.path == path && !file.text.contains(ban))
            {
                faults.push(Fault::new(path, format!("must ban `{ban}`")));
            }
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::super::tree::file;
    use super::*;

    const BANS: &str = "std::time::Instant std::time::SystemTime HashMap HashSet";

    fn tree(own: &str) -> Vec<File> {
        let mut files = vec![file(ROOT, "# limits\na = 1\n\nb = true\n")];
        files.extend(NEEDED.map(|path| file(path, own)));
        files
    }

    #[test]
    fn repeated_settings_and_bans_are_enough() {
        assert_eq!(check(&tree(&format!("b = true\na = 1\n# {BANS}"))), []);
    }

    #[test]
    fn a_missing_file_setting_or_ban_is_a_fault() {
        assert_eq!(
            check(&tree(&format!("a = 2\nb = true\n# {BANS}"))).len(),
            NEEDED.len()
        );
        assert_eq!(
            check(&tree(
                "a = 1\nb = true\nstd::time::Instant std::time::SystemTime HashMap"
            ))
            .len(),
            NEEDED.len()
        );
        assert_eq!(
            check(&tree(&format!("a = 1\nb = true\n# {BANS}"))[..NEEDED.len()]).len(),
            1
        );
        assert_eq!(check(&[]).len(), 1);
    }
}
