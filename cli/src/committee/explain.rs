//! `outrider committee explain`: the thresholds of a committee file, and which members may fail how (protocol section 1).

use crate::failure::Failure;
use crate::output::say;
use crate::verify::read_limited;
use clap::Args;
use outrider_consensus::LeaderSchedule;
use outrider_node::committee_file::{COMMITTEE_FILE_BYTES_MAX, CommitteeFile, CommitteeFileError};
use outrider_types::{Committee, CommitteeError, CommitteeId, Thresholds};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Most names of a list that are printed; `--json` has them all.
const NAMES_MAX: usize = 8;

/// Print the thresholds of a committee file, and which members may fail how.
///
/// Exit codes: 0 the committee can be safe; 1 it cannot, or the file cannot be read: standard error says why;
/// 2 wrong arguments.
#[derive(Debug, Args)]
pub struct Explain {
    /// The committee file.
    file: PathBuf,
    /// Print JSON, with all names.
    #[arg(long)]
    json: bool,
}

impl Explain {
    /// Do it.
    pub fn run(&self) -> Result<(), Failure> {
        let file = CommitteeFile::load(&self.file).map_err(|error| refusal(&self.file, error))?;
        let explained = Explained::new(&file);
        if self.json {
            say!("{}", explained.to_json());
        } else {
            say!("{}", explained.to_text().trim_end());
        }
        Ok(())
    }
}

/// A committee that assumes more faults than its stake can bear, and what it could bear.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this committee cannot be safe: N >= 3f + 2c + 1 does not hold, for N = {total}, f = {byzantine}, c = {crashed}; safe would be {}",
    self.safe_values()
)]
pub struct Unsafe {
    total: u64,
    byzantine: u64,
    crashed: u64,
}

impl Unsafe {
    /// The largest f for the c of the file.
    fn byzantine_max(&self) -> Option<u64> {
        let left = self.total.checked_sub(self.crashed.checked_mul(2)?)?;
        left.checked_sub(1).map(|left| left / 3)
    }

    /// The largest c for the f of the file.
    fn crashed_max(&self) -> Option<u64> {
        let left = self.total.checked_sub(self.byzantine.checked_mul(3)?)?;
        left.checked_sub(1).map(|left| left / 2)
    }

    fn safe_values(&self) -> String {
        let Self {
            total,
            byzantine,
            crashed,
        } = self;
        let mut out = Vec::new();
        if let Some(max) = self.byzantine_max() {
            out.push(format!("f up to {max} with c = {crashed}"));
        }
        if let Some(max) = self.crashed_max() {
            out.push(format!("c up to {max} with f = {byzantine}"));
        }
        if *crashed > 0 {
            let max = total.saturating_sub(1) / 3;
            out.push(format!("f up to {max} with c = 0"));
        }
        if out.is_empty() {
            out.push("nothing without stake".to_owned());
        }
        out.join(", or ")
    }
}

/// As much of a committee file as tells whether its f and c can be safe.
#[derive(Deserialize)]
struct Claim {
    committee: ClaimedCommittee,
}

#[derive(Deserialize)]
struct ClaimedCommittee {
    byzantine: u64,
    crashed: u64,
    members: Vec<ClaimedMember>,
}

#[derive(Deserialize)]
struct ClaimedMember {
    stake: u64,
}

/// Why a file was refused: with the largest f and c that would be safe, if that is the reason.
fn refusal(path: &Path, error: CommitteeFileError) -> Failure {
    let claimed = matches!(error, CommitteeFileError::Malformed { .. })
        .then(|| read_limited(path, COMMITTEE_FILE_BYTES_MAX).ok())
        .flatten();
    claimed.and_then(|text| unsafe_claim(&text)).map_or_else(
        || error.into(),
        |error| Failure::UnsafeCommittee {
            path: path.to_path_buf(),
            error,
        },
    )
}

fn unsafe_claim(text: &[u8]) -> Option<Unsafe> {
    let ClaimedCommittee {
        byzantine,
        crashed,
        members,
    } = serde_json::from_slice::<Claim>(text).ok()?.committee;
    let total = members
        .iter()
        .try_fold(0_u64, |sum, member| sum.checked_add(member.stake))?;
    match Thresholds::new(total, byzantine, crashed) {
        Err(CommitteeError::TooFew { .. }) => Some(Unsafe {
            total,
            byzantine,
            crashed,
        }),
        _ => None,
    }
}

/// Everything there is to say about a committee.
#[derive(Debug, Serialize)]
struct Explained {
    committee: CommitteeId,
    chain: u64,
    epoch: u64,
    /// Length of the epoch in blocks; none: it never ends.
    epoch_blocks: Option<u64>,
    /// The members in the order in which they take turns.
    ring: Vec<String>,
    thresholds: Thresholds,
    /// Byzantine stake up to f.
    safety: Tolerance,
    /// Silent stake up to f + c, Byzantine members that keep silent included.
    progress: Tolerance,
    /// Silent stake up to p.
    fast_path: Tolerance,
    members: Vec<MemberShare>,
}

/// How much of a fault a committee bears.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Tolerance {
    /// The most stake that may have the fault.
    stake_max: u64,
    /// So many members may have it, whichever they are.
    any_members: usize,
    /// As many as may have it together: those of the least stake.
    most_members: Vec<String>,
    /// As few as are too many: those of the most stake.
    too_many: Vec<String>,
    /// Their stake.
    too_many_stake: u64,
}

/// A member's part.
#[derive(Debug, PartialEq, Serialize)]
struct MemberShare {
    name: String,
    stake: u64,
    /// Of all stake, in percent.
    stake_percent: f64,
    /// Of all views, in percent.
    leads_percent: f64,
}

impl Explained {
    fn new(file: &CommitteeFile) -> Self {
        let committee = &file.committee;
        let thresholds = *committee.thresholds();
        let mut members: Vec<(&str, u64)> = file
            .members
            .iter()
            .zip(committee.members())
            .map(|(entry, member)| (entry.name.as_str(), member.stake.0))
            .collect();
        let shares = shares(committee, &members);
        let ring = committee
            .ring()
            .into_iter()
            .filter_map(|member| members.get(member.index()))
            .map(|(name, _)| (*name).to_owned())
            .collect();
        // The order within equal stakes stays that of the file.
        members.sort_by_key(|(_, stake)| std::cmp::Reverse(*stake));
        let (f, c, p) = (
            thresholds.byzantine.0,
            thresholds.crashed.0,
            thresholds.missing.0,
        );
        Self {
            committee: committee.id(),
            chain: committee.chain().0,
            epoch: committee.epoch().0,
            epoch_blocks: committee.epoch_blocks(),
            ring,
            thresholds,
            safety: Tolerance::of(&members, f),
            progress: Tolerance::of(&members, f + c),
            fast_path: Tolerance::of(&members, p),
            members: shares,
        }
    }

    fn to_json(&self) -> String {
        // Strings, numbers and lists always serialize.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    fn to_text(&self) -> String {
        let mut out = String::new();
        // Writing to a string does not fail.
        let _ = self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let total = self.thresholds.total.0;
        writeln!(out, "committee  {}", self.committee)?;
        writeln!(out, "chain      {}", self.chain)?;
        let end = match self.epoch_blocks {
            None => "never ends".to_owned(),
            Some(blocks) => format!("ends after {blocks} blocks"),
        };
        writeln!(out, "epoch      {}, {end}", self.epoch)?;
        writeln!(out, "turns      {}", list(&self.ring))?;
        let rows = rows(&self.thresholds);
        let width = total.to_string().len().max(5);
        writeln!(out, "\n     {:>width$}  used for", "stake")?;
        for (symbol, stake, meaning) in rows {
            writeln!(out, "{symbol:<3}  {stake:>width$}  {meaning}")?;
        }
        let Self {
            safety,
            progress,
            fast_path,
            ..
        } = self;
        write!(
            out,
            "\nsafe       while Byzantine stake is at most {} of {total}: {}\n           smallest Byzantine set that can fork: {}\n",
            safety.stake_max,
            safety.who("may be Byzantine"),
            safety.too_many_text(),
        )?;
        write!(
            out,
            "progress   while silent stake (Byzantine included) is at most {} of {total}: {}\n           smallest silent set that can stop progress: {}\n",
            progress.stake_max,
            progress.who("may be silent"),
            progress.too_many_text(),
        )?;
        write!(
            out,
            "fast path  while silent stake is at most {} of {total}: {}\n           smallest silent set that ends it: {}; then blocks commit one delay later\n",
            fast_path.stake_max,
            fast_path.who("may be silent"),
            fast_path.too_many_text(),
        )?;
        self.write_members(out)
    }

    fn write_members(&self, out: &mut String) -> std::fmt::Result {
        let names = self
            .members
            .iter()
            .map(|member| member.name.chars().count())
            .max()
            .unwrap_or_default()
            .max(6);
        let width = self.thresholds.total.0.to_string().len().max(5);
        writeln!(
            out,
            "\n{:<names$}  {:>width$}  of all   leads",
            "member", "stake"
        )?;
        for member in &self.members {
            writeln!(
                out,
                "{:<names$}  {:>width$}  {:>5.1} %  {:>5.1} %",
                member.name, member.stake, member.stake_percent, member.leads_percent
            )?;
        }
        for (bound, can) in [
            (self.thresholds.byzantine.0, "fork the chain"),
            (self.progress.stake_max, "stop progress"),
        ] {
            let alone: Vec<&str> = self
                .members
                .iter()
                .filter(|member| member.stake > bound)
                .map(|member| member.name.as_str())
                .collect();
            if !alone.is_empty() {
                writeln!(
                    out,
                    "warning: each of these alone can {can}: {}",
                    list(&alone)
                )?;
            }
        }
        if self.thresholds.crashed > self.thresholds.missing {
            writeln!(
                out,
                "warning: c is more than p: a block that timeouts lead to may be held by members alone that have crashed since, and then progress waits for one of them (docs/protocol.md, section 15)"
            )?;
        }
        Ok(())
    }
}

/// Symbol, stake and use of each threshold, as protocol section 1 lists them.
fn rows(thresholds: &Thresholds) -> [(&'static str, u64, &'static str); 9] {
    let Thresholds {
        total,
        byzantine,
        crashed,
        quorum,
        timeout,
        missing,
        fast,
        adoption,
        witness,
    } = thresholds;
    [
        ("N", total.0, "all stake"),
        (
            "f",
            byzantine.0,
            "may be Byzantine: lie, vote twice, keep silent",
        ),
        ("c", crashed.0, "may be crashed or cut off beside"),
        (
            "Q",
            quorum.0,
            "votes certify a block; commit votes commit it after three delays",
        ),
        (
            "T",
            timeout.0,
            "timeouts end a view whose leader brings nothing about",
        ),
        (
            "p",
            missing.0,
            "may be missing on the fast path of two delays",
        ),
        ("F", fast.0, "votes commit a block on the fast path: N - p"),
        (
            "A",
            adoption.0,
            "timeouts that name one block make the next leader build on it",
        ),
        (
            "W",
            witness.0,
            "holds at least one honest member: its timeouts make everyone give up",
        ),
    ]
}

impl Tolerance {
    /// Of members by descending stake.
    fn of(members: &[(&str, u64)], stake_max: u64) -> Self {
        assert!(
            members.is_sorted_by(|one, next| one.1 >= next.1),
            "the largest come first"
        );
        let names =
            |list: &[(&str, u64)]| list.iter().map(|(name, _)| (*name).to_owned()).collect();
        let any_members = fitting(members.iter(), stake_max);
        let most = fitting(members.iter().rev(), stake_max);
        // No single member fits in less stake than these, so fewer never make it.
        let too_many = &members[..members.len().min(any_members + 1)];
        let too_many_stake = too_many.iter().map(|(_, stake)| stake).sum();
        assert!(
            too_many_stake > stake_max,
            "all members together are always too many"
        );
        let mut most_members = members[members.len() - most..].to_vec();
        // Least stake first; the order within equal stakes stays.
        most_members.sort_by_key(|(_, stake)| *stake);
        Self {
            stake_max,
            any_members,
            most_members: names(&most_members),
            too_many: names(too_many),
            too_many_stake,
        }
    }

    fn who(&self, may: &str) -> String {
        let (any, most) = (self.any_members, self.most_members.len());
        match (any, most) {
            (_, 0) => format!("no member {may}"),
            (0, _) => format!(
                "not every member {may}; at most {} may: {}",
                count(most),
                list(&self.most_members)
            ),
            (any, most) if any == most => format!("any {} {may}", count(any)),
            _ => format!(
                "any {} {may}; at most {} may: {}",
                count(any),
                count(most),
                list(&self.most_members)
            ),
        }
    }

    fn too_many_text(&self) -> String {
        let (names, stake) = (list(&self.too_many), self.too_many_stake);
        let members = count(self.too_many.len());
        // No set of this size is within the limit: then which members it is does not matter.
        if self.too_many.len() > self.most_members.len() {
            format!("any {members}, as {names} (stake {stake})")
        } else {
            format!("{members}: {names} (stake {stake})")
        }
    }
}

/// How many from the front have at most this stake together.
fn fitting<'a>(members: impl Iterator<Item = &'a (&'a str, u64)>, stake_max: u64) -> usize {
    members
        .scan(0_u64, |sum, (_, stake)| {
            *sum += stake;
            Some(*sum)
        })
        .take_while(|sum| *sum <= stake_max)
        .count()
}

fn shares(committee: &Committee, members: &[(&str, u64)]) -> Vec<MemberShare> {
    let schedule = LeaderSchedule::new(committee);
    let turns = schedule.turns();
    let total = committee.thresholds().total.0;
    let mut leads = vec![0_u64; members.len()];
    for leader in turns {
        leads[leader.index()] += 1;
    }
    members
        .iter()
        .zip(leads)
        .map(|((name, stake), leads)| MemberShare {
            name: (*name).to_owned(),
            stake: *stake,
            stake_percent: percent(*stake, total),
            leads_percent: percent(leads, turns.len() as u64),
        })
        .collect()
}

/// With two digits.
fn percent(part: u64, whole: u64) -> f64 {
    let hundredths = u128::from(part) * 10_000 / u128::from(whole.max(1));
    hundredths as f64 / 100.0
}

fn count(members: usize) -> String {
    match members {
        1 => "1 member".to_owned(),
        more => format!("{more} members"),
    }
}

fn list(names: &[impl AsRef<str>]) -> String {
    let shown: Vec<&str> = names.iter().take(NAMES_MAX).map(AsRef::as_ref).collect();
    match names.len().checked_sub(NAMES_MAX) {
        None | Some(0) => shown.join(", "),
        Some(more) => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests;
