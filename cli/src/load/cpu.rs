//! CPU time of the members and of this program, from `/proc`.

use std::path::PathBuf;

/// Clock ticks in `/proc/PID/stat`: `USER_HZ`, which is 100 on every Linux architecture that we build for.
const TICKS_PER_S: f64 = 100.0;

/// CPU seconds of all members, or why they are not known.
pub type Used = Result<f64, String>;

/// A measurement that has begun.
#[derive(Debug)]
pub struct Cpu {
    files: Vec<PathBuf>,
    begin: Result<Vec<(u32, u64)>, String>,
    own: Option<u64>,
}

impl Cpu {
    /// Read the process ids from files, and what the processes have used so far.
    pub fn begin(files: Vec<PathBuf>) -> Self {
        let begin = read_all(&files);
        let own = own();
        Self { files, begin, own }
    }

    /// What they have used since.
    pub fn end(&self) -> Used {
        let begin = self.begin.as_ref().map_err(Clone::clone)?;
        let end = read_all(&self.files)?;
        let mut ticks = 0;
        for ((pid_before, before), (pid, after)) in begin.iter().zip(end) {
            if *pid_before != pid {
                return Err("a member was restarted meanwhile".to_owned());
            }
            ticks += after.saturating_sub(*before);
        }
        Ok(seconds(ticks))
    }

    /// What this program has used since.
    pub fn own(&self) -> Option<f64> {
        Some(seconds(own()?.saturating_sub(self.own?)))
    }
}

fn own() -> Option<u64> {
    ticks(&std::fs::read_to_string("/proc/self/stat").ok()?)
}

fn seconds(ticks: u64) -> f64 {
    f64::from(u32::try_from(ticks).unwrap_or(u32::MAX)) / TICKS_PER_S
}

fn read_all(files: &[PathBuf]) -> Result<Vec<(u32, u64)>, String> {
    if files.is_empty() {
        return Err("process ids are known only with --dir".to_owned());
    }
    files.iter().map(read).collect()
}

/// Process id and ticks used.
fn read(file: &PathBuf) -> Result<(u32, u64), String> {
    let text =
        std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let pid: u32 = text
        .trim()
        .parse()
        .map_err(|_| format!("{} holds no process id", file.display()))?;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .map_err(|_| format!("process {pid} is not running"))?;
    ticks(&stat)
        .map(|ticks| (pid, ticks))
        .ok_or_else(|| format!("/proc/{pid}/stat cannot be read"))
}

/// User and system time, fields 14 and 15; the name in field 2 may hold anything, so count after its last parenthesis.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat[stat.rfind(')')? + 1..].split_whitespace();
    let user: u64 = fields.nth(11)?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    user.checked_add(system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_with_a_strange_name_is_read() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 17 5 0 0 20 0 9 0 100 1 1";
        assert_eq!(ticks(stat), Some(22));
        assert_eq!(ticks("42 (a) S 1"), None);
        assert_eq!(ticks(""), None);
    }

    #[test]
    fn own_process_is_measured_and_unknown_ones_say_why() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("{}\n", std::process::id())).unwrap();
        let cpu = Cpu::begin(vec![file.path().to_path_buf()]);
        assert!(cpu.end().unwrap() >= 0.0);
        assert!(cpu.own().unwrap() >= 0.0);
        assert!(Cpu::begin(Vec::new()).end().unwrap_err().contains("--dir"));
        std::fs::write(file.path(), "x").unwrap();
        assert!(
            Cpu::begin(vec![file.path().to_path_buf()])
                .end()
                .unwrap_err()
                .contains("no process id")
        );
        assert!(cpu.end().is_err());
    }
}
