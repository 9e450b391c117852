//! `outrider devnet`: a whole committee on this machine, each member a process of its own.

mod children;
mod demo;
mod l1;
mod live;
mod ports;

use crate::failure::Failure;
use crate::folder::{COMMITTEE_FILE, Genesis, L1_FILE, MEMBERS_MAX, Network};
use crate::init::CHAIN_DEFAULT;
use crate::numbers::duration;
use crate::output::say;
use children::Children;
use clap::Args;
use l1::L1;
use outrider_node::committee_file::CommitteeFile;
use outrider_types::ChainId;
use std::path::PathBuf;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// How many members, if nothing is said.
const MEMBERS_DEFAULT: u16 = 4;
/// Length of an epoch in a devnet that settles, if nothing is said: about two minutes of idle blocks.
const EPOCH_BLOCKS_L1: u64 = 600;
/// How long members may take until each of them answers.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// Run a committee on this machine until ctrl-c. A folder is made on the first run; the next run goes on with its chain.
#[derive(Debug, Args)]
pub struct Devnet {
    /// How many members; 4 if the folder is new.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=i64::from(MEMBERS_MAX)))]
    members: Option<u16>,
    /// Length of an epoch in blocks, if the folder is new; 0: the first epoch never ends.
    #[arg(long)]
    epoch_blocks: Option<u64>,
    /// The folder; a new one among the temporary files if left out.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Stop after this time, as 30s or 5m.
    #[arg(long, value_parser = duration)]
    duration: Option<Duration>,
    /// Settle on a chain of its own, which is anvil: contracts are deployed, and members registered as operators with stake. Epochs have 600 blocks
    /// if nothing else is said.
    #[arg(long)]
    l1: bool,
    /// The program anvil, for `--l1`.
    #[arg(long, default_value = "anvil", env = "OUTRIDER_ANVIL")]
    anvil: PathBuf,
    /// Order signed Ethereum transactions of two rollups, and fetch and verify the proof of each.
    #[arg(long)]
    demo: bool,
}

impl Devnet {
    /// Do it.
    pub async fn run(&self) -> Result<(), Failure> {
        let dir = self.dir.clone().unwrap_or_else(|| {
            std::env::temp_dir().join(format!("outrider-devnet-{}", std::process::id()))
        });
        let network = self.network(&dir)?;
        let l1 = self.settlement(&network).await?;
        let mut interrupted = signal(SignalKind::interrupt()).map_err(Failure::Signal)?;
        let mut terminated = signal(SignalKind::terminate()).map_err(Failure::Signal)?;
        let mut children = Children::start(&network)?;
        let result = tokio::select! {
            biased;
            _ = interrupted.recv() => Ok(()),
            _ = terminated.recv() => Ok(()),
            result = self.attend(&network, &mut children) => result,
        };
        say!("stopping {} members", children.alive());
        children.stop().await;
        if let Some(l1) = l1 {
            l1.stop().await;
        }
        say!("stopped; the chain is kept in {}", network.dir.display());
        result?;
        match children.dead() {
            0 => Ok(()),
            dead => Err(Failure::Dead {
                dead,
                members: network.members.len(),
            }),
        }
    }

    fn network(&self, dir: &std::path::Path) -> Result<Network, Failure> {
        if !Network::exists(dir) {
            let members = usize::from(self.members.unwrap_or(MEMBERS_DEFAULT));
            let genesis = Genesis {
                chain: ChainId(CHAIN_DEFAULT),
                epoch_blocks: self.epoch_blocks.unwrap_or(if self.l1 {
                    EPOCH_BLOCKS_L1
                } else {
                    0
                }),
                ring: Vec::new(),
                l1: self
                    .l1
                    .then(|| Ok::<_, Failure>(l1::url(ports::free(1)?[0].rpc)))
                    .transpose()?,
            };
            Network::create(dir, &genesis, &ports::free(members)?)?;
        }
        if let Some(asked) = self.epoch_blocks {
            let committee = CommitteeFile::load(&dir.join(COMMITTEE_FILE))?.committee;
            let found = committee.epoch_blocks().unwrap_or_default();
            if asked != found {
                return Err(Failure::EpochBlocks {
                    dir: dir.to_path_buf(),
                    found,
                    asked,
                });
            }
        }
        let network = Network::open(dir)?;
        let found = network.members.len();
        match self.members.map(usize::from) {
            Some(asked) if asked != found => Err(Failure::Members {
                dir: dir.to_path_buf(),
                found,
                asked,
            }),
            _ => Ok(network),
        }
    }

    /// The settlement chain of the folder, with the contracts on it.
    async fn settlement(&self, network: &Network) -> Result<Option<L1>, Failure> {
        let url = network.members.first().and_then(|member| member.l1.first());
        let Some(url) = url else {
            return match self.l1 {
                false => Ok(None),
                true => Err(Failure::NoL1 {
                    dir: network.dir.clone(),
                }),
            };
        };
        let l1 = L1::start(&self.anvil, &network.dir, url).await?;
        if !network.dir.join(L1_FILE).exists() {
            l1.found(network).await?;
        }
        Ok(Some(l1))
    }

    /// Everything between start and stop.
    async fn attend(&self, network: &Network, children: &mut Children) -> Result<(), Failure> {
        children.ready(network, READY_WITHIN).await?;
        say!("{}", table(network).trim_end());
        if self.demo {
            demo::run(network).await?;
        }
        live::show(network, children, self.duration).await
    }
}

/// Who runs where.
fn table(network: &Network) -> String {
    let rows: Vec<[String; 4]> =
        std::iter::once(["member", "RPC", "metrics", "data"].map(str::to_owned))
            .chain(network.members.iter().map(|member| {
                [
                    member.name.clone(),
                    member.rpc_url(),
                    member.metrics_url(),
                    member.data.display().to_string(),
                ]
            }))
            .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let (a, b, c) = (width(0), width(1), width(2));
    rows.iter()
        .map(|[name, rpc, metrics, data]| format!("{name:a$}  {rpc:b$}  {metrics:c$}  {data}\n"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::Ports;

    #[test]
    fn folder_keeps_its_epochs() {
        let dir = tempfile::tempdir().unwrap();
        let mut devnet = Devnet {
            members: Some(1),
            epoch_blocks: Some(40),
            dir: None,
            duration: None,
            l1: false,
            anvil: PathBuf::new(),
            demo: false,
        };
        devnet.network(dir.path()).unwrap();
        devnet.network(dir.path()).unwrap();
        devnet.epoch_blocks = None;
        devnet.network(dir.path()).unwrap();
        devnet.epoch_blocks = Some(41);
        assert!(matches!(
            devnet.network(dir.path()),
            Err(Failure::EpochBlocks {
                found: 40,
                asked: 41,
                ..
            })
        ));
    }

    #[test]
    fn table_names_every_member_in_columns() {
        let dir = tempfile::tempdir().unwrap();
        let ports = [
            Ports {
                p2p: 1_000,
                rpc: 1_001,
                metrics: 1_002,
            },
            Ports {
                p2p: 20_000,
                rpc: 20_001,
                metrics: 20_002,
            },
        ];
        let genesis = Genesis {
            chain: ChainId(1),
            epoch_blocks: 0,
            ring: Vec::new(),
            l1: None,
        };
        Network::create(dir.path(), &genesis, &ports).unwrap();
        let text = table(&Network::open(dir.path()).unwrap());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(
            lines[1].starts_with("member-0  http://127.0.0.1:1001   http://127.0.0.1:1002/metrics"),
            "{text}"
        );
        assert_eq!(
            lines[0].find("data"),
            lines[2].find(&dir.path().display().to_string())
        );
    }
}
