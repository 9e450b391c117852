// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Statements} from "./Statements.sol";

/// @title Offences E1 to E5
/// @notice Reads evidence in the form in which members exchange it (`Evidence`, docs/wire-format.md, section 8, without the
/// version byte of a frame) and says whether its two statements are ones that no honest member signs together
/// (docs/protocol.md, section 6; types/src/evidence.rs). Every piece of evidence has exactly one encoding here.
/// @dev Nothing is said about signatures: whoever calls `check` has to verify both with one and the same key. Who the key
/// belongs to is not in the evidence: the signer's index is not signed over, and only has to be the same on both sides. Nor
/// is the order of two statements of one kind: to know a piece of evidence again, take `identity`, never a hash of its bytes.
library Offences {
    /// Two statements that conflict, and the signatures that have to be theirs.
    struct Case {
        /// 1 to 5, for E1 to E5.
        uint8 offence;
        /// The epoch of both.
        uint64 epoch;
        /// The view of the first.
        uint64 view_;
        /// The 40 bytes that `rA || sA` signs.
        bytes preimageA;
        /// The 40 bytes that `rB || sB` signs.
        bytes preimageB;
        bytes32 rA;
        bytes32 sA;
        bytes32 rB;
        bytes32 sB;
    }

    /// What is common to all signed statements.
    struct Statement {
        uint64 epoch;
        uint64 view_;
        // The block, or the block voted for.
        bytes32 block_;
        // Proposals: the kind.
        uint8 kind;
        // Timeouts: the rank of the best certificate, and whether there is a block voted for.
        uint64 highView;
        bool voted;
        uint16 signer;
        bytes32 r;
        bytes32 s;
    }

    /// The first byte is no offence.
    error UnknownOffence(uint8 tag);
    /// Too short, or bytes behind the end.
    error WrongLength(uint256 length);
    /// A proposal is of kind 0 or 1.
    error UnknownKind(uint8 kind);
    /// An option is there (1) or not (0).
    error UnknownFlag(uint8 flag);
    /// The halves name two signers.
    error TwoSigners(uint16 first, uint16 second);
    /// The halves are of two epochs.
    error TwoEpochs(uint64 first, uint64 second);
    /// A statement of view 2^64 - 1 is malformed.
    error LastView();
    /// A timeout is malformed unless its rank is below its view.
    error HighView(uint64 view_, uint64 highView);
    /// An honest member may sign both.
    error Legal(uint8 offence);

    uint8 private constant E1_TWO_PROPOSALS = 1;
    uint8 private constant E2_TWO_VOTES = 2;
    uint8 private constant E3_TWO_COMMIT_VOTES = 3;
    uint8 private constant E4_HIDDEN_VOTE = 4;
    uint8 private constant E5_BROKEN_LOCK = 5;

    /// epoch || view || block
    uint256 private constant VOTE_BYTES = 48;
    /// epoch || view || kind || block
    uint256 private constant PROPOSE_BYTES = 49;
    /// epoch || view || high view || 0
    uint256 private constant TIMEOUT_BYTES = 25;
    /// epoch || view || high view || 1 || block
    uint256 private constant TIMEOUT_VOTED_BYTES = 57;
    /// signer (2) || R (32) || s (32)
    uint256 private constant SIGNATURE_BYTES = 66;

    /// @notice The case that the evidence makes on this chain, if its statements are well formed and conflict; reverts if not.
    /// @param chain Outrider's chain id. It is not in the evidence, but in what is signed.
    function check(uint64 chain, bytes calldata evidence) internal pure returns (Case memory made) {
        if (evidence.length == 0) revert WrongLength(0);
        uint8 offence = uint8(evidence[0]);
        Statement memory a;
        Statement memory b;
        uint256 end;
        if (offence == E1_TWO_PROPOSALS) {
            (a, end) = _readPropose(evidence, 1);
            (b, end) = _readPropose(evidence, end);
            made.preimageA = Statements.propose(chain, a.epoch, a.view_, a.kind, a.block_);
            made.preimageB = Statements.propose(chain, b.epoch, b.view_, b.kind, b.block_);
        } else if (offence == E2_TWO_VOTES) {
            (a, end) = _readVote(evidence, 1);
            (b, end) = _readVote(evidence, end);
            made.preimageA = Statements.vote(chain, a.epoch, a.view_, a.block_);
            made.preimageB = Statements.vote(chain, b.epoch, b.view_, b.block_);
        } else if (offence == E3_TWO_COMMIT_VOTES) {
            (a, end) = _readVote(evidence, 1);
            (b, end) = _readVote(evidence, end);
            made.preimageA = Statements.commitVote(chain, a.epoch, a.view_, a.block_);
            made.preimageB = Statements.commitVote(chain, b.epoch, b.view_, b.block_);
        } else if (offence == E4_HIDDEN_VOTE || offence == E5_BROKEN_LOCK) {
            (a, end) = _readVote(evidence, 1);
            (b, end) = _readTimeout(evidence, end);
            made.preimageA = offence == E4_HIDDEN_VOTE
                ? Statements.vote(chain, a.epoch, a.view_, a.block_)
                : Statements.commitVote(chain, a.epoch, a.view_, a.block_);
            made.preimageB = Statements.timeout(chain, b.epoch, b.view_, b.highView, b.voted, b.block_);
        } else {
            revert UnknownOffence(offence);
        }
        if (end != evidence.length) revert WrongLength(evidence.length);

        if (a.signer != b.signer) revert TwoSigners(a.signer, b.signer);
        if (a.epoch != b.epoch) revert TwoEpochs(a.epoch, b.epoch);
        if (a.view_ == type(uint64).max || b.view_ == type(uint64).max) revert LastView();
        if (!_conflict(offence, a, b)) revert Legal(offence);

        made.offence = offence;
        made.epoch = a.epoch;
        made.view_ = a.view_;
        (made.rA, made.sA, made.rB, made.sB) = (a.r, a.s, b.r, b.s);
    }

    /// @notice The same for any two signatures of the same two statements, in any order, and different for all others.
    function identity(Case memory made) internal pure returns (bytes32) {
        bytes32 a = keccak256(made.preimageA);
        bytes32 b = keccak256(made.preimageB);
        return a < b ? keccak256(abi.encode(a, b)) : keccak256(abi.encode(b, a));
    }

    function _conflict(uint8 offence, Statement memory a, Statement memory b) private pure returns (bool) {
        if (offence == E1_TWO_PROPOSALS) return a.view_ == b.view_ && a.kind == b.kind && a.block_ != b.block_;
        if (offence == E4_HIDDEN_VOTE) return a.view_ == b.view_ && !(b.voted && b.block_ == a.block_);
        if (offence == E5_BROKEN_LOCK) return b.view_ >= a.view_ && b.highView < a.view_;
        return a.view_ == b.view_ && a.block_ != b.block_;
    }

    /// A signed vote or commit vote at `start`, and the place behind it.
    function _readVote(bytes calldata evidence, uint256 start)
        private
        pure
        returns (Statement memory read, uint256 end)
    {
        end = _readEnds(read, evidence, start, VOTE_BYTES);
        read.block_ = bytes32(evidence[start + 16:start + 48]);
    }

    function _readPropose(bytes calldata evidence, uint256 start)
        private
        pure
        returns (Statement memory read, uint256 end)
    {
        end = _readEnds(read, evidence, start, PROPOSE_BYTES);
        read.kind = uint8(evidence[start + 16]);
        if (read.kind > 1) revert UnknownKind(read.kind);
        read.block_ = bytes32(evidence[start + 17:start + 49]);
    }

    function _readTimeout(bytes calldata evidence, uint256 start)
        private
        pure
        returns (Statement memory read, uint256 end)
    {
        if (evidence.length < start + TIMEOUT_BYTES) {
            revert WrongLength(evidence.length);
        }
        uint8 flag = uint8(evidence[start + 24]);
        if (flag > 1) revert UnknownFlag(flag);
        read.voted = flag == 1;
        end = _readEnds(read, evidence, start, read.voted ? TIMEOUT_VOTED_BYTES : TIMEOUT_BYTES);
        read.highView = uint64(bytes8(evidence[start + 16:start + 24]));
        if (read.voted) read.block_ = bytes32(evidence[start + 25:start + 57]);
        if (read.highView >= read.view_) revert HighView(read.view_, read.highView);
    }

    /// Epoch and view, with which every statement begins, and signer and signature, which come after its `length` bytes.
    function _readEnds(Statement memory read, bytes calldata evidence, uint256 start, uint256 length)
        private
        pure
        returns (uint256 end)
    {
        end = start + length + SIGNATURE_BYTES;
        if (evidence.length < end) revert WrongLength(evidence.length);
        read.epoch = uint64(bytes8(evidence[start:start + 8]));
        read.view_ = uint64(bytes8(evidence[start + 8:start + 16]));
        read.signer = uint16(bytes2(evidence[start + length:start + length + 2]));
        read.r = bytes32(evidence[start + length + 2:start + length + 34]);
        read.s = bytes32(evidence[start + length + 34:end]);
    }
}
