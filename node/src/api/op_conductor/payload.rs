//! Payloads of a sequencer as transactions of a lane: cut into parts, each with a code that only the sequencers' members can
//! make, so that nobody else who submits to the lane can put a payload there.
//!
//! A part is `OPC1`, HMAC-SHA256 (32 bytes) of the rollup's id and all that follows it, the author (2), SHA-256 of the whole
//! payload (32), the part's place (2), how many there are (2), and its bytes; numbers are big-endian.

use hmac::{Hmac, Mac as _};
use outrider_types::{Bytes, MemberIndex, RollupId};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

const MAGIC: &[u8; 4] = b"OPC1";
const MAC_BYTES: usize = 32;
const HEAD_BYTES: usize = MAGIC.len() + MAC_BYTES + 2 + 32 + 2 + 2;
/// Parts of one payload.
pub(super) const PARTS_MAX: usize = 64;

/// SHA-256 of a payload's text.
pub(super) type PayloadId = [u8; 32];
type Code = Hmac<Sha256>;

/// What a payload says about its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Numbered {
    pub(super) number: u64,
    pub(super) hash: [u8; 32],
    pub(super) parent: [u8; 32],
}

impl Numbered {
    /// Of an `ExecutionPayloadEnvelope` in JSON.
    pub(super) fn read(text: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Envelope {
            execution_payload: Payload,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Payload {
            block_number: String,
            block_hash: String,
            parent_hash: String,
        }
        let envelope: Envelope = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        let payload = envelope.execution_payload;
        let digits = payload.block_number.strip_prefix("0x");
        let number = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let hash = |text: &str| {
            const_hex::decode_to_array(text).map_err(|error| format!("{text:?}: {error}"))
        };
        Ok(Self {
            number: number.ok_or("blockNumber is not a quantity")?,
            hash: hash(&payload.block_hash)?,
            parent: hash(&payload.parent_hash)?,
        })
    }
}

pub(super) fn id_of(text: &[u8]) -> PayloadId {
    Sha256::digest(text).into()
}

/// What parts are sealed with, made of the password of a rollup's sequencers.
#[derive(Clone)]
pub(super) struct Seal {
    rollup: RollupId,
    key: [u8; 32],
}

/// A part whose code is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part<'a> {
    pub(super) author: MemberIndex,
    pub(super) id: PayloadId,
    pub(super) at: usize,
    pub(super) of: usize,
    pub(super) data: &'a [u8],
}

impl Seal {
    pub(super) fn new(rollup: RollupId, password: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"outrider op-conductor parts\0");
        hash.update(password);
        let key = hash.finalize().into();
        Self { rollup, key }
    }

    fn code(&self, rest: &[u8]) -> Option<Code> {
        // A key of any length is a key.
        let mut code = Code::new_from_slice(&self.key).ok()?;
        code.update(&self.rollup.0.to_be_bytes());
        code.update(rest);
        Some(code)
    }

    /// The transactions that a payload becomes; none if it is too large for that.
    pub(super) fn seal(
        &self,
        author: MemberIndex,
        text: &[u8],
        transaction_bytes_max: usize,
    ) -> Option<Vec<Bytes>> {
        let room = transaction_bytes_max
            .checked_sub(HEAD_BYTES)
            .filter(|room| *room > 0)?;
        let id = id_of(text);
        let chunks: Vec<_> = text.chunks(room).collect();
        let of = u16::try_from(chunks.len()).ok()?;
        if usize::from(of) > PARTS_MAX {
            return None;
        }
        let sealed = (0..of).zip(chunks).map(|(at, chunk)| {
            let mut rest = Vec::with_capacity(HEAD_BYTES + chunk.len());
            rest.extend(author.0.to_be_bytes());
            rest.extend(id);
            rest.extend(at.to_be_bytes());
            rest.extend(of.to_be_bytes());
            rest.extend(chunk);
            let mut part = MAGIC.to_vec();
            part.extend(self.code(&rest)?.finalize().into_bytes());
            part.extend(rest);
            Some(Bytes::from(part))
        });
        sealed.collect()
    }

    /// The part that a transaction of the lane is; none if it is something else.
    pub(super) fn open<'a>(&self, transaction: &'a [u8]) -> Option<Part<'a>> {
        let rest = transaction.strip_prefix(MAGIC)?;
        let (code, rest) = rest.split_at_checked(MAC_BYTES)?;
        self.code(rest)?.verify_slice(code).ok()?;
        let (author, rest) = rest.split_first_chunk()?;
        let (id, rest) = rest.split_first_chunk()?;
        let (at, rest) = rest.split_first_chunk()?;
        let (of, data) = rest.split_first_chunk()?;
        let at = usize::from(u16::from_be_bytes(*at));
        let of = usize::from(u16::from_be_bytes(*of));
        (at < of && of <= PARTS_MAX).then_some(Part {
            author: MemberIndex(u16::from_be_bytes(*author)),
            id: *id,
            at,
            of,
            data,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_opened_by_their_seal_and_by_no_other() {
        let seal = Seal::new(RollupId(7), "a password of some length");
        let author = MemberIndex(3);
        let text = b"0123456789";
        let parts = seal.seal(author, text, HEAD_BYTES + 4).unwrap();
        let opened: Vec<_> = parts.iter().map(|part| seal.open(part).unwrap()).collect();
        assert_eq!(opened.len(), 3);
        assert!(
            opened
                .iter()
                .all(|part| part.author == author && part.of == 3)
        );
        let joined: Vec<u8> = opened.iter().flat_map(|part| part.data).copied().collect();
        assert_eq!((joined.as_slice(), opened[0].id), (&text[..], id_of(text)));
        for other in [
            Seal::new(RollupId(8), "a password of some length"),
            Seal::new(RollupId(7), "another password"),
        ] {
            assert_eq!(other.open(&parts[0]), None);
        }
        for at in 0..parts[0].len() {
            let mut changed = parts[0].to_vec();
            changed[at] ^= 1;
            assert_eq!(seal.open(&changed), None, "byte {at}");
            assert_eq!(seal.open(&parts[0][..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn payload_has_its_largest_number_of_parts_and_no_more() {
        let seal = Seal::new(RollupId(7), "a password of some length");
        let seal = |bytes| seal.seal(MemberIndex(0), &vec![1; bytes], HEAD_BYTES + 1);
        assert_eq!(seal(PARTS_MAX).unwrap().len(), PARTS_MAX);
        assert_eq!(seal(PARTS_MAX + 1), None);
    }
}
