"""Bech32 (BIP 173), the spelling of age's keys: a typing error is noticed, never guessed at."""

from node.kernel.errors import DomainError

_CHARACTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECKSUM_LENGTH = 6


class KeyUnreadable(DomainError):
    code = "backup.key_unreadable"
    message = "This is no key of the kind {prefix}1…: look for a letter too many or too few."


def encode(prefix: str, content: bytes) -> str:
    """The text that stands for `content`, in small letters."""
    values = _regroup(content, have=8, want=5, pads=True)
    checked = [*_expanded(prefix), *values, *([0] * _CHECKSUM_LENGTH)]
    sum_ = _polymod(checked) ^ 1
    values += [(sum_ >> 5 * (_CHECKSUM_LENGTH - 1 - place)) & 31 for place in range(6)]
    return f"{prefix}1{''.join(_CHARACTERS[value] for value in values)}"


def decode(prefix: str, text: str) -> bytes:
    """The bytes behind `text`; raises KeyUnreadable for any other text."""
    wrong = KeyUnreadable(prefix=prefix)
    text = text.strip()
    if text not in (text.lower(), text.upper()):
        raise wrong
    head, separator, tail = text.lower().rpartition("1")
    if not separator or head != prefix or not set(tail) <= set(_CHARACTERS):
        raise wrong
    values = [_CHARACTERS.index(character) for character in tail]
    if len(values) <= _CHECKSUM_LENGTH or _polymod([*_expanded(prefix), *values]) != 1:
        raise wrong
    return bytes(_regroup(values[:-_CHECKSUM_LENGTH], have=5, want=8, pads=False))


def _polymod(values: list[int]) -> int:
    sum_ = 1
    for value in values:
        top, sum_ = sum_ >> 25, (sum_ & 0x1FFFFFF) << 5 ^ value
        for bit, term in enumerate(_GENERATOR):
            sum_ ^= term if top >> bit & 1 else 0
    return sum_


def _expanded(prefix: str) -> list[int]:
    return [ord(one) >> 5 for one in prefix] + [0] + [ord(one) & 31 for one in prefix]


def _regroup(values: bytes | list[int], *, have: int, want: int, pads: bool) -> list[int]:
    """Bits in groups of `have`, in groups of `want`."""
    kept = bits = 0
    groups = []
    for value in values:
        kept, bits = kept << have | value, bits + have
        while bits >= want:
            bits -= want
            groups.append(kept >> bits & (1 << want) - 1)
        kept &= (1 << bits) - 1
    return [*groups, kept << want - bits] if pads and bits else groups
