//! Who was heard lately (R10): a leader that is silent while a quorum speaks is skipped at the start of its view.

use crate::votes::stake;
use outrider_types::{Committee, MemberIndex};
use std::collections::{BTreeMap, BTreeSet};

/// When each member was last heard, counted in views in which a quorum was heard.
#[derive(Clone, Debug)]
pub(crate) struct Presence {
    /// Silent for this many such views: dead. 0: nobody ever is.
    dead_after: u64,
    /// Views left so far in which a quorum was heard.
    quorum_views: u64,
    /// The value of `quorum_views` when the member was last heard. Who is not in it counts as heard at the start, so that a
    /// restart accuses nobody.
    last: BTreeMap<MemberIndex, u64>,
    /// Heard since the current view began.
    now: BTreeSet<MemberIndex>,
}

impl Presence {
    pub(crate) const fn new(dead_after: u64) -> Self {
        Self {
            dead_after,
            quorum_views: 0,
            last: BTreeMap::new(),
            now: BTreeSet::new(),
        }
    }

    /// This member said something, to us.
    pub(crate) fn heard(&mut self, member: MemberIndex) {
        self.now.insert(member);
        self.last.insert(member, self.quorum_views);
    }

    /// A view was left.
    pub(crate) fn left(&mut self, committee: &Committee) {
        let heard = std::mem::take(&mut self.now);
        if stake(heard.iter().copied(), committee) >= committee.thresholds().quorum {
            self.quorum_views = self.quorum_views.saturating_add(1);
            for member in heard {
                self.last.insert(member, self.quorum_views);
            }
        }
    }

    /// Whether nothing was heard from this member for so long that its view need not be waited out.
    pub(crate) fn dead(&self, member: MemberIndex) -> bool {
        let last = self.last.get(&member).copied().unwrap_or(0);
        self.dead_after > 0 && self.quorum_views.saturating_sub(last) >= self.dead_after
    }
}
