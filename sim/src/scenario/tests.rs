//! Scenario files: what is read, what is refused and how it is said, what is written is read back.

use super::file::document;
use super::reader::{Log, Reader};
use super::*;
use outrider_types::zoo::Mutant;
use std::collections::BTreeSet;
use std::path::Path;

/// A file in which every key is there.
const COMPLETE: &str = r#"
about = "all keys"
world = "turmoil"
seed = 7
mutant = "no-backoff"
gst = "20s"
delta = "200ms"
end = "1m"
idle_block = "50ms"
[committee]
members = 7
stake = [2, 1, 1, 1, 1, 1, 1]
f = 1
c = 1
hosts = 8
epoch_blocks = 40
keys = "ed25519"
[network]
latency = "aws"
jitter = "lognormal:5ms,0.5"
loss = 0.02
duplicate = 0.05
reorder = false
bandwidth = "100Mbit"
[timers]
base = "1s"
cap = "4s"
dead_after_views = 8
[[fault]]
kind = "partition"
at = "3s"
for = "400ms"
every = "1s"
times = 3
groups = [["m0", "m1"], ["m2", "m3", "m4"]]
bridge = ["m5"]
[[fault]]
kind = "partition"
at = "3s"
for = "4s"
groups = [["m0"], ["m2", "m3"]]
one_way = true
[[fault]]
kind = "crash"
at = "1s"
hosts = ["m1"]
unsynced = 0.25
[[fault]]
kind = "crash-on-write"
at = "8s"
for = "4s"
hosts = "all"
probability = 1e-4
restart = "2s"
[[fault]]
kind = "power"
at = "15s"
for = "1s"
unsynced = 0
[[fault]]
kind = "pause"
at = "5s"
for = "1s"
hosts = ["m3"]
[[fault]]
kind = "clock"
for = "ever"
hosts = ["m3"]
skew = "-2s"
[[fault]]
kind = "disk"
for = "20s"
hosts = ["m2"]
delay = "5ms"
[[fault]]
kind = "amnesia"
at = "16100ms"
hosts = ["m4"]
[[fault]]
kind = "late"
for = "10s"
hosts = ["m7"]
[[fault]]
kind = "wipe"
at = "17s"
for = "ever"
hosts = ["m6"]
[[byzantine]]
member = "m5"
deed = "silent"
[[change]]
at = "6s"
members = ["m0", "m1", "m2", "m3", "m4", "m5", "m7"]
via = "m2"
[workload]
rate = 500
size = 250
rollups = 3
retry = false
policies = true
[expect]
commits_min = 30
violates = "S1"
commit_within_after_gst = "10x delta"
[sweep]
members = [4, 7, 10]
delta_ms = [50, 100, 200]
seeds = 1000
"#;

fn problems(text: &str) -> Vec<String> {
    match Scenario::from_toml("test", text) {
        Err(ScenarioError::Problems { problems, .. }) => problems,
        other => panic!("no problems but {other:?}"),
    }
}

/// The only problem of a text, which begins with this key.
fn refused(key: &str, text: &str) -> String {
    let problems = problems(text);
    assert!(
        problems.len() == 1 && problems[0].starts_with(key),
        "{key}: {problems:?}"
    );
    problems[0].clone()
}

#[test]
fn an_empty_file_is_the_calm_scenario() {
    let calm = Scenario {
        about: String::new(),
        ..Scenario::calm(4)
    };
    assert_eq!(Scenario::from_toml("calm", "").unwrap(), calm);
}

#[test]
fn every_key_is_read() {
    let scenario = Scenario::from_toml("complete", COMPLETE).unwrap();
    assert_eq!(
        (scenario.world, scenario.seed),
        (WorldKind::Turmoil, Some(7))
    );
    assert_eq!(scenario.mutant, Some(Mutant::NoBackoff));
    assert_eq!((scenario.gst, scenario.end), (20_000_000, 60_000_000));
    assert_eq!(scenario.committee.faults, Some((1, 1)));
    assert_eq!(scenario.network.latency, aws());
    assert_eq!(scenario.network.jitter, Jitter::LogNormal(5_000, 0.5));
    assert_eq!(scenario.network.bandwidth, Some(12_500_000));
    assert_eq!(scenario.timers.timeout_cap, Duration::from_secs(4));
    assert_eq!(scenario.faults.len(), 13);
    let starts: Vec<Micros> = scenario.faults[..3].iter().map(|fault| fault.at).collect();
    assert_eq!(starts, [3_000_000, 4_000_000, 5_000_000]);
    assert_eq!(
        scenario.faults[3].kind,
        FaultKind::OneWay {
            from: vec![0],
            to: vec![2, 3]
        }
    );
    assert!(scenario.faults.iter().any(|fault| fault.lasts == EVER));
    assert_eq!(scenario.byzantine[0].host, 5);
    assert_eq!(scenario.changes[0].via, 2);
    assert_eq!(scenario.workload.rate.to_bits(), 500_f64.to_bits());
    assert_eq!(scenario.expect.commit_within, Some(2_000_000));
    assert_eq!(scenario.sweep.members, [4, 7, 10]);
    // m4 and m6 lost their disks, m5 is Byzantine, m7 has no seat at first.
    assert_eq!(for_good(&scenario), [0, 1, 2, 3, 7]);
    assert_eq!(live_core(&scenario), [0, 1, 2, 3]);
    assert!(scenario.beyond_turmoil().is_empty());
}

#[test]
fn the_table_of_keys_is_what_the_parser_knows() {
    let log = Log::default();
    document(
        "test",
        Reader::new(COMPLETE.parse().unwrap(), &log),
        Path::new("."),
    );
    let asked = log.asked.take();
    assert_eq!(log.into_problems(), [""; 0]);
    let table: BTreeSet<String> = KEYS.iter().map(|key| key.key.to_owned()).collect();
    assert_eq!(table.len(), KEYS.len(), "a key is there twice");
    assert_eq!(asked, table);
    assert!(
        KEYS.iter()
            .all(|key| !key.kind.is_empty() && key.help.ends_with('.'))
    );
}

#[test]
fn what_is_written_is_read_back() {
    let complete = Scenario::from_toml("complete", COMPLETE).unwrap();
    let mut odd = complete.clone();
    odd.seed = Some(u64::MAX);
    odd.about = "quotes \" and\nlines \\ and ''' é".to_owned();
    odd.network.latency = Latency::Matrix(vec![vec![1, 2_000], vec![3, 60_000_000]]);
    assert_eq!(odd.beyond_turmoil(), ["network.latency"]);
    odd.timers.timeout_cap = Duration::from_micros(5_000_001);
    odd.network.loss = 1.0 / 3.0;
    odd.committee.stakes = vec![1 << 40; 7];
    for scenario in [complete, odd, Scenario::calm(1), Scenario::calm(13)] {
        let mut scenario = scenario;
        scenario.expect.violates = Some("S1".to_owned());
        scenario.delta = scenario.delta.max(scenario.network.latency.longest());
        scenario.timers.base_timeout = Duration::from_micros(10 * scenario.delta);
        scenario.timers.timeout_cap = 2 * scenario.timers.base_timeout;
        let text = scenario.to_toml();
        let back = Scenario::from_toml(&scenario.name, &text).unwrap();
        assert_eq!(back, scenario, "{text}");
        assert_eq!(back.hash(), scenario.hash());
    }
}

#[test]
fn the_hash_names_what_a_run_depends_on() {
    let one = Scenario::calm(4);
    let mut same = one.clone();
    same.name = "other".to_owned();
    same.about = "Words.".to_owned();
    same.seed = Some(3);
    let mut other = one.clone();
    other.network.loss = 0.1;
    assert_eq!(one.hash(), same.hash());
    assert_ne!(one.hash(), other.hash());
    assert_eq!(one.hash().len(), 16);
}

#[test]
fn all_faults_of_a_file_are_reported_at_once() {
    let text = r#"
        gst = "5 s"
        colour = "red"
        [committee]
        members = 0
        [network]
        loss = 1.5
        jitter = "much"
        lost = 0.1
        [[fault]]
        kind = "crash"
        hosts = ["m0", "x1"]
        skew = "1s"
        [[fault]]
        kind = "explosion"
        [[fault]]
        at = 3
    "#;
    let problems = problems(text);
    for key in [
        "gst: ",
        "colour: unknown key; known here are about, world,",
        "committee.members: ",
        "network.loss: ",
        "network.jitter: ",
        "network.lost: unknown key; known here are latency,",
        "fault[0].hosts: `x1` is no host",
        "fault[0].skew: does not go with this kind",
        "fault[1].kind: `explosion` is none of partition,",
        "fault[2].kind: is missing",
        "fault[2].at: ",
    ] {
        assert!(
            problems.iter().any(|p| p.starts_with(key)),
            "{key} is not in {problems:#?}"
        );
    }
    assert_eq!(problems.len(), 11, "{problems:#?}");
    let error = Scenario::from_toml("red", text).unwrap_err().to_string();
    assert!(
        error.starts_with("scenario `red` has faults:\n  "),
        "{error}"
    );
}

#[test]
fn what_is_not_toml_is_said_with_its_line() {
    let error = Scenario::from_toml("torn", "gst = \"5s\"\ndelta = ").unwrap_err();
    assert!(matches!(error, ScenarioError::Syntax { .. }));
    assert!(error.to_string().contains("line 2"), "{error}");
}

#[test]
fn nonsense_is_refused_by_its_key() {
    let fault = |text: &str| format!("gst = \"5s\"\n[[fault]]\n{text}");
    refused(
        "fault[0].at",
        "[[fault]]\nkind = \"crash\"\nhosts = [\"m1\"]",
    );
    refused(
        "fault[0].hosts",
        &fault("kind = \"crash\"\nhosts = [\"m4\"]"),
    );
    refused(
        "fault[0].hosts",
        &fault("kind = \"crash\"\nhosts = [\"m1\", \"m1\"]"),
    );
    refused("fault[0].hosts", &fault("kind = \"crash\""));
    refused("fault[0].for", &fault("kind = \"pause\"\nhosts = [\"m1\"]"));
    refused(
        "fault[0].for",
        &fault("kind = \"pause\"\nfor = \"6s\"\nhosts = [\"m1\"]"),
    );
    refused(
        "fault[0].every",
        &fault("kind = \"crash\"\nhosts = [\"m1\"]\ntimes = 2"),
    );
    refused(
        "fault[0].groups",
        &fault("kind = \"partition\"\nfor = \"1s\"\ngroups = [[\"m0\"], [\"m0\"]]"),
    );
    let clock = "kind = \"clock\"\nhosts = [\"m1\"]\nfor = \"ever\"\nskew = ";
    refused("fault[0].for", &fault(&format!("{clock} \"2501ms\"")));
    assert!(Scenario::from_toml("near", &fault(&format!("{clock} \"2500ms\""))).is_ok());
    refused("delta", "delta = \"5ms\"\n[timers]\nbase = \"1s\"");
    refused(
        "timers.base",
        "idle_block = \"9ms\"\n[timers]\nbase = \"99ms\"\ncap = \"1s\"",
    );
    refused("timers.cap", "[timers]\nbase = \"1s\"\ncap = \"999ms\"");
    refused("end", "gst = \"5s\"\nend = \"5s\"");
    refused("committee.f", "[committee]\nmembers = 6\nf = 2");
    refused("committee.c", "[committee]\nmembers = 6\nc = 1");
    refused(
        "committee.members",
        "[committee]\nmembers = 3\nstake = [1, 1]",
    );
    refused(
        "committee.epoch_blocks",
        "[[change]]\nat = \"1s\"\nmembers = [\"m0\"]\nvia = \"m0\"",
    );
    refused(
        "network.latency",
        "[network]\nlatency = [[\"1ms\", \"2ms\"]]",
    );
    refused(
        "network.latency",
        "[network]\nlatency = \"csv:not-there.csv\"",
    );
    refused("expect.violates", "[expect]\nviolates = \"agreement\"");
    refused(
        "byzantine[0].deed",
        "[[byzantine]]\nmember = \"m0\"\ndeed = \"kindness\"",
    );
}

#[test]
fn two_faults_of_one_host_at_one_time_are_refused() {
    let two = |second: &str| {
        format!(
            "gst = \"20s\"\n[[fault]]\nkind = \"crash\"\nat = \"1s\"\nfor = \"4s\"\nhosts = [\"m1\"]\n[[fault]]\n{second}"
        )
    };
    let power = |at: &str| two(&format!("kind = \"power\"\nat = \"{at}\"\nfor = \"1s\""));
    let reason = refused("fault[1].at", &power("5s"));
    assert!(
        reason.contains("m1 is kept down by fault[0] until 5s"),
        "{reason}"
    );
    assert!(Scenario::from_toml("after", &power("5001ms")).is_ok());
    refused("fault[0].at", &power("0s"));
    let disk = two("kind = \"disk\"\nfor = \"9s\"\nhosts = [\"m1\"]\ndelay = \"1ms\"");
    assert!(Scenario::from_toml("both", &disk).is_ok());
}

#[test]
fn more_than_f_byzantine_needs_an_expected_violation() {
    let deeds = "[[byzantine]]\nmember = \"m0\"\ndeed = \"silent\"\n[[byzantine]]\nmember = \"m1\"\ndeed = \"silent\"";
    let reason = refused("byzantine", deeds);
    assert!(
        reason.contains("stake 2") && reason.contains("f is 1"),
        "{reason}"
    );
    assert!(Scenario::from_toml("f", &format!("{deeds}\n[expect]\nviolates = \"S1\"")).is_ok());
    assert!(Scenario::from_toml("f", &format!("{deeds}\n[committee]\nmembers = 7")).is_ok());
}

#[test]
fn progress_is_only_expected_of_enough_live_stake() {
    let text = |host: &str| {
        format!(
            "gst = \"5s\"\nend = \"9s\"\n[expect]\ncommit_within_after_gst = \"4s\"\n
            [[fault]]\nkind = \"crash\"\nfor = \"ever\"\nhosts = [\"m1\"{host}]"
        )
    };
    let one = Scenario::from_toml("one", &text("")).unwrap();
    assert_eq!(live_core(&one), [0, 2, 3]);
    let reason = refused("expect.commit_within_after_gst", &text(", \"m2\""));
    assert!(
        reason.contains("stake 2 of committee 0") && reason.contains("3 is needed"),
        "{reason}"
    );
}

#[test]
fn files_named_by_a_scenario_are_looked_for_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("two.csv"), "0.1,7\n7,0.1\n").unwrap();
    let path = folder.path().join("mine.toml");
    std::fs::write(&path, "[network]\nlatency = \"csv:two.csv\"").unwrap();
    let scenario = Scenario::load(&path).unwrap();
    assert_eq!((scenario.name.as_str(), scenario.delta), ("mine", 7_000));
    let back = Scenario::from_toml("mine", &scenario.to_toml()).unwrap();
    assert_eq!(back, scenario);
    assert!(matches!(
        Scenario::load(&folder.path().join("none.toml")),
        Err(ScenarioError::Read { .. })
    ));
}
