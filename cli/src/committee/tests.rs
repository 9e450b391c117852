//! From a proposal to a change that the network takes, by the command line.

use super::change::{ChangeError, ChangeFile};
use super::current::Current;
use super::words::{describe, tally};
use crate::failure::Failure;
use crate::{Arguments, run};
use clap::Parser as _;
use outrider_node::committee_file::CommitteeFile;
use outrider_types::{Epoch, MemberIndex, Stake};
use std::path::{Path, PathBuf};

/// A network of four with epochs of 30 blocks and a ring, and `eve`, who wants to join.
struct World {
    dir: tempfile::TempDir,
}

fn outrider(line: &str) -> Result<(), Failure> {
    let words = line.split_whitespace();
    run(Arguments::try_parse_from(words).unwrap().verb)
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().display();
        outrider(&format!(
            "outrider init --members 4 --epoch-blocks 30 --ring member-1,member-0,member-3,member-2 --dir {at}/net"
        ))
        .unwrap();
        outrider(&format!(
            "outrider init --join --committee {at}/net/committee.json --name eve --base-port 9700 --dir {at}/eve"
        ))
        .unwrap();
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn current(&self) -> Current {
        CommitteeFile::load(&self.path("net/committee.json"))
            .unwrap()
            .into()
    }

    /// In a line, @ is the folder.
    fn run(&self, line: &str) -> Result<(), Failure> {
        outrider(&line.replace('@', &self.dir.path().display().to_string()))
    }

    fn propose(&self, options: &str) -> Result<ChangeFile, Failure> {
        self.run(&format!(
            "outrider committee propose --committee @/net/committee.json --out @/change.json {options}"
        ))?;
        Ok(self.load("change.json"))
    }

    fn approve(&self, file: &str, key: &str) -> Result<(), Failure> {
        self.run(&format!(
            "outrider committee approve @/{file} --committee @/net/committee.json --key @/{key}/member.key --yes"
        ))
    }

    fn load(&self, name: &str) -> ChangeFile {
        ChangeFile::load(&self.path(name)).unwrap()
    }

    fn edit(&self, name: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path(name)).unwrap();
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        std::fs::write(self.path(name), changed).unwrap();
    }
}

fn stakes(file: &ChangeFile) -> Vec<(String, u64)> {
    let contacts = file.change.contacts.iter();
    contacts
        .zip(file.change.next.members())
        .map(|(contact, member)| (contact.name.clone(), member.stake.0))
        .collect()
}

fn turns(file: &ChangeFile) -> Vec<String> {
    let ring = file.change.next.ring().into_iter();
    ring.map(|member| file.change.contacts[member.index()].name.clone())
        .collect()
}

#[test]
fn change_is_complete_once_members_of_stake_q_approve() {
    let world = World::new();
    let current = world.current();
    let file = world
        .propose("--add @/eve/candidate.json --stake eve=2 --key @/net/member-3/member.key")
        .unwrap();
    assert_eq!(file.check(&current).unwrap(), Stake(1));
    let missing = file.complete(&current).unwrap_err();
    assert!(
        missing
            .to_string()
            .starts_with("approved by stake 1, 3 is needed: stake 2 is missing"),
        "{missing}"
    );
    world.approve("change.json", "net/member-0").unwrap();
    // Approving twice is no more than once.
    world.approve("change.json", "net/member-0").unwrap();
    assert_eq!(world.load("change.json").check(&current).unwrap(), Stake(2));
    world.approve("change.json", "net/member-2").unwrap();
    let file = world.load("change.json");
    file.complete(&current).unwrap();
    let signers: Vec<_> = file
        .change
        .approvals
        .signatures
        .iter()
        .map(|(member, _)| *member)
        .collect();
    assert_eq!(signers, [0, 2, 3].map(MemberIndex));
    let change = file.change.clone().verify(&current.committee).unwrap();
    assert_eq!(change.next.epoch(), Epoch(1));
    assert_eq!(change.next.epoch_blocks(), Some(30));
    assert!(
        tally(&file, &current, Stake(3))
            .ends_with("(member-0, member-2, member-3): that is enough")
    );
}

#[test]
fn copies_approved_apart_are_put_together() {
    let world = World::new();
    let current = world.current();
    world.propose("--remove member-1").unwrap();
    for member in 0..3 {
        std::fs::copy(
            world.path("change.json"),
            world.path(&format!("{member}.json")),
        )
        .unwrap();
        world
            .approve(&format!("{member}.json"), &format!("net/member-{member}"))
            .unwrap();
    }
    let mut merged = world.load("0.json");
    for member in 1..3 {
        let path = world.path(&format!("{member}.json"));
        merged
            .merge(&ChangeFile::load(&path).unwrap(), &path)
            .unwrap();
    }
    merged.complete(&current).unwrap();
    std::fs::remove_file(world.path("change.json")).unwrap();
    let other = world.propose("--remove member-2").unwrap();
    assert!(matches!(
        merged.merge(&other, Path::new("other.json")),
        Err(ChangeError::OtherChange { .. })
    ));
}

#[test]
fn arguments_say_what_changes() {
    let world = World::new();
    let propose = |options: &str| {
        let _ = std::fs::remove_file(world.path("change.json"));
        world.propose(options)
    };
    let names = |file: &ChangeFile| {
        stakes(file)
            .into_iter()
            .map(|(name, _)| name)
            .collect::<Vec<_>>()
    };
    // Who joins has the stake of everyone, and the last turn.
    let file = propose("--add @/eve/candidate.json").unwrap();
    assert_eq!(stakes(&file)[4], ("eve".to_owned(), 1));
    assert_eq!(
        turns(&file),
        ["member-1", "member-0", "member-3", "member-2", "eve"]
    );
    let thresholds = file.change.next.thresholds();
    assert_eq!(
        (thresholds.total, thresholds.byzantine),
        (Stake(5), Stake(1))
    );
    // Who replaces takes place, stake and turn.
    let file = propose("--replace member-0=@/eve/candidate.json").unwrap();
    assert_eq!(names(&file), ["eve", "member-1", "member-2", "member-3"]);
    assert_eq!(turns(&file), ["member-1", "eve", "member-3", "member-2"]);
    let file = propose("--remove member-0 --stake member-1=4 --stake member-2=3").unwrap();
    assert_eq!(
        stakes(&file)
            .iter()
            .map(|(_, stake)| *stake)
            .collect::<Vec<_>>(),
        [4, 3, 1]
    );
    assert_eq!(turns(&file), ["member-1", "member-3", "member-2"]);
    // f was the largest that is safe, and stays that.
    assert_eq!(file.change.next.thresholds().byzantine, Stake(2));
    let file = propose(
        "--byzantine 0 --crashed 1 --epoch-blocks 60 --ring member-0,member-1,member-2,member-3",
    )
    .unwrap();
    let thresholds = file.change.next.thresholds();
    assert_eq!(
        (thresholds.byzantine, thresholds.crashed),
        (Stake(0), Stake(1))
    );
    assert_eq!(file.change.next.epoch_blocks(), Some(60));
    assert_eq!(
        turns(&file),
        ["member-0", "member-1", "member-2", "member-3"]
    );
}

#[test]
fn proposals_that_cannot_be_are_refused() {
    let world = World::new();
    let refused = |options: &str| {
        let error = world.propose(options).unwrap_err().to_string();
        assert!(!world.path("change.json").exists(), "{options}: {error}");
        error
    };
    assert!(refused("").contains("nothing would change"));
    assert!(refused("--remove eve").contains("there is no member eve; the members are member-0,"));
    assert!(refused("--replace member-0=@/none.json").contains("none.json"));
    assert!(refused("--byzantine 2").contains("N >= 3f"));
    assert!(refused("--ring member-0,member-1").contains("must name each of these once"));
    assert!(
        refused("--add @/eve/candidate.json --add @/eve/candidate.json").contains("the same key")
    );
    assert!(
        refused("--remove member-0 --key @/eve/member.key").contains("not the key of a member")
    );
    world.edit("eve/candidate.json", "\"eve\"", "\"member-1\"");
    assert!(refused("--add @/eve/candidate.json").contains("the same name"));
    // Members of different stake: how much has a new one?
    world.edit("net/committee.json", "\"stake\": 1", "\"stake\": 2");
    world.edit("eve/candidate.json", "\"member-1\"", "\"eve\"");
    assert!(refused("--add @/eve/candidate.json").contains("pass --stake eve=N"));
    // An epoch that never ends.
    world.edit(
        "net/committee.json",
        "\"epoch_blocks\": 30",
        "\"epoch_blocks\": 0",
    );
    assert!(refused("--remove member-0").contains("never ends"));
    std::fs::write(world.path("change.json"), "").unwrap();
    assert!(matches!(
        world.propose("--remove member-0"),
        Err(Failure::Exists(_))
    ));
}

#[test]
fn altered_changes_are_refused_and_stay_as_they_were() {
    let world = World::new();
    world
        .propose("--add @/eve/candidate.json --key @/net/member-0/member.key")
        .unwrap();
    let good = std::fs::read_to_string(world.path("change.json")).unwrap();
    let id = world.load("change.json").id().to_string();
    let signature = world.load("change.json").change.approvals.signatures[0]
        .1
        .to_string();
    let flipped = format!(
        "{}{}",
        if signature.starts_with('0') { "1" } else { "0" },
        &signature[1..]
    );
    for (from, to, reason) in [
        ("\"stake\": 1", "\"stake\": 2", "another change"),
        ("127.0.0.1:9700", "127.0.0.1:9701", "another change"),
        ("\"eve\"", "\"\\u001b[2J\"", "not printable"),
        (&id[..], &"00".repeat(32)[..], "another change"),
        (
            &signature[..],
            &flipped[..],
            "signature of m0 does not verify",
        ),
        ("\"epoch\": 1", "\"epoch\": 2", "cannot follow"),
        ("\"chain\": 7777", "\"chain\": 7778", "cannot follow"),
        ("\"version\": 1", "\"version\": 2", "version 2"),
        ("\"change\"", "\"extra\": 1, \"change\"", "unknown field"),
        ("\"epoch\": 0", "\"epoch\": 1", "propose it again"),
    ] {
        std::fs::write(world.path("change.json"), &good).unwrap();
        world.edit("change.json", from, to);
        let before = std::fs::read(world.path("change.json")).unwrap();
        let error = world
            .approve("change.json", "net/member-1")
            .unwrap_err()
            .to_string();
        assert!(error.contains(reason), "{from}: {error}");
        assert_eq!(std::fs::read(world.path("change.json")).unwrap(), before);
    }
    // Whoever is not a member has no say.
    std::fs::write(world.path("change.json"), &good).unwrap();
    assert!(matches!(
        world.approve("change.json", "eve"),
        Err(Failure::Change(ChangeError::NotMember { .. }))
    ));
    assert_eq!(
        std::fs::read_to_string(world.path("change.json")).unwrap(),
        good
    );
}

#[test]
fn change_is_told_in_words() {
    let world = World::new();
    let file = world
        .propose(
            "--remove member-1 --add @/eve/candidate.json --stake member-0=3 --epoch-blocks 60",
        )
        .unwrap();
    let mut moved = file.clone();
    moved.change.contacts[1].address.set_port(1);
    moved.change.contacts[1].rpc = None;
    let current = world.current();
    let text = describe(&moved, &current);
    let (leaver, eve) = (
        current.committee.members()[1].public_key,
        file.change.next.members()[3].public_key,
    );
    let transport = file.change.contacts[3].transport_key;
    let address = current.contacts[2].address;
    let expected = format!(
        "change     {}
at the end of epoch 0 of chain 7777, for epoch 1:
  stake    member-0: 1 -> 3
  leaves   member-1, stake 1, key {leaver}
  moves    member-2: {address} -> 127.0.0.1:1
  rpc      member-2: {} -> none
  joins    eve, stake 1, at 127.0.0.1:9700, rpc http://127.0.0.1:9701
           key {eve}
           transport key {transport}
  known    stake 5 of 6 in the next epoch is of present members
  turns    member-1, member-0, member-3, member-2 -> member-0, member-3, member-2, eve
  epochs   30 blocks -> 60 blocks
stake             now        then
  N                 4           6  all stake
  f                 1           1  may be Byzantine
  c                 0           0  may be crashed beside
  Q                 3           4  certifies, commits, approves
  F                 4           5  commits on the fast path
  T                 3           5  ends a view
",
        moved.id(),
        current.contacts[2].rpc.as_ref().unwrap(),
    );
    assert_eq!(text, expected);
    assert_eq!(
        tally(&file, &current, Stake(0)),
        "approved   by stake 0 of 3 needed: stake 3 is missing"
    );
}
