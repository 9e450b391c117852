//! A settlement chain for a devnet: anvil as a process beside the members, with the contracts and four operators on it.

use crate::failure::Failure;
use crate::folder::{COMMITTEE_FILE, L1_FILE, Network};
use crate::output::say;
use alloy_primitives::U256;
use outrider_ethereum::attestation::AttesterKey;
use outrider_l1::abi::Parameters;
use outrider_l1::account::Account;
use outrider_l1::endpoint::{Endpoint, EndpointLimits};
use outrider_l1::endpoints::{AgreementLimits, Endpoints};
use outrider_l1::genesis::{Founder, found};
use outrider_l1::sender::{SendLimits, Sender};
use outrider_node::committee_file::CommitteeFile;
use outrider_node::keys;
use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// Chain id of anvil.
const CHAIN: u64 = 31_337;
/// How long anvil may take until it answers.
const READY_WITHIN: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(100);
/// What anvil's blocks, finality and parameters are: a devnet should show in a minute what takes days elsewhere.
const BLOCK_S: &str = "1";
const UNBONDING_S: u64 = 3_600;
const EVIDENCE_AGE_S: u64 = 1_800;
const VETO_WINDOW_S: u64 = 10;
const INBOX_WINDOW_S: u64 = 60;

/// Runs a program, and sends it SIGTERM when nobody holds the other end of standard input any more: anvil itself would outlive a
/// devnet that is killed.
const UNTIL_STDIN_ENDS: &str = r#"
exec 3<&0
"$@" </dev/null 3<&- & child=$!
{ read -r line <&3; kill -TERM "$child"; } & reader=$!
wait "$child"; code=$?
kill "$reader" 2>/dev/null
exit "$code"
"#;

/// The address of one that listens there.
pub fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// The chain as a process.
#[derive(Debug)]
pub struct L1 {
    process: Child,
    /// Where it answers.
    pub url: String,
}

impl L1 {
    /// Start it, or go on with what a run before has left in the folder.
    pub async fn start(program: &Path, dir: &Path, url: &str) -> Result<Self, Failure> {
        let port = url.rsplit_once(':').map_or("8545", |(_, port)| port);
        let log = dir.join("anvil.log");
        let output = File::create(&log).map_err(Failure::file("write", &log))?;
        let errors = output.try_clone().map_err(Failure::file("write", &log))?;
        let mut process = Command::new("sh")
            .args(["-c", UNTIL_STDIN_ENDS, "sh"])
            .arg(program)
            .args(["--port", port, "--hardfork", "osaka"])
            .args(["--block-time", BLOCK_S, "--slots-in-an-epoch", "1"])
            .arg("--state")
            .arg(dir.join("anvil-state.json"))
            // Its end tells it that we are gone, even if we are killed.
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            // A signal of the terminal is for us: members stop first.
            .process_group(0)
            .spawn()
            .map_err(Failure::file("start", Path::new("sh")))?;
        let endpoint = Endpoint::new(url, EndpointLimits::default())?;
        let deadline = Instant::now() + READY_WITHIN;
        while endpoint.chain_id().await.is_err() {
            if let Ok(Some(status)) = process.try_wait() {
                return Err(Failure::L1Ended {
                    program: program.to_path_buf(),
                    how: status.to_string(),
                    log,
                });
            }
            if Instant::now() >= deadline {
                return Err(Failure::L1NotReady {
                    log,
                    within: READY_WITHIN,
                });
            }
            sleep(LOOK).await;
        }
        Ok(Self {
            process,
            url: url.to_owned(),
        })
    }

    /// Deploy the contracts, and register the members of a new network with their stake.
    pub async fn found(&self, network: &Network) -> Result<(), Failure> {
        let file = CommitteeFile::load(&network.dir.join(COMMITTEE_FILE))?;
        let urls = [self.url.clone()];
        let endpoints = Endpoints::new(&urls, CHAIN, AgreementLimits::default())?;
        let limits = SendLimits {
            poll: LOOK,
            ..SendLimits::default()
        };
        let committee = &file.committee;
        let deployer = account(0)?;
        let parameters = parameters(&file, &deployer);
        let deployer = Sender::new(endpoints, deployer, limits);
        let mut founders = Vec::new();
        let members = network.members.iter().zip(committee.members());
        for (index, ((files, member), contact)) in (1..).zip(members.zip(&file.members)) {
            let key = keys::load(&files.key)?;
            founders.push(Founder {
                operator: account(index)?,
                attester: Account::from_secret(&AttesterKey::of_seed(&key.seed()).secret())?,
                member: key,
                contact: outrider_types::encode(contact).into(),
                stake: ether(member.stake.0),
            });
        }
        let allowance = ether(100);
        let deployment = found(&deployer, &parameters, &founders, committee, allowance)
            .await
            .map_err(Box::new)?;
        let path = network.dir.join(L1_FILE);
        deployment.save(&path)?;
        say!(
            "contracts are deployed and {} operators registered: {}",
            founders.len(),
            path.display()
        );
        Ok(())
    }

    /// Let it write its state, and end.
    pub async fn stop(mut self) {
        drop(self.process.stdin.take());
        let _ = tokio::time::timeout(READY_WITHIN, self.process.wait()).await;
    }
}

fn ether(many: u64) -> U256 {
    U256::from(many) * U256::from(10).pow(U256::from(18))
}

fn parameters(file: &CommitteeFile, deployer: &Account) -> Parameters {
    let committee = &file.committee;
    Parameters {
        chain: committee.chain().0,
        epochBlocks: committee.epoch_blocks().unwrap_or_default(),
        firstEpoch: committee.epoch().0,
        stakeUnit: ether(1),
        stakeMin: ether(1),
        membersMax: 64,
        unbonding: UNBONDING_S,
        evidenceAge: EVIDENCE_AGE_S,
        vetoWindow: VETO_WINDOW_S,
        vetoer: deployer.address(),
        inboxWindow: INBOX_WINDOW_S,
        slashShare: ether(1),
        rewardShare: ether(1) / U256::from(10),
    }
}

/// An account of anvil's own, which has ETH: derived here from its place, funded by the genesis of anvil.
fn account(index: u16) -> Result<Account, Failure> {
    let key = ANVIL_KEYS
        .get(usize::from(index))
        .ok_or(Failure::L1Members {
            most: ANVIL_KEYS.len() - 1,
        })?;
    Ok(Account::from_hex(key)?)
}

/// Private keys of anvil's ten accounts, the same everywhere: they come from the well-known phrase "test test test ... junk".
const ANVIL_KEYS: [&str; 10] = [
    "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
    "0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
    "0x47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a",
    "0x8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba",
    "0x92db14e403b83dfe3df233f83dfa3a0d7096f21ca9b0d6d6b8d88b2b4ec1564e",
    "0x4bbbf85ce3377467afe5d46f804f221813b2bb87f24d81f60f1fcdbf7cbf4356",
    "0xdbda1821b80551c9d65939329250298aa3472ba22feea921c0cf5d620ea67b97",
    "0x2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6",
];
