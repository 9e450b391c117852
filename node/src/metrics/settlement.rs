//! What a member shows of the settlement chain: gauges that follow its report. Without one they stay at 0.

use crate::handle::{CommittedBlock, NodeHandle, SettlementReport};
use outrider_types::Height;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::broadcast::error::RecvError;

/// The gauges.
#[derive(Clone, Debug, Default)]
pub(super) struct SettlementMetrics {
    settled: Gauge,
    finalized: Gauge,
    block: Gauge,
    origin: Gauge,
    consumed: Gauge,
    outage: Gauge,
    frozen: Gauge,
    diverged: Gauge,
    rose: Gauge,
}

impl SettlementMetrics {
    /// Whether it is one of these.
    pub(super) fn register(&self, registry: &mut Registry, name: &str, help: &str) -> bool {
        let gauge = match name {
            "outrider_settled_height" => &self.settled,
            "outrider_final_height" => &self.finalized,
            "outrider_l1_block" => &self.block,
            "outrider_l1_origin" => &self.origin,
            "outrider_l1_inbox_consumed" => &self.consumed,
            "outrider_l1_outage" => &self.outage,
            "outrider_l1_frozen" => &self.frozen,
            "outrider_l1_diverged" => &self.diverged,
            "outrider_settled_timestamp_seconds" => &self.rose,
            _ => return false,
        };
        registry.register(name, help, gauge.clone());
        true
    }

    /// Follow a member for good: it ends with the runtime, or with the member.
    pub(super) async fn follow(self, handle: NodeHandle) {
        let mut reports = handle.watch_settlement();
        let mut blocks = handle.follow();
        // It keeps nobody alive.
        drop(handle);
        let mut highest = None;
        loop {
            let report = reports.borrow_and_update().clone();
            if let Some(report) = report {
                self.show(&report, &mut highest);
            }
            tokio::select! {
                biased;
                changed = reports.changed() => if changed.is_err() {
                    return;
                },
                block = blocks.recv() => match block {
                    Ok(block) => self.built(&block),
                    // A later one says the same, and more.
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                },
            }
        }
    }

    fn show(&self, report: &SettlementReport, highest: &mut Option<Height>) {
        let settled = report.heights.settled_height();
        self.settled.set(super::signed(settled.0));
        self.finalized
            .set(super::signed(report.heights.final_height().0));
        self.block.set(super::signed(report.l1_block));
        self.outage.set(i64::from(report.outage.is_some()));
        self.frozen.set(i64::from(report.frozen));
        self.diverged.set(i64::from(report.diverged.is_some()));
        // What is settled again after a reorganisation is no progress.
        if highest.is_none_or(|highest| settled > highest) {
            *highest = Some(settled);
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            self.rose
                .set(super::signed(now.unwrap_or_default().as_secs()));
        }
    }

    /// A block is final.
    fn built(&self, block: &Arc<CommittedBlock>) {
        let origin = block.block.origin;
        self.origin.set(super::signed(origin.number));
        self.consumed.set(super::signed(origin.inbox));
    }
}
