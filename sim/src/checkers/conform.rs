//! S12, conformance to R3 and R4: what an honest member votes for or proposes ahead is what the rules allow, as far as that
//! can be told from what was signed.
//!
//! R4 asks for a certificate that the voter holds or that is carried. Who holds what is not known from outside; what is
//! known is which certificates can exist. A vote for a block whose parent no certificate can justify is wrong, whatever the
//! voter holds. Byzantine members may sign things that they say to nobody: all their stake counts as having signed.

use super::rules::EpochRules;
use super::signers::{Finding, SignerLog, Support};
use outrider_types::{Block, BlockId, View};
use std::collections::{BTreeMap, VecDeque};

/// Headers that are remembered.
const KEPT: usize = 4_096;
/// R3: a block of so many views before the one that its leader is in must be final there.
const COMMITTED_WITHIN_VIEWS: u64 = 3;

/// What R4 says about a block.
#[derive(Clone, Copy, Debug)]
struct Header {
    view: View,
    parent: BlockId,
    justify: View,
    /// It was found to be justified: that does not change.
    justified: bool,
}

/// Headers of blocks that were proposed or handed on.
#[derive(Debug, Default)]
pub struct Conform {
    headers: BTreeMap<BlockId, Header>,
    in_order: VecDeque<BlockId>,
}

impl Conform {
    /// A block was proposed, or handed on.
    pub fn header(&mut self, id: BlockId, block: &Block) {
        if self.headers.contains_key(&id) {
            return;
        }
        let header = Header {
            view: block.view,
            parent: block.parent,
            justify: block.justify,
            justified: false,
        };
        self.headers.insert(id, header);
        self.in_order.push_back(id);
        if self.in_order.len() > KEPT
            && let Some(old) = self.in_order.pop_front()
        {
            self.headers.remove(&old);
        }
    }

    /// R4: an honest member voted for a block.
    pub fn voted(
        &mut self,
        rules: &EpochRules,
        log: &SignerLog,
        member: usize,
        (view, block): (View, BlockId),
    ) -> Result<(), Finding> {
        let Some(header) = self.headers.get_mut(&block) else {
            return Ok(());
        };
        if header.view != view {
            return Err((
                "S12",
                format!(
                    "member {member} voted in view {view} for block {block}, which is of view {} (R4)",
                    header.view
                ),
            ));
        }
        if header.justified {
            return Ok(());
        }
        header.justified = justified(rules, log, header);
        if header.justified {
            return Ok(());
        }
        Err((
            "S12",
            format!(
                "member {member} voted in view {view} for block {block}, whose parent {} nothing can justify with rank {} (R4)",
                header.parent, header.justify
            ),
        ))
    }
}

/// R3: an honest leader proposes ahead for a view, `committed` being the view of the last block that is final at it.
pub fn ahead(member: usize, view: View, committed: View) -> Result<(), Finding> {
    let now = view.previous();
    if committed.0 + COMMITTED_WITHIN_VIEWS >= now.0 {
        return Ok(());
    }
    Err((
        "S12",
        format!(
            "member {member} proposed ahead for view {view}, and the last block that is final there is of view {committed} (R3)"
        ),
    ))
}

/// Whether something can exist that justifies the parent. What is forgotten may.
fn justified(rules: &EpochRules, log: &SignerLog, header: &Header) -> bool {
    let before = header.view.previous();
    if header.justify == before {
        ranked(rules, log, before, header.parent)
    } else {
        header.justify < before
            && log
                .support(rules, before, None)
                .is_none_or(|support| support.timeouts >= rules.thresholds.timeout)
            && ranked(rules, log, header.justify, header.parent)
    }
}

/// Whether a certificate of this rank for this block can exist: votes of a quorum, or timeouts that adopt it.
fn ranked(rules: &EpochRules, log: &SignerLog, rank: View, block: BlockId) -> bool {
    if rank == View(0) {
        return true;
    }
    let Some(Support {
        votes,
        timeouts,
        reports,
    }) = log.support(rules, rank, Some(block))
    else {
        return true;
    };
    let thresholds = &rules.thresholds;
    votes >= thresholds.quorum || (timeouts >= thresholds.timeout && reports >= thresholds.adoption)
}
