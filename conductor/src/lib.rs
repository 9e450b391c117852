//! A conductor follows one certified lane and drives an execution node with it.
//!
//! ```text
//! member --Lane--> lane blocks --Aggregator--> Interval --ExecutionDriver--> block
//!                                                 |         |- AnvilDriver    screen, submit in order, mine, compare
//!                       journal: cursor, block <--+         |- MirrorDriver   anvil, then VALID by an engine
//!                                                           |- EngineDriver   forced transactions, OP style
//!                                                           `- RemoteDriver   any process over HTTP (KvMachine)
//! ```
//!
//! Guarantees, each with the test that defends it:
//!
//! - **D1** The same lane gives the same intervals on every node, each transaction in one of them, in order
//!   (`intervals_hold_every_transaction_once_in_order_wherever_quiet_blocks_lie`).
//! - **D2** What is skipped follows from the lane and the parent's state, by the same rule on every node (`evm/tests.rs`,
//!   `tests/e2e/conduct.sh`).
//! - **D3** Killed at any point, it goes on without a gap and without executing a block twice over
//!   (`tests/crashes.rs`, `tests/e2e/conduct.sh`).
//! - **D4** A node that takes or refuses a list as a whole ends with what fits one after the other
//!   (`what_is_included_is_what_fits_one_after_the_other`).
//! - **D5** A node that has other blocks than were executed is found out, and nothing is built on them
//!   (`a_node_with_another_block_is_found_out`).
//!
//! Assumptions: nobody else makes blocks on the execution node; the member tells the truth about what is final (ids are
//! checked, certificates are not).
//!
//! Failure modes: member or node away: it waits and says so once. Node restarted empty: the lane is executed again from its
//! genesis and every block compared. Anything else stops it with a [`ConductError`].
//!
//! Limits: [`INTERVAL_MAX`], [`TRANSACTIONS_PER_INTERVAL_MAX`], [`INTERVAL_BYTES_MAX`], [`RECORDS_KEPT`], [`REQUEST_TIMEOUT`],
//! [`ANSWER_BYTES_MAX`], [`OFFENDERS_MAX`], [`STEP_LISTS_KEPT`], [`UNTOLD_MAX`], [`CLAIMS_MAX`].
//!
//! Beside it: [`Certifier`] signs what was executed, [`StepLog`] keeps what each transaction did (`tests/compare.rs`), and `open`
//! and [`live`] run a short-lived rollup from its registration to its [`FinalFile`] (`tests/e2e/rollup.sh`).
//!
//! Deliberately absent: settlement, receipts for wallets.

mod aggregate;
mod anvil;
mod bisect;
mod certify;
mod conduct;
mod engine;
mod engine_api;
mod evm;
mod evm_node;
mod execution;
mod http;
mod journal;
mod jwt;
mod kv;
mod kv_server;
mod lane;
mod member_lane;
mod mirror;
mod options;
mod remote;
mod rollup;
mod rpc;
mod skip;
mod steps;

pub use aggregate::{Aggregator, INTERVAL_BYTES_MAX, Interval, TRANSACTIONS_PER_INTERVAL_MAX};
pub use anvil::AnvilDriver;
pub use certify::{Certifier, CertifyError, Outcome, UNTOLD_MAX};
pub use conduct::{ConductError, Event, Plan, conduct};
pub use engine::{EngineDriver, OFFENDERS_MAX};
pub use engine_api::Engine;
pub use evm_node::EvmNode;
pub use execution::{BlockRef, DriverError, Executed, ExecutionDriver};
pub use http::{ANSWER_BYTES_MAX, HttpError, REQUEST_TIMEOUT};
pub use journal::{Journal, JournalError, RECORDS_KEPT, Record, Subject};
pub use jwt::{JwtSecret, NotASecret};
pub use kv::{KvMachine, UnknownParent};
pub use kv_server::serve as serve_kv;
pub use lane::{Cursor, Lane, LaneBlock, LaneError, LaneItem, MemoryLane};
pub use member_lane::MemberLane;
pub use mirror::MirrorDriver;
pub use options::{DriverKind, INTERVAL_MAX, Options, StartError, run};
pub use remote::{ExecuteAnswer, ExecuteRequest, RemoteDriver, RemoteEnvironment, RemoteSkip};
pub use rollup::{
    AccountClaim, CLAIMS_MAX, CheckedFinal, Claims, FINAL_BYTES_MAX, FINAL_VERSION, FinalBlock,
    FinalError, FinalFile, KvClaim, LiveEvent, LiveOptions, OpenOptions, RollupError, RollupFolder,
    close, draw, live, register,
};
pub use rpc::Rpc;
pub use skip::{SkipReason, Skipped};
pub use steps::{
    Difference, STEP_LISTS_KEPT, STEPS_BYTES_MAX, STEPS_VERSION, Step, StepList, StepLog,
    StepsError,
};
