"""From a secp256k1 key to its address on an EVM chain, without a chain library.

A node makes its settlement key before any chain is configured, and the office checks the address
without web3; both need only this one hash (Keccak-256 as it was before it became SHA-3).
"""

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_LANES = 5
_RATE_BYTES = 136  # 1600 bits of state less twice the 256 bits of output
_MASK = (1 << 64) - 1


def keccak256(content: bytes) -> bytes:
    """The 32 bytes by which the EVM names things."""
    padding = bytearray(_RATE_BYTES - len(content) % _RATE_BYTES)
    padding[0] |= 0x01
    padding[-1] |= 0x80
    padded = content + bytes(padding)
    state = [0] * 25
    for start in range(0, len(padded), _RATE_BYTES):
        for lane in range(_RATE_BYTES // 8):
            place = start + 8 * lane
            state[lane] ^= int.from_bytes(padded[place : place + 8], "little")
        state = _permuted(state)
    return b"".join(lane.to_bytes(8, "little") for lane in state[:4])


def address_of(public_key: ec.EllipticCurvePublicKey) -> bytes:
    """The 20 bytes address that belongs to a secp256k1 key."""
    assert isinstance(public_key.curve, ec.SECP256K1), "an EVM key is on secp256k1"
    point = public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return keccak256(point[1:])[-20:]


def checksummed(address: bytes) -> str:
    """The address as people copy it: 0x, and letters whose case is a checksum (EIP-55)."""
    digits = address.hex()
    marks = keccak256(digits.encode()).hex()
    return "0x" + "".join(
        digit.upper() if int(mark, 16) >= 8 else digit
        for digit, mark in zip(digits, marks, strict=False)
    )


def _turned(lane: int, bits: int) -> int:
    return ((lane << bits) | (lane >> (64 - bits))) & _MASK if bits else lane


def _permuted(state: list[int]) -> list[int]:
    """Keccak-f[1600]; lane (x, y) stands at x + 5 * y."""
    for constant in _ROUND_CONSTANTS:
        columns = [
            state[x] ^ state[x + 5] ^ state[x + 10] ^ state[x + 15] ^ state[x + 20]
            for x in range(_LANES)
        ]
        spread = [columns[x - 1] ^ _turned(columns[(x + 1) % 5], 1) for x in range(_LANES)]
        moved = [0] * 25
        for x in range(_LANES):
            for y in range(_LANES):
                lane = state[x + 5 * y] ^ spread[x]
                moved[y + 5 * ((2 * x + 3 * y) % 5)] = _turned(lane, _OFFSETS[x + 5 * y])
        state = [
            moved[x + 5 * y] ^ (~moved[(x + 1) % 5 + 5 * y] & moved[(x + 2) % 5 + 5 * y] & _MASK)
            for y in range(_LANES)
            for x in range(_LANES)
        ]
        state[0] ^= constant
    return state


def _rotation_offsets() -> list[int]:
    """Triangular numbers along the walk (x, y) -> (y, 2x + 3y), as the standard defines them."""
    offsets, x, y = [0] * 25, 1, 0
    for step in range(24):
        offsets[x + 5 * y] = (step + 1) * (step + 2) // 2 % 64
        x, y = y, (2 * x + 3 * y) % 5
    return offsets


def _round_constants() -> list[int]:
    """From the standard's linear feedback register, seven bits a round."""
    constants, register = [], 1
    for _ in range(24):
        constant = 0
        for position in range(7):
            if register & 1:
                constant |= 1 << ((1 << position) - 1)
            register = (register << 1) ^ (0x171 if register & 0x80 else 0)
        constants.append(constant)
    return constants


_OFFSETS = _rotation_offsets()
_ROUND_CONSTANTS = _round_constants()
