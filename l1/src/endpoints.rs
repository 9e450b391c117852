//! Several endpoints that check each other.
//!
//! Every question goes to all that are alive; what more than half of them answer is taken. Who answers something else, late,
//! not at all, or for another chain, changes its [`Standing`], and every change is an [`EndpointEvent`]. With one endpoint nothing
//! checks it, and that is an event too. Without a majority there is no answer: nobody is believed.

use crate::agreement::{Agreement, count, is_decided, reached};
use crate::endpoint::{Endpoint, EndpointError, EndpointLimits};
use crate::model::{BlockRef, BlockTag, Log, LogFilter, Receipt};
pub use crate::standing::{EndpointEvent, Standing};
use crate::told::{ToldHeads, told_heads, told_segment};
use alloy_primitives::{Address, B256, Bytes, U256};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Most endpoints.
pub const ENDPOINTS_MAX: usize = 16;
/// Events that wait to be taken; then the oldest are dropped.
const EVENTS_MAX: usize = 256;

/// How endpoints are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgreementLimits {
    /// Of one request.
    pub endpoint: EndpointLimits,
    /// Blocks below the head from which on another hash is a lie and not a fork.
    pub lag_blocks: u64,
    /// An endpoint that is further behind is said to be so.
    pub behind_blocks: u64,
    /// How long the others are waited for once more than half agree.
    pub grace: Duration,
    /// How long an endpoint that did not answer is left alone.
    pub retry: Duration,
    /// How long one that lied is called a liar.
    pub pardon: Duration,
}

impl Default for AgreementLimits {
    fn default() -> Self {
        Self {
            endpoint: EndpointLimits::default(),
            lag_blocks: 8,
            behind_blocks: 8,
            grace: Duration::from_secs(1),
            retry: Duration::from_secs(10),
            pardon: Duration::from_secs(600),
        }
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AgreementError {
    /// No endpoint, or too many.
    #[error("{count} L1 endpoints; name 1 to {ENDPOINTS_MAX}, best three of different operators")]
    Count {
        /// How many.
        count: usize,
    },
    /// One that cannot be used.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The same twice.
    #[error("the L1 endpoint {url} is there twice: it cannot check itself")]
    Twice {
        /// Which.
        url: String,
    },
    /// Nobody answered.
    #[error("no L1 endpoint answers about {about}: {reasons}")]
    Silence {
        /// What was asked.
        about: &'static str,
        /// Each one's reason.
        reasons: String,
    },
    /// They say different things.
    #[error(
        "the L1 endpoints say different things of {about}, and none has a majority: {answers}; nothing is believed until most agree"
    )]
    Split {
        /// What was asked.
        about: &'static str,
        /// Who answered.
        answers: String,
    },
}

/// Heads that more than half have reached and agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    /// The newest block.
    pub latest: BlockRef,
    /// The newest safe one, if there is one.
    pub safe: Option<BlockRef>,
    /// The newest final one, if there is one.
    pub finalized: Option<BlockRef>,
}

/// Blocks in a row with what happened in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// All blocks if they were asked for, or else the last one.
    pub blocks: Vec<BlockRef>,
    /// Logs in order.
    pub logs: Vec<Log>,
}

#[derive(Debug)]
struct Seat {
    standing: Standing,
    retry_at: Option<Instant>,
    lied_at: Option<Instant>,
}

/// What came of asking one endpoint.
enum Reply<T> {
    WrongChain(u64),
    Answer(Result<T, EndpointError>),
}

#[derive(Debug, Default)]
struct Shared {
    seats: Vec<Seat>,
    events: VecDeque<EndpointEvent>,
}

/// Endpoints that check each other. Cheap to clone; clones share what is known of each endpoint.
#[derive(Clone, Debug)]
pub struct Endpoints {
    chain: u64,
    list: Arc<[Endpoint]>,
    limits: AgreementLimits,
    shared: Arc<Mutex<Shared>>,
}

type Answers<T> = Vec<(usize, Result<T, EndpointError>)>;

impl Endpoints {
    /// Of the L1 chain with this id.
    pub fn new(
        urls: &[String],
        chain: u64,
        limits: AgreementLimits,
    ) -> Result<Self, AgreementError> {
        if urls.is_empty() || urls.len() > ENDPOINTS_MAX {
            return Err(AgreementError::Count { count: urls.len() });
        }
        let mut seen = BTreeSet::new();
        let mut list = Vec::with_capacity(urls.len());
        for url in urls {
            let endpoint = Endpoint::new(url, limits.endpoint)?;
            if !seen.insert(endpoint.url().to_owned()) {
                return Err(AgreementError::Twice { url: url.clone() });
            }
            list.push(endpoint);
        }
        let seat = || Seat {
            standing: Standing::Unknown,
            retry_at: None,
            lied_at: None,
        };
        let seats = list.iter().map(|_| seat()).collect();
        Ok(Self {
            chain,
            list: list.into(),
            limits,
            shared: Arc::new(Mutex::new(Shared {
                seats,
                events: VecDeque::new(),
            })),
        })
    }

    /// The chain id that every endpoint must have.
    #[must_use]
    pub const fn chain(&self) -> u64 {
        self.chain
    }

    /// All endpoints.
    #[must_use]
    pub fn list(&self) -> &[Endpoint] {
        &self.list
    }

    /// What changed since this was last called, oldest first.
    pub fn take_events(&self) -> Vec<EndpointEvent> {
        self.shared().events.drain(..).collect()
    }

    /// How each endpoint is doing.
    #[must_use]
    pub fn standings(&self) -> Vec<(String, Standing)> {
        let shared = self.shared();
        let urls = self.list.iter().map(|endpoint| endpoint.url().to_owned());
        urls.zip(shared.seats.iter().map(|seat| seat.standing.clone()))
            .collect()
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        // What it holds is whole after every statement.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stands(&self, place: usize, standing: Standing) {
        let standing = match standing {
            Standing::Good if self.list.len() == 1 => Standing::Alone,
            standing => standing,
        };
        let mut shared = self.shared();
        let retry_at = (!standing.is_alive()).then(|| Instant::now() + self.limits.retry);
        let Some(seat) = shared.seats.get_mut(place) else {
            return;
        };
        seat.retry_at = retry_at;
        if matches!(standing, Standing::Lying { .. }) {
            seat.lied_at = Some(Instant::now());
        }
        let same = match (&seat.standing, &standing) {
            // The reason may change from time to time, and how far it is behind; that is no news.
            (Standing::Dead { .. }, Standing::Dead { .. })
            | (Standing::Behind { .. }, Standing::Behind { .. })
            | (Standing::Lying { .. }, Standing::Lying { .. }) => true,
            (old, new) => old == new,
        };
        seat.standing = standing.clone();
        if same {
            return;
        }
        if shared.events.len() == EVENTS_MAX {
            shared.events.pop_front();
        }
        let url = self.list[place].url().to_owned();
        shared.events.push_back(EndpointEvent { url, standing });
    }

    /// It answered as most do. Only agreement about the heads ends `Behind` and, after the pardon, `Lying`.
    fn agrees(&self, place: usize, about_heads: bool) {
        let is_good = match self.shared().seats.get(place) {
            None => false,
            Some(seat) => match seat.standing {
                Standing::Behind { .. } => about_heads,
                Standing::Lying { .. } => {
                    about_heads
                        && seat
                            .lied_at
                            .is_none_or(|at| at.elapsed() >= self.limits.pardon)
                }
                _ => true,
            },
        };
        if is_good {
            self.stands(place, Standing::Good);
        }
    }

    /// Whom to ask now, and whether its chain id has to be asked for first.
    fn to_ask(&self) -> Vec<(usize, bool)> {
        let now = Instant::now();
        let shared = self.shared();
        let seats = || shared.seats.iter().enumerate();
        let fresh = |seat: &Seat| seat.standing == Standing::Unknown || !seat.standing.is_alive();
        let due: Vec<(usize, bool)> = seats()
            .filter(|(_, seat)| seat.retry_at.is_none_or(|at| at <= now))
            .map(|(place, seat)| (place, fresh(seat)))
            .collect();
        if due.is_empty() {
            return seats().map(|(place, seat)| (place, fresh(seat))).collect();
        }
        due
    }

    /// Ask all that are alive. Who does not answer in order is marked.
    async fn ask<T, W>(
        &self,
        about: &'static str,
        ask: impl Fn(Endpoint) -> W,
        decided: impl Fn(&Answers<T>, usize) -> bool,
    ) -> Result<Answers<T>, AgreementError>
    where
        W: Future<Output = Result<T, EndpointError>>,
    {
        let places = self.to_ask();
        let asked = places.len();
        let mut waiting: BTreeSet<usize> = places.iter().map(|(place, _)| *place).collect();
        let mut works: FuturesUnordered<_> = places
            .into_iter()
            .map(|(place, fresh)| {
                let endpoint = self.list[place].clone();
                let work = ask(endpoint.clone());
                async move {
                    if fresh {
                        match endpoint.chain_id().await {
                            Err(error) => return (place, Reply::Answer(Err(error))),
                            Ok(found) if found != self.chain => {
                                return (place, Reply::WrongChain(found));
                            }
                            Ok(_) => {}
                        }
                    }
                    (place, Reply::Answer(work.await))
                }
            })
            .collect();
        let mut answers: Answers<T> = Vec::with_capacity(asked);
        let mut until: Option<Instant> = None;
        loop {
            let next = match until {
                None => works.next().await,
                Some(until) => timeout_at(until, works.next()).await.unwrap_or_default(),
            };
            let Some((place, reply)) = next else {
                break;
            };
            waiting.remove(&place);
            let answer = match reply {
                Reply::Answer(answer) => answer,
                Reply::WrongChain(found) => {
                    let expected = self.chain;
                    self.stands(place, Standing::WrongChain { expected, found });
                    continue;
                }
            };
            match &answer {
                Err(EndpointError::Timeout { .. }) => self.stands(place, Standing::Slow),
                Err(error) if !error.is_refusal() => {
                    let error = error.clone();
                    self.stands(place, Standing::Dead { error });
                }
                _ => {}
            }
            answers.push((place, answer));
            if until.is_none() && decided(&answers, self.list.len()) {
                until = Some(Instant::now() + self.limits.grace);
            }
        }
        for place in waiting {
            self.stands(place, Standing::Slow);
        }
        if answers.iter().any(|(_, answer)| is_answer(answer)) {
            return Ok(answers);
        }
        let reasons = answers
            .iter()
            .filter_map(|(_, answer)| answer.as_ref().err());
        let mut reasons: Vec<String> = reasons.map(ToString::to_string).collect();
        if reasons.is_empty() {
            let standings = self.standings().into_iter();
            reasons.extend(standings.map(|(url, standing)| format!("{url} {standing}")));
        }
        Err(AgreementError::Silence {
            about,
            reasons: reasons.join("; "),
        })
    }

    /// What more than half answer. A refusal is an answer; `None` is none, and no lie.
    async fn agree<T, W>(
        &self,
        about: &'static str,
        ask: impl Fn(Endpoint) -> W,
        is_lie: impl Fn(&T, &T) -> bool,
    ) -> Result<T, AgreementError>
    where
        T: PartialEq + Clone,
        W: Future<Output = Result<Option<T>, EndpointError>>,
    {
        let said = |answers: &Answers<Option<T>>| -> Vec<(usize, Option<T>)> {
            let answers = answers.iter();
            answers
                .filter_map(|(place, answer)| match answer {
                    Ok(Some(answer)) => Some((*place, Some(answer.clone()))),
                    Err(error) if error.is_refusal() => Some((*place, None)),
                    _ => None,
                })
                .collect()
        };
        let decided = |answers: &Answers<Option<T>>, asked: usize| {
            let said: Vec<Option<T>> = said(answers).into_iter().map(|(_, one)| one).collect();
            is_decided(&said, asked)
        };
        let answers = self.ask(about, ask, decided).await?;
        let said = said(&answers);
        match count(&said) {
            Agreement::Majority {
                answer: Some(answer),
                ..
            } => {
                for (place, other) in &said {
                    match other {
                        Some(other) if *other == answer => self.agrees(*place, false),
                        Some(other) if is_lie(other, &answer) => {
                            self.stands(*place, Standing::Lying { about });
                        }
                        _ => {}
                    }
                }
                Ok(answer)
            }
            Agreement::Majority { answer: None, .. } => {
                let refusal = answers
                    .into_iter()
                    .find_map(|(_, answer)| answer.err().filter(EndpointError::is_refusal));
                Err(refusal.map_or_else(|| self.silence(about), AgreementError::Endpoint))
            }
            Agreement::Silence => Err(self.silence(about)),
            Agreement::Split => Err(self.split(about, &said)),
        }
    }

    fn silence(&self, about: &'static str) -> AgreementError {
        AgreementError::Silence {
            about,
            reasons: "none has it yet".to_owned(),
        }
    }

    fn split<T: PartialEq>(&self, about: &'static str, said: &[(usize, T)]) -> AgreementError {
        let group = |answer: &T| said.iter().position(|(_, other)| other == answer);
        let answers = said.iter().map(|(place, answer)| {
            let group = group(answer).map_or(0, |group| group + 1);
            format!("{} says answer {group}", self.list[*place].url())
        });
        AgreementError::Split {
            about,
            answers: answers.collect::<Vec<_>>().join(", "),
        }
    }

    /// The heads that more than half have reached. Marks those of other chains, behind, or on another chain of blocks below the lag.
    pub async fn heads(&self) -> Result<Heads, AgreementError> {
        let expected = self.chain;
        let told = self.ask("the heads", told_heads, most_answered).await?;
        let mut live = Vec::new();
        for (place, answer) in told {
            match answer {
                Ok(told) if told.chain != expected => {
                    let found = told.chain;
                    self.stands(place, Standing::WrongChain { expected, found });
                }
                Ok(told) if told.is_ordered() => live.push((place, told)),
                Ok(_) => self.stands(place, Standing::Lying { about: "the heads" }),
                Err(_) => {}
            }
        }
        let all = |pick: fn(&ToldHeads) -> u64| live.iter().map(|(_, told)| pick(told)).collect();
        let Some(latest) = reached(all(|told| told.latest)) else {
            return Err(self.silence("the heads"));
        };
        for (place, told) in &live {
            let blocks = latest.saturating_sub(told.latest);
            if blocks > self.limits.behind_blocks {
                self.stands(*place, Standing::Behind { blocks });
            } else {
                self.agrees(*place, true);
            }
        }
        let safe = reached(all(|told| told.safe)).filter(|number| *number > 0);
        let finalized = reached(all(|told| told.finalized)).filter(|number| *number > 0);
        let check = latest.saturating_sub(self.limits.lag_blocks);
        let block = |number, is_lie| self.block_at(number, is_lie);
        let checked = block(check, true).await?;
        let newest = match block(latest, latest == check).await {
            Ok(newest) => newest,
            // A fork at the tip is no disagreement: what is below the lag is agreed on.
            Err(AgreementError::Split { .. } | AgreementError::Silence { .. }) => checked,
            Err(error) => return Err(error),
        };
        let mut marks = [None, None];
        for (mark, number) in marks.iter_mut().zip([safe, finalized]) {
            if let Some(number) = number.filter(|number| *number <= newest.number) {
                *mark = Some(block(number, number <= check).await?);
            }
        }
        let [safe, finalized] = marks;
        Ok(Heads {
            latest: newest,
            safe,
            finalized,
        })
    }

    /// The block of this number. With `is_lie`, who says another one is lying.
    pub async fn block_at(&self, number: u64, is_lie: bool) -> Result<BlockRef, AgreementError> {
        let ask =
            |endpoint: Endpoint| async move { endpoint.block(BlockTag::Number(number)).await };
        self.agree("a block's hash", ask, |_, _| is_lie).await
    }

    /// Blocks in a row, all of them or only the last one, and the logs in them.
    pub async fn segment(&self, filter: &LogFilter, all: bool) -> Result<Segment, AgreementError> {
        let ask = |endpoint: Endpoint| {
            let filter = filter.clone();
            async move { told_segment(&endpoint, &filter, all).await }
        };
        // About the same last block there cannot be two truths; about forks there can.
        let is_lie = |one: &Segment, other: &Segment| one.blocks.last() == other.blocks.last();
        self.agree("logs", ask, is_lie).await
    }

    /// What a call of a contract returns after this block.
    pub async fn read(&self, to: Address, data: &Bytes, at: u64) -> Result<Bytes, AgreementError> {
        let ask = |endpoint: Endpoint| {
            let data = data.clone();
            async move {
                let answer = endpoint.read(to, &data, BlockTag::Number(at)).await;
                answer.map(Some)
            }
        };
        self.agree("the state of a contract", ask, |_, _| true)
            .await
    }

    /// Transactions that an account has sent, up to this block.
    pub async fn nonce(&self, account: Address, at: u64) -> Result<u64, AgreementError> {
        let ask = |endpoint: Endpoint| async move {
            let nonce = endpoint.nonce(account, BlockTag::Number(at)).await;
            nonce.map(Some)
        };
        self.agree("a nonce", ask, |_, _| true).await
    }

    /// What became of a transaction, once more than half say the same of it.
    pub async fn receipt(&self, transaction: B256) -> Result<Option<Receipt>, AgreementError> {
        let ask = |endpoint: Endpoint| async move { endpoint.receipt(transaction).await.map(Some) };
        // They see it one after the other.
        match self.agree("a receipt", ask, |_, _| false).await {
            Err(AgreementError::Split { .. }) => Ok(None),
            other => other,
        }
    }

    /// The code at an address.
    pub async fn code(&self, address: Address) -> Result<Bytes, AgreementError> {
        let ask = |endpoint: Endpoint| async move { endpoint.code(address).await.map(Some) };
        self.agree("a contract's code", ask, |_, _| false).await
    }

    /// What an account has, in wei.
    pub async fn balance(&self, account: Address) -> Result<U256, AgreementError> {
        let ask = |endpoint: Endpoint| async move { endpoint.balance(account).await.map(Some) };
        self.agree("a balance", ask, |_, _| false).await
    }

    /// All answers of those that are alive, at least one.
    pub async fn each<T, W>(
        &self,
        about: &'static str,
        ask: impl Fn(Endpoint) -> W,
    ) -> Result<Vec<Result<T, EndpointError>>, AgreementError>
    where
        W: Future<Output = Result<T, EndpointError>>,
    {
        let answers = self.ask(about, ask, most_answered).await?;
        Ok(answers.into_iter().map(|(_, answer)| answer).collect())
    }
}

fn most_answered<T>(answers: &Answers<T>, asked: usize) -> bool {
    2 * answers.iter().filter(|(_, one)| is_answer(one)).count() > asked
}

fn is_answer<T>(answer: &Result<T, EndpointError>) -> bool {
    answer
        .as_ref()
        .map_or_else(EndpointError::is_refusal, |_| true)
}
