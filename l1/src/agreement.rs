//! What several answers to one question amount to: pure counting.

/// What the answers amount to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Agreement<T> {
    /// More than half gave this answer; the others are listed by their place.
    Majority {
        /// The answer.
        answer: T,
        /// Who gave another one.
        against: Vec<usize>,
    },
    /// No answer has more than half.
    Split,
    /// Nobody answered.
    Silence,
}

/// Count answers; each comes with the place of who gave it, and counts once.
pub fn count<T: PartialEq + Clone>(answers: &[(usize, T)]) -> Agreement<T> {
    if answers.is_empty() {
        return Agreement::Silence;
    }
    let votes = |answer: &T| answers.iter().filter(|(_, other)| other == answer).count();
    let winner = answers
        .iter()
        .find(|(_, answer)| 2 * votes(answer) > answers.len());
    let Some((_, answer)) = winner else {
        return Agreement::Split;
    };
    let against = answers.iter().filter(|(_, other)| other != answer);
    Agreement::Majority {
        answer: answer.clone(),
        against: against.map(|(place, _)| *place).collect(),
    }
}

/// Whether an answer has more than half of all that could be asked: waiting for the others changes nothing.
pub fn is_decided<T: PartialEq>(answers: &[T], asked: usize) -> bool {
    answers.iter().any(|answer| {
        let votes = answers.iter().filter(|other| *other == answer).count();
        2 * votes > asked
    })
}

/// The highest number that more than half have reached.
pub fn reached(mut numbers: Vec<u64>) -> Option<u64> {
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    numbers.get(numbers.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_half_is_needed() {
        assert_eq!(count::<u8>(&[]), Agreement::Silence);
        let one = Agreement::Majority {
            answer: 5,
            against: vec![],
        };
        assert_eq!(count(&[(0, 5)]), one);
        assert_eq!(count(&[(0, 5), (1, 5)]), one);
        assert_eq!(count(&[(0, 5), (1, 6)]), Agreement::Split);
        let two = Agreement::Majority {
            answer: 5,
            against: vec![1],
        };
        assert_eq!(count(&[(0, 5), (1, 6), (2, 5)]), two);
        let split = [(0, 5), (1, 6), (2, 5), (3, 6)];
        assert_eq!(count(&split), Agreement::Split);
        let three = [(0, 1), (1, 2), (2, 3)];
        assert_eq!(count(&three), Agreement::Split);
    }

    #[test]
    fn waiting_ends_when_the_rest_cannot_change_it() {
        assert!(!is_decided(&[5], 2));
        assert!(is_decided(&[5], 1));
        assert!(is_decided(&[5, 5], 3));
        assert!(!is_decided(&[5, 6], 3));
        assert!(!is_decided(&[5, 5], 4));
        assert!(!is_decided::<u8>(&[], 1));
    }

    #[test]
    fn a_head_is_what_more_than_half_have_reached() {
        assert_eq!(reached(vec![]), None);
        assert_eq!(reached(vec![7]), Some(7));
        assert_eq!(reached(vec![7, 9]), Some(7));
        assert_eq!(reached(vec![9, 7, 8]), Some(8));
        assert_eq!(reached(vec![u64::MAX, 7, 8]), Some(8));
        assert_eq!(reached(vec![1, 2, 3, 4]), Some(2));
    }
}
