//! CPU time and memory of processes, from `/proc`, for ours and the peers alike.

use crate::error::CompareError;

/// Clock ticks in `/proc/PID/stat`: `USER_HZ`, which is 100 on every Linux architecture that we build for.
const TICKS_PER_S: f64 = 100.0;

/// CPU seconds that a process has used, its ended threads included.
pub fn cpu_seconds(pid: u32) -> Result<f64, CompareError> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok();
    let ticks = text.and_then(|stat| fields(&stat, 11));
    ticks.map(seconds).ok_or(CompareError::Process {
        what: "the CPU time",
        pid,
    })
}

/// CPU seconds of children of this process that have ended and were waited for.
#[must_use]
pub fn cpu_seconds_of_ended_children() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").ok();
    text.and_then(|stat| fields(&stat, 13)).map_or(0.0, seconds)
}

/// Resident memory of a process, bytes.
pub fn resident_bytes(pid: u32) -> Result<u64, CompareError> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok();
    text.and_then(|status| resident(&status))
        .ok_or(CompareError::Process {
            what: "the memory",
            pid,
        })
}

fn seconds(ticks: u64) -> f64 {
    f64::from(u32::try_from(ticks).unwrap_or(u32::MAX)) / TICKS_PER_S
}

/// The sum of two fields that follow each other, counted after the process's name, which may hold anything.
fn fields(stat: &str, first: usize) -> Option<u64> {
    let mut fields = stat[stat.rfind(')')? + 1..].split_ascii_whitespace();
    let user: u64 = fields.nth(first)?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    user.checked_add(system)
}

fn resident(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_with_a_strange_name_is_read() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 17 5 3 4 20 0 9 0 100 1 1";
        assert_eq!(fields(stat, 11), Some(22));
        assert_eq!(fields(stat, 13), Some(7));
        assert_eq!(fields("42 (a) S 1", 11), None);
        assert_eq!(fields("", 11), None);
    }

    #[test]
    fn memory_is_read() {
        assert_eq!(resident("Name:\tx\nVmRSS:\t   12 kB\n"), Some(12_288));
        assert_eq!(resident("Name:\tx\n"), None);
    }

    #[test]
    fn own_process_is_measured_and_a_missing_one_says_so() {
        assert!(cpu_seconds(std::process::id()).unwrap() >= 0.0);
        assert!(resident_bytes(std::process::id()).unwrap() > 0);
        assert!(
            cpu_seconds(u32::MAX)
                .unwrap_err()
                .to_string()
                .contains("CPU time")
        );
    }
}
