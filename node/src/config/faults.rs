//! What is wrong between options that are right by themselves.

use super::{ConsensusSection, KEEP_BLOCKS_MIN, NodeConfig};
use outrider_network::Tuning;

impl NodeConfig {
    /// What is wrong between options that are right by themselves.
    pub(super) fn contradictions(&self) -> Vec<(&'static str, String)> {
        let mut found = self.address_faults();
        let mut check = |holds: bool, key: &'static str, problem: &str| {
            if !holds {
                found.push((key, problem.to_owned()));
            }
        };
        let ConsensusSection {
            base_timeout_ms,
            timeout_cap_ms,
            idle_block_ms,
            ..
        } = self.consensus;
        check(
            self.storage.keep_blocks == 0 || self.storage.keep_blocks >= KEEP_BLOCKS_MIN,
            "storage.keep_blocks",
            "must be 0 (keep all) or at least 110000: voters look for duplicates in the last 100000 blocks, and snapshots are made of them",
        );
        check(
            self.l1.settle_latest_s >= self.l1.settle_s,
            "l1.settle_latest_s",
            "must not be below l1.settle_s",
        );
        check(
            timeout_cap_ms >= base_timeout_ms,
            "consensus.timeout_cap_ms",
            "must be at least consensus.base_timeout_ms",
        );
        check(
            idle_block_ms.saturating_mul(4) < base_timeout_ms,
            "consensus.idle_block_ms",
            "must be below a quarter of consensus.base_timeout_ms, or an idle leader is taken for a dead one",
        );
        let Tuning {
            ping_ms,
            read_write_timeout_ms,
            mailbox_messages,
            ..
        } = self.p2p.tuning;
        check(
            ping_ms < read_write_timeout_ms,
            "p2p.ping_ms",
            "must be below p2p.read_write_timeout_ms, or idle connections time out",
        );
        let tuning = &self.p2p.tuning;
        check(
            mailbox_messages
                >= tuning
                    .consensus
                    .burst
                    .max(tuning.payload.burst.saturating_add(tuning.sync.burst)),
            "p2p.mailbox_messages",
            "must be at least the larger of p2p.consensus.burst and p2p.payload.burst + p2p.sync.burst",
        );
        check(
            self.mempool.lane_transactions <= self.mempool.total_transactions
                && self.mempool.lane_bytes <= self.mempool.total_bytes,
            "mempool.lane_transactions",
            "one rollup's share (mempool.lane_transactions, mempool.lane_bytes) is more than the whole (mempool.total_transactions, mempool.total_bytes)",
        );
        if let Err(error) = crate::logging::check_filter(&self.log.filter) {
            check(false, "log.filter", &error);
        }
        found.extend(self.rpc.faults());
        found
    }

    /// Addresses that others can reach, and ports that two servers want.
    fn address_faults(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        if !self.metrics.allow_remote && !self.metrics.listen.ip().is_loopback() {
            let problem = "others could reach this address and metrics have no access control; use a loopback address, or set metrics.allow_remote = true if a firewall guards it";
            found.push(("metrics.listen", problem.to_owned()));
        }
        let ports = [
            ("p2p.listen", self.p2p.listen),
            ("rpc.listen", self.rpc.listen),
            ("metrics.listen", self.metrics.listen),
        ];
        for (index, (key, address)) in ports.iter().enumerate() {
            let taken = ports[..index].iter().find(|(_, other)| other == address);
            if let Some((other, _)) = taken.filter(|_| address.port() != 0) {
                let problem = format!("{address} is also {other}; each needs its own port");
                found.push((*key, problem));
            }
        }
        found
    }
}
