//! The processes of a devnet: start, watch, stop.

use crate::failure::Failure;
use crate::folder::{MemberFiles, Network};
use crate::output::tell;
use outrider_client::Client;
use std::fs::{self, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

/// How long a member may take to stop after SIGTERM; then it is killed, which loses nothing.
const STOP_WITHIN: Duration = Duration::from_secs(10);
/// Between two looks at members that start.
const LOOK: Duration = Duration::from_millis(50);
/// The end of a log that is looked at.
const TAIL_BYTES: u64 = 8 * 1024;
/// Lines of it that are shown.
const TAIL_LINES: usize = 10;

/// The members of a devnet as processes.
#[derive(Debug)]
pub struct Children {
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    files: MemberFiles,
    process: Child,
    /// Ended by itself.
    ended: bool,
}

impl Children {
    /// Start every member of a folder, each with its log in its folder.
    pub fn start(network: &Network) -> Result<Self, Failure> {
        let mut members = Vec::with_capacity(network.members.len());
        for files in &network.members {
            let process = spawn(files)?;
            members.push(Member {
                files: files.clone(),
                process,
                ended: false,
            });
        }
        Ok(Self { members })
    }

    /// Wait until every member answers. A member that ends meanwhile is an error.
    pub async fn ready(&mut self, network: &Network, within: Duration) -> Result<(), Failure> {
        let deadline = Instant::now() + within;
        let clients = network
            .members
            .iter()
            .map(|member| Client::with_timeout(&member.rpc_url(), Duration::from_secs(1)))
            .collect::<Result<Vec<_>, _>>()?;
        for (index, client) in clients.iter().enumerate() {
            while client.head().await.is_err() {
                if let Some(death) = self.look().into_iter().next() {
                    return Err(death);
                }
                if Instant::now() >= deadline {
                    let missing = self.members[index].files.name.clone();
                    return Err(Failure::NotReady {
                        within,
                        missing,
                        dir: network.dir.clone(),
                    });
                }
                sleep(LOOK).await;
            }
        }
        Ok(())
    }

    /// Members that have ended since the last look, as errors to show.
    pub fn look(&mut self) -> Vec<Failure> {
        let mut deaths = Vec::new();
        for member in &mut self.members {
            let Ok(Some(status)) = member.process.try_wait() else {
                continue;
            };
            if !member.ended {
                member.ended = true;
                deaths.push(death(&member.files, status));
            }
        }
        deaths
    }

    /// Whether the member at this place is running, as of the last look.
    pub fn is_alive(&self, index: usize) -> bool {
        self.members.get(index).is_some_and(|member| !member.ended)
    }

    /// How many run.
    pub fn alive(&self) -> usize {
        self.members.len() - self.dead()
    }

    /// How many ended by themselves.
    pub fn dead(&self) -> usize {
        self.members.iter().filter(|member| member.ended).count()
    }

    /// SIGTERM to all, wait, then kill.
    pub async fn stop(&mut self) {
        for death in self.look() {
            tell!("{death}");
        }
        for member in self.members.iter().filter(|member| !member.ended) {
            let pid = member
                .process
                .id()
                .and_then(|id| i32::try_from(id).ok())
                .and_then(rustix::process::Pid::from_raw);
            if let Some(pid) = pid {
                // One that has just ended needs no signal.
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            }
        }
        let deadline = Instant::now() + STOP_WITHIN;
        for member in &mut self.members {
            let left = deadline.saturating_duration_since(Instant::now());
            if timeout(left, member.process.wait()).await.is_err() {
                tell!(
                    "{} did not stop within {STOP_WITHIN:?} and is killed; nothing is lost",
                    member.files.name
                );
                if let Err(error) = member.process.kill().await {
                    tell!("{} cannot be killed: {error}", member.files.name);
                }
            }
            // A file that is gone is what we want.
            let _ = fs::remove_file(&member.files.pid);
        }
    }
}

fn spawn(files: &MemberFiles) -> Result<Child, Failure> {
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&files.log)
        .map_err(Failure::file("open", &files.log))?;
    let also = log.try_clone().map_err(Failure::file("open", &files.log))?;
    let program = std::env::current_exe().map_err(Failure::file("find", Path::new("outrider")))?;
    let child = Command::new(&program)
        .args(["start", "--until-stdin-ends", "--config"])
        .arg(&files.config)
        // Its end tells the member that we are gone, even if we are killed.
        .stdin(Stdio::piped())
        .stdout(log)
        .stderr(also)
        // A ctrl-c in the terminal is for us alone; we stop the members.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(Failure::file("start", &program))?;
    let pid = child.id().unwrap_or_default();
    fs::write(&files.pid, format!("{pid}\n")).map_err(Failure::file("write", &files.pid))?;
    Ok(child)
}

fn death(files: &MemberFiles, status: ExitStatus) -> Failure {
    Failure::Died {
        name: files.name.clone(),
        how: status.to_string(),
        log: files.log.clone(),
        lines: tail(&files.log)
            .unwrap_or_else(|error| format!("  the log cannot be read: {error}")),
    }
}

/// The last lines of a file, indented.
fn tail(path: &Path) -> std::io::Result<String> {
    let mut file = fs::File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let shown = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    Ok(shown
        .iter()
        .map(|line| format!("  {line}"))
        .collect::<Vec<_>>()
        .join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tail_is_the_last_lines() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text: String = (0..5_000).map(|line| format!("line {line}\n")).collect();
        fs::write(file.path(), text).unwrap();
        let shown = tail(file.path()).unwrap();
        assert_eq!(shown.lines().count(), TAIL_LINES);
        assert!(
            shown.starts_with("  line 4990\n") && shown.ends_with("  line 4999"),
            "{shown}"
        );
        fs::write(file.path(), "").unwrap();
        assert_eq!(tail(file.path()).unwrap(), "");
    }
}
