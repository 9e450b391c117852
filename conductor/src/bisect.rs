//! Finding what must be left out when a node takes or refuses a list only as a whole: the first offender by halving.

/// A search for the longest prefix that is taken. Pure: the caller asks the node.
///
/// What is known: the first `good` are taken, and the first `bad` are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bisection {
    good: usize,
    bad: usize,
}

impl Bisection {
    /// A list of which the first `good` are taken and the first `bad` (more) are not.
    #[must_use]
    pub fn new(good: usize, bad: usize) -> Self {
        assert!(good < bad, "the prefix that is taken is shorter");
        Self { good, bad }
    }

    /// How many to try next; none if the place of the offender is known.
    #[must_use]
    pub const fn next(&self) -> Option<usize> {
        let middle = self.good + (self.bad - self.good) / 2;
        if middle == self.good {
            None
        } else {
            Some(middle)
        }
    }

    /// The node took the first `count`, or did not.
    pub fn tell(&mut self, count: usize, taken: bool) {
        assert!(
            self.good < count && count < self.bad,
            "only what is not known is asked"
        );
        if taken {
            self.good = count;
        } else {
            self.bad = count;
        }
    }

    /// The place of the first offender, when [`next`](Self::next) has nothing to ask.
    #[must_use]
    pub const fn offender(&self) -> usize {
        self.bad - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_first_offender_is_found_in_logarithmic_steps(length in 1usize..5_000, at in 0usize..5_000) {
            let at = at % length;
            let mut search = Bisection::new(0, length);
            let mut steps = 0;
            while let Some(count) = search.next() {
                search.tell(count, count <= at);
                steps += 1;
            }
            prop_assert_eq!(search.offender(), at);
            prop_assert!(steps <= usize::BITS - length.leading_zeros());
        }
    }
}
