//! `outrider operator status`: how an operator stands, over all contracts.

use crate::failure::Failure;
use crate::l1::Looking;
use crate::output::say;
use alloy_primitives::Address;
use alloy_primitives::utils::format_ether;
use clap::Args;
use outrider_l1::operator::{OperatorStatus, Standing};

/// Show how an operator stands.
#[derive(Debug, Args)]
pub struct Status {
    /// The operator's address.
    operator: Address,
    #[command(flatten)]
    looking: Looking,
}

impl Status {
    /// Do it.
    pub async fn run(&self) -> Result<(), Failure> {
        let contracts = self.looking.open()?;
        let state = contracts.latest().await.map_err(Box::new)?;
        let status = state.status(self.operator).await.map_err(Box::new)?;
        self.looking.show(&contracts, &status, print);
        Ok(())
    }
}

fn print(status: &OperatorStatus) {
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "none".to_owned());
    say!("operator        {}", status.operator);
    say!("standing        {:?}", status.standing);
    say!(
        "member key      {}",
        or_none(status.member_key.map(|key| key.to_string()))
    );
    say!(
        "attester        {}",
        or_none(status.attester.map(|one| one.to_string()))
    );
    say!(
        "attester's gas  {} ETH",
        format_ether(status.attester_balance)
    );
    say!(
        "stake           {} ETH, needed {}",
        format_ether(status.stake),
        format_ether(status.stake_min)
    );
    say!("slashable       {} ETH", format_ether(status.slashable));
    say!("bonded          {} ETH", format_ether(status.bonded));
    say!(
        "unbonding       {} ETH, until {}",
        format_ether(status.unbonding),
        status.withdrawable_at
    );
    print_seats(status);
    say!(
        "last epoch      {}",
        or_none(status.last_epoch.map(|epoch| epoch.to_string()))
    );
    say!("open case       {}", status.open_case);
    say!("at L1 block     {}", status.l1_block);
}

fn print_seats(status: &OperatorStatus) {
    let seat = |weight: Option<u64>| {
        weight.map_or_else(|| "no".to_owned(), |weight| format!("yes, weight {weight}"))
    };
    let next = status.next_epoch;
    if status.epoch != next {
        say!(
            "in committee    of epoch {}, which settles: {}",
            status.epoch,
            seat(status.weight)
        );
    }
    match status.next_recorded {
        true => say!(
            "                of epoch {next}, as it is recorded: {}",
            seat(status.next_weight)
        ),
        false => say!("                of epoch {next}: none is recorded yet"),
    }
    say!(
        "                of epoch {next}, if it were recorded now: {}",
        seat(status.weight_now)
    );
    let listed = match (status.listed, status.standing) {
        (true, _) => "yes",
        (false, Standing::Active) if status.stake >= status.stake_min => {
            "no; `outrider operator enlist` puts it there"
        }
        _ => "no",
    };
    say!("on the list     {listed}");
}
