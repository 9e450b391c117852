//! The thread that writes the vote journal, and what it shares with the journal's owner.
//!
//! The files are in the slot, or with the one of the two who is writing a record. The lock is never held
//! while the disk is at work.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use super::error::JournalError;
use super::files::Files;

#[derive(Debug)]
struct Slot {
    /// The newest record that was begun and that nobody is writing yet.
    waiting: Option<Arc<[u8]>>,
    /// `None` while a record is being written, and for ever after a failure.
    files: Option<Files>,
    /// A write failed: nothing is written any more.
    failed: bool,
    /// Why, until someone has been told.
    failure: Option<JournalError>,
    /// The owner is gone: finish and end.
    stop: bool,
}

impl Slot {
    /// What is there to write, if nobody is writing.
    fn take(&mut self) -> Option<(Arc<[u8]>, Files)> {
        let idle = self.files.is_some();
        let record = self.waiting.take_if(|_| idle)?;
        Some((record, self.files.take()?))
    }

    fn check(&mut self) -> Result<(), JournalError> {
        if self.failed {
            return Err(self.failure.take().unwrap_or(JournalError::Poisoned));
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Shared {
    slot: Mutex<Slot>,
    /// Tells the thread that a record waits, or that it is to end.
    work: Condvar,
    /// Tells the owner that a record was written, or that it failed.
    done: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Slot> {
        // Every change of the slot is whole; a write that a panic cut off is marked by its `Turn`.
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, record: &[u8], mut files: Files) {
        let mut turn = Turn {
            shared: self,
            written: None,
        };
        turn.written = Some(files.write(record).map(|()| files));
    }

    fn run(&self) {
        let mut slot = self.lock();
        while !slot.failed {
            if let Some((record, files)) = slot.take() {
                drop(slot);
                self.write(&record, files);
                slot = self.lock();
            } else if slot.stop {
                return;
            } else {
                slot = self.work.wait(slot).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

/// One record being written. Its end, be it a panic, is never missed by the one who waits for it.
struct Turn<'a> {
    shared: &'a Shared,
    written: Option<Result<Files, JournalError>>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut slot = self.shared.lock();
        match self.written.take() {
            Some(Ok(files)) => {
                let others = slot.files.replace(files);
                assert!(others.is_none(), "one record is written at a time");
            }
            failed => {
                slot.failed = true;
                slot.failure = failed.and_then(Result::err);
                slot.waiting = None;
            }
        }
        drop(slot);
        self.shared.done.notify_all();
    }
}

/// The owner's end.
#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread, which writes into `files` from now on.
    pub fn start(files: Files) -> Result<Self, JournalError> {
        let shared = Arc::new(Shared {
            slot: Mutex::new(Slot {
                waiting: None,
                files: Some(files),
                failed: false,
                failure: None,
                stop: false,
            }),
            work: Condvar::new(),
            done: Condvar::new(),
        });
        let theirs = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("vote-journal".to_owned())
            .spawn(move || theirs.run())
            .map_err(|source| JournalError::Thread { source })?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Whether a write has failed.
    pub fn check(&self) -> Result<(), JournalError> {
        self.shared.lock().check()
    }

    /// Makes `record` the one to be written next, in place of one that still waits. Without `wake` it may
    /// wait until [`Self::settle`].
    pub fn put(&self, record: Arc<[u8]>, wake: bool) {
        self.shared.lock().waiting = Some(record);
        if wake {
            self.shared.work.notify_one();
        }
    }

    /// Returns when nothing waits and nothing is being written. What the thread has not taken yet is
    /// written here: on a busy machine it may be milliseconds until the thread runs.
    pub fn settle(&self) -> Result<(), JournalError> {
        let mut slot = self.shared.lock();
        loop {
            slot.check()?;
            if let Some((record, files)) = slot.take() {
                drop(slot);
                self.shared.write(&record, files);
                slot = self.shared.lock();
            } else if slot.files.is_some() {
                return Ok(());
            } else {
                let waited = self.shared.done.wait(slot);
                slot = waited.unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    fn join(&mut self) {
        let ended = self.thread.take().map(JoinHandle::join);
        if let Some(Err(_)) = ended {
            tracing::error!("the thread that writes the vote journal panicked");
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.work.notify_one();
        self.join();
        if let Some(error) = self.shared.lock().failure.take() {
            tracing::error!(%error, "the last safety state is not in the vote journal");
        }
    }
}

#[cfg(test)]
impl Writer {
    /// Keeps the files back, so that nothing is written until they are returned.
    pub fn hold(&self) -> Files {
        self.shared.lock().files.take().unwrap()
    }

    /// Returns what [`Self::hold`] gave.
    pub fn release(&self, files: Files) {
        assert!(self.shared.lock().files.replace(files).is_none());
        self.shared.work.notify_one();
    }

    /// Waits for the end of a thread whose write fails.
    pub fn wait_until_failed(&mut self) {
        self.join();
    }

    /// Says, after the journal was dropped, whether something still holds what it shared with its thread.
    pub fn alive(&self) -> impl Fn() -> bool + use<> {
        let shared = Arc::downgrade(&self.shared);
        move || shared.strong_count() > 0
    }
}
