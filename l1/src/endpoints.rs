//! Several endpoints that check each other.
//!
//! Every question goes to all that are alive; what more than half of all that are configured answer is taken. Who answers something
//! else, late, not at all, or for another chain, changes its [`Standing`], and every change is an [`EndpointEvent`]. With one endpoint
//! nothing checks it, and that is an event too. Without a majority there is no answer: nobody is believed.

use crate::agreement::{Agreement, count, is_majority, reached};
use crate::endpoint::{Endpoint, EndpointError, EndpointLimits};
use crate::model::{BlockRef, BlockTag, Log, LogFilter, Receipt};
use crate::seats::Seats;
pub use crate::standing::{EndpointEvent, Standing};
use crate::told::{ToldHeads, told_heads, told_segment};
use crate::url::EndpointUrl;
use alloy_primitives::{Address, B256, Bytes, U256};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Most endpoints.
pub const ENDPOINTS_MAX: usize = 16;

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
    /// How long an endpoint that did not answer is left alone, while the others are a majority.
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
    /// Not enough of them answered.
    #[error(
        "{answered} of {configured} L1 endpoints answer about {about}, and more than half of all that are configured have to: {reasons}; mend them, or put others in their place"
    )]
    TooFew {
        /// What was asked.
        about: &'static str,
        /// So many answered.
        answered: usize,
        /// Of so many.
        configured: usize,
        /// Why the others did not.
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

/// What came of asking one endpoint.
enum Reply<T> {
    WrongChain(u64),
    /// It does not even say of which chain it is.
    NoChain(EndpointError),
    Answer(Result<T, EndpointError>),
}

/// Endpoints that check each other. Cheap to clone; clones share what is known of each endpoint.
#[derive(Clone, Debug)]
pub struct Endpoints {
    chain: u64,
    list: Arc<[Endpoint]>,
    limits: AgreementLimits,
    seats: Arc<Mutex<Seats>>,
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
        let mut parsed: Vec<EndpointUrl> = Vec::with_capacity(urls.len());
        for (place, url) in (1..).zip(urls) {
            let url = EndpointUrl::parse(url).map_err(|error| EndpointError::Url {
                which: format!("L1 endpoint {place}"),
                error,
            })?;
            if parsed.contains(&url) {
                return Err(AgreementError::Twice {
                    url: url.to_string(),
                });
            }
            parsed.push(url);
        }
        let shown: Vec<String> = parsed.iter().map(EndpointUrl::to_string).collect();
        let mut list = Vec::with_capacity(parsed.len());
        for (place, url) in parsed.into_iter().enumerate() {
            let same = shown.iter().filter(|other| **other == shown[place]).count();
            let url = if same > 1 { url.numbered(place) } else { url };
            list.push(Endpoint::at(url, limits.endpoint)?);
        }
        let urls = list.iter().map(|endpoint| endpoint.url().to_owned());
        let seats = Seats::new(urls, limits.retry, limits.pardon);
        Ok(Self {
            chain,
            list: list.into(),
            limits,
            seats: Arc::new(Mutex::new(seats)),
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
        self.seats().take_events()
    }

    /// How each endpoint is doing.
    #[must_use]
    pub fn standings(&self) -> Vec<(String, Standing)> {
        self.seats().standings()
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        // What it holds is whole after every statement.
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stands(&self, place: usize, standing: Standing) {
        self.seats().stands(place, standing, Instant::now());
    }

    /// Whether so many are more than half of the configured.
    #[must_use]
    pub fn is_majority(&self, count: usize) -> bool {
        is_majority(count, self.list.len())
    }

    /// Ask all that are alive. Who does not answer in order is marked.
    async fn ask<T, W>(
        &self,
        ask: impl Fn(Endpoint) -> W,
        decided: impl Fn(&Answers<T>) -> bool,
    ) -> Answers<T>
    where
        W: Future<Output = Result<T, EndpointError>>,
    {
        let places = self.seats().to_ask(Instant::now());
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
                            Err(error) => return (place, Reply::NoChain(error)),
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
                Reply::NoChain(error) if error.is_refusal() => {
                    self.stands(place, Standing::Dead { error });
                    continue;
                }
                Reply::NoChain(error) => Err(error),
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
            if until.is_none() && decided(&answers) {
                until = Some(Instant::now() + self.limits.grace);
            }
        }
        for place in waiting {
            self.stands(place, Standing::Slow);
        }
        answers
    }

    /// What more than half of the configured answer. A refusal is an answer; `None` is none, and no lie.
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
        let counted = |answers: &Answers<Option<T>>| {
            let said: Vec<Option<T>> = said(answers).into_iter().map(|(_, one)| one).collect();
            count(&said, self.list.len())
        };
        let decided =
            |answers: &Answers<Option<T>>| matches!(counted(answers), Agreement::Majority(_));
        let answers = self.ask(ask, decided).await;
        match counted(&answers) {
            Agreement::Majority(Some(answer)) => {
                for (place, other) in said(&answers) {
                    match other {
                        Some(other) if other == answer => {
                            self.seats().agrees(place, false, Instant::now());
                        }
                        Some(other) if is_lie(&other, &answer) => {
                            self.stands(place, Standing::Lying { about });
                        }
                        _ => {}
                    }
                }
                Ok(answer)
            }
            Agreement::Majority(None) => {
                let refused = answers.iter().find_map(|(_, answer)| {
                    let error = answer.as_ref().err();
                    error.filter(|error| error.is_refusal()).cloned()
                });
                let too_few = || self.too_few(about, &answers, has_it);
                Err(refused.map_or_else(too_few, AgreementError::Endpoint))
            }
            Agreement::TooFew => Err(self.too_few(about, &answers, has_it)),
            Agreement::Split => Err(self.split(about, &said(&answers))),
        }
    }

    fn too_few<T>(
        &self,
        about: &'static str,
        answers: &Answers<T>,
        counts: impl Fn(&Result<T, EndpointError>) -> bool,
    ) -> AgreementError {
        let standings = self.standings();
        let mut answered = 0;
        let mut reasons = Vec::new();
        for (place, (url, standing)) in standings.iter().enumerate() {
            let answer = answers.iter().find(|(one, _)| *one == place);
            match answer.map(|(_, answer)| answer) {
                Some(answer) if counts(answer) => answered += 1,
                Some(Err(error)) => reasons.push(error.to_string()),
                Some(Ok(_)) if !standing.is_fault() => {
                    reasons.push(format!("{url} does not have it yet"));
                }
                _ => reasons.push(format!("{url} {standing}")),
            }
        }
        AgreementError::TooFew {
            about,
            answered,
            configured: standings.len(),
            reasons: reasons.join("; "),
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

    /// The heads that more than half of the configured have reached. Marks those of other chains, behind, or on another chain of blocks
    /// below the lag.
    pub async fn heads(&self) -> Result<Heads, AgreementError> {
        let (about, expected) = ("the heads", self.chain);
        let counts = |told: &Result<ToldHeads, EndpointError>| {
            let told = told.as_ref();
            told.is_ok_and(|told| told.chain == expected && told.is_ordered())
        };
        let most = |answers: &Answers<ToldHeads>| {
            self.is_majority(answers.iter().filter(|(_, told)| counts(told)).count())
        };
        let answers = self.ask(told_heads, most).await;
        let mut live = Vec::new();
        for (place, answer) in &answers {
            match answer {
                Ok(told) if told.chain != expected => {
                    let found = told.chain;
                    self.stands(*place, Standing::WrongChain { expected, found });
                }
                Ok(told) if told.is_ordered() => live.push((*place, told)),
                Ok(_) => self.stands(*place, Standing::Lying { about }),
                // Whoever refuses this, for a wrong key or too many requests, is of no use.
                Err(error) if error.is_refusal() => {
                    let error = error.clone();
                    self.stands(*place, Standing::Dead { error });
                }
                Err(_) => {}
            }
        }
        let configured = self.list.len();
        let all = |pick: fn(&ToldHeads) -> u64| {
            let told = live.iter().map(|(_, told)| pick(told));
            reached(told.collect(), configured)
        };
        let Some(latest) = all(|told| told.latest) else {
            return Err(self.too_few(about, &answers, counts));
        };
        for (place, told) in &live {
            let blocks = latest.saturating_sub(told.latest);
            if blocks > self.limits.behind_blocks {
                self.stands(*place, Standing::Behind { blocks });
            } else {
                self.seats().agrees(*place, true, Instant::now());
            }
        }
        let safe = all(|told| told.safe).filter(|number| *number > 0);
        let finalized = all(|told| told.finalized).filter(|number| *number > 0);
        let check = latest.saturating_sub(self.limits.lag_blocks);
        let block = |number, is_lie| self.block_at(number, is_lie);
        let checked = block(check, true).await?;
        let newest = match block(latest, latest == check).await {
            Ok(newest) => newest,
            // A fork at the tip is no disagreement: what is below the lag is agreed on.
            Err(AgreementError::Split { .. } | AgreementError::TooFew { .. }) => checked,
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

    /// Answers that need not be the same, of more than half of the configured at least. A refusal is an answer.
    pub async fn each<T, W>(
        &self,
        about: &'static str,
        ask: impl Fn(Endpoint) -> W,
    ) -> Result<Vec<Result<T, EndpointError>>, AgreementError>
    where
        W: Future<Output = Result<T, EndpointError>>,
    {
        let answers = self.ask(ask, |all| self.most_answered(all)).await;
        if !self.most_answered(&answers) {
            return Err(self.too_few(about, &answers, is_answer));
        }
        Ok(answers.into_iter().map(|(_, answer)| answer).collect())
    }

    /// What all say that are alive, however few: for what no majority is needed.
    pub async fn whoever<T, W>(&self, ask: impl Fn(Endpoint) -> W) -> Vec<Result<T, EndpointError>>
    where
        W: Future<Output = Result<T, EndpointError>>,
    {
        let answers = self.ask(ask, |all| self.most_answered(all)).await;
        answers.into_iter().map(|(_, answer)| answer).collect()
    }

    fn most_answered<T>(&self, answers: &Answers<T>) -> bool {
        self.is_majority(answers.iter().filter(|(_, one)| is_answer(one)).count())
    }
}

fn has_it<T>(answer: &Result<Option<T>, EndpointError>) -> bool {
    answer
        .as_ref()
        .map_or_else(EndpointError::is_refusal, Option::is_some)
}

fn is_answer<T>(answer: &Result<T, EndpointError>) -> bool {
    answer
        .as_ref()
        .map_or_else(EndpointError::is_refusal, |_| true)
}
