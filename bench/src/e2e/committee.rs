//! A committee of real processes in a folder of its own: made by `outrider init`, started, killed, stopped.
//!
//! Addresses are no part of a committee's identity, so with proxies between them each member gets a committee file of its
//! own: the same committee, other addresses.

use super::failure::Failure;
use super::procfs;
use super::proxy::{Proxies, Way};
use outrider_client::Client;
use serde_json::Value;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// Ports of a member: p2p, RPC, metrics.
const PORTS_EACH: u16 = 3;
/// Where ports are looked for: below those that the system gives to connections.
const PORTS: std::ops::Range<u16> = 10_000..30_000;
/// Between two looks at members that start or stop.
const LOOK: Duration = Duration::from_millis(50);
/// How long a member may take to stop.
const STOP_WITHIN: Duration = Duration::from_secs(30);
/// Height at which a committee counts as running.
const HEIGHT_READY: u64 = 8;
/// How long it may take to get there.
const READY_WITHIN: Duration = Duration::from_secs(90);
/// What a line of a log says when code panicked.
const PANICKED: &str = "panicked at";

/// How a committee is started.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The `outrider` binary.
    pub outrider: PathBuf,
    /// A folder that does not exist yet.
    pub dir: PathBuf,
    /// How many members.
    pub members: usize,
    /// The way between them.
    pub way: Way,
    /// `--set` of each member.
    pub sets: Vec<String>,
}

/// A running committee. Its processes end when this is dropped.
#[derive(Debug)]
pub struct Committee {
    dir: PathBuf,
    members: Vec<Member>,
    /// Kept, for the members dial each other through them.
    _proxies: Option<Proxies>,
}

/// One member.
#[derive(Debug)]
pub struct Member {
    /// Where it listens for the others.
    pub p2p: SocketAddr,
    /// Its RPC.
    pub rpc: String,
    /// Where it serves metrics.
    pub metrics: SocketAddr,
    /// To call it.
    pub client: Client,
    log: PathBuf,
    child: Child,
    /// The process, which keeps its id until it is waited for.
    pub pid: u32,
    /// CPU seconds that it had used when it was killed; none while it lives.
    pub killed: Option<f64>,
}

impl Committee {
    /// Make it, start it, and wait until it makes blocks.
    pub async fn start(plan: &Plan) -> Result<Self, Failure> {
        let base = init(plan).await?;
        let path = plan.dir.join("committee.json");
        let text = fs::read_to_string(&path).map_err(Failure::file("read", &path))?;
        let mut file: Value =
            serde_json::from_str(&text).map_err(|error| strange(&path, &error.to_string()))?;
        let p2p = |member: usize| port(base, member, 0);
        let targets: Vec<SocketAddr> = (0..plan.members).map(p2p).collect();
        let proxies = if plan.way.is_felt() {
            let started = Proxies::start(&targets, plan.way).await;
            Some(started.map_err(Failure::Proxy)?)
        } else {
            None
        };
        let mut members = Vec::with_capacity(plan.members);
        for (index, target) in targets.iter().enumerate() {
            let folder = plan.dir.join(format!("member-{index}"));
            let mut command = Command::new(&plan.outrider);
            command
                .args(["start", "--until-stdin-ends", "--config"])
                .arg(folder.join("outrider.toml"));
            if let Some(proxies) = &proxies {
                divert(&mut file, index, proxies).map_err(|reason| strange(&path, &reason))?;
                let own = folder.join("committee.json");
                fs::write(&own, file.to_string()).map_err(Failure::file("write", &own))?;
                let set = format!("node.committee={}", own.display());
                command.args(["--set", &set]);
            }
            for set in &plan.sets {
                command.args(["--set", set]);
            }
            let log = folder.join("outrider.log");
            let child = spawn(command, &log, &plan.outrider)?;
            let rpc = format!("http://{}", port(base, index, 1));
            members.push(Member {
                p2p: *target,
                client: Client::new(&rpc).map_err(|error| strange(&path, &error.to_string()))?,
                rpc,
                metrics: port(base, index, 2),
                log,
                pid: child.id().unwrap_or_default(),
                child,
                killed: None,
            });
        }
        let committee = Self {
            dir: plan.dir.clone(),
            members,
            _proxies: proxies,
        };
        committee.at_height(HEIGHT_READY).await?;
        Ok(committee)
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// All members, dead ones too.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Those that live.
    pub fn living(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.killed.is_none())
    }

    /// Wait until every living member has a block at this height.
    pub async fn at_height(&self, height: u64) -> Result<(), Failure> {
        let deadline = Instant::now() + READY_WITHIN;
        for member in self.living() {
            loop {
                let head = member.client.head().await;
                if head.is_ok_and(|head| head.height.0 >= height) {
                    break;
                }
                if Instant::now() >= deadline {
                    return Err(Failure::NotReady {
                        what: format!("all made the block at height {height}"),
                        waited: READY_WITHIN,
                        dir: self.dir.clone(),
                    });
                }
                sleep(LOOK).await;
            }
        }
        Ok(())
    }

    /// kill -9 the last so many. They are not waited for yet, so nobody else gets their ids.
    pub fn kill_last(&mut self, count: usize) {
        let first = self.members.len().saturating_sub(count);
        for member in &mut self.members[first..] {
            let used = procfs::usage(member.pid).unwrap_or_default();
            // One that has ended by itself is found at the end.
            let _ = member.child.start_kill();
            member.killed = Some(used.cpu_s);
        }
    }

    /// Stop the living members. Gives what is wrong with how any of them ended, and with their logs.
    pub async fn stop(&mut self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (index, member) in self.members.iter_mut().enumerate() {
            if member.killed.is_none() {
                match member.child.try_wait() {
                    Ok(Some(status)) => {
                        wrong.push(format!("member-{index} ended by itself: {status}"))
                    }
                    // Its standard input ends, and so does it.
                    _ => drop(member.child.stdin.take()),
                }
            }
        }
        for (index, member) in self.members.iter_mut().enumerate() {
            let ended = tokio::time::timeout(STOP_WITHIN, member.child.wait()).await;
            if ended.is_err() {
                wrong.push(format!(
                    "member-{index} did not stop within {STOP_WITHIN:?}"
                ));
                let _ = member.child.kill().await;
            }
            let log = fs::read(&member.log).unwrap_or_default();
            if String::from_utf8_lossy(&log).contains(PANICKED) {
                wrong.push(format!("member-{index} panicked: {}", member.log.display()));
            }
        }
        wrong
    }
}

fn port(base: u16, member: usize, which: u16) -> SocketAddr {
    let member = u16::try_from(member).unwrap_or(u16::MAX);
    SocketAddr::from((Ipv4Addr::LOCALHOST, base + PORTS_EACH * member + which))
}

fn strange(path: &Path, reason: &str) -> Failure {
    Failure::CommitteeFile {
        path: path.to_path_buf(),
        reason: reason.to_owned(),
    }
}

/// Put the proxies in the places of the others.
fn divert(file: &mut Value, from: usize, proxies: &Proxies) -> Result<(), String> {
    let members = file.get_mut("members").and_then(Value::as_array_mut);
    let members = members.ok_or("it has no list of members")?;
    for (to, contact) in members.iter_mut().enumerate() {
        let address = contact
            .get_mut("address")
            .ok_or("a member has no address")?;
        *address = Value::String(proxies.address(from, to).to_string());
    }
    Ok(())
}

/// Run `outrider init`. Gives its first port.
async fn init(plan: &Plan) -> Result<u16, Failure> {
    let base = free_ports(plan.members)?;
    let init = Command::new(&plan.outrider)
        .args(["init", "--members", &plan.members.to_string(), "--dir"])
        .arg(&plan.dir)
        .args(["--base-port", &base.to_string()])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(Failure::file("start", &plan.outrider))?;
    if init.status.success() {
        return Ok(base);
    }
    Err(Failure::Init {
        dir: plan.dir.clone(),
        said: String::from_utf8_lossy(&init.stderr).trim().to_owned(),
    })
}

/// The first of so many ports in a row as `init` needs, all free now.
fn free_ports(members: usize) -> Result<u16, Failure> {
    let count = u16::try_from(members)
        .unwrap_or(u16::MAX)
        .saturating_mul(PORTS_EACH);
    let room = PORTS.end - PORTS.start;
    // Another process begins elsewhere.
    let offset = std::process::id().wrapping_mul(127) % u32::from(room);
    let offset = u16::try_from(offset).unwrap_or_default();
    for at in (offset..room)
        .chain(0..offset)
        .step_by(usize::from(count.max(1)))
    {
        let base = PORTS.start + at;
        let Some(end) = base.checked_add(count).filter(|end| *end <= PORTS.end) else {
            continue;
        };
        let bound: Result<Vec<TcpListener>, _> = (base..end)
            .map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)))
            .collect();
        if bound.is_ok() {
            return Ok(base);
        }
    }
    Err(Failure::Ports { count })
}

fn spawn(mut command: Command, log: &Path, program: &Path) -> Result<Child, Failure> {
    let out = File::create(log).map_err(Failure::file("write", log))?;
    let also = out.try_clone().map_err(Failure::file("open", log))?;
    command
        // Its end tells the member that we are gone, even if we are killed.
        .stdin(Stdio::piped())
        .stdout(out)
        .stderr(also)
        // A ctrl-c in the terminal is for us alone.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(Failure::file("start", program))
}

#[cfg(test)]
mod tests {
    use super::super::proxy::Recovery;
    use super::*;

    #[test]
    fn ports_in_a_row_are_free() {
        let base = free_ports(4).unwrap();
        assert!(PORTS.contains(&base));
        for port in base..base + 4 * PORTS_EACH {
            drop(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap());
        }
        assert!(matches!(free_ports(10_000), Err(Failure::Ports { .. })));
    }

    #[tokio::test]
    async fn diverted_committee_has_other_addresses_for_the_others_alone() {
        let targets = [port(9_000, 0, 0), port(9_000, 1, 0)];
        let way = Way {
            delay: Duration::ZERO,
            loss: 0.0,
            rto: Duration::ZERO,
            recovery: Recovery::Timeout,
        };
        let proxies = Proxies::start(&targets, way).await.unwrap();
        let text = r#"{"members": [{"address": "a", "name": "x"}, {"address": "b"}]}"#;
        let mut file: Value = serde_json::from_str(text).unwrap();
        divert(&mut file, 0, &proxies).unwrap();
        assert_eq!(file["members"][0]["address"], "127.0.0.1:9000");
        assert_eq!(
            file["members"][1]["address"],
            proxies.address(0, 1).to_string()
        );
        assert_eq!(file["members"][0]["name"], "x");
        assert!(divert(&mut Value::Null, 0, &proxies).is_err());
    }
}
