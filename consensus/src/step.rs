//! The outcome of a step: what must be durable, and then what to do.

use crate::action::Action;
use outrider_types::{BlockRecord, Justification, SafetyState};

/// What must be durable before any action of the step happens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Writes {
    /// Blocks voted for or committed, with their justifications.
    pub records: Vec<BlockRecord>,
    /// The newest safety state, if something was signed under a new one or is going to be: an intent may be written while
    /// the payload is still being checked (protocol section 3).
    pub safety: Option<Box<SafetyState>>,
    /// Something signed is among the actions: these writes, and every safety state given out before, must be durable
    /// first. Otherwise it is enough to begin to write them.
    pub signed: bool,
}

impl Writes {
    /// Whether there is nothing to write.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.records.is_empty() && self.safety.is_none() && !self.signed
    }
}

/// What a step came to. Its actions can only be had by making its writes durable (C2).
#[derive(Debug, Default)]
#[must_use = "a step does nothing until its writes are durable and its actions are taken"]
pub struct Step {
    writes: Writes,
    actions: Vec<Action>,
    kept: Vec<Justification>,
}

impl Step {
    pub(crate) const fn new(
        writes: Writes,
        actions: Vec<Action>,
        kept: Vec<Justification>,
    ) -> Self {
        Self {
            writes,
            actions,
            kept,
        }
    }

    /// Certificates that moved the replica through a view or that it commit-voted on, to be kept for the evidence period
    /// (protocol section 6). Nothing waits for them.
    pub fn take_kept(&mut self) -> Vec<Justification> {
        std::mem::take(&mut self.kept)
    }

    /// Make the writes durable, then get the actions. If `write` fails, the actions are gone, and the caller must end
    /// the replica: its memory is ahead of its disk. `write` is not called when there is nothing to write.
    pub fn persist_with<E>(
        self,
        write: impl FnOnce(&Writes) -> Result<(), E>,
    ) -> Result<Vec<Action>, E> {
        if !self.writes.is_empty() {
            write(&self.writes)?;
        }
        Ok(self.actions)
    }

    /// This step and the one that followed it as one, so that a turn of the event loop needs one sync.
    pub fn then(mut self, later: Self) -> Self {
        self.writes.records.extend(later.writes.records);
        if later.writes.safety.is_some() {
            self.writes.safety = later.writes.safety;
        }
        self.writes.signed |= later.writes.signed;
        self.actions.extend(later.actions);
        self.kept.extend(later.kept);
        self
    }

    /// Whether the step came to nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.actions.is_empty()
    }

    /// Whether something must be made durable before the actions can be had.
    #[must_use]
    pub const fn needs_write(&self) -> bool {
        !self.writes.is_empty()
    }
}
