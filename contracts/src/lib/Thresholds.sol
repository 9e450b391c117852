// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// Thresholds of a committee in stake (protocol section 1): f = (N-1)/3, nobody counted as crashed.
library Thresholds {
    /// Q, what a certificate needs.
    function quorum(uint64 total) internal pure returns (uint64) {
        return (total + (total - 1) / 3) / 2 + 1;
    }

    /// F, what a fast commit needs.
    function fast(uint64 total) internal pure returns (uint64) {
        uint64 f = (total - 1) / 3;
        return total - (total - 3 * f - 1) / 2;
    }
}
