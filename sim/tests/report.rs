//! What a researcher sees of a run: the lines, the numbers and the page say what happened, whole and escaped.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

#[path = "report/facts.rs"]
mod facts;

use facts::{committee, every_fact, run, run_of, story};
use outrider_sim::diagram;
use outrider_sim::fact::{Class, Fact, Micros, Observer, Violation};
use outrider_sim::kernel::World;
use outrider_sim::record::Recording;
use outrider_sim::record::tables::{FACTS, MESSAGES};
use outrider_sim::report::{Events, EventsError, Run, Summary, Tally};
use outrider_sim::scenario::{Fault, FaultKind, Latency, Scenario};
use outrider_sim::world::run_scenario;
use serde_json::Value;
use std::collections::BTreeSet;

fn violation() -> Violation {
    Violation {
        checker: "S1",
        class: Class::Safety,
        at: 1_234_567,
        what: "two blocks </script><!-- & \u{2028} at height 3".to_owned(),
    }
}

fn lines(facts: &[(Micros, Fact)], violation: Option<&Violation>) -> Vec<Value> {
    let mut events = Events::new(Vec::new());
    for (at, fact) in facts {
        events.see(*at, fact).unwrap();
    }
    let bytes = events.finish(violation).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn names(object: &Value) -> Vec<&str> {
    object
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[test]
fn every_fact_has_a_line_with_the_fields_of_its_table() {
    let violation = violation();
    let mut seen = BTreeSet::new();
    let mut kinds = BTreeSet::new();
    for line in lines(&every_fact(), Some(&violation)) {
        let name = line["fact"].as_str().unwrap().to_owned();
        let (_, fields) = FACTS.iter().find(|(fact, _)| *fact == name).expect(&name);
        let mut expected: Vec<&str> = fields.iter().map(|(field, _)| *field).collect();
        expected.extend(["at", "fact"]);
        expected.sort_unstable();
        let mut found = names(&line);
        found.sort_unstable();
        assert_eq!(found, expected, "{name}");
        if name == "sent" {
            let kind = line["kind"].as_str().unwrap().to_owned();
            let (_, fields) = MESSAGES.iter().find(|(one, _)| *one == kind).expect(&kind);
            let mut expected: Vec<&str> = fields.iter().map(|(field, _)| *field).collect();
            expected.sort_unstable();
            let mut found = names(&line["message"]);
            found.sort_unstable();
            assert_eq!(found, expected, "{kind}");
            kinds.insert(kind);
        }
        seen.insert(name);
    }
    let facts: BTreeSet<String> = FACTS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(seen, facts);
    let all: BTreeSet<String> = MESSAGES
        .iter()
        .map(|(kind, _)| (*kind).to_owned())
        .collect();
    assert_eq!(kinds, all);
}

#[test]
fn members_are_called_by_their_host_in_every_epoch() {
    let facts = every_fact();
    let of_epoch_1 = lines(&facts, None)
        .into_iter()
        .find(|line| line["kind"] == "vote" && line["message"]["epoch"] == 1)
        .unwrap();
    // Member 3 of epoch 1 is host 4.
    assert_eq!(of_epoch_1["message"]["signer"], 4);
}

#[test]
fn the_same_facts_give_the_same_bytes() {
    let facts = story();
    let page = || {
        let (tally, recording) = run(&facts, 1_000);
        let scenario = Scenario::calm(4);
        let run = run_of(&scenario, None);
        let summary = Summary::new(&run, &tally);
        (
            diagram::html(&run, &summary, &recording),
            summary.json(),
            summary.text().to_owned(),
        )
    };
    assert_eq!(page(), page());
}

#[test]
fn events_end_at_their_limit_and_say_so() {
    let facts = story();
    let run = |limit: u64| {
        let mut events = Events::with_limit(Vec::new(), limit);
        for (at, fact) in &facts {
            events.see(*at, fact).unwrap();
        }
        events.finish(None)
    };
    let count = facts.len() as u64;
    assert_eq!(
        run(count)
            .unwrap()
            .iter()
            .filter(|byte| **byte == b'\n')
            .count(),
        facts.len()
    );
    match run(count - 1) {
        Err(EventsError::Limit { limit, left_out }) => {
            assert_eq!((limit, left_out), (count - 1, 1))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_event_file_that_cannot_be_written_is_an_error_at_the_end() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::Error::from(std::io::ErrorKind::StorageFull))
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut events = Events::new(Full);
    for (at, fact) in story() {
        events.see(at, &fact).unwrap();
    }
    match events.finish(None) {
        Err(EventsError::Write { line, .. }) => assert_eq!(line, 1),
        other => panic!("{:?}", other.is_ok()),
    }
}

#[test]
fn a_recording_keeps_the_last_facts_and_what_still_holds_of_the_others() {
    let facts = story();
    for limit in [1, 2, facts.len() - 1, facts.len(), facts.len() + 1] {
        let (_, recording) = run(&facts, limit);
        let kept: Vec<Micros> = recording.facts().map(|(at, _)| at).collect();
        assert!(kept.is_sorted(), "in the order of time");
        let cut = facts.len().saturating_sub(limit) as u64;
        assert_eq!(
            recording.cut().map(|(count, _)| count),
            (cut > 0).then_some(cut)
        );
        assert!(
            recording
                .facts()
                .any(|(_, fact)| matches!(fact, Fact::Epoch { .. })),
            "who sits where is never forgotten"
        );
        assert!(kept.len() >= limit.min(facts.len()));
    }
    // The crash of the story is over at its end, the pause is not.
    let (_, recording) = run(&facts, 1);
    let crashed = |(_, fact): (Micros, &Fact)| matches!(fact, Fact::Crashed { .. });
    assert!(!recording.facts().any(crashed));
    let paused =
        |(_, fact): (Micros, &Fact)| matches!(fact, Fact::Fault { what, .. } if what == "pause m1");
    assert!(recording.facts().any(paused));
}

fn data(page: &str) -> Value {
    let (_, rest) = page.split_once("id=\"data\">").unwrap();
    let (json, _) = rest.split_once("</script>").unwrap();
    serde_json::from_str(json).unwrap()
}

fn page_of(facts: &[(Micros, Fact)], limit: usize, violation: Option<&Violation>) -> String {
    let (tally, recording) = run(facts, limit);
    let mut scenario = Scenario::calm(4);
    scenario.committee.hosts = 5;
    scenario.name = "<b>&\"bold\"</b>".to_owned();
    scenario.about = "</script><script>alert(1)</script>".to_owned();
    let run = run_of(&scenario, violation);
    diagram::html(&run, &Summary::new(&run, &tally), &recording)
}

#[test]
fn no_text_of_a_run_ends_the_script_that_it_is_in() {
    let violation = violation();
    let page = page_of(&every_fact(), 10_000, Some(&violation));
    assert_eq!(
        page.matches("</script>").count(),
        2,
        "the data's and the page's own"
    );
    assert_eq!(page.matches("<script").count(), 2);
    assert!(!page.contains("<b>"), "the title is escaped");
    let data = data(&page);
    assert_eq!(data["violation"]["what"], violation.what.as_str());
    assert_eq!(data["about"], "</script><script>alert(1)</script>");
}

#[test]
fn the_page_needs_nothing_from_outside() {
    let page = page_of(&story(), 1_000, None);
    for word in [
        "http://",
        "https://",
        "import(",
        "fetch(",
        "XMLHttpRequest",
        "@import",
        "url(",
    ] {
        assert!(!page.contains(word), "{word}");
    }
    assert!(
        page.contains("default-src 'none'"),
        "and its policy forbids it"
    );
}

#[test]
fn every_kind_of_message_is_drawn() {
    let script = include_str!("../src/diagram/model.js");
    for (kind, _) in MESSAGES {
        assert!(script.contains(&format!("'{kind}'")), "{kind} has no group");
    }
}

#[test]
fn the_page_holds_every_message_that_was_recorded() {
    let facts = every_fact();
    let page = data(&page_of(&facts, 10_000, None));
    let sent = facts
        .iter()
        .filter(|(_, fact)| matches!(fact, Fact::Sent { .. }))
        .count();
    for column in ["at", "from", "to", "kind", "bytes", "number", "values"] {
        assert_eq!(
            page["bodies"][column].as_array().unwrap().len(),
            sent,
            "{column}"
        );
    }
    let kinds: BTreeSet<u64> = page["bodies"]["kind"]
        .as_array()
        .unwrap()
        .iter()
        .map(|kind| kind.as_u64().unwrap())
        .collect();
    assert_eq!(kinds.len(), MESSAGES.len(), "all kinds");
    let values = page["bodies"]["values"].as_array().unwrap();
    for (kind, values) in page["bodies"]["kind"]
        .as_array()
        .unwrap()
        .iter()
        .zip(values)
    {
        let labels = page["kinds"][kind.as_u64().unwrap() as usize]["labels"]
            .as_array()
            .unwrap();
        assert_eq!(labels.len(), values.as_array().unwrap().len());
    }
    let ends: Vec<u64> = page["arrows"]["end"]
        .as_array()
        .unwrap()
        .iter()
        .map(|end| end.as_u64().unwrap())
        .collect();
    assert!(
        (0..=4).all(|end| ends.contains(&end)),
        "delivered, lost for each cause, under way: {ends:?}"
    );
}

#[test]
fn a_cut_recording_says_so_on_the_page() {
    let facts = story();
    assert!(data(&page_of(&facts, facts.len(), None))["cut"].is_null());
    let cut = data(&page_of(&facts, facts.len() - 2, None));
    assert_eq!(cut["cut"]["facts"], 2);
    assert!(cut["cut"]["from"].is_u64());
}

/// What there is to see of a world: numbers that anyone can recompute from its lines.
#[test]
fn the_numbers_of_a_world_are_those_of_its_lines() {
    let mut scenario = Scenario::calm(7);
    scenario.end = 3_000_000;
    scenario.network.loss = 0.05;
    scenario.gst = 2_000_000;
    let crash = FaultKind::Crash {
        hosts: vec![2],
        unsynced: 0.5,
    };
    scenario.faults = vec![Fault {
        at: 500_000,
        lasts: 500_000,
        kind: crash,
    }];
    let observer = (
        Tally::of(&scenario),
        (Events::new(Vec::new()), Recording::default()),
    );
    let mut world = World::new(&scenario, 11, observer).unwrap();
    world.run().unwrap();
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&world.hash().to_be_bytes());
    let end = world.now();
    let (tally, (events, recording)) = world.into_observer();
    let text = String::from_utf8(events.finish(None).unwrap()).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let all = |name: &'static str| lines.iter().filter(move |line| line["fact"] == name);
    let run = Run {
        scenario: &scenario,
        seed: 11,
        token: "t",
        hash: Some(hash),
        end,
        marks: &[("one", 3), ("none", 0)],
        violation: None,
    };
    let summary = Summary::new(&run, &tally);
    let json: Value = serde_json::from_str(&summary.json()).unwrap();
    let heights: BTreeSet<u64> = all("committed")
        .map(|line| line["height"].as_u64().unwrap())
        .collect();
    assert!(heights.len() > 30);
    assert_eq!(json["commits"]["blocks"], heights.len());
    let copies: u64 = all("sent")
        .map(|line| if line["to"].is_null() { 6 } else { 1 })
        .sum();
    assert_eq!(json["messages"], copies);
    let lost: u64 = json["lost"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["count"].as_u64().unwrap())
        .sum();
    assert!(lost > 0);
    assert_eq!(lost as usize, all("lost").count());
    let signatures: u64 = all("checked")
        .map(|line| line["signatures"].as_u64().unwrap())
        .sum();
    assert_eq!(json["signatures"], signatures);
    let views: BTreeSet<u64> = all("entered")
        .map(|line| line["view"].as_u64().unwrap())
        .collect();
    assert_eq!(json["views"], views.len());
    assert_eq!(json["hash"].as_str().unwrap().len(), 16);
    assert_eq!(json["marks_reached"], 1);
    assert!(
        summary.text().contains("crash 1, restart 1"),
        "{}",
        summary.text()
    );
    let page = data(&diagram::html(&run, &summary, &recording));
    assert_eq!(
        page["commits"].as_array().unwrap().len(),
        all("committed").count()
    );
    assert_eq!(page["outages"].as_array().unwrap().len(), 1);
}

/// Protocol, table at the top: 2d from the leader's sending, on the fast path.
#[test]
fn finality_is_counted_in_delays() {
    let mut scenario = Scenario::calm(4);
    scenario.network.latency = Latency::Constant(50_000);
    scenario.delta = 50_000;
    scenario.end = 4_000_000;
    let mut world = World::new(&scenario, 1, Tally::of(&scenario)).unwrap();
    world.run().unwrap();
    let end = world.now();
    let run = Run {
        scenario: &scenario,
        seed: 1,
        token: "t",
        hash: None,
        end,
        marks: &[],
        violation: None,
    };
    let json: Value =
        serde_json::from_str(&Summary::new(&run, &world.into_observer()).json()).unwrap();
    assert_eq!(json["finality"]["p50_d"], 2.0);
    assert_eq!(json["d_is"], "constant delay");
    assert_eq!(json["delay"]["max_ms"], 50.0);
}

#[test]
fn a_violation_is_in_every_form() {
    let violation = violation();
    let (tally, _) = run(&story(), 1_000);
    let scenario = Scenario::calm(4);
    let run = run_of(&scenario, Some(&violation));
    let summary = Summary::new(&run, &tally);
    let json: Value = serde_json::from_str(&summary.json()).unwrap();
    assert_eq!(json["violation"]["checker"], "S1");
    assert_eq!(json["violation"]["class"], "safety");
    assert!(
        summary.text().contains("VIOLATION, safety: S1 at"),
        "{}",
        summary.text()
    );
    let last = lines(&story(), Some(&violation)).pop().unwrap();
    assert_eq!(last["fact"], "violation");
    assert_eq!(committee(1).epoch().0, 1);
}

/// The other world speaks the same language, deliveries and losses included.
#[test]
fn a_turmoil_world_can_be_looked_at_too() {
    let mut scenario = Scenario::calm(4);
    scenario.end = 3_000_000;
    let mut observer = (Tally::of(&scenario), Recording::default());
    let outcome = run_scenario(&scenario, 3, &mut observer, &mut |_| {}).unwrap();
    assert_eq!(outcome.violation, None);
    let (tally, recording) = observer;
    let run = Run {
        scenario: &scenario,
        seed: 3,
        token: "t",
        hash: None,
        end: outcome.at,
        marks: &[],
        violation: None,
    };
    let summary = Summary::new(&run, &tally);
    let page = diagram::html(&run, &summary, &recording);
    let page = data(&page);
    let count = |list: &Value| list.as_array().unwrap().len();
    assert!(count(&page["arrows"]["body"]) > 1_000, "messages arrive");
    assert!(count(&page["commits"]) > 20, "blocks are final");
    assert!(count(&page["views"]) > 20, "views are entered");
}
