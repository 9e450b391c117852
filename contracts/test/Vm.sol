// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// The cheatcodes of forge that tests here use. (npm's `forge-std` needs `ds-test`, which is not on npm.)
interface Vm {
    struct Log {
        bytes32[] topics;
        bytes data;
        address emitter;
    }

    // the world
    function warp(uint256 timestamp) external;
    function getBlockTimestamp() external view returns (uint256);
    function roll(uint256 number) external;
    function getBlockNumber() external view returns (uint256);
    function chainId(uint256 id) external;
    function fee(uint256 basefee) external;
    function deal(address who, uint256 wei_) external;
    function etch(address where, bytes calldata code) external;
    function store(address where, bytes32 slot, bytes32 value) external;
    function load(address where, bytes32 slot) external view returns (bytes32);
    function setNonce(address who, uint64 nonce) external;
    function getNonce(address who) external view returns (uint64);
    function computeCreateAddress(address deployer, uint256 nonce) external pure returns (address);
    function snapshotState() external returns (uint256 id);
    function revertToState(uint256 id) external returns (bool);

    // who calls
    function prank(address sender) external;
    function prank(address sender, address origin) external;
    function startPrank(address sender) external;
    function stopPrank() external;

    // what must happen
    function assume(bool condition) external pure;
    function expectRevert() external;
    function expectRevert(bytes4 selector) external;
    function expectRevert(bytes calldata data) external;
    function expectPartialRevert(bytes4 selector) external;
    function expectEmit() external;
    function expectEmit(address emitter) external;
    function expectEmit(bool topic1, bool topic2, bool topic3, bool data) external;
    function recordLogs() external;
    function getRecordedLogs() external returns (Log[] memory);

    // keys
    function addr(uint256 secret) external pure returns (address);
    function sign(uint256 secret, bytes32 digest) external pure returns (uint8 v, bytes32 r, bytes32 s);
    function signCompact(uint256 secret, bytes32 digest) external pure returns (bytes32 r, bytes32 vs);
    function publicKeyEd25519(bytes32 secret) external pure returns (bytes32);
    function signEd25519(bytes calldata namespace, bytes calldata message, bytes32 secret)
        external
        pure
        returns (bytes memory);

    // files and words
    function readFile(string calldata path) external view returns (string memory);
    function readFileBinary(string calldata path) external view returns (bytes memory);
    function readLine(string calldata path) external view returns (string memory);
    function parseBytes(string calldata text) external pure returns (bytes memory);
    function parseJson(string calldata json) external pure returns (bytes memory);
    function parseJson(string calldata json, string calldata key) external pure returns (bytes memory);
    function parseJsonBool(string calldata json, string calldata key) external pure returns (bool);
    function parseJsonUint(string calldata json, string calldata key) external pure returns (uint256);
    function parseJsonString(string calldata json, string calldata key) external pure returns (string memory);
    function parseJsonBytes(string calldata json, string calldata key) external pure returns (bytes memory);
    function parseJsonBytes32(string calldata json, string calldata key) external pure returns (bytes32);
    function keyExistsJson(string calldata json, string calldata key) external view returns (bool);
    function toString(uint256 number) external pure returns (string memory);
    function toString(bytes calldata data) external pure returns (string memory);
    function toString(bytes32 data) external pure returns (string memory);
    function toString(address who) external pure returns (string memory);

    // gas
    function pauseGasMetering() external;
    function resumeGasMetering() external;
    function lastCallGas() external view returns (Gas memory);
    function snapshotGasLastCall(string calldata group, string calldata name) external returns (uint256 gasUsed);
    function snapshotValue(string calldata group, string calldata name, uint256 value) external;

    struct Gas {
        uint64 gasLimit;
        uint64 gasTotalUsed;
        uint64 gasMemoryUsed;
        int64 gasRefunded;
        uint64 gasRemaining;
    }
}

/// What every test contract is: the cheatcodes, and the assertions in use.
abstract contract Test {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    /// Forge takes this for a test contract.
    bool public constant IS_TEST = true;

    error NotTrue(string what);
    error NotEqual(string what, bytes32 found, bytes32 wanted);

    function check(bool condition, string memory what) internal pure {
        if (!condition) revert NotTrue(what);
    }

    function equal(uint256 found, uint256 wanted, string memory what) internal pure {
        if (found != wanted) revert NotEqual(what, bytes32(found), bytes32(wanted));
    }

    function equal(bytes32 found, bytes32 wanted, string memory what) internal pure {
        if (found != wanted) revert NotEqual(what, found, wanted);
    }

    function equal(address found, address wanted, string memory what) internal pure {
        if (found != wanted) revert NotEqual(what, bytes32(bytes20(found)), bytes32(bytes20(wanted)));
    }

    function equal(bytes memory found, bytes memory wanted, string memory what) internal pure {
        if (keccak256(found) != keccak256(wanted)) revert NotEqual(what, keccak256(found), keccak256(wanted));
    }
}
