//! Bytes on disk: the vote journal, without which a member must not vote, and the store, which can be
//! fetched again.
//!
//! ```text
//!                       DataDirLock           one process per folder
//!                            |
//!   safety state -> Journal -+- FileJournal   votes-0.journal <-> votes-1.journal    begin: fdatasync in a
//!                            |                                                       thread; settle: wait
//!                            |
//!   blocks, ...  -> Store ---+- SledStore     segments/*.segment  (the bytes)        fdatasync in sync
//!                            |                index/              (sled: where they are; rebuilt at will)
//!                            +- MemoryDisk    both, in memory, losing at a crash what was not synced
//! ```
//!
//! # Guarantees
//!
//! | id | guarantee | defended by |
//! |---|---|---|
//! | S1 | After any crash `latest` is the record last settled or one begun since, or the journal does not open. | `journal_damage::torn_tail_at_every_byte_gives_the_record_before`, `journal_damage::crash_while_a_begun_record_is_written_gives_a_begun_one`, `journal_damage::crash_between_the_steps_of_a_switch_loses_nothing` |
//! | S2 | Damage which no crash explains is never taken for a torn tail. | `journal_damage::flipped_byte_anywhere_is_fatal_and_explained` |
//! | S3 | A lost or older journal file is noticed, not voted from. | `journal_damage::lost_or_old_file_of_the_pair_is_refused` |
//! | S4 | The journal is two files of fixed size for ever. | `journal_damage::many_generations_stay_at_two_files_of_fixed_size` |
//! | S5 | After a failed write or sync a journal or store takes nothing more. | `journal::tests::failed_write_poisons_the_journal_until_it_is_opened_again`, `journal::tests::failed_write_of_a_begun_record_is_told_once_by_settle_and_never_forgotten`, `sled_store::tests::failed_write_poisons_the_store_until_it_is_opened_again`, `store_conformance::failed_sync_in_a_simulated_world_poisons_the_handle` |
//! | S6 | After a crash the store holds what was synced, then a prefix in order of the changes since. | `store_conformance::*_store_agrees_with_a_map`, `store_damage::torn_tail_at_every_byte_keeps_a_prefix` |
//! | S7 | A value that is returned is the one that was put: checksums are verified on every read. | `store_damage::flipped_byte_in_a_value_is_an_error_of_get` |
//! | S8 | A lost or damaged index is rebuilt from the segments. | `store_damage::lost_index_is_rebuilt`, `store_damage::garbage_in_the_index_is_rebuilt`, `store_damage::index_that_cannot_be_opened_is_put_aside_and_rebuilt` |
//! | S9 | Two processes never have one folder open. | `lock::tests::second_lock_is_refused_*`, `store_damage::second_open_is_refused` |
//! | S10 | The bytes on disk do not change by accident. | `journal::tests::bytes_of_a_file_are_pinned`, `segments::tests::bytes_of_header_and_frame_are_pinned` |
//! | S11 | Begun records are written in their order, one at a time; one that still waits is superseded by the next. | `journal::tests::record_that_waits_is_superseded_and_one_being_written_is_not`, `journal_conformance::journal_settles_the_last_begun_record_and_invents_none` |
//! | S12 | A record changes neither length nor blocks of its file, so its sync writes no metadata. | `journal_damage::record_changes_neither_length_nor_blocks_of_its_file` |
//! | S13 | Deleted values give their space back: at most about half of a log of several segments is dead once `reclaim` has nothing to do. | `store_conformance::bytes_on_disk_fall_when_most_values_are_deleted_and_reclaimed` |
//! | S14 | The simulated adapters keep the same contract as the real ones. | `store_conformance`, `journal_conformance`, run on both |
//!
//! # Limits
//!
//! Journal record 1 byte to 1 MiB (and what fits a file of 8 KiB to 1 GiB, default 4 MiB), two begun
//! and not settled: one being written, one waiting. One thread per journal. Key 64
//! bytes, value 64 MiB, values up to 256 bytes in the index itself. Unsynced changes 16 MiB, then a
//! change syncs those before it. Segment 4 KiB to 1 GiB, default 64 MiB, longer only for one value
//! that does not fit. `range` 4,096 entries. 64 sealed segments open for reading. Overwritten and
//! deleted values take space until `Store::reclaim` gives it back.
//!
//! # Assumptions
//!
//! A sector of 512 bytes is written whole or not at all; `rename` is atomic; `fdatasync` and `fsync` keep
//! their word. Not noticed: both journal files deleted together (it looks like a first start), both set
//! back together to an older snapshot, and damage to the newest record that looks exactly like a
//! torn write. The operator's rule stays: never restore a journal from a backup.
//!
//! # Failure modes
//!
//! Every error says what failed, why, and what the operator can do. A journal that does not open: the
//! member must not vote in this epoch. A store that does not open: move its folder away, the blocks are
//! fetched from other members. An index that cannot be read, or was open when the machine (not just
//! the process) went down, is moved to `index.damaged` and rebuilt with a warning.
//!
//! # Deliberately absent
//!
//! Encodings (bytes in, bytes out: `outrider-types` lays them out), async (a call blocks; the caller picks
//! the thread, only `Journal::begin` has one of its own), retries (a disk that failed once is not asked again), compression, encryption.

mod disk;
mod index;
mod journal;
mod lock;
mod memory;
mod pending;
mod segments;
mod sled_store;
mod store;

pub use journal::{
    FileJournal, JOURNAL_FILE_BYTES, JOURNAL_FILE_BYTES_MAX, JOURNAL_FILE_BYTES_MIN, Journal,
    JournalError, JournalOptions, RECORD_BYTES_MAX,
};
pub use lock::{DataDirLock, LOCK_FILE, LockError};
pub use memory::{MemoryDisk, MemoryJournal, MemoryStore};
pub use sled_store::{SledStore, StoreOptions};
pub use store::{KEY_BYTES_MAX, RANGE_ENTRIES_MAX, Store, StoreError, Table, VALUE_BYTES_MAX};
