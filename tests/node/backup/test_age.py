"""Our encrypted files are age's own: each opens the other's, and nothing changed opens at all."""

import io
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.backup import bech32
from node.backup.age import (
    CHUNK_BYTES,
    TAG_BYTES,
    CannotOpen,
    Damaged,
    FileKey,
    Key,
    Passphrase,
    Reader,
    RecoveryKey,
    Writer,
)
from node.kernel.errors import BadInput

SIZES = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES]
KEY = RecoveryKey.new()
PASSPHRASE = Passphrase("plum blossom in the lane")


def encrypted(content: bytes, *keys: Key) -> bytes:
    file = io.BytesIO()
    with Writer(file, keys) as writer:
        for start in range(0, len(content), 10_000):
            writer.write(content[start : start + 10_000])
    return file.getvalue()


def opened(content: bytes, key: Key | FileKey) -> bytes:
    with io.BufferedReader(Reader(io.BytesIO(content), key)) as reader:
        return reader.read()


@pytest.mark.parametrize("size", SIZES)
def test_what_went_in_comes_out(size: int) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    assert opened(encrypted(content[:size], KEY), KEY) == content[:size]


def test_a_passphrase_opens_and_another_does_not() -> None:
    sealed = encrypted(b"books", PASSPHRASE)
    assert opened(sealed, PASSPHRASE) == b"books"
    with pytest.raises(CannotOpen):
        opened(sealed, Passphrase("peach blossom in the lane"))
    with pytest.raises(CannotOpen):
        opened(sealed, KEY)
    with pytest.raises(BadInput):
        Passphrase("short")


def test_each_of_several_keys_opens() -> None:
    second = RecoveryKey.new()
    sealed = encrypted(b"books", KEY, second)
    assert opened(sealed, KEY) == opened(sealed, second) == b"books"
    with pytest.raises(CannotOpen):
        opened(sealed, RecoveryKey.read(KEY.public_text))


@given(place=st.integers(min_value=0), bit=st.integers(0, 7))
def test_one_changed_bit_is_noticed(place: int, bit: int) -> None:
    sealed = bytearray(encrypted(b"ninety minutes", KEY))
    sealed[place % len(sealed)] ^= 1 << bit
    with pytest.raises((CannotOpen, Damaged)):
        opened(bytes(sealed), KEY)


def test_cut_off_or_put_in_another_order_it_does_not_open() -> None:
    sealed = encrypted(b"m" * (3 * CHUNK_BYTES), KEY)
    chunk = CHUNK_BYTES + TAG_BYTES
    head, chunks = sealed[: -3 * chunk], sealed[-3 * chunk :]
    assert opened(head + chunks, KEY)
    turned = chunks[chunk : 2 * chunk] + chunks[:chunk] + chunks[2 * chunk :]
    for wrong in (chunks[:-chunk], chunks[: 2 * chunk + 5], turned, chunks + b"more", b""):
        with pytest.raises(Damaged):
            opened(head + wrong, KEY)


@given(st.binary(max_size=300))
def test_what_is_no_such_file_is_refused(content: bytes) -> None:
    with pytest.raises(Damaged):
        opened(content, KEY)


def test_keys_are_spelt_as_age_spells_them() -> None:
    assert RecoveryKey.read(KEY.secret_text) == KEY
    assert RecoveryKey.read(KEY.public_text).public == KEY.public
    text = bech32.encode("age", bytes(32))  # BIP 173 with an all-zero key, checked with age-keygen
    assert bech32.decode("age", text) == bytes(32)
    for wrong in (text[:-1], text.replace("q", "p", 1), text.capitalize(), "age1", "", "文"):
        with pytest.raises(bech32.KeyUnreadable):
            RecoveryKey.read(wrong)


@pytest.mark.skipif(shutil.which("age") is None, reason="needs age (apt install age)")
def test_the_age_program_opens_ours_and_we_open_its(tmp_path: Path) -> None:
    identity, ours, its = tmp_path / "key", tmp_path / "ours", tmp_path / "its"
    content = b"minutes" * 40_000
    made = subprocess.run(["age-keygen", "-o", identity], capture_output=True, text=True)
    assert made.returncode == 0
    lines = identity.read_text().splitlines()
    key = RecoveryKey.read(next(line for line in lines if line.startswith("AGE")))
    assert key.public_text in identity.read_text()
    ours.write_bytes(encrypted(content, key))
    read = subprocess.run(["age", "-d", "-i", identity, ours], capture_output=True)
    assert read.stdout == content
    subprocess.run(["age", "-r", key.public_text, "-o", its], input=content, check=True)
    assert opened(its.read_bytes(), key) == content
