//! `outrider l1 deploy|snapshot|begin`: from nothing to a chain that settles.

use super::{From, Sending, Urls, amount, print_json, say_faults};
use crate::failure::Failure;
use crate::output::say;
use alloy_primitives::{Address, U256};
use clap::Args;
use outrider_l1::abi::Parameters;
use outrider_l1::deploy::{check, deploy};
use outrider_l1::deployment::Deployment;
use outrider_l1::sender::{SendLimits, Sender};
use outrider_types::{Block, ChainId, Epoch};
use std::path::PathBuf;

/// 1e18: all of it.
const WHOLE: u64 = 1_000_000_000_000_000_000;
/// Percent of [`WHOLE`].
const PERCENT: u64 = WHOLE / 100;

/// Deploy the six contracts, and write the network file.
///
/// With --dry-run: where they would be, and with which parameters. Parameters can never be changed.
#[derive(Debug, Args)]
pub struct Deploy {
    #[command(flatten)]
    urls: Urls,
    #[command(flatten)]
    from: From,
    /// The chain id of L1; every endpoint must have it.
    #[arg(long)]
    l1_chain: u64,
    /// Outrider's chain id, as in the committee file.
    #[arg(long)]
    chain: u64,
    /// Blocks of an epoch, as in the committee file.
    #[arg(long)]
    epoch_blocks: u64,
    /// The epoch that settlement begins with.
    #[arg(long, default_value_t = 0)]
    first_epoch: u64,
    /// Stake that is one unit of weight.
    #[arg(long, value_parser = amount, default_value = "1eth")]
    stake_unit: U256,
    /// Least stake of a member; at least --stake-unit.
    #[arg(long, value_parser = amount, default_value = "32eth")]
    stake_min: U256,
    /// Most members.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=256))]
    members_max: u16,
    /// Seconds that stake stays slashable after it was unbonded; above --evidence-age.
    #[arg(long, default_value_t = 14 * 86_400)]
    unbonding: u64,
    /// Seconds after the end of an epoch in which offences of it can be reported; above 0, below --unbonding.
    #[arg(long, default_value_t = 7 * 86_400)]
    evidence_age: u64,
    /// Seconds in which the vetoer can stop a case.
    #[arg(long, default_value_t = 3 * 86_400)]
    veto_window: u64,
    /// Who can stop a case; by default the deployer.
    #[arg(long)]
    vetoer: Option<Address>,
    /// Seconds in which a forced transaction must be included.
    #[arg(long, default_value_t = 3_600)]
    inbox_window: u64,
    /// Percent of its stake that an offender loses.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=100))]
    slash_percent: u64,
    /// Percent of what is slashed that the reporter gets; below 100, or reporting oneself would cost nothing.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=99))]
    reward_percent: u64,
    /// The network file to write.
    #[arg(long)]
    out: PathBuf,
}

impl Deploy {
    fn parameters(&self, deployer: Address) -> Parameters {
        Parameters {
            chain: self.chain,
            epochBlocks: self.epoch_blocks,
            firstEpoch: self.first_epoch,
            stakeUnit: self.stake_unit,
            stakeMin: self.stake_min,
            membersMax: self.members_max,
            unbonding: self.unbonding,
            evidenceAge: self.evidence_age,
            vetoWindow: self.veto_window,
            vetoer: self.vetoer.unwrap_or(deployer),
            inboxWindow: self.inbox_window,
            slashShare: U256::from(self.slash_percent * PERCENT),
            rewardShare: U256::from(self.reward_percent * PERCENT),
        }
    }

    /// Do it.
    pub async fn run(&self) -> Result<(), Failure> {
        check(&self.parameters(Address::ZERO)).map_err(Box::new)?;
        let endpoints = self.urls.endpoints(self.l1_chain)?;
        let account = self
            .from
            .from
            .map_or_else(|| self.from.account().map(Some), |_| Ok(None))?;
        let address = account.as_ref().map(outrider_l1::account::Account::address);
        let address = address.or(self.from.from).unwrap_or_default();
        let parameters = self.parameters(address);
        let deployment = match account.filter(|_| !self.from.dry_run) {
            None => {
                let head = endpoints.heads().await?.latest.number;
                let nonce = endpoints.nonce(address, head).await?;
                let chain = ChainId(self.chain);
                Deployment::predicted(self.l1_chain, chain, head, address, nonce)
            }
            Some(account) => {
                let sender = Sender::new(endpoints.clone(), account, SendLimits::default());
                let deployed = deploy(&sender, &parameters, &[]).await.map_err(Box::new)?;
                deployed.save(&self.out)?;
                deployed
            }
        };
        say_faults(&endpoints);
        if self.from.json {
            print_json(&deployment);
            return Ok(());
        }
        for (name, at) in deployment.contracts() {
            say!("{name:<18}{at}");
        }
        if self.from.dry_run {
            for line in format!("{parameters:#?}").lines() {
                say!("{line}");
            }
            say!("nothing was sent (--dry-run)");
        } else {
            say!("{}", self.out.display());
        }
        Ok(())
    }
}

/// Record the committee of an epoch from the stakes of now. Anybody may.
#[derive(Debug, Args)]
pub struct Snapshot {
    #[command(flatten)]
    sending: Sending,
    /// The epoch; by default the next one, or before settlement began the first.
    #[arg(long)]
    epoch: Option<u64>,
}

impl Snapshot {
    /// Do it.
    pub async fn run(&self) -> Result<(), Failure> {
        let session = self.sending.open()?;
        let epoch = match self.epoch {
            Some(epoch) => Epoch(epoch),
            None => {
                let state = session.contracts.latest().await.map_err(Box::new)?;
                state.next_snapshot().await.map_err(Box::new)?
            }
        };
        session.send(session.deployment().snapshot(epoch)).await
    }
}

/// Begin to settle, from the recorded committee of the first epoch. Only the deployer, once.
#[derive(Debug, Args)]
pub struct Begin {
    #[command(flatten)]
    sending: Sending,
    /// The committee file of the first epoch, which must be the committee that L1 recorded.
    #[arg(long)]
    committee: PathBuf,
}

impl Begin {
    /// Do it.
    pub async fn run(&self) -> Result<(), Failure> {
        let session = self.sending.open()?;
        let file = outrider_node::committee_file::CommitteeFile::load(&self.committee)?;
        let header = Block::genesis(&file.committee).header_bytes();
        session.send(session.deployment().begin(&header)).await
    }
}
