//! Checks lane block after lane block that the committee obeyed the ordering policy, with what one member serves.
//!
//! What decides are the headers, which the committee signed. The rollups that were registered before a block come from the member: as
//! they are now, or as the lane of rollup 0 makes them when it is read from its start. Whichever fits what the header commits to is
//! the right one, wherever it is from; if none does, the member is at fault.

use crate::calls::{Client, FOLLOW_REQUESTS_MAX};
use crate::error::{CODE_PRUNED, ClientError};
use crate::lane::LaneData;
use crate::order::{CheckedOrder, OrderError, OrderedLane};
use outrider_finality::Trust;
use outrider_types::registry::{REGISTRY, RegistryCommand};
use outrider_types::{
    Batch, Block, Height, LaneHeight, LaneTip, Payload, Registry, RollupId, Transaction,
};
use std::collections::{BTreeMap, VecDeque};

/// Lane blocks that are fetched at a time.
const PAGE: usize = 64;

/// Goes through a lane at one member.
#[derive(Debug)]
pub struct OrderAudit {
    client: Client,
    trust: Trust,
    rollup: RollupId,
    next: LaneHeight,
    to: LaneHeight,
    /// The end of the lane block before, once there is one.
    before: Option<LaneTip>,
    page: VecDeque<LaneData>,
    /// The registry of the last block that was looked at.
    known: Registry,
    replay: Replay,
}

/// The registry as the lane of rollup 0 makes it.
#[derive(Debug)]
struct Replay {
    registry: Registry,
    next: LaneHeight,
    page: VecDeque<LaneData>,
    /// The heights of blocks that were the first to have something for a rollup; none: there is none.
    first: BTreeMap<RollupId, Option<Height>>,
}

impl OrderAudit {
    /// From a lane height to another, by default to the last one that is final there now.
    pub async fn new(
        client: Client,
        trust: Trust,
        rollup: RollupId,
        from: LaneHeight,
        to: Option<LaneHeight>,
    ) -> Result<Self, ClientError> {
        let tip = client.lane_tip(rollup).await?.height;
        let to = to.unwrap_or(tip);
        let next = LaneHeight(from.0.max(1));
        if tip < to || tip < next {
            return Err(ClientError::LaneEnds {
                url: client.url().to_owned(),
                rollup,
                tip,
                asked: to.max(next),
            });
        }
        Ok(Self {
            client,
            trust,
            rollup,
            next,
            to,
            before: None,
            page: VecDeque::new(),
            known: Registry::default(),
            replay: Replay {
                registry: Registry::default(),
                next: LaneHeight(1),
                page: VecDeque::new(),
                first: BTreeMap::new(),
            },
        })
    }

    /// Check the next lane block; none after the last one.
    pub async fn next(&mut self) -> Result<Option<CheckedOrder>, ClientError> {
        if self.next > self.to {
            return Ok(None);
        }
        if self.page.is_empty() {
            let range = self.client.lane_range(self.rollup, self.next, PAGE).await?;
            self.page = range.lanes.into();
        }
        let Some(data) = self.page.pop_front() else {
            return Err(ClientError::LaneEnds {
                url: self.client.url().to_owned(),
                rollup: self.rollup,
                tip: LaneHeight(self.next.0.saturating_sub(1)),
                asked: self.next,
            });
        };
        let lane = data.lane;
        if self.before.is_some_and(|before| before != lane.before()) {
            return Err(ClientError::OtherLane {
                url: self.client.url().to_owned(),
                rollup: self.rollup,
                lane: lane.height,
            });
        }
        let verified = self.client.verify_lane_data(&data, &mut self.trust);
        let (proof, _) = verified.await?;
        self.find_registry(&data.header).await?;
        let mut ordered = OrderedLane {
            proof,
            transactions: data.transactions,
            registry: self.known.clone(),
            payload: None,
        };
        if ordered.parts() > 0 {
            ordered.payload = Some(self.payload(data.header.height).await?);
        }
        let epoch = ordered.proof.header.anchor().epoch;
        let trust = self.client.reach(&mut self.trust, epoch).await?;
        let checked = ordered.check(&trust)?;
        self.next = self.next.next();
        self.before = Some(lane.tip());
        Ok(Some(checked))
    }

    /// Let `known` be the registry that the header commits to.
    async fn find_registry(&mut self, header: &Block) -> Result<(), ClientError> {
        let wanted = header.roots.registry;
        if self.known.root() == wanted {
            return Ok(());
        }
        let now: Registry = self.client.rollups().await?.into_iter().collect();
        if now.root() == wanted {
            self.known = now;
            return Ok(());
        }
        self.replay.up_to(&self.client, header.height).await?;
        if self.replay.registry.root() == wanted {
            self.known = self.replay.registry.clone();
            return Ok(());
        }
        let height = header.height;
        Err(OrderError::Registry { height }.into())
    }

    /// All that a block orders.
    async fn payload(&self, height: Height) -> Result<Payload, ClientError> {
        let block = self.client.block_data(height).await?;
        let block = block.ok_or_else(|| ClientError::MissingBlock {
            url: self.client.url().to_owned(),
            height,
        })?;
        let mut payload = Payload::default();
        for Transaction { rollup, data } in block.transactions {
            match payload.batches.last_mut() {
                Some(batch) if batch.rollup == rollup => batch.transactions.push(data),
                _ => payload.batches.push(Batch {
                    rollup,
                    transactions: vec![data],
                }),
            }
        }
        Ok(payload)
    }
}

impl Replay {
    /// Go on to the registry before the block at a height.
    async fn up_to(&mut self, client: &Client, height: Height) -> Result<(), ClientError> {
        for _ in 0..FOLLOW_REQUESTS_MAX {
            while let Some(data) = self.page.pop_front() {
                if data.header.height >= height {
                    self.page.push_front(data);
                    return Ok(());
                }
                self.step(client, &data).await?;
            }
            let page = client.lane_range(REGISTRY, self.next, PAGE).await?;
            let Some(last) = page.lanes.last() else {
                return Ok(());
            };
            self.next = last.lane.height.next();
            self.page = page.lanes.into();
        }
        Err(OrderError::Registry { height }.into())
    }

    async fn step(&mut self, client: &Client, data: &LaneData) -> Result<(), ClientError> {
        let header = &data.header;
        for data in &data.transactions {
            if let Some(RegistryCommand::Open(open)) = RegistryCommand::from_data(data) {
                self.find_first(client, open.rollup).await?;
            }
        }
        let place = (header.chain, header.height, header.timestamp);
        let used = |rollup| {
            let first = self.first.get(&rollup).copied().flatten();
            first.is_some_and(|first| first < header.height)
        };
        if let Some(after) = self.registry.after(place, &data.transactions, used) {
            self.registry = after;
        }
        Ok(())
    }

    /// Where a lane begins.
    async fn find_first(&mut self, client: &Client, rollup: RollupId) -> Result<(), ClientError> {
        if self.first.contains_key(&rollup) {
            return Ok(());
        }
        let first = match client.lane_range(rollup, LaneHeight(1), 1).await {
            Ok(range) => range.lanes.first().map(|first| first.header.height),
            // Older than what is read here.
            Err(ClientError::Refused { code, .. }) if code == CODE_PRUNED => Some(Height(0)),
            Err(error) => return Err(error),
        };
        self.first.insert(rollup, first);
        Ok(())
    }
}
