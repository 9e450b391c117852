//! A committed block with the bytes of its transactions.

use crate::calls::{Client, one};
use crate::error::ClientError;
use outrider_types::{Block, BlockId, Bytes, Height, RollupId, Transaction, TransactionId};
use serde::Deserialize;

/// A committed block, its header and its transactions. The ids of header and transactions were computed from what came;
/// that the block is final is the member's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockData {
    /// The SHA-256 of its header.
    pub id: BlockId,
    /// Its header.
    pub header: Block,
    /// What it orders, in order.
    pub transactions: Vec<Transaction>,
}

/// Answer of `outrider_block` with data.
#[derive(Debug, Deserialize)]
struct Served {
    id: BlockId,
    header: Block,
    transactions: Vec<ServedTransaction>,
}

#[derive(Debug, Deserialize)]
struct ServedTransaction {
    rollup: RollupId,
    id: TransactionId,
    data: String,
}

impl Client {
    /// The committed block at a height with its transactions, if it is committed there.
    pub async fn block_data(&self, height: Height) -> Result<Option<BlockData>, ClientError> {
        let method = "outrider_block";
        let mut params = one(height);
        let inserted = params.insert(true);
        assert!(inserted.is_ok(), "a truth value is JSON");
        let served: Option<Served> = self.call(method, params).await?;
        let read = served.map(|served| read(height, served)).transpose();
        read.map_err(|reason| ClientError::Answer {
            url: self.url.clone(),
            method,
            reason,
        })
    }
}

fn read(height: Height, served: Served) -> Result<BlockData, String> {
    if served.header.height != height {
        let found = served.header.height;
        return Err(format!("asked for height {height}, got {found}"));
    }
    if served.header.id() != served.id {
        return Err(format!("the header is not that of {}", served.id));
    }
    let mut transactions = Vec::with_capacity(served.transactions.len());
    for one in served.transactions {
        let data = const_hex::decode(&one.data)
            .map_err(|error| format!("transaction {}: {error}", one.id))?;
        let transaction = Transaction {
            rollup: one.rollup,
            data: Bytes::from(data),
        };
        if transaction.id() != one.id {
            return Err(format!("the bytes are not those of {}", one.id));
        }
        transactions.push(transaction);
    }
    Ok(BlockData {
        id: served.id,
        header: served.header,
        transactions,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use outrider_types::block::BLOCK_VERSION;
    use outrider_types::{
        ChainId, CommitteeId, Epoch, MemberIndex, PayloadId, Roots, Timestamp, View,
    };

    fn served() -> Served {
        let header = Block {
            version: BLOCK_VERSION,
            chain: ChainId(1),
            epoch: Epoch(0),
            view: View(3),
            height: Height(2),
            parent: BlockId([1; 32]),
            justify: View(2),
            payload: PayloadId([2; 32]),
            timestamp: Timestamp(5),
            proposer: MemberIndex(0),
            next: CommitteeId::NONE,
            roots: Roots::default(),
            origin: outrider_types::Origin::NONE,
        };
        let transaction = Transaction {
            rollup: RollupId(7),
            data: Bytes::from_static(&[1, 2]),
        };
        Served {
            id: header.id(),
            header,
            transactions: vec![ServedTransaction {
                rollup: RollupId(7),
                id: transaction.id(),
                data: "0x0102".to_owned(),
            }],
        }
    }

    #[test]
    fn ids_are_computed_from_what_came() {
        let block = read(Height(2), served()).unwrap();
        assert_eq!(block.transactions[0].data[..], [1, 2]);
        assert!(read(Height(3), served()).is_err());
        let mut other = served();
        other.header.timestamp = Timestamp(6);
        assert!(read(Height(2), other).is_err());
        for data in ["0x0103", "0x01020", "zz"] {
            let mut other = served();
            other.transactions[0].data = data.to_owned();
            assert!(read(Height(2), other).is_err(), "{data}");
        }
        let mut other = served();
        other.transactions[0].rollup = RollupId(8);
        assert!(read(Height(2), other).is_err());
    }
}
