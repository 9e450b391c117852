//! `cargo xtask wasm`: builds the light client for WebAssembly, tests it in Node, and puts it where the node embeds it.
//!
//! The module is committed, because a build of the node must not need a second compiler. Beside it stands a digest of what
//! it was built from; `cargo xtask ci` compares it, and also builds and tests a fresh one, which is not kept. Compilers
//! differ, so bytes are not compared.
//!
//! The compiler: the default one if it has the target, else the one of Debian's `rustc-web` with the sources of the
//! standard library (`rust-web-src`), unpacked by `.ci/run setup` into target/tools. Debian ships no built standard library
//! for the target, so cargo builds it, which only compilers that allow unstable options do (`RUSTC_BOOTSTRAP`).

use crate::command;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-unknown-unknown";
const PACKAGE: &str = "outrider-client-wasm";
/// Where `.ci/run setup` unpacks the compiler.
const TOOLS: &str = "target/tools/rust-wasm";
/// The module that the node embeds, and the digest of its sources.
const MODULE: &str = "node/src/api/ui/light-client.wasm";
const DIGEST: &str = "node/src/api/ui/light-client.sources";
const TEST: &str = "client/wasm/test.mjs";
/// What is downloaded by every reader of the page.
const BYTES_MAX: u64 = 400 * 1024;
/// What the module is made of, beside its dependencies: files, and folders with all that is in them.
const SOURCES: [&str; 12] = [
    "client/Cargo.toml",
    "client/src/check.rs",
    "client/src/lib.rs",
    "client/src/order.rs",
    "client/src/order_text.rs",
    "client/wasm/Cargo.toml",
    "client/wasm/src",
    "finality/Cargo.toml",
    "finality/src",
    "types/Cargo.toml",
    "types/src",
    "xtask/src/wasm.rs",
];

/// Builds, tests and keeps the module.
pub fn keep() -> Result<(), String> {
    let root = command::root();
    let built = build(&root)?;
    test(&built)?;
    let module = root.join(MODULE);
    fs::copy(&built, &module).map_err(|error| format!("cannot write {MODULE}: {error}"))?;
    fs::write(root.join(DIGEST), digest(&root)?)
        .map_err(|error| format!("cannot write {DIGEST}: {error}"))?;
    println!("wrote {MODULE} and {DIGEST}");
    Ok(())
}

/// Fails if the module that is kept was made of other sources, or if it or a fresh one fails its tests.
pub fn check() -> Result<(), String> {
    let root = command::root();
    let kept = fs::read_to_string(root.join(DIGEST))
        .map_err(|error| format!("cannot read {DIGEST}: {error}"))?;
    if kept != digest(&root)? {
        return Err(format!(
            "{MODULE} was built from other sources: to build it again, cargo xtask wasm"
        ));
    }
    test(&root.join(MODULE))?;
    test(&build(&root)?)
}

fn test(module: &Path) -> Result<(), String> {
    let bytes = fs::metadata(module)
        .map_err(|error| format!("cannot read {}: {error}", module.display()))?
        .len();
    if bytes > BYTES_MAX {
        return Err(format!(
            "{} has {bytes} bytes, at most {BYTES_MAX} are allowed",
            module.display()
        ));
    }
    command::run(command::program("node", &[TEST, &module.to_string_lossy()]))
}

/// The module, built; it is in cargo's target folder.
fn build(root: &Path) -> Result<PathBuf, String> {
    let mut arguments = vec![
        "build",
        "--locked",
        "--profile",
        "wasm",
        "--target",
        TARGET,
        "--package",
        PACKAGE,
    ];
    let target = target_folder(root).join("wasm");
    let folder = target.to_string_lossy().into_owned();
    arguments.extend(["--target-dir", &folder]);
    let own = has_target(root)?;
    if !own {
        arguments.extend([
            "-Zbuild-std=std,panic_abort",
            "-Zbuild-std-features=optimize_for_size",
        ]);
    }
    let mut cargo = command::cargo(&arguments);
    if !own {
        debian_compiler(root, &mut cargo)?;
    }
    cargo.env("CARGO_INCREMENTAL", "0");
    command::run(cargo)?;
    Ok(target
        .join(TARGET)
        .join("wasm")
        .join(PACKAGE.replace('-', "_"))
        .with_extension("wasm"))
}

fn target_folder(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// Whether the default compiler has a standard library for the target.
fn has_target(root: &Path) -> Result<bool, String> {
    let library = rustc(&["--print", "target-libdir", "--target", TARGET])?;
    Ok(root.join(library).is_dir())
}

fn rustc(arguments: &[&str]) -> Result<String, String> {
    command::output(command::program("rustc", arguments)).map(|text| text.trim().to_owned())
}

/// Lets cargo use the compiler that `.ci/run setup` unpacked, and the linker of the default one.
fn debian_compiler(root: &Path, cargo: &mut Command) -> Result<(), String> {
    let tools = root.join(TOOLS);
    let compiler = tools.join("usr/bin/rustc");
    let version = rustc(&["--version", "--verbose"])?;
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .unwrap_or_default();
    let linker = Path::new(&rustc(&["--print", "sysroot"])?)
        .join("lib/rustlib")
        .join(host)
        .join("bin/rust-lld");
    for (path, what) in [(&compiler, "compiler"), (&linker, "linker")] {
        if !path.is_file() {
            return Err(format!(
                "no {what} for {TARGET} at {}: run .ci/run setup, or rustup target add {TARGET}",
                path.display()
            ));
        }
    }
    cargo
        .env("RUSTC", compiler)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("LD_LIBRARY_PATH", tools.join("usr/lib/x86_64-linux-gnu"))
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker)
        // Where things lie on this machine is nobody's business, and costs bytes.
        .env("RUSTFLAGS", "-Zlocation-detail=none");
    Ok(())
}

/// One line that changes when the module has to be built again: over the sources and the versions of what they use.
fn digest(root: &Path) -> Result<String, String> {
    let mut hash = Sha256::new();
    let mut files = Vec::new();
    for source in SOURCES {
        list(&root.join(source), &mut files)?;
    }
    files.sort();
    for file in files {
        let bytes =
            fs::read(&file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        let name = file.strip_prefix(root).unwrap_or(&file).to_string_lossy();
        hash.update(format!("{name} {}\n", bytes.len()));
        hash.update(bytes);
    }
    for line in used()? {
        hash.update(line);
    }
    let digits: String = hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(format!("{digits}\n"))
}

fn list(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    if !path.is_dir() {
        files.push(path.to_path_buf());
        return Ok(());
    }
    let entries =
        fs::read_dir(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    for entry in entries {
        let entry = entry.map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        list(&entry.path(), files)?;
    }
    Ok(())
}

/// Name and version of every package in the module.
fn used() -> Result<Vec<String>, String> {
    let tree = command::output(command::cargo(&[
        "tree",
        "--locked",
        "--package",
        PACKAGE,
        "--target",
        TARGET,
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--no-dedupe",
    ]))?;
    let mut lines: Vec<String> = tree
        .lines()
        .map(|line| line.split(" (").next().unwrap_or(line).to_owned() + "\n")
        .collect();
    lines.sort();
    lines.dedup();
    Ok(lines)
}
