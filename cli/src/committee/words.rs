//! What a change changes, in words, for those who are to approve of it.

use super::change::ChangeFile;
use super::current::Current;
use outrider_types::{Attester, Committee, Contact, Member, Stake};
use std::fmt::{self, Write as _};

/// A checked change against the committee that it follows.
pub fn describe(file: &ChangeFile, current: &Current) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut out, file, current);
    out
}

fn write(out: &mut String, file: &ChangeFile, current: &Current) -> fmt::Result {
    let (old, next) = (&current.committee, &file.change.next);
    writeln!(out, "change     {}", file.id())?;
    writeln!(
        out,
        "at the end of epoch {} of chain {}, for epoch {}:",
        old.epoch(),
        old.chain(),
        next.epoch()
    )?;
    let before = out.len();
    members(out, file, current)?;
    turns(out, file, current)?;
    if old.epoch_blocks() != next.epoch_blocks() {
        writeln!(out, "  epochs   {} -> {}", blocks(old), blocks(next))?;
    }
    if out.len() == before {
        writeln!(out, "  nothing")?;
    }
    thresholds(out, old, next)
}

/// Whether anything but the epoch's number changes.
pub fn changes(file: &ChangeFile, current: &Current) -> bool {
    file.change.next != current.committee.successor() || file.change.contacts != current.contacts
}

/// Who approves, and what is missing.
pub fn tally(file: &ChangeFile, current: &Current, found: Stake) -> String {
    let needed = current.committee.thresholds().quorum;
    let names: Vec<String> = file
        .change
        .approvals
        .signatures
        .iter()
        .map(|(member, _)| current.name(*member))
        .collect();
    let who = match names.join(", ") {
        none if none.is_empty() => String::new(),
        names => format!(" ({names})"),
    };
    let missing = match needed.0.saturating_sub(found.0) {
        0 => "that is enough".to_owned(),
        missing => format!("stake {missing} is missing"),
    };
    format!("approved   by stake {found} of {needed} needed{who}: {missing}")
}

/// A member with its place.
fn find<'a>(
    committee: &'a Committee,
    contacts: &'a [Contact],
    of: &Member,
) -> Option<(&'a Member, &'a Contact)> {
    let at = committee.index_of(&of.public_key)?.index();
    committee.members().get(at).zip(contacts.get(at))
}

fn members(out: &mut String, file: &ChangeFile, current: &Current) -> fmt::Result {
    let (next, contacts) = (&file.change.next, &file.change.contacts);
    for (member, contact) in current.committee.members().iter().zip(&current.contacts) {
        let name = &contact.name;
        match find(next, contacts, member) {
            None => writeln!(
                out,
                "  leaves   {name}, stake {}, key {}",
                member.stake, member.public_key
            )?,
            Some((then, there)) => {
                if then.stake != member.stake {
                    writeln!(out, "  stake    {name}: {} -> {}", member.stake, then.stake)?;
                }
                moved(out, contact, there)?;
            }
        }
    }
    let (mut kept, mut total) = (0, 0);
    for (member, contact) in next.members().iter().zip(contacts) {
        total += member.stake.0;
        if find(&current.committee, &current.contacts, member).is_some() {
            kept += member.stake.0;
            continue;
        }
        let Contact {
            name,
            transport_key,
            address,
            rpc,
            attester,
        } = contact;
        writeln!(
            out,
            "  joins    {name}, stake {}, at {address}, rpc {}\n           key {}\n           transport key {transport_key}",
            member.stake,
            rpc.as_deref().unwrap_or("none"),
            member.public_key,
        )?;
        if attester.is_some() {
            writeln!(out, "           attester {}", attester_text(*attester))?;
        }
    }
    if kept < total {
        writeln!(
            out,
            "  known    stake {kept} of {total} in the next epoch is of present members"
        )?;
    }
    Ok(())
}

fn attester_text(attester: Option<Attester>) -> String {
    attester.map_or_else(|| "none".to_owned(), |attester| format!("0x{attester}"))
}

fn moved(out: &mut String, old: &Contact, new: &Contact) -> fmt::Result {
    let name = &old.name;
    if new.name != *name {
        writeln!(out, "  renamed  {name}: {}", new.name)?;
    }
    if new.address != old.address {
        writeln!(out, "  moves    {name}: {} -> {}", old.address, new.address)?;
    }
    if new.rpc != old.rpc {
        let text = |rpc: &Option<String>| rpc.clone().unwrap_or_else(|| "none".to_owned());
        writeln!(
            out,
            "  rpc      {name}: {} -> {}",
            text(&old.rpc),
            text(&new.rpc)
        )?;
    }
    if new.transport_key != old.transport_key {
        writeln!(
            out,
            "  transport key of {name}: {} -> {}",
            old.transport_key, new.transport_key
        )?;
    }
    if new.attester != old.attester {
        writeln!(
            out,
            "  attester of {name}: {} -> {}",
            attester_text(old.attester),
            attester_text(new.attester)
        )?;
    }
    Ok(())
}

/// The order of turns, if it is not the order of the members before and after.
fn turns(out: &mut String, file: &ChangeFile, current: &Current) -> fmt::Result {
    let names = |committee: &Committee, contacts: &[Contact]| -> Vec<String> {
        let ring = committee.ring().into_iter();
        ring.filter_map(|member| contacts.get(member.index()))
            .map(|contact| contact.name.clone())
            .collect()
    };
    let plain = |committee: &Committee| committee.ring().is_sorted();
    let (old, next) = (&current.committee, &file.change.next);
    let (before, after) = (
        names(old, &current.contacts),
        names(next, &file.change.contacts),
    );
    if before != after && !(plain(old) && plain(next)) {
        writeln!(
            out,
            "  turns    {} -> {}",
            before.join(", "),
            after.join(", ")
        )?;
    }
    Ok(())
}

fn blocks(committee: &Committee) -> String {
    match committee.epoch_blocks() {
        Some(blocks) => format!("{blocks} blocks"),
        None => "no end: the committee can never change again".to_owned(),
    }
}

fn thresholds(out: &mut String, old: &Committee, next: &Committee) -> fmt::Result {
    let (old, next) = (old.thresholds(), next.thresholds());
    let rows = [
        ("N", "all stake", old.total, next.total),
        ("f", "may be Byzantine", old.byzantine, next.byzantine),
        ("c", "may be crashed beside", old.crashed, next.crashed),
        ("Q", "certifies, commits, approves", old.quorum, next.quorum),
        ("F", "commits on the fast path", old.fast, next.fast),
        ("T", "ends a view", old.timeout, next.timeout),
    ];
    writeln!(out, "stake      {:>10}  {:>10}", "now", "then")?;
    for (symbol, meaning, now, then) in rows {
        writeln!(
            out,
            "  {symbol}        {:>10}  {:>10}  {meaning}",
            now.to_string(),
            then.to_string()
        )?;
    }
    Ok(())
}
