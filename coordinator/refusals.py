"""How the office says no."""

from node.kernel.errors import DomainError


class OfficeMissing(DomainError):
    code = "office.missing"
    message = "{directory} is not an office. Say: linli-district init {directory} --name NAME"


class OfficeExists(DomainError):
    code = "office.exists"
    message = "{directory} holds an office already; nothing was changed."


class OfficeUnreadable(DomainError):
    code = "office.unreadable"
    message = "{path} cannot be used: {problem}"


class OfficeServing(DomainError):
    code = "office.serving"
    message = "Another process serves {directory} already."


class OfficeNotServing(DomainError):
    code = "office.not_serving"
    message = "Nobody serves {directory}. Start it with: linli-district serve {directory}"
    retryable = True


class AddressUnusable(DomainError):
    code = "office.address_unusable"
    message = "{address} cannot be listened on for {purpose}: {problem}"


class NoAddress(DomainError):
    code = "office.no_address"
    message = (
        "The office has never been served, so there is no address to invite to. Serve it first."
    )


class CommunityUnknown(DomainError):
    code = "office.community_unknown"
    message = "There is no community {community} here."


class CommunityIdUnusable(DomainError):
    code = "office.community_id_unusable"
    message = "{community} cannot be a community's id: 1-40 letters, digits and hyphens."


class CommunityRevoked(DomainError):
    code = "office.community_revoked"
    message = "Community {community} was revoked by the district's office."


class NothingToApprove(DomainError):
    code = "office.nothing_to_approve"
    message = "Community {community} has not sent its request yet."
    retryable = True


class InvitationUnknown(DomainError):
    code = "office.invitation_unknown"
    message = "The office does not know this invitation. Ask it for a new one."


class InvitationUsed(DomainError):
    code = "office.invitation_used"
    message = (
        "This invitation was used before, with other keys or another address. Ask for a new one."
    )


class InvitationExpired(DomainError):
    code = "office.invitation_expired"
    message = "This invitation was good until {expired_at}. Ask the office for a new one."


class ApplicationUnusable(DomainError):
    code = "office.application_unusable"
    message = "The request to join cannot be used: {problem}"


class SettlementKeyChanged(DomainError):
    code = "office.settlement_key_changed"
    message = "{community} is on the chain with another settlement key. Restore its keys folder."


class CertificateUnknown(DomainError):
    code = "office.certificate_unknown"
    message = "The certificate was not issued by this office, or is no longer valid."


class ModelUnknown(DomainError):
    code = "office.model_unknown"
    message = "There is no model {sha256} here."


class RoundUnknown(DomainError):
    code = "settlement.round_unknown"
    message = "There is no settlement round {round_id}."


class RoundOpen(DomainError):
    code = "settlement.round_open"
    message = "Settlement round {number} is still {state}."
    retryable = True


class RoundClosed(DomainError):
    code = "settlement.round_closed"
    message = "Settlement round {number} is {state}; this needs {needed}."


class PositionUnusable(DomainError):
    code = "settlement.position_unusable"
    message = "The position of {community} cannot be used: {problem}"


class PositionChanged(DomainError):
    code = "settlement.position_changed"
    message = "{community} has stated another position in round {number}."


class SignatureUnusable(DomainError):
    code = "settlement.signature_unusable"
    message = "The signature of {community} does not fit the batch of round {number}."


class RoundFailed(DomainError):
    code = "settlement.round_failed"
    message = "Settlement round {number} failed: {reason}"


class RoundTooSlow(DomainError):
    code = "settlement.round_too_slow"
    message = "Settlement round {number} is {state} after {seconds} s; the office goes on with it."
    retryable = True


class NoContract(DomainError):
    code = "settlement.no_contract"
    message = "No contract is deployed yet. Say: linli-district deploy {directory}"


class NotTheContract(DomainError):
    code = "settlement.not_the_contract"
    message = "The district does not settle with {address}, nor did it before {present}."


class ConsentUnusable(DomainError):
    code = "settlement.consent_unusable"
    message = "This consent to another settlement key cannot be used: {problem}"


class NoChain(DomainError):
    code = "settlement.no_chain"
    message = "This office has no chain. Say: linli-district init … --rpc URL"


class ChainTrouble(DomainError):
    code = "settlement.chain_trouble"
    message = "The chain ({code}): {reason}"
    retryable = True


class BundleUnknown(DomainError):
    code = "office.bundle_unknown"
    message = "There is no training app {sha256} here."


class TrainingBusy(DomainError):
    code = "office.training_busy"
    message = "Training run {run} is still going on."
    retryable = True


class TrainingRunFailed(DomainError):
    code = "office.training_failed"
    message = "Training run {run} failed: {reason}"


class TrainingRunTooSlow(DomainError):
    code = "office.training_too_slow"
    message = "Training run {run} is not done after {seconds} s; the office goes on with it."
    retryable = True


class ComparisonUnusable(DomainError):
    code = "training.comparison_unusable"
    message = "{file} is not the summary.json of a comparison: {problem}."
