//! What the page shows, as compact JSON: columns instead of objects where there are many.

use crate::fact::{Fact, Micros};
use crate::record::tables::MESSAGES;
use crate::record::value::{Value, fields};
use crate::record::{self, Recording, Words};
use crate::report::{Run, Summary};
use std::collections::BTreeMap;

/// How a message ended: delivered, lost (and why), or neither yet.
const ENDS: [&str; 5] = ["delivered", "chance", "cut", "down", "under way"];
const UNDER_WAY: u64 = 4;

/// All of it.
pub(super) fn of(run: &Run<'_>, summary: &Summary, recording: &Recording) -> Value {
    let mut page = Page::new();
    // A world of many hosts may tell what they did at about the same time in another order.
    let mut facts: Vec<(Micros, &Fact)> = recording.facts().collect();
    facts.sort_by_key(|(at, _)| *at);
    for (at, fact) in facts {
        page.words.learn(fact);
        page.add(at, fact);
    }
    page.leave_under_way(run.scenario.committee.hosts, run.end);
    let scenario = run.scenario;
    let lanes = (0..scenario.committee.hosts).map(|host| {
        let deed = scenario.byzantine.iter().find(|one| one.host == host);
        Value::Object(fields!(
            name: format!("m{host}"),
            stake: scenario.committee.stakes.get(host).copied(),
            byzantine: deed.map(|one| one.deed.as_str()),
        ))
    });
    let headline = summary.headline().iter().map(|(name, value, note)| {
        Value::from(vec![(*name).to_owned(), value.clone(), note.clone()])
    });
    let violation = run.violation.map(|one| {
        Value::Object(fields!(
            at: one.at,
            checker: one.checker,
            class: record::class(one.class),
            what: one.what.as_str(),
        ))
    });
    let cut = recording
        .cut()
        .map(|(facts, from)| Value::Object(fields!(facts: facts, from: from)));
    Value::Object(fields!(
        name: scenario.name.as_str(),
        about: scenario.about.as_str(),
        seed: run.seed.to_string(),
        token: run.token,
        hash: run.hash_text(),
        end: run.end,
        gst: scenario.gst,
        headline: Value::List(headline.collect()),
        violation: violation,
        cut: cut,
        lanes: Value::List(lanes.collect()),
        kinds: kinds(),
        ends: ENDS.to_vec(),
        bodies: page.bodies.value(),
        arrows: page.arrows.value(),
        views: Value::List(page.views),
        commits: Value::List(page.commits),
        outages: Value::List(page.outages.into_iter().map(Outage::value).collect()),
        faults: Value::List(page.faults.into_iter().map(Fault::value).collect()),
        moments: Value::List(page.moments),
    ))
}

fn kinds() -> Value {
    let kinds = MESSAGES.iter().map(|(name, labels)| {
        let labels: Vec<&str> = labels.iter().map(|(label, _)| *label).collect();
        Value::Object(fields!(name: *name, labels: labels))
    });
    Value::List(kinds.collect())
}

/// Sendings, a column for each property.
#[derive(Default)]
struct Bodies {
    at: Vec<u64>,
    from: Vec<u64>,
    to: Vec<Value>,
    kind: Vec<u64>,
    bytes: Vec<u64>,
    number: Vec<u64>,
    values: Vec<Value>,
}

impl Bodies {
    fn value(self) -> Value {
        Value::Object(fields!(
            at: steps(&self.at),
            from: self.from,
            to: Value::List(self.to),
            kind: self.kind,
            bytes: self.bytes,
            number: self.number,
            values: Value::List(self.values),
        ))
    }
}

/// Journeys of messages: which sending, to whom, how long it took, how it ended.
#[derive(Default)]
struct Arrows {
    body: Vec<u64>,
    to: Vec<u64>,
    took: Vec<u64>,
    end: Vec<u64>,
}

impl Arrows {
    fn push(&mut self, body: usize, to: usize, took: Micros, end: u64) {
        self.body.push(body as u64);
        self.to.push(to as u64);
        self.took.push(took);
        self.end.push(end);
    }

    fn value(self) -> Value {
        Value::Object(fields!(body: self.body, to: self.to, took: self.took, end: self.end))
    }
}

/// Ascending numbers as the difference from the one before.
fn steps(numbers: &[u64]) -> Vec<u64> {
    let before = std::iter::once(&0).chain(numbers);
    numbers
        .iter()
        .zip(before)
        .map(|(number, before)| {
            assert!(number >= before, "the facts are sorted by time");
            number - before
        })
        .collect()
}

struct Outage {
    from: Micros,
    until: Option<Micros>,
    lane: usize,
    wiped: bool,
    mute: bool,
}

impl Outage {
    fn value(self) -> Value {
        Value::List(vec![
            self.from.into(),
            self.until.into(),
            self.lane.into(),
            self.wiped.into(),
            self.mute.into(),
        ])
    }
}

struct Fault {
    from: Micros,
    until: Option<Micros>,
    what: String,
}

impl Fault {
    fn value(self) -> Value {
        Value::List(vec![self.from.into(), self.until.into(), self.what.into()])
    }
}

/// What the facts add up to.
struct Page {
    words: Words,
    bodies: Bodies,
    arrows: Arrows,
    views: Vec<Value>,
    commits: Vec<Value>,
    outages: Vec<Outage>,
    faults: Vec<Fault>,
    moments: Vec<Value>,
    /// Place in `bodies` of a message by its number.
    places: BTreeMap<u64, usize>,
    /// Receivers of each sending whose end is known.
    ended: Vec<Vec<usize>>,
}

impl Page {
    fn new() -> Self {
        Self {
            words: Words::short(),
            bodies: Bodies::default(),
            arrows: Arrows::default(),
            views: Vec::new(),
            commits: Vec::new(),
            outages: Vec::new(),
            faults: Vec::new(),
            moments: Vec::new(),
            places: BTreeMap::new(),
            ended: Vec::new(),
        }
    }

    fn add(&mut self, at: Micros, fact: &Fact) {
        match fact {
            Fact::Sent { .. } => self.send(at, fact),
            Fact::Delivered { to, number, .. } => self.end(at, *number, *to, 0),
            Fact::Lost {
                to, number, loss, ..
            } => {
                let why = record::loss(*loss);
                let end = ENDS.iter().position(|end| *end == why).unwrap_or(1);
                self.end(at, *number, *to, end as u64);
            }
            Fact::Entered { .. } | Fact::Committed { .. } => self.progress(at, fact),
            Fact::Crashed { member, wiped } => self.crash(at, *member, *wiped),
            Fact::Restarted { member, mute, .. } => self.restart(at, *member, *mute),
            Fact::Fault { what, begins } => self.fault(at, what, *begins),
            _ => self.moment(at, fact),
        }
    }

    fn send(&mut self, at: Micros, fact: &Fact) {
        let Fact::Sent {
            from,
            to,
            message,
            number,
        } = fact
        else {
            return;
        };
        let kind = MESSAGES
            .iter()
            .position(|(name, _)| *name == message.kind());
        let values = self.words.message(message);
        self.places.insert(*number, self.bodies.at.len());
        self.ended.push(Vec::new());
        self.bodies.at.push(at);
        self.bodies.from.push(*from as u64);
        self.bodies.to.push((*to).into());
        self.bodies.kind.push(kind.unwrap_or_default() as u64);
        self.bodies.bytes.push(message.bytes() as u64);
        self.bodies.number.push(*number);
        let values = values.into_iter().map(|(_, value)| value);
        self.bodies.values.push(Value::List(values.collect()));
    }

    fn end(&mut self, at: Micros, number: u64, to: usize, end: u64) {
        // The sending of a message may be among the facts that were forgotten.
        let Some(place) = self.places.get(&number).copied() else {
            return;
        };
        if let (Some(sent), Some(ended)) = (self.bodies.at.get(place), self.ended.get_mut(place)) {
            self.arrows.push(place, to, at.saturating_sub(*sent), end);
            ended.push(to);
        }
    }

    /// Messages that have not ended when the run does, and are not older than any journey: a sending to all does not
    /// say who all were.
    fn leave_under_way(&mut self, hosts: usize, end: Micros) {
        let longest = self.arrows.took.iter().copied().max().unwrap_or_default();
        for (place, ended) in self.ended.iter().enumerate() {
            let sent = self.bodies.at.get(place).copied().unwrap_or_default();
            if sent.saturating_add(longest) < end {
                continue;
            }
            let Some((to, from)) = self.bodies.to.get(place).zip(self.bodies.from.get(place))
            else {
                continue;
            };
            let receivers = match to {
                Value::Number(one) => *one as usize..*one as usize + 1,
                _ => 0..hosts,
            };
            for receiver in receivers {
                if receiver as u64 != *from && !ended.contains(&receiver) {
                    self.arrows.push(place, receiver, 0, UNDER_WAY);
                }
            }
        }
    }

    fn progress(&mut self, at: Micros, fact: &Fact) {
        let Value::Object(line) = self.words.fact(at, fact) else {
            return;
        };
        let field = |name: &str| {
            let found = line.iter().find(|(field, _)| *field == name);
            found.map_or(Value::Null, |(_, value)| value.clone())
        };
        match fact {
            Fact::Entered { .. } => {
                let names = [
                    "at",
                    "member",
                    "epoch",
                    "view",
                    "leader",
                    "by_timeout",
                    "entry",
                ];
                self.views.push(Value::List(names.map(field).to_vec()));
            }
            Fact::Committed { transactions, .. } => {
                let names = ["at", "member", "epoch", "height", "view", "block", "path"];
                let mut row = names.map(field).to_vec();
                row.push(transactions.len().into());
                row.push(field("certificate"));
                self.commits.push(Value::List(row));
            }
            _ => {}
        }
    }

    /// The outage of a host that is down.
    fn outage(&mut self, member: usize) -> Option<&mut Outage> {
        let mut open = self.outages.iter_mut().rev();
        open.find(|one| one.lane == member && one.until.is_none())
    }

    fn crash(&mut self, at: Micros, member: usize, wiped: bool) {
        if let Some(outage) = self.outage(member) {
            outage.wiped |= wiped;
            return;
        }
        self.outages.push(Outage {
            from: at,
            until: None,
            lane: member,
            wiped,
            mute: false,
        });
    }

    fn restart(&mut self, at: Micros, member: usize, mute: bool) {
        // A host also starts when the world begins.
        if let Some(outage) = self.outage(member) {
            outage.until = Some(at);
            outage.mute = mute;
        }
    }

    fn fault(&mut self, at: Micros, what: &str, begins: bool) {
        if begins {
            // A change of the committee is handed in, and that is that.
            let instant = what.starts_with("change ");
            self.faults.push(Fault {
                from: at,
                until: instant.then_some(at),
                what: what.to_owned(),
            });
            return;
        }
        let mut open = self.faults.iter_mut().filter(|one| one.until.is_none());
        if let Some(fault) = open.find(|one| one.what == what) {
            fault.until = Some(at);
        }
    }

    /// What has a time, a lane or none, a kind and words.
    fn moment(&mut self, at: Micros, fact: &Fact) {
        let short = |id: &[u8; 32]| hex::encode(id.get(..4).unwrap_or_default());
        let (lane, words) = match fact {
            Fact::Epoch { committee, hosts } => {
                let (epoch, names) = (committee.epoch(), names(hosts));
                (None, format!("epoch {epoch} begins with {names}"))
            }
            Fact::EpochEnded { member, end } => {
                let (epoch, height) = (end.last.epoch, end.last.height);
                (
                    Some(*member),
                    format!("epoch {epoch} is over at height {height}"),
                )
            }
            Fact::Accepted { member, id, rollup } => {
                let words = format!("took transaction {} of rollup {rollup}", short(&id.0));
                (Some(*member), words)
            }
            Fact::Receipt { member, id, height } => {
                let words = format!("receipt for {} at height {height}", short(&id.0));
                (Some(*member), words)
            }
            Fact::Blamed {
                member,
                leader,
                reason,
            } => (Some(*member), format!("blames m{leader}: {reason}")),
            Fact::Healed { live } => (None, format!("healed; live: {}", names(live))),
            Fact::Panicked { member, reason } => (Some(*member), format!("panicked: {reason}")),
            _ => return,
        };
        let kind = record::name(fact);
        let row = vec![at.into(), lane.into(), kind.into(), words.into()];
        self.moments.push(Value::List(row));
    }
}

/// Hosts that are named one by one.
const NAMES_MAX: usize = 16;

fn names(hosts: &[usize]) -> String {
    if hosts.len() > NAMES_MAX {
        return format!("{} hosts", hosts.len());
    }
    let names: Vec<String> = hosts.iter().map(|host| format!("m{host}")).collect();
    names.join(" ")
}
