"""One thread and the widest instructions for the engine's matrix products.

Two threads on two busy cores are ten times slower. And the library that multiplies, OpenBLAS, takes
a processor of AMD's that it does not know yet for one of ten years ago: half the speed.
"""

import os
from pathlib import Path

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped] # it has no types

CHOICE = "OPENBLAS_CORETYPE"  # read by the library once, while it is loaded
WIDE = "SkylakeX"  # its kernels for sixteen numbers at a time
NEEDED = frozenset({"avx512f", "avx512cd", "avx512dq", "avx512bw", "avx512vl"})
PROCESSOR = Path("/proc/cpuinfo")  # Linux; elsewhere the library's own choice stands


def prepare(processor: Path = PROCESSOR) -> None:
    """To be called before the first matrix product is compiled; whoever chose is not overruled."""
    if CHOICE not in os.environ and is_wide_amd(processor):
        os.environ[CHOICE] = WIDE
    import scipy.linalg.cython_blas  # type: ignore[import-untyped] # noqa: F401 # loads it now

    threadpool_limits(limits=1)


def is_wide_amd(processor: Path) -> bool:
    """Whether this is an AMD processor whose registers hold sixteen numbers."""
    try:
        lines = processor.read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    facts = dict(_fact(line) for line in lines)
    is_amd = facts.get("vendor_id") == "AuthenticAMD"
    return is_amd and set(facts.get("flags", "").split()) >= NEEDED


def _fact(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip(), value.strip()
