//! The ids committed last, so that they are not admitted again.

use outrider_types::TransactionId;
use std::collections::{BTreeSet, VecDeque};

/// A set of bounded size that forgets the oldest.
#[derive(Debug)]
pub(crate) struct Window {
    limit: usize,
    set: BTreeSet<TransactionId>,
    order: VecDeque<TransactionId>,
}

impl Window {
    pub(crate) const fn new(limit: usize) -> Self {
        Self {
            limit,
            set: BTreeSet::new(),
            order: VecDeque::new(),
        }
    }

    /// Remember it; over the limit the oldest is forgotten. One that is remembered keeps its place.
    pub(crate) fn insert(&mut self, id: TransactionId) {
        if self.limit == 0 || !self.set.insert(id) {
            return;
        }
        self.order.push_back(id);
        if self.order.len() > self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.set.remove(&oldest);
        }
        assert!(
            self.set.len() == self.order.len() && self.order.len() <= self.limit,
            "the window is a bounded set"
        );
    }

    pub(crate) fn contains(&self, id: &TransactionId) -> bool {
        self.set.contains(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_at_the_limit() {
        let id = |byte| TransactionId([byte; 32]);
        let mut window = Window::new(2);
        for byte in [1, 2, 1] {
            window.insert(id(byte));
        }
        assert!(window.contains(&id(1)) && window.contains(&id(2)));
        window.insert(id(3));
        assert!(!window.contains(&id(1)) && window.contains(&id(2)) && window.contains(&id(3)));
        let mut none = Window::new(0);
        none.insert(id(1));
        assert!(!none.contains(&id(1)));
    }
}
