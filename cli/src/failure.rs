//! Why a verb failed, and with which exit code.

use crate::committee::ChangeError;
#[cfg(feature = "sim")]
use crate::sim::SimFailure;
use outrider_client::{
    CertificateStoreError, ClientError, EvidenceFileError, ForensicsError, HandoverError,
    HandoverFileError, ProofError, TextError,
};
use outrider_conductor::{Difference, FinalError, RollupError, StartError, StepsError};
use outrider_node::committee_file::{CommitteeFileError, MemberFault};
use outrider_node::config::ConfigError;
use outrider_node::keys::KeyFileError;
use outrider_node::member::MemberError;
use outrider_node::snapshot::{SnapshotFileError, SnapshotFolderError};
use outrider_types::{Epoch, Height, LaneHeight, RollupId, Stake};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Everything that a verb can fail with.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A key file.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// A configuration: exit code 2.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A committee file.
    #[error(transparent)]
    Committee(#[from] CommitteeFileError),
    /// A committee file that assumes more faults than its stake can bear.
    #[error("{path}: {error}", path = path.display())]
    UnsafeCommittee {
        /// Which.
        path: PathBuf,
        /// The numbers, and what would be safe.
        error: crate::committee::Unsafe,
    },
    /// A list of members that is no committee.
    #[error(transparent)]
    NoCommittee(#[from] outrider_types::CommitteeError),
    /// A member that does not start, or has to stop.
    #[error(transparent)]
    Member(Box<MemberError>),
    /// A settlement chain that does not start.
    #[error("anvil does not answer after {within:?}; its log is {log}", log = log.display())]
    L1NotReady {
        /// Its log.
        log: PathBuf,
        /// How long it was waited for.
        within: Duration,
    },
    /// A settlement chain that ends.
    #[error("{program} ended by itself ({how}): is it installed? `.ci/run setup` puts it into target/tools, `--anvil` names it. Its log is {log}", program = program.display(), log = log.display())]
    L1Ended {
        /// What was started.
        program: PathBuf,
        /// Exit code or signal.
        how: String,
        /// Its log.
        log: PathBuf,
    },
    /// More members than accounts.
    #[error("anvil has accounts with ETH for {most} members; use fewer")]
    L1Members {
        /// How many there can be.
        most: usize,
    },
    /// A folder without one.
    #[error("the committee in {dir} was made without a settlement chain; use another folder for --l1", dir = dir.display())]
    NoL1 {
        /// The folder.
        dir: PathBuf,
    },
    /// The settlement chain.
    #[error(transparent)]
    L1Endpoint(#[from] outrider_l1::endpoint::EndpointError),
    /// The settlement chain.
    #[error(transparent)]
    L1Agreement(#[from] outrider_l1::endpoints::AgreementError),
    /// A key for the settlement chain.
    #[error(transparent)]
    L1Account(#[from] outrider_l1::account::AccountError),
    /// A new network on the settlement chain.
    #[error(transparent)]
    L1Found(#[from] Box<outrider_l1::genesis::FoundError>),
    /// A transaction on the settlement chain.
    #[error(transparent)]
    L1Send(#[from] Box<outrider_l1::sender::SendError>),
    /// Of several transactions not all were sent.
    #[error("{error}\ndone: {done}\nnot done: {left}\nrun the same again: it goes on where it stopped", done = if .done.is_empty() { "nothing" } else { .done })]
    L1Unfinished {
        /// What they were for.
        done: String,
        /// What the others are for.
        left: String,
        /// Why.
        error: Box<outrider_l1::sender::SendError>,
    },
    /// A certificate that settles nothing.
    #[error("nothing can be settled by this certificate: {0}")]
    L1Native(#[from] Box<outrider_l1::native::NativeError>),
    /// A committee on L1 that is none of ours.
    #[error(transparent)]
    L1Record(#[from] Box<outrider_l1::operator::RecordError>),
    /// Settlement that did not begin.
    #[error("settlement has not begun on L1: `outrider l1 begin` comes first")]
    L1NotBegun,
    /// A block that L1 does not want any more, or not yet.
    #[error(
        "L1 has settled height {settled} of epoch {wanted}, and the block to settle is at height {height} of epoch {epoch}: choose a higher one of that epoch"
    )]
    L1NotAbove {
        /// The block's height.
        height: Height,
        /// Its epoch.
        epoch: Epoch,
        /// The height on L1.
        settled: Height,
        /// The epoch that settles on L1.
        wanted: Epoch,
    },
    /// An epoch whose last block a member does not know.
    #[error("{url} does not know how epoch {epoch} ended: ask another member")]
    L1EpochEnd {
        /// Which member.
        url: String,
        /// Which epoch settles on L1.
        epoch: Epoch,
    },
    /// A contact on L1 that cannot be read.
    #[error(
        "the contact that {operator} has on L1 cannot be read: pass --contact with the file that `outrider keys contact` prints"
    )]
    L1Contact {
        /// Whose.
        operator: alloy_primitives::Address,
    },
    /// An account that is no operator.
    #[error("{operator} is no operator: `outrider operator register` comes first")]
    L1NoOperator {
        /// Which.
        operator: alloy_primitives::Address,
    },
    /// The contracts.
    #[error(transparent)]
    L1Deploy(#[from] Box<outrider_l1::deploy::DeployError>),
    /// What the contracts hold.
    #[error(transparent)]
    L1State(#[from] Box<outrider_l1::state::StateError>),
    /// A contact that was made with another key.
    #[error("{path} is the contact of {found}, not of {expected}: print it with `outrider keys contact` and the file of that key", path = path.display())]
    ContactOfAnother {
        /// The contact.
        path: PathBuf,
        /// Its key.
        found: outrider_types::PublicKey,
        /// That of the key file, or the one that L1 knows.
        expected: outrider_types::PublicKey,
    },
    /// A new password that was typed in two ways.
    #[error("the two passwords differ; nothing was written")]
    PasswordsDiffer,
    /// The file that says where the contracts are.
    #[error(transparent)]
    L1Network(#[from] outrider_l1::deployment::NetworkFileError),
    /// A call.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A proof that proves nothing.
    #[error("{path} proves nothing: {error}", path = path.display())]
    Proof {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: Box<ProofError>,
    },
    /// A file that is not the canonical text of a proof.
    #[error("{path} proves nothing: {error}", path = path.display())]
    ProofText {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: Box<TextError>,
    },
    /// A member without the proof of a range.
    #[error(
        "{url} has no proof of lane blocks {from} to {to} of rollup {rollup}: they are at most 4,097, from 1 on, and neither in the future nor forgotten there"
    )]
    NoRange {
        /// Which member.
        url: String,
        /// Whose lane.
        rollup: RollupId,
        /// The first one asked for.
        from: LaneHeight,
        /// The last one.
        to: LaneHeight,
    },
    /// A member without the proof of a skip.
    #[error(
        "{url} has no proof that leads from the block at height {from} to that later one: the earlier one is forgotten there, or one of the two is not final yet"
    )]
    NoSkip {
        /// Which member.
        url: String,
        /// The earlier block.
        from: Height,
    },
    /// A file that is no chain of hand-overs.
    #[error("{path} holds no hand-overs between epochs: {error}", path = path.display())]
    HandoverFile {
        /// Which file.
        path: PathBuf,
        /// Why not.
        error: Box<HandoverFileError>,
    },
    /// A hand-over that proves nothing.
    #[error("{path} does not lead from the committee given to later ones: {error}", path = path.display())]
    Handover {
        /// Which file.
        path: PathBuf,
        /// Why not.
        error: Box<HandoverError>,
    },
    /// More hand-overs than a file holds.
    #[error(
        "the hand-overs have {bytes} bytes, a file of them at most {limit}: begin later, with --from the epoch of a committee file that you trust"
    )]
    Handovers {
        /// Of all of them.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A change of the committee.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// A file that is no candidate's.
    #[error("{path} is not the file of a candidate: {error}; `outrider keys contact` prints one", path = path.display())]
    CandidateFile {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        error: serde_json::Error,
    },
    /// A candidate that no committee can have.
    #[error("the candidate is wrong: {0}")]
    Candidate(MemberFault),
    /// Nobody of this name.
    #[error("there is no member {name}; the members are {known}")]
    Name {
        /// On the command line.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// Evidence that proves nothing.
    #[error("{path} proves nothing: {error}", path = path.display())]
    Evidence {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: Box<EvidenceFileError>,
    },
    /// A file that holds no certificates.
    #[error("{path} is not a certificate store: {error}", path = path.display())]
    CertificateStore {
        /// Which file.
        path: PathBuf,
        /// Why not.
        error: Box<CertificateStoreError>,
    },
    /// Two proofs that explain no fork.
    #[error(transparent)]
    Forensics(Box<ForensicsError>),
    /// Keys are needed to check anything.
    #[error("which committee? pass --committee FILE, or --certificates FILE of a member")]
    WhichCommittee,
    /// A short-lived rollup.
    #[error(transparent)]
    Rollup(Box<RollupError>),
    /// A list of steps.
    #[error(transparent)]
    Steps(#[from] StepsError),
    /// Two executions of the same.
    #[error("the executions of lane block {lane} differ: {difference}")]
    Difference {
        /// The lane block.
        lane: u64,
        /// Where.
        difference: Box<Difference>,
    },
    /// The end of a rollup that proves nothing.
    #[error("{path} proves nothing: {error}", path = path.display())]
    Final {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: Box<FinalError>,
    },
    /// A snapshot.
    #[error(transparent)]
    Snapshot(Box<SnapshotFolderError>),
    /// A member counts otherwise than a snapshot.
    #[error(
        "{url} answers {found} for height {height}, the snapshot says {expected}: if the member is not too far ahead or behind (it remembers the last 64,000 blocks), one of the two is wrong; ask other members, and take the snapshot again from another one"
    )]
    Digest {
        /// Which member.
        url: String,
        /// Where they differ.
        height: Height,
        /// The snapshot's.
        expected: String,
        /// The member's.
        found: String,
    },
    /// Some of the guilty are not known.
    #[error(
        "the proofs conflict, but only stake {stake} is proven guilty, and a fork takes {needed}: add --certificates of more honest members, of this epoch"
    )]
    TooFewGuilty {
        /// Proven guilty.
        stake: Stake,
        /// f+1.
        needed: Stake,
    },
    /// A member that never stops sending pages.
    #[error("{url} sends pages without end; ask another member")]
    Pages {
        /// Which.
        url: String,
    },
    /// A file.
    #[error("cannot {act} {path}: {error}", path = path.display())]
    File {
        /// What was tried.
        act: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// A file that is too large for what it should be.
    #[error("{path} has more than {limit} bytes; it is not what it should be", path = path.display())]
    TooLarge {
        /// Which.
        path: PathBuf,
        /// The limit.
        limit: u64,
    },
    /// A file or folder that would be overwritten.
    #[error("{path} exists already; nothing is overwritten: choose another folder, or move it away", path = .0.display())]
    Exists(PathBuf),
    /// A text that is not hex.
    #[error("the transaction is not hex: {0}")]
    Hex(hex::FromHexError),
    /// The system.
    #[error("the system gives no randomness: {0}")]
    Random(getrandom::Error),
    /// No ports.
    #[error(
        "found no free ports on 127.0.0.1 after {tries} tries; stop what uses them, or name ports with `outrider init --base-port`"
    )]
    Ports {
        /// How many tries.
        tries: u32,
    },
    /// Not enough port numbers.
    #[error(
        "{members} members need {needed} ports from {base} on, and there is no port above 65535; choose a lower --base-port"
    )]
    PortRange {
        /// How many members.
        members: usize,
        /// Ports needed.
        needed: usize,
        /// The first.
        base: u16,
    },
    /// The runtime.
    #[error("cannot start the runtime: {0}")]
    Runtime(std::io::Error),
    /// The signal.
    #[error("cannot listen for signals: {0}")]
    Signal(std::io::Error),
    /// The terminal.
    #[error("cannot set up the log: {0}")]
    Log(tracing::subscriber::SetGlobalDefaultError),
    /// Another number of members than the folder has.
    #[error("{dir} holds {found} members, not {asked}: leave --members out, or choose another folder", dir = dir.display())]
    Members {
        /// The folder.
        dir: PathBuf,
        /// In it.
        found: usize,
        /// On the command line.
        asked: usize,
    },
    /// Other epochs than the folder has.
    #[error("the epochs of {dir} have {found} blocks, not {asked}: leave --epoch-blocks out, or choose another folder", dir = dir.display())]
    EpochBlocks {
        /// The folder.
        dir: PathBuf,
        /// In it.
        found: u64,
        /// On the command line.
        asked: u64,
    },
    /// A member that ended by itself.
    #[error("{name} ended by itself ({how}); its last log lines ({log}):\n{lines}", log = log.display())]
    Died {
        /// Which.
        name: String,
        /// Exit code or signal.
        how: String,
        /// Its log.
        log: PathBuf,
        /// The end of it.
        lines: String,
    },
    /// Members that never answer.
    #[error("not every member answered within {within:?}: {missing}; see their logs in {dir}/member-*/outrider.log", dir = dir.display())]
    NotReady {
        /// How long was waited.
        within: Duration,
        /// Who is missing.
        missing: String,
        /// Where the logs are.
        dir: PathBuf,
    },
    /// Some members are dead at the end.
    #[error("{dead} of {members} members ended by themselves; see above")]
    Dead {
        /// How many.
        dead: usize,
        /// Of how many.
        members: usize,
    },
    /// A signature of the demo.
    #[error("cannot sign a demo transaction: {0}")]
    Sign(k256::ecdsa::Error),
    /// A proof of the demo says something else than expected.
    #[error("the demo's proof of {id} is of another rollup or height than the member said")]
    Demo {
        /// Which.
        id: outrider_types::TransactionId,
    },
    /// Too many transactions to measure.
    #[error(
        "{transactions} transactions are too many for one run, at most {limit}; lower --rate or --duration"
    )]
    LoadSize {
        /// How many.
        transactions: u64,
        /// The limit.
        limit: u64,
    },
    /// No member could be reached.
    #[error("none of the members can be reached: {0}")]
    NoMember(Box<ClientError>),
    /// `outrider conduct`.
    #[error(transparent)]
    Conduct(Box<StartError>),
    /// A port that cannot be used.
    #[error("cannot listen on {listen}: {error}")]
    Listen {
        /// Where.
        listen: SocketAddr,
        /// Why not.
        error: std::io::Error,
    },
    /// `outrider sim`.
    #[cfg(feature = "sim")]
    #[error(transparent)]
    Sim(Box<SimFailure>),
    /// Accepted transactions that were never soft-final.
    #[error("{lost} accepted transactions are not soft-final {drain:?} after the end of the load")]
    Lost {
        /// How many.
        lost: u64,
        /// How long was waited.
        drain: Duration,
    },
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        Self::Conduct(Box::new(error))
    }
}

impl From<RollupError> for Failure {
    fn from(error: RollupError) -> Self {
        Self::Rollup(Box::new(error))
    }
}

impl From<SnapshotFolderError> for Failure {
    fn from(error: SnapshotFolderError) -> Self {
        Self::Snapshot(Box::new(error))
    }
}

impl From<SnapshotFileError> for Failure {
    fn from(error: SnapshotFileError) -> Self {
        SnapshotFolderError::from(error).into()
    }
}

impl From<MemberError> for Failure {
    fn from(error: MemberError) -> Self {
        Self::Member(Box::new(error))
    }
}

impl Failure {
    /// 2 if what was asked for cannot be, 1 if it failed.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            #[cfg(feature = "sim")]
            Self::Sim(failure) => failure.exit_code(),
            Self::Conduct(error) if error.is_usage() => 2,
            Self::L1Deploy(error) if error.is_usage() => 2,
            Self::Config(_)
            | Self::Members { .. }
            | Self::EpochBlocks { .. }
            | Self::Name { .. }
            | Self::PortRange { .. }
            | Self::WhichCommittee
            | Self::LoadSize { .. } => 2,
            _ => 1,
        })
    }

    /// For `map_err` of file operations.
    pub fn file(act: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |error| Self::File { act, path, error }
    }
}
