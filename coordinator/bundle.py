"""The app that nodes are asked to run, ready to be read, approved and sent.

It is built by a program of its own (federation/bundle.py): the office imports neither Flower nor
the forecaster.
"""

import asyncio
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from node.kernel.errors import DomainError
from node.kernel.files import private_folder, write_file
from node.kernel.process import bare_environment, tied_to_parent

BUILD_SECONDS = 60.0
HASH = re.compile(r"[0-9a-f]{64}")
REASON_CHARACTERS_MAX = 300


class BundleNotBuilt(DomainError):
    code = "training.bundle_not_built"
    message = "The training app could not be put together: {reason}"


@dataclass(frozen=True)
class Bundle:
    """The same sources give the same bytes, and so the same hash."""

    folder: Path  # the sources, to read
    file: Path  # the very bytes that nodes are sent
    sha256: str


async def build_bundle(directory: Path) -> Bundle:
    """Build it anew from what is installed here; what lay there before is replaced."""
    folder, file = private_folder(directory) / "app", directory / "app.fab"
    program = [sys.executable, "-m", "federation.bundle", str(folder), str(file)]
    process = await asyncio.create_subprocess_exec(
        *tied_to_parent(program),
        env=bare_environment(directory, FLWR_TELEMETRY_ENABLED="0", FLWR_DISABLE_UPDATE_CHECK="1"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(BUILD_SECONDS):
            said, errors = await process.communicate()
    except TimeoutError as error:
        raise BundleNotBuilt(reason=f"it took more than {BUILD_SECONDS:.0f} s") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        reason = errors.decode(errors="replace").strip()[-REASON_CHARACTERS_MAX:]
        raise BundleNotBuilt(reason=reason or "its program failed")
    return Bundle(folder, file, str(json.loads(said)["sha256"]))


def publish(bundle: Bundle, bundles: Path) -> None:
    """Keep the bytes under their hash, where operators can have them before they are asked."""
    private_folder(bundles)
    if not bundle_path(bundles, bundle.sha256).exists():
        write_file(bundle_path(bundles, bundle.sha256), bundle.file.read_bytes())


def bundle_path(bundles: Path, sha256: str) -> Path:
    """Where a published bundle lies."""
    return bundles / f"{sha256}.fab"


def is_hash(text: str) -> bool:
    """Whether this can be the name of a bundle, and of nothing else in a folder."""
    return HASH.fullmatch(text) is not None
