//! What the tests on anvil share: anvil itself, its accounts, and the contracts.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers; not every test needs all of it"
)]

pub mod stand_in;

use alloy_primitives::{Address, U256};
use outrider_ethereum::attestation::{self, AttesterKey};
use outrider_l1::abi::Parameters;
use outrider_l1::account::Account;
use outrider_l1::calls::Signers;
use outrider_l1::deployment::Deployment;
use outrider_l1::endpoint::{Endpoint, EndpointLimits};
use outrider_l1::endpoints::{AgreementLimits, Endpoints};
use outrider_l1::sender::{SendLimits, Sender};
use outrider_l1::state::Contracts;
use outrider_types::{Bytes, ChainId, Committee, Epoch, Member, SecretKey, Stake};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub const L1_CHAIN: u64 = 31_337;
/// Outrider's chain.
pub const CHAIN: u64 = 7;
pub const EPOCH_BLOCKS: u64 = 1_000;
/// The longest that a test waits for anything.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// A private chain, ended with the test.
pub struct Anvil {
    child: Child,
    pub url: String,
    pub endpoint: Endpoint,
}

impl Drop for Anvil {
    fn drop(&mut self) {
        // The program of npm is a wrapper, which passes on a TERM but not a KILL.
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}

impl Anvil {
    /// Blocks are made by transactions, unless the arguments say otherwise.
    pub fn start(arguments: &[&str]) -> Self {
        let path = std::env::var("ANVIL").unwrap_or_else(|_| {
            let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
            format!("{root}/target/tools/node_modules/.bin/anvil")
        });
        let mut child = Command::new(&path)
            .args(["--port", "0", "--hardfork", "osaka"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {path}: {error}; run .ci/run setup"));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines
            .find_map(|line| Some(line.unwrap().strip_prefix("Listening on ")?.to_owned()))
            .expect("anvil says where it listens");
        std::thread::spawn(move || lines.for_each(drop));
        let url = format!("http://{address}");
        let endpoint = Endpoint::new(&url, EndpointLimits::default()).unwrap();
        Self {
            child,
            url,
            endpoint,
        }
    }

    pub async fn call(&self, method: &'static str, params: Value) -> Value {
        self.endpoint.call(method, params).await.unwrap()
    }

    pub async fn mine(&self, blocks: u64) {
        self.call("anvil_mine", json!([format!("{blocks:#x}")]))
            .await;
    }

    pub async fn pass(&self, seconds: u64) {
        self.call("evm_increaseTime", json!([seconds])).await;
        self.mine(1).await;
    }

    pub fn endpoints(&self) -> Endpoints {
        endpoints(&[&self.url])
    }

    pub fn sender(&self, account: Account) -> Sender {
        Sender::new(self.endpoints(), account, send_limits())
    }

    /// ETH for an account.
    pub async fn fund(&self, account: Address) {
        let wei = U256::from(1_000) * ether();
        self.call("anvil_setBalance", json!([account, wei])).await;
    }
}

pub fn ether() -> U256 {
    U256::from(10).pow(U256::from(18))
}

pub fn endpoints(urls: &[&str]) -> Endpoints {
    let urls: Vec<String> = urls.iter().map(|url| (*url).to_owned()).collect();
    Endpoints::new(&urls, L1_CHAIN, AgreementLimits::default()).unwrap()
}

pub fn endpoints_within(urls: &[&str], limits: AgreementLimits) -> Endpoints {
    let urls: Vec<String> = urls.iter().map(|url| (*url).to_owned()).collect();
    Endpoints::new(&urls, L1_CHAIN, limits).unwrap()
}

pub fn send_limits() -> SendLimits {
    SendLimits {
        poll: Duration::from_millis(20),
        ..SendLimits::default()
    }
}

/// An account of its own; its number is its secret.
pub fn account(number: u8) -> Account {
    Account::from_secret(&[number; 32]).unwrap()
}

pub fn parameters() -> Parameters {
    Parameters {
        chain: CHAIN,
        epochBlocks: EPOCH_BLOCKS,
        firstEpoch: 0,
        stakeUnit: ether(),
        stakeMin: ether(),
        membersMax: 100,
        unbonding: 1_000,
        evidenceAge: 500,
        vetoWindow: 100,
        vetoer: account(200).address(),
        inboxWindow: 600,
        slashShare: ether(),
        rewardShare: ether() / U256::from(10),
    }
}

/// The contracts on a fresh anvil.
pub async fn deployed(anvil: &Anvil) -> Contracts {
    let deployer = account(201);
    anvil.fund(deployer.address()).await;
    let sender = anvil.sender(deployer);
    let deployment = outrider_l1::deploy::deploy(&sender, &parameters(), &[])
        .await
        .unwrap();
    Contracts {
        endpoints: anvil.endpoints(),
        deployment,
    }
}

/// The member of an operator.
pub fn member(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

pub fn attester_key(number: u8) -> AttesterKey {
    AttesterKey::of_seed(&[number; 32])
}

/// Its attester.
pub fn attester(number: u8) -> Account {
    Account::from_secret(&attester_key(number).secret()).unwrap()
}

pub fn contact(number: u8) -> Bytes {
    Bytes::from(format!("contact of {number}").into_bytes())
}

/// Operators 1 to `count`, each with its number times 10 ETH.
pub async fn registered(anvil: &Anvil, deployment: &Deployment, count: u8) {
    for number in 1..=count {
        let operator = account(number);
        let address = operator.address();
        anvil.fund(address).await;
        let sender = anvil.sender(operator);
        let amount = U256::from(10 * u64::from(number)) * ether();
        sender
            .send(deployment.deposit(address, amount))
            .await
            .unwrap();
        let register = deployment.register(
            address,
            &member(number),
            &attester(number),
            contact(number).into(),
        );
        sender.send(register.unwrap()).await.unwrap();
    }
}

/// A header of version 4, by the offsets of docs/wire-format.md.
#[derive(Clone, Copy)]
pub struct Header(pub [u8; 292]);

impl Header {
    pub fn genesis(committee: [u8; 32]) -> Self {
        let mut bytes = [0; 292];
        bytes[1] = 4;
        bytes[2..10].copy_from_slice(&CHAIN.to_be_bytes());
        bytes[74..106].copy_from_slice(&committee);
        Self(bytes)
    }

    pub fn at(height: u64) -> Self {
        let mut header = Self::genesis([9; 32]);
        header.0[18..26].copy_from_slice(&height.to_be_bytes());
        header.0[26..34].copy_from_slice(&height.to_be_bytes());
        header
    }

    pub fn id(&self) -> outrider_types::BlockId {
        outrider_types::BlockId(outrider_types::crypto::sha256(&[&self.0]))
    }
}

/// Attestations of some of the members 1 to 4, in their places.
pub fn attested(deployment: &Deployment, header: &Header, members: &[u8]) -> Signers {
    let signatures = members.iter().map(|number| {
        let anchor = deployment.finality_anchor.0.0;
        let digest = attestation::digest(deployment.l1_chain, &anchor, &header.id());
        let signature = attester_key(*number).sign(&digest).unwrap();
        (u16::from(*number) - 1, signature.0)
    });
    Signers::new(&signatures.collect::<Vec<_>>()).unwrap()
}

/// Operators 1 to 4 are the committee of epoch 0, and settlement began.
pub async fn begun(anvil: &Anvil, contracts: &Contracts) -> Committee {
    let deployment = contracts.deployment;
    registered(anvil, &deployment, 4).await;
    let deployer = anvil.sender(account(201));
    deployer.send(deployment.snapshot(Epoch(0))).await.unwrap();
    let members = (1..=4).map(|number: u8| Member {
        public_key: member(number).public_key(),
        stake: Stake(10 * u64::from(number)),
    });
    let committee = Committee::new(ChainId(CHAIN), Epoch(0), members.collect(), None)
        .unwrap()
        .with_epoch_blocks(EPOCH_BLOCKS);
    let genesis = Header::genesis(committee.id().0);
    deployer.send(deployment.begin(&genesis.0)).await.unwrap();
    committee
}
