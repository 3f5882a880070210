// SPDX-License-Identifier: UNLICENSED
pragma solidity 0.8.37;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/// @title Who owes whom an hour, between communities
/// @notice Settles batches of net positions that the communities in them have signed. It holds no
/// money and no names: a community is a number, an amount is whole minutes, and over all
/// communities the balances always sum to zero.
/// @dev One storage slot per community. Every consent is an EIP-712 signature over the community's
/// next sequence number, so each serves once; anyone may carry it here. A signer may be a key or a
/// council's contract wallet (ERC-1271): the key is asked about first. That, and reading and writing
/// each position once, is what keeps a batch cheap.
contract HourSettlement is AccessControl, EIP712, Pausable {
    enum Status {
        Unknown,
        Active,
        Exited
    }

    /// @dev 160 + 40 + 24 + 24 + 8 = 256 bits: one slot.
    struct Position {
        address signer;
        int40 balanceMinutes;
        uint24 debtLimitMinutes;
        uint24 sequence;
        Status status;
    }

    /// @dev `sequence` is the community's next one; `ledgerHead` anchors its books in the event.
    struct Entry {
        uint32 community;
        int32 deltaMinutes;
        uint24 sequence;
        bytes32 ledgerHead;
    }

    struct Batch {
        bytes32 roundId;
        bytes32 merkleRoot;
        uint64 deadline;
        Entry[] entries;
    }

    struct LimitCut {
        uint24 debtLimitMinutes;
        uint64 effectiveAt;
    }

    /// @dev `sequence` is the community's at the request: once that moves, its key is not lost.
    struct Recovery {
        address newSigner;
        uint64 effectiveAt;
        uint24 sequence;
    }

    bytes32 public constant REGISTRAR_ROLE = keccak256("REGISTRAR_ROLE");
    bytes32 public constant GUARANTOR_ROLE = keccak256("GUARANTOR_ROLE");
    bytes32 public constant PAUSER_ROLE = keccak256("PAUSER_ROLE");

    /// @notice The guarantor (政府担保) is community 0, with a limit of its own.
    uint32 public constant GUARANTOR = 0;
    /// @notice A limit is cut only after this time, so nobody is stranded over night.
    uint64 public constant LIMIT_CUT_DELAY = 7 days;
    /// @notice How long a community has to object to a recovery, by signing anything at all.
    uint64 public constant RECOVERY_DELAY = 14 days;

    bytes32 private constant ENTRY_TYPEHASH = keccak256(
        "Entry(uint32 community,int32 deltaMinutes,uint24 sequence,bytes32 ledgerHead)"
    );
    bytes32 private constant BATCH_TYPEHASH = keccak256(
        "Batch(bytes32 roundId,bytes32 merkleRoot,uint64 deadline,Entry[] entries)"
        "Entry(uint32 community,int32 deltaMinutes,uint24 sequence,bytes32 ledgerHead)"
    );
    bytes32 private constant COVER_TYPEHASH =
        keccak256("Cover(uint32 community,uint32 minutesCovered,uint24 sequence,uint64 deadline)");
    bytes32 private constant ROTATE_TYPEHASH =
        keccak256("Rotate(uint32 community,address newSigner,uint24 sequence,uint64 deadline)");
    bytes32 private constant EXIT_TYPEHASH =
        keccak256("Exit(uint32 community,uint24 sequence,uint64 deadline)");

    mapping(uint32 community => Position) private _positions;
    mapping(uint32 community => LimitCut) private _limitCuts;
    mapping(uint32 community => Recovery) private _recoveries;
    /// @dev A signer serves one community once: a key that was rotated away never signs again.
    mapping(address signer => bool) private _signerTaken;
    uint256 private _adminCount;

    /// @notice How many communities were ever registered here, the guarantor included.
    uint256 public communityCount;
    /// @notice The contract that carries on from here; once it is named, nothing moves here again.
    HourSettlement public successor;

    event CommunityRegistered(uint32 indexed community, address signer, uint24 debtLimitMinutes);
    event CommunityExited(uint32 indexed community);
    event SignerRotated(uint32 indexed community, address oldSigner, address newSigner);
    event RecoveryRequested(uint32 indexed community, address newSigner, uint64 effectiveAt);
    event DebtLimitChanged(uint32 indexed community, uint24 debtLimitMinutes);
    event DebtLimitCutRequested(
        uint32 indexed community, uint24 debtLimitMinutes, uint64 effectiveAt
    );
    event DebtCovered(uint32 indexed community, uint32 minutesCovered);
    event Retired(address successor);
    event CarriedOver(address indexed predecessor, uint256 communities);
    event BatchSettled(bytes32 indexed roundId, bytes32 merkleRoot, Entry[] entries);

    error AlreadyRegistered(uint32 community);
    error AlreadyRetired(address successor);
    error BadSignature(uint32 community, address signer);
    error BalanceNotZero(uint32 community, int40 balanceMinutes);
    error CoverExceedsDebt(uint32 community, int40 debtMinutes, uint32 minutesCovered);
    error DebtLimitExceeded(uint32 community, int40 balanceMinutes, uint24 debtLimitMinutes);
    error EmptyBatch(bytes32 roundId);
    error Expired(uint64 deadline, uint64 timestamp);
    error IncompleteCarryOver(uint256 communities, uint256 expected);
    error LastAdmin(address account);
    error LimitCutTooEarly(uint32 community, uint64 effectiveAt, uint64 timestamp);
    error NoLimitCut(uint32 community);
    error NoRecovery(uint32 community);
    error NotActive(uint32 community, Status status);
    error NotAscending(uint32 previous, uint32 community);
    error NotTheSuccessor(address successor);
    error NotZeroSum(int256 sumMinutes);
    error RecoveryTooEarly(uint32 community, uint64 effectiveAt, uint64 timestamp);
    error SignatureCountMismatch(uint256 entries, uint256 signatures);
    error SignerUnusable(uint32 community, address signer);
    error StaleSequence(uint32 community, uint24 sequence, uint24 expected);
    error ZeroMinutes(uint32 community);

    /// @param admin Receives every role; hand the three working roles on to other keys.
    constructor(address admin) EIP712("HourSettlement", "1") {
        if (admin == address(0)) revert LastAdmin(admin);
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        _grantRole(REGISTRAR_ROLE, admin);
        _grantRole(GUARANTOR_ROLE, admin);
        _grantRole(PAUSER_ROLE, admin);
    }

    /// @notice Moves every listed community's balance by what it signed, all of them or none.
    /// @dev Checks, effects, event; the only outside calls are static ones to contract signers.
    /// @param batch Strictly ascending by community, no zero, summing to zero, before its deadline.
    /// @param signatures One per entry, in the same order, each over the whole batch.
    function settle(Batch calldata batch, bytes[] calldata signatures) external whenNotPaused {
        _requireBefore(batch.deadline);
        uint256 count = batch.entries.length;
        if (count == 0) revert EmptyBatch(batch.roundId);
        if (count != signatures.length) revert SignatureCountMismatch(count, signatures.length);
        bytes32 digest = batchDigest(batch);
        int256 sumMinutes = 0;
        for (uint256 index = 0; index < count; ++index) {
            Entry calldata entry = batch.entries[index];
            if (index > 0 && entry.community <= batch.entries[index - 1].community) {
                revert NotAscending(batch.entries[index - 1].community, entry.community);
            }
            Position memory position = _positions[entry.community];
            _checkConsent(entry.community, position, entry.sequence, digest, signatures[index]);
            position.sequence = entry.sequence + 1;
            position.balanceMinutes = _moved(entry.community, position, entry.deltaMinutes);
            _positions[entry.community] = position;
            sumMinutes += entry.deltaMinutes;
        }
        if (sumMinutes != 0) revert NotZeroSum(sumMinutes);
        emit BatchSettled(batch.roundId, batch.merkleRoot, batch.entries);
    }

    /// @notice Moves `minutesCovered` of a community's debt to the guarantor, with its consent.
    /// @dev Both balances change by the same amount, so the sum over all communities stays zero.
    /// @param community The community in debt.
    /// @param minutesCovered How much of the debt the guarantor takes over, in minutes.
    /// @param deadline The consent's last moment, seconds since 1970.
    /// @param signature The community's over Cover(community, minutesCovered, sequence, deadline).
    function cover(
        uint32 community,
        uint32 minutesCovered,
        uint64 deadline,
        bytes calldata signature
    ) external onlyRole(GUARANTOR_ROLE) whenNotPaused {
        _requireBefore(deadline);
        uint24 sequence = _positions[community].sequence;
        bytes32 digest = _hashTypedDataV4(
            keccak256(abi.encode(COVER_TYPEHASH, community, minutesCovered, sequence, deadline))
        );
        _consent(community, sequence, digest, signature);
        int40 debtMinutes = -_positions[community].balanceMinutes;
        if (community == GUARANTOR || debtMinutes < int40(uint40(minutesCovered))) {
            revert CoverExceedsDebt(community, debtMinutes, minutesCovered);
        }
        _requireActive(GUARANTOR);
        _move(community, int40(uint40(minutesCovered)));
        _move(GUARANTOR, -int40(uint40(minutesCovered)));
        emit DebtCovered(community, minutesCovered);
    }

    /// @notice Admits a community, or readmits one that left, at balance zero.
    /// @dev A returning community keeps its sequence, so nothing it once signed can serve again.
    /// @param community Its number, chosen by the office; 0 is the guarantor.
    /// @param signer The address of its settlement key or wallet, never used here before.
    /// @param debtLimitMinutes How far its balance may fall below zero.
    function register(uint32 community, address signer, uint24 debtLimitMinutes)
        external
        onlyRole(REGISTRAR_ROLE)
    {
        Position storage position = _positions[community];
        if (position.status == Status.Active) revert AlreadyRegistered(community);
        _takeSigner(community, signer);
        if (position.status == Status.Unknown) communityCount += 1;
        position.signer = signer;
        position.debtLimitMinutes = debtLimitMinutes;
        position.status = Status.Active;
        emit CommunityRegistered(community, signer, debtLimitMinutes);
    }

    /// @notice Replaces a community's signer; works while paused, for that is when it is needed.
    /// @param deadline The consent's last moment, seconds since 1970.
    /// @param oldSignature The present signer's over
    /// Rotate(community, newSigner, sequence, deadline).
    /// @param newSignature The new signer's over the same, proof that the key exists and is held.
    function rotateSigner(
        uint32 community,
        address newSigner,
        uint64 deadline,
        bytes calldata oldSignature,
        bytes calldata newSignature
    ) external {
        _requireBefore(deadline);
        uint24 sequence = _positions[community].sequence;
        bytes32 digest = _rotationDigest(community, newSigner, deadline);
        _consent(community, sequence, digest, oldSignature);
        _requireHeld(community, newSigner, digest, newSignature);
        _replaceSigner(community, newSigner);
    }

    /// @notice Announces a new signer for a community that has lost its key.
    /// @dev Whatever the community signs in the meantime (a batch, a rotation) ends the recovery.
    /// @param deadline The new key's proof's last moment, seconds since 1970.
    /// @param newSignature The new signer's over Rotate(community, newSigner, sequence, deadline).
    function requestRecovery(
        uint32 community,
        address newSigner,
        uint64 deadline,
        bytes calldata newSignature
    ) external onlyRole(REGISTRAR_ROLE) {
        _requireBefore(deadline);
        _requireActive(community);
        bytes32 digest = _rotationDigest(community, newSigner, deadline);
        _requireHeld(community, newSigner, digest, newSignature);
        uint64 effectiveAt = uint64(block.timestamp) + RECOVERY_DELAY;
        _recoveries[community] = Recovery(newSigner, effectiveAt, _positions[community].sequence);
        emit RecoveryRequested(community, newSigner, effectiveAt);
    }

    /// @notice Puts the announced signer in place once nobody has objected; anyone may call it.
    function applyRecovery(uint32 community) external {
        _requireActive(community);
        Recovery memory recovery = _recoveries[community];
        if (recovery.effectiveAt == 0) revert NoRecovery(community);
        uint24 sequence = _positions[community].sequence;
        if (recovery.sequence != sequence) {
            revert StaleSequence(community, recovery.sequence, sequence);
        }
        if (block.timestamp < recovery.effectiveAt) {
            revert RecoveryTooEarly(community, recovery.effectiveAt, uint64(block.timestamp));
        }
        delete _recoveries[community];
        _positions[community].sequence = sequence + 1;
        _replaceSigner(community, recovery.newSigner);
    }

    /// @notice Raises a debt limit at once; a cut is only announced, and applied after the delay.
    /// @dev A new request replaces one that waits, so a raise also withdraws a cut.
    function requestDebtLimit(uint32 community, uint24 debtLimitMinutes)
        external
        onlyRole(REGISTRAR_ROLE)
    {
        _requireActive(community);
        if (debtLimitMinutes >= _positions[community].debtLimitMinutes) {
            delete _limitCuts[community];
            _positions[community].debtLimitMinutes = debtLimitMinutes;
            emit DebtLimitChanged(community, debtLimitMinutes);
        } else {
            uint64 effectiveAt = uint64(block.timestamp) + LIMIT_CUT_DELAY;
            _limitCuts[community] = LimitCut(debtLimitMinutes, effectiveAt);
            emit DebtLimitCutRequested(community, debtLimitMinutes, effectiveAt);
        }
    }

    /// @notice Applies a cut whose delay is over; anyone may call it.
    /// @dev A debt already past the new limit stands; it only cannot grow.
    function applyDebtLimit(uint32 community) external {
        _requireActive(community);
        LimitCut memory cut = _limitCuts[community];
        if (cut.effectiveAt == 0) revert NoLimitCut(community);
        if (block.timestamp < cut.effectiveAt) {
            revert LimitCutTooEarly(community, cut.effectiveAt, uint64(block.timestamp));
        }
        delete _limitCuts[community];
        _positions[community].debtLimitMinutes = cut.debtLimitMinutes;
        emit DebtLimitChanged(community, cut.debtLimitMinutes);
    }

    /// @notice Lets a community leave once it owes nothing and is owed nothing.
    /// @param signature The community's over Exit(community, sequence, deadline).
    function exit(uint32 community, uint64 deadline, bytes calldata signature)
        external
        whenNotPaused
    {
        _requireBefore(deadline);
        Position storage position = _positions[community];
        uint24 sequence = position.sequence;
        bytes32 digest =
            _hashTypedDataV4(keccak256(abi.encode(EXIT_TYPEHASH, community, sequence, deadline)));
        _consent(community, sequence, digest, signature);
        if (position.balanceMinutes != 0) revert BalanceNotZero(community, position.balanceMinutes);
        delete _limitCuts[community];
        position.status = Status.Exited;
        emit CommunityExited(community);
    }

    /// @notice Stops settling, covering and leaving, at once; balances stay as they are.
    function pause() external onlyRole(PAUSER_ROLE) {
        _pause();
    }

    /// @notice Resumes; kept to the administrator, so that one stolen key cannot do both.
    function unpause() external onlyRole(DEFAULT_ADMIN_ROLE) {
        if (address(successor) != address(0)) revert AlreadyRetired(address(successor));
        _unpause();
    }

    /// @notice Ends this contract for good: its balances stand still and can be carried over.
    /// @param next The contract that will carry them over; only that one can.
    function retire(HourSettlement next) external onlyRole(DEFAULT_ADMIN_ROLE) {
        if (address(successor) != address(0)) revert AlreadyRetired(address(successor));
        successor = next;
        if (!paused()) _pause();
        emit Retired(address(next));
    }

    /// @notice Takes over every community of a retired contract as it stood there, once, before
    /// anybody is registered here.
    /// @dev Nothing is believed but the predecessor's own storage: all its communities, so that the
    /// sum stays zero. Consents do not carry over, since they name the contract they were given to;
    /// announced cuts and recoveries have to be announced again.
    /// @param predecessor The contract that named this one its successor.
    /// @param communities All its numbers, strictly ascending.
    function carryOver(HourSettlement predecessor, uint32[] calldata communities)
        external
        onlyRole(DEFAULT_ADMIN_ROLE)
    {
        address named = address(predecessor.successor());
        if (named != address(this)) revert NotTheSuccessor(named);
        if (communityCount != 0) revert AlreadyRegistered(communities[0]);
        if (communities.length != predecessor.communityCount()) {
            revert IncompleteCarryOver(communities.length, predecessor.communityCount());
        }
        int256 sumMinutes = 0;
        for (uint256 index = 0; index < communities.length; ++index) {
            uint32 community = communities[index];
            if (index > 0 && community <= communities[index - 1]) {
                revert NotAscending(communities[index - 1], community);
            }
            Position memory position = predecessor.positionOf(community);
            if (position.status == Status.Unknown) revert NotActive(community, position.status);
            _takeSigner(community, position.signer);
            _positions[community] = position;
            sumMinutes += position.balanceMinutes;
        }
        if (sumMinutes != 0) revert NotZeroSum(sumMinutes);
        communityCount = communities.length;
        emit CarriedOver(address(predecessor), communities.length);
    }

    /// @notice A community's signer, balance, limit, next sequence and status.
    function positionOf(uint32 community) external view returns (Position memory) {
        return _positions[community];
    }

    /// @notice The cut that waits for a community; `effectiveAt` is zero when there is none.
    function limitCutOf(uint32 community) external view returns (LimitCut memory) {
        return _limitCuts[community];
    }

    /// @notice The recovery that waits for a community; `effectiveAt` is zero when there is none.
    function recoveryOf(uint32 community) external view returns (Recovery memory) {
        return _recoveries[community];
    }

    /// @notice What the communities in a batch sign.
    function batchDigest(Batch calldata batch) public view returns (bytes32) {
        bytes32[] memory hashes = new bytes32[](batch.entries.length);
        for (uint256 index = 0; index < hashes.length; ++index) {
            Entry calldata entry = batch.entries[index];
            hashes[index] = keccak256(
                abi.encode(
                    ENTRY_TYPEHASH,
                    entry.community,
                    entry.deltaMinutes,
                    entry.sequence,
                    entry.ledgerHead
                )
            );
        }
        return _hashTypedDataV4(
            keccak256(
                abi.encode(
                    BATCH_TYPEHASH,
                    batch.roundId,
                    batch.merkleRoot,
                    batch.deadline,
                    keccak256(abi.encodePacked(hashes))
                )
            )
        );
    }

    /// @dev Uses up one consent: right community, next sequence, its signer's signature.
    function _consent(uint32 community, uint24 sequence, bytes32 digest, bytes calldata signature)
        private
    {
        _checkConsent(community, _positions[community], sequence, digest, signature);
        _positions[community].sequence = sequence + 1;
    }

    function _checkConsent(
        uint32 community,
        Position memory position,
        uint24 sequence,
        bytes32 digest,
        bytes calldata signature
    ) private view {
        if (position.status != Status.Active) revert NotActive(community, position.status);
        if (sequence != position.sequence) {
            revert StaleSequence(community, sequence, position.sequence);
        }
        if (!_isSigned(position.signer, digest, signature)) {
            revert BadSignature(community, position.signer);
        }
    }

    /// @dev A key's signature needs no look at the signer's code; a wallet is asked only then.
    function _isSigned(address signer, bytes32 digest, bytes calldata signature)
        private
        view
        returns (bool)
    {
        (address recovered, ECDSA.RecoverError problem,) =
            ECDSA.tryRecoverCalldata(digest, signature);
        if (problem == ECDSA.RecoverError.NoError && recovered == signer) return true;
        return SignatureChecker.isValidERC1271SignatureNowCalldata(signer, digest, signature);
    }

    function _move(uint32 community, int40 deltaMinutes) private {
        Position memory position = _positions[community];
        _positions[community].balanceMinutes = _moved(community, position, deltaMinutes);
    }

    /// @dev The only rule about balances. A rise is always welcome, even past the limit.
    function _moved(uint32 community, Position memory position, int40 deltaMinutes)
        private
        pure
        returns (int40 balanceMinutes)
    {
        if (deltaMinutes == 0) revert ZeroMinutes(community);
        balanceMinutes = position.balanceMinutes + deltaMinutes;
        if (deltaMinutes < 0 && balanceMinutes < -int40(uint40(position.debtLimitMinutes))) {
            revert DebtLimitExceeded(community, balanceMinutes, position.debtLimitMinutes);
        }
    }

    function _rotationDigest(uint32 community, address newSigner, uint64 deadline)
        private
        view
        returns (bytes32)
    {
        uint24 sequence = _positions[community].sequence;
        return _hashTypedDataV4(
            keccak256(abi.encode(ROTATE_TYPEHASH, community, newSigner, sequence, deadline))
        );
    }

    /// @dev A mistyped address, or another community's, must never become a signer.
    function _requireHeld(
        uint32 community,
        address newSigner,
        bytes32 digest,
        bytes calldata newSignature
    ) private view {
        _requireFree(community, newSigner);
        if (!_isSigned(newSigner, digest, newSignature)) {
            revert BadSignature(community, newSigner);
        }
    }

    function _replaceSigner(uint32 community, address newSigner) private {
        address oldSigner = _positions[community].signer;
        _takeSigner(community, newSigner);
        _positions[community].signer = newSigner;
        emit SignerRotated(community, oldSigner, newSigner);
    }

    function _takeSigner(uint32 community, address signer) private {
        _requireFree(community, signer);
        _signerTaken[signer] = true;
    }

    function _requireFree(uint32 community, address signer) private view {
        if (signer == address(0) || _signerTaken[signer]) revert SignerUnusable(community, signer);
    }

    function _requireActive(uint32 community) private view {
        Status status = _positions[community].status;
        if (status != Status.Active) revert NotActive(community, status);
    }

    function _requireBefore(uint64 deadline) private view {
        if (block.timestamp > deadline) revert Expired(deadline, uint64(block.timestamp));
    }

    function _grantRole(bytes32 role, address account) internal override returns (bool granted) {
        granted = super._grantRole(role, account);
        if (granted && role == DEFAULT_ADMIN_ROLE) _adminCount += 1;
    }

    /// @dev Without an administrator no role could ever be granted again.
    function _revokeRole(bytes32 role, address account) internal override returns (bool revoked) {
        revoked = super._revokeRole(role, account);
        if (revoked && role == DEFAULT_ADMIN_ROLE) {
            _adminCount -= 1;
            if (_adminCount == 0) revert LastAdmin(account);
        }
    }
}
