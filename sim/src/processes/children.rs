//! The members as processes: start, kill, stop, pause, restart, and notice when one ends by itself.

use super::ProcessesError;
use super::folder::MemberFiles;
use super::plan::{Ending, Weather};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, OpenOptions};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// How long a member may take to stop after SIGTERM, on a machine that has much to do.
const STOP_WITHIN: Duration = Duration::from_secs(30);
/// Between two looks at members that stop.
const LOOK: Duration = Duration::from_millis(20);
/// Members that ended by themselves are started again so often, all together; past that they stay down.
const DEATHS_MAX: usize = 8;
/// What a line of a log says when code panicked.
const PANICKED: &str = "panicked at";

/// All members.
#[derive(Debug)]
pub struct Children {
    start: Start,
    members: Vec<Member>,
    deaths: usize,
    ends: Ends,
}

/// How a member is started: the program with its arguments.
#[derive(Debug)]
struct Start {
    program: PathBuf,
    command: fn(&Path, &MemberFiles) -> Command,
}

/// Which members were made to end, in order: each twice, when it was told and when it was gone. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Ends {
    count: Arc<AtomicUsize>,
    list: Vec<usize>,
}

impl Ends {
    /// How many entries there are, for other tasks to read.
    #[must_use]
    pub fn counter(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.count)
    }

    /// The members among the entries from this one on.
    #[must_use]
    pub fn since(&self, first: usize) -> &[usize] {
        self.list.get(first..).unwrap_or_default()
    }

    fn add(&mut self, member: usize) {
        self.list.push(member);
        self.count.store(self.list.len(), Ordering::SeqCst);
    }
}

#[derive(Debug)]
struct Member {
    files: MemberFiles,
    state: State,
    /// SIGSTOP was sent last, not SIGCONT.
    paused: bool,
    starts: u64,
}

#[derive(Debug)]
enum State {
    Up(Child),
    /// A signal was sent.
    Ending {
        child: Child,
        how: Ending,
        since: Instant,
    },
    Down,
    /// Ended by itself too often.
    Dead,
}

impl Children {
    /// Start all.
    pub fn start(program: &Path, members: &[MemberFiles]) -> Result<Self, ProcessesError> {
        let program = program.to_path_buf();
        Self::start_as(Start { program, command }, members)
    }

    fn start_as(start: Start, members: &[MemberFiles]) -> Result<Self, ProcessesError> {
        let mut children = Self {
            start,
            members: Vec::with_capacity(members.len()),
            deaths: 0,
            ends: Ends::default(),
        };
        for files in members {
            let state = State::Up(spawn(&children.start, files)?);
            children.members.push(Member {
                files: files.clone(),
                state,
                paused: false,
                starts: 1,
            });
        }
        Ok(children)
    }

    /// Go a step towards what the weather asks for. Gives what is wrong with members that ended by themselves, or not as
    /// they should (R2).
    pub fn step(&mut self, weather: &Weather) -> Result<Vec<String>, ProcessesError> {
        let mut wrong = Vec::new();
        for (index, member) in self.members.iter_mut().enumerate() {
            let (down, paused) = (weather.down[index], weather.paused[index]);
            let found = member.look(index, down, &mut self.ends);
            if found.is_some() {
                self.deaths += 1;
                if self.deaths > DEATHS_MAX {
                    member.state = State::Dead;
                }
            }
            wrong.extend(found);
            if matches!(member.state, State::Down) && down.is_none() {
                member.state = State::Up(spawn(&self.start, &member.files)?);
                member.paused = false;
                member.starts += 1;
            }
            member.pause(paused);
        }
        Ok(wrong)
    }

    /// SIGTERM to all, and wait until they are gone. Gives what is wrong with how they ended (R2).
    pub async fn stop(&mut self) -> Vec<String> {
        let weather = Weather {
            down: vec![Some(Ending::Term); self.members.len()],
            paused: vec![false; self.members.len()],
            links: Vec::new(),
        };
        let deadline = Instant::now() + 2 * STOP_WITHIN;
        let mut wrong = Vec::new();
        while self.running() > 0 && Instant::now() < deadline {
            // Nobody is started in this weather, so nothing can fail.
            wrong.extend(self.step(&weather).unwrap_or_default());
            sleep(LOOK).await;
        }
        wrong
    }

    /// How many processes there are.
    #[must_use]
    pub fn running(&self) -> usize {
        let gone = |member: &&Member| !matches!(member.state, State::Down | State::Dead);
        self.members.iter().filter(gone).count()
    }

    /// How many are up and not told to stand still.
    #[must_use]
    pub fn active(&self) -> usize {
        let active = |member: &&Member| matches!(member.state, State::Up(_)) && !member.paused;
        self.members.iter().filter(active).count()
    }

    /// How often a member was started again.
    #[must_use]
    pub fn restarts(&self) -> u64 {
        self.members.iter().map(|member| member.starts - 1).sum()
    }

    /// Who was made to end.
    #[must_use]
    pub const fn ends(&self) -> &Ends {
        &self.ends
    }
}

impl Member {
    /// See whether it has ended, and end it if it is to be down. Gives what is wrong.
    fn look(&mut self, index: usize, down: Option<Ending>, ends: &mut Ends) -> Option<String> {
        let name = &self.files.name;
        match &mut self.state {
            State::Up(child) => {
                if let Ok(Some(status)) = child.try_wait() {
                    self.state = State::Down;
                    ends.add(index);
                    return Some(format!("{name} ended by itself: {status}"));
                }
                let how = down?;
                ends.add(index);
                tell(child, how);
                if let State::Up(child) = std::mem::replace(&mut self.state, State::Down) {
                    let since = Instant::now();
                    self.state = State::Ending { child, how, since };
                }
                None
            }
            State::Ending { child, how, since } => {
                if let Ok(Some(status)) = child.try_wait() {
                    let told = *how;
                    self.state = State::Down;
                    ends.add(index);
                    return ill(name, told, status);
                }
                if down == Some(Ending::Kill) && *how == Ending::Term {
                    *how = Ending::Kill;
                    tell(child, Ending::Kill);
                } else if *how == Ending::Term && since.elapsed() > STOP_WITHIN {
                    *how = Ending::Kill;
                    tell(child, Ending::Kill);
                    return Some(format!(
                        "{name} did not stop within {STOP_WITHIN:?} of SIGTERM"
                    ));
                }
                None
            }
            State::Down | State::Dead => None,
        }
    }

    fn pause(&mut self, paused: bool) {
        if let State::Up(child) = &self.state
            && self.paused != paused
        {
            self.paused = paused;
            signal(child, if paused { Signal::STOP } else { Signal::CONT });
        }
    }
}

/// What is wrong with an end that was asked for.
fn ill(name: &str, how: Ending, status: ExitStatus) -> Option<String> {
    let well = how == Ending::Kill || status.success();
    (!well).then(|| format!("{name} was told to stop and ended with {status}"))
}

fn tell(child: &Child, how: Ending) {
    match how {
        Ending::Kill => signal(child, Signal::KILL),
        Ending::Term => {
            signal(child, Signal::TERM);
            // One that stands still would not hear it.
            signal(child, Signal::CONT);
        }
    }
}

/// To one that has just ended, it goes nowhere: its process id is ours until it is waited for.
fn signal(child: &Child, signal: Signal) {
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(pid) = id.and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

fn command(program: &Path, files: &MemberFiles) -> Command {
    let mut command = Command::new(program);
    command
        .args(["start", "--until-stdin-ends", "--config"])
        .arg(&files.config)
        .arg("--set")
        .arg(format!("node.committee={}", files.committee.display()));
    command
}

fn spawn(start: &Start, files: &MemberFiles) -> Result<Child, ProcessesError> {
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&files.log)
        .map_err(ProcessesError::file("open", &files.log))?;
    let also = log
        .try_clone()
        .map_err(ProcessesError::file("open", &files.log))?;
    (start.command)(&start.program, files)
        // Its end tells the member that we are gone, even if we are killed.
        .stdin(Stdio::piped())
        .stdout(log)
        .stderr(also)
        // A ctrl-c in the terminal is for us alone. And if we are killed while it stands still, the system wakes it and
        // hangs it up, for then its group is an orphan.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(ProcessesError::file("start", &start.program))
}

/// The lines of a member's log that tell of a panic.
pub fn panics(files: &MemberFiles) -> Result<Vec<String>, ProcessesError> {
    let log = fs::File::open(&files.log).map_err(ProcessesError::file("read", &files.log))?;
    let mut found = Vec::new();
    for line in BufReader::new(log).split(b'\n') {
        let line = line.map_err(ProcessesError::file("read", &files.log))?;
        let line = String::from_utf8_lossy(&line);
        if line.contains(PANICKED) {
            found.push(format!("{}: {line}", files.name));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::plan::Fault;
    use super::*;

    /// A member that runs a command of the system instead.
    fn start(dir: &Path, command: fn(&Path, &MemberFiles) -> Command) -> Children {
        let files = MemberFiles {
            name: "member-0".into(),
            config: dir.join("outrider.toml"),
            committee: dir.join("committee.json"),
            log: dir.join("log"),
            rpc: String::new(),
        };
        let program = PathBuf::from("sh");
        Children::start_as(Start { program, command }, &[files]).unwrap()
    }

    fn weather(fault: Option<Fault>) -> Weather {
        Weather::of(1, fault.iter())
    }

    /// Step until this many processes run.
    async fn until(children: &mut Children, weather: &Weather, running: usize) -> Vec<String> {
        let mut wrong = Vec::new();
        loop {
            wrong.extend(children.step(weather).unwrap());
            if children.running() == running {
                return wrong;
            }
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn killed_member_is_no_fault_and_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut children = start(dir.path(), |_, _| Command::new("cat"));
        let kill = weather(Some(Fault::Kill(0)));
        assert_eq!(until(&mut children, &kill, 0).await, [""; 0]);
        assert_eq!(children.ends().since(0), [0, 0]);
        assert_eq!(children.ends().counter().load(Ordering::SeqCst), 2);
        assert_eq!(until(&mut children, &weather(None), 1).await, [""; 0]);
        assert_eq!(children.restarts(), 1);
        let pause = weather(Some(Fault::Pause(0)));
        children.step(&pause).unwrap();
        assert_eq!((children.active(), children.running()), (0, 1));
        children.step(&weather(None)).unwrap();
        assert_eq!(children.active(), 1);
        // Without a handler, SIGTERM is not a clean end.
        let wrong = children.stop().await;
        assert!(wrong[0].contains("told to stop"), "{wrong:?}");
    }

    #[tokio::test]
    async fn member_that_ends_by_itself_is_named_and_given_up_in_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let mut children = start(dir.path(), |program, _| {
            let mut command = Command::new(program);
            command.args(["-c", "echo thread x panicked at y; exit 3"]);
            command
        });
        let files = children.members[0].files.clone();
        let mut wrong = Vec::new();
        while wrong.len() <= DEATHS_MAX {
            wrong.extend(children.step(&weather(None)).unwrap());
            tokio::task::yield_now().await;
        }
        assert!(wrong[0].contains("by itself"), "{wrong:?}");
        assert_eq!(children.running(), 0);
        assert_eq!(until(&mut children, &weather(None), 0).await, [""; 0]);
        assert_eq!(panics(&files).unwrap().len(), DEATHS_MAX + 1);
    }
}
