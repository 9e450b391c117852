//! Every bound on what a message may hold. Decoding refuses more, before it allocates.

/// Most members of a committee.
pub const MEMBERS_MAX: usize = 1_024;
/// Most bytes of one transaction's payload.
pub const TRANSACTION_BYTES_MAX: usize = 128 * 1024;
/// Most transactions in one block.
pub const TRANSACTIONS_PER_PAYLOAD_MAX: usize = 16_384;
/// Most rollups with transactions in one block.
pub const LANES_PER_PAYLOAD_MAX: usize = 1_024;
/// Most bytes of transactions in one block, counted as the encoding of the payload.
pub const PAYLOAD_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Most transactions in one spreading message between members.
pub const TRANSACTIONS_PER_MESSAGE_MAX: usize = 1_024;
/// Batches that one request asks for.
pub const BATCHES_PER_REQUEST_MAX: usize = 64;
/// Most blocks in one answer to a range request.
pub const BLOCKS_PER_RANGE_MAX: usize = 256;
/// Most transactions in one answer to a range request, over all its blocks. At least one full block fits.
pub const TRANSACTIONS_PER_RANGE_MAX: usize = 4 * TRANSACTIONS_PER_PAYLOAD_MAX;
/// Most bytes of one message between members, all channels.
pub const MESSAGE_BYTES_MAX: usize = 6 * 1024 * 1024;
/// Most bytes of heap that decoding one message may hold at once, beside the message itself. Transactions are not
/// copied but point into the message. Per item, an entry of a list is at most four times as large in memory as on
/// the wire, except handles of short transactions and batches, which are limited by count. A list is given room for
/// no more items than the bytes that came would fill, whatever length it claims (`tests/decode.rs` counts all of it).
pub const DECODE_BYTES_MAX: usize = 4 * MESSAGE_BYTES_MAX;
/// Most bytes of a member's name.
pub const CONTACT_NAME_BYTES_MAX: usize = 64;
/// Most bytes of a member's RPC address.
pub const CONTACT_RPC_BYTES_MAX: usize = 256;
/// Most fillers in the proof that an epoch is over; a replica holds no more blocks above its last final one.
pub const FILLERS_MAX: usize = 1_024;
