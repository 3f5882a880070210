import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DeliverRequest(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[Signed]
    def __init__(self, items: _Optional[_Iterable[_Union[Signed, _Mapping]]] = ...) -> None: ...

class DeliverResponse(_message.Message):
    __slots__ = ("answers",)
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    answers: _containers.RepeatedCompositeFieldContainer[Signed]
    def __init__(self, answers: _Optional[_Iterable[_Union[Signed, _Mapping]]] = ...) -> None: ...

class Signed(_message.Message):
    __slots__ = ("payload", "signature")
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    payload: bytes
    signature: bytes
    def __init__(self, payload: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class Message(_message.Message):
    __slots__ = ("message_id", "sender", "recipient", "sent_at", "in_reply_to", "present_pass", "request_capture", "release_pass", "propose_statement", "pass_accepted", "receipt", "pass_released", "statement_agreed", "statement_differs", "refusal")
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    SENDER_FIELD_NUMBER: _ClassVar[int]
    RECIPIENT_FIELD_NUMBER: _ClassVar[int]
    SENT_AT_FIELD_NUMBER: _ClassVar[int]
    IN_REPLY_TO_FIELD_NUMBER: _ClassVar[int]
    PRESENT_PASS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_CAPTURE_FIELD_NUMBER: _ClassVar[int]
    RELEASE_PASS_FIELD_NUMBER: _ClassVar[int]
    PROPOSE_STATEMENT_FIELD_NUMBER: _ClassVar[int]
    PASS_ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    PASS_RELEASED_FIELD_NUMBER: _ClassVar[int]
    STATEMENT_AGREED_FIELD_NUMBER: _ClassVar[int]
    STATEMENT_DIFFERS_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    PASS_FIELD_NUMBER: _ClassVar[int]
    message_id: str
    sender: str
    recipient: str
    sent_at: _timestamp_pb2.Timestamp
    in_reply_to: str
    present_pass: PresentPass
    request_capture: RequestCapture
    release_pass: ReleasePass
    propose_statement: ProposeStatement
    pass_accepted: PassAccepted
    receipt: Receipt
    pass_released: PassReleased
    statement_agreed: StatementAgreed
    statement_differs: StatementDiffers
    refusal: Refusal
    def __init__(self, message_id: _Optional[str] = ..., sender: _Optional[str] = ..., recipient: _Optional[str] = ..., sent_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., in_reply_to: _Optional[str] = ..., present_pass: _Optional[_Union[PresentPass, _Mapping]] = ..., request_capture: _Optional[_Union[RequestCapture, _Mapping]] = ..., release_pass: _Optional[_Union[ReleasePass, _Mapping]] = ..., propose_statement: _Optional[_Union[ProposeStatement, _Mapping]] = ..., pass_accepted: _Optional[_Union[PassAccepted, _Mapping]] = ..., receipt: _Optional[_Union[Receipt, _Mapping]] = ..., pass_released: _Optional[_Union[PassReleased, _Mapping]] = ..., statement_agreed: _Optional[_Union[StatementAgreed, _Mapping]] = ..., statement_differs: _Optional[_Union[StatementDiffers, _Mapping]] = ..., refusal: _Optional[_Union[Refusal, _Mapping]] = ..., **kwargs) -> None: ...

class Pass(_message.Message):
    __slots__ = ("pass_id", "host", "minutes_up_to", "expires_at", "code")
    PASS_ID_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    MINUTES_UP_TO_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    pass_id: str
    host: str
    minutes_up_to: int
    expires_at: _timestamp_pb2.Timestamp
    code: str
    def __init__(self, pass_id: _Optional[str] = ..., host: _Optional[str] = ..., minutes_up_to: _Optional[int] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., code: _Optional[str] = ...) -> None: ...

class PresentPass(_message.Message):
    __slots__ = ("exchange_id", "code")
    EXCHANGE_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    exchange_id: str
    code: str
    def __init__(self, exchange_id: _Optional[str] = ..., code: _Optional[str] = ...) -> None: ...

class PassAccepted(_message.Message):
    __slots__ = ("exchange_id", "pass_id", "minutes_up_to", "capture_until")
    EXCHANGE_ID_FIELD_NUMBER: _ClassVar[int]
    PASS_ID_FIELD_NUMBER: _ClassVar[int]
    MINUTES_UP_TO_FIELD_NUMBER: _ClassVar[int]
    CAPTURE_UNTIL_FIELD_NUMBER: _ClassVar[int]
    exchange_id: str
    pass_id: str
    minutes_up_to: int
    capture_until: _timestamp_pb2.Timestamp
    def __init__(self, exchange_id: _Optional[str] = ..., pass_id: _Optional[str] = ..., minutes_up_to: _Optional[int] = ..., capture_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class RequestCapture(_message.Message):
    __slots__ = ("exchange_id", "pass_id", "minutes")
    EXCHANGE_ID_FIELD_NUMBER: _ClassVar[int]
    PASS_ID_FIELD_NUMBER: _ClassVar[int]
    MINUTES_FIELD_NUMBER: _ClassVar[int]
    exchange_id: str
    pass_id: str
    minutes: int
    def __init__(self, exchange_id: _Optional[str] = ..., pass_id: _Optional[str] = ..., minutes: _Optional[int] = ...) -> None: ...

class Receipt(_message.Message):
    __slots__ = ("exchange_id", "pass_id", "home", "host", "minutes", "captured_at")
    EXCHANGE_ID_FIELD_NUMBER: _ClassVar[int]
    PASS_ID_FIELD_NUMBER: _ClassVar[int]
    HOME_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    MINUTES_FIELD_NUMBER: _ClassVar[int]
    CAPTURED_AT_FIELD_NUMBER: _ClassVar[int]
    exchange_id: str
    pass_id: str
    home: str
    host: str
    minutes: int
    captured_at: _timestamp_pb2.Timestamp
    def __init__(self, exchange_id: _Optional[str] = ..., pass_id: _Optional[str] = ..., home: _Optional[str] = ..., host: _Optional[str] = ..., minutes: _Optional[int] = ..., captured_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ReleasePass(_message.Message):
    __slots__ = ("exchange_id", "pass_id")
    EXCHANGE_ID_FIELD_NUMBER: _ClassVar[int]
    PASS_ID_FIELD_NUMBER: _ClassVar[int]
    exchange_id: str
    pass_id: str
    def __init__(self, exchange_id: _Optional[str] = ..., pass_id: _Optional[str] = ...) -> None: ...

class PassReleased(_message.Message):
    __slots__ = ("exchange_id",)
    EXCHANGE_ID_FIELD_NUMBER: _ClassVar[int]
    exchange_id: str
    def __init__(self, exchange_id: _Optional[str] = ...) -> None: ...

class Statement(_message.Message):
    __slots__ = ("statement_id", "debtor", "creditor", "count", "minutes", "merkle_root", "exchange_ids")
    STATEMENT_ID_FIELD_NUMBER: _ClassVar[int]
    DEBTOR_FIELD_NUMBER: _ClassVar[int]
    CREDITOR_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    MINUTES_FIELD_NUMBER: _ClassVar[int]
    MERKLE_ROOT_FIELD_NUMBER: _ClassVar[int]
    EXCHANGE_IDS_FIELD_NUMBER: _ClassVar[int]
    statement_id: str
    debtor: str
    creditor: str
    count: int
    minutes: int
    merkle_root: bytes
    exchange_ids: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, statement_id: _Optional[str] = ..., debtor: _Optional[str] = ..., creditor: _Optional[str] = ..., count: _Optional[int] = ..., minutes: _Optional[int] = ..., merkle_root: _Optional[bytes] = ..., exchange_ids: _Optional[_Iterable[bytes]] = ...) -> None: ...

class ProposeStatement(_message.Message):
    __slots__ = ("statement", "debtor_signature")
    STATEMENT_FIELD_NUMBER: _ClassVar[int]
    DEBTOR_SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    statement: bytes
    debtor_signature: bytes
    def __init__(self, statement: _Optional[bytes] = ..., debtor_signature: _Optional[bytes] = ...) -> None: ...

class StatementAgreed(_message.Message):
    __slots__ = ("statement_id", "creditor_signature")
    STATEMENT_ID_FIELD_NUMBER: _ClassVar[int]
    CREDITOR_SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    statement_id: str
    creditor_signature: bytes
    def __init__(self, statement_id: _Optional[str] = ..., creditor_signature: _Optional[bytes] = ...) -> None: ...

class StatementDiffers(_message.Message):
    __slots__ = ("statement_id", "missing")
    STATEMENT_ID_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    statement_id: str
    missing: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, statement_id: _Optional[str] = ..., missing: _Optional[_Iterable[bytes]] = ...) -> None: ...

class Refusal(_message.Message):
    __slots__ = ("code", "detail")
    CODE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    code: str
    detail: str
    def __init__(self, code: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...
