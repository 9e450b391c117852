//! Facts in words: the lines of `events.jsonl`.

use super::messages::Words;
use super::value::{Field, Value, fields};
use crate::fact::{Class, Fact, Loss, Micros, Violation};
use outrider_types::{Committee, FinalityCertificate, SafetyState};

impl Words {
    /// One line of `events.jsonl`, as [`FACTS`](super::tables::FACTS) describes it.
    #[must_use]
    pub fn fact(&self, at: Micros, fact: &Fact) -> Value {
        let own = match fact {
            Fact::Sent { .. } | Fact::Delivered { .. } | Fact::Lost { .. } => self.travel(fact),
            Fact::Epoch { .. } | Fact::Committed { .. } | Fact::EpochEnded { .. } => {
                self.chain(fact)
            }
            Fact::Entered { .. }
            | Fact::Durable { .. }
            | Fact::Stepped { .. }
            | Fact::Kept { .. }
            | Fact::Checked { .. } => self.state(fact),
            Fact::Accepted { .. }
            | Fact::Receipt { .. }
            | Fact::Blamed { .. }
            | Fact::Crashed { .. }
            | Fact::Restarted { .. }
            | Fact::Fault { .. }
            | Fact::Healed { .. }
            | Fact::Panicked { .. } => self.incident(fact),
        };
        let mut line = fields!(at: at, fact: name(fact));
        line.extend(own);
        Value::Object(line)
    }

    /// The last line, when a checker fired.
    #[must_use]
    pub fn violation(violation: &Violation) -> Value {
        Value::Object(fields!(
            at: violation.at,
            fact: "violation",
            checker: violation.checker,
            class: class(violation.class),
            what: violation.what.as_str(),
        ))
    }

    fn travel(&self, fact: &Fact) -> Vec<Field> {
        match fact {
            Fact::Sent {
                from,
                to,
                message,
                number,
            } => fields!(
                number: *number,
                from: *from,
                to: *to,
                kind: message.kind(),
                bytes: message.bytes(),
                message: Value::Object(self.message(message)),
            ),
            Fact::Delivered { from, to, number } => {
                fields!(number: *number, from: *from, to: *to)
            }
            Fact::Lost {
                from,
                to,
                number,
                loss: why,
            } => fields!(number: *number, from: *from, to: *to, loss: loss(*why)),
            _ => Vec::new(),
        }
    }

    fn chain(&self, fact: &Fact) -> Vec<Field> {
        match fact {
            Fact::Epoch { committee, hosts } => self.epoch(committee, hosts),
            Fact::Committed {
                member,
                record,
                transactions,
                certificate,
                ..
            } => {
                let block = &record.block;
                let proof = certificate.as_deref();
                fields!(
                    member: *member,
                    epoch: block.epoch,
                    view: block.view,
                    height: block.height,
                    block: self.block(block.id()),
                    parent: self.block(block.parent),
                    proposer: self.host(block.epoch, block.proposer),
                    ids: self.ids(transactions),
                    path: path(proof),
                    certificate: proof.map(|proof| self.finality(proof)),
                )
            }
            Fact::EpochEnded { member, end } => fields!(
                member: *member,
                epoch: end.last.epoch,
                height: end.last.height,
                block: self.block(end.last.id()),
                certificate: self.finality(&end.certificate),
            ),
            _ => Vec::new(),
        }
    }

    fn epoch(&self, committee: &Committee, hosts: &[usize]) -> Vec<Field> {
        let stakes: Vec<u64> = committee.members().iter().map(|one| one.stake.0).collect();
        let thresholds = committee.thresholds();
        fields!(
            epoch: committee.epoch(),
            committee: self.id(&committee.id().0),
            hosts: hosts.to_vec(),
            stakes: stakes,
            byzantine: thresholds.byzantine.0,
            crashed: thresholds.crashed.0,
            quorum: thresholds.quorum.0,
            fast: thresholds.fast.0,
        )
    }

    fn state(&self, fact: &Fact) -> Vec<Field> {
        match fact {
            Fact::Entered {
                member,
                epoch,
                view,
                leader,
                by_timeout,
                entry,
            } => fields!(
                member: *member,
                epoch: *epoch,
                view: *view,
                leader: *leader,
                by_timeout: *by_timeout,
                entry: self.optional(entry.as_deref()),
            ),
            Fact::Durable { member, safety } => self.safety(*member, safety),
            Fact::Stepped {
                member,
                epoch,
                view,
                high,
                held,
            } => fields!(member: *member, epoch: *epoch, view: *view, high: *high, held: *held),
            Fact::Kept {
                member,
                justification,
            } => fields!(member: *member, certificate: self.justification(justification)),
            Fact::Checked {
                member,
                number,
                signatures,
            } => fields!(member: *member, number: *number, signatures: *signatures),
            _ => Vec::new(),
        }
    }

    fn safety(&self, member: usize, safety: &SafetyState) -> Vec<Field> {
        let said = |view, block| Value::Object(fields!(view: view, block: self.block(block)));
        let timed_out = safety.timed_out.map(|timeout| {
            let voted = timeout.voted.map(|block| self.block(block));
            Value::Object(fields!(view: timeout.view, high_view: timeout.high_view, voted: voted))
        });
        let high = safety.high.as_ref();
        fields!(
            member: member,
            epoch: safety.epoch,
            view: safety.view,
            voted: safety.voted.map(|vote| said(vote.view, vote.block)),
            timed_out: timed_out,
            commit_voted: safety.commit_voted.map(|vote| said(vote.view, vote.block)),
            proposed: safety.proposed.map(|one| said(one.view, one.block)),
            proposed_optimistic: safety.proposed_optimistic.map(|one| said(one.view, one.block)),
            high: high.map(|high| said(high.rank(), high.block())),
        )
    }

    fn incident(&self, fact: &Fact) -> Vec<Field> {
        match fact {
            Fact::Accepted { member, id, rollup } => {
                fields!(member: *member, id: self.id(&id.0), rollup: rollup.0)
            }
            Fact::Receipt { member, id, height } => {
                fields!(member: *member, id: self.id(&id.0), height: *height)
            }
            Fact::Blamed {
                member,
                leader,
                reason,
            } => fields!(member: *member, leader: *leader, reason: *reason),
            Fact::Crashed { member, wiped } => fields!(member: *member, wiped: *wiped),
            Fact::Restarted {
                member,
                mute,
                height,
            } => fields!(member: *member, mute: *mute, height: *height),
            Fact::Fault { what, begins } => fields!(what: what.as_str(), begins: *begins),
            Fact::Healed { live } => fields!(live: live.clone()),
            Fact::Panicked { member, reason } => fields!(member: *member, reason: reason.as_str()),
            _ => Vec::new(),
        }
    }
}

/// A fact's name in `events.jsonl`.
#[must_use]
pub const fn name(fact: &Fact) -> &'static str {
    match fact {
        Fact::Epoch { .. } => "epoch",
        Fact::Sent { .. } => "sent",
        Fact::Delivered { .. } => "delivered",
        Fact::Lost { .. } => "lost",
        Fact::Entered { .. } => "entered",
        Fact::Durable { .. } => "durable",
        Fact::Stepped { .. } => "stepped",
        Fact::Kept { .. } => "kept",
        Fact::Committed { .. } => "committed",
        Fact::EpochEnded { .. } => "epoch-ended",
        Fact::Accepted { .. } => "accepted",
        Fact::Receipt { .. } => "receipt",
        Fact::Blamed { .. } => "blamed",
        Fact::Checked { .. } => "checked",
        Fact::Crashed { .. } => "crashed",
        Fact::Restarted { .. } => "restarted",
        Fact::Fault { .. } => "fault",
        Fact::Healed { .. } => "healed",
        Fact::Panicked { .. } => "panicked",
    }
}

/// Why a message did not arrive, in one word.
#[must_use]
pub const fn loss(loss: Loss) -> &'static str {
    match loss {
        Loss::Chance => "chance",
        Loss::Cut => "cut",
        Loss::Down => "down",
    }
}

/// A kind of violation, in one word.
#[must_use]
pub const fn class(class: Class) -> &'static str {
    match class {
        Class::Safety => "safety",
        Class::Liveness => "liveness",
        Class::Accountability => "accountability",
        Class::Panic => "panic",
        Class::Determinism => "determinism",
    }
}

/// How a block became final: by votes (R6), by commit votes (R7), or learned of in a range.
#[must_use]
pub const fn path(proof: Option<&FinalityCertificate>) -> &'static str {
    match proof {
        Some(FinalityCertificate::Fast(_)) => "fast",
        Some(FinalityCertificate::Slow(_)) => "slow",
        None => "range",
    }
}
