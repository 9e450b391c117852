//! A real process that votes is killed with -9, again and again: nothing is signed twice, nothing final is lost.
//!
//! The test starts its own binary as the voter: a committee of one, with the real vote journal and block store, that
//! prints everything it signs and commits the moment it may leave the process.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

use outrider_consensus::{Action, Config, Input, Replica, Restored, Seat, Step};
use outrider_finality::Outlook;
use outrider_node::chain::Chain;
use outrider_node::durable::{persist, vote_left};
use outrider_storage::{FileJournal, Journal, JournalOptions, SledStore, StoreOptions};
use outrider_types::{
    CheckedPayload, Committee, CommitteeId, ConsensusMessage, Payload, SafetyState, Timestamp,
    Verified, encode, testing,
};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

const FOLDER: &str = "OUTRIDER_KILL_TEST_FOLDER";

/// What the voter says of what it does.
struct Voter {
    committee: Committee,
    replica: Replica,
    chain: Chain<SledStore>,
    journal: FileJournal,
    now: u64,
}

impl Voter {
    fn start(folder: &Path) {
        let (committee, keys) = testing::committee(&[1]);
        let journal =
            FileJournal::open(&folder.join("journal"), JournalOptions::default()).unwrap();
        let store = SledStore::open(&folder.join("store"), StoreOptions::default()).unwrap();
        let mut chain = Chain::open(store, committee.clone(), Vec::new()).unwrap();
        let safety = match journal.latest() {
            Some(record) => SafetyState::restore(record, &committee).unwrap(),
            None => Verified::fresh(&committee),
        };
        chain.note_votes_before(Some(&*safety)).unwrap();
        let tips: Vec<_> = safety
            .voted
            .iter()
            .map(|vote| vote.block)
            .chain(safety.high_block())
            .collect();
        let blocks = chain
            .uncommitted(&tips)
            .unwrap()
            .into_iter()
            .map(|(record, _)| record)
            .collect();
        let restored = Restored {
            root: *chain.root(),
            vote_left: vote_left(&chain, &safety).unwrap(),
            safety,
            blocks,
        };
        let base = *chain.genesis();
        let seat = Seat {
            member: committee.indexes().next().unwrap(),
            key: keys[0].clone(),
        };
        let (replica, step) = Replica::new(
            Config::default(),
            committee.clone(),
            Some(seat),
            &base,
            restored,
            Timestamp(0),
        );
        say(&format!(
            "root {} {}",
            chain.root().height,
            chain.root().id()
        ));
        let mut voter = Self {
            committee,
            replica,
            chain,
            journal,
            now: 0,
        };
        let mut inputs = voter.take(step);
        loop {
            // The parent kills this process; it never ends by itself.
            let input = if inputs.is_empty() {
                Input::Wake
            } else {
                inputs.remove(0)
            };
            voter.now += 1_000;
            let step = voter.replica.step(Timestamp(voter.now), input);
            inputs.extend(voter.take(step));
        }
    }

    fn take(&mut self, step: Step) -> Vec<Input> {
        let (chain, journal) = (&mut self.chain, &mut self.journal);
        let actions = step
            .persist_with(|writes| persist(chain, journal, writes))
            .unwrap();
        actions
            .into_iter()
            .filter_map(|action| self.act(action))
            .collect()
    }

    fn act(&mut self, action: Action) -> Option<Input> {
        match action {
            Action::Broadcast { message } => {
                match &message {
                    ConsensusMessage::Vote(vote) => {
                        say(&format!("vote {} {}", vote.view, vote.block))
                    }
                    ConsensusMessage::CommitVote(vote) => {
                        say(&format!("commit-vote {} {}", vote.view, vote.block))
                    }
                    ConsensusMessage::Timeout(message) => {
                        let timeout = hex(&encode(&message.timeout));
                        say(&format!("timeout {} {timeout}", message.timeout.view));
                    }
                    ConsensusMessage::Proposal(proposal) => {
                        say(&format!(
                            "proposal {} {}",
                            proposal.block.view,
                            proposal.block.id()
                        ));
                    }
                    ConsensusMessage::Certificate(_) | ConsensusMessage::EpochEnd(_) => {}
                }
                None
            }
            Action::Assemble {
                view,
                parent,
                after,
                ..
            } => {
                let payload = Payload::default();
                self.chain.put_payload(payload.id(), &payload).unwrap();
                // Another process at the same height must make another block, or a second vote could not be seen.
                let timestamp = Timestamp(after.0 + 1 + u64::from(std::process::id()));
                let (ledger, empty) = (self.chain.ledger(), CheckedPayload::default());
                let mut outlook = Outlook::default();
                for block in self.replica.branch(parent).unwrap() {
                    outlook.check(ledger, &block, &empty).unwrap().unwrap();
                }
                let roots = outlook.roots(ledger, parent, &empty).unwrap();
                Some(Input::Assembled {
                    view,
                    parent,
                    timestamp,
                    content: outrider_types::Content {
                        payload: payload.id(),
                        roots,
                        origin: outrider_types::Origin::NONE,
                        next: CommitteeId::NONE,
                    },
                })
            }
            Action::CheckPayload { block } => Some(Input::PayloadChecked {
                block: block.id(),
                valid: true,
            }),
            Action::Commit {
                blocks,
                certificate,
                ..
            } => {
                certificate
                    .clone()
                    .into_inner()
                    .verify(&self.committee)
                    .expect("a commit carries its proof");
                for record in &blocks {
                    let id = record.block.id();
                    let own = (certificate.block() == id).then_some(&*certificate);
                    self.chain
                        .commit(&record.block, &CheckedPayload::default(), own)
                        .unwrap();
                    say(&format!("commit {} {id}", record.block.height));
                }
                None
            }
            _ => None,
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One line, out at once: what is printed has left the process.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "voter: {line}").unwrap();
    out.flush().unwrap();
}

/// Not a test: what the test below starts and kills.
#[test]
fn voter() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        Voter::start(Path::new(&folder));
    }
}

#[test]
fn a_voter_killed_again_and_again_signs_nothing_twice_and_loses_nothing_final() {
    let folder = tempfile::tempdir().unwrap();
    let mut signed: BTreeMap<(String, u64), String> = BTreeMap::new();
    let mut chain: BTreeMap<u64, String> = BTreeMap::new();
    for life in 0..25_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "voter", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Another number of lines in each life, so that the kill falls into every part of a view.
        let last = 40 + (life * 7) % 13;
        let mut count = 0;
        for line in lines {
            let line = line.unwrap();
            let Some((_, said)) = line.split_once("voter: ") else {
                continue;
            };
            let [kind, number, what] = said.split(' ').collect::<Vec<_>>()[..] else {
                panic!("{said}")
            };
            let number: u64 = number.parse().unwrap();
            match kind {
                "root" => {
                    let known = chain.keys().next_back().copied().unwrap_or(0);
                    // The store syncs with the next vote: the last commit may have to be made again, from the votes
                    // that are durable; it must then be the same.
                    assert!(
                        number + 1 >= known,
                        "life {life}: final block {known} is lost, the root is {number}"
                    );
                    if let Some(before) = chain.get(&number) {
                        assert_eq!(
                            before, what,
                            "life {life}: another block at height {number}"
                        );
                    }
                }
                "commit" => {
                    let before = chain.entry(number).or_insert_with(|| what.to_owned());
                    assert_eq!(
                        before, what,
                        "life {life}: two final blocks at height {number}"
                    );
                }
                _ => {
                    let before = signed
                        .entry((kind.to_owned(), number))
                        .or_insert_with(|| what.to_owned());
                    assert_eq!(
                        before, what,
                        "life {life}: two statements `{kind}` in view {number}"
                    );
                }
            }
            count += 1;
            if count == last {
                // SIGKILL on Unix.
                child.kill().unwrap();
                break;
            }
        }
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            count,
            last,
            "life {life}: it ended by itself: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    assert!(chain.len() > 100, "{} blocks in 25 lives", chain.len());
    assert!(
        signed.len() > 300,
        "{} statements in 25 lives",
        signed.len()
    );
}
