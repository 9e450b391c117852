//! What a member keeps so that offences can be proven (protocol section 6): evidence, and for the evidence period the
//! certificates that moved it through its views, that it commit-voted on, or that justified a block it voted for.
//!
//! | key in the table Evidence | value |
//! |---|---|
//! | 1, epoch | [`EpochRecord`]: its committee, and how many views came before it |
//! | 2, epoch, offence, view, member | [`Evidence`] |
//! | 3, epoch, view, `c`, start of its hash | [`Justification`] |
//! | 3, epoch, view, `h`, start of its id | header ([`Block`]) of a block that the member voted for or committed |
//!
//! Numbers are big endian. Evidence is kept for ever: at most a few pieces per member, offence and epoch.

use super::{Chain, ChainError};
use bytes::Bytes;
use outrider_finality::{CertificateStore, Charge};
use outrider_storage::{Store, Table};
use outrider_types::codec::{EncodeSize, Error, Read, Write};
use outrider_types::crypto::sha256;
use outrider_types::{Block, Committee, Epoch, Evidence, Justification, View, decode, encode};

const EPOCHS: u8 = 1;
const EVIDENCE: u8 = 2;
const CERTIFICATES: u8 = 3;
const CERTIFICATE: u8 = b'c';
const HEADER: u8 = b'h';
/// Bytes of a hash in a key: enough that nobody finds two certificates with the same.
const HASH_BYTES: usize = 16;

/// Pieces of evidence in one page.
pub const EVIDENCE_PER_PAGE: usize = 16;
/// Encoded bytes after which a page of certificates ends.
const PAGE_BYTES: usize = 1024 * 1024;
/// Entries read at a time.
const READ_ENTRIES: usize = 64;
/// Entries deleted in one call of [`Chain::prune_evidence`].
const PRUNED_MAX: usize = 512;

/// What is remembered of an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
struct EpochRecord {
    /// Views of all epochs before it, about: the age of its certificates is counted from there.
    views_before: u64,
    /// Its committee: keys to check its evidence with.
    committee: Committee,
}

impl Write for EpochRecord {
    fn write(&self, buf: &mut impl bytes::BufMut) {
        self.views_before.write(buf);
        self.committee.write(buf);
    }
}

impl EncodeSize for EpochRecord {
    fn encode_size(&self) -> usize {
        self.views_before.encode_size() + self.committee.encode_size()
    }
}

impl Read for EpochRecord {
    type Cfg = ();
    fn read_cfg(buf: &mut impl commonware_codec::Buf, _: &()) -> Result<Self, Error> {
        Ok(Self {
            views_before: u64::read_cfg(buf, &())?,
            committee: Committee::read_cfg(buf, &())?,
        })
    }
}

/// A page, and the key at which the next begins.
pub type Paged<T> = (T, Option<Bytes>);

impl<S: Store> Chain<S> {
    /// An epoch begins, `views` views after the one before it began. Does nothing if it is known.
    pub fn begin_evidence(&mut self, committee: &Committee, views: View) -> Result<(), ChainError> {
        let epoch = committee.epoch();
        if self.epoch_record(epoch)?.is_some() {
            return Ok(());
        }
        let before = match epoch.0.checked_sub(1) {
            Some(before) => self.epoch_record(Epoch(before))?,
            None => None,
        };
        let record = EpochRecord {
            views_before: before.map_or(0, |before| before.views_before.saturating_add(views.0)),
            committee: committee.clone(),
        };
        Ok(self
            .store
            .put(Table::Evidence, &epoch_key(EPOCHS, epoch), encode(&record))?)
    }

    /// The committee of an epoch that evidence may be of; none if it is not known here.
    pub fn evidence_committee(&self, epoch: Epoch) -> Result<Option<Committee>, ChainError> {
        Ok(self.epoch_record(epoch)?.map(|record| record.committee))
    }

    /// Keep a certificate for the evidence period. It is durable with the next sync.
    pub fn keep_certificate(&mut self, certificate: &Justification) -> Result<(), ChainError> {
        let value = encode(certificate);
        let hash = sha256(&[&value]);
        let key = view_key(certificate.epoch(), certificate.view(), CERTIFICATE, &hash);
        self.put_new(&key, value)
    }

    /// Keep a header for the evidence period.
    pub fn keep_header(&mut self, block: &Block) -> Result<(), ChainError> {
        let key = view_key(block.epoch, block.view, HEADER, &block.id().0);
        self.put_new(&key, encode(block))
    }

    /// Keep evidence, durably. False if the same charge is on record already.
    pub fn put_evidence(&mut self, evidence: &Evidence) -> Result<bool, ChainError> {
        let Charge {
            epoch,
            offence,
            view,
            member,
        } = Charge::of(evidence);
        let mut key = epoch_key(EVIDENCE, epoch);
        key.push(offence as u8);
        key.extend_from_slice(&view.0.to_be_bytes());
        key.extend_from_slice(&member.0.to_be_bytes());
        if self.store.get(Table::Evidence, &key)?.is_some() {
            return Ok(false);
        }
        self.store.put(Table::Evidence, &key, encode(evidence))?;
        self.store.sync()?;
        Ok(true)
    }

    /// A page of evidence of all epochs, each with its committee.
    pub fn evidence_page(
        &self,
        from: Option<&[u8]>,
    ) -> Result<Paged<Vec<(Committee, Evidence)>>, ChainError> {
        let from = from.map_or_else(|| vec![EVIDENCE], <[u8]>::to_vec);
        let mut found = Vec::new();
        for (key, value) in self
            .store
            .range(Table::Evidence, &from, EVIDENCE_PER_PAGE + 1)?
        {
            let Some(epoch) = epoch_of(&key, EVIDENCE) else {
                break;
            };
            if found.len() == EVIDENCE_PER_PAGE {
                return Ok((found, Some(key)));
            }
            // Without its committee it proves nothing; both are put together.
            if let Some(record) = self.epoch_record(epoch)? {
                found.push((record.committee, read(value, "piece of evidence")?));
            }
        }
        Ok((found, None))
    }

    /// A page of what is kept of an epoch; none if the epoch is not known here.
    pub fn certificate_page(
        &self,
        epoch: Epoch,
        from: Option<&[u8]>,
    ) -> Result<Option<Paged<CertificateStore>>, ChainError> {
        let Some(record) = self.epoch_record(epoch)? else {
            return Ok(None);
        };
        let mut store = CertificateStore::new(record.committee);
        let first = epoch_key(CERTIFICATES, epoch);
        // A key before the epoch's own would read other tables' rows for nothing.
        let mut from = from
            .map_or_else(|| first.clone(), <[u8]>::to_vec)
            .max(first);
        let mut bytes = 0;
        loop {
            let entries = self.store.range(Table::Evidence, &from, READ_ENTRIES)?;
            let full = entries.len() == READ_ENTRIES;
            for (key, value) in entries {
                if epoch_of(&key, CERTIFICATES) != Some(epoch) {
                    return Ok(Some((store, None)));
                }
                if bytes > PAGE_BYTES {
                    return Ok(Some((store, Some(key))));
                }
                bytes += value.len();
                match key.get(KIND) {
                    Some(&CERTIFICATE) => store.certificates.push(read(value, "certificate")?),
                    _ => store.headers.push(read(value, "header")?),
                }
                from = [&*key, &[0]].concat();
            }
            if !full {
                return Ok(Some((store, None)));
            }
        }
    }

    /// Delete what is older than `keep` views, a bounded number of entries at a time. How many were deleted.
    pub fn prune_evidence(
        &mut self,
        epoch: Epoch,
        view: View,
        keep: u64,
    ) -> Result<usize, ChainError> {
        let Some(now) = self.epoch_record(epoch)? else {
            return Ok(0);
        };
        let floor = now.views_before.saturating_add(view.0).saturating_sub(keep);
        let mut deleted = 0;
        let mut of: Option<(Epoch, u64)> = None;
        // Mostly the first one is young enough.
        let mut batch = 1;
        loop {
            let entries = self.store.range(Table::Evidence, &[CERTIFICATES], batch)?;
            let full = entries.len() == batch;
            batch = READ_ENTRIES;
            for (key, _) in entries {
                let Some((epoch, view)) = place_of(&key) else {
                    return Ok(deleted);
                };
                let before = match of {
                    Some((known, before)) if known == epoch => before,
                    // What is of an unknown epoch is as old as can be.
                    _ => self
                        .epoch_record(epoch)?
                        .map_or(0, |record| record.views_before),
                };
                of = Some((epoch, before));
                if before.saturating_add(view.0) >= floor || deleted == PRUNED_MAX {
                    return Ok(deleted);
                }
                self.store.delete(Table::Evidence, &key)?;
                deleted += 1;
            }
            if !full {
                return Ok(deleted);
            }
        }
    }

    fn epoch_record(&self, epoch: Epoch) -> Result<Option<EpochRecord>, ChainError> {
        self.read(
            Table::Evidence,
            &epoch_key(EPOCHS, epoch),
            "committee of an epoch",
        )
    }

    fn put_new(&mut self, key: &[u8], value: Bytes) -> Result<(), ChainError> {
        if self.store.get(Table::Evidence, key)?.is_none() {
            self.store.put(Table::Evidence, key, value)?;
        }
        Ok(())
    }
}

/// Where the kind stands in a key of a certificate or header.
const KIND: usize = 17;

fn epoch_key(prefix: u8, epoch: Epoch) -> Vec<u8> {
    let mut key = vec![prefix];
    key.extend_from_slice(&epoch.0.to_be_bytes());
    key
}

fn view_key(epoch: Epoch, view: View, kind: u8, hash: &[u8; 32]) -> Vec<u8> {
    let mut key = epoch_key(CERTIFICATES, epoch);
    key.extend_from_slice(&view.0.to_be_bytes());
    key.push(kind);
    key.extend_from_slice(&hash[..HASH_BYTES]);
    key
}

fn number(key: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(at..at + 8)?.try_into().ok()?))
}

/// The epoch in a key with this prefix.
fn epoch_of(key: &[u8], prefix: u8) -> Option<Epoch> {
    (key.first() == Some(&prefix))
        .then(|| number(key, 1).map(Epoch))
        .flatten()
}

/// Epoch and view in the key of a certificate or header.
fn place_of(key: &[u8]) -> Option<(Epoch, View)> {
    Some((epoch_of(key, CERTIFICATES)?, View(number(key, 9)?)))
}

fn read<T: Read<Cfg = ()>>(value: Bytes, what: &'static str) -> Result<T, ChainError> {
    decode(value).map_err(|error| ChainError::Decode { what, error })
}

#[cfg(test)]
mod tests;
