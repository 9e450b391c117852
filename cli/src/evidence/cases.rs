//! `outrider evidence cases`: what the court on L1 has to decide.

use crate::failure::Failure;
use crate::l1::Looking;
use crate::output::say;
use alloy_primitives::{Address, U256};
use clap::Args;
use outrider_l1::state::{CaseRecord, CaseState};
use serde::Serialize;

/// Cases listed at once.
const CASES_MAX: u64 = 1_000;

/// List the cases on L1: against whom, how they stand, and from when they can be executed.
#[derive(Debug, Args)]
pub struct Cases {
    #[command(flatten)]
    looking: Looking,
    /// The first case to list, by its number; by default the first of the last 1,000.
    #[arg(long)]
    from: Option<u64>,
}

/// Everything that is shown.
#[derive(Debug, Serialize)]
struct Shown {
    /// Who can stop a case.
    vetoer: Address,
    /// Within how many seconds.
    veto_window: u64,
    /// The time of the L1 block, seconds since the Unix epoch.
    now: u64,
    cases: Vec<Case>,
}

#[derive(Debug, Serialize)]
struct Case {
    #[serde(flatten)]
    case: CaseRecord,
    /// Until when it can be stopped, and after which it can be executed, seconds since the Unix epoch.
    veto_until: u64,
}

impl Cases {
    /// Do it.
    pub async fn run(&self) -> Result<(), Failure> {
        let contracts = self.looking.open()?;
        let state = contracts.latest().await.map_err(Box::new)?;
        let (vetoer, veto_window) = state.veto_terms().await.map_err(Box::new)?;
        let count = state.case_count().await.map_err(Box::new)?;
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        let from = self.from.unwrap_or(count.saturating_sub(CASES_MAX));
        let mut cases = Vec::new();
        for id in (from..count).take(CASES_MAX as usize) {
            let case = state.case(U256::from(id)).await.map_err(Box::new)?;
            let veto_until = case.reported_at.saturating_add(veto_window);
            cases.push(Case { case, veto_until });
        }
        let shown = Shown {
            vetoer,
            veto_window,
            now: state.block().timestamp,
            cases,
        };
        self.looking.show(&contracts, &shown, Shown::print);
        Ok(())
    }
}

impl Shown {
    fn print(&self) {
        for one in &self.cases {
            let CaseRecord {
                id,
                operator,
                offence,
                epoch,
                reporter,
                state,
                ..
            } = one.case;
            say!(
                "case {id}  {operator}  {}, epoch {epoch}, reported by {reporter}: {}",
                name(offence),
                standing(state, one.veto_until, self.now)
            );
        }
        say!(
            "{} cases; {} can stop one within {} s",
            self.cases.len(),
            self.vetoer,
            self.veto_window
        );
    }
}

fn name(offence: u8) -> String {
    match offence {
        1..=5 => format!("E{offence}"),
        6 => "two checkpoints".to_owned(),
        other => format!("offence {other}"),
    }
}

fn standing(state: CaseState, veto_until: u64, now: u64) -> String {
    match state {
        CaseState::Open if now <= veto_until => {
            format!(
                "open, can be executed in {} s",
                veto_until.saturating_sub(now).saturating_add(1)
            )
        }
        CaseState::Open => "open, can be executed".to_owned(),
        CaseState::Vetoed => "vetoed".to_owned(),
        CaseState::Executed => "executed".to_owned(),
        CaseState::Unknown(other) => format!("in state {other}, which this version does not know"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_can_be_executed_after_its_window() {
        assert_eq!(
            standing(CaseState::Open, 10, 10),
            "open, can be executed in 1 s"
        );
        assert_eq!(standing(CaseState::Open, 10, 11), "open, can be executed");
    }
}
