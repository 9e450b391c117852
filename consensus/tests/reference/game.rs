//! Honest reference replicas against an adversary that leads every view, says what it likes and delivers what it
//! likes when it likes; and the checkers: agreement, the claim of section 5, no honest offence.

use super::replica::Reference;
use super::rules::{Mutation, Rules};
use super::words::{Heard, Proof, Said};
use crate::support::rng::Rng;
use outrider_types::crypto::sha256;
use outrider_types::{
    Block, BlockId, Height, MemberIndex, PayloadId, ProposalKind, Timestamp, View, testing,
};
use std::collections::{BTreeMap, BTreeSet};

/// What a checker says.
pub type Verdict = Result<(), String>;

pub struct Game {
    pub rules: Rules,
    pub base: Block,
    pub honest: BTreeMap<usize, Reference>,
    pub byzantine: Vec<usize>,
    now: BTreeMap<usize, u64>,
    /// Every block there is, with what justifies it.
    pub blocks: BTreeMap<BlockId, (Block, Option<Proof>)>,
    /// Everything that honest members signed.
    said: BTreeSet<(usize, Said)>,
    /// Certificates that honest timeouts carried.
    highs: BTreeMap<(u64, usize), Option<Proof>>,
    /// Everything that ever ended a view, or could.
    pub proofs: BTreeSet<Proof>,
    committed: BTreeSet<BlockId>,
    salt: u64,
}

impl Game {
    pub fn new(stakes: &[u64], byzantine: &[usize], mutation: Option<Mutation>) -> Self {
        let f = (stakes.iter().sum::<u64>() - 1) / 3;
        let mut rules = Rules::new(stakes, (f, 0), mutation);
        rules.turns = vec![byzantine[0]];
        let base = Block::genesis(&testing::committee(stakes).0);
        let honest = (0..stakes.len()).filter(|member| !byzantine.contains(member));
        Self {
            honest: honest
                .clone()
                .map(|member| (member, Reference::new(rules.clone(), member, base, 0)))
                .collect(),
            now: honest.map(|member| (member, 0)).collect(),
            rules,
            base,
            byzantine: byzantine.to_vec(),
            blocks: BTreeMap::from([(base.id(), (base, None))]),
            said: BTreeSet::new(),
            highs: BTreeMap::new(),
            proofs: BTreeSet::new(),
            committed: BTreeSet::new(),
            salt: 0,
        }
    }

    /// A new block of a view, on what a proof resolves to.
    pub fn block(&mut self, view: u64, proof: Option<&Proof>) -> BlockId {
        let certificate = proof.and_then(|proof| self.rules.certificate(proof));
        let parent = certificate.as_ref().and_then(|held| self.rules.block(held));
        let justify = certificate.map_or(0, |held| held.view());
        self.block_on(view, parent.unwrap_or(self.base.id()), justify, proof)
    }

    pub fn block_on(
        &mut self,
        view: u64,
        on: BlockId,
        justify: u64,
        proof: Option<&Proof>,
    ) -> BlockId {
        self.salt += 1;
        let parent = self.blocks[&on].0;
        let block = Block {
            view: View(view),
            height: Height(parent.height.0 + 1),
            parent: on,
            justify: View(justify),
            payload: PayloadId(sha256(&[&self.salt.to_be_bytes()])),
            timestamp: Timestamp(parent.timestamp.0 + 1),
            proposer: MemberIndex(self.byzantine[0] as u16),
            ..self.base
        };
        self.blocks.insert(block.id(), (block, proof.cloned()));
        block.id()
    }

    /// Tell a member something, and look at what it makes of it.
    pub fn tell(&mut self, to: usize, heard: Heard) -> Verdict {
        let now = self.now[&to];
        let said = self.honest.get_mut(&to).unwrap().step(now, heard);
        self.watch(to, said)
    }

    /// Let a member's timer fire.
    pub fn fire(&mut self, to: usize) -> Verdict {
        let now = self.honest[&to].deadline.max(self.now[&to]);
        self.now.insert(to, now);
        self.tell(to, Heard::Nothing)
    }

    pub fn restart(&mut self, member: usize) -> Verdict {
        let (now, replica) = (self.now[&member], self.honest.get_mut(&member).unwrap());
        let root = replica.root;
        let said = replica.restart(root, &[], true, now);
        self.watch(member, said)
    }

    /// Give a member the ancestors of a block, payloads included.
    pub fn give(&mut self, to: usize, block: BlockId) -> Verdict {
        let mut chain = Vec::new();
        let mut at = block;
        while at != self.base.id() {
            chain.push(at);
            at = self.blocks[&at].0.parent;
        }
        for id in chain.into_iter().rev() {
            if !self.honest[&to].holds(id) {
                let (block, proof) = self.blocks[&id].clone();
                self.honest.get_mut(&to).unwrap().asked.insert(id);
                self.tell(to, Heard::Record { block, proof })?;
                self.tell(
                    to,
                    Heard::Payload {
                        block: id,
                        valid: true,
                    },
                )?;
            }
        }
        Ok(())
    }

    pub fn propose(&mut self, to: usize, id: BlockId, kind: ProposalKind) -> Verdict {
        let (block, proof) = self.blocks[&id].clone();
        self.give(to, block.parent)?;
        self.tell(to, Heard::Proposal { block, kind, proof })?;
        self.tell(
            to,
            Heard::Payload {
                block: id,
                valid: true,
            },
        )
    }

    /// Members that voted for a block, or could have for all that anyone knows.
    pub fn voters(&self, block: BlockId) -> Vec<usize> {
        let view = self.blocks[&block].0.view.0;
        let voted = |member: &usize| self.said.contains(&(*member, Said::Vote { view, block }));
        self.able(voted)
    }

    pub fn commit_voters(&self, block: BlockId) -> Vec<usize> {
        let view = self.blocks[&block].0.view.0;
        self.able(|member| {
            self.said
                .contains(&(*member, Said::CommitVote { view, block }))
        })
    }

    fn able(&self, said: impl Fn(&usize) -> bool) -> Vec<usize> {
        let all = 0..self.rules.stakes.len();
        all.filter(|member| self.byzantine.contains(member) || said(member))
            .collect()
    }

    pub fn votes(&mut self, to: usize, block: BlockId, by: &[usize]) -> Verdict {
        let view = self.blocks[&block].0.view.0;
        for by in by.iter().copied().filter(|by| *by != to) {
            self.tell(to, Heard::Vote { by, view, block })?;
        }
        self.give(to, block)
    }

    pub fn commit_votes(&mut self, to: usize, block: BlockId, by: &[usize]) -> Verdict {
        let view = self.blocks[&block].0.view.0;
        for by in by.iter().copied().filter(|by| *by != to) {
            self.tell(to, Heard::CommitVote { by, view, block })?;
        }
        self.give(to, block)
    }

    /// What an honest member said when it gave up on a view.
    pub fn timeout_of(&self, by: usize, view: u64) -> Option<(Option<Proof>, Option<BlockId>)> {
        let said = self.said.iter().find_map(|(member, said)| match said {
            Said::Timeout {
                view: of, voted, ..
            } if *member == by && *of == view => Some(*voted),
            _ => None,
        })?;
        Some((self.highs[&(view, by)].clone(), said))
    }

    /// Deliver timeouts; a Byzantine one says what is passed.
    pub fn timeouts(
        &mut self,
        to: usize,
        view: u64,
        by: &[usize],
        lie: (Option<Proof>, Option<BlockId>),
    ) -> Verdict {
        for by in by.iter().copied().filter(|by| *by != to) {
            let honest = self.honest.contains_key(&by);
            let said = if honest {
                self.timeout_of(by, view)
            } else {
                Some(lie.clone())
            };
            if let Some((high, voted)) = said {
                self.tell(
                    to,
                    Heard::Timeout {
                        by,
                        view,
                        voted,
                        high,
                    },
                )?;
            }
        }
        Ok(())
    }

    fn watch(&mut self, member: usize, said: Vec<Said>) -> Verdict {
        let replica = &self.honest[&member];
        self.proofs.extend(replica.certificates.iter().cloned());
        self.proofs.extend(replica.safety.entry.clone());
        for said in said {
            if let Said::Timeout { view, .. } = said {
                let timed_out = replica.safety.timed_out.as_ref();
                let high = timed_out.and_then(|(_, high, _)| high.clone());
                self.highs.insert((view, member), high);
            }
            let before: Vec<Said> = self.said_by(member);
            if let Some(with) = before.iter().find(|before| offence(before, &said)) {
                return Err(format!("honest member {member} said {with:?} and {said:?}"));
            }
            self.said.insert((member, said));
        }
        let (root, certificates) = (replica.root, replica.certificates.clone());
        if root.view.0 > 0 && self.committed.insert(root.id()) {
            let conflicts = |other: &&BlockId| {
                !self.descends(**other, root.id()) && !self.descends(root.id(), **other)
            };
            if let Some(other) = self.committed.iter().find(conflicts) {
                return Err(format!("fork: {other} and {}", root.id()));
            }
        }
        // Section 5, over everything that anyone holds.
        let all = self
            .honest
            .values()
            .flat_map(|replica| &replica.certificates);
        for certificate in all.chain(&certificates) {
            let Some(block) = self.rules.block(certificate) else {
                continue;
            };
            for committed in &self.committed {
                let view = self.blocks[committed].0.view.0;
                if certificate.view() >= view && !self.descends(block, *committed) {
                    return Err(format!(
                        "section 5: {committed} of view {view} is committed, and {block} has a \
                         certificate of rank {}",
                        certificate.view()
                    ));
                }
            }
        }
        Ok(())
    }

    fn said_by(&self, member: usize) -> Vec<Said> {
        let all = self.said.iter().filter(|(by, _)| *by == member);
        all.map(|(_, said)| said.clone()).collect()
    }

    fn descends(&self, mut block: BlockId, ancestor: BlockId) -> bool {
        loop {
            if block == ancestor {
                return true;
            }
            match self.blocks.get(&block) {
                Some((held, _)) if held.height.0 > 0 => block = held.parent,
                _ => return false,
            }
        }
    }
}

/// Section 6.
fn offence(a: &Said, b: &Said) -> bool {
    use Said::{CommitVote, Proposal, Timeout, Vote};
    match (a, b) {
        (
            Proposal { view, kind, block },
            Proposal {
                view: v,
                kind: k,
                block: b,
            },
        ) => view == v && kind == k && block != b,
        (Vote { view, block }, Vote { view: v, block: b })
        | (CommitVote { view, block }, CommitVote { view: v, block: b }) => view == v && block != b,
        (Vote { view, block }, Timeout { view: v, voted, .. })
        | (Timeout { view: v, voted, .. }, Vote { view, block }) => {
            view == v && *voted != Some(*block)
        }
        (
            CommitVote { view, .. },
            Timeout {
                view: w, high_view, ..
            },
        )
        | (
            Timeout {
                view: w, high_view, ..
            },
            CommitVote { view, .. },
        ) => w >= view && high_view < view,
        _ => false,
    }
}

/// A random schedule of a random committee; what the first checker says that fires.
pub fn random(seed: u64, mutation: Option<Mutation>, steps: u64) -> Verdict {
    let mut rng = Rng::new(seed);
    let committees: [(&[u64], &[usize]); 4] = [
        (&[1, 1, 1, 1], &[3]),
        (&[1, 1, 1, 1, 1, 1], &[5]),
        (&[3, 2, 2, 1, 1], &[3, 4]),
        (&[1, 1, 1, 1], &[0]),
    ];
    let (stakes, byzantine) = *rng.pick(&committees);
    let mut game = Game::new(stakes, byzantine, mutation);
    let members: Vec<usize> = game.honest.keys().copied().collect();
    for _ in 0..steps {
        let to = *rng.pick(&members);
        game.move_at_random(&mut rng, to)?;
    }
    Ok(())
}

impl Game {
    fn move_at_random(&mut self, rng: &mut Rng, to: usize) -> Verdict {
        let view = self.honest[&to].safety.view;
        let recent = self.blocks.values().filter(|(block, _)| {
            block.view.0 > 0 && block.view.0 <= view && block.view.0 + 2 > view
        });
        let recent: Vec<BlockId> = recent.map(|(block, _)| block.id()).collect();
        let some = |rng: &mut Rng, all: Vec<usize>, chance: u64| -> Vec<usize> {
            all.into_iter().filter(|_| rng.percent(chance)).collect()
        };
        match rng.below(100) {
            0..35 => self.propose_at_random(rng, to, view),
            35..55 if !recent.is_empty() => {
                let block = *rng.pick(&recent);
                let by = some(rng, self.voters(block), 80);
                self.votes(to, block, &by)
            }
            55..70 if !recent.is_empty() => {
                let block = *rng.pick(&recent);
                let by = some(rng, self.commit_voters(block), 80);
                self.commit_votes(to, block, &by)
            }
            70..85 => {
                let of_view = recent
                    .into_iter()
                    .filter(|id| self.blocks[id].0.view.0 == view);
                let mut voted: Vec<_> = of_view.map(Some).collect();
                voted.push(None);
                let certificates = self.proofs.iter();
                let certificates = certificates.filter(|held| held.view() < view);
                let mut highs: Vec<_> = certificates
                    .map(|held| self.rules.certificate(held))
                    .collect();
                highs.push(None);
                let lie = (rng.pick(&highs).clone(), *rng.pick(&voted));
                let by = some(rng, (0..self.rules.stakes.len()).collect(), 80);
                self.timeouts(to, view, &by, lie)
            }
            85..93 => self.fire(to),
            93..96 => self.restart(to),
            _ => {
                let proofs: Vec<_> = self.proofs.iter().cloned().collect();
                match proofs.is_empty() {
                    true => Ok(()),
                    false => self.tell(to, Heard::Proof(rng.pick(&proofs).clone())),
                }
            }
        }
    }

    fn propose_at_random(&mut self, rng: &mut Rng, to: usize, view: u64) -> Verdict {
        let of_view = self
            .blocks
            .values()
            .filter(|(block, _)| block.view.0 == view);
        let of_view: Vec<BlockId> = of_view.map(|(block, _)| block.id()).collect();
        let known = !of_view.is_empty() && (of_view.len() > 2 || rng.percent(60));
        let id = if known {
            *rng.pick(&of_view)
        } else {
            let proofs = self.proofs.iter().filter(|proof| proof.view() + 1 == view);
            let mut proofs: Vec<Option<Proof>> = proofs.cloned().map(Some).collect();
            if view == 1 {
                proofs.push(None);
            }
            if proofs.is_empty() {
                return Ok(());
            }
            let proof = rng.pick(&proofs).clone();
            if rng.percent(15) {
                let all: Vec<BlockId> = self.blocks.keys().copied().collect();
                let on = *rng.pick(&all);
                let justify = self.blocks[&on].0.view.0;
                if justify >= view {
                    return Ok(());
                }
                self.block_on(view, on, justify, proof.as_ref())
            } else {
                self.block(view, proof.as_ref())
            }
        };
        self.propose(to, id, ProposalKind::Normal)
    }
}
