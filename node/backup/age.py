"""Encrypted files in the format of age (age-encryption.org/v1), so that any age program opens them.

A file is for a recovery key (X25519: the machine that writes backups cannot read them) or for a
passphrase (scrypt). The content is cut into chunks of 64 KiB, each sealed with ChaCha20-Poly1305
under its number, the last one marked: a changed, reordered or shortened file does not open.
"""

import base64
import binascii
import hmac
import io
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from node.backup import bech32
from node.kernel.errors import BadInput, DomainError

VERSION = b"age-encryption.org/v1"
CHUNK_BYTES = 64 * 1024
TAG_BYTES = 16
FILE_KEY_BYTES = 16
NONCE_BYTES = 16
SALT_BYTES = 16
SCRYPT_LOG_N = 17  # 128 MiB and about half a second
SCRYPT_LOG_N_MAX = 20  # a file that asks for more than 1 GiB is not ours
HEADER_LINE_BYTES_MAX = 1_000
HEADER_LINES_MAX = 100
PASSPHRASE_LENGTH_MIN = 12
PUBLIC, SECRET = "age", "age-secret-key-"
_ZERO_NONCE = bytes(12)


class CannotOpen(DomainError):
    code = "backup.cannot_open"
    message = "This file does not open with this key or passphrase."


class Damaged(DomainError):
    code = "backup.damaged"
    message = "This file is no backup of ours, or was changed or cut off: {problem}."


@dataclass(frozen=True)
class Stanza:
    """One way to the file's key: what kind, and what is needed for it."""

    kind: str
    arguments: tuple[str, ...]
    body: bytes

    def lines(self) -> bytes:
        """As it stands in the header; the body's last line is a short one."""
        text = _base64(self.body)
        rows = [text[start : start + 64] for start in range(0, len(text) + 1, 64)]
        return " ".join(["->", self.kind, *self.arguments, ""])[:-1].encode() + b"".join(
            b"\n" + row.encode() for row in rows
        )


@dataclass(frozen=True)
class RecoveryKey:
    """The public half, for whoever writes backups; the secret half opens them."""

    public: bytes
    secret: bytes | None = None

    @classmethod
    def new(cls) -> "RecoveryKey":
        key = X25519PrivateKey.generate()
        return cls(key.public_key().public_bytes_raw(), key.private_bytes_raw())

    @classmethod
    def read(cls, text: str) -> "RecoveryKey":
        """`age1…` or `AGE-SECRET-KEY-1…`, as age-keygen or `linli-node recovery-key` writes it."""
        if text.strip().lower().startswith(SECRET):
            secret = bech32.decode(SECRET, text)
            key = X25519PrivateKey.from_private_bytes(_of_length(secret, SECRET))
            return cls(key.public_key().public_bytes_raw(), secret)
        return cls(_of_length(bech32.decode(PUBLIC, text), PUBLIC))

    @property
    def public_text(self) -> str:
        return bech32.encode(PUBLIC, self.public)

    @property
    def secret_text(self) -> str:
        assert self.secret is not None, "only the public half is known"
        return bech32.encode(SECRET, self.secret).upper()

    def wrap(self, file_key: bytes) -> Stanza:
        """The file's key for the holder of this key alone."""
        ephemeral = X25519PrivateKey.generate()
        share = ephemeral.public_key().public_bytes_raw()
        shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(self.public))
        return Stanza(
            "X25519",
            (_base64(share),),
            self._box(share, shared).encrypt(_ZERO_NONCE, file_key, None),
        )

    def unwrap(self, stanza: Stanza) -> bytes | None:
        """The file's key, where this stanza is for us."""
        if stanza.kind != "X25519" or self.secret is None or len(stanza.arguments) != 1:
            return None
        try:
            share = _unbase64(stanza.arguments[0])
            own = X25519PrivateKey.from_private_bytes(self.secret)
            shared = own.exchange(X25519PublicKey.from_public_bytes(share))
            return self._box(share, shared).decrypt(_ZERO_NONCE, stanza.body, None)
        except (InvalidTag, ValueError):
            return None

    def _box(self, share: bytes, shared: bytes) -> ChaCha20Poly1305:
        info = b"age-encryption.org/v1/X25519"
        return ChaCha20Poly1305(_derived(shared, salt=share + self.public, info=info))


@dataclass(frozen=True)
class Passphrase:
    """For those who would rather keep a sentence than a key."""

    text: str

    def __post_init__(self) -> None:
        if len(self.text) < PASSPHRASE_LENGTH_MIN:
            problem = f"at least {PASSPHRASE_LENGTH_MIN} characters are needed"
            raise BadInput(field="passphrase", problem=problem)

    def wrap(self, file_key: bytes) -> Stanza:
        """The file's key for whoever knows the passphrase."""
        salt = secrets.token_bytes(SALT_BYTES)
        box = self._box(salt, SCRYPT_LOG_N)
        arguments = (_base64(salt), str(SCRYPT_LOG_N))
        return Stanza("scrypt", arguments, box.encrypt(_ZERO_NONCE, file_key, None))

    def unwrap(self, stanza: Stanza) -> bytes | None:
        """The file's key, where this stanza is for us."""
        if stanza.kind != "scrypt" or len(stanza.arguments) != 2:
            return None
        salt, log_n = stanza.arguments
        if not log_n.isdecimal() or not 1 <= int(log_n) <= SCRYPT_LOG_N_MAX:
            return None
        try:
            return self._box(_unbase64(salt), int(log_n)).decrypt(_ZERO_NONCE, stanza.body, None)
        except (InvalidTag, ValueError):
            return None

    def _box(self, salt: bytes, log_n: int) -> ChaCha20Poly1305:
        label = b"age-encryption.org/v1/scrypt"
        slow = Scrypt(salt=label + salt, length=32, n=1 << log_n, r=8, p=1)
        return ChaCha20Poly1305(slow.derive(self.text.encode()))


@dataclass(frozen=True)
class FileKey:
    """Opens the one file it was made for: who has just written it can read it back."""

    key: bytes

    def unwrap(self, _stanza: Stanza) -> bytes:
        return self.key


Key = RecoveryKey | Passphrase


class Writer(io.RawIOBase):
    """A file to write to; `close` seals the last chunk. `file_key` reads it back."""

    def __init__(self, file: BinaryIO, keys: Sequence[Key]) -> None:
        assert len(keys) == 1 or not any(isinstance(key, Passphrase) for key in keys), (
            "a passphrase stands alone, says age"
        )
        self.file_key = FileKey(secrets.token_bytes(FILE_KEY_BYTES))
        head = VERSION + b"".join(b"\n" + key.wrap(self.file_key.key).lines() for key in keys)
        head += b"\n---"
        nonce = secrets.token_bytes(NONCE_BYTES)
        file.write(head + b" " + _base64(_head_mac(self.file_key.key, head)).encode() + b"\n")
        file.write(nonce)
        self._file = file
        self._box = _payload_box(self.file_key.key, nonce)
        self._waiting = bytearray()
        self._number = 0

    def writable(self) -> bool:
        return True

    def write(self, content: bytes) -> int:  # type: ignore[override]  # bytes are all we are handed
        self._waiting += content
        while len(self._waiting) > CHUNK_BYTES:  # a full one may be the last: wait and see
            self._seal(bytes(self._waiting[:CHUNK_BYTES]), is_last=False)
            del self._waiting[:CHUNK_BYTES]
        return len(content)

    def close(self) -> None:
        if not self.closed:
            self._seal(bytes(self._waiting), is_last=True)
        super().close()

    def _seal(self, chunk: bytes, *, is_last: bool) -> None:
        self._file.write(self._box.encrypt(_nonce(self._number, is_last=is_last), chunk, None))
        self._number += 1


class Reader(io.RawIOBase):
    """A file to read from; raises Damaged at the first chunk that was touched."""

    def __init__(self, file: BinaryIO, key: Key | FileKey) -> None:
        stanzas, head, mac = _read_head(file)
        found = next((one for one in map(key.unwrap, stanzas) if one is not None), None)
        if found is None:
            raise CannotOpen
        if not hmac.compare_digest(mac, _head_mac(found, head)):
            raise Damaged(problem="its header does not fit")
        self._file = file
        self._box = _payload_box(found, file.read(NONCE_BYTES))
        self._ahead = file.read(CHUNK_BYTES + TAG_BYTES)
        self._opened = b""
        self._number = 0
        self._is_over = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # what io hands in
        if not self._opened and not self._is_over:
            self._open_next()
        part = self._opened[: len(buffer)]
        buffer[: len(part)] = part
        self._opened = self._opened[len(part) :]
        return len(part)

    def _open_next(self) -> None:
        sealed, self._ahead = self._ahead, self._file.read(CHUNK_BYTES + TAG_BYTES)
        self._is_over = not self._ahead
        nonce = _nonce(self._number, is_last=self._is_over)
        try:
            self._opened = self._box.decrypt(nonce, sealed, None)
        except InvalidTag:
            raise Damaged(problem=f"chunk {self._number} does not open") from None
        self._number += 1


def _read_head(file: BinaryIO) -> tuple[list[Stanza], bytes, bytes]:
    """The stanzas, the bytes that the header's MAC covers, and that MAC."""
    lines = [_line(file)]
    if lines[0] != VERSION:
        raise Damaged(problem="it does not begin like one")
    stanzas: list[Stanza] = []
    while not (line := _line(file)).startswith(b"---"):
        if not line.startswith(b"-> ") or len(lines) > HEADER_LINES_MAX:
            raise Damaged(problem="its header is none")
        lines.append(line)
        body = []
        while True:
            body.append(_line(file))
            if len(body[-1]) < 64:
                break
        lines += body
        kind, *arguments = line.decode("ascii", "replace")[3:].split(" ")
        content = _unbase64(b"".join(body).decode("ascii", "replace"))
        stanzas.append(Stanza(kind, tuple(arguments), content))
    if not line.startswith(b"--- "):
        raise Damaged(problem="its header is none")
    return stanzas, b"\n".join([*lines, b"---"]), _unbase64(line[4:].decode("ascii", "replace"))


def _line(file: BinaryIO) -> bytes:
    line = file.readline(HEADER_LINE_BYTES_MAX)
    if not line.endswith(b"\n"):
        raise Damaged(problem="its header is cut off")
    return line[:-1]


def _head_mac(file_key: bytes, head: bytes) -> bytes:
    return hmac.digest(_derived(file_key, salt=b"", info=b"header"), head, "sha256")


def _payload_box(file_key: bytes, nonce: bytes) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(_derived(file_key, salt=nonce, info=b"payload"))


def _derived(key: bytes, *, salt: bytes, info: bytes) -> bytes:
    return HKDF(SHA256(), length=32, salt=salt, info=info).derive(key)


def _nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([is_last])


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode().rstrip("=")


def _unbase64(text: str) -> bytes:
    """Strict: bytes have one spelling, or a file could be changed without anybody noticing."""
    try:
        content = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        content = b""
    if _base64(content) != text:
        raise Damaged(problem="its header is none")
    return content


def _of_length(content: bytes, prefix: str) -> bytes:
    if len(content) != 32:
        raise bech32.KeyUnreadable(prefix=prefix)
    return content
