//! Tells the binary which commit it was built from, for the tokens of `outrider sim`.

use std::path::Path;
use std::process::Command;

fn main() {
    let git = Path::new("../.git");
    // A new commit moves the branch that HEAD names.
    println!("cargo::rerun-if-changed=../.git/HEAD");
    if let Ok(head) = std::fs::read_to_string(git.join("HEAD"))
        && let Some(branch) = head.strip_prefix("ref: ")
    {
        println!("cargo::rerun-if-changed=../.git/{}", branch.trim());
    }
    let commit = Command::new("git")
        .args(["rev-parse", "--short=12", "HEAD"])
        .output()
        .ok()
        .filter(|output| output.status.success())
        .and_then(|output| String::from_utf8(output.stdout).ok());
    let commit = commit.as_deref().map_or("unknown", str::trim);
    println!("cargo::rustc-env=OUTRIDER_COMMIT={commit}");
}
