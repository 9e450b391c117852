//! What the member of a peer does for the benchmark: it makes its own load, builds blocks of it, and logs what commits.
//!
//! ```text
//! schedule --> queue (bounded; what does not fit is shed) --> block --> the peer's consensus --> commit log
//!    due time of each transaction                                                          --> submit latencies
//! ```
//!
//! The load is open-loop and latency counts from the time at which a transaction was due, as in `outrider load`.

use crate::commits::Commit;
use crate::error::CompareError;
use crate::numbers::now_us;
use clap::Args;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufWriter, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// File of the commits in a member's folder, one line each.
pub const COMMITS_FILE: &str = "commits.log";
/// File of the submit latencies: 32-bit little-endian microseconds. Its presence says that the member ended as told.
pub const SUBMITS_FILE: &str = "submits.u32";
/// Transactions that wait in a member; more are shed.
const WAITING_MAX: usize = 20_000;
/// Submit latencies that are kept of one run; later ones are not counted.
const SUBMITS_MAX: usize = 20_000_000;
/// Between two looks at the schedule.
const TICK: Duration = Duration::from_millis(1);
/// Between two flushes of the commit log: what a killed member loses of it at most.
const FLUSH: Duration = Duration::from_millis(100);

/// Proposal time, count, size, parent, view.
const HEADER_BYTES: usize = 8 + 4 + 4 + 32 + 8;
/// Where the parent's digest is.
const PARENT: std::ops::Range<usize> = 16..48;

/// What the process of a peer's member is told.
#[derive(Clone, Debug, Args)]
pub struct MemberArgs {
    /// Which member this is.
    #[arg(long)]
    pub me: usize,
    /// Where this member finds each member; its own address is where it listens.
    #[arg(long, value_delimiter = ',', required = true)]
    pub addresses: Vec<SocketAddr>,
    /// Folder of this member, which exists.
    #[arg(long)]
    pub dir: PathBuf,
    /// Folder for what the peer itself keeps.
    #[arg(long)]
    pub store: PathBuf,
    /// Transactions per second that this member makes.
    #[arg(long)]
    pub rate: u64,
    /// Bytes of each, at least 16.
    #[arg(long)]
    pub size: usize,
    /// Most bytes of a block.
    #[arg(long)]
    pub block_bytes: usize,
    /// When the load begins, microseconds since the Unix epoch.
    #[arg(long)]
    pub begin_us: u64,
    /// Submit latencies count from here
    #[arg(long)]
    pub from_us: u64,
    /// to here; then the load ends.
    #[arg(long)]
    pub to_us: u64,
}

/// The member's own load and log.
#[derive(Debug)]
pub struct Inside {
    arguments: MemberArgs,
    /// Due times of transactions that wait.
    waiting: Mutex<VecDeque<u64>>,
    log: Mutex<BufWriter<File>>,
    submits: Mutex<Vec<u32>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inside {
    /// Start the schedule. The process ends, with its results on disk, when standard input does.
    pub fn start(arguments: &MemberArgs) -> Result<Arc<Self>, CompareError> {
        let path = arguments.dir.join(COMMITS_FILE);
        let log = File::create(&path).map_err(CompareError::file("create", &path))?;
        let inside = Arc::new(Self {
            arguments: arguments.clone(),
            waiting: Mutex::default(),
            log: Mutex::new(BufWriter::new(log)),
            submits: Mutex::default(),
        });
        let generator = Arc::clone(&inside);
        std::thread::spawn(move || generator.generate());
        let flusher = Arc::clone(&inside);
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(FLUSH);
                // A log that cannot be written is short, and the run then says that nothing was committed.
                let _ = lock(&flusher.log).flush();
            }
        });
        let ender = Arc::clone(&inside);
        std::thread::spawn(move || ender.end_with_stdin());
        Ok(inside)
    }

    fn generate(&self) {
        let MemberArgs {
            rate,
            begin_us,
            to_us,
            ..
        } = self.arguments;
        let mut made = 0;
        let mut due = due_us(begin_us, rate, made);
        while due < to_us {
            let now = now_us();
            if now < due {
                std::thread::sleep(TICK);
                continue;
            }
            let mut waiting = lock(&self.waiting);
            while due <= now && due < to_us {
                if waiting.len() < WAITING_MAX {
                    waiting.push_back(due);
                }
                made += 1;
                due = due_us(begin_us, rate, made);
            }
        }
    }

    /// Nobody writes to the pipe; it ends when the parent says so, or dies.
    fn end_with_stdin(&self) {
        let mut byte = [0; 1];
        while matches!(std::io::stdin().read(&mut byte), Ok(1..)) {}
        let code = match self.finish() {
            Ok(()) => 0,
            Err(error) => {
                eprintln!("error: {error}");
                1
            }
        };
        std::process::exit(code);
    }

    fn finish(&self) -> Result<(), CompareError> {
        let path = self.arguments.dir.join(COMMITS_FILE);
        let flushed = lock(&self.log).flush();
        flushed.map_err(CompareError::file("write", &path))?;
        let path = self.arguments.dir.join(SUBMITS_FILE);
        let submits = lock(&self.submits);
        let bytes: Vec<u8> = submits.iter().flat_map(|us| us.to_le_bytes()).collect();
        std::fs::write(&path, bytes).map_err(CompareError::file("write", &path))
    }

    /// Whether there is nothing to order.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        lock(&self.waiting).is_empty()
    }

    /// A block of what waits.
    #[must_use]
    pub fn build(&self, parent: &[u8; 32], view: u64) -> Vec<u8> {
        let size = self.arguments.size;
        let mut waiting = lock(&self.waiting);
        let room = self.arguments.block_bytes.saturating_sub(HEADER_BYTES) / size;
        let count = waiting.len().min(room);
        let mut block = Vec::with_capacity(HEADER_BYTES + count * size);
        block.extend_from_slice(&now_us().to_le_bytes());
        for number in [count, size] {
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            block.extend_from_slice(&number.to_le_bytes());
        }
        block.extend_from_slice(parent);
        block.extend_from_slice(&view.to_le_bytes());
        for due in waiting.drain(..count) {
            let end = block.len() + size;
            block.extend_from_slice(&due.to_le_bytes());
            // Whose it is, so that its own member finds it again.
            block.extend_from_slice(&self.own().to_le_bytes());
            block.resize(end, 0x5a);
        }
        block
    }

    fn own(&self) -> u64 {
        u64::try_from(self.arguments.me).unwrap_or(u64::MAX)
    }

    /// Log a final block that passed [`is_block`]. Blocks come in order, each once.
    pub fn committed(&self, block: &[u8]) {
        let Some(header) = Header::of(block) else {
            return;
        };
        let now = now_us();
        let commit = Commit {
            at_us: now,
            proposed_us: header.proposed_us,
            transactions: u64::try_from(header.count).unwrap_or(u64::MAX),
        };
        // See `start` on failure.
        let _ = writeln!(lock(&self.log), "{commit}");
        if !(self.arguments.from_us..self.arguments.to_us).contains(&now) {
            return;
        }
        let mut submits = lock(&self.submits);
        for transaction in block[HEADER_BYTES..].chunks_exact(header.size) {
            let (Some(due), Some(maker)) = (number(transaction, 0), number(transaction, 8)) else {
                continue;
            };
            if maker == self.own() && submits.len() < SUBMITS_MAX {
                submits.push(u32::try_from(now.saturating_sub(due)).unwrap_or(u32::MAX));
            }
        }
    }
}

fn due_us(begin_us: u64, rate: u64, index: u64) -> u64 {
    if rate == 0 {
        return u64::MAX;
    }
    let after = u128::from(index) * 1_000_000 / u128::from(rate);
    begin_us.saturating_add(u64::try_from(after).unwrap_or(u64::MAX))
}

struct Header {
    proposed_us: u64,
    count: usize,
    size: usize,
}

impl Header {
    fn of(block: &[u8]) -> Option<Self> {
        let word = |at: usize| {
            let bytes = block.get(at..at + 4)?.try_into().ok()?;
            usize::try_from(u32::from_le_bytes(bytes)).ok()
        };
        let header = Self {
            proposed_us: number(block, 0)?,
            count: word(8)?,
            size: word(12)?,
        };
        let length = header.count.checked_mul(header.size)?;
        (header.size >= 16 && block.len().checked_sub(HEADER_BYTES)? == length).then_some(header)
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + 8)?.try_into().ok()?;
    Some(u64::from_le_bytes(bytes))
}

/// Whether these bytes are a block. Voters check that; they check no signatures of transactions, and neither does ours.
#[must_use]
pub fn is_block(block: &[u8]) -> bool {
    Header::of(block).is_some()
}

/// The parent's digest, as [`Inside::build`] was given it.
#[must_use]
pub fn parent_of(block: &[u8]) -> Option<[u8; 32]> {
    block.get(PARENT)?.try_into().ok()
}

/// The submit latencies of a member's file.
#[must_use]
pub fn parse_submits(bytes: &[u8]) -> Vec<u64> {
    let words = bytes.as_chunks::<4>().0.iter();
    words
        .map(|word| u64::from(u32::from_le_bytes(*word)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commits::Commits;

    fn inside(dir: &std::path::Path, me: usize) -> Inside {
        let path = dir.join(COMMITS_FILE);
        Inside {
            arguments: MemberArgs {
                me,
                addresses: Vec::new(),
                dir: dir.to_owned(),
                store: dir.to_owned(),
                rate: 1_000,
                size: 100,
                block_bytes: HEADER_BYTES + 350,
                begin_us: 0,
                from_us: 0,
                to_us: u64::MAX,
            },
            waiting: Mutex::default(),
            log: Mutex::new(BufWriter::new(File::create(path).unwrap())),
            submits: Mutex::default(),
        }
    }

    #[test]
    fn block_holds_what_fits_and_is_logged_by_all_and_timed_by_its_maker() {
        let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [maker, other] = [0, 1].map(|me| inside(dirs[me].path(), me));
        assert!(maker.is_idle());
        lock(&maker.waiting).extend([now_us() - 5_000; 5]);
        let block = maker.build(&[7; 32], 9);
        assert_eq!(lock(&maker.waiting).len(), 2);
        assert!(is_block(&block) && !is_block(&block[1..]) && !is_block(&[]));
        assert_eq!(parent_of(&block), Some([7; 32]));
        for member in [&maker, &other] {
            member.committed(&block);
            member.finish().unwrap();
        }
        let files = dirs.map(|dir| {
            let log = std::fs::read_to_string(dir.path().join(COMMITS_FILE)).unwrap();
            let submits = std::fs::read(dir.path().join(SUBMITS_FILE)).unwrap();
            (Commits::parse(&log), parse_submits(&submits))
        });
        assert!(files.iter().all(|(log, _)| log.0[0].transactions == 3));
        assert_eq!((files[0].1.len(), files[1].1.len()), (3, 0));
        assert!(files[0].1.iter().all(|us| *us >= 5_000));
    }

    #[test]
    fn schedule_is_even_and_zero_is_never() {
        assert_eq!(due_us(10, 1_000, 0), 10);
        assert_eq!(due_us(10, 1_000, 3), 3_010);
        assert_eq!(due_us(10, 3, 3), 1_000_010);
        assert_eq!(due_us(10, 0, 0), u64::MAX);
    }
}
