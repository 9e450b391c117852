//! What the system says of processes and of itself, from `/proc`.

use crate::numbers::float;
use serde::Serialize;
use std::fs::read_to_string;
use std::path::Path;
use std::process::{Command, Stdio};

/// Clock ticks in `/proc/PID/stat`: `USER_HZ`, which is 100 on every Linux architecture that we build for.
const TICKS_PER_S: f64 = 100.0;

/// What one process has used and holds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Seconds of CPU, user and system, of all its threads.
    pub cpu_s: f64,
    /// Whether it has ended and was not waited for yet.
    pub ended: bool,
}

/// What a process has used so far; none if there is no such process.
pub fn usage(pid: u32) -> Option<Usage> {
    parse_stat(&read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// State and times: fields 3, 14 and 15. The name in field 2 may hold anything, so count after its last parenthesis.
fn parse_stat(stat: &str) -> Option<Usage> {
    let mut fields = stat[stat.rfind(')')? + 1..].split_whitespace();
    let ended = fields.next()? == "Z";
    let user: u64 = fields.nth(10)?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Usage {
        cpu_s: float(user.checked_add(system)?) / TICKS_PER_S,
        ended,
    })
}

/// Resident bytes of a process now, and the most it ever had; none if there is no such process.
pub fn resident(pid: u32) -> Option<(u64, u64)> {
    let status = read_to_string(format!("/proc/{pid}/status")).ok()?;
    Some((field_kb(&status, "VmRSS")?, field_kb(&status, "VmHWM")?))
}

/// Bytes of a field that is in kB.
fn field_kb(text: &str, name: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1_024)
}

/// What a measurement was made on.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Name of the processor.
    pub cpu: String,
    /// Processors that this program may use.
    pub cores: usize,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Release of the kernel.
    pub kernel: String,
    /// What `outrider --version` says.
    pub outrider: String,
    /// The commit of the folder in which the bench was started, if it is one of git.
    pub commit: String,
}

impl Machine {
    /// This one.
    pub fn here(outrider: &Path) -> Self {
        let cpuinfo = read_to_string("/proc/cpuinfo").unwrap_or_default();
        let name = cpuinfo
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
            .map_or("unknown", |(_, name)| name);
        let meminfo = read_to_string("/proc/meminfo").unwrap_or_default();
        let kernel = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            cpu: name.to_owned(),
            cores,
            memory_bytes: field_kb(&meminfo, "MemTotal").unwrap_or_default(),
            kernel: kernel.trim().to_owned(),
            outrider: said(Command::new(outrider).arg("--version")),
            commit: said(Command::new("git").args([
                "describe",
                "--always",
                "--dirty",
                "--abbrev=12",
            ])),
        }
    }
}

/// The first line that a program prints, or why there is none.
fn said(command: &mut Command) -> String {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    match output.lines().next() {
        Some(line) => line.to_owned(),
        None => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_with_a_strange_name_is_read() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 17 5 0 0 20 0 9 0 100 1 1";
        let read = parse_stat(stat).unwrap();
        assert_eq!((read.cpu_s, read.ended), (0.22, false));
        assert!(parse_stat(&stat.replace(") S", ") Z")).unwrap().ended);
        assert_eq!(parse_stat("42 (a) S 1"), None);
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn fields_in_kilobytes_are_bytes() {
        let text = "VmHWM:\t  200 kB\nVmRSS:\t  100 kB\nThreads:\t1\n";
        assert_eq!(field_kb(text, "VmRSS"), Some(102_400));
        assert_eq!(field_kb(text, "Threads"), None);
        assert_eq!(field_kb(text, "Vm"), None);
    }

    #[test]
    fn own_process_is_seen() {
        let own = std::process::id();
        let (now, most) = resident(own).unwrap();
        assert!(now > 0 && most >= now);
        assert!(!usage(own).unwrap().ended);
    }
}
