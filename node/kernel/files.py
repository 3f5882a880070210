"""Files that are either whole or not there, and secrets that only their owner reads."""

import os
import secrets
from pathlib import Path

PRIVATE_FILE_MODE = 0o600
PUBLIC_FILE_MODE = 0o644
PRIVATE_FOLDER_MODE = 0o700


def write_file(path: Path, content: bytes, *, is_private: bool = False) -> None:
    """Replace a file in one step: after a crash it is the old one or the new one."""
    beside = _written_beside(path, content, is_private=is_private)
    beside.replace(path)
    _sync_folder(path.parent)


def write_new_file(path: Path, content: bytes, *, is_private: bool = False) -> bool:
    """Write a file that must not exist; False, and nothing changed, if it does."""
    beside = _written_beside(path, content, is_private=is_private)
    try:
        path.hardlink_to(beside)  # unlike a rename, a link never replaces what is there
    except FileExistsError:
        return False
    finally:
        beside.unlink()
        _sync_folder(path.parent)
    return True


def private_folder(path: Path) -> Path:
    """The folder, made if needed, closed to everybody else."""
    path.mkdir(mode=PRIVATE_FOLDER_MODE, parents=True, exist_ok=True)
    return path


def _written_beside(path: Path, content: bytes, *, is_private: bool) -> Path:
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    mode = PRIVATE_FILE_MODE if is_private else PUBLIC_FILE_MODE
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return beside


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
