//! One replica in the hand.
