// SPDX-License-Identifier: UNLICENSED
pragma solidity 0.8.37;

/// @notice The few powers of forge's virtual machine that these tests use.
interface Cheats {
    function addr(uint256 key) external pure returns (address);
    function prank(address sender) external;
    function sign(uint256 key, bytes32 digest) external pure returns (uint8, bytes32, bytes32);
    function warp(uint256 timestamp) external;
}

Cheats constant cheats = Cheats(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);
