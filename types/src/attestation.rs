//! Attestations: what members sign with their secp256k1 keys for the settlement chain, which verifies such signatures for a
//! hundredth of the price of an Ed25519 one. Only the contract there counts them; nothing of consensus does.

use crate::codec::{hex_bytes, wire_struct};
use crate::ids::{BlockId, Epoch, Height, MemberIndex};
use serde::{Deserialize, Serialize};

/// Whom L1 knows a member's attestations by: the address of its secp256k1 key.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attester(pub [u8; 20]);

hex_bytes!(Attester, 20);

/// A signature as EIP-2098 packs it: `r`, then `s` with the parity of `y` in its highest bit. `s` is in the lower half.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttesterSignature(pub [u8; 64]);

hex_bytes!(AttesterSignature, 64);

/// "This block is final." Which digest is signed depends on the contract that it is for (`outrider_ethereum::attestation`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attestation {
    /// The epoch of the block.
    pub epoch: Epoch,
    /// Its height.
    pub height: Height,
    /// Which block.
    pub block: BlockId,
    /// Who says so.
    pub signer: MemberIndex,
    /// The signature of its attester key.
    pub signature: AttesterSignature,
}

wire_struct!(Attestation {
    epoch,
    height,
    block,
    signer,
    signature
});
