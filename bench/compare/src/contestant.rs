//! Who is compared, and on what terms.

use clap::ValueEnum;
use serde::Serialize;

/// One way to run one system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Contestant {
    /// Ours, as an operator runs it.
    Outrider,
    /// Ours, without waiting for the disk.
    OutriderUnsynced,
    /// simplex with the timers of its examples.
    Simplex,
    /// simplex with handoff to the next leader, and short timers.
    SimplexTuned,
    /// simplex with its journal in memory.
    SimplexUnsynced,
    /// hotstuff_rs.
    Hotstuff,
}

/// What a figure of a contestant stands on. It holds for every row.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Terms {
    /// Whether votes are on disk before they are sent.
    pub durable: &'static str,
    /// What is checked of a transaction.
    pub verified: &'static str,
    /// Who makes the load, and where.
    pub load: &'static str,
    /// What is kept.
    pub kept: &'static str,
    /// How members talk.
    pub transport: &'static str,
}

/// The timers of simplex, milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Timers {
    /// Wait for a proposal.
    pub leader: u64,
    /// Wait for a certificate.
    pub certification: u64,
    /// Say a timeout again.
    pub retry: u64,
    /// Skip a silent leader.
    pub skip: u64,
}

const INSIDE: &str = "each member makes a quarter of it, in its own process, without RPC";
const OUTSIDE: &str = "`outrider load`, one process on the same cores, over JSON-RPC on WebSockets";
const SIGNED: &str = "no signature of a transaction";

impl Contestant {
    /// What is compared if nothing is said.
    pub const DEFAULT: [Self; 5] = [
        Self::Outrider,
        Self::OutriderUnsynced,
        Self::Simplex,
        Self::SimplexTuned,
        Self::Hotstuff,
    ];

    /// As in the table and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Outrider => "outrider",
            Self::OutriderUnsynced => "outrider-unsynced",
            Self::Simplex => "simplex",
            Self::SimplexTuned => "simplex-tuned",
            Self::SimplexUnsynced => "simplex-unsynced",
            Self::Hotstuff => "hotstuff",
        }
    }

    /// Whether it is ours.
    #[must_use]
    pub const fn is_ours(self) -> bool {
        matches!(self, Self::Outrider | Self::OutriderUnsynced)
    }

    /// The first rate that the search for saturation offers, transactions per second.
    #[must_use]
    pub const fn first_rate(self) -> u64 {
        match self {
            Self::Outrider | Self::OutriderUnsynced | Self::Hotstuff => 8_000,
            Self::Simplex | Self::SimplexTuned | Self::SimplexUnsynced => 32_000,
        }
    }

    /// Most bytes of a peer's block: what it was found to be fastest with. Ours has its own limit.
    #[must_use]
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::Hotstuff => 512 * 1024,
            _ => 2 * 1024 * 1024,
        }
    }

    /// Timers, if it is a simplex, and whether the next leader proposes with its vote.
    #[must_use]
    pub const fn timers(self) -> (Timers, bool) {
        let slow = Timers {
            leader: 1_000,
            certification: 2_000,
            retry: 10_000,
            skip: 11_000,
        };
        let fast = Timers {
            leader: 250,
            certification: 500,
            retry: 1_000,
            skip: 1_100,
        };
        match self {
            Self::SimplexTuned => (fast, true),
            _ => (slow, false),
        }
    }

    /// What its figures stand on.
    #[must_use]
    pub const fn terms(self) -> Terms {
        match self {
            Self::Outrider => Terms {
                durable: "yes: block and vote are synced before the vote is sent",
                verified: SIGNED,
                load: OUTSIDE,
                kept: "all blocks, transactions and votes",
                transport: "encrypted and authenticated",
            },
            Self::OutriderUnsynced => Terms {
                durable: "no: written, never synced",
                verified: SIGNED,
                load: OUTSIDE,
                kept: "all blocks, transactions and votes",
                transport: "encrypted and authenticated",
            },
            Self::Simplex | Self::SimplexTuned => Terms {
                durable: "votes only: its journal is synced before the vote is sent",
                verified: SIGNED,
                load: INSIDE,
                kept: "recent votes; blocks in memory, the last 64",
                transport: "encrypted and authenticated",
            },
            Self::SimplexUnsynced => Terms {
                durable: "no: its journal is on a memory disk",
                verified: SIGNED,
                load: INSIDE,
                kept: "nothing",
                transport: "encrypted and authenticated",
            },
            Self::Hotstuff => Terms {
                durable: "no: block tree in memory",
                verified: SIGNED,
                load: INSIDE,
                kept: "nothing; all blocks in memory",
                transport: "plain TCP",
            },
        }
    }
}

impl std::fmt::Display for Contestant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_command_line() {
        for contestant in Contestant::value_variants() {
            let value = contestant.to_possible_value().unwrap();
            assert_eq!(value.get_name(), contestant.name());
        }
    }

    #[test]
    fn timers_are_in_the_order_that_simplex_asks_for() {
        for contestant in Contestant::value_variants() {
            let (timers, _) = contestant.timers();
            assert!(timers.leader < timers.certification);
            assert!(timers.skip > timers.certification && timers.skip > timers.retry);
        }
    }
}
