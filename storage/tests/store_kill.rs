//! A real process that writes to a store is killed with -9, again and again: what it synced is there.
//!
//! The test starts its own binary as the writer, which says after each sync what is durable.

#![allow(
    clippy::unwrap_used,
    reason = "clippy allows it in tests, but not in what they share"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use bytes::Bytes;
use outrider_storage::{SledStore, Store, StoreOptions, Table};

const FOLDER: &str = "OUTRIDER_STORE_KILL_TEST_FOLDER";
const KEYS: u64 = 200;

/// Keys look random, as ids do.
fn id(round: u64, key: u64) -> [u8; 16] {
    let mixed = (round * KEYS + key).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (u128::from(mixed.reverse_bits()) << 64 | u128::from(mixed)).to_be_bytes()
}

fn number(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes.try_into().unwrap())
}

fn rounds(store: &SledStore) -> u64 {
    let found = store.get(Table::Meta, b"tip").unwrap();
    found.map_or(0, |bytes| number(&bytes))
}

/// Each round puts new keys, deletes every other one of the round before, and counts itself.
fn write(folder: &Path) {
    let mut store = SledStore::open(folder, StoreOptions::default()).unwrap();
    let mut round = rounds(&store);
    loop {
        round += 1;
        for key in 0..KEYS {
            let value = Bytes::copy_from_slice(&round.to_be_bytes());
            store
                .put(Table::Transaction, &id(round, key), value)
                .unwrap();
            if key % 2 == 0 {
                store
                    .delete(Table::Transaction, &id(round - 1, key))
                    .unwrap();
            }
        }
        let value = Bytes::copy_from_slice(&round.to_be_bytes());
        store.put(Table::Meta, b"tip", value).unwrap();
        store.sync().unwrap();
        let mut out = std::io::stdout().lock();
        writeln!(out, "synced {round}").unwrap();
        out.flush().unwrap();
        if round.is_multiple_of(16) {
            store.reclaim().unwrap();
        }
    }
}

#[test]
fn process_killed_while_the_index_is_brought_up_to_date_loses_nothing_synced() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return write(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    // Changes of about 55 rounds are applied at a time.
    for lines in [3, 54, 56, 58, 110, 113] {
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture"])
            .arg("process_killed_while_the_index_is_brought_up_to_date_loses_nothing_synced")
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(writer.stdout.take().unwrap());
        let said = out.lines().map_while(Result::ok);
        let said = said.filter_map(|line| line.strip_prefix("synced ")?.parse::<u64>().ok());
        let synced = said.take(lines).last().unwrap();
        writer.kill().unwrap();
        writer.wait().unwrap();
        let store = SledStore::open(folder.path(), StoreOptions::default()).unwrap();
        let last = rounds(&store);
        assert!(last >= synced, "{last} of {synced}");
        for round in 1..=last {
            for key in 0..KEYS {
                let found = store.get(Table::Transaction, &id(round, key)).unwrap();
                let gone = key % 2 == 0 && round < last;
                if round == last {
                    assert_eq!(found.as_deref().map(number), Some(round));
                } else if gone {
                    // Of the round that was cut off, the first changes may be there.
                    assert_eq!(found, None, "{key} of {round}, {last}");
                } else {
                    assert_eq!(found.as_deref().map(number), Some(round));
                }
            }
        }
    }
}
