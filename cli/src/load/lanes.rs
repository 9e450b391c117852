//! The connections: a bounded queue and a pipelined WebSocket each, and a follower per member.

use super::plan::Plan;
use super::tracker::Tracker;
use crate::failure::Failure;
use outrider_client::{CODE_FULL, CODE_NOT_HELD, CODE_STOPPING, ClientError, Follower, Session};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep};

/// Transactions that wait for one connection; past that they go to another one, and if all are full the schedule waits
/// (which counts as latency).
const QUEUE_MAX: usize = 8_192;
/// Requests of one connection that wait for an answer.
const IN_FLIGHT_MAX: usize = 1_024;
/// How often one transaction is submitted before it counts as not answered.
const ATTEMPTS_MAX: u32 = 50;
/// How long the run waits when no member can be reached, or none has a place; then it is given up.
const NO_PLACE_MAX: Duration = Duration::from_secs(30);
/// Before a broken connection is tried again, or a transaction that no member takes now.
const PAUSE: Duration = Duration::from_millis(100);

/// All connections.
#[derive(Debug)]
pub struct Lanes {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    plan: Arc<Plan>,
    tracker: Arc<Tracker>,
    queues: Vec<Queue>,
    next: AtomicUsize,
    /// No member could be reached for so long that the rest of the run is given up.
    given_up: AtomicBool,
}

#[derive(Debug)]
struct Queue {
    member: usize,
    jobs: mpsc::Sender<Job>,
}

#[derive(Clone, Copy, Debug)]
struct Job {
    index: u64,
    attempts: u32,
}

/// What to do after a submission failed.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Submit it to another member; the connection is of no use.
    Broken,
    /// Submit it again.
    Again,
    /// Count it.
    Rejected(String),
}

impl Lanes {
    /// Connect to the members. One at least must answer.
    pub async fn start(
        urls: &[String],
        clients: usize,
        plan: &Arc<Plan>,
        tracker: &Arc<Tracker>,
    ) -> Result<Self, Failure> {
        let (mut queues, mut starts) = (Vec::new(), Vec::new());
        let mut error = None;
        for (member, url) in urls.iter().enumerate() {
            let mut follower = Follower::new(url, None);
            if let Err(why) = follower.connect().await {
                tracker.set_reachable(member, false);
                error = Some(why);
            }
            tokio::spawn(follow(follower, member, Arc::clone(tracker)));
            for _ in 0..clients {
                let (jobs, receiver) = mpsc::channel(QUEUE_MAX);
                queues.push(Queue { member, jobs });
                starts.push((url.clone(), member, receiver));
            }
        }
        if let Some(error) = error
            && !(0..urls.len()).any(|member| tracker.reachable(member))
        {
            return Err(Failure::NoMember(Box::new(error)));
        }
        let shared = Shared {
            plan: Arc::clone(plan),
            tracker: Arc::clone(tracker),
            queues,
            next: AtomicUsize::new(0),
            given_up: AtomicBool::new(false),
        };
        let shared = Arc::new(shared);
        for (url, member, receiver) in starts {
            tokio::spawn(carry(url, member, receiver, Arc::clone(&shared)));
        }
        Ok(Self { shared })
    }

    /// Give a transaction to the next connection in turn.
    pub async fn hand_out(&self, index: u64) {
        self.shared.hand_out(Job { index, attempts: 0 }).await;
    }
}

impl Shared {
    /// To the next queue of a reachable member with a place; if there is none, wait, but not for ever.
    async fn hand_out(&self, job: Job) {
        let transaction = self.plan.transaction(job.index);
        let (id, due) = (transaction.id(), self.plan.due(job.index));
        let deadline = Instant::now() + NO_PLACE_MAX;
        while !self.given_up.load(Ordering::Relaxed) {
            for _ in 0..self.queues.len() {
                let at = self.next.fetch_add(1, Ordering::Relaxed) % self.queues.len();
                let queue = &self.queues[at];
                if self.tracker.reachable(queue.member)
                    && let Ok(place) = queue.jobs.try_reserve()
                {
                    self.tracker.sent(id, due, queue.member);
                    place.send(job);
                    return;
                }
            }
            if Instant::now() >= deadline {
                self.given_up.store(true, Ordering::Relaxed);
            }
            sleep(Duration::from_millis(1)).await;
        }
        self.tracker.sent(id, due, 0);
        self.tracker
            .rejected(id, "no member can be reached".to_owned());
    }

    /// After a failure.
    async fn again(&self, job: Job, pause: Duration) {
        let attempts = job.attempts + 1;
        if attempts >= ATTEMPTS_MAX {
            let id = self.plan.transaction(job.index).id();
            self.tracker.rejected(id, "no answer".to_owned());
            return;
        }
        sleep(pause).await;
        self.hand_out(Job { attempts, ..job }).await;
    }
}

/// One connection: take jobs, submit them without waiting for one before the next, connect again when it breaks.
async fn carry(url: String, member: usize, mut jobs: mpsc::Receiver<Job>, shared: Arc<Shared>) {
    let places = Arc::new(Semaphore::new(IN_FLIGHT_MAX));
    let mut session: Option<Arc<Session>> = None;
    while let Some(job) = jobs.recv().await {
        if session
            .as_ref()
            .is_none_or(|session| !session.is_connected())
        {
            session = Session::connect(&url).await.ok().map(Arc::new);
        }
        let Some(session) = &session else {
            shared.tracker.set_reachable(member, false);
            // Not here: the queue must go on to empty.
            let shared = Arc::clone(&shared);
            tokio::spawn(async move { shared.again(job, Duration::ZERO).await });
            continue;
        };
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let (session, shared) = (Arc::clone(session), Arc::clone(&shared));
        tokio::spawn(async move {
            submit(&session, member, job, &shared).await;
            drop(place);
        });
    }
}

async fn submit(session: &Session, member: usize, job: Job, shared: &Shared) {
    let transaction = shared.plan.transaction(job.index);
    match session.submit(transaction.rollup, &transaction.data).await {
        Ok(id) => shared.tracker.accepted(id),
        Err(error) => match judge(&error) {
            Verdict::Broken => {
                if !session.is_connected() {
                    shared.tracker.set_reachable(member, false);
                }
                shared.again(job, Duration::ZERO).await;
            }
            Verdict::Again => shared.again(job, PAUSE).await,
            Verdict::Rejected(reason) => shared.tracker.rejected(transaction.id(), reason),
        },
    }
}

fn judge(error: &ClientError) -> Verdict {
    match error {
        ClientError::Unreachable { .. } | ClientError::Timeout { .. } => Verdict::Broken,
        ClientError::Refused { code, .. } if *code == CODE_STOPPING || *code == CODE_NOT_HELD => {
            Verdict::Again
        }
        // An open-loop load does not try again what is refused for lack of space.
        ClientError::Refused { code, .. } if *code == CODE_FULL => {
            Verdict::Rejected("mempool full".to_owned())
        }
        ClientError::Refused { code, message, .. } => {
            Verdict::Rejected(format!("{code}: {message}"))
        }
        other => Verdict::Rejected(other.to_string()),
    }
}

/// Report the final blocks of a member, from the first one on, whatever happens to the connection.
async fn follow(mut follower: Follower, member: usize, tracker: Arc<Tracker>) {
    loop {
        match follower.next().await {
            Ok(block) => {
                tracker.set_reachable(member, true);
                tracker.soft(member, &block.transactions);
            }
            Err(_) => {
                if !follower.is_connected() {
                    tracker.set_reachable(member, false);
                }
                sleep(PAUSE).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: i32) -> ClientError {
        ClientError::Refused {
            code,
            message: "why".into(),
            data: None,
        }
    }

    #[test]
    fn failures_are_tried_again_only_where_it_helps() {
        let timeout = ClientError::Timeout {
            url: String::new(),
            method: "m",
        };
        assert_eq!(judge(&timeout), Verdict::Broken);
        assert_eq!(judge(&refused(CODE_STOPPING)), Verdict::Again);
        assert_eq!(judge(&refused(CODE_NOT_HELD)), Verdict::Again);
        assert_eq!(
            judge(&refused(CODE_FULL)),
            Verdict::Rejected("mempool full".into())
        );
        assert_eq!(
            judge(&refused(-32_054)),
            Verdict::Rejected("-32054: why".into())
        );
    }
}
