//! What honest members must never do, checked from outside: S1, S2 and S5. The rules are restated here on their own.

use outrider_types::{Block, BlockId, ConsensusMessage, Height};

/// Which checker, and what is broken.
pub(super) type Broken = (&'static str, String);

/// What one instance said. A run has a few dozen views, so lists are searched from the front.
#[derive(Clone, Debug, Default)]
struct Said {
    proposals: Vec<(u64, u8, BlockId)>,
    votes: Vec<(u64, BlockId)>,
    commits: Vec<(u64, BlockId)>,
    timeouts: Vec<(u64, u64, Option<BlockId>)>,
    /// The last final block: height and id.
    top: Option<(Height, BlockId)>,
}

/// Everything that instances said and committed.
#[derive(Debug)]
pub(super) struct Watch {
    said: Vec<Said>,
    honest: u16,
    /// Final blocks, from height 1 on.
    chain: Vec<BlockId>,
    /// Two instances of one member signed an offence: what twins are for.
    pub(super) offences: u64,
    members: usize,
}

impl Watch {
    pub(super) fn new(instances: usize, members: usize, honest: u16) -> Self {
        Self {
            said: vec![Said::default(); instances],
            honest,
            chain: Vec::new(),
            offences: 0,
            members,
        }
    }

    /// Highest final block of any honest member.
    pub(super) const fn height(&self) -> usize {
        self.chain.len()
    }

    /// An instance says something. An honest one never says what makes an offence with what it said before (S5).
    pub(super) fn says(
        &mut self,
        instance: usize,
        message: &ConsensusMessage,
    ) -> Result<(), String> {
        if let Some(what) = self.said[instance].offence(message) {
            return Err(format!("instance {instance} by itself signed {what}"));
        }
        // The other instance has the same key.
        let other = if instance >= self.members {
            instance - self.members
        } else {
            instance + self.members
        };
        if self
            .said
            .get(other)
            .is_some_and(|said| said.offence(message).is_some())
        {
            self.offences += 1;
        }
        self.said[instance].record(message);
        Ok(())
    }

    /// An instance commits a block: the next one on its own chain (S2), and the one that every honest member has at that
    /// height (S1).
    pub(super) fn commits(&mut self, instance: usize, block: &Block) -> Result<(), Broken> {
        let id = block.id();
        let top = self.said[instance].top.replace((block.height, id));
        let follows = match top {
            Some((height, parent)) => height.next() == block.height && parent == block.parent,
            None => block.height == Height(1),
        };
        if !follows {
            let what = format!(
                "instance {instance} committed a block of height {} that does not follow its last one",
                block.height
            );
            return Err(("S2", what));
        }
        if self.honest >> instance & 1 == 0 {
            return Ok(());
        }
        let at = usize::try_from(block.height.0 - 1).unwrap_or(usize::MAX);
        match self.chain.get(at) {
            Some(known) if *known != id => {
                let what = format!(
                    "instance {instance} committed another block at height {} than an honest member before",
                    block.height
                );
                Err(("S1", what))
            }
            Some(_) => Ok(()),
            None => {
                self.chain.push(id);
                Ok(())
            }
        }
    }
}

impl Said {
    /// What this and something said before would make (protocol section 6).
    fn offence(&self, message: &ConsensusMessage) -> Option<&'static str> {
        match message {
            ConsensusMessage::Proposal(new) => {
                let (view, kind) = (new.block.view.0, new.kind.byte());
                let id = new.block.id();
                let mut same = self.proposals.iter();
                same.any(|said| (said.0, said.1) == (view, kind) && said.2 != id)
                    .then_some("E1, two proposals of a view")
            }
            ConsensusMessage::Vote(new) => {
                let view = new.view.0;
                if self
                    .votes
                    .iter()
                    .any(|said| said.0 == view && said.1 != new.block)
                {
                    return Some("E2, two votes in a view");
                }
                let mut timeouts = self.timeouts.iter();
                timeouts
                    .any(|said| said.0 == view && said.2 != Some(new.block))
                    .then_some("E4, a vote that its timeout hides")
            }
            ConsensusMessage::CommitVote(new) => {
                let view = new.view.0;
                if self
                    .commits
                    .iter()
                    .any(|said| said.0 == view && said.1 != new.block)
                {
                    return Some("E3, two commit votes in a view");
                }
                let mut timeouts = self.timeouts.iter();
                timeouts
                    .any(|said| said.0 >= view && said.1 < view)
                    .then_some(
                        "E5, a commit vote after a timeout that does not know its certificate",
                    )
            }
            ConsensusMessage::Timeout(new) => {
                let (view, high) = (new.timeout.view.0, new.timeout.high_view.0);
                let voted = new.timeout.voted;
                if self
                    .votes
                    .iter()
                    .any(|said| said.0 == view && Some(said.1) != voted)
                {
                    return Some("E4, a timeout that hides a vote");
                }
                let mut commits = self.commits.iter();
                commits
                    .any(|said| said.0 <= view && high < said.0)
                    .then_some("E5, a timeout that does not know what it commit-voted for")
            }
            ConsensusMessage::Certificate(_) | ConsensusMessage::EpochEnd(_) => None,
        }
    }

    fn record(&mut self, message: &ConsensusMessage) {
        match message {
            ConsensusMessage::Proposal(new) => {
                let said = (new.block.view.0, new.kind.byte(), new.block.id());
                self.proposals.push(said);
            }
            ConsensusMessage::Vote(new) => self.votes.push((new.view.0, new.block)),
            ConsensusMessage::CommitVote(new) => self.commits.push((new.view.0, new.block)),
            ConsensusMessage::Timeout(new) => {
                let timeout = &new.timeout;
                let said = (timeout.view.0, timeout.high_view.0, timeout.voted);
                if !self.timeouts.contains(&said) {
                    self.timeouts.push(said);
                }
            }
            ConsensusMessage::Certificate(_) | ConsensusMessage::EpochEnd(_) => {}
        }
    }
}
