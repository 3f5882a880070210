// SPDX-License-Identifier: UNLICENSED
pragma solidity 0.8.37;

import {HourSettlement} from "../../HourSettlement.sol";
import {cheats} from "./Cheats.sol";

/// @notice A district that acts at random, for forge's invariants. It knows every key, and notes
/// each thing that must never succeed but did.
contract District {
    uint32 public constant COMMUNITIES = 6;
    uint24 public constant LIMIT_MINUTES = 600;
    bytes32 private constant COVER_TYPEHASH =
        keccak256("Cover(uint32 community,uint32 minutesCovered,uint24 sequence,uint64 deadline)");
    bytes32 private constant ROTATE_TYPEHASH =
        keccak256("Rotate(uint32 community,address newSigner,uint24 sequence,uint64 deadline)");

    HourSettlement public immutable settlement;
    uint256[COMMUNITIES] public keys;
    uint256 private _nextKey = 1_000;
    HourSettlement.Batch private _last;
    bytes[] private _lastSignatures;
    bool private _hasLast;

    uint256 public settled;
    bool public limitCrossed;
    bool public replayed;
    bool public movedByStranger;
    bool public cutTooEarly;
    bool public signerShared;

    constructor() {
        settlement = new HourSettlement(address(this));
        for (uint32 community = 0; community < COMMUNITIES; ++community) {
            keys[community] = _freshKey();
            settlement.register(community, cheats.addr(keys[community]), LIMIT_MINUTES);
        }
    }

    /// @notice A batch of two to six communities, well signed; it settles, or a limit says no.
    function settle(uint256 seed, uint16 size) external {
        (HourSettlement.Batch memory batch, bytes[] memory signatures) = _signed(seed, size);
        try settlement.settle(batch, signatures) {
            settled += 1;
            _noteLimits(batch);
            _keep(batch, signatures);
        } catch {}
    }

    /// @notice The batch before, sent once more by anybody.
    function replay() external {
        if (!_hasLast) return;
        try settlement.settle(_last, _lastSignatures) {
            replayed = true;
        } catch {}
    }

    /// @notice A batch in which one community's word is somebody else's.
    function forge(uint256 seed, uint16 size, uint256 stranger) external {
        (HourSettlement.Batch memory batch, bytes[] memory signatures) = _signed(seed, size);
        bytes32 digest = settlement.batchDigest(batch);
        uint256 liar = seed % signatures.length;
        uint256 key = 1 + stranger % 1_000; // no community's: those begin above
        signatures[liar] = _sign(key, digest);
        try settlement.settle(batch, signatures) {
            movedByStranger = true;
        } catch {}
    }

    /// @notice A signature is kept, the amounts are changed.
    function alter(uint256 seed, uint16 size, int16 more) external {
        (HourSettlement.Batch memory batch, bytes[] memory signatures) = _signed(seed, size);
        if (more == 0) return;
        batch.entries[0].deltaMinutes += more;
        batch.entries[1].deltaMinutes -= more;
        try settlement.settle(batch, signatures) {
            movedByStranger = true;
        } catch {}
    }

    /// @notice The guarantor covers a part of a debt, with the community's consent.
    function cover(uint32 which, uint32 minutesCovered) external {
        uint32 community = 1 + which % (COMMUNITIES - 1);
        minutesCovered = 1 + minutesCovered % 2_000;
        uint64 deadline = uint64(block.timestamp);
        uint24 sequence = settlement.positionOf(community).sequence;
        bytes32 digest = _typed(
            keccak256(abi.encode(COVER_TYPEHASH, community, minutesCovered, sequence, deadline))
        );
        int40 before = settlement.positionOf(0).balanceMinutes;
        try settlement.cover(
            community, minutesCovered, deadline, _sign(keys[community], digest)
        ) {
            int40 left = settlement.positionOf(0).balanceMinutes;
            if (left < before && left < -int40(uint40(settlement.positionOf(0).debtLimitMinutes))) {
                limitCrossed = true;
            }
        } catch {}
    }

    /// @notice A limit is raised, or its cut announced and applied as soon as it lets itself.
    function changeLimit(uint32 which, uint24 minutesAllowed) external {
        uint32 community = which % COMMUNITIES;
        uint24 before = settlement.positionOf(community).debtLimitMinutes;
        settlement.requestDebtLimit(community, minutesAllowed % 2_000);
        if (settlement.positionOf(community).debtLimitMinutes < before) cutTooEarly = true;
    }

    function applyLimit(uint32 which) external {
        uint32 community = which % COMMUNITIES;
        HourSettlement.LimitCut memory cut = settlement.limitCutOf(community);
        try settlement.applyDebtLimit(community) {
            if (cut.effectiveAt == 0 || block.timestamp < cut.effectiveAt) cutTooEarly = true;
        } catch {}
    }

    /// @notice A key is replaced, by a fresh one or (in vain) by one that another has or had.
    function rotate(uint32 which, uint32 other, bool isFresh) external {
        uint32 community = which % COMMUNITIES;
        uint256 key = isFresh ? _freshKey() : keys[other % COMMUNITIES];
        address signer = cheats.addr(key);
        uint64 deadline = uint64(block.timestamp);
        uint24 sequence = settlement.positionOf(community).sequence;
        bytes32 digest = _typed(
            keccak256(abi.encode(ROTATE_TYPEHASH, community, signer, sequence, deadline))
        );
        bytes memory oldSignature = _sign(keys[community], digest);
        try settlement.rotateSigner(
            community, signer, deadline, oldSignature, _sign(key, digest)
        ) {
            if (!isFresh) signerShared = true;
            keys[community] = key;
        } catch {}
    }

    function passTime(uint32 elapsed) external {
        cheats.warp(block.timestamp + elapsed % 3 days);
    }

    /// @notice What all communities together have: zero, at any time.
    function sum() external view returns (int256 total) {
        for (uint32 community = 0; community < COMMUNITIES; ++community) {
            total += settlement.positionOf(community).balanceMinutes;
        }
    }

    /// @notice A batch that sums to zero, over `size` communities, with all their signatures.
    function _signed(uint256 seed, uint16 size)
        private
        view
        returns (HourSettlement.Batch memory batch, bytes[] memory signatures)
    {
        uint32 count = 2 + size % (COMMUNITIES - 1);
        uint32 skipped = uint32(seed % (COMMUNITIES - count + 1));
        HourSettlement.Entry[] memory entries = new HourSettlement.Entry[](count);
        int32 rest = 0;
        for (uint32 index = 0; index < count; ++index) {
            uint256 dice = uint256(keccak256(abi.encode(seed, index)));
            int32 delta = int32(int256(dice % 1_400)) - 700;
            if (delta == 0) delta = 1;
            if (index == count - 1) delta = -rest;
            rest += delta;
            uint32 community = skipped + index;
            uint24 sequence = settlement.positionOf(community).sequence;
            entries[index] = HourSettlement.Entry(community, delta, sequence, bytes32(dice));
        }
        batch = HourSettlement.Batch(
            bytes32(seed), keccak256(abi.encode(seed)), uint64(block.timestamp), entries
        );
        bytes32 digest = settlement.batchDigest(batch);
        signatures = new bytes[](count);
        for (uint32 index = 0; index < count; ++index) {
            signatures[index] = _sign(keys[entries[index].community], digest);
        }
    }

    function _noteLimits(HourSettlement.Batch memory batch) private {
        for (uint256 index = 0; index < batch.entries.length; ++index) {
            HourSettlement.Entry memory entry = batch.entries[index];
            HourSettlement.Position memory position = settlement.positionOf(entry.community);
            int40 lowest = -int40(uint40(position.debtLimitMinutes));
            if (entry.deltaMinutes < 0 && position.balanceMinutes < lowest) limitCrossed = true;
        }
    }

    function _keep(HourSettlement.Batch memory batch, bytes[] memory signatures) private {
        _last.roundId = batch.roundId;
        _last.merkleRoot = batch.merkleRoot;
        delete _last.entries;
        for (uint256 index = 0; index < batch.entries.length; ++index) {
            _last.entries.push(batch.entries[index]);
        }
        _last.deadline = batch.deadline;
        _lastSignatures = signatures;
        _hasLast = true;
    }

    function _freshKey() private returns (uint256) {
        _nextKey += 1;
        return _nextKey;
    }

    function _sign(uint256 key, bytes32 digest) private pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = cheats.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    function _typed(bytes32 structHash) private view returns (bytes32) {
        (, string memory name, string memory version, uint256 chainId, address where,,) =
            settlement.eip712Domain();
        bytes32 domain = keccak256(
            abi.encode(
                keccak256(
                    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
                ),
                keccak256(bytes(name)),
                keccak256(bytes(version)),
                chainId,
                where
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, structHash));
    }
}
