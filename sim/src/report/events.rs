//! `events.jsonl`: every fact of a run, one JSON object a line, written while it runs.

use crate::fact::{Fact, Micros, Observer, Violation};
use crate::record::Words;
use std::io::Write;

/// Lines that are written at most; what comes after them is only counted.
pub const LINES_MAX: u64 = 10_000_000;

/// Why the events of a run are not all there.
#[derive(Debug, thiserror::Error)]
pub enum EventsError {
    /// The file cannot be written.
    #[error(
        "cannot write line {line} of the events: {error}; free some space or give another path"
    )]
    Write {
        /// Which line.
        line: u64,
        /// What the system says.
        error: std::io::Error,
    },
    /// There were too many.
    #[error(
        "the events end after {limit} lines, {left_out} more were not written; give the run a shorter end"
    )]
    Limit {
        /// Lines written.
        limit: u64,
        /// Facts without a line.
        left_out: u64,
    },
}

/// Writes facts as they happen. A write that fails does not disturb the run: [`Events::finish`] says it.
#[derive(Debug)]
pub struct Events<W> {
    out: W,
    words: Words,
    limit: u64,
    lines: u64,
    left_out: u64,
    failed: Option<EventsError>,
}

impl<W: Write> Events<W> {
    /// To this file; buffer it.
    #[must_use]
    pub fn new(out: W) -> Self {
        Self::with_limit(out, LINES_MAX)
    }

    /// At most so many lines.
    #[must_use]
    pub fn with_limit(out: W, limit: u64) -> Self {
        Self {
            out,
            words: Words::full(),
            limit,
            lines: 0,
            left_out: 0,
            failed: None,
        }
    }

    fn write(&mut self, line: &str) {
        if self.failed.is_some() {
            return;
        }
        match writeln!(self.out, "{line}") {
            Ok(()) => self.lines += 1,
            Err(error) => {
                let line = self.lines + 1;
                self.failed = Some(EventsError::Write { line, error });
            }
        }
    }

    /// End with the violation, if there was one, and say whether all is there. The violation's line comes beyond the
    /// limit if need be.
    pub fn finish(mut self, violation: Option<&Violation>) -> Result<W, EventsError> {
        if let Some(violation) = violation {
            self.write(&Words::violation(violation).line());
        }
        if let Some(error) = self.failed {
            return Err(error);
        }
        let line = self.lines;
        if let Err(error) = self.out.flush() {
            return Err(EventsError::Write { line, error });
        }
        if self.left_out > 0 {
            return Err(EventsError::Limit {
                limit: self.limit,
                left_out: self.left_out,
            });
        }
        Ok(self.out)
    }
}

impl<W: Write> Observer for Events<W> {
    fn see(&mut self, at: Micros, fact: &Fact) -> Result<(), Violation> {
        self.words.learn(fact);
        if self.lines >= self.limit {
            self.left_out += 1;
        } else {
            let line = self.words.fact(at, fact).line();
            self.write(&line);
        }
        Ok(())
    }

    fn wants_deliveries(&self) -> bool {
        true
    }
}
