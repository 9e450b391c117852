//! The last look, when all is calm: every member's whole chain, receipts, proofs and evidence.

use super::clients::{Clients, receipt_of};
use super::observed::{Observed, Receipt, Seen};
use crate::fact::{Class, Micros};
use outrider_client::{Client, ClientError, Trust};
use outrider_types::{Committee, Height, TransactionId};

/// Blocks of each member that are read again, spread evenly, the last one included.
const BLOCKS_MAX: u64 = 1_000;
/// Receipts that are asked of each member,
const RECEIPTS_MAX: usize = 200;
/// and how many of them are proved.
const PROOFS_MAX: usize = 16;
/// Pages of evidence that are read of each member: honest members have none.
const PAGES_MAX: usize = 16;
/// How often a call that had no answer is made.
const TRIES_MAX: u32 = 3;

/// How much was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audited {
    /// Blocks read again, of all members.
    pub blocks: u64,
    /// Receipts that a member repeated.
    pub receipts: u64,
    /// Proofs that verified.
    pub proofs: u64,
}

/// Look at every member.
pub async fn audit(
    clients: &Clients,
    committee: &Committee,
    observed: &mut Observed,
    at: Micros,
) -> Audited {
    let mut audited = Audited::default();
    for (member, client) in clients.members().iter().enumerate() {
        let mut look = Look {
            client,
            member,
            observed: &mut *observed,
            audited: &mut audited,
            at,
        };
        // One that gives no answer though it is up and calm does not keep up.
        if let Err(error) = look.all(committee).await {
            let what = format!("m{member} gives no answer when all is calm: {error}");
            observed.violate("L4", Class::Liveness, what);
        }
    }
    audited
}

struct Look<'a> {
    client: &'a Client,
    member: usize,
    observed: &'a mut Observed,
    audited: &'a mut Audited,
    at: Micros,
}

impl Look<'_> {
    async fn all(&mut self, committee: &Committee) -> Result<(), ClientError> {
        self.blocks().await?;
        self.receipts(committee).await?;
        self.evidence().await
    }

    /// S1, S2: the chain is what it was.
    async fn blocks(&mut self) -> Result<(), ClientError> {
        let tip = self.observed.height(self.member).0;
        let stride = tip.div_ceil(BLOCKS_MAX).max(1);
        for back in (0..tip).step_by(usize::try_from(stride).unwrap_or(1)) {
            let height = Height(tip - back);
            let found = retried(async || self.client.block(height).await).await?;
            let Some(block) = found else {
                let what = format!(
                    "m{} showed a block at height {height} and has none",
                    self.member
                );
                self.observed.violate("S2", Class::Safety, what);
                continue;
            };
            self.audited.blocks += 1;
            let block = Seen::Block {
                member: self.member,
                height: block.height,
                id: block.id,
                transactions: block.transactions,
            };
            self.observed.see(self.at, block);
        }
        Ok(())
    }

    /// S9: every member repeats every receipt, and proves it (S7).
    async fn receipts(&mut self, committee: &Committee) -> Result<(), ClientError> {
        let all = self.observed.receipts();
        let stride = all.len().div_ceil(RECEIPTS_MAX).max(1);
        let asked: Vec<(TransactionId, Receipt)> = all
            .iter()
            .step_by(stride)
            .map(|(id, receipt)| (*id, *receipt))
            .collect();
        let mut trust = Trust::new(committee.clone());
        for (place, (id, receipt)) in asked.into_iter().enumerate() {
            let status = retried(async || self.client.status(id).await).await?;
            let Some(said) = receipt_of(self.member, status) else {
                let what = format!(
                    "{id} had a receipt, {receipt:?}; m{} says {status}",
                    self.member
                );
                self.observed.violate("S9", Class::Safety, what);
                continue;
            };
            self.audited.receipts += 1;
            self.observed.see(self.at, Seen::Receipt(id, said));
            if place < PROOFS_MAX {
                self.proof(id, receipt, &mut trust).await;
            }
        }
        Ok(())
    }

    async fn proof(&mut self, id: TransactionId, receipt: Receipt, trust: &mut Trust) {
        let wrong = match self.client.verified_proof(id, trust).await {
            Ok((_, checked))
                if (checked.height, checked.block) == (receipt.height, receipt.block) =>
            {
                self.audited.proofs += 1;
                return;
            }
            Ok((_, checked)) => format!("is of {checked:?}, the receipt was {receipt:?}"),
            Err(error) => format!("fails: {error}"),
        };
        let what = format!("the proof of {id} by m{} {wrong}", self.member);
        self.observed.violate("S7", Class::Safety, what);
    }

    /// S5: no member has proof that an honest one broke the protocol; all are honest here. S11: nor false proof.
    async fn evidence(&mut self) -> Result<(), ClientError> {
        let mut from: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let page = retried(async || self.client.evidence(from.as_deref()).await).await?;
            for file in &page.evidence {
                let charge = file.charge();
                match file.verify(None) {
                    Ok(checked) => {
                        let what = format!(
                            "m{} has proof against an honest member: {checked:?}",
                            self.member
                        );
                        self.observed.violate("S5", Class::Safety, what);
                    }
                    Err(error) => {
                        let what = format!(
                            "m{} serves evidence {charge:?} that proves nothing: {error}",
                            self.member
                        );
                        self.observed.violate("S11", Class::Accountability, what);
                    }
                }
            }
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        Ok(())
    }
}

/// Make a call again that had no answer.
async fn retried<T>(call: impl AsyncFn() -> Result<T, ClientError>) -> Result<T, ClientError> {
    let mut tries = 1;
    loop {
        match call().await {
            Err(ClientError::Timeout { .. } | ClientError::Unreachable { .. })
                if tries < TRIES_MAX =>
            {
                tries += 1;
            }
            answer => return answer,
        }
    }
}
