"""How joining and belonging can go wrong, in words an operator can act on."""

from node.kernel.errors import DomainError


class AlreadyEnrolled(DomainError):
    code = "enrolment.already_enrolled"
    message = "{directory} belongs to the district already, as {community}; nothing was changed."


class InvitationUnreadable(DomainError):
    code = "enrolment.invitation_unreadable"
    message = "This is not a whole invitation ({problem}). Copy all of it, from linli1. to the end."


class PeerAddressUnusable(DomainError):
    code = "enrolment.peer_address_unusable"
    message = "{address} is not HOST:PORT, the address where neighbours reach this node."


class OfficeRefused(DomainError):
    code = "enrolment.office_refused"
    message = "The district's office refused ({reason}): {sentence}"


class OfficeUnreachable(DomainError):
    code = "enrolment.office_unreachable"
    message = "The district's office at {address} does not answer: {problem}"
    retryable = True


class ApprovalPending(DomainError):
    code = "enrolment.approval_pending"
    message = "The office has not approved {community} yet. Say the same again later to go on."
    retryable = True


class CertificateUnusable(DomainError):
    code = "enrolment.certificate_unusable"
    message = "The office sent a certificate that cannot be used: {problem}"


class CertificateExpired(DomainError):
    code = "enrolment.certificate_expired"
    message = (
        "The certificate of {community} ended on {expired_at}. "
        "Ask the office for a new invitation and join again."
    )


class DirectoryForged(DomainError):
    code = "enrolment.directory_forged"
    message = "A directory of communities came that the district's office has not signed."


class DirectoryOutdated(DomainError):
    code = "enrolment.directory_outdated"
    message = "A directory of version {version} came, and version {known} is known."


class KeyUnreadable(DomainError):
    code = "enrolment.key_unreadable"
    message = "The key {path} cannot be used: {problem}"


class StateUnreadable(DomainError):
    code = "enrolment.state_unreadable"
    message = "{path} cannot be used: {problem}. Restore it from a backup, or join again."
