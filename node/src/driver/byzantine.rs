//! A member that breaks the protocol on purpose, for end-to-end tests of what happens to it. Only in builds with the feature `byzantine`,
//! which no binary that ships has. The variable `BYZANTINE` names the deed: `equivocate@2` is member 2 voting for two blocks in every view, `censor`
//! is every member, when it leads, leaving out forced transactions for as long as others would vote for that.

use outrider_finality::InboxEntry;
use outrider_types::crypto::sha256;
use outrider_types::{BlockId, ConsensusMessage, MemberIndex, SecretKey, Signed, Timestamp, Vote};

fn does(deed: &str, member: Option<MemberIndex>) -> bool {
    let asked = std::env::var("BYZANTINE").unwrap_or_default();
    match asked.split_once('@') {
        None => asked == deed,
        Some((asked, who)) => {
            asked == deed && member.is_some_and(|member| member.0.to_string() == who)
        }
    }
}

/// A second vote beside this member's own.
pub(super) fn second(
    message: &ConsensusMessage,
    (me, key): (Option<MemberIndex>, &SecretKey),
    chain: outrider_types::ChainId,
) -> Option<ConsensusMessage> {
    let ConsensusMessage::Vote(vote) = message else {
        return None;
    };
    if !does("equivocate", me) || Some(vote.signer) != me {
        return None;
    }
    let other = Vote {
        block: BlockId(sha256(&[&vote.statement.block.0])),
        ..vote.statement
    };
    let signed = Signed::sign(other, chain, vote.signer, key);
    Some(ConsensusMessage::Vote(signed.into_inner()))
}

/// How many of the entries that a leader could include it does include.
pub(super) fn included(entries: &[&InboxEntry], at: Timestamp) -> usize {
    if does("censor", None) {
        entries.iter().take_while(|entry| entry.due <= at).count()
    } else {
        entries.len()
    }
}
