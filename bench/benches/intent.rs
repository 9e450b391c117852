//! How much of a sync remains visible when it runs while other work is done: `storage::journal_intent`.
//!
//! ```text
//! way=work      work                          no journal: what the others are compared with
//! way=append    work, append                  the sync is on the critical path
//! way=intent    begin, work, settle           the sync runs meanwhile
//! ```
//!
//! The ways take turns, so that what else the machine does hits all of them, and a line of medians says what
//! `append` and `intent` add to the work. The work is computation of a fixed amount, not a wait: what the
//! journal's thread takes from it is part of the price.

#![allow(
    clippy::unwrap_used,
    reason = "a disk that cannot be written cannot be measured"
)]

mod common;

use criterion::{Criterion, criterion_group, criterion_main};
use outrider_storage::{FileJournal, Journal, JournalOptions};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Microseconds of work: checking a payload and a few signatures.
const WORK_US: [u64; 5] = [0, 50, 100, 200, 400];
/// A safety state of a small committee has about 700 bytes.
const RECORD_BYTES: usize = 700;
/// Samples kept of one way, the first ones.
const SAMPLES_MAX: usize = 100_000;
/// Time in which the speed of the work is measured.
const CALIBRATION: Duration = Duration::from_millis(50);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Work,
    Append,
    Intent,
}

impl Way {
    const ALL: [Self; 3] = [Self::Work, Self::Append, Self::Intent];

    const fn name(self) -> &'static str {
        match self {
            Self::Work => "work",
            Self::Append => "append",
            Self::Intent => "intent",
        }
    }

    fn run(self, journal: &mut FileJournal, record: &[u8], rounds: u64) {
        match self {
            Self::Work => work(rounds),
            Self::Append => {
                work(rounds);
                journal.append(black_box(record)).unwrap();
            }
            Self::Intent => {
                journal.begin(black_box(record)).unwrap();
                work(rounds);
                journal.settle().unwrap();
            }
        }
    }
}

/// So many rounds of computation in registers.
fn work(rounds: u64) {
    let mut state = black_box(0x6f_u64);
    for _ in 0..rounds {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
    }
    black_box(state);
}

/// Rounds of [`work`] in a thousand microseconds, as fast as this machine is now.
fn rounds_per_ms() -> u64 {
    const ROUNDS: u64 = 10_000;
    let (begin, mut best) = (Instant::now(), Duration::MAX);
    while begin.elapsed() < CALIBRATION {
        let begin = Instant::now();
        work(ROUNDS);
        best = best.min(begin.elapsed());
    }
    ROUNDS * 1_000_000 / u64::try_from(best.as_nanos()).unwrap().max(1)
}

/// How long each way took, in the order of [`Way::ALL`].
#[derive(Default)]
struct Samples([Vec<Duration>; 3]);

impl Samples {
    fn push(&mut self, way: Way, took: Duration) {
        let samples = &mut self.0[way as usize];
        if samples.len() < SAMPLES_MAX {
            samples.push(took);
        }
    }

    /// Microseconds which half, and 99 of 100, of the turns of a way did not exceed.
    fn quantiles(&mut self, way: Way) -> Option<(f64, f64)> {
        let samples = &mut self.0[way as usize];
        samples.sort_unstable();
        let at = |hundredths: usize| {
            let sample = samples.get(samples.len() * hundredths / 100)?;
            Some(sample.as_secs_f64() * 1e6)
        };
        Some((at(50)?, at(99)?))
    }

    /// Nothing when the command line left all ways out.
    fn print(&mut self, work_us: u64) {
        let ways = Way::ALL.map(|way| self.quantiles(way));
        if let [Some(work), Some(append), Some(intent)] = ways {
            let added = |way: (f64, f64)| {
                let (p50, p99) = (way.0 - work.0, way.1 - work.0);
                format!("adds p50 {p50:.1} us, p99 {p99:.1} us")
            };
            println!(
                "journal_intent/work_us={work_us}: work p50 {:.1} us | append {} | intent {} | {} turns",
                work.0,
                added(append),
                added(intent),
                self.0[0].len(),
            );
        }
    }
}

fn journal_intent(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("storage::journal_intent");
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut journal = FileJournal::open(dir.path(), JournalOptions::default()).unwrap();
    let record = vec![0x6f; RECORD_BYTES];
    let rounds_per_ms = rounds_per_ms();
    for work_us in WORK_US {
        let rounds = rounds_per_ms * work_us / 1000;
        let mut samples = Samples::default();
        for measured in [Way::Append, Way::Intent] {
            let name = format!("way={}/work_us={work_us}", measured.name());
            group.bench_function(name, |bencher| {
                bencher.iter_custom(|turns| {
                    let mut spent = Duration::ZERO;
                    for _ in 0..turns {
                        for way in Way::ALL {
                            let begin = Instant::now();
                            way.run(&mut journal, &record, rounds);
                            let took = begin.elapsed();
                            samples.push(way, took);
                            if way == measured {
                                spent += took;
                            }
                        }
                    }
                    spent
                });
            });
        }
        samples.print(work_us);
    }
    group.finish();
    // None when the command line left all ways out.
    assert!(journal.latest().is_none_or(|latest| latest == record));
}

criterion_group! { name = benches; config = common::short(); targets = journal_intent }
criterion_main!(benches);
