//! What a driver answers: payloads, fetched blocks, ranges of final blocks, and the ledger with its checkers.

use super::link::Packet;
use super::rng::mix;
use super::world::{Event, Kind, World};
use outrider_consensus::Input;
use outrider_types::{
    Block, BlockId, BlockRecord, CommitteeId, EpochEnd, FinalityCertificate, MemberIndex, Verified,
};

impl World {
    /// A payload arrives, unless its proposer withholds it and nobody who has it can be asked.
    pub(super) fn payload(&mut self, node: usize, block: Block) {
        let (member, proposer) = (self.nodes[node].member, block.proposer.index());
        let withheld = self
            .nodes
            .iter()
            .any(|other| other.member == proposer && other.kind == Kind::Withholder);
        let chosen = mix(self.seed ^ block.view.0) >> member & 1 == 1;
        let id = block.id();
        let spread = self.nodes.iter().any(|other| {
            other.kind == Kind::Honest
                && other.replica.is_some()
                && other.disk.records.contains_key(&id)
        });
        if !withheld || chosen || member == proposer || spread {
            let answer = Input::PayloadChecked {
                block: id,
                valid: true,
            };
            self.step(node, answer);
        } else {
            self.later(node, (10_000, 20_000), Event::Payload(block));
        }
    }

    fn reachable(&mut self, from: usize, to: usize) -> bool {
        let packet = Packet {
            from,
            to,
            now: self.now,
            message: None,
        };
        !(self.link)(&packet, &mut self.rng).is_empty()
    }

    /// Ask one of the holders; after three silences say so.
    pub(super) fn fetch(
        &mut self,
        node: usize,
        block: BlockId,
        from: Vec<MemberIndex>,
        tries: u32,
    ) {
        let holder = self.rng.pick(&from).index();
        let reachable = self.reachable(self.nodes[node].member, holder);
        let found = self
            .nodes
            .iter()
            .filter(|other| reachable && other.member == holder && other.replica.is_some())
            .find_map(|other| other.disk.find(&block));
        if let Some(mut record) = found {
            // An adversary may take the justification off, or put another one on, as long as it verifies.
            let hostile = !self.log.honest.contains(&holder);
            if hostile && self.rng.percent(50) {
                record.justification = None;
            }
            let Ok(record) = record.verify(&self.committee_of(node)) else {
                return; // Of another epoch by now.
            };
            self.step(node, Input::Block { record });
        } else if tries < 3 {
            self.later(node, (5_000, 10_000), Event::Fetch(block, from, tries + 1));
        } else {
            // The next question is a round trip away, whatever the answer.
            let answer = Input::FetchFailed { block };
            self.later(node, (5_000, 10_000), Event::Answer(answer));
        }
    }

    /// One range of final blocks from a peer that is ahead; it ends where the epoch does.
    pub(super) fn catch_up(&mut self, node: usize, to: u64) {
        let height = self.nodes[node].disk.height();
        if height >= to {
            return;
        }
        let honest = self.honest();
        let peer = *self.rng.pick(&honest);
        let up = self.nodes[peer].replica.is_some();
        let reachable = self.reachable(self.nodes[node].member, self.nodes[peer].member);
        let (here, there) = (self.nodes[node].epoch as usize, &self.nodes[peer].disk);
        let end = there.ends.get(here).cloned();
        let proof = there
            .proofs
            .range(height + 1..=height + 64)
            .next_back()
            .map(|(height, proof)| (*height, proof.clone()));
        if let Some(end) = end.filter(|_| up && reachable) {
            let range = height as usize..end.last.height.0 as usize;
            let blocks = there.ledger[range].to_vec();
            self.append_end(node, blocks, end);
            self.turn(node);
            return;
        }
        let Some((last, proof)) = proof.filter(|_| up && reachable) else {
            self.later(node, (10_000, 20_000), Event::CatchUp(to));
            return;
        };
        let range = height as usize..last as usize;
        let blocks = there.ledger[range].to_vec();
        let certificate = proof.verify(&self.committee_of(node)).unwrap();
        let block = blocks.last().unwrap().block;
        self.append(node, blocks);
        self.prove(node, &certificate);
        self.step(node, Input::CaughtUp { block, certificate });
        if self.nodes[node].behind {
            // Not yet the end of the epoch, which it knows to be over.
            self.later(node, (10_000, 20_000), Event::CatchUp(to));
        }
    }

    pub(super) fn commit(
        &mut self,
        node: usize,
        blocks: Vec<BlockRecord>,
        fillers: Vec<Block>,
        certificate: &Verified<FinalityCertificate>,
    ) {
        let fast = matches!(**certificate, FinalityCertificate::Fast(_));
        let last = blocks.last().unwrap().block;
        self.nodes[node]
            .commits
            .push((self.now, last.height.0, fast));
        if last.next == CommitteeId::NONE {
            assert!(fillers.is_empty(), "fillers follow the last block only");
            self.append(node, blocks);
            self.prove(node, certificate);
        } else {
            let end = EpochEnd {
                last,
                fillers,
                certificate: (**certificate).clone(),
                change: None,
            };
            self.append_end(node, blocks, end);
        }
    }

    /// S1: blocks follow each other, over epochs too.
    pub(super) fn append(&mut self, node: usize, blocks: Vec<BlockRecord>) {
        let (follows, member) = (self.nodes[node].kind.follows(), self.nodes[node].member);
        for record in blocks {
            let root = self.nodes[node].disk.root(&self.base);
            let block = record.block;
            assert_eq!(block.parent, root.id(), "the ledger has no gap");
            assert_eq!(block.height.0, root.height.0 + 1, "heights count up");
            assert_eq!(block.epoch.0, self.nodes[node].epoch);
            assert!(
                (block.epoch, block.view) > (root.epoch, root.view)
                    && block.timestamp > root.timestamp
            );
            if follows {
                self.log.commit(member, block.height.0, block.id());
            }
            self.nodes[node].disk.ledger.push(record);
        }
    }

    /// The proof of what was appended is what it must be.
    fn prove(&mut self, node: usize, certificate: &Verified<FinalityCertificate>) {
        let last = self.nodes[node].disk.root(&self.base);
        assert_eq!(certificate.block(), last.id(), "the proof is of the last");
        self.check_proof(node, certificate);
        let proof = (**certificate).clone();
        self.nodes[node].disk.proofs.insert(last.height.0, proof);
    }

    pub(super) fn check_proof(&mut self, node: usize, certificate: &FinalityCertificate) {
        if self.nodes[node].kind.follows() {
            let (signers, needed) = match certificate {
                FinalityCertificate::Fast(votes) => (&votes.signatures, self.arithmetic.fast),
                FinalityCertificate::Slow(votes) => (&votes.signatures, self.arithmetic.quorum),
            };
            let stake = self.log.stake_of(signers.iter().map(|(member, _)| *member));
            assert!(stake >= needed, "committed on stake {stake} of {needed}");
            if self.proofs_checked.insert(certificate.block()) {
                certificate
                    .clone()
                    .verify(&self.committee_of(node))
                    .expect("a committed certificate verifies");
            }
        }
    }
}
