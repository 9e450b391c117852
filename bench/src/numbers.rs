//! Numbers as people write and read them: durations, chances, percentiles, thousands.

use std::time::Duration;

/// The longest duration of an option.
const DURATION_MAX: Duration = Duration::from_secs(3_600);

/// `50ms`, `30s` or `5m`; a number alone is seconds. Zero is allowed.
pub fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let wrong = || format!("{text:?} is not a duration from 0 to 1 h, as 50ms, 30s or 5m");
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let factor = match &text[digits.len()..] {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        _ => return Err(wrong()),
    };
    number
        .checked_mul(factor)
        .map(Duration::from_millis)
        .filter(|duration| *duration <= DURATION_MAX)
        .ok_or_else(wrong)
}

/// `1%` or `0.01`, from 0 to 0.5.
pub fn chance(text: &str) -> Result<f64, String> {
    let wrong = || format!("{text:?} is not a chance from 0 to 50%, as 1% or 0.01");
    let (digits, scale) = match text.strip_suffix('%') {
        Some(digits) => (digits, 100.0),
        None => (text, 1.0),
    };
    let number: f64 = digits.parse().map_err(|_| wrong())?;
    let chance = number / scale;
    // Not a number is outside of every range.
    if (0.0..=0.5).contains(&chance) {
        Ok(chance)
    } else {
        Err(wrong())
    }
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

/// As a fraction. Counts beyond 2^53 do not occur.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of transactions and bytes of one run are far below 2^53"
)]
pub const fn float(count: u64) -> f64 {
    count as f64
}

/// `count / by`, with three digits after the point; none if there is nothing to divide by.
pub fn ratio(count: f64, by: f64) -> Option<f64> {
    (by > 0.0).then(|| (count / by * 1_000.0).round() / 1_000.0)
}

/// Microseconds of a duration.
pub fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Microseconds as milliseconds with two digits.
pub fn millis(micros: Option<u64>) -> String {
    micros.map_or_else(
        || "-".to_owned(),
        |micros| format!("{}.{:02} ms", micros / 1_000, micros % 1_000 / 10),
    )
}

/// Bytes as megabytes with one digit.
pub fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", float(bytes) / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        assert_eq!(duration("50ms"), Ok(Duration::from_millis(50)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        assert_eq!(duration("30"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("60m"), Ok(DURATION_MAX));
        for wrong in ["", "ms", "-1s", "1.5s", "61m", "99999999999999999999m"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn chances_are_read() {
        assert_eq!(chance("1%"), Ok(0.01));
        assert_eq!(chance("0.01"), Ok(0.01));
        assert_eq!(chance("0"), Ok(0.0));
        assert_eq!(chance("50%"), Ok(0.5));
        for wrong in ["", "%", "51%", "-1%", "1", "NaN", "inf"] {
            assert!(chance(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn percentiles_are_nearest_ranks() {
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!(percentile(&hundred, 50), Some(50));
        assert_eq!(percentile(&hundred, 99), Some(99));
        assert_eq!(percentile(&hundred, 100), Some(100));
        assert_eq!(percentile(&[1, 2], 50), Some(1));
        assert_eq!(percentile(&[1, 2], 51), Some(2));
        assert_eq!(percentile(&[7], 1), Some(7));
        assert_eq!(percentile(&[], 50), None);
    }

    #[test]
    fn numbers_have_few_digits() {
        assert_eq!(millis(Some(12_345)), "12.34 ms");
        assert_eq!(millis(Some(99)), "0.09 ms");
        assert_eq!(millis(None), "-");
        assert_eq!(ratio(1.0, 3.0), Some(0.333));
        assert_eq!(ratio(1.0, 0.0), None);
        assert_eq!(megabytes(1_250_000), "1.2 MB");
    }
}
