//! The members of a run as processes: start, look, kill, stop.

use crate::error::CompareError;
use crate::process::{cpu_seconds, resident_bytes};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout_at};

/// How long members may take to stop; then they are killed.
const STOP_WITHIN: Duration = Duration::from_secs(10);
/// Bytes of the end of a log that are shown.
const TAIL_BYTES: usize = 400;

/// All members. They are killed when this is dropped, and end when this process does.
#[derive(Debug, Default)]
pub struct Children(Vec<Member>);

#[derive(Debug)]
struct Member {
    child: Child,
    pid: u32,
    log: PathBuf,
    killed: bool,
}

impl Children {
    /// Start the next member. Its output goes to its log.
    pub fn start(&mut self, mut command: Command, log: &Path) -> Result<(), CompareError> {
        let out = File::create(log).map_err(CompareError::file("create", log))?;
        let also = out.try_clone().map_err(CompareError::file("open", log))?;
        let program = PathBuf::from(command.as_std().get_program());
        let child = command
            // Its end tells the member to stop.
            .stdin(Stdio::piped())
            .stdout(out)
            .stderr(also)
            // A ctrl-c in the terminal is for us alone.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(CompareError::file("start", &program))?;
        self.0.push(Member {
            pid: child.id().unwrap_or_default(),
            child,
            log: log.to_owned(),
            killed: false,
        });
        Ok(())
    }

    /// An error if a member has ended that was not killed.
    pub fn check(&mut self) -> Result<(), CompareError> {
        for (index, member) in self.0.iter_mut().enumerate() {
            if let (false, Ok(Some(status))) = (member.killed, member.child.try_wait()) {
                return Err(CompareError::Died {
                    member: index,
                    how: status.to_string(),
                    tail: tail(&member.log),
                });
            }
        }
        Ok(())
    }

    /// CPU seconds used so far by all.
    pub fn cpu_seconds(&self) -> Result<f64, CompareError> {
        self.0.iter().map(|member| cpu_seconds(member.pid)).sum()
    }

    /// Resident memory of the member that has most.
    pub fn resident_bytes_max(&self) -> Result<u64, CompareError> {
        let alive = self.0.iter().filter(|member| !member.killed);
        let all: Result<Vec<u64>, _> = alive.map(|member| resident_bytes(member.pid)).collect();
        all.map(|all| all.into_iter().max().unwrap_or(0))
    }

    /// SIGKILL to one member.
    pub async fn kill(&mut self, index: usize) -> Result<(), CompareError> {
        let member = &mut self.0[index];
        member.killed = true;
        let killed = member.child.kill().await;
        killed.map_err(CompareError::file("kill", &member.log))
    }

    /// Tell all to stop, wait, then kill. Those that do not stop are named.
    pub async fn stop(mut self) -> Result<(), CompareError> {
        self.check()?;
        for member in &mut self.0 {
            drop(member.child.stdin.take());
        }
        let deadline = Instant::now() + STOP_WITHIN;
        let mut slow = None;
        for (index, member) in self.0.iter_mut().enumerate() {
            if timeout_at(deadline, member.child.wait()).await.is_err() {
                let killed = member.child.kill().await;
                killed.map_err(CompareError::file("kill", &member.log))?;
                slow = Some(CompareError::Died {
                    member: index,
                    how: format!("killed, as it did not stop within {STOP_WITHIN:?}"),
                    tail: tail(&member.log),
                });
            }
        }
        slow.map_or(Ok(()), Err)
    }
}

/// The end of a log, on one line.
fn tail(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let end = &text[text.len().saturating_sub(TAIL_BYTES)..];
    let words = String::from_utf8_lossy(end);
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn members_end_with_their_input_and_deaths_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let mut children = Children::default();
        for name in ["a", "b"] {
            let log = dir.path().join(name);
            children.start(Command::new("cat"), &log).unwrap();
        }
        children.check().unwrap();
        assert!(children.cpu_seconds().unwrap() >= 0.0);
        children.kill(1).await.unwrap();
        children.check().unwrap();
        assert!(children.resident_bytes_max().is_ok());
        children.stop().await.unwrap();

        let mut children = Children::default();
        let mut command = Command::new("sh");
        command.args(["-c", "echo out of; echo luck; exit 3"]);
        children.start(command, &dir.path().join("c")).unwrap();
        children.0[0].child.wait().await.unwrap();
        let error = children.check().unwrap_err().to_string();
        assert!(
            error.contains("member 0") && error.contains("out of luck"),
            "{error}"
        );
    }
}
