//! The load: `outrider load --json`, or another program that takes and prints the same, as a process of its own, so that
//! its CPU is told apart from the members'.

use super::failure::Failure;
use super::procfs;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// Between two looks at a running load. It is also how much of its CPU time can be missed.
const LOOK: Duration = Duration::from_millis(20);
/// Longer than it may take to begin, to wait for members without a place, and for what is open at the end.
const GRACE: Duration = Duration::from_secs(120);
/// Most bytes that are kept of what it says.
const SAID_BYTES_MAX: u64 = 64 * 1024;

/// What is sent.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The binary that has `load`.
    pub program: PathBuf,
    /// The members' RPC addresses.
    pub urls: Vec<String>,
    /// Transactions per second.
    pub rate: u64,
    /// Bytes of each.
    pub size: u64,
    /// For how long.
    pub duration: Duration,
    /// Over how many rollups.
    pub rollups: u64,
    /// More options of `outrider load`.
    pub options: Vec<String>,
}

/// What it prints. Fields that are not needed here are passed over.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// How long it took to hand everything out.
    pub seconds: f64,
    /// Handed out.
    pub sent: u64,
    /// Acknowledged by a member.
    pub accepted: u64,
    /// Not accepted, by reason.
    pub rejected: BTreeMap<String, u64>,
    /// Submitted again because a member did not answer.
    pub resubmitted: u64,
    /// Accepted and ordered.
    pub soft_final: u64,
    /// Accepted and not ordered when the time was over.
    pub lost: u64,
    /// Soft-final, over the time from the start to the last of them.
    pub throughput_per_s: f64,
    /// From when each was due to when it was seen to be final.
    pub latency_us: Latency,
    /// Seconds of CPU of the load itself.
    #[serde(default)]
    pub cpu_seconds_of_load: f64,
}

/// Microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// Half are not above.
    pub p50: Option<u64>,
    /// Nine of ten.
    #[serde(default)]
    pub p90: Option<u64>,
    /// 99 of 100.
    pub p99: Option<u64>,
    /// All.
    pub max: Option<u64>,
}

impl Plan {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(["load", "--json"])
            .args(["--rate", &self.rate.to_string()])
            .args(["--size", &self.size.to_string()])
            .args(["--duration", &format!("{}ms", self.duration.as_millis())])
            .args(["--rollups", &self.rollups.to_string()])
            .args(["--rpc", &self.urls.join(",")])
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }
}

/// Run it to its end. What it reports as lost is no failure here: the report says it.
pub async fn run(plan: &Plan) -> Result<Outcome, Failure> {
    let mut child = plan
        .command()
        .spawn()
        .map_err(Failure::file("start", &plan.program))?;
    let out = tokio::spawn(said(child.stdout.take()));
    let err = tokio::spawn(said(child.stderr.take()));
    let (status, cpu_s) = watch(&mut child, plan.duration + GRACE, &plan.program).await?;
    let (out, err) = (out.await.unwrap_or_default(), err.await.unwrap_or_default());
    match serde_json::from_str::<Outcome>(&out) {
        Ok(outcome) => Ok(Outcome {
            cpu_seconds_of_load: cpu_s,
            ..outcome
        }),
        Err(error) => Err(Failure::Load {
            status,
            said: format!("{} ({error})", err.trim()),
        }),
    }
}

/// Wait until it has ended, for so long at most. Gives how, and what CPU it used.
async fn watch(
    child: &mut Child,
    limit: Duration,
    program: &Path,
) -> Result<(String, f64), Failure> {
    let deadline = Instant::now() + limit;
    let mut used = procfs::Usage::default();
    loop {
        // Once it has ended it can still be looked at, until it is waited for.
        used = child.id().and_then(procfs::usage).unwrap_or(used);
        if used.ended {
            let status = child.wait().await.map_err(Failure::file("run", program))?;
            return Ok((status.to_string(), used.cpu_s));
        }
        if Instant::now() >= deadline {
            let _ = child.kill().await;
            return Ok((format!("killed after {limit:?}"), used.cpu_s));
        }
        sleep(LOOK).await;
    }
}

async fn said(pipe: Option<impl tokio::io::AsyncRead + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        // What could be read is what it said.
        let _ = (&mut pipe)
            .take(SAID_BYTES_MAX)
            .read_to_end(&mut bytes)
            .await;
        // The rest goes nowhere, so that it never waits for us.
        let _ = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program of the system instead of `outrider`, with the same arguments.
    fn plan(program: &str) -> Plan {
        Plan {
            program: program.into(),
            urls: vec!["http://a".into(), "http://b".into()],
            rate: 100,
            size: 512,
            duration: Duration::from_millis(1_500),
            rollups: 3,
            options: vec!["--clients".into(), "2".into()],
        }
    }

    #[test]
    fn report_of_a_load_is_read() {
        let text = r#"{"rate": 100, "size": 512, "seconds": 2.0, "sent": 200, "accepted": 190, "rejected": {"mempool full": 10},
            "resubmitted": 1, "soft_final": 189, "soft_final_elsewhere": 0, "lost": 1, "throughput_per_s": 94.5,
            "latency_us": {"p50": 1, "p90": null, "p99": 3, "max": 4}, "bytes": 1, "cpu_seconds": null}"#;
        let outcome: Outcome = serde_json::from_str(text).unwrap();
        assert_eq!((outcome.sent, outcome.lost), (200, 1));
        assert_eq!(outcome.rejected["mempool full"], 10);
        assert_eq!(
            (outcome.latency_us.p50, outcome.latency_us.p90),
            (Some(1), None)
        );
        assert!(serde_json::from_str::<Outcome>("{}").is_err());
    }

    #[tokio::test]
    async fn program_that_reports_nothing_is_quoted() {
        // `echo` repeats its arguments, which is no report.
        let Err(Failure::Load { status, said }) = run(&plan("echo")).await else {
            panic!("echo is no load");
        };
        assert!(
            status.contains('0') && said.contains("expected"),
            "{status} {said}"
        );
        let missing = run(&plan("/nowhere/outrider")).await;
        assert!(matches!(missing, Err(Failure::File { .. })));
    }

    #[test]
    fn arguments_are_those_of_outrider_load() {
        let plan = plan("x");
        let command = plan.command();
        let arguments: Vec<_> = command.as_std().get_args().collect();
        let line = arguments.join(std::ffi::OsStr::new(" "));
        assert_eq!(
            line,
            "load --json --rate 100 --size 512 --duration 1500ms --rollups 3 --rpc http://a,http://b --clients 2"
        );
    }
}
