//! A run of ours: `outrider init`, a process of `outrider start` for each member, and `outrider load`.

use crate::children::Children;
use crate::commits::Commits;
use crate::contestant::Contestant;
use crate::error::CompareError;
use crate::numbers::{Quantiles, now_us};
use crate::ports;
use crate::process::cpu_seconds_of_ended_children;
use crate::proxy::Proxies;
use crate::run::{BEFORE_KILL, Observed, Setting, VICTIM, Work, micros};
use crate::watch::{Watch, first_block};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

/// The highest rate at which `outrider load` follows every member; above it, reading four times what was ordered would be most of its work.
const FOLLOW_RATE_MAX: u64 = 10_000;
/// How long members may take until each has committed a block, which may be empty.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// Ports of a member: p2p, RPC, metrics.
const PORTS_EACH: usize = 3;

/// A network in a folder, as its committee file has it.
#[derive(Debug)]
struct Network {
    file: Value,
    members: Vec<Contact>,
}

#[derive(Debug)]
struct Contact {
    folder: PathBuf,
    address: SocketAddr,
    rpc: String,
}

/// What `outrider load` reports.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Loaded {
    committed: u64,
    per_s: f64,
    lost: u64,
    submit: Option<Quantiles>,
}

/// Do the work once.
pub async fn run(
    setting: &Setting,
    contestant: Contestant,
    work: &Work,
    dir: &Path,
) -> Result<Observed, CompareError> {
    let network = init(setting, dir).await?;
    let targets: Vec<SocketAddr> = network
        .members
        .iter()
        .map(|member| member.address)
        .collect();
    let proxies = match work.proxy {
        Some(delay) => Some(Proxies::start(&targets, delay).await?),
        None => None,
    };
    let wire = || proxies.as_ref().map(Proxies::bytes);
    let mut children = start(setting, contestant, &network, proxies.as_ref())?;
    ready(&mut children, &network).await?;
    let mut watches = Vec::new();
    if work.watch {
        for member in &network.members {
            watches.push(Watch::start(&member.rpc).await?);
        }
    }
    sleep(setting.warm).await;
    if work.rate > 0 {
        // Whatever it finds is found again in the load that counts.
        load(setting, &network, work.rate, setting.warm).await?;
    }
    children.check()?;
    let (cpu, carried, load_cpu) = (
        children.cpu_seconds()?,
        wire(),
        cpu_seconds_of_ended_children(),
    );
    let from_us = now_us();
    let (loaded, killed_us) = under_load(setting, work, &network, &mut children).await?;
    let to_us = now_us();
    children.check()?;
    let cpu_s = if work.kill {
        None
    } else {
        Some(children.cpu_seconds()? - cpu)
    };
    let wire_bytes = wire().zip(carried).map(|(now, before)| now - before);
    let end_bytes = children.resident_bytes_max()?;
    let load_cpu_s = (!work.kill).then(|| cpu_seconds_of_ended_children() - load_cpu);
    let mut commits: Vec<Commits> = watches.into_iter().map(Watch::end).collect();
    if work.kill && !commits.is_empty() {
        commits.remove(VICTIM);
    }
    children.stop().await?;
    if loaded.lost > 0 {
        return Err(CompareError::Lost { lost: loaded.lost });
    }
    Ok(Observed {
        from_us,
        // The load's own end: after it, it waits for what is still open.
        to_us: to_us.min(from_us + micros(work.length)),
        killed_us,
        commits,
        committed: loaded.committed,
        per_s: loaded.per_s,
        submit: loaded.submit,
        cpu_s,
        load_cpu_s,
        end_bytes,
        wire_bytes,
    })
}

/// The load that counts, and the crash in it.
async fn under_load(
    setting: &Setting,
    work: &Work,
    network: &Network,
    children: &mut Children,
) -> Result<(Loaded, Option<u64>), CompareError> {
    let nothing = Loaded {
        committed: 0,
        per_s: 0.0,
        lost: 0,
        submit: None,
    };
    if work.rate == 0 {
        sleep(work.length).await;
        return Ok((nothing, None));
    }
    let loading = load(setting, network, work.rate, work.length);
    if !work.kill {
        return Ok((loading.await?, None));
    }
    let kill = async {
        sleep(BEFORE_KILL).await;
        let at = now_us();
        children.kill(VICTIM).await.map(|()| at)
    };
    let (loaded, killed) = tokio::try_join!(loading, kill)?;
    Ok((loaded, Some(killed)))
}

async fn init(setting: &Setting, dir: &Path) -> Result<Network, CompareError> {
    if !setting.outrider.exists() {
        return Err(CompareError::NoOutrider {
            path: setting.outrider.clone(),
        });
    }
    let net = dir.join("net");
    let count = u16::try_from(setting.members * PORTS_EACH).unwrap_or(u16::MAX);
    let base = ports::in_a_row(count)?;
    let output = Command::new(&setting.outrider)
        .args(["init", "--members", &setting.members.to_string()])
        .args(["--base-port", &base.to_string(), "--dir"])
        .arg(&net)
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(CompareError::file("start", &setting.outrider))?;
    if !output.status.success() {
        return Err(CompareError::Command {
            command: "init",
            said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        });
    }
    let path = net.join("committee.json");
    let text = std::fs::read_to_string(&path).map_err(CompareError::file("read", &path))?;
    Network::parse(&net, &text).ok_or_else(|| CompareError::Command {
        command: "init",
        said: format!("{} lacks names, addresses or RPC", path.display()),
    })
}

impl Network {
    fn parse(net: &Path, text: &str) -> Option<Self> {
        let file: Value = serde_json::from_str(text).ok()?;
        let contact = |member: &Value| {
            Some(Contact {
                folder: net.join(member["name"].as_str()?),
                address: member["address"].as_str()?.parse().ok()?,
                rpc: member["rpc"].as_str()?.to_owned(),
            })
        };
        let members: Option<Vec<Contact>> =
            file["members"].as_array()?.iter().map(contact).collect();
        Some(Self {
            members: members?,
            file,
        })
    }

    /// The committee file of one member: the same committee, which it finds at other addresses.
    fn diverted(&self, addresses: &[SocketAddr]) -> Value {
        let mut file = self.file.clone();
        for (at, address) in addresses.iter().enumerate() {
            file["members"][at]["address"] = address.to_string().into();
        }
        file
    }
}

fn start(
    setting: &Setting,
    contestant: Contestant,
    network: &Network,
    proxies: Option<&Proxies>,
) -> Result<Children, CompareError> {
    let mut children = Children::default();
    for (me, member) in network.members.iter().enumerate() {
        let mut command = Command::new(&setting.outrider);
        command.args(["start", "--until-stdin-ends", "--config"]);
        command.arg(member.folder.join("outrider.toml"));
        if let Some(proxies) = proxies {
            let path = member.folder.join("committee.json");
            let file = network.diverted(proxies.seen_by(me)).to_string();
            std::fs::write(&path, file).map_err(CompareError::file("write", &path))?;
            command.arg("--set");
            command.arg(format!("node.committee={}", path.display()));
        }
        if contestant == Contestant::OutriderUnsynced {
            command.args(["--set", "storage.unsafe_no_fsync_for_benchmarks=true"]);
        }
        for option in &setting.set {
            command.args(["--set", option]);
        }
        children.start(command, &member.folder.join("outrider.log"))?;
    }
    Ok(children)
}

/// Wait until every member has committed something.
async fn ready(children: &mut Children, network: &Network) -> Result<(), CompareError> {
    for (member, contact) in network.members.iter().enumerate() {
        let committed = timeout(READY_WITHIN, first_block(&contact.rpc)).await;
        children.check()?;
        committed.map_err(|_| CompareError::NotReady {
            member,
            seconds: READY_WITHIN.as_secs(),
        })?;
    }
    Ok(())
}

async fn load(
    setting: &Setting,
    network: &Network,
    rate: u64,
    length: Duration,
) -> Result<Loaded, CompareError> {
    let urls: Vec<&str> = network
        .members
        .iter()
        .map(|member| &member.rpc[..])
        .collect();
    let output = Command::new(&setting.outrider)
        .args(["load", "--json", "--rate", &rate.to_string()])
        .args(["--size", &setting.size.to_string()])
        .args(["--duration", &format!("{}s", length.as_secs().max(1))])
        .args(["--clients", &setting.clients.to_string()])
        .args(["--rpc", &urls.join(",")])
        .args((rate > FOLLOW_RATE_MAX).then_some("--follow-one"))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(CompareError::file("start", &setting.outrider))?;
    // Its exit code says that something was lost, and so does its report.
    let report = String::from_utf8_lossy(&output.stdout);
    Loaded::parse(&report).ok_or_else(|| CompareError::Command {
        command: "load",
        said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

impl Loaded {
    fn parse(report: &str) -> Option<Self> {
        let report: Value = serde_json::from_str(report).ok()?;
        let latency = &report["latency_us"];
        Some(Self {
            committed: report["soft_final"].as_u64()?,
            per_s: report["throughput_per_s"].as_f64()?,
            lost: report["lost"].as_u64()?,
            submit: latency["p50"]
                .as_u64()
                .zip(latency["p99"].as_u64())
                .map(|(p50, p99)| Quantiles { p50, p99 }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn committee_is_read_and_diverted() {
        let text = r#"{"committee": {"chain": 7}, "members": [
            {"name": "member-0", "address": "127.0.0.1:1", "rpc": "http://127.0.0.1:2"},
            {"name": "member-1", "address": "127.0.0.1:4", "rpc": "http://127.0.0.1:5"}]}"#;
        let network = Network::parse(Path::new("/net"), text).unwrap();
        assert_eq!(network.members[1].folder, Path::new("/net/member-1"));
        assert_eq!(network.members[1].rpc, "http://127.0.0.1:5");
        let other = "127.0.0.1:9".parse().unwrap();
        let file = network.diverted(&[network.members[0].address, other]);
        assert_eq!(file["members"][0]["address"], "127.0.0.1:1");
        assert_eq!(file["members"][1]["address"], "127.0.0.1:9");
        assert_eq!(file["committee"]["chain"], 7);
        assert!(Network::parse(Path::new("/"), r#"{"members": [{"name": "x"}]}"#).is_none());
    }

    #[test]
    fn report_of_the_load_is_read() {
        let report = r#"{"soft_final": 3000, "throughput_per_s": 981.035, "lost": 1,
            "latency_us": {"p50": 68190, "p90": 1, "p99": 222242, "max": 9}}"#;
        let submit = Some(Quantiles {
            p50: 68_190,
            p99: 222_242,
        });
        let expected = Loaded {
            committed: 3_000,
            per_s: 981.035,
            lost: 1,
            submit,
        };
        assert_eq!(Loaded::parse(report), Some(expected));
        assert_eq!(Loaded::parse("error: no member"), None);
        let none = r#"{"soft_final": 0, "throughput_per_s": 0.0, "lost": 0, "latency_us": {"p50": null, "p99": null}}"#;
        assert_eq!(Loaded::parse(none).unwrap().submit, None);
    }
}
