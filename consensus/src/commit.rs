//! Counting to certificates and commits (R6, R7), and what follows when blocks become final.

use crate::action::Action;
use crate::replica::Replica;
use crate::tree::{PayloadState, TREE_BLOCKS_MAX};
use outrider_types::zoo::{self, Mutant};
use outrider_types::{
    Block, BlockId, BlockRecord, CommitVote, FinalityCertificate, Height, Signed, TimeoutMessage,
    Timestamp, Verified, Vote,
};

/// A gap to the last final block of more than this many heights is closed by ranges, not block by block.
const GAP_MAX: u64 = 16;

impl Replica {
    /// A vote was counted: it may complete a quorum certificate, or the fast path (R6).
    pub(crate) fn count_vote(&mut self, now: Timestamp, vote: Verified<Signed<Vote>>) {
        let (view, block) = (vote.view, vote.block);
        let votes = self.votes.votes_for(view, block);
        let fast = Verified::fast(votes.iter().copied(), &self.committee);
        // A quorum that is already known calls for nothing new.
        let known = self
            .tree
            .certificate(&block)
            .is_some_and(|held| held.rank() == view && held.is_quorum())
            && view < self.safety.view;
        let certificate = if known {
            None
        } else {
            Verified::quorum(votes, &self.committee)
        };
        if let Some(certificate) = certificate {
            self.on_certificate(now, certificate);
        }
        if let Some(proof) = fast {
            self.note_finality(proof);
        }
    }

    /// A commit vote was counted: it may complete the slow path (R7).
    pub(crate) fn count_commit_vote(&mut self, now: Timestamp, vote: Verified<Signed<CommitVote>>) {
        if vote.view <= self.tree.root_view() {
            return;
        }
        let votes = self.votes.commit_votes_for(vote.view, vote.block);
        if let Some(proof) = Verified::slow(votes, &self.committee) {
            let certificate = proof.certificate();
            self.note_finality(proof);
            self.on_certificate(now, certificate);
        }
    }

    /// A timeout was counted: it may complete a timeout certificate (R1), or call for one's own (R9).
    pub(crate) fn count_timeout(&mut self, now: Timestamp, timeout: Verified<TimeoutMessage>) {
        let view = timeout.timeout.view;
        if view < self.safety.view {
            return;
        }
        let certificate = Verified::timeouts(self.votes.timeouts_of(view), &self.committee);
        if let Some(certificate) = certificate {
            self.on_justification(now, certificate);
        } else {
            self.try_amplify(now);
        }
    }

    /// A certificate, however it came: enter (R1) and commit-vote (R5) in one step.
    pub(crate) fn on_certificate(
        &mut self,
        now: Timestamp,
        certificate: Verified<outrider_types::Certificate>,
    ) {
        self.on_justification(now, certificate.clone().into());
        self.try_commit_vote(now, &certificate);
    }

    /// Remember a proof of finality until the blocks it makes final are held.
    pub(crate) fn note_finality(&mut self, proof: Verified<FinalityCertificate>) {
        if proof.view() <= self.tree.root_view() {
            return;
        }
        if self
            .pending_finality
            .as_ref()
            .is_none_or(|held| held.view() < proof.view())
        {
            self.pending_finality = Some(proof);
        }
    }

    /// Commit what is proven final and held down to the last final block.
    pub(crate) fn try_commit(&mut self) {
        let Some(proof) = self.pending_finality.clone() else {
            return;
        };
        let Some(branch) = self.tree.branch(proof.block()) else {
            return;
        };
        let held = |id: &BlockId| {
            self.tree
                .get(id)
                .is_some_and(|node| node.payload == PayloadState::Valid)
        };
        if branch.is_empty() || !branch.iter().all(held) {
            return;
        }
        self.store_branch(proof.block());
        let mut blocks: Vec<BlockRecord> =
            branch.iter().filter_map(|id| self.record_of(id)).collect();
        assert_eq!(
            blocks.len(),
            branch.len(),
            "every block of the branch is held"
        );
        // R13: a filler makes final what is below it, and is no part of the ledger itself.
        let ledger = blocks
            .iter()
            .take_while(|record| {
                !self.tree.is_filler(record.block.height) || zoo::is(Mutant::FillerInLedger)
            })
            .count();
        let fillers = blocks.split_off(ledger);
        let Some(last) = blocks.last().map(|record| record.block) else {
            return;
        };
        self.advance_root(last);
        self.act(Action::Commit {
            blocks,
            fillers: fillers.into_iter().map(|record| record.block).collect(),
            certificate: proof,
        });
    }

    /// The last final block is now this one.
    pub(crate) fn advance_root(&mut self, root: Block) {
        self.tree.advance(root);
        self.over = self.tree.last().is_some_and(|last| root.height >= last);
        if self
            .pending_finality
            .as_ref()
            .is_some_and(|proof| proof.view() <= root.view)
        {
            self.pending_finality = None;
        }
        self.votes.forget(self.safety.view, root.view);
        let (tree, proof) = (&self.tree, self.pending_finality.as_ref());
        self.fetching.retain(|block| {
            tree.wants(block) || proof.is_some_and(|proof| proof.block() == *block)
        });
    }

    /// Keep a block with its justification, and see what is missing between it and the last final block.
    pub(crate) fn keep_record(&mut self, record: &Verified<BlockRecord>) {
        if let Some(certificate) = record
            .verified_justification()
            .and_then(|held| held.verified_high())
        {
            self.note_certificate(certificate);
        }
        self.keep_block(record.block, record.verified_justification());
    }

    /// Keep a block that a certificate or a leader named.
    pub(crate) fn keep_block(
        &mut self,
        block: Block,
        justification: Option<Verified<outrider_types::Justification>>,
    ) {
        self.fetching.remove(&block.id());
        self.tree
            .insert(block, justification, self.safety.high_block());
    }

    /// Ask for parents that are not held: one by one when they are near, in ranges when they are far.
    pub(crate) fn seek_parents(&mut self) {
        let root = self.tree.root().height;
        let mut far = None;
        let mut near = Vec::new();
        for (parent, node) in self.tree.missing_parents() {
            let height = node.block.height;
            if height.0.saturating_sub(root.0) > GAP_MAX {
                // Only a certificate vouches for the height; a leader alone could name any (R11).
                let vouched = self.tree.certificate(&node.block.id()).is_some();
                if vouched || zoo::is(Mutant::HighestClaimTrusted) {
                    far = far.max(Some(Height(height.0 - 1)));
                }
                // What is missing may not be final yet, and then no range holds it: walk back as well.
                if self.tree.len() >= TREE_BLOCKS_MAX / 2 {
                    continue;
                }
            }
            let certificate = node
                .justification
                .as_ref()
                .and_then(|held| held.high().cloned());
            let mut from = certificate
                .map(|certificate| certificate.holders())
                .unwrap_or_default();
            if !from.contains(&node.block.proposer) {
                from.push(node.block.proposer);
            }
            near.push((parent, from));
        }
        for (parent, from) in near {
            self.fetch(parent, from);
        }
        if far > self.catching_up
            && let Some(to) = far
        {
            self.catching_up = far;
            self.act(Action::CatchUp { to });
        }
    }

    /// Ask for blocks that certificates in use name and that are not held (R11), also when an earlier fetch failed.
    pub(crate) fn seek_certified(&mut self) {
        let entry = self.entry.as_ref().and_then(|entry| entry.verified_high());
        let proof = self.pending_finality.as_ref();
        let wanted: Vec<_> = [
            self.high.clone(),
            entry,
            proof.map(|proof| proof.certificate()),
        ]
        .into_iter()
        .flatten()
        .filter(|certificate| certificate.rank() > self.tree.root_view())
        .filter(|certificate| self.tree.header(&certificate.block()).is_none())
        .collect();
        for certificate in wanted {
            self.fetch(certificate.block(), certificate.holders());
        }
    }

    /// Ask for payloads of blocks whose ancestors are all held.
    pub(crate) fn ask_payloads(&mut self) {
        for block in self.tree.unasked() {
            // R13: a filler carries nothing, so there is nothing to ask for; one that does is faulty (`BlockTree::fault`).
            let filler = self.tree.is_filler(block.height);
            if let Some(node) = self.tree.get_mut(&block.id()) {
                node.payload = if filler {
                    PayloadState::Valid
                } else {
                    PayloadState::Asked
                };
            }
            if !filler {
                self.act(Action::CheckPayload { block });
            }
        }
    }
}
