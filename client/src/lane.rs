//! Following one lane over a WebSocket, without gaps, from a cursor.

use crate::error::{CODE_PRUNED, ClientError};
use crate::follow::{connect, websocket_url};
use jsonrpsee::core::client::{Subscription, SubscriptionClientT as _};
use jsonrpsee::core::params::ArrayParams;
use jsonrpsee::ws_client::WsClient;
use outrider_types::{
    Block, Bytes, Height, LaneBlock, LaneHash, LaneHeight, RollupId, Transaction,
};
use serde::Deserialize;
use serde_json::json;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A member says something each second; one that says nothing for so long is taken for gone.
const SILENCE: Duration = Duration::from_secs(10);
const METHOD: &str = "outrider_subscribe";

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneFrom {
    /// After the last lane block there is.
    Head,
    /// At this lane height, from 1 on.
    Height(LaneHeight),
    /// After this lane block: what [`LaneFollower::from`] said.
    After(LaneHeight, LaneHash),
}

/// As members write it: `head`, a lane height, or the cursor `height-hash` of a lane block.
impl fmt::Display for LaneFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head => f.write_str("head"),
            Self::Height(height) => height.fmt(f),
            Self::After(height, hash) => write!(f, "{height}-{hash}"),
        }
    }
}

/// Not a place to begin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no place in a lane: it is head, a lane height from 1 on, or a cursor HEIGHT-HASH"
)]
pub struct NoPlace(String);

impl FromStr for LaneFrom {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        if text == "head" {
            return Ok(Self::Head);
        }
        let no_place = || NoPlace(text.to_owned());
        let (height, hash) = text
            .split_once('-')
            .map_or((text, None), |(height, hash)| (height, Some(hash)));
        let height = height.parse().map(LaneHeight).map_err(|_| no_place())?;
        match hash {
            Some(hash) => hash
                .parse()
                .map(|hash| Self::After(height, hash))
                .map_err(|_| no_place()),
            None if height.0 > 0 => Ok(Self::Height(height)),
            None => Err(no_place()),
        }
    }
}

/// A lane block with its transactions. Its hash and its transactions are those that the next one's parent commits to; that
/// it is final is the word of the member until a proof says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneData {
    /// The lane block.
    pub lane: LaneBlock,
    /// The header of the block that has it.
    pub header: Block,
    /// The transactions, in order.
    pub transactions: Vec<Bytes>,
}

/// Where a lane is, as the member said last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LaneLag {
    /// Height of the last final block.
    pub head: Height,
    /// The last lane height.
    pub tip: LaneHeight,
    /// Lane blocks that are there and did not come yet.
    pub lag: u64,
}

/// Follows a lane at one member: every lane block from the first one on, in order, each once.
///
/// Each is checked against the one before: height, parent, and that it is of its transactions. When the connection
/// breaks, or the member says that this reader lags, [`next`](Self::next) returns the error once; calling it again connects
/// again and goes on where it was. The caller decides how long to pause and when to change the member with
/// [`move_to`](Self::move_to).
#[derive(Debug)]
pub struct LaneFollower {
    url: String,
    rollup: RollupId,
    from: LaneFrom,
    connection: Option<Connection>,
    lag: LaneLag,
}

#[derive(Debug)]
struct Connection {
    _client: WsClient,
    events: Subscription<Event>,
}

#[derive(Debug, Deserialize)]
struct Event {
    event: String,
    #[serde(flatten)]
    rest: serde_json::Value,
}

/// A lane block as members give it out.
#[derive(Debug, Deserialize)]
pub(crate) struct Streamed {
    lane: LaneBlock,
    header: Block,
    transactions: Vec<String>,
}

impl Streamed {
    /// Of a rollup, and of its transactions.
    pub(crate) fn read(self, rollup: RollupId) -> Result<LaneData, String> {
        let Self {
            lane,
            header,
            transactions,
        } = self;
        if lane.rollup != rollup {
            return Err(format!("lane block {} is of another rollup", lane.height));
        }
        let data: Result<Vec<Bytes>, _> = transactions
            .iter()
            .map(|text| const_hex::decode(text).map(Bytes::from))
            .collect();
        let transactions = data.map_err(|error| error.to_string())?;
        let id = |data: &Bytes| {
            let data = data.clone();
            Transaction { rollup, data }.id()
        };
        let ids: Vec<_> = transactions.iter().map(id).collect();
        if !lane.is_of(&ids) {
            return Err(format!(
                "lane block {} is not of its transactions",
                lane.height
            ));
        }
        Ok(LaneData {
            lane,
            header,
            transactions,
        })
    }
}

#[derive(Debug, Deserialize)]
struct Heartbeat {
    head: Height,
    tip: LaneHeight,
    lag: u64,
}

impl LaneFollower {
    /// Follow a rollup's lane at the member at `ws://host:port` (or `http://`).
    #[must_use]
    pub fn new(url: &str, rollup: RollupId, from: LaneFrom) -> Self {
        Self {
            url: websocket_url(url),
            rollup,
            from,
            connection: None,
            lag: LaneLag::default(),
        }
    }

    /// Go on at another member, where this one was.
    pub fn move_to(&mut self, url: &str) {
        self.url = websocket_url(url);
        self.connection = None;
    }

    /// Where it goes on: keep it, and begin there after a restart.
    #[must_use]
    pub const fn from(&self) -> LaneFrom {
        self.from
    }

    /// Where the lane is, as the last heartbeat said.
    #[must_use]
    pub const fn lag(&self) -> LaneLag {
        self.lag
    }

    /// Connect and subscribe, unless that is done.
    pub async fn connect(&mut self) -> Result<(), ClientError> {
        if self.connection.is_some() {
            return Ok(());
        }
        let from = match self.from {
            LaneFrom::Height(height) => json!(height),
            other => json!(other.to_string()),
        };
        let topic = json!({ "rollup": self.rollup, "from": from, "stage": "soft" });
        let mut params = ArrayParams::new();
        for value in [json!("lane"), topic] {
            params
                .insert(value)
                .map_err(|error| self.unreadable(&error.to_string()))?;
        }
        let client = connect(&self.url).await?;
        let events = client
            .subscribe(METHOD, params, "outrider_unsubscribe")
            .await
            .map_err(|error| ClientError::of_call(&self.url, METHOD, error))?;
        self.connection = Some(Connection {
            _client: client,
            events,
        });
        Ok(())
    }

    /// The next lane block. Safe to cancel: none is lost.
    pub async fn next(&mut self) -> Result<LaneData, ClientError> {
        loop {
            self.connect().await?;
            let result = self.step().await;
            if result.is_err() {
                self.connection = None;
            }
            if let Some(found) = result? {
                self.from = LaneFrom::After(found.lane.height, found.lane.hash());
                return Ok(found);
            }
        }
    }

    async fn step(&mut self) -> Result<Option<LaneData>, ClientError> {
        let Some(connection) = &mut self.connection else {
            return Ok(None);
        };
        let event = tokio::time::timeout(SILENCE, connection.events.next()).await;
        let event = match event {
            Ok(Some(Ok(event))) => event,
            Ok(Some(Err(error))) => return Err(self.unreadable(&error.to_string())),
            Ok(None) => return Err(self.broken("the subscription ended")),
            Err(_) => return Err(self.broken("it says nothing")),
        };
        let Event { event, rest } = event;
        match event.as_str() {
            "lane" => {
                let streamed = serde_json::from_value(rest);
                let streamed = streamed.map_err(|error| self.unreadable(&error.to_string()))?;
                self.checked(streamed).map(Some)
            }
            "heartbeat" => {
                let beat = serde_json::from_value(rest);
                let Heartbeat { head, tip, lag } =
                    beat.map_err(|error| self.unreadable(&error.to_string()))?;
                self.lag = LaneLag { head, tip, lag };
                if self.from == LaneFrom::Head {
                    // From here on nothing may be missed, also if the connection breaks before anything came.
                    let read = tip.0.saturating_sub(lag);
                    self.from = LaneFrom::Height(LaneHeight(read).next());
                }
                Ok(None)
            }
            "lagged" => Err(self.broken("this reader was too slow")),
            "pruned" => Err(ClientError::Refused {
                code: CODE_PRUNED,
                message: format!(
                    "the next lane block of rollup {} was forgotten there",
                    self.rollup
                ),
                data: Some(rest.to_string()),
            }),
            "foreign" => Err(self.unreadable("it has another lane than what was read before")),
            other => Err(self.unreadable(&format!("there is no event {other:?}"))),
        }
    }

    /// A lane block that continues what was read before.
    fn checked(&self, streamed: Streamed) -> Result<LaneData, ClientError> {
        let lane = streamed.lane;
        let continues = match self.from {
            LaneFrom::Head => true,
            LaneFrom::Height(height) => lane.height == height,
            LaneFrom::After(height, hash) => lane.height == height.next() && lane.parent == hash,
        };
        if !continues {
            let what = format!(
                "lane block {} does not continue {:?}",
                lane.height, self.from
            );
            return Err(self.unreadable(&what));
        }
        let read = streamed.read(self.rollup);
        read.map_err(|reason| self.unreadable(&reason))
    }

    fn unreadable(&self, reason: &str) -> ClientError {
        ClientError::Answer {
            url: self.url.clone(),
            method: METHOD,
            reason: reason.to_owned(),
        }
    }

    fn broken(&self, reason: &str) -> ClientError {
        ClientError::Unreachable {
            url: self.url.clone(),
            reason: reason.to_owned(),
        }
    }
}
