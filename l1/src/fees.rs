//! What a transaction offers for its gas (EIP-1559), and how much more it offers when it is not taken.

/// Wei per gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Fees {
    /// The most that is paid, the tip included.
    pub max_fee: u128,
    /// The tip.
    pub priority_fee: u128,
}

/// Bounds of what is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeeLimits {
    /// The most that is ever paid, wei per gas.
    pub max_fee: u128,
    /// The least tip: with none, some nodes pass nothing on.
    pub priority_min: u128,
    /// Percent on top whenever it is sent again. Nodes want at least 10.
    pub bump_percent: u128,
}

impl Default for FeeLimits {
    fn default() -> Self {
        Self {
            max_fee: 500_000_000_000,
            priority_min: 1_000_000,
            bump_percent: 25,
        }
    }
}

impl Fees {
    /// Enough for the base fee to double. `None` if the base fee alone is above the limit.
    #[must_use]
    pub fn first(base: u128, tip: u128, limits: &FeeLimits) -> Option<Self> {
        if base > limits.max_fee {
            return None;
        }
        let tip = tip.max(limits.priority_min);
        let max_fee = base.saturating_mul(2).saturating_add(tip);
        Some(Self::within(max_fee, tip, limits))
    }

    /// More than before, and enough for the base fee of now. `None` at the limit: nodes would not take it in place of the old one.
    #[must_use]
    pub fn bumped(&self, base: u128, limits: &FeeLimits) -> Option<Self> {
        let more = |fee: u128| {
            let step = fee / 100 * limits.bump_percent + fee % 100 * limits.bump_percent / 100;
            fee.saturating_add(step.max(1))
        };
        let priority = more(self.priority_fee);
        let wanted = base.saturating_mul(2).saturating_add(priority);
        let next = Self::within(more(self.max_fee).max(wanted), priority, limits);
        let least = |fee: u128| fee.saturating_add(fee / 10);
        let is_more = next.max_fee >= least(self.max_fee)
            && next.max_fee > self.max_fee
            && next.priority_fee >= least(self.priority_fee)
            && next.priority_fee > self.priority_fee;
        is_more.then_some(next)
    }

    fn within(max_fee: u128, priority_fee: u128, limits: &FeeLimits) -> Self {
        let max_fee = max_fee.min(limits.max_fee);
        Self {
            max_fee,
            priority_fee: priority_fee.min(max_fee),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: FeeLimits = FeeLimits {
        max_fee: 1_000,
        priority_min: 2,
        bump_percent: 25,
    };

    #[test]
    fn first_offer_bears_a_doubled_base_fee() {
        let fees = Fees::first(100, 10, &LIMITS).unwrap();
        assert_eq!((fees.max_fee, fees.priority_fee), (210, 10));
        let fees = Fees::first(100, 0, &LIMITS).unwrap();
        assert_eq!(fees.priority_fee, 2);
        let fees = Fees::first(999, u128::MAX, &LIMITS).unwrap();
        assert_eq!((fees.max_fee, fees.priority_fee), (1_000, 1_000));
        assert!(Fees::first(1_000, 0, &LIMITS).is_some());
        assert_eq!(Fees::first(1_001, 0, &LIMITS), None);
    }

    #[test]
    fn offers_end_at_the_limit() {
        let mut fees = Fees::first(100, 10, &LIMITS).unwrap();
        let mut times = 0;
        while let Some(next) = fees.bumped(100, &LIMITS) {
            fees = next;
            times += 1;
        }
        assert!((3..20).contains(&times), "{times}");
        assert!(fees.max_fee <= 1_000);
    }

    proptest! {
        #[test]
        fn each_offer_is_at_least_a_tenth_more(base in 0_u128..u128::MAX, tip in any::<u128>(), now in any::<u128>()) {
            let limits = FeeLimits::default();
            if let Some(fees) = Fees::first(base, tip, &limits) {
                prop_assert!(fees.priority_fee <= fees.max_fee);
                if let Some(next) = fees.bumped(now, &limits) {
                    prop_assert!(next.max_fee >= fees.max_fee + fees.max_fee / 10);
                    prop_assert!(next.priority_fee >= fees.priority_fee + fees.priority_fee / 10);
                    prop_assert!(next.max_fee <= limits.max_fee);
                }
            }
        }
    }
}
