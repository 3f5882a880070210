"""Communities that know each other's keys, as the district's directory makes them."""

from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federation.secagg.adverts import Identity
from node.forecast.identity import write_identity


def write_identities(directory: Path, communities: Sequence[str]) -> list[Path]:
    """An identity file for each community, as its own node would write it."""
    keys = {community: Ed25519PrivateKey.generate() for community in communities}
    members = {name: key.public_key().public_bytes_raw() for name, key in keys.items()}
    paths = []
    for community, key in keys.items():
        path = directory / community / "identity.json"
        path.parent.mkdir(parents=True)
        write_identity(path, community=community, signing_key=key, members=members)
        paths.append(path)
    return paths


def make_identities(directory: Path, communities: Sequence[str]) -> dict[str, Identity]:
    """The same, as the training program reads them."""
    paths = write_identities(directory, communities)
    return {name: Identity.load(path) for name, path in zip(communities, paths, strict=True)}
