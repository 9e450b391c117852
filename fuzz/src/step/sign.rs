//! Signing with everyone's keys but the member's own.

use super::adversary::{Cert, pick};
use super::member::Member;
use outrider_types::{
    BlockId, Certificate, CommitVote, FinalityCertificate, MemberIndex, Signed, Statement, Timeout,
    TimeoutMessage, Verified, View, Vote,
};

pub(super) fn others(member: &Member) -> impl Iterator<Item = MemberIndex> + use<> {
    let me = member.me;
    member.committee.indexes().filter(move |index| *index != me)
}

pub(super) fn other(member: &Member, at: u8) -> Option<MemberIndex> {
    let all: Vec<MemberIndex> = others(member).collect();
    pick(&all, at).copied()
}

fn sign<S: Statement>(member: &Member, signer: MemberIndex, statement: S) -> Verified<Signed<S>> {
    let key = &member.keys[signer.index()];
    Signed::sign(statement, member.committee.chain(), signer, key)
}

pub(super) fn sign_vote(
    member: &Member,
    signer: MemberIndex,
    view: View,
    block: BlockId,
) -> Verified<Signed<Vote>> {
    let vote = Vote {
        epoch: member.committee.epoch(),
        view,
        block,
    };
    sign(member, signer, vote)
}

pub(super) fn sign_commit_vote(
    member: &Member,
    signer: MemberIndex,
    view: View,
    block: BlockId,
) -> Verified<Signed<CommitVote>> {
    let vote = CommitVote {
        epoch: member.committee.epoch(),
        view,
        block,
    };
    sign(member, signer, vote)
}

pub(super) fn sign_timeout(
    member: &Member,
    signer: MemberIndex,
    view: View,
    high: Option<Cert>,
    voted: Option<BlockId>,
) -> Option<Verified<TimeoutMessage>> {
    let high_view = high.as_ref().map_or(View(0), |high| high.rank());
    if high_view >= view {
        return None;
    }
    let timeout = Timeout {
        epoch: member.committee.epoch(),
        view,
        high_view,
        voted,
    };
    TimeoutMessage::assemble(sign(member, signer, timeout), high)
}

/// Votes of the others, those of the mask left out, and its own if it said so.
pub(super) fn quorum(member: &Member, view: View, block: BlockId, left_out: u8) -> Option<Cert> {
    let mut votes: Vec<_> = signers(member, left_out)
        .map(|signer| sign_vote(member, signer, view, block))
        .collect();
    votes.extend(
        member
            .own_vote(view)
            .filter(|vote| vote.block == block)
            .cloned(),
    );
    Verified::<Certificate>::quorum(&votes, member.committee)
}

pub(super) fn slow(
    member: &Member,
    view: View,
    block: BlockId,
    left_out: u8,
) -> Option<Verified<FinalityCertificate>> {
    let mut votes: Vec<_> = signers(member, left_out)
        .map(|signer| sign_commit_vote(member, signer, view, block))
        .collect();
    let own = member.own_commit_vote(view);
    votes.extend(own.filter(|vote| vote.block == block).cloned());
    Verified::<FinalityCertificate>::slow(&votes, member.committee)
}

fn signers(member: &Member, left_out: u8) -> impl Iterator<Item = MemberIndex> + use<> {
    others(member)
        .enumerate()
        .filter(move |(place, _)| left_out >> (place % 8) & 1 == 0)
        .map(|(_, signer)| signer)
}
