//! The levels of ARCHITECTURE.md over `cargo metadata`: no dependency goes up, nor sideways inside a level.

use super::Fault;
use serde_json::Value;

const PREFIX: &str = "outrider-";

/// What a crate may depend on.
enum May {
    /// Every crate of a lower level.
    UseBelow,
    /// These only.
    Use(&'static [&'static str]),
}

/// A row of the table: folder, level, and what the crate may depend on.
struct Row {
    folder: &'static str,
    level: u8,
    may: May,
}

const fn row(folder: &'static str, level: u8, may: May) -> Row {
    Row { folder, level, may }
}

/// The table of ARCHITECTURE.md, the crates that come later included.
const TABLE: [Row; 18] = [
    row("types", 0, May::Use(&[])),
    row("mempool", 1, May::Use(&["types"])),
    row("consensus", 1, May::Use(&["types"])),
    row("finality", 1, May::Use(&["types"])),
    row("ethereum", 1, May::Use(&["types"])),
    row("network", 2, May::Use(&["types"])),
    row("storage", 2, May::Use(&["types"])),
    row("l1", 2, May::Use(&["types"])),
    row("node", 3, May::UseBelow),
    row("client", 3, May::Use(&["types", "finality"])),
    row(
        "conductor",
        3,
        May::Use(&["types", "finality", "ethereum", "client"]),
    ),
    row("client-wasm", 4, May::Use(&["client"])),
    row("sim", 4, May::UseBelow),
    row("bench", 4, May::UseBelow),
    row("fuzz", 4, May::UseBelow),
    row("xtask", 4, May::UseBelow),
    row("cli", 5, May::UseBelow),
    row("scale", 5, May::UseBelow),
];

/// Nobody depends on these, except as said.
const LEAVES: [(&str, &[&str]); 6] = [
    ("client-wasm", &[]),
    ("sim", &["cli", "scale"]),
    ("bench", &[]),
    ("scale", &[]),
    ("fuzz", &[]),
    ("xtask", &[]),
];

/// How one package needs another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// At run time or at build time.
    Ship,
    /// Only in tests, examples and benches.
    Test,
}

/// A package of the workspace and what it declares to depend on.
pub struct Package {
    pub name: String,
    pub dependencies: Vec<(String, Need)>,
}

impl Package {
    /// The name without the prefix, which is the name of the folder.
    pub fn folder(&self) -> &str {
        self.name.strip_prefix(PREFIX).unwrap_or(&self.name)
    }

    /// The level in the table, if the package is there.
    pub fn level(&self) -> Option<u8> {
        find(self.folder()).map(|row| row.level)
    }
}

/// Reads the output of `cargo metadata`.
pub fn packages(metadata: &str) -> Result<Vec<Package>, String> {
    let unreadable = |what: &str| format!("cannot read the output of `cargo metadata`: {what}");
    let metadata: Value =
        serde_json::from_str(metadata).map_err(|error| unreadable(&error.to_string()))?;
    let list = |value: &Value, key: &str| {
        value[key]
            .as_array()
            .cloned()
            .ok_or_else(|| unreadable(key))
    };
    let name = |value: &Value| {
        value["name"]
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| unreadable("name"))
    };
    let mut packages = Vec::new();
    for package in list(&metadata, "packages")? {
        let mut dependencies = Vec::new();
        for dependency in list(&package, "dependencies")? {
            let need = if dependency["kind"] == "dev" {
                Need::Test
            } else {
                Need::Ship
            };
            dependencies.push((name(&dependency)?, need));
        }
        packages.push(Package {
            name: name(&package)?,
            dependencies,
        });
    }
    Ok(packages)
}

fn find(folder: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.folder == folder)
}

/// Every arrow that the table forbids. Tests may look anywhere, except that those of levels 0 and 1 never look up.
pub fn check(packages: &[Package]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for package in packages {
        let Some(from) = find(package.folder()) else {
            faults.push(Fault::new(
                &package.name,
                "is not in the table of levels (xtask/src/tidy/levels.rs): add it",
            ));
            continue;
        };
        for (name, need) in &package.dependencies {
            let Some(to) = name.strip_prefix(PREFIX).and_then(find) else {
                continue;
            };
            if let Some(reason) = forbidden(from, to, *need) {
                faults.push(Fault::new(
                    &package.name,
                    format!("must not depend on {name}: {reason}"),
                ));
            }
        }
    }
    faults
}

fn forbidden(from: &Row, to: &Row, need: Need) -> Option<String> {
    if need == Need::Test {
        let up = from.level <= 1 && to.level > from.level;
        return up.then(|| {
            format!(
                "even in tests, level {} does not look up to level {}",
                from.level, to.level
            )
        });
    }
    let leaf = LEAVES.iter().find(|(folder, _)| *folder == to.folder);
    if let Some((folder, except)) = leaf
        && !except.contains(&from.folder)
    {
        return Some(format!("nobody depends on {folder}, except {except:?}"));
    }
    match from.may {
        May::Use(allowed) if !allowed.contains(&to.folder) => {
            Some(format!("it may use only {allowed:?}"))
        }
        May::UseBelow if to.level >= from.level => Some(format!(
            "level {} uses only lower levels, not level {}",
            from.level, to.level
        )),
        May::Use(_) | May::UseBelow => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(from: &str, to: &str, need: Need) -> usize {
        let package = Package {
            name: format!("{PREFIX}{from}"),
            dependencies: vec![(format!("{PREFIX}{to}"), need)],
        };
        check(&[package]).len()
    }

    #[test]
    fn arrows_down_are_allowed() {
        for (from, to) in [
            ("mempool", "types"),
            ("storage", "types"),
            ("node", "consensus"),
            ("node", "l1"),
            ("client", "finality"),
            ("conductor", "client"),
            ("sim", "node"),
            ("cli", "sim"),
            ("cli", "conductor"),
        ] {
            assert_eq!(faults(from, to, Need::Ship), 0, "{from} -> {to}");
        }
    }

    #[test]
    fn arrows_up_sideways_or_past_the_table_are_faults() {
        for (from, to) in [
            ("types", "consensus"),
            ("consensus", "mempool"),
            ("finality", "storage"),
            ("storage", "network"),
            ("network", "consensus"),
            ("client", "node"),
            ("client", "storage"),
            ("conductor", "node"),
            ("node", "client"),
            ("node", "sim"),
            ("sim", "bench"),
            ("cli", "bench"),
            ("cli", "xtask"),
            ("bench", "cli"),
        ] {
            assert_eq!(faults(from, to, Need::Ship), 1, "{from} -> {to}");
        }
    }

    #[test]
    fn tests_may_look_anywhere_except_up_from_the_pure_levels() {
        assert_eq!(faults("client", "node", Need::Test), 0);
        assert_eq!(faults("storage", "consensus", Need::Test), 0);
        assert_eq!(faults("finality", "consensus", Need::Test), 0);
        assert_eq!(faults("consensus", "sim", Need::Test), 1);
        assert_eq!(faults("types", "finality", Need::Test), 1);
    }

    #[test]
    fn an_unknown_crate_is_a_fault() {
        let package = Package {
            name: "outrider-helper".to_owned(),
            dependencies: Vec::new(),
        };
        assert_eq!(check(&[package]).len(), 1);
    }

    #[test]
    fn metadata_is_read_with_build_dependencies_as_shipped() {
        let text = r#"{"packages":[{"name":"outrider-types","dependencies":[
            {"name":"bytes","kind":null},{"name":"cc","kind":"build"},{"name":"proptest","kind":"dev"}]}]}"#;
        let packages = packages(text).unwrap();
        let needs: Vec<Need> = packages[0]
            .dependencies
            .iter()
            .map(|(_, need)| *need)
            .collect();
        assert_eq!(needs, [Need::Ship, Need::Ship, Need::Test]);
        assert_eq!(packages[0].level(), Some(0));
        assert!(super::packages("{}").is_err());
        assert!(super::packages("nonsense").is_err());
    }
}
