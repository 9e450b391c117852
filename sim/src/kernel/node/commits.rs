//! What is final joins the ledger, and whoever waits for it hears.

use super::{Clock, Final, Node, Port};
use crate::fact::Fact;
use outrider_types::{Block, BlockRecord, CommitteeId, FinalityCertificate, PayloadId, Verified};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Node {
    pub(super) fn commit(
        &mut self,
        clock: Clock,
        blocks: &[BlockRecord],
        fillers: Vec<Block>,
        certificate: &Verified<FinalityCertificate>,
        port: &mut Port<'_>,
    ) {
        let proof = Arc::new((**certificate).clone());
        let mut fillers = Some(fillers);
        for (at, record) in blocks.iter().enumerate() {
            let id = record.block.id();
            let held = self
                .life
                .as_mut()
                .and_then(|life| life.held.remove(&id))
                .or_else(|| self.disk.payload(record.block.payload));
            let Some(held) = held else {
                unreachable!("S8: a final block without its payload: {id}");
            };
            let last = at + 1 == blocks.len();
            let block = Final {
                record: Arc::new(record.clone()),
                id,
                held,
                proof: last.then(|| proof.clone()),
            };
            if record.block.next == CommitteeId::NONE {
                self.append(block, Some(&proof), port);
            } else {
                let fillers = fillers.take().unwrap_or_default();
                self.on_last_block(clock, block, fillers, &proof, port);
            }
        }
    }

    /// A final block joins the ledger.
    pub(super) fn append(
        &mut self,
        block: Final,
        certificate: Option<&Arc<FinalityCertificate>>,
        port: &mut Port<'_>,
    ) {
        let height = block.record.block.height;
        let transactions = block.held.transactions.clone();
        port.facts.push(Fact::Committed {
            member: self.host,
            record: block.record.clone(),
            transactions: transactions.clone(),
            payload: Some(block.held.payload.clone()),
            certificate: certificate.cloned(),
        });
        self.disk.append(block);
        if let Some(life) = &mut self.life {
            life.mempool.committed(&transactions);
            life.sync.progressed();
            for id in &*transactions {
                if life.ours.remove(id) {
                    port.facts.push(Fact::Receipt {
                        member: self.host,
                        id: *id,
                        height,
                    });
                }
            }
        }
    }

    /// Payloads of blocks that will never be final are of no use.
    pub(super) fn forget_old(&mut self) {
        let held: BTreeSet<PayloadId> = self
            .life
            .iter()
            .flat_map(|life| life.held.values().map(|held| held.id))
            .collect();
        self.disk.tidy(&held);
        if let Some(life) = &mut self.life {
            let replica = &life.replica;
            life.held.retain(|id, _| replica.holds(*id));
            life.outlook.retain(|id| replica.holds(id));
            life.payloads.forget(&|id| replica.holds(id));
        }
        self.check_waiting(self.disk.root().id());
    }
}
