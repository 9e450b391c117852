//! What a production member does is written down: what it keeps, which views it enters, whom it blames.

use super::scribe::now;
use super::wire::Air;
use crate::fact::Fact;
use outrider_consensus::{Action, Replica};
use outrider_node::handle::CommittedBlock;
use outrider_node::tap::Tap;
use outrider_types::{BlockRecord, Justification};
use std::sync::Arc;

/// Listens to a member.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) host: usize,
    pub(super) air: Arc<Air>,
}

impl Tap for Watch {
    fn kept(&mut self, certificates: &[Justification]) {
        for justification in certificates {
            let fact = Fact::Kept {
                member: self.host,
                justification: Arc::new(justification.clone()),
            };
            self.air.scribe.note(now(), fact);
        }
    }

    fn stepped(&mut self, replica: &Replica, actions: &[Action]) {
        let (member, at, scribe) = (self.host, now(), &self.air.scribe);
        let (committee, safety) = (replica.committee(), replica.safety());
        let hosts = self.air.cast.book.hosts_of(committee);
        let host = |index: usize| hosts.get(index).copied().unwrap_or(usize::MAX);
        for action in actions {
            match action {
                Action::Entered {
                    view,
                    leader,
                    by_timeout,
                } => {
                    let entry = safety.entry.clone();
                    scribe.note(
                        at,
                        Fact::Entered {
                            member,
                            epoch: safety.epoch.0,
                            view: *view,
                            leader: host(leader.index()),
                            by_timeout: *by_timeout,
                            // A step may lead through several views; only the last one's way is known.
                            entry: entry.filter(|_| *view == replica.view()).map(Arc::new),
                        },
                    );
                }
                Action::BadProposal { leader, reason, .. } => {
                    let leader = host(leader.index());
                    scribe.note(
                        at,
                        Fact::Blamed {
                            member,
                            leader,
                            reason,
                        },
                    );
                }
                _ => {}
            }
        }
        scribe.epoch(at, committee, hosts);
        let fact = Fact::Stepped {
            member,
            epoch: safety.epoch.0,
            view: safety.view,
            high: safety.high_rank(),
            held: replica.blocks_held(),
        };
        scribe.note(at, fact);
    }
    fn committed(&mut self, record: &BlockRecord, block: &CommittedBlock) {
        let fact = Fact::Committed {
            member: self.host,
            record: Arc::new(record.clone()),
            transactions: block.transactions.clone(),
            payload: None,
            certificate: Some(block.certificate.clone()),
        };
        self.air.scribe.note(now(), fact);
    }
}
