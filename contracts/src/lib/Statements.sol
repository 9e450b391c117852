// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title What members sign
/// @notice The 40 bytes under each signature: a tag of 8 bytes and the SHA-256 of fixed-width big-endian fields
/// (docs/wire-format.md, section 4; types/src/statement.rs). Tag and fields are different for every kind, chain, epoch and view,
/// so that nothing said in one place counts in another.
/// @dev `chain` is Outrider's chain id, not that of L1.
library Statements {
    /// "I vote for this block in this view" (R4).
    function vote(uint64 chain, uint64 epoch, uint64 view_, bytes32 block_) internal pure returns (bytes memory) {
        return _tagged("OUTRVOTE", abi.encodePacked(chain, epoch, view_, block_));
    }

    /// "I hold a quorum certificate of this block and view" (R5).
    function commitVote(uint64 chain, uint64 epoch, uint64 view_, bytes32 block_) internal pure returns (bytes memory) {
        return _tagged("OUTRCMIT", abi.encodePacked(chain, epoch, view_, block_));
    }

    /// "I propose this block in this view" (R2).
    /// @param kind 0 with the parent's certificate, 1 without.
    function propose(uint64 chain, uint64 epoch, uint64 view_, uint8 kind, bytes32 block_)
        internal
        pure
        returns (bytes memory)
    {
        return _tagged("OUTRPROP", abi.encodePacked(chain, epoch, view_, kind, block_));
    }

    /// "I gave up on this view; my best certificate has this rank; I voted for this in it" (R8).
    /// @param block_ The block voted for; zero if there is none.
    function timeout(uint64 chain, uint64 epoch, uint64 view_, uint64 highView, bool voted, bytes32 block_)
        internal
        pure
        returns (bytes memory)
    {
        return _tagged("OUTRTIME", abi.encodePacked(chain, epoch, view_, highView, voted, block_));
    }

    function _tagged(bytes8 tag, bytes memory fields) private pure returns (bytes memory) {
        return abi.encodePacked(tag, sha256(fields));
    }
}
