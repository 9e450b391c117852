//! What a contract said when it reverted.

use crate::abi;
use alloy_primitives::Bytes;
use alloy_sol_types::{ContractError, SolInterface};
use std::fmt;

/// Most letters of a revert's text.
const TEXT_MAX: usize = 1_000;

/// A revert, in the words of the contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revert {
    /// The error's name in Solidity; empty if the contract said nothing that is known.
    pub name: String,
    /// The name with its fields.
    pub text: String,
    /// What the contract said.
    pub data: Bytes,
}

impl fmt::Display for Revert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.text)
    }
}

/// The variant's content as text: `KeyUsed(KeyUsed { .. })` is `KeyUsed { .. }`.
pub(crate) fn inner_text(value: &impl fmt::Debug) -> String {
    let text = format!("{value:?}");
    let inner = text
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(&text).chars().take(TEXT_MAX).collect()
}

fn of<E: SolInterface + fmt::Debug>(data: &[u8]) -> Option<String> {
    E::abi_decode_validate(data)
        .ok()
        .map(|error| inner_text(&error))
}

type Reader = fn(&[u8]) -> Option<String>;

impl Revert {
    /// Read what a contract said.
    #[must_use]
    pub fn read(data: &Bytes) -> Self {
        let readers: [Reader; 8] = [
            of::<abi::System::SystemErrors>,
            of::<abi::OperatorRegistry::OperatorRegistryErrors>,
            of::<abi::BondedStake::BondedStakeErrors>,
            of::<abi::CommitteeManager::CommitteeManagerErrors>,
            of::<abi::ForcedInbox::ForcedInboxErrors>,
            of::<abi::FinalityAnchor::FinalityAnchorErrors>,
            of::<abi::SlashingCourt::SlashingCourtErrors>,
            |data| of::<ContractError<std::convert::Infallible>>(data),
        ];
        let text = readers.iter().find_map(|read| read(data));
        let name = text
            .as_deref()
            .and_then(|text| text.split([' ', '(', '{']).next());
        let name = name.unwrap_or_default().to_owned();
        let text = text.unwrap_or_else(|| match data.is_empty() {
            true => "the contract gave no reason; is it at this address?".to_owned(),
            false => format!("unknown error {data}")
                .chars()
                .take(TEXT_MAX)
                .collect(),
        });
        Self {
            name,
            text,
            data: data.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_sol_types::SolError as _;

    #[test]
    fn errors_of_contracts_are_named_with_their_fields() {
        let error = abi::FinalityAnchor::Overdue { index: 7 };
        let revert = Revert::read(&error.abi_encode().into());
        assert_eq!(revert.name, "Overdue");
        assert_eq!(revert.text, "Overdue { index: 7 }");
        let error = abi::SlashingCourt::NotAnOffence {};
        assert_eq!(
            Revert::read(&error.abi_encode().into()).name,
            "NotAnOffence"
        );
        let plain = alloy_sol_types::Revert::from("too poor");
        let revert = Revert::read(&plain.abi_encode().into());
        assert!(revert.text.contains("too poor"), "{revert}");
    }

    #[test]
    fn garbage_is_an_unknown_error() {
        for data in [&[][..], &[1], &[1, 2, 3, 4], &[0xff; 5_000]] {
            let revert = Revert::read(&Bytes::copy_from_slice(data));
            assert_eq!(revert.name, "");
            assert!(revert.text.len() <= TEXT_MAX);
        }
    }
}
