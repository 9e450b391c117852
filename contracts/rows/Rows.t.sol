// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Libraries, OffenceVector} from "../test/Libraries.sol";
import {Test} from "../test/Vm.sol";

/// Random signatures and evidence, against what the node says of them (client/tests/contracts writes the files):
/// `OUTRIDER_CONTRACT_ROWS=10000 cargo test -p outrider-client --test contracts`, then `FOUNDRY_PROFILE=rows forge test -vv`.
contract RowsTest is Test {
    /// What is said (1: members accept it, 2: ZIP-215 does), key, R, s, a message of 40 bytes.
    uint256 private constant ROW = 1 + 32 + 32 + 32 + 40;

    Libraries private libraries = new Libraries();

    event Judged(string what, uint256 rows, uint256 accepted);

    function test_signatures() public {
        bytes memory rows = vm.readFileBinary("../target/contracts/rows/signatures.bin");
        equal(rows.length % ROW, 0, "length");
        check(rows.length > 0, "no rows");
        uint256 accepted = 0;
        bytes memory message = new bytes(40);
        for (uint256 row = 0; row < rows.length; row += ROW) {
            uint8 said = uint8(rows[row]);
            bytes32 key;
            bytes32 r;
            bytes32 s;
            assembly ("memory-safe") {
                let from := add(add(rows, 33), row)
                key := mload(from)
                r := mload(add(from, 32))
                s := mload(add(from, 64))
                mcopy(add(message, 32), add(from, 96), 40)
            }
            bool found = libraries.verify(key, r, s, message);
            check(found == (said & 2 != 0), string.concat("not as ZIP-215 says: row ", vm.toString(row / ROW)));
            check(found || said & 1 == 0, string.concat("members accept it: row ", vm.toString(row / ROW)));
            if (found) accepted++;
        }
        emit Judged("signatures", rows.length / ROW, accepted);
    }

    function test_evidence() public {
        string memory json = vm.readFile("../target/contracts/rows/offences.json");
        OffenceVector[] memory all = abi.decode(vm.parseJson(json, ".cases"), (OffenceVector[]));
        check(all.length > 0, "no rows");
        uint256 accepted = 0;
        for (uint256 i = 0; i < all.length; i++) {
            OffenceVector memory one = all[i];
            (bool ok, bytes memory out) = address(libraries)
                .staticcall(abi.encodeCall(Libraries.proves, (one.chain, one.key, one.evidence)));
            bool found = ok && abi.decode(out, (bool));
            check(found == one.proven, one.name);
            if (found) accepted++;
        }
        emit Judged("evidence", all.length, accepted);
    }
}
