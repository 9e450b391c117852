//! All tasks of a node inside one task of tokio.
//!
//! When a host crashes, tokio drops its tasks in an order that depends on how many tasks the process has ever spawned, and
//! every socket that is dropped draws a delay for its last packet: the same seed would give another run. One task drops
//! its parts in the order in which they were spawned, newest first, wherever it runs.

use super::Control;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use std::sync::OnceLock;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

type Task = BoxFuture<'static, ()>;

/// Where the tasks of a node go. The task of tokio begins with the first of them.
#[derive(Default)]
pub(super) struct Pool(OnceLock<UnboundedSender<Task>>);

impl Pool {
    /// Run a task beside the others. Call it inside the turmoil host.
    pub(super) fn spawn(&self, control: &Control, task: Task) {
        let sender = self.0.get_or_init(|| {
            let (sender, receiver) = mpsc::unbounded_channel();
            tokio::spawn(control.runs(run(receiver)));
            sender
        });
        // After a crash nobody runs tasks any more, and this one is dropped as all others were.
        drop(sender.send(task));
    }
}

async fn run(mut arrivals: UnboundedReceiver<Task>) {
    let mut tasks = FuturesUnordered::new();
    loop {
        tokio::select! {
            biased;
            arrival = arrivals.recv() => match arrival {
                Some(task) => tasks.push(task),
                None => return,
            },
            Some(()) = tasks.next(), if !tasks.is_empty() => {}
        }
    }
}
