"""`recount ARCHIVE [--key HEX] [--json]`: the count, the rule, and whether everything fits.

Ends with 0 when everything fits, 1 when something does not, 2 when the file is no archive.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from recount.archive import CHOICES, Recount, Unreadable, examine
from recount.sealed import ToolMissing

NAMES = {
    "hash": "the archive's text has the hash it names",
    "signature": "its signature fits its key",
    "key": "its key is the one you named",
    "roll": "the roll is the one whose fingerprint was published",
    "roll_once": "nobody is on the roll twice",
    "nobody_twice": "nobody voted twice",
    "all_on_roll": "everybody who voted was on the roll",
    "choices": "every ballot says yes, no or abstain",
    "election": "the sealed archive begins as the election that was opened",
    "belenios": "belenios-tool: every ballot, proof and the decrypted sum",
    "no_more_ballots_than_voters": "no more sealed ballots than voters who took part",
    "one_code_each": "as many voting codes as units on the roll",
    "tally": "the tally is the one that was announced",
    "quorum": "whether enough took part, as announced",
    "carried": "whether it carried, as announced",
}
FITS, DOES_NOT_FIT, UNREADABLE = 0, 1, 2
DM2_PER_M2 = 100


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the arguments, print what was found, and say by the status whether it fits."""
    parser = argparse.ArgumentParser(prog="recount", description=__doc__)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--key", default="", help="the council's key as its notice board shows it")
    parser.add_argument("--json", action="store_true", help="for programs")
    asked = parser.parse_args(arguments)
    return recount(asked.archive, key=asked.key, as_json=asked.json)


def recount(path: Path, *, key: str = "", as_json: bool = False) -> int:
    """Count the archive in this file again; returns the status to end with."""
    try:
        found = examine(path.read_bytes(), expected_key=key)
    except OSError as problem:
        sys.stderr.write(f"{path}: {problem.strerror}\n")
        return UNREADABLE
    except ToolMissing as problem:
        sys.stderr.write(f"{problem}\n")
        return UNREADABLE
    except Unreadable as problem:
        sys.stderr.write(f"{path} is no archive of a vote: {problem}\n")
        return UNREADABLE
    sys.stdout.write(_machine(found) if as_json else _paper(found))
    return FITS if found.fits else DOES_NOT_FIT


def _paper(found: Recount) -> str:
    vote, rule = found.content["vote"], found.content["vote"]["rule"]
    lines = [
        f"{found.content['community']}: {found.content['motion']['title']}",
        f"electorate  {vote['electorate']}, {'secret' if vote['is_secret'] else 'open'} ballot",
        f"rule        {rule['code']}: {rule['source']}",
        f"on the roll {_amount(found.roll, rule['is_by_area'])}",
        *(f"{choice:11} {_amount(found.tally[choice], rule['is_by_area'])}" for choice in CHOICES),
        f"quorum      {'reached' if found.has_quorum else 'missed'}",
        f"result      {'carried' if found.is_carried else 'not carried'}",
        f"signed by   {found.public_key}",
        "",
    ]
    for check in found.checks:
        detail = f" ({check.detail})" if check.detail else ""
        lines.append(f"[{'ok' if check.holds else 'NO'}] {NAMES[check.name]}{detail}")
    verdict = "Everything fits." if found.fits else "This archive does NOT fit."
    return "\n".join([*lines, "", verdict, ""])


def _amount(pair: tuple[int, int], is_by_area: bool) -> str:
    heads, area = pair
    return f"{heads} heads, {area / DM2_PER_M2:.2f} m²" if is_by_area else str(heads)


def _machine(found: Recount) -> str:
    shown = {
        "fits": found.fits,
        "tally": {choice: found.tally[choice] for choice in CHOICES},
        "roll": found.roll,
        "rule": found.content["vote"]["rule"],
        "has_quorum": found.has_quorum,
        "is_carried": found.is_carried,
        "public_key": found.public_key,
        "checks": {check.name: check.holds for check in found.checks},
    }
    return json.dumps(shown, ensure_ascii=False, indent=1) + "\n"
