//! What several answers to one question amount to: pure counting.
//!
//! A majority is one of all endpoints that are configured, never of those that happen to answer: whoever keeps the others silent
//! must not decide alone.

/// What the answers amount to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Agreement<T> {
    /// More than half of the configured gave this answer.
    Majority(T),
    /// More than half answered, and no answer has a majority.
    Split,
    /// No more than half answered.
    TooFew,
}

/// Whether so many are more than half of the configured.
pub const fn is_majority(count: usize, configured: usize) -> bool {
    count > configured / 2
}

/// Count answers, one of each endpoint that gave one.
pub fn count<T: PartialEq + Clone>(answers: &[T], configured: usize) -> Agreement<T> {
    assert!(answers.len() <= configured, "one answer of each");
    let votes = |answer: &&T| answers.iter().filter(|other| other == answer).count();
    let winner = answers
        .iter()
        .find(|answer| is_majority(votes(answer), configured));
    match winner {
        Some(answer) => Agreement::Majority(answer.clone()),
        None if is_majority(answers.len(), configured) => Agreement::Split,
        None => Agreement::TooFew,
    }
}

/// The highest number that more than half of the configured have reached. A liar among three moves it nowhere that no honest one is.
pub fn reached<T: Ord + Copy>(mut numbers: Vec<T>, configured: usize) -> Option<T> {
    assert!(numbers.len() <= configured, "one number of each");
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    numbers.get(configured / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_half_of_the_configured_is_needed() {
        let majority = [(1, 1), (2, 2), (2, 3), (3, 4), (3, 5), (4, 6), (9, 16)];
        for (least, configured) in majority {
            assert!(is_majority(least, configured), "{least} of {configured}");
            assert!(!is_majority(least - 1, configured));
        }
        assert_eq!(count(&[5], 1), Agreement::Majority(5));
        assert_eq!(count(&[5, 5], 2), Agreement::Majority(5));
        assert_eq!(count(&[5, 6], 2), Agreement::Split);
        assert_eq!(count(&[5, 6, 5], 3), Agreement::Majority(5));
        assert_eq!(count(&[1, 2, 3], 3), Agreement::Split);
        assert_eq!(count(&[5, 6, 5, 6], 4), Agreement::Split);
    }

    #[test]
    fn who_answers_alone_does_not_decide() {
        assert_eq!(count::<u8>(&[], 1), Agreement::TooFew);
        assert_eq!(count(&[5], 2), Agreement::TooFew);
        assert_eq!(count(&[5], 3), Agreement::TooFew);
        assert_eq!(count(&[5, 5], 3), Agreement::Majority(5));
        assert_eq!(count(&[5, 6], 3), Agreement::Split);
        assert_eq!(count(&[5, 5], 4), Agreement::TooFew);
        assert_eq!(count(&[5, 5, 6], 4), Agreement::Split);
        assert_eq!(count(&[5, 5, 6], 5), Agreement::Split);
        assert_eq!(count(&[5, 5], 5), Agreement::TooFew);
    }

    #[test]
    fn a_head_is_what_more_than_half_of_the_configured_have_reached() {
        assert_eq!(reached::<u64>(vec![], 1), None);
        assert_eq!(reached(vec![7], 1), Some(7));
        assert_eq!(reached(vec![7], 2), None);
        assert_eq!(reached(vec![7, 9], 2), Some(7));
        assert_eq!(reached(vec![7], 3), None);
        assert_eq!(reached(vec![u64::MAX, 7], 3), Some(7));
        assert_eq!(reached(vec![9, 7, 8], 3), Some(8));
        assert_eq!(reached(vec![u64::MAX, 7, 8], 3), Some(8));
        assert_eq!(reached(vec![0, 7, 8], 3), Some(7));
        assert_eq!(reached(vec![1, 2, 3, 4], 4), Some(2));
        assert_eq!(reached(vec![3, 4], 4), None);
    }
}
