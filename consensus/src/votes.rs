//! Counting: votes, commit votes and timeouts by view, one of each per member. Stake is counted, never messages.

use outrider_types::zoo::{self, Mutant};
use outrider_types::{
    BlockId, CommitVote, Committee, MemberIndex, Signed, Stake, Statement, TimeoutMessage,
    Verified, View, Vote,
};
use std::collections::BTreeMap;

/// Messages of views further ahead than this are dropped: certificates lead there, not votes.
pub const VIEWS_AHEAD_MAX: u64 = 64;

type ByMember<T> = BTreeMap<MemberIndex, T>;

/// What was received, by view.
#[derive(Clone, Debug, Default)]
pub(crate) struct Votes {
    votes: BTreeMap<View, ByMember<Verified<Signed<Vote>>>>,
    commit_votes: BTreeMap<View, ByMember<Verified<Signed<CommitVote>>>>,
    timeouts: BTreeMap<View, ByMember<Verified<TimeoutMessage>>>,
}

/// Statements that name a block.
pub(crate) trait ForBlock: Statement {
    fn block(&self) -> BlockId;
}

impl ForBlock for Vote {
    fn block(&self) -> BlockId {
        self.block
    }
}

impl ForBlock for CommitVote {
    fn block(&self) -> BlockId {
        self.block
    }
}

impl Votes {
    /// Count a vote; false if this member already voted in the view.
    pub(crate) fn vote(&mut self, vote: Verified<Signed<Vote>>) -> bool {
        add(&mut self.votes, vote.view, vote.signer, vote)
    }

    /// Count a commit vote; false if this member already commit-voted in the view.
    pub(crate) fn commit_vote(&mut self, vote: Verified<Signed<CommitVote>>) -> bool {
        add(&mut self.commit_votes, vote.view, vote.signer, vote)
    }

    /// Count a timeout; false if this member already sent one for the view.
    pub(crate) fn timeout(&mut self, timeout: Verified<TimeoutMessage>) -> bool {
        add(
            &mut self.timeouts,
            timeout.timeout.view,
            timeout.timeout.signer,
            timeout,
        )
    }

    /// Votes for a block in a view.
    pub(crate) fn votes_for(&self, view: View, block: BlockId) -> Vec<&Verified<Signed<Vote>>> {
        select(&self.votes, view, block)
    }

    /// Commit votes for a block in a view.
    pub(crate) fn commit_votes_for(
        &self,
        view: View,
        block: BlockId,
    ) -> Vec<&Verified<Signed<CommitVote>>> {
        select(&self.commit_votes, view, block)
    }

    /// Timeouts of a view.
    pub(crate) fn timeouts_of(&self, view: View) -> Vec<&Verified<TimeoutMessage>> {
        self.timeouts
            .get(&view)
            .into_iter()
            .flat_map(BTreeMap::values)
            .collect()
    }

    /// Stake of the members that gave up on a view.
    pub(crate) fn timeout_stake(&self, view: View, committee: &Committee) -> Stake {
        let members = self
            .timeouts
            .get(&view)
            .into_iter()
            .flat_map(|by_member| by_member.keys().copied());
        stake(members, committee)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        let votes = self.votes.values().map(BTreeMap::len);
        let commit_votes = self.commit_votes.values().map(BTreeMap::len);
        let timeouts = self.timeouts.values().map(BTreeMap::len);
        votes.chain(commit_votes).chain(timeouts).sum()
    }

    /// Forget what no rule asks for any more: votes and timeouts before `current`, except those of views after the
    /// last final one, which may still commit.
    pub(crate) fn forget(&mut self, current: View, committed: View) {
        let kept_from = View(current.0.saturating_sub(VIEWS_AHEAD_MAX));
        let from = kept_from.max(committed.next());
        self.votes.retain(|view, _| *view >= from);
        self.commit_votes.retain(|view, _| *view >= from);
        self.timeouts.retain(|view, _| *view >= current);
    }
}

fn add<T>(
    views: &mut BTreeMap<View, ByMember<T>>,
    view: View,
    member: MemberIndex,
    statement: T,
) -> bool {
    let by_member = views.entry(view).or_default();
    if by_member.contains_key(&member) {
        if zoo::is(Mutant::DuplicatePoisons) {
            by_member.clear();
        }
        return false;
    }
    by_member.insert(member, statement);
    true
}

fn select<S: ForBlock>(
    views: &BTreeMap<View, ByMember<Verified<Signed<S>>>>,
    view: View,
    block: BlockId,
) -> Vec<&Verified<Signed<S>>> {
    let all = views.get(&view).into_iter().flat_map(BTreeMap::values);
    all.filter(|vote| vote.statement.block() == block).collect()
}

/// Stake of distinct members.
pub(crate) fn stake(
    members: impl IntoIterator<Item = MemberIndex>,
    committee: &Committee,
) -> Stake {
    let sum = members
        .into_iter()
        .filter_map(|member| committee.stake(member))
        .map(|stake| stake.0);
    Stake(sum.sum())
}
