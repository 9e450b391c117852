//! A run of a peer: this binary once more for each member, with the schedule of the load on its command line.

use crate::children::Children;
use crate::commits::Commits;
use crate::contestant::Contestant;
use crate::error::CompareError;
use crate::inside::{COMMITS_FILE, SUBMITS_FILE, parse_submits};
use crate::numbers::{Quantiles, float, now_us};
use crate::ports;
use crate::proxy::Proxies;
use crate::run::{BEFORE_KILL, Observed, Setting, VICTIM, Work, micros, sleep_until_us};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::process::Command;

/// From the start of the processes to the begin of the load: they have to listen and connect by then.
const START: Duration = Duration::from_secs(4);
/// After the end of the load, until results are asked for.
const DRAIN: Duration = Duration::from_millis(500);
/// A folder in memory, for a journal that is not to be durable.
const MEMORY_DISK: &str = "/dev/shm";

/// When things happen, microseconds since the Unix epoch.
#[derive(Clone, Copy, Debug)]
struct Schedule {
    begin_us: u64,
    from_us: u64,
    to_us: u64,
}

/// Do the work once.
pub async fn run(
    setting: &Setting,
    contestant: Contestant,
    work: &Work,
    dir: &Path,
) -> Result<Observed, CompareError> {
    let targets = ports::addresses(setting.members)?;
    let proxies = match work.proxy {
        Some(delay) => Some(Proxies::start(&targets, delay).await?),
        None => None,
    };
    let wire = || proxies.as_ref().map(Proxies::bytes);
    let begin_us = now_us() + micros(START);
    let from_us = begin_us + micros(setting.warm);
    let to_us = from_us + micros(work.length);
    let schedule = Schedule {
        begin_us,
        from_us,
        to_us,
    };
    let memory = memory_disk(contestant)?;
    let mut children = Children::default();
    let mut folders = Vec::with_capacity(setting.members);
    for me in 0..setting.members {
        let folder = dir.join(format!("member-{me}"));
        let store = memory.as_ref().map_or_else(
            || folder.join("store"),
            |memory| memory.path().join(format!("member-{me}")),
        );
        for path in [&folder, &store] {
            std::fs::create_dir_all(path).map_err(CompareError::file("make the folder", path))?;
        }
        let seen = proxies
            .as_ref()
            .map_or(&targets[..], |proxies| proxies.seen_by(me));
        let mut command = command(contestant)?;
        command.args(member_arguments(setting, contestant, work, schedule, me));
        command.arg("--addresses").arg(joined(seen));
        command.arg("--dir").arg(&folder).arg("--store").arg(&store);
        children.start(command, &folder.join("log"))?;
        folders.push(folder);
    }
    sleep_until_us(begin_us).await;
    children.check()?;
    sleep_until_us(from_us).await;
    children.check()?;
    let (cpu, carried) = (children.cpu_seconds()?, wire());
    let mut killed_us = None;
    if work.kill {
        sleep_until_us(from_us + micros(BEFORE_KILL)).await;
        killed_us = Some(now_us());
        children.kill(VICTIM).await?;
        folders.remove(VICTIM);
    }
    sleep_until_us(to_us).await;
    children.check()?;
    let cpu_s = if work.kill {
        None
    } else {
        Some(children.cpu_seconds()? - cpu)
    };
    let wire_bytes = wire().zip(carried).map(|(now, before)| now - before);
    let end_bytes = children.resident_bytes_max()?;
    tokio::time::sleep(DRAIN).await;
    children.stop().await?;
    let (commits, submit) = results(&folders)?;
    let committed = commits
        .iter()
        .map(|commits| commits.transactions(from_us, to_us));
    let committed = committed.max().unwrap_or(0);
    Ok(Observed {
        from_us,
        to_us,
        killed_us,
        commits,
        committed,
        per_s: float(committed) / work.length.as_secs_f64(),
        submit,
        cpu_s,
        load_cpu_s: None,
        end_bytes,
        wire_bytes,
    })
}

fn memory_disk(contestant: Contestant) -> Result<Option<tempfile::TempDir>, CompareError> {
    if contestant != Contestant::SimplexUnsynced {
        return Ok(None);
    }
    let made = tempfile::tempdir_in(MEMORY_DISK);
    made.map(Some).map_err(CompareError::file(
        "make a folder in",
        Path::new(MEMORY_DISK),
    ))
}

fn command(contestant: Contestant) -> Result<Command, CompareError> {
    let program = std::env::current_exe();
    let program = program.map_err(CompareError::file("find", Path::new("/proc/self/exe")))?;
    let mut command = Command::new(program);
    let (timers, handoff) = contestant.timers();
    if contestant == Contestant::Hotstuff {
        command.arg("member-hotstuff");
        return Ok(command);
    }
    command.arg("member-simplex");
    for (name, value) in [
        ("--leader-ms", timers.leader),
        ("--certification-ms", timers.certification),
        ("--retry-ms", timers.retry),
        ("--skip-ms", timers.skip),
    ] {
        command.arg(name).arg(value.to_string());
    }
    if handoff {
        command.arg("--handoff");
    }
    Ok(command)
}

fn member_arguments(
    setting: &Setting,
    contestant: Contestant,
    work: &Work,
    schedule: Schedule,
    me: usize,
) -> Vec<String> {
    let members = u64::try_from(setting.members).unwrap_or(1);
    [
        ("--me", me.to_string()),
        ("--rate", (work.rate / members).to_string()),
        ("--size", setting.size.to_string()),
        ("--block-bytes", contestant.block_bytes().to_string()),
        ("--begin-us", schedule.begin_us.to_string()),
        ("--from-us", schedule.from_us.to_string()),
        ("--to-us", schedule.to_us.to_string()),
    ]
    .into_iter()
    .flat_map(|(name, value)| [name.to_owned(), value])
    .collect()
}

fn joined(addresses: &[SocketAddr]) -> String {
    let all: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    all.join(",")
}

fn results(folders: &[PathBuf]) -> Result<(Vec<Commits>, Option<Quantiles>), CompareError> {
    let (mut commits, mut submits) = (Vec::new(), Vec::new());
    for folder in folders {
        let path = folder.join(COMMITS_FILE);
        let text = std::fs::read_to_string(&path).map_err(CompareError::file("read", &path))?;
        commits.push(Commits::parse(&text));
        let path = folder.join(SUBMITS_FILE);
        let bytes = std::fs::read(&path).map_err(CompareError::file("read", &path))?;
        submits.extend(parse_submits(&bytes));
    }
    Ok((commits, Quantiles::of(submits)))
}
