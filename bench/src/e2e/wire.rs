//! Bytes between members, as the kernel counts them: `ss` at the end of each connection that was dialled.
//!
//! A connection has its listener's port at one end only, so each is counted once, both directions together. Acknowledged
//! payload of TCP, so without headers and without what is sent again.

use super::failure::Failure;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use tokio::process::Command;

/// Bytes by connection (local, then other end).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wire(BTreeMap<(String, String), u64>);

impl Wire {
    /// So far, of the connections to members that listen there.
    pub async fn mark(listeners: &[SocketAddr]) -> Result<Self, Failure> {
        let mut filter = Vec::new();
        for listener in listeners {
            if !filter.is_empty() {
                filter.push("or".to_owned());
            }
            filter.push(format!("sport = :{}", listener.port()));
        }
        let program = Path::new("ss");
        let output = Command::new(program)
            .args(["-tinHO", "state", "established"])
            .arg(filter.join(" "))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(Failure::file("start", program))?;
        Ok(Self::read(&String::from_utf8_lossy(&output.stdout)))
    }

    /// The lines of `ss -tinHO state established`: two queues, local and other end, then `name:value` words.
    fn read(text: &str) -> Self {
        let line = |line: &str| {
            let mut words = line.split_whitespace().skip(2);
            let ends = (words.next()?.to_owned(), words.next()?.to_owned());
            let mut bytes = 0;
            for word in words {
                let value = word
                    .strip_prefix("bytes_acked:")
                    .or_else(|| word.strip_prefix("bytes_received:"));
                bytes += value.map_or(Some(0_u64), |value| value.parse().ok())?;
            }
            Some((ends, bytes))
        };
        Self(text.lines().filter_map(line).collect())
    }

    /// Bytes since an earlier mark; why not, if connections came or went.
    pub fn since(&self, earlier: &Self) -> Result<u64, String> {
        if earlier.0.is_empty() {
            return Err("`ss` shows no connection".to_owned());
        }
        if !self.0.keys().eq(earlier.0.keys()) {
            return Err("connections broke meanwhile".to_owned());
        }
        let bytes = self.0.iter().zip(earlier.0.values());
        Ok(bytes
            .map(|((_, now), then)| now.saturating_sub(*then))
            .sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EARLY: &str = "0 0 127.0.0.1:1 127.0.0.1:9 cubic wscale:7,7 bytes_sent:12 bytes_acked:10 bytes_received:5 segs_out:2\n\
        0 0 127.0.0.1:2 127.0.0.1:8 cubic bytes_received:7\n";

    #[test]
    fn both_directions_count() {
        let early = Wire::read(EARLY);
        assert_eq!(early.0.values().copied().collect::<Vec<_>>(), [15, 7]);
        let late = Wire::read(&EARLY.replace("acked:10", "acked:100"));
        assert_eq!(late.since(&early), Ok(90));
    }

    #[test]
    fn broken_connections_are_no_figure() {
        let early = Wire::read(EARLY);
        let other = Wire::read(&EARLY.replace("127.0.0.1:8", "127.0.0.1:7"));
        assert!(other.since(&early).unwrap_err().contains("broke"));
        assert!(early.since(&Wire::default()).unwrap_err().contains("ss"));
    }
}
