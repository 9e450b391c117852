// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// Sorting that costs the same, about n log n, whatever order the list came in: who arranges the list cannot make it dear.
library Sort {
    /// Merge sort, smallest first. The list given may be overwritten.
    function ascending(uint256[] memory list) internal pure returns (uint256[] memory) {
        uint256 n = list.length;
        uint256[] memory other = new uint256[](n);
        for (uint256 width = 1; width < n; width *= 2) {
            for (uint256 from = 0; from < n; from += 2 * width) {
                _merge(list, other, from, width);
            }
            (list, other) = (other, list);
        }
        return list;
    }

    function _merge(uint256[] memory list, uint256[] memory to, uint256 from, uint256 width) private pure {
        uint256 n = list.length;
        uint256 middle = from + width < n ? from + width : n;
        uint256 end = middle + width < n ? middle + width : n;
        (uint256 left, uint256 right) = (from, middle);
        for (uint256 i = from; i < end; i++) {
            bool takeLeft = left < middle && (right == end || list[left] <= list[right]);
            to[i] = takeLeft ? list[left++] : list[right++];
        }
    }
}
