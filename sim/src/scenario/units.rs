//! How values are written in a scenario file: durations, bandwidths, hosts, delays. Each is read and written here, so that
//! what is written is read back.

use super::{EVER, Jitter, Latency, preset};
use crate::fact::Micros;
use std::fmt::Write as _;

/// Longest duration that is not for ever: ten days.
pub(super) const DURATION_MAX: Micros = 10 * 24 * 3_600 * 1_000_000;

/// Units of durations, the longest first.
const TIMES: [(&str, Micros); 4] = [
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

/// Units of bandwidth in bits per second, the largest first.
const RATES: [(&str, u64); 4] = [
    ("Gbit", 1_000_000_000),
    ("Mbit", 1_000_000),
    ("kbit", 1_000),
    ("bit", 1),
];

/// `3m`, `5s`, `400ms`, `20us`, `0`.
pub(super) fn duration(text: &str) -> Result<Micros, String> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = &text[digits.len()..];
    let wrong = || {
        format!(
            "`{text}` is no duration; write a whole number and us, ms, s or m, such as \"400ms\""
        )
    };
    let number: Micros = digits.parse().map_err(|_| wrong())?;
    if unit.is_empty() && number == 0 {
        return Ok(0);
    }
    let (_, factor) = TIMES
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or_else(wrong)?;
    let micros = number.checked_mul(*factor);
    micros
        .filter(|micros| *micros <= DURATION_MAX)
        .ok_or_else(|| format!("`{text}` is more than ten days"))
}

/// The same, in the longest unit that divides it.
pub(super) fn write_duration(micros: Micros) -> String {
    let fits = |(_, factor): &&(&str, Micros)| micros > 0 && micros.is_multiple_of(*factor);
    let (unit, factor) = TIMES.iter().find(fits).unwrap_or(&TIMES[1]);
    format!("{}{unit}", micros / factor)
}

/// A duration, or `ever`.
pub(super) fn lasting(text: &str) -> Result<Micros, String> {
    match text.trim() {
        "ever" => Ok(EVER),
        text => duration(text),
    }
}

/// The same, written.
pub(super) fn write_lasting(micros: Micros) -> String {
    match micros {
        EVER => "ever".to_owned(),
        micros => write_duration(micros),
    }
}

/// A duration with a sign: `+300ms`, `-2s`.
pub(super) fn skew(text: &str) -> Result<i64, String> {
    let text = text.trim();
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let micros = duration(rest)?;
    i64::try_from(micros)
        .map(|micros| sign * micros)
        .map_err(|_| format!("`{text}` is too long"))
}

/// The same, written.
pub(super) fn write_skew(micros: i64) -> String {
    let sign = if micros < 0 { '-' } else { '+' };
    format!("{sign}{}", write_duration(micros.unsigned_abs()))
}

/// `100Mbit` per second, in bytes per second.
pub(super) fn bandwidth(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let wrong = || {
        format!(
            "`{text}` is no bandwidth; write a whole number and bit, kbit, Mbit or Gbit, such as \"100Mbit\""
        )
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let unit = &text[digits.len()..];
    let (_, factor) = RATES
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or_else(wrong)?;
    let bits = number.checked_mul(*factor).ok_or_else(wrong)?;
    if bits < 8_000 {
        return Err(format!(
            "`{text}` is less than 8kbit, which carries nothing"
        ));
    }
    if !bits.is_multiple_of(8) {
        return Err(format!(
            "`{text}` is not a whole number of bytes per second"
        ));
    }
    Ok(bits / 8)
}

/// The same, in the largest unit that divides it.
pub(super) fn write_bandwidth(bytes: u64) -> String {
    let bits = bytes.saturating_mul(8);
    let fits = |(_, factor): &&(&str, u64)| bits.is_multiple_of(*factor);
    let (unit, factor) = RATES.iter().find(fits).unwrap_or(&RATES[3]);
    format!("{}{unit}", bits / factor)
}

/// `m3`.
pub(super) fn host(text: &str) -> Result<usize, String> {
    let number = text.trim().strip_prefix('m');
    number
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| format!("`{text}` is no host; hosts are \"m0\", \"m1\" and so on"))
}

/// The same, written.
pub(super) fn write_host(host: usize) -> String {
    format!("m{host}")
}

/// `10ms..20ms`, `20ms`, `lan`, `aws`, `csv:FILE`. `read` reads a file.
pub(super) fn latency(
    text: &str,
    read: &dyn Fn(&str) -> Result<String, String>,
) -> Result<Latency, String> {
    let text = text.trim();
    if let Some(file) = text.strip_prefix("csv:") {
        return csv(file, &read(file)?);
    }
    match (text, text.split_once("..")) {
        ("lan", _) => Ok(preset::lan()),
        ("aws", _) => Ok(preset::aws()),
        (_, Some((low, high))) => Ok(Latency::Uniform(duration(low)?, duration(high)?)),
        (_, None) => duration(text).map(Latency::Constant).map_err(|_| {
            format!(
                "`{text}` is no latency; write \"lan\", \"aws\", \"20ms\", \"10ms..20ms\", \"csv:FILE\" or rows of durations"
            )
        }),
    }
}

/// Rows of one-way delays in milliseconds, with commas; lines that begin with `#` are skipped.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range was checked"
)]
fn csv(file: &str, text: &str) -> Result<Latency, String> {
    let mut rows = Vec::new();
    let lines = text.lines().enumerate();
    for (number, line) in
        lines.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
    {
        let mut row = Vec::new();
        for cell in line.split(',') {
            let delay: Option<f64> = cell.trim().parse().ok();
            let delay = delay.filter(|delay| (0.0..=600_000.0).contains(delay));
            let Some(delay) = delay else {
                return Err(format!(
                    "`{file}` line {}: `{}` is no delay in milliseconds",
                    number + 1,
                    cell.trim()
                ));
            };
            row.push((delay * 1_000.0).round() as Micros);
        }
        rows.push(row);
    }
    Ok(Latency::Matrix(rows))
}

/// Written as a TOML value.
pub(super) fn write_latency(latency: &Latency) -> String {
    if *latency == preset::aws() {
        return "\"aws\"".to_owned();
    }
    match latency {
        Latency::Constant(delay) => format!("\"{}\"", write_duration(*delay)),
        Latency::Uniform(low, high) => {
            format!("\"{}..{}\"", write_duration(*low), write_duration(*high))
        }
        Latency::Matrix(rows) => {
            let mut text = "[".to_owned();
            for row in rows {
                let row: Vec<String> = row
                    .iter()
                    .map(|delay| format!("\"{}\"", write_duration(*delay)))
                    .collect();
                let _ = write!(text, "[{}], ", row.join(", "));
            }
            text.truncate(text.len().saturating_sub(2));
            text + "]"
        }
    }
}

/// `none`, `uniform:5ms`, `lognormal:5ms,0.5`.
pub(super) fn jitter(text: &str) -> Result<Jitter, String> {
    let text = text.trim();
    let wrong = || {
        format!("`{text}` is no jitter; write \"none\", \"uniform:5ms\" or \"lognormal:5ms,0.5\"")
    };
    if text == "none" {
        return Ok(Jitter::None);
    }
    if let Some(most) = text.strip_prefix("uniform:") {
        return duration(most).map(Jitter::Uniform).map_err(|_| wrong());
    }
    let (median, deviation) = text
        .strip_prefix("lognormal:")
        .and_then(|rest| rest.split_once(','))
        .ok_or_else(wrong)?;
    let deviation: f64 = deviation.trim().parse().map_err(|_| wrong())?;
    if !(0.0..=5.0).contains(&deviation) {
        return Err(format!("`{text}`: the deviation must be from 0 to 5"));
    }
    let median = duration(median).map_err(|_| wrong())?;
    Ok(Jitter::LogNormal(median, deviation))
}

/// The same, written.
pub(super) fn write_jitter(jitter: Jitter) -> String {
    match jitter {
        Jitter::None => "none".to_owned(),
        Jitter::Uniform(most) => format!("uniform:{}", write_duration(most)),
        Jitter::LogNormal(median, deviation) => {
            format!("lognormal:{},{deviation:?}", write_duration(median))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_back_in_their_longest_unit() {
        for (text, micros) in [
            ("400ms", 400_000),
            ("5s", 5_000_000),
            ("3m", 180_000_000),
            ("7us", 7),
        ] {
            assert_eq!(duration(text), Ok(micros));
            assert_eq!(write_duration(micros), text);
        }
        assert_eq!((duration("0"), duration("0s")), (Ok(0), Ok(0)));
        assert_eq!(write_duration(0), "0s");
        assert_eq!(write_duration(1_500), "1500us");
        assert!(duration("14400m").is_ok() && duration("14401m").is_err());
        for wrong in [
            "",
            "5",
            "-5s",
            "5 s",
            "1.5s",
            "s",
            "5sec",
            "99999999999999999999s",
        ] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn signs_ends_and_units_are_read_back() {
        for micros in [-2_000_000, 0, 300_000] {
            assert_eq!(skew(&write_skew(micros)), Ok(micros));
        }
        assert!(skew("--2s").is_err());
        assert_eq!(lasting(&write_lasting(EVER)), Ok(EVER));
        assert_eq!(bandwidth("100Mbit"), Ok(12_500_000));
        for bytes in [1_000, 12_500_000, 125_000_000, 1_001] {
            assert_eq!(bandwidth(&write_bandwidth(bytes)), Ok(bytes));
        }
        assert!(bandwidth("7kbit").is_err() && bandwidth("8001bit").is_err());
        assert_eq!(host("m12"), Ok(12));
        assert!(host("12").is_err() && host("m").is_err() && host("m+1").is_err());
    }

    #[test]
    fn a_matrix_file_is_rows_of_milliseconds() {
        let read = |_: &str| Ok("# one way\n0.5, 10\n10,0.5\n".to_owned());
        let rows = vec![vec![500, 10_000], vec![10_000, 500]];
        assert_eq!(latency("csv:two", &read), Ok(Latency::Matrix(rows)));
        let bad = |_: &str| Ok("1,x".to_owned());
        assert!(latency("csv:bad", &bad).is_err_and(|reason| reason.contains("line 1")));
    }
}
