import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RoundState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROUND_STATE_UNSPECIFIED: _ClassVar[RoundState]
    ROUND_STATE_COLLECTING: _ClassVar[RoundState]
    ROUND_STATE_SIGNING: _ClassVar[RoundState]
    ROUND_STATE_SENDING: _ClassVar[RoundState]
    ROUND_STATE_SETTLED: _ClassVar[RoundState]
    ROUND_STATE_EMPTY: _ClassVar[RoundState]
    ROUND_STATE_FAILED: _ClassVar[RoundState]
ROUND_STATE_UNSPECIFIED: RoundState
ROUND_STATE_COLLECTING: RoundState
ROUND_STATE_SIGNING: RoundState
ROUND_STATE_SENDING: RoundState
ROUND_STATE_SETTLED: RoundState
ROUND_STATE_EMPTY: RoundState
ROUND_STATE_FAILED: RoundState

class JoinRequest(_message.Message):
    __slots__ = ("application", "signature", "settlement_proof")
    APPLICATION_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    SETTLEMENT_PROOF_FIELD_NUMBER: _ClassVar[int]
    application: bytes
    signature: bytes
    settlement_proof: bytes
    def __init__(self, application: _Optional[bytes] = ..., signature: _Optional[bytes] = ..., settlement_proof: _Optional[bytes] = ...) -> None: ...

class JoinApplication(_message.Message):
    __slots__ = ("invitation_secret", "community_id", "csr_pem", "signing_public_key", "settlement_public_key", "settlement_address", "flower_public_key", "peer_address")
    INVITATION_SECRET_FIELD_NUMBER: _ClassVar[int]
    COMMUNITY_ID_FIELD_NUMBER: _ClassVar[int]
    CSR_PEM_FIELD_NUMBER: _ClassVar[int]
    SIGNING_PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    SETTLEMENT_PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    SETTLEMENT_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    FLOWER_PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    PEER_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    invitation_secret: str
    community_id: str
    csr_pem: str
    signing_public_key: bytes
    settlement_public_key: bytes
    settlement_address: bytes
    flower_public_key: str
    peer_address: str
    def __init__(self, invitation_secret: _Optional[str] = ..., community_id: _Optional[str] = ..., csr_pem: _Optional[str] = ..., signing_public_key: _Optional[bytes] = ..., settlement_public_key: _Optional[bytes] = ..., settlement_address: _Optional[bytes] = ..., flower_public_key: _Optional[str] = ..., peer_address: _Optional[str] = ...) -> None: ...

class JoinStatusRequest(_message.Message):
    __slots__ = ("invitation_secret", "community_id")
    INVITATION_SECRET_FIELD_NUMBER: _ClassVar[int]
    COMMUNITY_ID_FIELD_NUMBER: _ClassVar[int]
    invitation_secret: str
    community_id: str
    def __init__(self, invitation_secret: _Optional[str] = ..., community_id: _Optional[str] = ...) -> None: ...

class JoinReply(_message.Message):
    __slots__ = ("waiting", "approval")
    WAITING_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_FIELD_NUMBER: _ClassVar[int]
    waiting: Waiting
    approval: Approval
    def __init__(self, waiting: _Optional[_Union[Waiting, _Mapping]] = ..., approval: _Optional[_Union[Approval, _Mapping]] = ...) -> None: ...

class Waiting(_message.Message):
    __slots__ = ("ask_again_ms",)
    ASK_AGAIN_MS_FIELD_NUMBER: _ClassVar[int]
    ask_again_ms: int
    def __init__(self, ask_again_ms: _Optional[int] = ...) -> None: ...

class Approval(_message.Message):
    __slots__ = ("certificate_pem", "ca_pem", "directory")
    CERTIFICATE_PEM_FIELD_NUMBER: _ClassVar[int]
    CA_PEM_FIELD_NUMBER: _ClassVar[int]
    DIRECTORY_FIELD_NUMBER: _ClassVar[int]
    certificate_pem: str
    ca_pem: str
    directory: SignedDirectory
    def __init__(self, certificate_pem: _Optional[str] = ..., ca_pem: _Optional[str] = ..., directory: _Optional[_Union[SignedDirectory, _Mapping]] = ...) -> None: ...

class RenewRequest(_message.Message):
    __slots__ = ("csr_pem",)
    CSR_PEM_FIELD_NUMBER: _ClassVar[int]
    csr_pem: str
    def __init__(self, csr_pem: _Optional[str] = ...) -> None: ...

class RenewReply(_message.Message):
    __slots__ = ("certificate_pem", "ca_pem")
    CERTIFICATE_PEM_FIELD_NUMBER: _ClassVar[int]
    CA_PEM_FIELD_NUMBER: _ClassVar[int]
    certificate_pem: str
    ca_pem: str
    def __init__(self, certificate_pem: _Optional[str] = ..., ca_pem: _Optional[str] = ...) -> None: ...

class GetDirectoryRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SignedDirectory(_message.Message):
    __slots__ = ("payload", "signature")
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    payload: bytes
    signature: bytes
    def __init__(self, payload: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class Directory(_message.Message):
    __slots__ = ("district", "version", "issued_at", "members", "contract_address", "chain_id", "member_address", "superlink_address")
    DISTRICT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ISSUED_AT_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    CONTRACT_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    CHAIN_ID_FIELD_NUMBER: _ClassVar[int]
    MEMBER_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    SUPERLINK_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    district: str
    version: int
    issued_at: _timestamp_pb2.Timestamp
    members: _containers.RepeatedCompositeFieldContainer[Member]
    contract_address: str
    chain_id: int
    member_address: str
    superlink_address: str
    def __init__(self, district: _Optional[str] = ..., version: _Optional[int] = ..., issued_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., members: _Optional[_Iterable[_Union[Member, _Mapping]]] = ..., contract_address: _Optional[str] = ..., chain_id: _Optional[int] = ..., member_address: _Optional[str] = ..., superlink_address: _Optional[str] = ...) -> None: ...

class Member(_message.Message):
    __slots__ = ("community_id", "name", "number", "peer_address", "signing_public_key", "settlement_address", "is_revoked")
    COMMUNITY_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    PEER_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    SIGNING_PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    SETTLEMENT_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    IS_REVOKED_FIELD_NUMBER: _ClassVar[int]
    community_id: str
    name: str
    number: int
    peer_address: str
    signing_public_key: bytes
    settlement_address: bytes
    is_revoked: bool
    def __init__(self, community_id: _Optional[str] = ..., name: _Optional[str] = ..., number: _Optional[int] = ..., peer_address: _Optional[str] = ..., signing_public_key: _Optional[bytes] = ..., settlement_address: _Optional[bytes] = ..., is_revoked: _Optional[bool] = ...) -> None: ...

class HeartbeatRequest(_message.Message):
    __slots__ = ("directory_version", "model_sha256", "adopted_arm", "errors", "data_from", "data_to")
    DIRECTORY_VERSION_FIELD_NUMBER: _ClassVar[int]
    MODEL_SHA256_FIELD_NUMBER: _ClassVar[int]
    ADOPTED_ARM_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    DATA_FROM_FIELD_NUMBER: _ClassVar[int]
    DATA_TO_FIELD_NUMBER: _ClassVar[int]
    directory_version: int
    model_sha256: str
    adopted_arm: str
    errors: _containers.RepeatedCompositeFieldContainer[ArmError]
    data_from: str
    data_to: str
    def __init__(self, directory_version: _Optional[int] = ..., model_sha256: _Optional[str] = ..., adopted_arm: _Optional[str] = ..., errors: _Optional[_Iterable[_Union[ArmError, _Mapping]]] = ..., data_from: _Optional[str] = ..., data_to: _Optional[str] = ...) -> None: ...

class ArmError(_message.Message):
    __slots__ = ("arm", "total_mae")
    ARM_FIELD_NUMBER: _ClassVar[int]
    TOTAL_MAE_FIELD_NUMBER: _ClassVar[int]
    arm: str
    total_mae: float
    def __init__(self, arm: _Optional[str] = ..., total_mae: _Optional[float] = ...) -> None: ...

class HeartbeatReply(_message.Message):
    __slots__ = ("directory_version", "model_sha256", "superlink_address", "round", "bundle_sha256")
    DIRECTORY_VERSION_FIELD_NUMBER: _ClassVar[int]
    MODEL_SHA256_FIELD_NUMBER: _ClassVar[int]
    SUPERLINK_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_SHA256_FIELD_NUMBER: _ClassVar[int]
    directory_version: int
    model_sha256: str
    superlink_address: str
    round: RoundNotice
    bundle_sha256: str
    def __init__(self, directory_version: _Optional[int] = ..., model_sha256: _Optional[str] = ..., superlink_address: _Optional[str] = ..., round: _Optional[_Union[RoundNotice, _Mapping]] = ..., bundle_sha256: _Optional[str] = ...) -> None: ...

class RoundNotice(_message.Message):
    __slots__ = ("round_id", "number", "state", "closes_at", "has_position", "has_signature", "needs_signature", "transaction_hash")
    ROUND_ID_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CLOSES_AT_FIELD_NUMBER: _ClassVar[int]
    HAS_POSITION_FIELD_NUMBER: _ClassVar[int]
    HAS_SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    NEEDS_SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_HASH_FIELD_NUMBER: _ClassVar[int]
    round_id: bytes
    number: int
    state: RoundState
    closes_at: _timestamp_pb2.Timestamp
    has_position: bool
    has_signature: bool
    needs_signature: bool
    transaction_hash: bytes
    def __init__(self, round_id: _Optional[bytes] = ..., number: _Optional[int] = ..., state: _Optional[_Union[RoundState, str]] = ..., closes_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., has_position: _Optional[bool] = ..., has_signature: _Optional[bool] = ..., needs_signature: _Optional[bool] = ..., transaction_hash: _Optional[bytes] = ...) -> None: ...

class GetModelRequest(_message.Message):
    __slots__ = ("sha256",)
    SHA256_FIELD_NUMBER: _ClassVar[int]
    sha256: str
    def __init__(self, sha256: _Optional[str] = ...) -> None: ...

class GetModelReply(_message.Message):
    __slots__ = ("model", "card_json")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CARD_JSON_FIELD_NUMBER: _ClassVar[int]
    model: bytes
    card_json: str
    def __init__(self, model: _Optional[bytes] = ..., card_json: _Optional[str] = ...) -> None: ...

class GetBundleRequest(_message.Message):
    __slots__ = ("sha256",)
    SHA256_FIELD_NUMBER: _ClassVar[int]
    sha256: str
    def __init__(self, sha256: _Optional[str] = ...) -> None: ...

class GetBundleReply(_message.Message):
    __slots__ = ("bundle",)
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    bundle: bytes
    def __init__(self, bundle: _Optional[bytes] = ...) -> None: ...

class SignedStatement(_message.Message):
    __slots__ = ("payload", "debtor_signature", "creditor_signature")
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    DEBTOR_SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    CREDITOR_SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    payload: bytes
    debtor_signature: bytes
    creditor_signature: bytes
    def __init__(self, payload: _Optional[bytes] = ..., debtor_signature: _Optional[bytes] = ..., creditor_signature: _Optional[bytes] = ...) -> None: ...

class SubmitPositionRequest(_message.Message):
    __slots__ = ("round_id", "ledger_head", "statements")
    ROUND_ID_FIELD_NUMBER: _ClassVar[int]
    LEDGER_HEAD_FIELD_NUMBER: _ClassVar[int]
    STATEMENTS_FIELD_NUMBER: _ClassVar[int]
    round_id: bytes
    ledger_head: bytes
    statements: _containers.RepeatedCompositeFieldContainer[SignedStatement]
    def __init__(self, round_id: _Optional[bytes] = ..., ledger_head: _Optional[bytes] = ..., statements: _Optional[_Iterable[_Union[SignedStatement, _Mapping]]] = ...) -> None: ...

class SubmitPositionReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetBatchRequest(_message.Message):
    __slots__ = ("round_id",)
    ROUND_ID_FIELD_NUMBER: _ClassVar[int]
    round_id: bytes
    def __init__(self, round_id: _Optional[bytes] = ...) -> None: ...

class BatchProposal(_message.Message):
    __slots__ = ("round_id", "merkle_root", "deadline", "entries", "statements")
    ROUND_ID_FIELD_NUMBER: _ClassVar[int]
    MERKLE_ROOT_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    STATEMENTS_FIELD_NUMBER: _ClassVar[int]
    round_id: bytes
    merkle_root: bytes
    deadline: int
    entries: _containers.RepeatedCompositeFieldContainer[BatchEntry]
    statements: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, round_id: _Optional[bytes] = ..., merkle_root: _Optional[bytes] = ..., deadline: _Optional[int] = ..., entries: _Optional[_Iterable[_Union[BatchEntry, _Mapping]]] = ..., statements: _Optional[_Iterable[bytes]] = ...) -> None: ...

class BatchEntry(_message.Message):
    __slots__ = ("number", "delta_minutes", "sequence", "ledger_head")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    DELTA_MINUTES_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LEDGER_HEAD_FIELD_NUMBER: _ClassVar[int]
    number: int
    delta_minutes: int
    sequence: int
    ledger_head: bytes
    def __init__(self, number: _Optional[int] = ..., delta_minutes: _Optional[int] = ..., sequence: _Optional[int] = ..., ledger_head: _Optional[bytes] = ...) -> None: ...

class SubmitSignatureRequest(_message.Message):
    __slots__ = ("round_id", "signature")
    ROUND_ID_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    round_id: bytes
    signature: bytes
    def __init__(self, round_id: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class SubmitSignatureReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
