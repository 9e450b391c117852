//! What one endpoint tells when it is asked for more than one thing.

use crate::endpoint::{Endpoint, EndpointError};
use crate::endpoints::Segment;
use crate::model::{BlockTag, LogFilter};

/// What one endpoint says of the heads. Zero: there is none.
pub struct ToldHeads {
    pub chain: u64,
    pub latest: u64,
    pub safe: u64,
    pub finalized: u64,
}

impl ToldHeads {
    pub const fn is_ordered(&self) -> bool {
        self.finalized <= self.safe && self.safe <= self.latest
    }
}

pub async fn told_heads(endpoint: Endpoint) -> Result<ToldHeads, EndpointError> {
    let chain = endpoint.chain_id().await?;
    // The oldest first: what is told later can only be higher.
    let mut numbers = [0; 3];
    let tags = [BlockTag::Finalized, BlockTag::Safe, BlockTag::Latest];
    for (number, tag) in numbers.iter_mut().zip(tags) {
        *number = match endpoint.block(tag).await {
            Ok(block) => block.map_or(0, |block| block.number),
            // Before the first final block, some refuse.
            Err(error) if error.is_refusal() && tag != BlockTag::Latest => 0,
            Err(error) => return Err(error),
        };
    }
    let [finalized, safe, latest] = numbers;
    Ok(ToldHeads {
        chain,
        latest,
        safe: safe.max(finalized),
        finalized,
    })
}

/// None if the endpoint has not all of it, or its chain changed while it was asked.
pub async fn told_segment(
    endpoint: &Endpoint,
    filter: &LogFilter,
    all: bool,
) -> Result<Option<Segment>, EndpointError> {
    let first = if all { filter.from } else { filter.to };
    let logs = endpoint.logs(filter).await?;
    let blocks = endpoint.blocks(first, filter.to).await?;
    let whole = blocks.last().is_some_and(|last| last.number == filter.to);
    let linked = blocks.windows(2).all(|two| two[1].parent == two[0].hash);
    let placed = logs.iter().filter(|log| log.number >= first).all(|log| {
        let at = usize::try_from(log.number - first).ok();
        let block = at.and_then(|at| blocks.get(at));
        block.is_some_and(|block| block.hash == log.block)
    });
    Ok((whole && linked && placed).then_some(Segment { blocks, logs }))
}
