//! Worlds that run over several epochs (R13): what a driver does at the end of one.

use super::world::{Event, World};
use outrider_consensus::Input;
use outrider_types::{Block, BlockRecord, Committee, EpochEnd};

impl World {
    /// The committee of the epoch that a node is in: the same members each time.
    pub fn committee_of(&self, node: usize) -> Committee {
        (0..self.nodes[node].epoch).fold(self.committee.clone(), |last, _| last.successor())
    }

    /// Committee and base of a node's epoch, as its disk says.
    pub(super) fn epoch_of(&self, node: usize) -> (Committee, Block) {
        let ends = &self.nodes[node].disk.ends;
        assert_eq!(ends.len() as u64, self.nodes[node].epoch);
        let base = ends.last().map_or(self.base, |end| end.last);
        (self.committee_of(node), base)
    }

    /// The last blocks of the epoch, which it proves to everyone before it leaves.
    pub(super) fn append_end(&mut self, node: usize, blocks: Vec<BlockRecord>, end: EpochEnd) {
        let committee = self.committee_of(node);
        end.clone()
            .verify(&committee)
            .expect("an epoch ends with a proof");
        assert_eq!(
            Some(end.last.height),
            committee.last_height(self.epoch_of(node).1.height)
        );
        self.append(node, blocks);
        assert_eq!(self.nodes[node].disk.root(&self.base), end.last);
        self.check_proof(node, &end.certificate);
        self.nodes[node].disk.ends.push(end.clone());
        let others = (0..self.keys.len()).filter(|to| *to != self.nodes[node].member);
        for to in others.collect::<Vec<_>>() {
            self.send_end(node, to, &end);
        }
    }

    fn send_end(&mut self, node: usize, to: usize, end: &EpochEnd) {
        if self.nodes[node].kind.follows() {
            let from = self.nodes[node].member;
            self.carry(from, to, None, &Event::End(end.clone()));
        }
    }

    /// The next epoch: a new replica with nothing said yet. What was under way for the old one is void.
    pub(super) fn turn(&mut self, node: usize) {
        self.crash(node);
        self.nodes[node].epoch += 1;
        self.nodes[node].disk.safety = None;
        self.start(node);
    }

    /// Whether something said in an epoch can be verified by this node. R13: an old timeout is answered with the end of
    /// its epoch; whoever hears of a later epoch asks for a range.
    pub(super) fn of_this_epoch(&mut self, node: usize, epoch: u64, input: &Input) -> bool {
        let here = self.nodes[node].epoch;
        if let Input::Timeout { timeout } = input
            && epoch < here
        {
            let end = self.nodes[node].disk.ends[epoch as usize].clone();
            self.send_end(node, timeout.timeout.signer.index(), &end);
        }
        if epoch > here {
            self.ask_for_end(node);
        }
        epoch == here
    }

    pub(super) fn hear_end(&mut self, node: usize, end: EpochEnd) {
        if end.last.epoch.0 == self.nodes[node].epoch {
            assert!(end.verify(&self.committee_of(node)).is_ok());
            self.ask_for_end(node);
        }
    }

    fn ask_for_end(&mut self, node: usize) {
        if !std::mem::replace(&mut self.nodes[node].behind, true) {
            let (committee, base) = self.epoch_of(node);
            let last = committee.last_height(base.height).expect("epochs end");
            self.later(node, self.local.fetch, Event::CatchUp(last.0));
        }
    }
}
