//! Delays and stakes that have a name.

use super::Latency;
use crate::fact::Micros;

/// Regions of [`aws`], in the order of its rows; host `i` is in region `i mod 10`.
pub const AWS_REGIONS: [&str; 10] = [
    "us-east-1",
    "us-west-2",
    "ca-central-1",
    "sa-east-1",
    "eu-west-1",
    "eu-central-1",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-northeast-1",
];

/// Round trips in milliseconds; row `i` says those to the regions before `i` and within `i`.
///
/// Typical medians between the regions of AWS as public measurements show them (cloudping.co and the like, 2024 and 2025),
/// from memory and rounded to about 5 ms; single days differ by 10 % and more. Good for the shape of a wide area, not for a
/// claim about a place.
const AWS_ROUND_TRIPS_MS: [&[Micros]; 10] = [
    &[1],
    &[65, 1],
    &[15, 60, 1],
    &[115, 175, 125, 1],
    &[70, 120, 70, 175, 1],
    &[90, 140, 90, 200, 25, 1],
    &[190, 220, 195, 300, 120, 120, 1],
    &[215, 160, 210, 320, 175, 160, 60, 1],
    &[200, 140, 200, 310, 255, 250, 150, 90, 1],
    &[150, 100, 145, 255, 200, 225, 130, 70, 105, 1],
];

/// Ten regions of a public cloud: half of the round trip each way.
#[must_use]
pub fn aws() -> Latency {
    let regions = AWS_ROUND_TRIPS_MS.len();
    let one_way = |row: usize, column: usize| {
        AWS_ROUND_TRIPS_MS[row.max(column)][row.min(column)] * 1_000 / 2
    };
    let rows = (0..regions).map(|row| (0..regions).map(|column| one_way(row, column)).collect());
    Latency::Matrix(rows.collect())
}

/// One building: 0.2 to 0.5 ms.
#[must_use]
pub const fn lan() -> Latency {
    Latency::Uniform(200, 500)
}

/// Stakes by rank: the first member has 1000, member `i` has `1000 / (i + 1)^exponent`, rounded, at least 1.
#[must_use]
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "from 1 to 1000"
)]
pub fn zipf(members: usize, exponent: f64) -> Vec<u64> {
    let stake = |rank: usize| {
        let share = 1_000.0 / ((rank + 1) as f64).powf(exponent);
        (share.round() as u64).max(1)
    };
    (0..members).map(stake).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cloud_is_symmetric_and_a_region_is_near_itself() {
        let Latency::Matrix(rows) = aws() else {
            panic!("a matrix");
        };
        for (row, delays) in rows.iter().enumerate() {
            assert_eq!(delays.len(), AWS_REGIONS.len());
            assert_eq!(delays[row], 500);
            assert!((0..10).all(|column| delays[column] == rows[column][row]));
        }
        assert_eq!(rows[0][4], 35_000);
    }

    #[test]
    fn zipf_falls_and_never_to_nothing() {
        let stakes = zipf(13, 1.2);
        assert_eq!((stakes[0], stakes[1]), (1_000, 435));
        assert!(stakes.is_sorted_by(|a, b| a >= b));
        assert!(zipf(300, 3.0).iter().all(|stake| *stake >= 1));
        assert_eq!(zipf(3, 0.0), [1_000; 3]);
    }
}
