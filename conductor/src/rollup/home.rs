//! The execution node of a short-lived rollup: an anvil that we start, or a key-value machine in this process.

use super::{Claims, FinalBlock, LiveOptions, RollupError};
use crate::evm_node::EvmNode;
use crate::kv::KvMachine;
use crate::kv_server::{lock, serve_machine};
use crate::options::DriverKind;
use crate::rpc::Rpc;
use alloy_primitives::{Address, U256};
use outrider_types::RollupId;
use outrider_types::registry::Vm;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

/// Wei of a funded account: 10,000 ether.
const FUNDS: u128 = 10_000_000_000_000_000_000_000;

/// Processes of the system that are looked at, at most.
const PROCESSES_MAX: usize = 65_536;

/// Where a rollup's transactions are executed. Dropped, it ends.
#[derive(Debug)]
pub struct Home {
    url: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Anvil {
        child: Box<Child>,
        log: PathBuf,
        node: Box<EvmNode>,
    },
    Kv {
        machine: Arc<Mutex<KvMachine>>,
        server: JoinHandle<std::io::Result<()>>,
    },
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Kind::Kv { server, .. } = &self.kind {
            server.abort();
        }
    }
}

fn file(act: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> RollupError {
    let path = path.to_path_buf();
    move |error| RollupError::File { act, path, error }
}

impl Home {
    /// Start one.
    pub async fn start(options: &LiveOptions) -> Result<Self, RollupError> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let failed = |error| RollupError::Listen { address, error };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let url = format!("http://127.0.0.1:{port}");
        if options.registration.vm != Vm::Evm {
            let machine = Arc::new(Mutex::new(KvMachine::default()));
            let server = tokio::spawn(serve_machine(listener, machine.clone()));
            let kind = Kind::Kv { machine, server };
            return Ok(Self { url, kind });
        }
        // Its port is ours until here; should somebody else take it now, the chain id tells.
        drop(listener);
        let rollup = options.registration.rollup;
        let genesis = options.data.join("genesis.json");
        std::fs::write(&genesis, genesis_of(rollup, &options.fund))
            .map_err(file("write", &genesis))?;
        let genesis = genesis.canonicalize().map_err(file("find", &genesis))?;
        end_leftovers(&genesis);
        let log = options.data.join("anvil.log");
        let output = File::create(&log).map_err(file("make", &log))?;
        let errors = output.try_clone().map_err(file("make", &log))?;
        let child = Command::new(&options.anvil)
            .args([
                "--port",
                &port.to_string(),
                "--no-mining",
                "--order",
                "fifo",
            ])
            .args([
                "--disable-pool-balance-checks",
                "--disable-default-create2-deployer",
            ])
            .args(["--accounts", "0", "--hardfork", "cancun", "--init"])
            .arg(&genesis)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            // A signal of the terminal is for us: the state is read when everything is over.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| RollupError::Anvil {
                path: options.anvil.clone(),
                error,
            })?;
        let node = Box::new(EvmNode::new(Rpc::new(&url, None), rollup, Address::ZERO));
        let child = Box::new(child);
        let kind = Kind::Anvil { child, log, node };
        Ok(Self { url, kind })
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How it is driven.
    pub const fn driver(&self) -> DriverKind {
        match self.kind {
            Kind::Anvil { .. } => DriverKind::Anvil,
            Kind::Kv { .. } => DriverKind::Http,
        }
    }

    /// Returns when it ended by itself.
    pub async fn ended(&mut self) -> RollupError {
        match &mut self.kind {
            Kind::Anvil { child, log, .. } => {
                let status = match child.wait().await {
                    Ok(status) => status.to_string(),
                    Err(error) => error.to_string(),
                };
                let log = log.clone();
                RollupError::Dead { status, log }
            }
            Kind::Kv { .. } => std::future::pending().await,
        }
    }

    /// Its last block, and what everyone owns after it.
    pub async fn state(&self) -> Result<(FinalBlock, Claims), RollupError> {
        match &self.kind {
            Kind::Anvil { node, .. } => {
                let head = node.head().await?;
                let claims = Claims::of_anvil(node, &head).await?;
                let block = FinalBlock {
                    number: head.number.to(),
                    hash: head.hash,
                    state_root: head.state_root,
                };
                Ok((block, claims))
            }
            Kind::Kv { machine, .. } => {
                let machine = lock(machine);
                let head = machine.head();
                let block = FinalBlock {
                    number: head.number,
                    hash: head.hash,
                    state_root: machine.state_root(),
                };
                Ok((block, Claims::of_kv(&machine)))
            }
        }
    }
}

/// End what a run that was killed has left behind: an anvil of this very genesis file. The caller holds the folder, so no other command runs
/// one. Where the system does not tell what runs, nothing is ended.
fn end_leftovers(genesis: &Path) {
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return;
    };
    for process in processes.flatten().take(PROCESSES_MAX) {
        let number = process.file_name().to_string_lossy().parse::<i32>();
        let Some(pid) = number.ok().and_then(Pid::from_raw) else {
            continue;
        };
        // One that has just ended has none.
        let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        let mut words = line.split(|byte| *byte == 0);
        let ours = words.any(|word| word == b"--init")
            && words.next() == Some(genesis.as_os_str().as_bytes());
        if ours {
            // It may end by itself now.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// An EVM of Cancun in which these accounts have something.
fn genesis_of(rollup: RollupId, fund: &[[u8; 20]]) -> String {
    let forks = [
        "homesteadBlock",
        "eip150Block",
        "eip155Block",
        "eip158Block",
        "byzantiumBlock",
        "constantinopleBlock",
        "petersburgBlock",
        "istanbulBlock",
        "berlinBlock",
        "londonBlock",
        "mergeForkBlock",
        "terminalTotalDifficulty",
        "shanghaiTime",
        "cancunTime",
    ];
    let mut config: serde_json::Map<_, _> = forks
        .iter()
        .map(|fork| ((*fork).to_owned(), json!(0)))
        .collect();
    config.insert("chainId".to_owned(), json!(rollup));
    config.insert("terminalTotalDifficultyPassed".to_owned(), json!(true));
    let balance = json!({ "balance": U256::from(FUNDS) });
    let alloc: serde_json::Map<_, _> = fund
        .iter()
        .map(|address| (Address::from(*address).to_string(), balance.clone()))
        .collect();
    let zero = format!("0x{}", "0".repeat(64));
    json!({
        "config": config,
        "nonce": "0x0",
        "timestamp": "0x65f00000",
        "extraData": "0x",
        "gasLimit": "0x1c9c380",
        "difficulty": "0x0",
        "mixHash": zero,
        "coinbase": Address::ZERO,
        "number": "0x0",
        "gasUsed": "0x0",
        "parentHash": zero,
        "baseFeePerGas": "0x3b9aca00",
        "alloc": alloc,
    })
    .to_string()
}
