//! The settlement chain in the simulator: the committed bytecode of the six contracts in revm, without a process, a socket or a
//! clock. Time and block number are arguments, so one list of transactions always comes to one state.
//!
//! ```text
//! kernel with `forkers` ---------------\
//!                                       Fork (two final blocks, evidence, what was signed) --> trial::judge --> Verdict
//! random rules (finality/tests/forked) -/                                                     (Network on L1 in revm)
//! ```
//!
//! What `judge` holds the contracts to, for every fork: operators of stake f+1 or more are slashable, and nobody honest,
//! whatever pair of what an honest member signed is reported; what is altered or reported twice is refused; after the veto
//! window the stake is gone, a tenth of it with the reporter; the next snapshot is without them; and two attested blocks of
//! one height freeze the anchor and by that alone make f+1 slashable.
//!
//! A workspace of its own: revm stays out of the default build. `cargo xtask ci --only evm` runs it.

pub mod chain;
pub mod fork;
pub mod network;
pub mod said;
pub mod trial;
