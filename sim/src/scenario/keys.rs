//! The keys of a scenario file: the table that the documentation is made of. A test holds it against the parser.

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// `section.key`; of lists too: `fault.at` is in every `[[fault]]`.
    pub key: &'static str,
    /// Its type and unit.
    pub kind: &'static str,
    /// Its default; `-` if it must be there.
    pub default: &'static str,
    /// What it does.
    pub help: &'static str,
}

const fn key(
    key: &'static str,
    kind: &'static str,
    default: &'static str,
    help: &'static str,
) -> Key {
    Key {
        key,
        kind,
        default,
        help,
    }
}

/// All keys, in the order in which [`Scenario::to_toml`](super::Scenario::to_toml) writes them.
pub const KEYS: &[Key] = &[
    key(
        "about",
        "text",
        "empty",
        "What the scenario shows and what to look at. Changes nothing in a run.",
    ),
    key(
        "world",
        "\"kernel\", \"turmoil\"",
        "\"kernel\"",
        "The world it runs in unless the command says otherwise. In the turmoil world connections are TCP (a cut takes up to 2 s to mend), a latency range is distributed exponentially, and a slow disk delays what a member says, not the member.",
    ),
    key(
        "seed",
        "\"auto\" or number",
        "\"auto\"",
        "Seed of the first run; \"auto\": any.",
    ),
    key(
        "mutant",
        "name of a mutant",
        "none",
        "The bug of the zoo that the scenario catches (`outrider sim zoo --list`). Other builds than that of the zoo do not have it, and in them no promise may be broken.",
    ),
    key(
        "gst",
        "duration",
        "0s",
        "From here on the network is calm: nothing is lost, nothing takes longer than `delta`, no fault begins, and those who are down then stay out of what must make progress.",
    ),
    key(
        "delta",
        "duration",
        "the longest latency",
        "Longest delay of a message after `gst`.",
    ),
    key(
        "end",
        "duration",
        "`gst` + 10s",
        "When the run ends, in simulated time.",
    ),
    key(
        "idle_block",
        "duration",
        "100ms, at most half of `timers.base`",
        "Without a transaction to order, a leader proposes an empty block after this: at most half of `timers.base`, or an idle leader is taken for a dead one. Real members want less than a quarter.",
    ),
    key(
        "committee.members",
        "number, 1 to 1000",
        "4",
        "Members of the first committee: hosts m0, m1 and so on.",
    ),
    key(
        "committee.stake",
        "\"equal\", \"zipf:EXPONENT\" or a list",
        "\"equal\"",
        "Stake of each member. zipf: 1000 / rank^EXPONENT, rounded.",
    ),
    key(
        "committee.f",
        "stake",
        "(N - 1) / 3",
        "Stake that may be Byzantine (protocol section 1).",
    ),
    key(
        "committee.c",
        "stake",
        "0",
        "Further stake that may be crashed. Needs `f`.",
    ),
    key(
        "committee.hosts",
        "number",
        "`members`",
        "Hosts, those included that may join later.",
    ),
    key(
        "committee.epoch_blocks",
        "heights",
        "0",
        "Heights in an epoch (R13); 0: the first epoch does not end.",
    ),
    key(
        "committee.keys",
        "\"simulated\", \"ed25519\"",
        "\"simulated\"",
        "Keys that members sign with. Simulated ones are a cheap hash that only the adversary's signer guards.",
    ),
    key(
        "network.latency",
        "\"lan\", \"aws\", duration, \"LOW..HIGH\", \"csv:FILE\" or rows of durations",
        "\"10ms..20ms\"",
        "One-way delay. lan: 0.2 to 0.5 ms. aws: half of the round trips between ten regions, typical medians of public measurements, from memory and rounded. A constant is for counting in delays. csv: rows of one-way milliseconds, relative to the scenario's folder. Host i is in row i mod rows.",
    ),
    key(
        "network.jitter",
        "\"none\", \"uniform:MOST\", \"lognormal:MEDIAN,DEVIATION\"",
        "\"none\"",
        "Added to each delay.",
    ),
    key(
        "network.loss",
        "probability",
        "0.0",
        "That a message is lost, before `gst`.",
    ),
    key(
        "network.duplicate",
        "probability",
        "0.0",
        "That a message arrives twice, before `gst`.",
    ),
    key(
        "network.reorder",
        "true, false",
        "true",
        "Whether a message may overtake an earlier one of the same pair. On a connection of the turmoil world it never may.",
    ),
    key(
        "network.bandwidth",
        "bandwidth, such as \"100Mbit\"",
        "no limit",
        "What leaves a host per second.",
    ),
    key(
        "timers.base",
        "duration",
        "10 x `delta`, at least 200ms",
        "Least timer of a view (R12): at least 5 x `delta`.",
    ),
    key(
        "timers.cap",
        "duration",
        "8 x `base`",
        "Longest timer of a view (R12).",
    ),
    key(
        "timers.dead_after_views",
        "views",
        "32",
        "A leader from whom nothing was heard for so many views is skipped at once (R10); 0: never.",
    ),
    key(
        "fault.kind",
        "word",
        "-",
        "partition, crash, crash-on-write, power (all hosts crash), pause, clock, disk, amnesia (the vote journal is lost), wipe (the whole disk is lost) or late (down from the start, then an empty disk).",
    ),
    key(
        "fault.at",
        "duration",
        "0s",
        "When it begins; before `gst`.",
    ),
    key(
        "fault.for",
        "duration or \"ever\"",
        "0s",
        "How long it lasts. 0 is an instant: a crashed host is back at once.",
    ),
    key(
        "fault.every",
        "duration",
        "-",
        "Repeat it after this, `times` times in all.",
    ),
    key(
        "fault.times",
        "number, 2 to 1000",
        "-",
        "How often it happens. Goes with `every`.",
    ),
    key(
        "fault.hosts",
        "list of hosts or \"all\"",
        "-",
        "Whom it happens to. Of all kinds but partition and power.",
    ),
    key(
        "fault.groups",
        "list of lists of hosts",
        "-",
        "partition: hosts of different groups do not hear each other, those in no group hear only bridges. With `one_way` two groups: what the first says does not reach the second.",
    ),
    key(
        "fault.bridge",
        "list of hosts",
        "[]",
        "partition: those who hear all and are heard by all.",
    ),
    key(
        "fault.one_way",
        "true, false",
        "false",
        "partition: cut in one direction only.",
    ),
    key(
        "fault.unsynced",
        "probability",
        "0.5",
        "crash, power: that a write that was not synced survives.",
    ),
    key(
        "fault.probability",
        "probability",
        "-",
        "crash-on-write: that a durable write ends in a crash, before it or after it.",
    ),
    key(
        "fault.restart",
        "duration",
        "1s",
        "crash-on-write: mean time until the host is back, exponentially distributed.",
    ),
    key(
        "fault.skew",
        "duration with a sign",
        "-",
        "clock: how far ahead (\"+300ms\") or behind (\"-2s\") it is. More than 2500ms must be over at `gst`: members count on being within 5 s of each other, and refuse blocks from 10 s ahead (R4).",
    ),
    key(
        "fault.delay",
        "duration",
        "-",
        "disk: how much longer a durable write takes.",
    ),
    key(
        "byzantine.member",
        "host",
        "-",
        "A member that breaks the rules. More than `f` stake only with `expect.violates`.",
    ),
    key(
        "byzantine.deed",
        "name of a deed",
        "-",
        "How it does: `outrider docs sim-deeds` lists them.",
    ),
    key(
        "change.at",
        "duration",
        "-",
        "When all members approve of a new committee (R13). Takes effect at the end of the epoch.",
    ),
    key(
        "change.members",
        "list of hosts",
        "-",
        "The next committee, equal stakes.",
    ),
    key(
        "change.via",
        "host",
        "-",
        "Where it is handed in; others learn of it by gossip or by asking.",
    ),
    key(
        "workload.rate",
        "transactions per second",
        "10.0",
        "Over all hosts; 0: none.",
    ),
    key("workload.size", "bytes", "32", "Of each transaction."),
    key("workload.rollups", "number", "2", "Rollups they are of."),
    key(
        "workload.retry",
        "true, false",
        "true",
        "Whether a client hands in again, elsewhere, what is not final after two seconds.",
    ),
    key(
        "workload.policies",
        "true, false",
        "false",
        "Whether the rollups are registered in the first second, in turn as priority-prefix, shuffled and fcfs, with one that lives for two seconds; then every fourth time a client hands in a bundle of two or three parts. In the turmoil world it changes nothing.",
    ),
    key(
        "expect.violates",
        "id of a checker, such as \"S1\"",
        "none",
        "The checker that must fire, when more than `f` is Byzantine. Without it none may.",
    ),
    key(
        "expect.commit_within_after_gst",
        "duration or \"10x delta\"",
        "not checked",
        "All live members commit a block within this after `gst` (L1).",
    ),
    key(
        "expect.commits_min",
        "blocks",
        "1",
        "Blocks that must be final at the end.",
    ),
    key(
        "sweep.members",
        "list of numbers",
        "[]",
        "`outrider sim sweep`: sizes of the committee, equal stakes.",
    ),
    key(
        "sweep.delta_ms",
        "list of milliseconds",
        "[]",
        "`outrider sim sweep`: delays.",
    ),
    key(
        "sweep.seeds",
        "number",
        "0",
        "`outrider sim sweep`: runs of each.",
    ),
];
