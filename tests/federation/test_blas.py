"""Which kernels are chosen, by the processor's own description."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from federation.blas import NEEDED, is_wide_amd

WIDE = " ".join(sorted(NEEDED | {"fma", "avx2"}))


@pytest.mark.parametrize(
    ("vendor", "flags", "is_wide"),
    [
        ("AuthenticAMD", WIDE, True),
        ("AuthenticAMD", WIDE.replace("avx512vl", ""), False),
        ("GenuineIntel", WIDE, False),  # whose processors the library knows
    ],
)
def test_only_an_amd_processor_with_all_instructions(
    tmp_path: Path, vendor: str, flags: str, is_wide: bool
) -> None:
    facts = tmp_path / "cpuinfo"
    facts.write_text(f"processor\t: 0\nvendor_id\t: {vendor}\nflags\t\t: {flags}\n\n")
    assert is_wide_amd(facts) is is_wide


def test_without_a_description_the_library_chooses(tmp_path: Path) -> None:
    assert not is_wide_amd(tmp_path / "none")


def test_the_engine_runs_in_one_thread_and_overrules_nobody() -> None:
    script = (
        "import json, os, federation.engine, threadpoolctl as t\n"
        "print(json.dumps([os.environ['OPENBLAS_CORETYPE'],"
        " [one['num_threads'] for one in t.threadpool_info()]]))"
    )
    chosen = {key: value for key, value in os.environ.items() if "NUM_THREADS" not in key}
    answer = subprocess.run(  # our own lines
        [sys.executable, "-c", script],
        env={**chosen, "OPENBLAS_CORETYPE": "Prescott"},
        capture_output=True,
        text=True,
        check=True,
    )
    kernels, threads = json.loads(answer.stdout)
    assert kernels == "Prescott"
    assert set(threads) == {1}
