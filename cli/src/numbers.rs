//! Durations as people write them, and percentiles.

use std::time::Duration;

/// The longest duration of a run.
const DURATION_MAX: Duration = Duration::from_secs(7 * 24 * 3_600);

/// `500ms`, `30s`, `5m` or `1h`; a number alone is seconds. Zero is refused.
pub fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let wrong =
        || format!("{text:?} is not a duration from 1ms to 7 days, as 500ms, 30s, 5m or 1h");
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let factor = match &text[digits.len()..] {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    number
        .checked_mul(factor)
        .map(Duration::from_millis)
        .filter(|duration| !duration.is_zero() && *duration <= DURATION_MAX)
        .ok_or_else(wrong)
}

/// The smallest of `sorted` that at least `percent` of them do not exceed (nearest rank); none if it is empty.
pub fn percentile(sorted: &[u64], percent: usize) -> Option<u64> {
    assert!(
        sorted.is_sorted() && (1..=100).contains(&percent),
        "nearest rank of a sorted list"
    );
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

/// Microseconds as milliseconds with one digit.
pub fn millis(micros: Option<u64>) -> String {
    micros.map_or_else(
        || "-".to_owned(),
        |micros| format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("30"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("168h"), Ok(DURATION_MAX));
        for wrong in [
            "",
            "s",
            "0s",
            "-1s",
            "1.5s",
            "1d",
            "169h",
            "99999999999999999999h",
            "18446744073709551615h",
        ] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn percentiles_are_nearest_ranks() {
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!(percentile(&hundred, 50), Some(50));
        assert_eq!(percentile(&hundred, 99), Some(99));
        assert_eq!(percentile(&hundred, 100), Some(100));
        assert_eq!(percentile(&[7], 1), Some(7));
        assert_eq!(percentile(&[1, 2], 50), Some(1));
        assert_eq!(percentile(&[1, 2], 51), Some(2));
        assert_eq!(percentile(&[], 50), None);
    }

    #[test]
    fn milliseconds_have_one_digit() {
        assert_eq!(millis(Some(12_345)), "12.3 ms");
        assert_eq!(millis(Some(99)), "0.0 ms");
        assert_eq!(millis(None), "-");
    }
}
