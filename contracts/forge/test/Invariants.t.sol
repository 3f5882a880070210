// SPDX-License-Identifier: UNLICENSED
pragma solidity 0.8.37;

import {HourSettlement} from "../../HourSettlement.sol";
import {District} from "./District.sol";
import {cheats} from "./Cheats.sol";

/// @notice What must hold after any sequence of acts, honest or not.
contract InvariantsTest {
    District private _district;

    function setUp() public {
        cheats.warp(1_790_000_000);
        _district = new District();
    }

    /// @dev forge asks: only the district acts, for every key and role is in its hands.
    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_district);
    }

    function invariant_theSumIsZero() public view {
        require(_district.sum() == 0, "minutes were made or lost");
    }

    function invariant_noSettlementCrossesALimit() public view {
        require(!_district.limitCrossed(), "a debt past its limit grew");
    }

    function invariant_nothingServesTwice() public view {
        require(!_district.replayed(), "a batch settled twice");
    }

    function invariant_onlyTheSignerMovesACommunity() public view {
        require(!_district.movedByStranger(), "a community moved without its word");
    }

    function invariant_aCutWaits() public view {
        require(!_district.cutTooEarly(), "a limit was cut before its delay");
    }

    function invariant_aKeyServesOneCommunity() public view {
        require(!_district.signerShared(), "a used key became a signer");
        HourSettlement settlement = _district.settlement();
        for (uint32 one = 0; one < _district.COMMUNITIES(); ++one) {
            for (uint32 other = 0; other < one; ++other) {
                require(
                    settlement.positionOf(one).signer != settlement.positionOf(other).signer,
                    "two communities share a signer"
                );
            }
        }
    }

    /// @notice The acts do reach the contract: else the invariants would hold for nothing.
    function testFuzz_batchesDoSettle(uint256 seed) public {
        uint256 before = _district.settled();
        for (uint256 number = 0; number < 20; ++number) {
            _district.settle(uint256(keccak256(abi.encode(seed, number))), uint16(number));
        }
        require(_district.settled() > before, "nothing settled in twenty tries");
        require(_district.sum() == 0, "minutes were made or lost");
    }

    function testFuzz_aBatchServesOnce(uint256 seed, uint16 size) public {
        _district.settle(seed, size);
        _district.replay();
        require(!_district.replayed(), "a batch settled twice");
    }

    function testFuzz_nobodySignsForAnother(uint256 seed, uint16 size, uint256 stranger) public {
        _district.forge(seed, size, stranger);
        _district.alter(seed, size, 1);
        require(!_district.movedByStranger(), "a community moved without its word");
    }

    function testFuzz_aCutWaitsItsDelay(uint24 lower, uint32 waited) public {
        HourSettlement settlement = _district.settlement();
        lower = lower % 600;
        _district.changeLimit(1, lower);
        cheats.warp(block.timestamp + waited % 14 days);
        _district.applyLimit(1);
        bool isApplied = settlement.positionOf(1).debtLimitMinutes == lower;
        require(isApplied == (waited % 14 days >= settlement.LIMIT_CUT_DELAY()), "wrong moment");
    }
}
