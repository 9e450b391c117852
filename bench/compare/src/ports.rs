//! Free ports for the members of a run, below those that the system gives to outgoing connections.

use crate::error::CompareError;
use crate::numbers::now_us;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

const FIRST: u16 = 10_000;
/// Ours end here: Linux gives outgoing connections ports from 32,768 on, if not told otherwise.
const END: u16 = 32_000;
/// How often a run of free ports is looked for.
const TRIES_MAX: u32 = 1_024;

/// The first of so many ports in a row that are free now.
pub fn in_a_row(count: u16) -> Result<u16, CompareError> {
    let room = u64::from(END - FIRST - count.min(END - FIRST - 1));
    for attempt in 0..TRIES_MAX {
        // Somewhere, so that the next run does not meet connections of the last one that still end.
        let offset = (now_us() / 7 + u64::from(attempt) * 37) % room;
        let base = FIRST + u16::try_from(offset).unwrap_or(0);
        let held: Result<Vec<TcpListener>, _> = (base..base + count)
            .map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)))
            .collect();
        if held.is_ok() {
            return Ok(base);
        }
    }
    Err(CompareError::Ports {
        count,
        tries: TRIES_MAX,
    })
}

/// One address a member.
pub fn addresses(members: usize) -> Result<Vec<SocketAddr>, CompareError> {
    let count = u16::try_from(members).unwrap_or(u16::MAX);
    let base = in_a_row(count)?;
    let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    Ok((base..base + count).map(address).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_free_and_in_a_row() {
        let found = addresses(4).unwrap();
        for (offset, address) in (0..4).zip(&found) {
            assert_eq!(address.port(), found[0].port() + offset);
            drop(TcpListener::bind(address).unwrap());
        }
    }
}
