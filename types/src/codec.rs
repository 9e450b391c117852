//! The wire format: fixed-width big-endian integers, lists with a length, enums with a tag byte, one version
//! byte in front of every message. Built on `commonware-codec`, which refuses trailing bytes, lengths out of
//! range and non-canonical lengths.

use crate::limits::MESSAGE_BYTES_MAX;
use bytes::{Buf as _, Bytes};
use commonware_codec::Buf;
pub use commonware_codec::{Encode, EncodeSize, Error, FixedSize, RangeCfg, Read, ReadExt, Write};

/// Version of the wire format; the first byte of every message and stored record.
pub const WIRE_VERSION: u8 = 4;

/// Why bytes are not a message.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// More bytes than any message may have.
    #[error("{bytes} bytes, at most {limit} are allowed")]
    TooLarge {
        /// How many came.
        bytes: usize,
        /// How many may.
        limit: usize,
    },
    /// No bytes at all.
    #[error("empty message")]
    Empty,
    /// Another format than this build speaks.
    #[error(
        "wire format version {found}, this build speaks {WIRE_VERSION}: run the same release on all members"
    )]
    Version {
        /// The version byte found.
        found: u8,
    },
    /// The bytes do not follow the format.
    #[error("malformed: {0}")]
    Malformed(#[from] Error),
}

/// The bytes of a message, its version first.
pub fn encode<T: Encode>(value: &T) -> Bytes {
    let mut out = Vec::with_capacity(1 + value.encode_size());
    out.push(WIRE_VERSION);
    value.write(&mut out);
    Bytes::from(out)
}

/// A message from bytes of the outside. Refuses trailing bytes. No bytes of a transaction are copied.
pub fn decode<T: Read<Cfg = ()>>(bytes: impl Into<Bytes>) -> Result<T, DecodeError> {
    let mut buffer: Bytes = bytes.into();
    if buffer.len() > MESSAGE_BYTES_MAX {
        return Err(DecodeError::TooLarge {
            bytes: buffer.len(),
            limit: MESSAGE_BYTES_MAX,
        });
    }
    if buffer.is_empty() {
        return Err(DecodeError::Empty);
    }
    let found = buffer.get_u8();
    if found != WIRE_VERSION {
        return Err(DecodeError::Version { found });
    }
    let value = T::read_cfg(&mut buffer, &())?;
    if buffer.has_remaining() {
        return Err(DecodeError::Malformed(Error::ExtraData(buffer.remaining())));
    }
    Ok(value)
}

/// A list of at most `max` items.
pub(crate) fn read_list<T: Read<Cfg = ()>>(
    buf: &mut impl Buf,
    max: usize,
) -> Result<Vec<T>, Error> {
    let count = usize::read_cfg(buf, &RangeCfg::from(0..=max))?;
    read_items(buf, count, |buf| T::read_cfg(buf, &()))
}

/// So many items. The count is only a claim: room is made for as many as the bytes that came would fill, and for
/// more only when they have been read, so that a list in memory never outgrows the message by its claim alone.
pub(crate) fn read_items<B: Buf, T>(
    buf: &mut B,
    count: usize,
    mut read: impl FnMut(&mut B) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let filled = buf.remaining() / size_of::<T>().max(1);
    let mut items = Vec::with_capacity(count.min(filled));
    while items.len() < count {
        if items.len() == items.capacity() {
            items.reserve_exact((count - items.len()).min(items.len().max(4)));
        }
        items.push(read(buf)?);
    }
    Ok(items)
}

/// Codec of a newtype over `u64`.
macro_rules! wire_u64 {
    ($name:ident) => {
        impl commonware_codec::Write for $name {
            fn write(&self, buf: &mut impl bytes::BufMut) {
                self.0.write(buf);
            }
        }
        impl commonware_codec::FixedSize for $name {
            const SIZE: usize = 8;
        }
        impl commonware_codec::Read for $name {
            type Cfg = ();
            fn read_cfg(
                buf: &mut impl commonware_codec::Buf,
                _: &(),
            ) -> Result<Self, commonware_codec::Error> {
                Ok(Self(u64::read_cfg(buf, &())?))
            }
        }
    };
}

/// Codec of a struct, field by field, in the order given. A field written `name[MAX]` is a bounded list.
macro_rules! wire_struct {
    (@read $buf:ident) => { commonware_codec::Read::read_cfg($buf, &())? };
    (@read $buf:ident $max:expr) => { $crate::codec::read_list($buf, $max)? };
    ($name:ty { $($field:ident $([$max:expr])?),* $(,)? }) => {
        impl commonware_codec::Write for $name {
            fn write(&self, buf: &mut impl bytes::BufMut) {
                $(self.$field.write(buf);)*
            }
        }
        impl commonware_codec::EncodeSize for $name {
            fn encode_size(&self) -> usize {
                0 $(+ self.$field.encode_size())*
            }
        }
        impl commonware_codec::Read for $name {
            type Cfg = ();
            fn read_cfg(buf: &mut impl commonware_codec::Buf, _: &()) -> Result<Self, commonware_codec::Error> {
                $(let $field = $crate::codec::wire_struct!(@read buf $($max)?);)*
                Ok(Self { $($field),* })
            }
        }
    };
}

/// Codec of an enum whose variants hold one value each; the tag byte comes first.
macro_rules! wire_enum {
    ($name:ty { $($tag:literal => $variant:ident),* $(,)? }) => {
        impl commonware_codec::Write for $name {
            fn write(&self, buf: &mut impl bytes::BufMut) {
                match self {
                    $(Self::$variant(inner) => {
                        buf.put_u8($tag);
                        inner.write(buf);
                    })*
                }
            }
        }
        impl commonware_codec::EncodeSize for $name {
            fn encode_size(&self) -> usize {
                1 + match self {
                    $(Self::$variant(inner) => inner.encode_size(),)*
                }
            }
        }
        impl commonware_codec::Read for $name {
            type Cfg = ();
            fn read_cfg(buf: &mut impl commonware_codec::Buf, _: &()) -> Result<Self, commonware_codec::Error> {
                match <u8 as commonware_codec::Read>::read_cfg(buf, &())? {
                    $($tag => Ok(Self::$variant(commonware_codec::Read::read_cfg(buf, &())?)),)*
                    other => Err(commonware_codec::Error::InvalidEnum(other)),
                }
            }
        }
    };
}

/// A 32-byte identity: ordered, shown and stored in JSON as lower-case hex.
macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
        pub struct $name(pub [u8; 32]);

        impl Ord for $name {
            // What the derived one gives. Maps by id spend most of their time here, and nearly all ids differ in the first word.
            #[inline]
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                let first = |id: &Self| {
                    let [a, b, c, d, e, f, g, h, ..] = id.0;
                    u64::from_be_bytes([a, b, c, d, e, f, g, h])
                };
                let order = first(self).cmp(&first(other));
                order.then_with(|| self.0.cmp(&other.0))
            }
        }

        impl PartialOrd for $name {
            #[inline]
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }

        $crate::codec::hex_bytes!($name, 32);
    };
}

/// Text, JSON and wire form of a newtype over a byte array.
macro_rules! hex_bytes {
    ($name:ident, $len:literal) => {
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}..", hex::encode(&self.0[..4]))
            }
        }
        impl std::str::FromStr for $name {
            type Err = $crate::codec::HexError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $crate::codec::hex_array(text).map(Self)
            }
        }
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&hex::encode(self.0))
            }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
        impl commonware_codec::Write for $name {
            fn write(&self, buf: &mut impl bytes::BufMut) {
                buf.put_slice(&self.0);
            }
        }
        impl commonware_codec::FixedSize for $name {
            const SIZE: usize = $len;
        }
        impl commonware_codec::Read for $name {
            type Cfg = ();
            fn read_cfg(
                buf: &mut impl commonware_codec::Buf,
                _: &(),
            ) -> Result<Self, commonware_codec::Error> {
                Ok(Self(<[u8; $len] as commonware_codec::Read>::read_cfg(
                    buf,
                    &(),
                )?))
            }
        }
    };
}

pub(crate) use {hex_bytes, hex_id, wire_enum, wire_struct, wire_u64};

/// Why a text is not the hex of so many bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} hex digits, with or without 0x in front: {reason}")]
pub struct HexError {
    /// Digits that should be there.
    pub expected: usize,
    /// What is off.
    pub reason: String,
}

/// A byte array from hex, `0x` optional.
pub(crate) fn hex_array<const N: usize>(text: &str) -> Result<[u8; N], HexError> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let mut out = [0; N];
    hex::decode_to_slice(digits, &mut out).map_err(|error| HexError {
        expected: 2 * N,
        reason: error.to_string(),
    })?;
    Ok(out)
}

impl Write for crate::MemberIndex {
    fn write(&self, buf: &mut impl bytes::BufMut) {
        self.0.write(buf);
    }
}

impl FixedSize for crate::MemberIndex {
    const SIZE: usize = 2;
}

impl Read for crate::MemberIndex {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, _: &()) -> Result<Self, Error> {
        Ok(Self(u16::read_cfg(buf, &())?))
    }
}
