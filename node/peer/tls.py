"""mTLS between communities: credentials from the node's certificate, and who is calling."""

from dataclasses import dataclass
from typing import Any

import grpc

SPIFFE_PREFIX = "linli:community:"


@dataclass(frozen=True)
class TlsMaterial:
    """PEM bytes: our key and certificate, and the district's authority."""

    private_key: bytes
    certificate: bytes
    authority: bytes


def server_credentials(material: TlsMaterial) -> grpc.ServerCredentials:
    """Callers must show a certificate of the district's authority."""
    return grpc.ssl_server_credentials(
        [(material.private_key, material.certificate)],
        root_certificates=material.authority,
        require_client_auth=True,
    )


def channel_credentials(material: TlsMaterial) -> grpc.ChannelCredentials:
    """We show ours, and accept only the authority's."""
    return grpc.ssl_channel_credentials(
        root_certificates=material.authority,
        private_key=material.private_key,
        certificate_chain=material.certificate,
    )


def caller_community(context: grpc.aio.ServicerContext[Any, Any]) -> str | None:
    """The community in the caller's certificate; None where it names none."""
    names = context.auth_context().get("x509_subject_alternative_name", ())
    for name in names:
        text = bytes(name).decode("ascii", "replace")
        if text.startswith(SPIFFE_PREFIX):
            return text.removeprefix(SPIFFE_PREFIX)
    return None
