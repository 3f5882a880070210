"""Who this node is in training: a key that may sign for it there, and nowhere else.

The training program is code that came from the office, so it is never shown the key that signs
messages between communities. That key vouches for a training key instead, which is written, with
the other communities' public keys, to a file beside the training export.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from node.kernel.files import private_folder, write_file

IDENTITY_FILE = "identity.json"
DELEGATION = b"linli/training-key/v1\0"  # the same words as in federation/secagg/adverts.py


def write_identity(
    path: Path,
    *,
    community: str,
    signing_key: Ed25519PrivateKey,
    members: Mapping[str, bytes],
) -> None:
    """Write a fresh training key with what vouches for it, and whom this node takes for members."""
    training_key = Ed25519PrivateKey.generate()
    public_key = training_key.public_key().public_bytes_raw()
    content = {
        "community": community,
        "training_seed": training_key.private_bytes_raw().hex(),
        "delegation": signing_key.sign(DELEGATION + community.encode() + b"\0" + public_key).hex(),
        "members": {name: key.hex() for name, key in sorted(members.items())},
    }
    private_folder(path.parent)
    write_file(path, json.dumps(content).encode(), is_private=True)
