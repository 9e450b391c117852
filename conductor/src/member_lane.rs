//! A lane read from members: their final blocks one by one, filtered for one rollup.
//!
//! With a committee to trust, each block comes with a proof that it is final, and of what it holds for the rollup: that is nothing, or
//! a lane block with exactly these transactions. Then no member's word counts, and one whose proofs do not hold is left for the
//! next. Without one it believes the member that a block is final; ids of headers and transactions are computed here in any case.

use crate::lane::{Cursor, Lane, LaneBlock, LaneError, LaneItem};
use outrider_client::{BlockData, BlockSummary, Client, ClientError, Follower, Trust};
use outrider_types::{Bytes, Height, LaneBlock as Ordered, RollupId, Timestamp, Transaction};

/// Follows one of several members; when it fails, the next of them.
#[derive(Debug)]
pub struct MemberLane {
    rollup: RollupId,
    members: Vec<Client>,
    current: usize,
    follower: Follower,
    cursor: Cursor,
    /// A block that was announced, but whose transactions were not read yet.
    announced: Option<BlockSummary>,
    last: Option<(Height, Timestamp)>,
    /// The committees that are trusted; none: members are.
    trust: Option<Trust>,
}

impl MemberLane {
    /// Of a rollup, at members with these RPC addresses; the first is asked first. None if there are none.
    pub fn new(rollup: RollupId, urls: &[String]) -> Result<Option<Self>, ClientError> {
        let members = urls.iter().map(|url| Client::new(url));
        let members = members.collect::<Result<Vec<_>, _>>()?;
        let Some(first) = members.first() else {
            return Ok(None);
        };
        let follower = Follower::new(first.url(), Some(Height(1)));
        Ok(Some(Self {
            rollup,
            members,
            current: 0,
            follower,
            cursor: Cursor::default(),
            announced: None,
            last: None,
            trust: None,
        }))
    }

    /// Take no member's word, but proofs that start at this committee.
    #[must_use]
    pub fn trusting(mut self, trust: Option<Trust>) -> Self {
        self.trust = trust;
        self
    }

    /// What an error means; the next member is asked from now on.
    fn failed(&mut self, error: &ClientError) -> LaneError {
        self.current = (self.current + 1) % self.members.len();
        self.follower.move_to(self.members[self.current].url());
        let reason = error.to_string();
        // A member that pruned is of no use, but another one may keep more.
        if error.retry_helps() || self.members.len() > 1 {
            LaneError::Waiting { reason }
        } else {
            LaneError::Ended { reason }
        }
    }

    /// The announced block with its transactions.
    async fn read(&mut self, announced: &BlockSummary) -> Result<BlockData, LaneError> {
        let height = announced.height;
        let found = self.members[self.current].block_data(height).await;
        let found = found.map_err(|error| self.failed(&error))?;
        let block = found.ok_or_else(|| LaneError::Waiting {
            reason: format!("the block at height {height} is announced, but not served"),
        })?;
        if block.id != announced.id {
            return Err(LaneError::OtherChain {
                height,
                expected: announced.id,
                found: block.id,
            });
        }
        Ok(block)
    }

    /// The member says what is not so: what it announced is forgotten, and the next member is asked.
    fn distrust(&mut self, height: Height, reason: String) -> LaneError {
        self.announced = None;
        self.current = (self.current + 1) % self.members.len();
        let url = self.members[self.current].url();
        self.follower = Follower::new(url, Some(height));
        if self.members.len() > 1 {
            LaneError::Waiting { reason }
        } else {
            LaneError::Order { height, reason }
        }
    }

    /// The time of the announced block, and what it holds for the rollup, by a proof; none without a committee.
    async fn prove(
        &mut self,
        announced: &BlockSummary,
    ) -> Result<Option<(Timestamp, Option<Ordered>)>, LaneError> {
        let Some(trust) = &mut self.trust else {
            return Ok(None);
        };
        let height = announced.height;
        let member = &self.members[self.current];
        let (proof, checked) = match member.verified_lane(self.rollup, height, trust).await {
            Ok(found) => found,
            Err(error) if error.retry_helps() => return Err(self.failed(&error)),
            Err(error) => return Err(self.distrust(height, error.to_string())),
        };
        if checked.header.block != announced.id {
            let (id, found) = (announced.id, checked.header.block);
            let reason = format!("it announced block {id} at height {height}, final is {found}");
            return Err(self.distrust(height, reason));
        }
        Ok(Some((proof.header.block.timestamp, checked.lane)))
    }

    /// The rollup's transactions in the announced block.
    async fn transactions(
        &mut self,
        announced: &BlockSummary,
        proven: Option<Option<Ordered>>,
    ) -> Result<Vec<Bytes>, LaneError> {
        let holds = match proven {
            Some(lane) => lane.is_some(),
            None => !announced.transactions.is_empty(),
        };
        if !holds {
            return Ok(Vec::new());
        }
        let block = self.read(announced).await?;
        let own = block.transactions.into_iter();
        let own: Vec<Transaction> = own.filter(|one| one.rollup == self.rollup).collect();
        if let Some(Some(lane)) = proven {
            let height = announced.height;
            let ids: Vec<_> = own.iter().map(Transaction::id).collect();
            if !lane.is_of(&ids) {
                let reason = format!(
                    "of lane block {} at height {height} it serves other transactions than it has",
                    lane.height
                );
                return Err(self.distrust(height, reason));
            }
            let expected = self.cursor.lane_height + 1;
            if lane.height.0 != expected {
                let reason = format!("it is lane block {}, {expected} is next", lane.height);
                return Err(LaneError::Order { height, reason });
            }
        }
        Ok(own.into_iter().map(|one| one.data).collect())
    }

    fn check_order(&self, height: Height, timestamp: Timestamp) -> Result<(), LaneError> {
        let wrong = |reason: &str| LaneError::Order {
            height,
            reason: reason.to_owned(),
        };
        match self.last {
            Some((last, _)) if last.next() != height => {
                Err(wrong("it does not follow the block before"))
            }
            Some((_, time)) if timestamp <= time => {
                Err(wrong("its time is not later than that of the block before"))
            }
            _ => Ok(()),
        }
    }
}

impl Lane for MemberLane {
    async fn seek(&mut self, cursor: Cursor) -> Result<(), LaneError> {
        self.cursor = cursor;
        self.announced = None;
        self.last = None;
        if cursor.lane_height > 0 {
            let height = cursor.height;
            let found = self.members[self.current].block(height).await;
            let found = found.map_err(|error| self.failed(&error))?;
            let block = found.ok_or_else(|| LaneError::Waiting {
                reason: format!("the member does not have the block at height {height} yet"),
            })?;
            if block.id != cursor.block {
                return Err(LaneError::OtherChain {
                    height,
                    expected: cursor.block,
                    found: block.id,
                });
            }
            self.last = Some((height, Timestamp(block.timestamp)));
        }
        let url = self.members[self.current].url();
        self.follower = Follower::new(url, Some(cursor.height.next()));
        Ok(())
    }

    async fn next(&mut self) -> Result<LaneItem, LaneError> {
        if self.announced.is_none() {
            let next = self.follower.next().await;
            self.announced = Some(next.map_err(|error| self.failed(&error))?);
        }
        let Some(announced) = self.announced.clone() else {
            return Err(LaneError::Waiting {
                reason: "no block was announced".to_owned(),
            });
        };
        let (timestamp, lane) = match self.prove(&announced).await? {
            Some((timestamp, lane)) => (timestamp, Some(lane)),
            None => (Timestamp(announced.timestamp), None),
        };
        self.check_order(announced.height, timestamp)?;
        let transactions = self.transactions(&announced, lane).await?;
        self.announced = None;
        self.last = Some((announced.height, timestamp));
        if transactions.is_empty() {
            return Ok(LaneItem::Quiet(timestamp));
        }
        self.cursor = Cursor {
            lane_height: self.cursor.lane_height + 1,
            height: announced.height,
            block: announced.id,
        };
        Ok(LaneItem::Block(LaneBlock {
            cursor: self.cursor,
            timestamp,
            transactions,
        }))
    }
}
