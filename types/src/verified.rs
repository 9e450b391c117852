//! A value that passed strict verification against a committee. The core accepts nothing else.

use crate::ids::{Epoch, MemberIndex, Stake, View};
use std::ops::Deref;

/// Proof in the type that a value was verified. Built only inside this crate, by verification or by signing, and
/// never changed afterwards:
///
/// ```compile_fail
/// let claimed = outrider_types::Verified::new("not verified"); // private
/// ```
/// ```compile_fail
/// fn change(held: &mut outrider_types::Verified<u8>) {
///     **held = 1; // no `DerefMut`
/// }
/// ```
/// ```
/// fn read(held: &outrider_types::Verified<u8>) -> u8 {
///     **held
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value without its proof.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

/// Why a statement or certificate is not valid for a committee. Always its sender's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// No member has this index.
    #[error("signer {signer} is not among the {members} members of the committee")]
    UnknownSigner {
        /// The index claimed.
        signer: MemberIndex,
        /// Size of the committee.
        members: usize,
    },
    /// The signature does not verify strictly.
    #[error("signature of {signer} does not verify")]
    Signature {
        /// Whose it claims to be.
        signer: MemberIndex,
    },
    /// Said in another epoch than the committee's.
    #[error("of epoch {found}, the committee is of epoch {expected}")]
    Epoch {
        /// The statement's epoch.
        found: Epoch,
        /// The committee's epoch.
        expected: Epoch,
    },
    /// Signers of a certificate are not strictly ascending, so one could count twice.
    #[error("signers are not in strictly ascending order at {signer}")]
    SignerOrder {
        /// The first that is out of place.
        signer: MemberIndex,
    },
    /// Too little stake signed.
    #[error("stake {found} signed, {needed} is needed")]
    Stake {
        /// Stake of the distinct signers.
        found: Stake,
        /// The threshold.
        needed: Stake,
    },
    /// A timeout that claims a certificate of its own view or a later one.
    #[error(
        "timeout of view {view} claims a certificate of view {high_view}, which would have ended it"
    )]
    HighView {
        /// The view timed out.
        view: View,
        /// The rank claimed.
        high_view: View,
    },
    /// The attached certificate is not of the rank that the signed part names.
    #[error("attached certificate has rank {found}, the signed part says {expected}")]
    Rank {
        /// Rank of what is attached (0: nothing).
        found: View,
        /// Rank that was signed.
        expected: View,
    },
    /// A timeout certificate sent as adopting adopts nothing, or the other way round.
    #[error("timeout certificate of view {view} {}", if *.adopts { "adopts a block, and is sent as if it did not" } else { "adopts no block, and is sent as if it did" })]
    Adoption {
        /// Its view.
        view: View,
        /// What it really does.
        adopts: bool,
    },
    /// A field contradicts another.
    #[error("{what}")]
    Malformed {
        /// Which, in words.
        what: &'static str,
    },
}
