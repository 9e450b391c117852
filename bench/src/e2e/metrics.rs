//! A member's metrics: one HTTP request, and quantiles of a histogram between two marks.

use crate::numbers::float;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// From first sight of a block to its finality.
pub const SOFT_FINAL: &str = "outrider_soft_final_latency_seconds";
/// Making a vote durable.
pub const SYNC: &str = "outrider_journal_sync_seconds";
/// Most bytes of an answer.
const ANSWER_BYTES_MAX: u64 = 1024 * 1024;
/// The longest that a member may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Counts by upper bound in seconds; each bucket counts what is in those before it, too. Sorted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    buckets: Vec<(f64, u64)>,
}

impl Histogram {
    /// Of that name, from the text that Prometheus scrapes; empty if it is not there.
    pub fn read(text: &str, name: &str) -> Self {
        let bucket = |line: &str| {
            let rest = line.strip_prefix(name)?.strip_prefix("_bucket{le=\"")?;
            let (bound, count) = rest.split_once("\"}")?;
            let bound = match bound {
                "+Inf" => f64::INFINITY,
                bound => bound.parse().ok()?,
            };
            Some((bound, count.trim().parse().ok()?))
        };
        let mut buckets: Vec<(f64, u64)> = text.lines().filter_map(bucket).collect();
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        Self { buckets }
    }

    /// What came in since an earlier mark of the same member.
    pub fn since(&self, earlier: &Self) -> Self {
        let before = |bound: f64| {
            let same = earlier.buckets.iter().find(|(other, _)| *other == bound);
            same.map_or(0, |(_, count)| *count)
        };
        let buckets = self.buckets.iter();
        Self {
            buckets: buckets
                .map(|(bound, count)| (*bound, count.saturating_sub(before(*bound))))
                .collect(),
        }
    }

    /// Add what another member counted in the same buckets.
    pub fn add(&mut self, other: &Self) {
        if self.buckets.is_empty() {
            *self = other.clone();
            return;
        }
        for ((bound, count), (same, more)) in self.buckets.iter_mut().zip(&other.buckets) {
            assert!(
                *bound == *same,
                "members of one release have the same buckets"
            );
            *count += more;
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.buckets.last().map_or(0, |(_, count)| *count)
    }

    /// Microseconds below which `percent` are, taken as even inside a bucket; none if it is empty. What is above the last
    /// bound counts as the last bound.
    pub fn quantile_us(&self, percent: u64) -> Option<u64> {
        let rank = float(self.count()) * float(percent) / 100.0;
        let (mut low, mut below) = (0.0, 0);
        for &(bound, count) in &self.buckets {
            if count > 0 && float(count) >= rank {
                let inside = float(count - below);
                let share = if inside > 0.0 {
                    (rank - float(below)) / inside
                } else {
                    1.0
                };
                let at = if bound.is_finite() {
                    low + (bound - low) * share
                } else {
                    low
                };
                return Some(whole(at * 1e6));
            }
            (low, below) = (bound, count);
        }
        None
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bounds of buckets are positive and below an hour"
)]
const fn whole(micros: f64) -> u64 {
    micros.round() as u64
}

/// What `/metrics` says.
pub async fn scrape(address: SocketAddr) -> io::Result<String> {
    let ask = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET /metrics HTTP/1.0\r\nHost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut text = String::new();
        stream
            .take(ANSWER_BYTES_MAX)
            .read_to_string(&mut text)
            .await?;
        Ok(text)
    };
    timeout(ANSWER_WITHIN, ask)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# TYPE x histogram\nx_sum 1\nx_count 10\nx_bucket{le=\"0.001\"} 2\n\
        x_bucket{le=\"0.002\"} 6\nx_bucket{le=\"0.004\"} 10\nx_bucket{le=\"+Inf\"} 10\ny_bucket{le=\"1\"} 9\n";

    #[test]
    fn quantiles_are_even_inside_a_bucket() {
        let read = Histogram::read(TEXT, "x");
        assert_eq!(read.count(), 10);
        assert_eq!(read.quantile_us(50), Some(1_750));
        assert_eq!(read.quantile_us(20), Some(1_000));
        assert_eq!(read.quantile_us(100), Some(4_000));
        assert_eq!(Histogram::default().quantile_us(50), None);
    }

    #[test]
    fn what_is_above_the_last_bound_counts_as_it() {
        let text = "x_bucket{le=\"0.001\"} 0\nx_bucket{le=\"+Inf\"} 5\n";
        assert_eq!(Histogram::read(text, "x").quantile_us(99), Some(1_000));
    }

    #[test]
    fn marks_are_subtracted_and_members_added() {
        let late = Histogram::read(TEXT, "x");
        let early = Histogram::read(
            "x_bucket{le=\"0.001\"} 2\nx_bucket{le=\"0.002\"} 2\nx_bucket{le=\"0.004\"} 2\nx_bucket{le=\"+Inf\"} 2\n",
            "x",
        );
        let mut between = late.since(&early);
        assert_eq!(between.count(), 8);
        assert_eq!(between.quantile_us(50), Some(2_000));
        between.add(&late);
        assert_eq!(between.count(), 18);
        assert_eq!(late.since(&late).quantile_us(50), None);
    }
}
