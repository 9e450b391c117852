//! What a replica asks for. Given out only after the writes of its step are durable.

use outrider_types::{
    Block, BlockId, BlockRecord, ConsensusMessage, FinalityCertificate, Height, MemberIndex,
    Origin, Timestamp, Verified, View,
};

/// Why a proposal is refused that may be blamed on the clock of the member that says so, and not on the leader (R4).
pub const AHEAD_OF_CLOCK: &str = "its timestamp lies too far ahead of the clock here";

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send to all other members.
    Broadcast {
        /// What.
        message: ConsensusMessage,
    },
    /// Send to one member.
    Send {
        /// To whom.
        to: MemberIndex,
        /// What.
        message: ConsensusMessage,
    },
    /// Get hold of a block's payload, check it against its ancestors', store it, and answer with
    /// [`Input::PayloadChecked`](crate::Input::PayloadChecked). All its ancestors have been asked for before.
    CheckPayload {
        /// The block.
        block: Block,
    },
    /// Assemble a payload for one's own proposal and answer with [`Input::Assembled`](crate::Input::Assembled).
    Assemble {
        /// For which view.
        view: View,
        /// On which parent.
        parent: BlockId,
        /// At which height.
        height: Height,
        /// The proposal's timestamp must be later than this.
        after: Timestamp,
        /// The parent's L1 origin: the block's own must follow it (F17).
        origin: Origin,
        /// It is the last block of the epoch: it names the next committee (R13).
        last: bool,
    },
    /// Get a block from one of these members and answer with [`Input::Block`](crate::Input::Block).
    Fetch {
        /// Which.
        block: BlockId,
        /// Who should have it.
        from: Vec<MemberIndex>,
    },
    /// This member is far behind: get final blocks in order, and answer with
    /// [`Input::CaughtUp`](crate::Input::CaughtUp) for each range.
    CatchUp {
        /// A height that exists.
        to: Height,
    },
    /// Blocks became final, parents before children.
    Commit {
        /// The blocks with their justifications; none of them was named before.
        blocks: Vec<BlockRecord>,
        /// Fillers from the last of them up to the block of the certificate; none but at the end of an epoch, which this
        /// is then: nothing more comes from this replica (R13).
        fillers: Vec<Block>,
        /// Proof for the last of them, and so for all.
        certificate: Verified<FinalityCertificate>,
    },
    /// A new view began.
    Entered {
        /// Which.
        view: View,
        /// Its leader.
        leader: MemberIndex,
        /// Whether the view before it timed out.
        by_timeout: bool,
    },
    /// A leader's proposal is wrong in its signed part, or one of the two clocks ([`AHEAD_OF_CLOCK`]).
    BadProposal {
        /// Whose.
        leader: MemberIndex,
        /// In which view.
        view: View,
        /// What is wrong.
        reason: &'static str,
    },
}
