//! The bytes of a journal file, and what they say after a crash.
//!
//! ```text
//! 0      magic "OUTRVOTE" | version u32 | generation u64 | file bytes u64 | crc32c u32 | zeros
//! 4096   record, record, ... each at a multiple of 16, then zeros to the end of the file
//! record length u32 | crc32c u32 | sequence u64 | payload | 0xA5 | zeros to a multiple of 16
//! ```
//!
//! Integers are little endian. A record's checksum covers generation, length, sequence and payload, so
//! a record is only valid in the file it was written for. The last byte is never zero: in a zeroed
//! file a record that was cut short cannot look whole.

/// First bytes of every journal file.
pub(super) const MAGIC: [u8; 8] = *b"OUTRVOTE";
/// Version of the layout above.
pub(super) const VERSION: u32 = 1;
/// The header has a page to itself, which no append ever touches.
pub(super) const HEADER_BYTES: usize = 4096;
const HEADER_USED: usize = 32;
const RECORD_HEADER: usize = 16;
const TRAILER: u8 = 0xA5;
const ALIGNMENT: usize = 16;
/// The unit in which a disk writes all or nothing.
const SECTOR_BYTES: usize = 512;

/// What a valid header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub generation: u64,
    pub file_bytes: u64,
}

/// Why a header is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderFault {
    Short,
    Magic,
    Version(u32),
    Checksum,
}

/// The newest record of a file, as a range of its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Newest {
    pub sequence: u64,
    pub payload: std::ops::Range<usize>,
}

/// What the records of a file say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scan {
    pub newest: Option<Newest>,
    /// Offset of an incomplete last record.
    pub torn_at: Option<usize>,
}

/// Bytes that no crash can leave behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damage {
    pub offset: usize,
    pub reason: &'static str,
}

/// Bytes which a record with such a payload takes in the file.
pub(super) fn record_bytes(payload: usize) -> usize {
    (RECORD_HEADER + payload + 1).next_multiple_of(ALIGNMENT)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(field.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(field.try_into().ok()?))
}

fn all_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// A whole new file: header, at most one record, zeros. The caller checked that the record fits.
pub(super) fn image(header: Header, record: Option<(u64, &[u8])>) -> Vec<u8> {
    let file_bytes = usize::try_from(header.file_bytes).unwrap_or(usize::MAX);
    let mut bytes = Vec::with_capacity(file_bytes);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&header.generation.to_le_bytes());
    bytes.extend_from_slice(&header.file_bytes.to_le_bytes());
    let crc = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    assert_eq!(bytes.len(), HEADER_USED);
    bytes.resize(HEADER_BYTES, 0);
    if let Some((sequence, payload)) = record {
        bytes.extend_from_slice(&encode_record(header.generation, sequence, payload));
    }
    assert!(
        bytes.len() <= file_bytes,
        "the first record fits in the file"
    );
    bytes.resize(file_bytes, 0);
    bytes
}

/// Reads a header; the caller compares the file's size with what it says.
pub(super) fn read_header(bytes: &[u8]) -> Result<Header, HeaderFault> {
    if bytes.len() < HEADER_BYTES {
        return Err(HeaderFault::Short);
    }
    if bytes[..8] != MAGIC {
        return Err(HeaderFault::Magic);
    }
    let field = |at| u64_at(bytes, at).ok_or(HeaderFault::Short);
    let version = u32_at(bytes, 8).ok_or(HeaderFault::Short)?;
    let crc = crc32c::crc32c(&bytes[..HEADER_USED - 4]);
    // A newer version may lay the rest out differently, so it is looked at before the checksum.
    if version != VERSION {
        return Err(HeaderFault::Version(version));
    }
    if u32_at(bytes, HEADER_USED - 4) != Some(crc) || !all_zero(&bytes[HEADER_USED..HEADER_BYTES]) {
        return Err(HeaderFault::Checksum);
    }
    Ok(Header {
        generation: field(12)?,
        file_bytes: field(20)?,
    })
}

fn record_crc(generation: u64, length: u32, sequence: u64, payload: &[u8]) -> u32 {
    let crc = crc32c::crc32c(&generation.to_le_bytes());
    let crc = crc32c::crc32c_append(crc, &length.to_le_bytes());
    let crc = crc32c::crc32c_append(crc, &sequence.to_le_bytes());
    crc32c::crc32c_append(crc, payload)
}

/// One record, padded. The payload's length was checked.
pub(super) fn encode_record(generation: u64, sequence: u64, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    assert!(length > 0 && length < u32::MAX, "record length was checked");
    let mut bytes = Vec::with_capacity(record_bytes(payload.len()));
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&record_crc(generation, length, sequence, payload).to_le_bytes());
    bytes.extend_from_slice(&sequence.to_le_bytes());
    bytes.extend_from_slice(payload);
    bytes.push(TRAILER);
    bytes.resize(record_bytes(payload.len()), 0);
    bytes
}

fn record_at(bytes: &[u8], offset: usize, generation: u64) -> Option<Newest> {
    let length = u32_at(bytes, offset)?;
    let crc = u32_at(bytes, offset + 4)?;
    let sequence = u64_at(bytes, offset + 8)?;
    let start = offset + RECORD_HEADER;
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    let payload = bytes.get(start..end)?;
    let whole = length > 0 && bytes.get(end) == Some(&TRAILER);
    (whole && record_crc(generation, length, sequence, payload) == crc).then_some(Newest {
        sequence,
        payload: start..end,
    })
}

/// Reads all records of a file whose header is valid. `record_max` is the longest payload that was
/// ever allowed. A torn last record is reported, damage is an error.
pub(super) fn scan(bytes: &[u8], generation: u64, record_max: usize) -> Result<Scan, Damage> {
    let mut newest: Option<Newest> = None;
    let mut offset = HEADER_BYTES;
    while let Some(record) = record_at(bytes, offset, generation) {
        if newest
            .as_ref()
            .is_some_and(|last| record.sequence != last.sequence + 1)
        {
            let reason = "the record's sequence number does not follow the one before it";
            return Err(Damage { offset, reason });
        }
        offset += record_bytes(record.payload.len());
        newest = Some(record);
    }
    let rest = bytes.get(offset..).unwrap_or_default();
    let torn_at = if all_zero(rest) {
        None
    } else {
        check_torn(bytes, offset, generation, record_max)?;
        Some(offset)
    };
    Ok(Scan { newest, torn_at })
}

/// Tells a torn write from damage. Only one record is ever in flight, written over zeros, in sectors
/// that arrive whole or not at all (a killed process leaves a prefix). So a torn record lacks its last
/// byte or some sector, and nothing follows it.
fn check_torn(
    bytes: &[u8],
    offset: usize,
    generation: u64,
    record_max: usize,
) -> Result<(), Damage> {
    let damage = |reason| Err(Damage { offset, reason });
    let mut later = offset + ALIGNMENT;
    while later < bytes.len() {
        if record_at(bytes, later, generation).is_some() {
            return damage("a broken record is followed by a whole, later one");
        }
        later += ALIGNMENT;
    }
    let length = u32_at(bytes, offset).and_then(|length| usize::try_from(length).ok());
    let Some(length) = length.filter(|length| *length <= record_max) else {
        return damage("the length of a record is not one that was ever written");
    };
    if whole_but_for_its_length(bytes, offset, generation) {
        return damage("the last record is complete but its length was changed");
    }
    // Without its first sector the length reads as zero; the rest of the record may still be there.
    let reach = if length == 0 { record_max } else { length };
    let end = (offset + record_bytes(reach)).min(bytes.len());
    if !all_zero(&bytes[end..]) {
        return damage("there are bytes beyond the last record, where nothing was written");
    }
    let trailer = offset + RECORD_HEADER + length;
    let complete = length > 0 && bytes.get(trailer).is_some_and(|byte| *byte != 0);
    if complete && !lacks_sector(bytes, offset, trailer + 1) {
        return damage("the last record is complete but fails its checksum");
    }
    Ok(())
}

/// Whether the bytes up to the last one that is not zero are a record, if only its length said so.
fn whole_but_for_its_length(bytes: &[u8], offset: usize, generation: u64) -> bool {
    let Some(last) = bytes.iter().rposition(|byte| *byte != 0) else {
        return false;
    };
    let start = offset + RECORD_HEADER;
    let (Some(payload), Some(crc), Some(sequence)) = (
        bytes.get(start..last),
        u32_at(bytes, offset + 4),
        u64_at(bytes, offset + 8),
    ) else {
        return false;
    };
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    bytes[last] == TRAILER && record_crc(generation, length, sequence, payload) == crc
}

/// Whether some sector's share of `start..end` is still zeros.
fn lacks_sector(bytes: &[u8], start: usize, end: usize) -> bool {
    let mut from = start;
    while from < end {
        let to = (from + 1).next_multiple_of(SECTOR_BYTES).min(end);
        if all_zero(&bytes[from..to]) {
            return true;
        }
        from = to;
    }
    false
}
