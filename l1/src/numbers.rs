//! Numbers that endpoints need not say alike, for they are of the tip: fees, gas. A liar among three moves them nowhere that no
//! honest one is.

use crate::agreement::reached;
use crate::endpoint::{Endpoint, EndpointError};
use crate::endpoints::{AgreementError, Endpoints};
use std::collections::BTreeMap;

impl Endpoints {
    /// The highest number that more than half of the configured say at least.
    pub async fn number<T, W>(
        &self,
        about: &'static str,
        ask: impl Fn(Endpoint) -> W,
    ) -> Result<T, AgreementError>
    where
        T: Ord + Copy,
        W: Future<Output = Result<T, EndpointError>>,
    {
        let answers = self.each(about, ask).await?;
        self.number_of(about, &answers)
    }

    /// The same of answers to [`Endpoints::each`].
    pub(crate) fn number_of<T: Ord + Copy>(
        &self,
        about: &'static str,
        answers: &[Result<T, EndpointError>],
    ) -> Result<T, AgreementError> {
        let numbers = answers.iter().flatten().copied().collect();
        let number = reached(numbers, self.list().len());
        let refused = || {
            let mut errors = answers.iter().filter_map(|answer| answer.as_ref().err());
            errors.find(|error| error.is_refusal()).cloned()
        };
        number.ok_or_else(|| match refused() {
            Some(error) => error.into(),
            None => AgreementError::Split {
                about,
                answers: "too few numbers".to_owned(),
            },
        })
    }

    /// What a transaction pays at least per gas: in so many of the newest blocks and in the next one, oldest first. A block that no more
    /// than half of the configured know is left out.
    pub async fn base_fees(&self, blocks: u64) -> Result<Vec<u128>, AgreementError> {
        let about = "the base fees";
        let ask = |endpoint: Endpoint| async move { endpoint.base_fees(blocks).await };
        let mut told: BTreeMap<u64, Vec<u128>> = BTreeMap::new();
        for (number, fee) in self.each(about, ask).await?.into_iter().flatten().flatten() {
            told.entry(number).or_default().push(fee);
        }
        let fees = told.into_values();
        let fees: Vec<u128> = fees
            .filter_map(|fees| reached(fees, self.list().len()))
            .collect();
        if fees.is_empty() {
            let answers = "no block is known to most of them".to_owned();
            return Err(AgreementError::Split { about, answers });
        }
        Ok(fees)
    }
}
