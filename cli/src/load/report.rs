//! The summary of a run, for people and as JSON.

use super::cpu::Used;
use super::plan::Plan;
use super::tracker::Outcome;
use crate::numbers::{millis, percentile};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What a run came to.
#[derive(Debug, Serialize)]
pub struct Report {
    rate: u64,
    size: usize,
    seconds: f64,
    sent: u64,
    accepted: u64,
    rejected: BTreeMap<String, u64>,
    resubmitted: u64,
    soft_final: u64,
    soft_final_elsewhere: u64,
    /// Accepted, but not soft-final when the drain time was over.
    pub lost: u64,
    throughput_per_s: f64,
    latency_us: Latency,
    bytes: u64,
    cpu_seconds: Option<f64>,
    cpu_seconds_per_100k: Option<f64>,
    cpu_unknown: Option<String>,
    /// Transactions of one request.
    per_request: u64,
    /// Of this program, generating, sending and following included; none if it is not known.
    generator_cpu_seconds: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Latency {
    p50: Option<u64>,
    p90: Option<u64>,
    p99: Option<u64>,
    max: Option<u64>,
}

impl Report {
    /// From what was counted. `elapsed` is how long it took to hand everything out.
    pub fn new(
        plan: &Plan,
        outcome: Outcome,
        elapsed: Duration,
        cpu: Used,
        own: Option<f64>,
    ) -> Self {
        let Outcome {
            sent,
            accepted,
            soft,
            soft_elsewhere,
            lost,
            rejected,
            resubmitted,
            latencies,
            last_soft,
        } = outcome;
        let latency = Latency {
            p50: percentile(&latencies, 50),
            p90: percentile(&latencies, 90),
            p99: percentile(&latencies, 99),
            max: latencies.last().copied(),
        };
        let cpu_seconds = cpu.as_ref().ok().copied();
        Self {
            rate: plan.rate,
            size: plan.size,
            seconds: rounded(elapsed.as_secs_f64()),
            sent,
            accepted,
            rejected,
            resubmitted,
            soft_final: soft,
            soft_final_elsewhere: soft_elsewhere,
            lost,
            throughput_per_s: per(soft, last_soft.as_secs_f64()).unwrap_or_default(),
            latency_us: latency,
            bytes: soft * plan.size as u64,
            cpu_seconds,
            cpu_seconds_per_100k: cpu_seconds
                .filter(|_| soft > 0)
                .map(|seconds| rounded(seconds * 100_000.0 / as_f64(soft))),
            cpu_unknown: cpu.err(),
            per_request: plan.per_request,
            generator_cpu_seconds: own,
        }
    }

    /// For machines.
    pub fn to_json(&self) -> String {
        let text = serde_json::to_string_pretty(self);
        assert!(text.is_ok(), "numbers and texts are JSON");
        text.unwrap_or_default()
    }
}

fn per(count: u64, seconds: f64) -> Option<f64> {
    (seconds > 0.0).then(|| rounded(as_f64(count) / seconds))
}

fn as_f64(count: u64) -> f64 {
    // Not more than 20 million.
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Latency { p50, p90, p99, max } = &self.latency_us;
        writeln!(
            f,
            "load         {} tx/s of {} bytes for {:.1} s",
            self.rate, self.size, self.seconds
        )?;
        if self.per_request > 1 {
            writeln!(f, "requests     of {} transactions", self.per_request)?;
        }
        writeln!(f, "sent         {}", self.sent)?;
        writeln!(f, "accepted     {}", self.accepted)?;
        for (reason, count) in &self.rejected {
            writeln!(f, "rejected     {count}: {reason}")?;
        }
        if self.resubmitted > 0 {
            writeln!(f, "resubmitted  {}", self.resubmitted)?;
        }
        write!(f, "soft-final   {}", self.soft_final)?;
        match self.soft_final_elsewhere {
            0 => writeln!(f)?,
            elsewhere => writeln!(
                f,
                " ({elsewhere} seen only at another member than the one that took it)"
            )?,
        }
        writeln!(f, "lost         {}", self.lost)?;
        writeln!(f, "throughput   {:.1} tx/s", self.throughput_per_s)?;
        let [p50, p90, p99, max] = [p50, p90, p99, max].map(|value| millis(*value));
        writeln!(
            f,
            "latency      p50 {p50}  p90 {p90}  p99 {p99}  max {max} (due to soft-final)"
        )?;
        writeln!(f, "bytes        {}", self.bytes)?;
        if let Some(seconds) = self.generator_cpu_seconds {
            writeln!(f, "load's CPU   {seconds:.1} s")?;
        }
        match (self.cpu_seconds_per_100k, &self.cpu_unknown) {
            (Some(cpu), _) => writeln!(f, "members' CPU {cpu:.1} s per 100,000 transactions"),
            (None, Some(why)) => writeln!(f, "members' CPU unknown: {why}"),
            (None, None) => writeln!(f, "members' CPU unknown: nothing was ordered"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome() -> Outcome {
        Outcome {
            sent: 1_000,
            accepted: 990,
            soft: 990,
            soft_elsewhere: 0,
            lost: 0,
            rejected: BTreeMap::from([("mempool full".to_owned(), 10)]),
            resubmitted: 0,
            latencies: (1..=990).map(|n| n * 100).collect(),
            last_soft: Duration::from_secs(2),
        }
    }

    #[test]
    fn summary_says_everything() {
        let plan = Plan::new(500, 512, Duration::from_secs(2), 1, Some(4)).unwrap();
        let text = Report::new(
            &plan,
            outcome(),
            Duration::from_secs(2),
            Ok(1.98),
            Some(0.25),
        );
        let text = text.to_string();
        for line in [
            "requests     of 4 transactions\n",
            "sent         1000\n",
            "accepted     990\n",
            "rejected     10: mempool full\n",
            "soft-final   990\n",
            "lost         0\n",
            "throughput   495.0 tx/s\n",
            "latency      p50 49.5 ms  p90 89.1 ms  p99 98.1 ms  max 99.0 ms",
            "bytes        506880\n",
            "load's CPU   0.2 s\n",
            "members' CPU 200.0 s per 100,000 transactions\n",
        ] {
            assert!(text.contains(line), "{line:?} is not in\n{text}");
        }
    }

    #[test]
    fn json_holds_the_same_and_says_why_cpu_is_unknown() {
        let plan = Plan::new(500, 512, Duration::from_secs(2), 1, Some(4)).unwrap();
        let report = Report::new(
            &plan,
            outcome(),
            Duration::from_secs(2),
            Err("no pids".into()),
            None,
        );
        let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
        assert_eq!(json["lost"], 0);
        assert_eq!(json["latency_us"]["p99"], 98_100);
        assert_eq!(json["cpu_unknown"], "no pids");
        assert!(json["cpu_seconds_per_100k"].is_null());
        assert_eq!(json["per_request"], 4);
        assert!(json["generator_cpu_seconds"].is_null());
    }
}
