//! `outrider committee propose`: write a change of the committee to a file.

use super::change::{ChangeError, ChangeFile};
use super::current::{Current, Known};
use super::words::{changes, describe, tally};
use crate::candidate::Candidate;
use crate::failure::Failure;
use crate::folder::place;
use crate::output::say;
use crate::password;
use clap::Args;
use outrider_types::{Committee, Contact, Member, MemberIndex, Stake};
use std::path::PathBuf;

/// Write down a change of the committee for the end of the epoch. Members of stake Q approve of it, then it is submitted.
///
/// First members leave, then members are replaced, then members join, then stake is set.
#[derive(Debug, Args)]
pub struct Propose {
    #[command(flatten)]
    known: Known,
    /// A member that leaves, by name. May be given many times, as all of these.
    #[arg(long, value_name = "NAME")]
    remove: Vec<String>,
    /// A member that another takes the place and stake of, or whose address changes; the file is what `outrider keys contact` prints.
    #[arg(long, value_name = "NAME=FILE", value_parser = replacement)]
    replace: Vec<(String, PathBuf)>,
    /// A member that joins; the file is what `outrider keys contact` prints.
    #[arg(long, value_name = "FILE")]
    add: Vec<PathBuf>,
    /// Stake of a member, also of one that joins; by default one that joins has as much as everyone, if all have the same.
    #[arg(long, value_name = "NAME=N", value_parser = stake)]
    stake: Vec<(String, u64)>,
    /// f, stake that may be Byzantine; by default the largest that is safe if it is that now, else what it is now.
    #[arg(long)]
    byzantine: Option<u64>,
    /// c, further stake that may be crashed; by default what it is now.
    #[arg(long)]
    crashed: Option<u64>,
    /// Length of later epochs in blocks.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    epoch_blocks: Option<u64>,
    /// The names of all members in the order in which they take turns; by default as now, and who joins comes last.
    #[arg(long, value_delimiter = ',')]
    ring: Vec<String>,
    /// The key file of a member: its approval is in the file at once.
    #[arg(long)]
    key: Option<PathBuf>,
    /// The file to write.
    #[arg(long)]
    out: PathBuf,
}

impl Propose {
    /// Do it.
    pub async fn run(&self) -> Result<(), Failure> {
        if self.out.exists() {
            return Err(Failure::Exists(self.out.clone()));
        }
        let key = self.key.as_deref().map(password::load).transpose()?;
        let current = self.known.current().await?;
        let mut file = self.change(&current)?;
        file.check(&current)?;
        if let Some(key) = &key {
            file.approve(&current, key)?;
        }
        let found = file.check(&current)?;
        file.save(&self.out)?;
        say!("{}", describe(&file, &current).trim_end());
        say!("{}", tally(&file, &current, found));
        say!(
            "next       outrider committee approve {} --key FILE --rpc URL",
            self.out.display()
        );
        Ok(())
    }

    /// What the arguments say.
    fn change(&self, current: &Current) -> Result<ChangeFile, Failure> {
        let mut draft = Draft::new(current);
        for name in &self.remove {
            draft.remove(name)?;
        }
        for (name, path) in &self.replace {
            draft.replace(name, Candidate::load(path)?)?;
        }
        for path in &self.add {
            draft.add(Candidate::load(path)?);
        }
        for (name, stake) in &self.stake {
            let at = draft.place(name)?;
            draft.seats[at].stake = Some(Stake(*stake));
        }
        let (members, contacts) = draft.members()?;
        let faults = self.faults(&current.committee, &members);
        let ring = self.ring(current, &draft)?;
        let blocks = self.epoch_blocks.or(current.committee.epoch_blocks());
        let next = Committee::new(
            current.committee.chain(),
            current.committee.epoch().next(),
            members,
            Some(faults),
        )?
        .with_epoch_blocks(blocks.unwrap_or_default())
        .with_ring(ring)?;
        let file = ChangeFile::new(current, next, contacts);
        if changes(&file, current) {
            Ok(file)
        } else {
            Err(ChangeError::Nothing.into())
        }
    }

    fn faults(&self, current: &Committee, members: &[Member]) -> (Stake, Stake) {
        let largest = |total: u64, crashed: u64| {
            total
                .saturating_sub(crashed.saturating_mul(2))
                .saturating_sub(1)
                / 3
        };
        let now = current.thresholds();
        let crashed = self.crashed.unwrap_or(now.crashed.0);
        let total = members.iter().map(|member| member.stake.0);
        let total = total.fold(0_u64, u64::saturating_add);
        let byzantine = self.byzantine.unwrap_or_else(|| {
            if now.byzantine.0 == largest(now.total.0, now.crashed.0) {
                largest(total, crashed)
            } else {
                now.byzantine.0
            }
        });
        (Stake(byzantine), Stake(crashed))
    }

    fn ring(&self, current: &Current, draft: &Draft) -> Result<Vec<MemberIndex>, Failure> {
        let names = draft.names();
        if !self.ring.is_empty() {
            let ring: Vec<MemberIndex> = self
                .ring
                .iter()
                .map(|name| place(&names, name))
                .collect::<Result<_, _>>()?;
            let mut sorted = ring.clone();
            sorted.sort_unstable();
            sorted.dedup();
            if sorted.len() != names.len() || ring.len() != names.len() {
                let names = names.join(", ");
                return Err(ChangeError::Ring { names }.into());
            }
            return Ok(ring);
        }
        if current.committee.ring().is_sorted() {
            return Ok(Vec::new());
        }
        Ok(draft.turns())
    }
}

/// The next committee while it is put together.
struct Draft {
    seats: Vec<Seat>,
    /// The stake of everyone, if all have the same.
    common: Option<Stake>,
}

struct Seat {
    candidate: Candidate,
    /// None: not said yet.
    stake: Option<Stake>,
    /// Its place in the present order of turns; who joins comes last.
    turn: usize,
}

impl Draft {
    fn new(current: &Current) -> Self {
        let ring = current.committee.ring();
        let members = current.committee.members();
        let seats = members
            .iter()
            .zip(&current.contacts)
            .enumerate()
            .map(|(at, (member, contact))| Seat {
                candidate: Candidate {
                    public_key: member.public_key,
                    contact: contact.clone(),
                },
                stake: Some(member.stake),
                turn: ring
                    .iter()
                    .position(|turn| turn.index() == at)
                    .unwrap_or(usize::MAX),
            })
            .collect();
        let first = members.first().map(|member| member.stake);
        let common = first.filter(|stake| members.iter().all(|member| member.stake == *stake));
        Self { seats, common }
    }

    fn names(&self) -> Vec<String> {
        self.seats
            .iter()
            .map(|seat| seat.candidate.contact.name.clone())
            .collect()
    }

    fn place(&self, name: &str) -> Result<usize, Failure> {
        Ok(place(&self.names(), name)?.index())
    }

    fn remove(&mut self, name: &str) -> Result<(), Failure> {
        let at = self.place(name)?;
        self.seats.remove(at);
        Ok(())
    }

    fn replace(&mut self, name: &str, candidate: Candidate) -> Result<(), Failure> {
        let at = self.place(name)?;
        self.seats[at].candidate = candidate;
        Ok(())
    }

    fn add(&mut self, candidate: Candidate) {
        self.seats.push(Seat {
            candidate,
            stake: self.common,
            turn: usize::MAX,
        });
    }

    fn members(&self) -> Result<(Vec<Member>, Vec<Contact>), ChangeError> {
        let mut members = Vec::with_capacity(self.seats.len());
        for seat in &self.seats {
            let stake = seat.stake.ok_or_else(|| ChangeError::Stake {
                name: seat.candidate.contact.name.clone(),
            })?;
            members.push(Member {
                public_key: seat.candidate.public_key,
                stake,
            });
        }
        let contacts = self.seats.iter().map(|seat| seat.candidate.contact.clone());
        Ok((members, contacts.collect()))
    }

    /// The present order of turns, without those who leave.
    fn turns(&self) -> Vec<MemberIndex> {
        let mut order: Vec<usize> = (0..self.seats.len()).collect();
        order.sort_by_key(|at| self.seats[*at].turn);
        order
            .into_iter()
            .map(|at| MemberIndex(u16::try_from(at).unwrap_or(u16::MAX)))
            .collect()
    }
}

fn replacement(text: &str) -> Result<(String, PathBuf), String> {
    text.split_once('=')
        .filter(|(name, file)| !name.is_empty() && !file.is_empty())
        .map(|(name, file)| (name.to_owned(), PathBuf::from(file)))
        .ok_or_else(|| format!("{text:?} is not NAME=FILE"))
}

fn stake(text: &str) -> Result<(String, u64), String> {
    let wrong = || format!("{text:?} is not NAME=N with a number above 0");
    let (name, number) = text.rsplit_once('=').ok_or_else(wrong)?;
    let number = number.parse().ok().filter(|number| *number > 0);
    match number {
        Some(number) if !name.is_empty() => Ok((name.to_owned(), number)),
        _ => Err(wrong()),
    }
}
