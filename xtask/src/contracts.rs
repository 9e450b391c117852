//! `cargo xtask contracts`: compiles the contracts and keeps what the rest of the repository uses of them: ABI and bytecode
//! (`contracts/artifacts`, so that nothing else needs Node) and the gas of named calls (`contracts/gas`).
//!
//! With `--check`, which is a step of `cargo xtask ci`, nothing is kept: it fails if what is kept is not what comes out
//! now, if a file is not formatted, if a test of forge fails, or if a contract judges one of 10,000 random signatures or
//! 1,000 random pieces of evidence otherwise than the node does (`client/tests/contracts` makes them).

use crate::command;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the project of forge lies, and in it what is kept.
const FOLDER: &str = "contracts";
const ARTIFACTS: &str = "contracts/artifacts";
const GAS: &str = "contracts/gas";
/// Where forge writes, as foundry.toml says: the contracts alone, and the gas of this run.
const OUT: &str = "target/contracts/out-artifacts";
const GAS_NOW: &str = "target/contracts/gas";
/// Where npm puts forge's program. Not its wrapper, `.bin/forge`: that ends with 0 whatever the program ends with.
const FORGE: &str = "target/tools/node_modules/@foundry-rs/forge-";
/// Random signatures that node and contract must judge alike; and a tenth as many pieces of evidence.
const ROWS: &str = "10000";
/// What a deployed contract may have (EIP-170).
const CODE_BYTES_MAX: usize = 24_576;

/// Files by name, as JSON.
type Files = BTreeMap<String, Value>;

/// Compiles, measures, and keeps artifacts and gas.
pub fn keep() -> Result<(), String> {
    let artifacts = compiled()?;
    replace(ARTIFACTS, &artifacts)?;
    test()?;
    let gas = read_folder(&command::root().join(GAS_NOW))?;
    replace(GAS, &gas)?;
    println!(
        "wrote {} contracts to {ARTIFACTS} and {} tables to {GAS}",
        artifacts.len(),
        gas.len()
    );
    Ok(())
}

/// Fails if anything is not as it is kept, or wrong.
pub fn check() -> Result<(), String> {
    command::run(forge("default", &["fmt", "--check"])?)
        .map_err(|reason| format!("{reason}\nTo format: cd contracts && forge fmt"))?;
    // The compiler uses one core: what does not need the other goes on beside it.
    std::thread::scope(|scope| {
        let judged = scope.spawn(|| {
            compare(ARTIFACTS, &compiled()?, |name, _, _| {
                format!("{name} is not what the sources compile to")
            })?;
            rows()
        });
        let tested = tested();
        let judged = judged.join();
        tested.and(
            judged.unwrap_or_else(|_| Err("the comparison with the artifacts panicked".to_owned())),
        )
    })
}

/// The tests, and the gas of named calls.
fn tested() -> Result<(), String> {
    test()?;
    let gas = read_folder(&command::root().join(GAS_NOW))?;
    compare(GAS, &gas, gas_changes)
}

/// What the node says of random signatures and evidence, the contracts say, too.
fn rows() -> Result<(), String> {
    let mut rows = command::cargo(&["test", "--workspace", "--test", "contracts", "--locked"]);
    rows.env("OUTRIDER_CONTRACT_ROWS", ROWS);
    command::run(rows)?;
    command::run(forge("rows", &["test", "-vv"])?)
}

/// The tests; they leave the gas of named calls behind.
fn test() -> Result<(), String> {
    let folder = command::root().join(GAS_NOW);
    if folder.is_dir() {
        fs::remove_dir_all(&folder)
            .map_err(|error| format!("cannot remove {}: {error}", folder.display()))?;
    }
    let mut tests = forge("default", &["test"])?;
    tests.env("FORGE_SNAPSHOT_EMIT", "true");
    tests.env("FOUNDRY_SNAPSHOTS", folder);
    command::run(tests)
}

/// Forge, in its folder, with one of its profiles.
fn forge(profile: &str, arguments: &[&str]) -> Result<Command, String> {
    let root = command::root();
    let program = root.join(forge_program());
    if !program.exists() {
        let program = program.display();
        return Err(format!("there is no {program}: run .ci/run setup"));
    }
    let mut forge = command::program(&program.to_string_lossy(), arguments);
    forge
        .current_dir(root.join(FOLDER))
        .env("FOUNDRY_PROFILE", profile);
    Ok(forge)
}

/// Forge's program for this machine, as npm names it.
fn forge_program() -> String {
    let system = match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    let processor = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("{FORGE}{system}-{processor}/bin/forge")
}

/// The artifact of every contract that can be deployed. Always all of them are compiled, and nothing with them: bytes may
/// depend on what else a compiler is given.
fn compiled() -> Result<Files, String> {
    command::run(forge("artifacts", &["build", "--force"])?)?;
    let root = command::root();
    let mut names = Vec::new();
    sources(&root.join(FOLDER).join("src"), &mut names)?;
    let mut files = Files::new();
    for name in names {
        let path = root.join(OUT).join(format!("{name}.sol/{name}.json"));
        if let Some(artifact) = artifact(&name, &read(&path)?)? {
            files.insert(format!("{name}.json"), artifact);
        }
    }
    Ok(files)
}

/// What is kept of the compiler's output; none for what cannot be deployed.
fn artifact(name: &str, output: &Value) -> Result<Option<Value>, String> {
    let code = |key: &str| {
        let object = output[key]["object"].as_str();
        object.ok_or_else(|| format!("{name}: the compiler gave no {key}"))
    };
    let (bytecode, deployed) = (code("bytecode")?, code("deployedBytecode")?);
    if bytecode == "0x" {
        return Ok(None);
    }
    if bytecode.contains("__$") {
        return Err(format!(
            "{name} has to be linked to a library: make the library's functions internal"
        ));
    }
    let bytes = deployed.len().saturating_sub(2) / 2;
    if bytes > CODE_BYTES_MAX {
        return Err(format!(
            "{name} has {bytes} bytes of code, at most {CODE_BYTES_MAX} can be deployed: move something into a contract of its own"
        ));
    }
    Ok(Some(
        json!({ "abi": output["abi"], "bytecode": bytecode, "deployedBytecode": deployed }),
    ))
}

/// The names of the files, without those of interfaces and libraries. A contract has the name of its file.
fn sources(folder: &Path, names: &mut Vec<String>) -> Result<(), String> {
    for path in list(folder)? {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if name != "interfaces" && name != "lib" {
                sources(&path, names)?;
            }
        } else {
            names.push(name.into_owned());
        }
    }
    Ok(())
}

/// Fails with every difference between what is kept in a folder and what is found now.
fn compare(
    folder: &str,
    found: &Files,
    say: impl Fn(&str, &Value, &Value) -> String,
) -> Result<(), String> {
    let kept = read_folder(&command::root().join(folder))?;
    let differences = differences(&kept, found, say);
    if differences.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{folder} is stale:\n  {}\nIf that is meant: cargo xtask contracts",
        differences.join("\n  ")
    ))
}

fn differences(
    kept: &Files,
    found: &Files,
    say: impl Fn(&str, &Value, &Value) -> String,
) -> Vec<String> {
    let mut out = Vec::new();
    for (name, value) in found {
        match kept.get(name) {
            None => out.push(format!("{name} is missing")),
            Some(old) if old != value => out.push(say(name, old, value)),
            Some(_) => {}
        }
    }
    let gone = kept.keys().filter(|name| !found.contains_key(*name));
    out.extend(gone.map(|name| format!("{name} is of nothing that there is")));
    out
}

/// What became dearer or cheaper, call by call.
fn gas_changes(name: &str, kept: &Value, found: &Value) -> String {
    let none = Map::new();
    let kept = kept.as_object().unwrap_or(&none);
    let found = found.as_object().unwrap_or(&none);
    let mut lines = Vec::new();
    for (call, gas) in found {
        let now = gas.as_str().unwrap_or_default();
        match kept.get(call).map(|gas| gas.as_str().unwrap_or_default()) {
            Some(was) if was == now => {}
            Some(was) => lines.push(format!("{name}: {call}: {was} before, {now} now")),
            None => lines.push(format!("{name}: {call}: {now}, not kept")),
        }
    }
    let gone = kept.keys().filter(|call| !found.contains_key(*call));
    lines.extend(gone.map(|call| format!("{name}: {call}: kept, not measured")));
    lines.join("\n  ")
}

/// Makes the JSON files of a folder these.
fn replace(folder: &str, files: &Files) -> Result<(), String> {
    let path = command::root().join(folder);
    fs::create_dir_all(&path).map_err(|error| format!("cannot make {folder}: {error}"))?;
    for old in list(&path)? {
        fs::remove_file(&old)
            .map_err(|error| format!("cannot remove {}: {error}", old.display()))?;
    }
    for (name, value) in files {
        let text = format!("{value:#}\n");
        fs::write(path.join(name), text)
            .map_err(|error| format!("cannot write {folder}/{name}: {error}"))?;
    }
    Ok(())
}

/// The JSON files of a folder; none if it is not there.
fn read_folder(folder: &Path) -> Result<Files, String> {
    let mut files = Files::new();
    if folder.is_dir() {
        for path in list(folder)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            files.insert(name.into_owned(), read(&path)?);
        }
    }
    Ok(files)
}

fn read(path: &Path) -> Result<Value, String> {
    let text = fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{} is no JSON: {error}", path.display()))
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder)
        .map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
        paths.push(entry.path());
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(bytecode: &str, deployed: &str) -> Value {
        json!({ "abi": [], "bytecode": { "object": bytecode }, "deployedBytecode": { "object": deployed } })
    }

    #[test]
    fn an_interface_has_no_artifact_and_a_contract_has_one() {
        assert_eq!(artifact("I", &output("0x", "0x")), Ok(None));
        let kept = json!({ "abi": [], "bytecode": "0x6001", "deployedBytecode": "0x60" });
        assert_eq!(artifact("C", &output("0x6001", "0x60")), Ok(Some(kept)));
        assert!(
            artifact("C", &json!({}))
                .unwrap_err()
                .contains("no bytecode")
        );
        let linked = artifact("C", &output("0x60__$ab$__", "0x60"));
        assert!(linked.unwrap_err().contains("linked"));
    }

    #[test]
    fn the_largest_contract_can_be_deployed_and_one_byte_more_cannot() {
        let of = |bytes: usize| output("0x60", &format!("0x{}", "00".repeat(bytes)));
        assert!(artifact("C", &of(CODE_BYTES_MAX)).is_ok());
        let refused = artifact("C", &of(CODE_BYTES_MAX + 1)).unwrap_err();
        assert!(refused.contains("24577 bytes"), "{refused}");
    }

    #[test]
    fn every_difference_is_named() {
        let files = |pairs: &[(&str, Value)]| -> Files {
            let own = |(name, value): &(&str, Value)| ((*name).to_owned(), value.clone());
            pairs.iter().map(own).collect()
        };
        let kept = files(&[
            ("a", json!({"x": "1", "y": "2"})),
            ("b", json!({})),
            ("d", json!({})),
        ]);
        let found = files(&[
            ("a", json!({"x": "3", "z": "4"})),
            ("c", json!({})),
            ("d", json!({})),
        ]);
        assert_eq!(
            differences(&kept, &found, gas_changes),
            [
                "a: x: 1 before, 3 now\n  a: z: 4, not kept\n  a: y: kept, not measured",
                "c is missing",
                "b is of nothing that there is",
            ]
        );
        assert_eq!(differences(&kept, &kept, gas_changes), [""; 0]);
    }
}
