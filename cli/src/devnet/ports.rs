//! Free ports for a new folder, below those that the system gives to outgoing connections.
//!
//! Members dial each other all the time. A port from the ephemeral range could be taken by such a connection while its
//! member is down (even by one that connects to itself), and the member could not start again.

use crate::failure::Failure;
use crate::folder::Ports;
use std::net::{Ipv4Addr, TcpListener};

const FIRST: u16 = 10_000;
/// Used if the system does not say where its ephemeral ports begin.
const EPHEMERAL_FIRST_DEFAULT: u16 = 32_768;
const TRIES_MAX: u32 = 4_096;

/// Three ports a member, each free now.
pub fn free(members: usize) -> Result<Vec<Ports>, Failure> {
    let end = ephemeral_first().max(FIRST + 4_096);
    let mut at = FIRST + start(end - FIRST)?;
    // Held until all are found, so that none is found twice.
    let mut held: Vec<(TcpListener, u16)> = Vec::with_capacity(3 * members);
    for _ in 0..TRIES_MAX {
        if held.len() == 3 * members {
            break;
        }
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, at)) {
            held.push((listener, at));
        }
        at = if at + 1 < end { at + 1 } else { FIRST };
    }
    if held.len() < 3 * members {
        return Err(Failure::Ports { tries: TRIES_MAX });
    }
    Ok(held
        .chunks_exact(3)
        .map(|ports| Ports {
            p2p: ports[0].1,
            rpc: ports[1].1,
            metrics: ports[2].1,
        })
        .collect())
}

/// Somewhere in the range, so that two folders made at the same time rarely meet.
fn start(range: u16) -> Result<u16, Failure> {
    let mut bytes = [0; 2];
    getrandom::fill(&mut bytes).map_err(Failure::Random)?;
    Ok(u16::from_le_bytes(bytes) % range)
}

fn ephemeral_first() -> u16 {
    std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|text| text.split_whitespace().next()?.parse().ok())
        .unwrap_or(EPHEMERAL_FIRST_DEFAULT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ports_are_distinct() {
        let ports = free(4).unwrap();
        let all: BTreeSet<u16> = ports
            .iter()
            .flat_map(|ports| [ports.p2p, ports.rpc, ports.metrics])
            .collect();
        assert_eq!(all.len(), 12);
        assert!(all.iter().all(|port| *port >= FIRST));
    }
}
