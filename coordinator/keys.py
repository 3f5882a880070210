"""The relay key: it pays for the office's transactions and may register communities; no more."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from coordinator.refusals import OfficeUnreadable
from node.kernel.evm_address import address_of, checksummed
from node.kernel.files import write_new_file


def create_relay_key(path: Path) -> str:
    """Make the key (hex, 0600) unless it is there; its address, to be given gas money."""
    key = ec.generate_private_key(ec.SECP256K1())
    value = key.private_numbers().private_value
    write_new_file(path, f"0x{value:064x}\n".encode(), is_private=True)
    return relay_address(read_relay_key(path))


def read_relay_key(path: Path) -> bytes:
    """The key's 32 bytes."""
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip().removeprefix("0x"))
        relay_address(key)
    except OSError as error:
        raise OfficeUnreadable(path=str(path), problem=error.strerror or "unreadable") from error
    except ValueError as error:
        raise OfficeUnreadable(path=str(path), problem="it holds no key") from error
    return key


def relay_address(key: bytes) -> str:
    """The address of a key."""
    private_key = ec.derive_private_key(int.from_bytes(key, "big"), ec.SECP256K1())
    return checksummed(address_of(private_key.public_key()))
