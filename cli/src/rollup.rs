//! `outrider rollup`: short-lived rollups, from one command to a file that proves what everyone owns.

use crate::conduct::{address, report};
use crate::failure::Failure;
use crate::numbers::duration;
use crate::output::{say, tell};
use crate::password;
use crate::verify::{follow, read_limited};
use clap::{Args, Subcommand, ValueEnum};
use outrider_client::{Client, Trust};
use outrider_conductor::{
    CheckedFinal, FINAL_BYTES_MAX, FinalFile, LiveEvent, LiveOptions, OpenOptions, RollupFolder,
    StepList, close, draw, live, register,
};
use outrider_node::committee_file::CommitteeFile;
use outrider_node::keys;
use outrider_types::registry::Vm;
use outrider_types::{Policy, Registration, RollupId, SecretKey};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Short-lived rollups: open one, use it, and keep the proof of what everyone owns in it.
#[derive(Debug, Subcommand)]
pub enum Rollup {
    /// Register a rollup, execute it and serve it to wallets, until its time is over.
    Open(Box<OpenRollup>),
    /// Close a rollup before its time, as its owner.
    Close(CloseRollup),
    /// The rollups that are registered.
    List(At),
    /// What a member says of a rollup.
    Show(ShowRollup),
    /// Check the file of a rollup that ended, offline.
    Verify(VerifyFinal),
    /// Compare two executions of a lane block, and name the first transaction that did something else.
    Compare(Compare),
}

/// Register a rollup, execute it and serve it to wallets, until its time is over, SIGINT or SIGTERM.
///
/// Killed in any other way, the same command with the same --data goes on with the same rollup: its lane is executed again, and what
/// comes of it compared with what came of it before.
///
/// Then `final.json` is written into the folder: where the lane ended, the state, and what everyone owns in it, with proofs.
/// Nothing is settled on another chain.
///
/// Exit codes: 0 the file is written; 1 it failed, standard error says why; 2 wrong arguments.
#[derive(Debug, Args)]
pub struct OpenRollup {
    /// RPC of members, as http://127.0.0.1:9601; when one fails, the next is asked.
    #[arg(long, required = true, value_delimiter = ',')]
    member: Vec<String>,
    /// The committee file, from somebody you trust: then nothing that a member says of the rollup or of its lane is believed without proof.
    #[arg(long)]
    committee: Option<PathBuf>,
    /// What executes it.
    #[arg(long, value_enum)]
    vm: Machine,
    /// How long it lives, as 90s, 10m or 24h.
    #[arg(long, value_parser = duration)]
    ttl: Duration,
    /// How it is ordered: fcfs, priority-ethereum, priority-prefix or shuffled.
    #[arg(long, default_value = "fcfs")]
    order: Policy,
    /// Key file of its owner, who may close it; without it one is made in the folder.
    #[arg(long)]
    owner_key: Option<PathBuf>,
    /// Only register it: others execute it, with `outrider conduct`.
    #[arg(long)]
    no_execution: bool,
    /// Folder for everything that is kept; by default rollup-ID. If a rollup was opened in it before, that one is gone on with.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Where wallets are served.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The program anvil, for `--vm evm`.
    #[arg(long, default_value = "anvil")]
    anvil: PathBuf,
    /// Account that has 10,000 ether from the start, in hex; may be given many times.
    #[arg(long, value_parser = address, required_if_eq("vm", "evm"))]
    fund: Vec<[u8; 20]>,
    /// Time in one execution block; a whole number of seconds for an EVM.
    #[arg(long, default_value = "1s", value_parser = duration)]
    block_time: Duration,
    /// A member's key file: what is executed is signed with it and told to members.
    #[arg(long)]
    certify: Option<PathBuf>,
    /// Print JSON, with every transaction that was skipped.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Machine {
    /// Ethereum's, in anvil.
    Evm,
    /// The key-value machine.
    Kv,
}

/// Close a rollup before its time, as its owner.
#[derive(Debug, Args)]
pub struct CloseRollup {
    #[command(flatten)]
    at: At,
    /// The rollup's id.
    rollup: u64,
    /// Key file of its owner.
    #[arg(long)]
    owner_key: PathBuf,
}

/// A member.
#[derive(Debug, Args)]
pub struct At {
    /// A member's RPC, as http://127.0.0.1:9601.
    #[arg(long)]
    member: String,
}

/// What a member says of a rollup.
#[derive(Debug, Args)]
pub struct ShowRollup {
    #[command(flatten)]
    at: At,
    /// The rollup's id.
    rollup: u64,
}

/// Check the file of a rollup that ended, offline.
///
/// Exit codes: 0 it holds, and what it proves is printed; 1 it does not, or a file cannot be read: standard error says why; 2 wrong arguments.
#[derive(Debug, Args)]
pub struct VerifyFinal {
    /// The file.
    file: PathBuf,
    /// The committee file, from somebody you trust: of the epoch of the last lane block, or of an earlier one.
    #[arg(long)]
    committee: PathBuf,
    /// The hand-overs from the committee's epoch to that one, as `outrider epochs` fetches them.
    #[arg(long)]
    epochs: Option<PathBuf>,
}

/// Compare two executions of a lane block, and name the first transaction that did something else.
///
/// Exit codes: 0 they agree; 1 they do not, or one cannot be read: standard error says where; 2 wrong arguments.
#[derive(Debug, Args)]
pub struct Compare {
    /// Data folder of a conductor, or the address that `outrider rollup open` serves.
    #[arg(long)]
    a: String,
    /// The other one.
    #[arg(long)]
    b: String,
    /// The lane block.
    #[arg(long)]
    lane: u64,
}

impl Compare {
    async fn run(&self) -> Result<(), Failure> {
        let a = StepList::fetch(&self.a, self.lane).await?;
        let b = StepList::fetch(&self.b, self.lane).await?;
        match a.first_difference(&b) {
            None => {
                say!(
                    "the same: {} transactions, state root {}",
                    a.steps.len(),
                    a.state_root
                );
                Ok(())
            }
            Some(difference) => Err(Failure::Difference {
                lane: self.lane,
                difference: Box::new(difference),
            }),
        }
    }
}

impl Rollup {
    /// Do it.
    pub async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Open(open) => open.run().await,
            Self::Close(close) => close.run().await,
            Self::List(At { member }) => {
                for registration in Client::new(&member)?.registrations().await? {
                    say!("{}", describe(&registration));
                }
                Ok(())
            }
            Self::Show(show) => {
                let client = Client::new(&show.at.member)?;
                let state = client.rollup_state(RollupId(show.rollup)).await?;
                match &state.registration {
                    Some(registration) => say!("{}", describe(registration)),
                    None => say!("{} is not registered", show.rollup),
                }
                say!(
                    "{}; {} lane blocks, {} transactions, the last lane block is {}",
                    if state.open { "open" } else { "closed" },
                    state.tip.height,
                    state.tip.transactions,
                    state.tip.hash
                );
                Ok(())
            }
            Self::Verify(verify) => verify.run(),
            Self::Compare(compare) => compare.run().await,
        }
    }
}

fn describe(registration: &Registration) -> String {
    let Registration {
        rollup,
        vm,
        policy,
        owner,
        opened,
        closes,
    } = registration;
    let closes = match closes.0 {
        u64::MAX => "never closes".to_owned(),
        at => format!("closes at {} s since 1970", at / 1_000_000),
    };
    format!("{rollup} {vm} {policy} opened at height {opened}, {closes}, owner {owner}")
}

impl OpenRollup {
    async fn run(self) -> Result<(), Failure> {
        let certify = self.certify.as_deref().map(password::load).transpose()?;
        let committee = self.committee.as_deref().map(CommitteeFile::load);
        let mut trust = committee.transpose()?.map(|it| Trust::new(it.committee));
        if trust.is_none() {
            tell!(
                "outrider: what is final and registered is the word of the member; --committee FILE checks it"
            );
        }
        let options = OpenOptions {
            vm: match self.vm {
                Machine::Evm => Vm::Evm,
                Machine::Kv => Vm::Kv,
            },
            policy: self.order,
            ttl_s: self.ttl.as_secs() + u64::from(self.ttl.subsec_nanos() > 0),
            block_time_us: u64::try_from(self.block_time.as_micros()).unwrap_or(u64::MAX),
            fund: self.fund.clone(),
        };
        let mut folder = RollupFolder::open(self.data.as_deref(), &options, draw()?)?;
        let data = folder.path().to_path_buf();
        if folder.is_begun() {
            say!("resumed {}", data.display());
        }
        let owner = self.owner(&data)?;
        let registered = register(&self.member, &mut folder, &owner, trust.as_mut());
        let registration = registered.await?;
        say!("rollup {}", describe(&registration));
        if self.no_execution {
            return Ok(());
        }
        let options = LiveOptions {
            registration,
            members: self.member,
            trust,
            data: data.clone(),
            listen: self.listen,
            anvil: self.anvil,
            fund: self.fund,
            block_time: options.block_time(),
            certify,
        };
        let json = self.json;
        let told = |event: LiveEvent<'_>| match event {
            LiveEvent::Serving { url, execution } => {
                say!("rpc {url}");
                say!("execution {execution}");
            }
            LiveEvent::Conduct(event) => report(event, json),
            LiveEvent::Closed { lane } => say!(
                "closed after {} lane blocks, {} transactions",
                lane.height,
                lane.transactions
            ),
        };
        let stop = async {
            if let Err(error) = crate::signal::ended().await {
                tell!("outrider: {error}");
            }
        };
        let file = live(&options, stop, told).await?;
        let path = data.join("final.json");
        if !file.closed {
            tell!(
                "outrider: stopped before the rollup was closed; more may be ordered for it, which is not in {}",
                path.display()
            );
        }
        say!("wrote {}", path.display());
        Ok(())
    }

    /// The key of its owner: that of the file, or the one in the folder, made if there is none.
    fn owner(&self, data: &Path) -> Result<SecretKey, Failure> {
        if let Some(path) = &self.owner_key {
            return Ok(keys::load(path)?);
        }
        let path = data.join("owner.key");
        say!("owner key {}", path.display());
        if path.exists() {
            return Ok(keys::load(&path)?);
        }
        let key = keys::generate()?;
        keys::write(&path, &key)?;
        Ok(key)
    }
}

impl CloseRollup {
    async fn run(&self) -> Result<(), Failure> {
        let client = Client::new(&self.at.member)?;
        let key = password::load(&self.owner_key)?;
        let state = close(&client, RollupId(self.rollup), &key).await?;
        say!(
            "closed after {} lane blocks, {} transactions",
            state.tip.height,
            state.tip.transactions
        );
        Ok(())
    }
}

impl VerifyFinal {
    fn run(&self) -> Result<(), Failure> {
        let mut trust = Trust::new(CommitteeFile::load(&self.committee)?.committee);
        let bytes = read_limited(&self.file, FINAL_BYTES_MAX as u64)?;
        let wrong = |error| Failure::Final {
            path: self.file.clone(),
            error: Box::new(error),
        };
        let file = FinalFile::from_json(&bytes).map_err(wrong)?;
        if let (Some(path), Some(last)) = (&self.epochs, &file.last) {
            follow(path, &mut trust, last.header.anchor().epoch)?;
        }
        let CheckedFinal {
            rollup,
            lane,
            state_root,
            certified,
            claims,
        } = file.verify(&trust).map_err(wrong)?;
        say!(
            "valid: lane block {} of rollup {rollup} is soft-final\nlane hash    {}\ntransactions {}\nstate root   {state_root}\nclaims       {claims} in that state\nexecution    {}\nnot proven   that the rollup is closed",
            lane.height,
            lane.hash,
            lane.transactions,
            if certified {
                "a quorum says that the state follows from the lane"
            } else {
                "nobody says that the state follows from the lane: execute it, or trust who did"
            },
        );
        Ok(())
    }
}
