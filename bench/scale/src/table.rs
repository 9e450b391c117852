//! From samples to rows, and from rows to what they mean: where voting, which grows with the square of the committee, weighs
//! as much as the payload, which grows with the committee.

use crate::run::{Plan, Sample};
use crate::watch::thread_time;
use outrider_types::codec::EncodeSize as _;
use outrider_types::{Batch, CheckedPayload, Payload as Ordered, RollupId};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// Bytes of the payload that voting is compared with.
const PAYLOAD_BYTES: usize = 1 << 20;
/// Bytes of each of its transactions.
const TRANSACTION_BYTES: usize = 512;
/// Shares of the payload's bytes at which votes are looked for.
const SHARES: [f64; 3] = [0.01, 0.1, 1.0];

/// A payload, and what it costs a receiver to check it.
#[derive(Clone, Copy, Debug)]
pub struct Payload {
    /// Bytes of its encoding.
    pub bytes: u64,
    /// CPU time of hashing and checking it.
    pub check: Duration,
}

impl Payload {
    /// Of about 1 MiB, the median of so many checks.
    pub fn measured(runs: u64) -> Self {
        let transactions = PAYLOAD_BYTES / TRANSACTION_BYTES;
        let data = (0..transactions).map(|number| {
            let mut data = vec![0x6f; TRANSACTION_BYTES];
            data[..8].copy_from_slice(&(number as u64).to_be_bytes());
            data.into()
        });
        let payload = Ordered {
            batches: vec![Batch {
                rollup: RollupId(1),
                transactions: data.collect(),
            }],
        };
        let check = || {
            let payload = payload.clone();
            let begin = thread_time();
            let checked = CheckedPayload::new(payload);
            let took = thread_time().saturating_sub(begin);
            assert!(checked.is_ok(), "the payload is a valid one");
            took
        };
        Self {
            bytes: payload.encode_size() as u64,
            check: median((0..runs.max(1)).map(|_| check()).collect()),
        }
    }
}

/// What a block costs with a committee of this size.
#[derive(Clone, Debug)]
pub struct Row {
    members: usize,
    blocks: u64,
    /// By kind of message: messages and bytes, of one block, over all members and receivers.
    kinds: BTreeMap<&'static str, (f64, f64)>,
    certificate_bytes: usize,
    /// Signatures that one member checks for a block.
    signatures: f64,
    /// Milliseconds of CPU of one member for a block: decoding and verifying.
    opening_ms: f64,
    /// All else, the simulator included.
    stepping_ms: f64,
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn is_vote(kind: &str) -> bool {
    matches!(kind, "vote" | "commit-vote")
}

#[allow(clippy::cast_precision_loss, reason = "counts far below 2^53")]
const fn real(count: u64) -> f64 {
    count as f64
}

impl Row {
    /// Of all runs of a size, which came to the same counts.
    fn new(members: usize, samples: &[Sample]) -> Option<Self> {
        let first = samples.first()?;
        let blocks = real(first.blocks.max(1));
        let each = blocks * real(members as u64);
        let milliseconds = |of: fn(&Sample) -> Duration| {
            median(samples.iter().map(of).collect()).as_secs_f64() * 1e3 / each
        };
        let kind = |kind: &crate::watch::Kind| {
            let crate::watch::Kind { messages, bytes } = *kind;
            (real(messages) / blocks, real(bytes) / blocks)
        };
        let kinds = &first.tally.kinds;
        Some(Self {
            members,
            blocks: first.blocks,
            kinds: kinds.iter().map(|(name, of)| (*name, kind(of))).collect(),
            certificate_bytes: first.tally.certificate_bytes,
            signatures: real(first.tally.signatures) / each,
            opening_ms: milliseconds(|sample| sample.tally.opening),
            stepping_ms: milliseconds(|sample| sample.stepping),
        })
    }

    fn messages(&self) -> f64 {
        self.kinds.values().map(|(messages, _)| messages).sum()
    }

    fn bytes(&self) -> f64 {
        self.kinds.values().map(|(_, bytes)| bytes).sum()
    }

    fn vote_bytes(&self) -> f64 {
        let votes = self.kinds.iter().filter(|(kind, _)| is_vote(kind));
        votes.map(|(_, (_, bytes))| bytes).sum()
    }

    fn others(&self) -> f64 {
        real(self.members.saturating_sub(1).max(1) as u64)
    }

    /// The payload that weighs as much as the votes, for it goes to all others.
    fn payload_as_heavy(&self) -> f64 {
        self.vote_bytes() / self.others()
    }

    /// Bytes of votes that one member sends one other for a block.
    fn votes_of_a_pair(&self) -> f64 {
        self.payload_as_heavy() / real(self.members as u64)
    }
}

/// The size of a committee from which votes are at least `share` of the bytes of a payload.
fn members_where(votes_of_a_pair: f64, payload_bytes: f64, share: f64) -> Option<u64> {
    let members = (share * payload_bytes / votes_of_a_pair).ceil();
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "finite, positive and small"
    )]
    (members.is_finite() && members > 0.0 && members < 1e9).then_some(members as u64)
}

/// All sizes.
#[derive(Clone, Debug)]
pub struct Report {
    rows: Vec<Row>,
    payload: Payload,
    runs: u64,
    seed: u64,
}

impl Report {
    /// Of what was measured.
    pub fn new(plan: &Plan, samples: &BTreeMap<usize, Vec<Sample>>, payload: &Payload) -> Self {
        let rows = samples
            .iter()
            .filter_map(|(members, samples)| Row::new(*members, samples));
        Self {
            rows: rows.collect(),
            payload: *payload,
            runs: plan.runs,
            seed: plan.seed,
        }
    }

    fn check_ms(&self) -> f64 {
        self.payload.check.as_secs_f64() * 1e3
    }

    /// Votes against the payload: of bytes, and of a member's CPU time.
    fn shares(&self, row: &Row) -> (f64, f64) {
        let bytes = row.payload_as_heavy() / real(self.payload.bytes);
        (bytes, row.opening_ms / self.check_ms())
    }

    /// The first size measured at which verifying takes a member longer than checking the payload.
    fn verifying_outweighs(&self) -> Option<usize> {
        let outweighs = |row: &&Row| self.shares(row).1 >= 1.0;
        self.rows.iter().find(outweighs).map(|row| row.members)
    }

    /// Where votes reach [`SHARES`] of the payload's bytes, by the largest size measured: there a pair's votes are nearest to
    /// what they are in larger committees.
    fn thresholds(&self) -> Vec<(f64, Option<u64>)> {
        let last = self.rows.last();
        let where_is = |share| {
            let row = last?;
            members_where(row.votes_of_a_pair(), real(self.payload.bytes), share)
        };
        SHARES.map(|share| (share, where_is(share))).to_vec()
    }

    /// A table and what it says.
    pub fn to_markdown(&self) -> String {
        let mut text = String::from(
            "| members | messages | KiB | of them votes | certificate, bytes | signatures checked by a member | verify, ms | all else, ms | votes weigh as much as a payload of | votes / 1 MiB payload, bytes | verify / check of the payload, CPU |\n|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
        );
        for row in &self.rows {
            let (bytes, time) = self.shares(row);
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "| {} | {:.0} | {:.1} | {:.0} % | {} | {:.1} | {:.3} | {:.3} | {:.1} KiB | {:.2} % | {:.0} % |",
                row.members,
                row.messages(),
                row.bytes() / 1024.0,
                100.0 * row.vote_bytes() / row.bytes().max(1.0),
                row.certificate_bytes,
                row.signatures,
                row.opening_ms,
                row.stepping_ms,
                row.payload_as_heavy() / 1024.0,
                100.0 * bytes,
                100.0 * time,
            );
        }
        let _ = writeln!(
            text,
            "\nPer block; messages and bytes over all members, each receiver counted, bodies only; times are CPU of one member, \
             medians of {} runs, seed {}. `verify` is decoding and strict Ed25519 verification. `all else` is steps, signing \
             and what simulating took. The payload is {} bytes in {TRANSACTION_BYTES}-byte transactions; checking it takes \
             {:.3} ms.\n",
            self.runs,
            self.seed,
            self.payload.bytes,
            self.check_ms(),
        );
        for (share, members) in self.thresholds() {
            let Some(members) = members else { continue };
            let _ = writeln!(
                text,
                "- votes reach {:.0} % of the payload's bytes at {members} members (computed from the largest size measured)",
                100.0 * share
            );
        }
        let _ = match self.verifying_outweighs() {
            Some(members) => writeln!(
                text,
                "- verifying takes a member longer than checking the payload from {members} members on (of the sizes measured)"
            ),
            None => writeln!(
                text,
                "- verifying takes a member less than checking the payload at all sizes measured"
            ),
        };
        text
    }

    /// The same as JSON.
    pub fn to_json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let (bytes, time) = self.shares(row);
            let kind = |(kind, (messages, bytes)): (&&str, &(f64, f64))| {
                let value = json!({ "messages": messages, "bytes": bytes });
                ((*kind).to_owned(), value)
            };
            let kinds: serde_json::Map<String, Value> = row.kinds.iter().map(kind).collect();
            json!({
                "members": row.members,
                "blocks": row.blocks,
                "messages": row.messages(),
                "bytes": row.bytes(),
                "vote_bytes": row.vote_bytes(),
                "kinds": kinds,
                "certificate_bytes": row.certificate_bytes,
                "signatures_per_member": row.signatures,
                "verify_ms_per_member": row.opening_ms,
                "all_else_ms_per_member": row.stepping_ms,
                "payload_as_heavy_as_votes": row.payload_as_heavy(),
                "votes_per_payload_bytes": bytes,
                "verify_per_payload_check": time,
            })
        });
        let thresholds = self
            .thresholds()
            .into_iter()
            .map(|(share, members)| json!({ "share": share, "members": members }));
        json!({
            "rows": rows.collect::<Vec<_>>(),
            "runs": self.runs,
            "seed": self.seed,
            "payload": { "bytes": self.payload.bytes, "check_ms": self.check_ms() },
            "votes_reach_share_of_payload": thresholds.collect::<Vec<_>>(),
            "verify_outweighs_payload_check_at": self.verifying_outweighs(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::{Kind, Tally};

    fn sample(members: usize, milliseconds: u64) -> Sample {
        let all = (members * (members - 1)) as u64;
        let kind = |messages, each| Kind {
            messages,
            bytes: messages * each,
        };
        let kinds = [
            ("proposal", kind(2 * (all / members as u64), 1_000)),
            ("vote", kind(2 * all, 100)),
            ("commit-vote", kind(2 * all, 100)),
        ];
        Sample {
            blocks: 2,
            tally: Tally {
                kinds: kinds.into(),
                certificate_bytes: 300,
                signatures: 4 * all,
                opening: Duration::from_millis(milliseconds),
                ..Tally::default()
            },
            stepping: Duration::from_millis(8),
        }
    }

    fn report() -> Report {
        let plan = Plan {
            members: vec![4, 10],
            blocks: 2,
            runs: 3,
            seed: 1,
        };
        let four = [16, 8, 800].map(|time| sample(4, time)).to_vec();
        let ten = [100, 90, 95].map(|time| sample(10, time)).to_vec();
        let payload = Payload {
            bytes: 20_000,
            check: Duration::from_millis(4),
        };
        Report::new(&plan, &[(4, four), (10, ten)].into(), &payload)
    }

    #[test]
    fn row_is_per_block_and_member_and_a_median() {
        let report = report();
        let row = &report.rows[0];
        assert_eq!(row.messages(), 3.0 + 24.0);
        assert_eq!(row.bytes(), 3_000.0 + 2_400.0);
        assert_eq!(row.vote_bytes(), 2_400.0);
        assert_eq!(row.signatures, 6.0);
        assert_eq!(row.opening_ms, 2.0);
        assert_eq!(row.stepping_ms, 1.0);
        assert_eq!(row.payload_as_heavy(), 800.0);
        assert_eq!(row.votes_of_a_pair(), 200.0);
    }

    #[test]
    fn votes_weigh_as_much_as_the_payload_where_the_lines_cross() {
        assert_eq!(members_where(200.0, 20_000.0, 1.0), Some(100));
        assert_eq!(members_where(200.0, 20_001.0, 1.0), Some(101));
        assert_eq!(members_where(0.0, 20_000.0, 1.0), None);
        let report = report();
        assert_eq!(report.thresholds()[2], (1.0, Some(100)));
        assert_eq!(report.shares(&report.rows[0]), (0.04, 0.5));
        assert_eq!(report.verifying_outweighs(), Some(10));
    }

    #[test]
    fn markdown_and_json_hold_every_size() {
        let report = report();
        let text = report.to_markdown();
        let rows = text.lines().filter(|line| line.starts_with("| ")).count();
        assert_eq!(rows, 1 + 2, "{text}");
        assert!(text.contains("at 100 members"), "{text}");
        assert!(text.contains("from 10 members on"), "{text}");
        let json = report.to_json();
        assert_eq!(json["rows"][1]["members"], 10);
        assert_eq!(json["rows"][0]["kinds"]["vote"]["bytes"], 1_200.0);
        assert_eq!(json["votes_reach_share_of_payload"][2]["members"], 100);
    }

    #[test]
    fn payload_is_about_a_mebibyte() {
        let payload = Payload::measured(1);
        assert!((1 << 20..(1 << 20) + (1 << 14)).contains(&payload.bytes));
    }
}
