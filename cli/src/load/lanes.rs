//! The connections: a bounded queue each with requests side by side, and a follower per member.

use super::plan::Plan;
use super::tracker::Tracker;
use crate::failure::Failure;
use outrider_client::{
    CODE_FULL, CODE_NOT_HELD, CODE_STOPPING, Client, ClientError, Follower, Refusal, Session,
};
use outrider_types::{Bytes, RollupId, TransactionId};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep};

/// Transactions that wait for one connection; past that they go to another one, and if all are full the schedule waits
/// (which counts as latency).
const QUEUE_MAX: usize = 8_192;
/// Requests of one transaction that wait for an answer on one connection.
const IN_FLIGHT_MAX: usize = 1_024;
/// Larger requests that wait for an answer; HTTP takes a connection for each, and a member has 512 in all.
const IN_FLIGHT_MANY_MAX: usize = 64;
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

/// A request: transactions of one rollup.
#[derive(Debug)]
struct Job {
    rollup: RollupId,
    transactions: Vec<Numbered>,
    attempts: u32,
}

#[derive(Debug)]
struct Numbered {
    index: u64,
    id: TransactionId,
    data: Bytes,
}

/// A way to a member.
#[derive(Clone, Debug)]
enum Link {
    /// Requests of one transaction, pipelined.
    Single(Arc<Session>),
    /// Requests of more.
    Many(Box<Client>),
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
        let per_request = usize::try_from(plan.per_request).unwrap_or(QUEUE_MAX);
        for (member, url) in urls.iter().enumerate() {
            if member == 0 || !tracker.follows_one() {
                let mut follower = Follower::new(url, None);
                if let Err(why) = follower.connect().await {
                    tracker.set_reachable(member, false);
                    error = Some(why);
                }
                tokio::spawn(follow(follower, member, Arc::clone(tracker)));
            }
            for _ in 0..clients {
                let (jobs, receiver) = mpsc::channel(QUEUE_MAX.div_ceil(per_request));
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

    /// Give the transactions of one request to the next connection in turn.
    pub async fn hand_out(&self, indexes: Range<u64>) {
        assert!(!indexes.is_empty(), "a request holds a transaction");
        let mut rollup = RollupId(0);
        let mut transactions = Vec::with_capacity(indexes.clone().count());
        for index in indexes {
            let transaction = self.shared.plan.transaction(index);
            assert!(
                transactions.is_empty() || rollup == transaction.rollup,
                "a request is of one rollup"
            );
            rollup = transaction.rollup;
            let id = transaction.id();
            let data = transaction.data;
            transactions.push(Numbered { index, id, data });
        }
        let job = Job {
            rollup,
            transactions,
            attempts: 0,
        };
        self.shared.hand_out(job).await;
    }
}

impl Shared {
    /// To the next queue of a reachable member with a place; if there is none, wait, but not for ever.
    async fn hand_out(&self, job: Job) {
        let deadline = Instant::now() + NO_PLACE_MAX;
        while !self.given_up.load(Ordering::Relaxed) {
            for _ in 0..self.queues.len() {
                let at = self.next.fetch_add(1, Ordering::Relaxed) % self.queues.len();
                let queue = &self.queues[at];
                if self.tracker.reachable(queue.member)
                    && let Ok(place) = queue.jobs.try_reserve()
                {
                    self.leaves(&job, queue.member);
                    place.send(job);
                    return;
                }
            }
            if Instant::now() >= deadline {
                self.given_up.store(true, Ordering::Relaxed);
            }
            sleep(Duration::from_millis(1)).await;
        }
        self.leaves(&job, 0);
        self.rejected(&job, "no member can be reached");
    }

    fn leaves(&self, job: &Job, member: usize) {
        let due = |numbered: &Numbered| (numbered.id, self.plan.due(numbered.index));
        self.tracker.sent(member, job.transactions.iter().map(due));
    }

    fn rejected(&self, job: &Job, reason: &str) {
        for numbered in &job.transactions {
            self.tracker.rejected(numbered.id, reason.to_owned());
        }
    }

    /// After a failure.
    async fn again(&self, mut job: Job, pause: Duration) {
        job.attempts += 1;
        if job.attempts >= ATTEMPTS_MAX {
            self.rejected(&job, "no answer");
            return;
        }
        sleep(pause).await;
        self.hand_out(job).await;
    }
}

/// One connection: take jobs, submit them without waiting for one before the next, connect again when it breaks.
async fn carry(url: String, member: usize, mut jobs: mpsc::Receiver<Job>, shared: Arc<Shared>) {
    let single = shared.plan.per_request == 1;
    let limit = if single {
        IN_FLIGHT_MAX
    } else {
        IN_FLIGHT_MANY_MAX
    };
    let places = Arc::new(Semaphore::new(limit));
    let mut link: Option<Link> = None;
    while let Some(job) = jobs.recv().await {
        if link.as_ref().is_none_or(|link| !link.is_connected()) {
            link = Link::new(&url, single).await;
        }
        let Some(link) = &link else {
            shared.tracker.set_reachable(member, false);
            // Not here: the queue must go on to empty.
            let shared = Arc::clone(&shared);
            tokio::spawn(async move { shared.again(job, Duration::ZERO).await });
            continue;
        };
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let (link, shared) = (link.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            submit(&link, member, job, &shared).await;
            drop(place);
        });
    }
}

impl Link {
    async fn new(url: &str, single: bool) -> Option<Self> {
        if single {
            let session = Session::connect(url).await.ok()?;
            return Some(Self::Single(Arc::new(session)));
        }
        let client = Client::new(url).ok()?;
        Some(Self::Many(Box::new(client)))
    }

    /// HTTP connects by itself.
    fn is_connected(&self) -> bool {
        match self {
            Self::Single(session) => session.is_connected(),
            Self::Many(_) => true,
        }
    }

    /// Those that were not taken, or why nothing is known of any.
    async fn submit(&self, job: &Job) -> Result<Vec<Refusal>, ClientError> {
        let data = job.transactions.iter().map(|one| &one.data);
        match self {
            Self::Single(session) => {
                assert!(data.len() == 1, "so requests are here");
                for one in data {
                    session.submit(job.rollup, one).await?;
                }
                Ok(Vec::new())
            }
            Self::Many(client) => {
                let data: Vec<Bytes> = data.cloned().collect();
                client.submit_many(job.rollup, &data).await
            }
        }
    }
}

async fn submit(link: &Link, member: usize, mut job: Job, shared: &Shared) {
    let refused = match link.submit(&job).await {
        Ok(refused) => refused,
        Err(error) => match judge(&error) {
            Verdict::Broken => {
                let gone = matches!(error, ClientError::Unreachable { .. });
                if !link.is_connected() || (gone && matches!(link, Link::Many(_))) {
                    shared.tracker.set_reachable(member, false);
                }
                return shared.again(job, Duration::ZERO).await;
            }
            Verdict::Again => return shared.again(job, PAUSE).await,
            Verdict::Rejected(reason) => return shared.rejected(&job, &reason),
        },
    };
    let mut refused = refused.into_iter().peekable();
    let (mut taken, mut again) = (Vec::new(), Vec::new());
    for (index, one) in job.transactions.drain(..).enumerate() {
        match refused.next_if(|refusal| refusal.index == index) {
            None => taken.push(one.id),
            Some(refusal) => match judge(&refusal.error) {
                Verdict::Rejected(reason) => shared.tracker.rejected(one.id, reason),
                Verdict::Broken | Verdict::Again => again.push(one),
            },
        }
    }
    shared.tracker.accepted(taken);
    if !again.is_empty() {
        job.transactions = again;
        shared.again(job, PAUSE).await;
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
