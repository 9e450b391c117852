//! What the world does to a running node: it stands still, or its clock is off.

use super::lock;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

/// The world's hand on a node, through all its lives. Clones are the same hand.
#[derive(Clone, Debug, Default)]
pub struct Control(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    skew_us: AtomicI64,
    stopped: Mutex<Stopped>,
}

#[derive(Debug, Default)]
struct Stopped {
    now: bool,
    /// Whom to wake when it goes on: at most one for each task of a node, which are two.
    waiting: Vec<Waker>,
}

impl Control {
    /// Added to the wall clock, in microseconds.
    #[must_use]
    pub fn skew_us(&self) -> i64 {
        self.0.skew_us.load(Ordering::Relaxed)
    }

    /// Put the wall clock off by so many microseconds, from now on.
    pub fn set_skew_us(&self, skew_us: i64) {
        self.0.skew_us.store(skew_us, Ordering::Relaxed);
    }

    /// Stand still, as after SIGSTOP: nothing of the node runs, time passes, what arrives waits.
    pub fn pause(&self) {
        lock(&self.0.stopped).now = true;
    }

    /// Go on, as after SIGCONT.
    pub fn resume(&self) {
        let waiting = {
            let mut stopped = lock(&self.0.stopped);
            stopped.now = false;
            std::mem::take(&mut stopped.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    /// A part of the node, which stands still with it.
    pub fn runs<F: Future>(&self, part: F) -> impl Future<Output = F::Output> + use<F> {
        Running {
            control: self.clone(),
            part: Box::pin(part),
        }
    }

    /// Whether it stands still; then this task is woken when it goes on.
    fn stands(&self, context: &Context<'_>) -> bool {
        let mut stopped = lock(&self.0.stopped);
        if stopped.now {
            let waker = context.waker();
            stopped.waiting.retain(|other| !other.will_wake(waker));
            stopped.waiting.push(waker.clone());
        }
        stopped.now
    }
}

struct Running<F> {
    control: Control,
    part: Pin<Box<F>>,
}

impl<F: Future> Future for Running<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        if self.control.stands(context) {
            return Poll::Pending;
        }
        self.part.as_mut().poll(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;
    use futures::future::poll_immediate;

    #[test]
    fn a_node_that_stands_still_is_not_polled_and_is_woken_when_it_goes_on() {
        let control = Control::default();
        let mut part = Box::pin(control.runs(async { 7 }));
        control.pause();
        assert_eq!(poll_immediate(&mut part).now_or_never(), Some(None));
        assert_eq!(lock(&control.0.stopped).waiting.len(), 1);
        control.resume();
        assert!(lock(&control.0.stopped).waiting.is_empty());
        assert_eq!(part.now_or_never(), Some(7));
    }
}
