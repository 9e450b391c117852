//! `outrider l1 status`: what is settled, the forced inbox, and the committees of now and next.

use super::Looking;
use crate::failure::Failure;
use crate::output::say;
use alloy_primitives::utils::format_ether;
use clap::Args;
use outrider_l1::candidates::{Candidate, Outlook};
use outrider_l1::state::{AnchorState, CommitteeRecord, MemberRecord};
use serde::Serialize;

/// Show what is settled, the forced inbox, and the committees of now and next.
#[derive(Debug, Args)]
pub struct Status {
    #[command(flatten)]
    looking: Looking,
}

/// The forced inbox.
#[derive(Debug, Serialize)]
struct Inbox {
    /// Entries that there ever were.
    length: u64,
    /// Entries that a settled block has consumed.
    consumed: u64,
    /// When the next entry is due, seconds since the Unix epoch.
    deadline: Option<u64>,
    /// Whether that is over: nothing settles that leaves it out.
    overdue: bool,
}

/// Everything that is shown.
#[derive(Debug, Serialize)]
struct Shown {
    /// After which L1 block.
    l1_block: u64,
    anchor: AnchorState,
    inbox: Inbox,
    /// That of the epoch that settles.
    committee: Option<CommitteeRecord>,
    next: Outlook,
    /// The list that snapshots look at.
    candidates: Vec<Candidate>,
    /// Its room.
    members_max: u16,
}

impl Status {
    /// Do it.
    pub async fn run(&self) -> Result<(), Failure> {
        let contracts = self.looking.open()?;
        let state = contracts.latest().await.map_err(Box::new)?;
        let anchor = state.anchor().await.map_err(Box::new)?;
        let due = state.inbox_due(anchor.inbox).await;
        let (length, deadline) = due.map_err(Box::new)?;
        let committee = match anchor.begun {
            true => state.committee(anchor.committee).await.map_err(Box::new)?,
            false => None,
        };
        let shown = Shown {
            l1_block: state.block().number,
            anchor,
            inbox: Inbox {
                length,
                consumed: anchor.inbox,
                deadline,
                overdue: deadline.is_some_and(|deadline| state.block().timestamp > deadline),
            },
            committee,
            next: state.outlook().await.map_err(Box::new)?,
            candidates: state.candidates().await.map_err(Box::new)?,
            members_max: state.members_max().await.map_err(Box::new)?,
        };
        self.looking.show(&contracts, &shown, Shown::print);
        Ok(())
    }
}

impl Shown {
    fn print(&self) {
        let Self { anchor, inbox, .. } = self;
        say!("at L1 block  {}", self.l1_block);
        match (anchor.begun, anchor.frozen) {
            (false, _) => say!("settlement   has not begun"),
            (true, true) => say!("settlement   is frozen for ever"),
            (true, false) => say!("settlement   goes on"),
        }
        say!("epoch        {}", anchor.epoch);
        say!(
            "settled      height {}, block {}, at {} (seconds since 1970)",
            anchor.height,
            anchor.id,
            anchor.at
        );
        let overdue = if inbox.overdue { ", overdue" } else { "" };
        let due = inbox.deadline;
        let due = due.map_or_else(String::new, |at| format!(", next is due at {at}{overdue}"));
        say!(
            "inbox        {} entries, {} consumed{due}",
            inbox.length,
            inbox.consumed
        );
        if let Some(one) = &self.committee {
            say!(
                "committee    {} of epoch {}, total {}, settles with {}",
                one.id,
                one.epoch,
                one.total,
                one.quorum
            );
            members(&one.members);
        }
        self.print_next();
        say!(
            "list         {} of at most {}",
            self.candidates.len(),
            self.members_max
        );
        for one in &self.candidates {
            let weight = one.weight.map_or_else(
                || "not eligible".to_owned(),
                |weight| format!("weight {weight}"),
            );
            let stake = format_ether(one.stake);
            say!("  {}  {stake} ETH, {weight}", one.operator);
        }
    }

    fn print_next(&self) {
        let next = &self.next;
        match &next.recorded {
            None => say!(
                "next         no committee of epoch {} is recorded",
                next.epoch
            ),
            Some(one) => {
                say!(
                    "next         {} of epoch {}, total {}, recorded in L1 block {}",
                    one.id,
                    one.epoch,
                    one.total,
                    one.snapshot_block
                );
                members(&one.members);
            }
        }
        if next.is_recorded() {
            say!("             a snapshot of now would record the same");
        } else {
            say!("             a snapshot of now would record:");
            members(&next.now);
        }
    }
}

fn members(members: &[MemberRecord]) {
    for one in members {
        say!("  {}  weight {}, key {}", one.operator, one.weight, one.key);
    }
}
