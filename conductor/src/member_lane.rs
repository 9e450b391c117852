//! A lane read from members: their final blocks one by one, filtered for one rollup.
//!
//! It believes the member that a block is final; ids of headers and transactions are computed here.

use crate::lane::{Cursor, Lane, LaneBlock, LaneError, LaneItem};
use outrider_client::{BlockData, BlockSummary, Client, ClientError, Follower};
use outrider_types::{Height, RollupId, Timestamp, bundle};

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
        }))
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

    fn check_order(&self, block: &BlockSummary) -> Result<(), LaneError> {
        let height = block.height;
        let wrong = |reason: &str| LaneError::Order {
            height,
            reason: reason.to_owned(),
        };
        match self.last {
            Some((last, _)) if last.next() != height => {
                Err(wrong("it does not follow the block before"))
            }
            Some((_, time)) if Timestamp(block.timestamp) <= time => {
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
        self.check_order(&announced)?;
        let timestamp = Timestamp(announced.timestamp);
        let mut transactions = Vec::new();
        if !announced.transactions.is_empty() {
            let block = self.read(&announced).await?;
            let own = block.transactions.into_iter();
            let own = own.filter(|transaction| transaction.rollup == self.rollup);
            // What stands in front of a part of a bundle is not for the machine.
            transactions.extend(
                own.map(|transaction| transaction.data.slice_ref(bundle::inner(&transaction.data))),
            );
        }
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
