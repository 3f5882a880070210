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
    __slots__ = ("message_id", "sender", "recipient", "sent_at", "in_reply_to", "present_pass", "request_capture", "release_pass", "propose_statement", "gift_order", "ask_headroom", "ask_reversal", "offer_reversal", "request_reversal", "decline_reversal", "open_dispute", "answer_dispute", "judge_dispute", "compare_receipts", "fetch_receipts", "pass_accepted", "receipt", "pass_released", "statement_agreed", "statement_differs", "gift_accepted", "headroom", "reversal_receipt", "noted", "receipts_compared", "refusal", "receipts_found")
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    SENDER_FIELD_NUMBER: _ClassVar[int]
    RECIPIENT_FIELD_NUMBER: _ClassVar[int]
    SENT_AT_FIELD_NUMBER: _ClassVar[int]
    IN_REPLY_TO_FIELD_NUMBER: _ClassVar[int]
    PRESENT_PASS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_CAPTURE_FIELD_NUMBER: _ClassVar[int]
    RELEASE_PASS_FIELD_NUMBER: _ClassVar[int]
    PROPOSE_STATEMENT_FIELD_NUMBER: _ClassVar[int]
    GIFT_ORDER_FIELD_NUMBER: _ClassVar[int]
    ASK_HEADROOM_FIELD_NUMBER: _ClassVar[int]
    ASK_REVERSAL_FIELD_NUMBER: _ClassVar[int]
    OFFER_REVERSAL_FIELD_NUMBER: _ClassVar[int]
    REQUEST_REVERSAL_FIELD_NUMBER: _ClassVar[int]
    DECLINE_REVERSAL_FIELD_NUMBER: _ClassVar[int]
    OPEN_DISPUTE_FIELD_NUMBER: _ClassVar[int]
    ANSWER_DISPUTE_FIELD_NUMBER: _ClassVar[int]
    JUDGE_DISPUTE_FIELD_NUMBER: _ClassVar[int]
    COMPARE_RECEIPTS_FIELD_NUMBER: _ClassVar[int]
    FETCH_RECEIPTS_FIELD_NUMBER: _ClassVar[int]
    PASS_ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    PASS_RELEASED_FIELD_NUMBER: _ClassVar[int]
    STATEMENT_AGREED_FIELD_NUMBER: _ClassVar[int]
    STATEMENT_DIFFERS_FIELD_NUMBER: _ClassVar[int]
    GIFT_ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    HEADROOM_FIELD_NUMBER: _ClassVar[int]
    REVERSAL_RECEIPT_FIELD_NUMBER: _ClassVar[int]
    NOTED_FIELD_NUMBER: _ClassVar[int]
    RECEIPTS_COMPARED_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    RECEIPTS_FOUND_FIELD_NUMBER: _ClassVar[int]
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
    gift_order: GiftOrder
    ask_headroom: AskHeadroom
    ask_reversal: AskReversal
    offer_reversal: OfferReversal
    request_reversal: RequestReversal
    decline_reversal: DeclineReversal
    open_dispute: OpenDispute
    answer_dispute: AnswerDispute
    judge_dispute: JudgeDispute
    compare_receipts: CompareReceipts
    fetch_receipts: FetchReceipts
    pass_accepted: PassAccepted
    receipt: Receipt
    pass_released: PassReleased
    statement_agreed: StatementAgreed
    statement_differs: StatementDiffers
    gift_accepted: GiftAccepted
    headroom: Headroom
    reversal_receipt: ReversalReceipt
    noted: Noted
    receipts_compared: ReceiptsCompared
    refusal: Refusal
    receipts_found: ReceiptsFound
    def __init__(self, message_id: _Optional[str] = ..., sender: _Optional[str] = ..., recipient: _Optional[str] = ..., sent_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., in_reply_to: _Optional[str] = ..., present_pass: _Optional[_Union[PresentPass, _Mapping]] = ..., request_capture: _Optional[_Union[RequestCapture, _Mapping]] = ..., release_pass: _Optional[_Union[ReleasePass, _Mapping]] = ..., propose_statement: _Optional[_Union[ProposeStatement, _Mapping]] = ..., gift_order: _Optional[_Union[GiftOrder, _Mapping]] = ..., ask_headroom: _Optional[_Union[AskHeadroom, _Mapping]] = ..., ask_reversal: _Optional[_Union[AskReversal, _Mapping]] = ..., offer_reversal: _Optional[_Union[OfferReversal, _Mapping]] = ..., request_reversal: _Optional[_Union[RequestReversal, _Mapping]] = ..., decline_reversal: _Optional[_Union[DeclineReversal, _Mapping]] = ..., open_dispute: _Optional[_Union[OpenDispute, _Mapping]] = ..., answer_dispute: _Optional[_Union[AnswerDispute, _Mapping]] = ..., judge_dispute: _Optional[_Union[JudgeDispute, _Mapping]] = ..., compare_receipts: _Optional[_Union[CompareReceipts, _Mapping]] = ..., fetch_receipts: _Optional[_Union[FetchReceipts, _Mapping]] = ..., pass_accepted: _Optional[_Union[PassAccepted, _Mapping]] = ..., receipt: _Optional[_Union[Receipt, _Mapping]] = ..., pass_released: _Optional[_Union[PassReleased, _Mapping]] = ..., statement_agreed: _Optional[_Union[StatementAgreed, _Mapping]] = ..., statement_differs: _Optional[_Union[StatementDiffers, _Mapping]] = ..., gift_accepted: _Optional[_Union[GiftAccepted, _Mapping]] = ..., headroom: _Optional[_Union[Headroom, _Mapping]] = ..., reversal_receipt: _Optional[_Union[ReversalReceipt, _Mapping]] = ..., noted: _Optional[_Union[Noted, _Mapping]] = ..., receipts_compared: _Optional[_Union[ReceiptsCompared, _Mapping]] = ..., refusal: _Optional[_Union[Refusal, _Mapping]] = ..., receipts_found: _Optional[_Union[ReceiptsFound, _Mapping]] = ..., **kwargs) -> None: ...

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

class GiftOrder(_message.Message):
    __slots__ = ("gift_id", "code", "minutes")
    GIFT_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    MINUTES_FIELD_NUMBER: _ClassVar[int]
    gift_id: str
    code: str
    minutes: int
    def __init__(self, gift_id: _Optional[str] = ..., code: _Optional[str] = ..., minutes: _Optional[int] = ...) -> None: ...

class GiftAccepted(_message.Message):
    __slots__ = ("gift_id", "minutes", "accepted_at")
    GIFT_ID_FIELD_NUMBER: _ClassVar[int]
    MINUTES_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_AT_FIELD_NUMBER: _ClassVar[int]
    gift_id: str
    minutes: int
    accepted_at: _timestamp_pb2.Timestamp
    def __init__(self, gift_id: _Optional[str] = ..., minutes: _Optional[int] = ..., accepted_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class AskHeadroom(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Headroom(_message.Message):
    __slots__ = ("minutes", "at")
    MINUTES_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    minutes: int
    at: _timestamp_pb2.Timestamp
    def __init__(self, minutes: _Optional[int] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class AskReversal(_message.Message):
    __slots__ = ("reversal_id", "exchange_id", "minutes")
    REVERSAL_ID_FIELD_NUMBER: _ClassVar[int]
    EXCHANGE_ID_FIELD_NUMBER: _ClassVar[int]
    MINUTES_FIELD_NUMBER: _ClassVar[int]
    reversal_id: str
    exchange_id: str
    minutes: int
    def __init__(self, reversal_id: _Optional[str] = ..., exchange_id: _Optional[str] = ..., minutes: _Optional[int] = ...) -> None: ...

class OfferReversal(_message.Message):
    __slots__ = ("reversal_id", "exchange_id", "minutes")
    REVERSAL_ID_FIELD_NUMBER: _ClassVar[int]
    EXCHANGE_ID_FIELD_NUMBER: _ClassVar[int]
    MINUTES_FIELD_NUMBER: _ClassVar[int]
    reversal_id: str
    exchange_id: str
    minutes: int
    def __init__(self, reversal_id: _Optional[str] = ..., exchange_id: _Optional[str] = ..., minutes: _Optional[int] = ...) -> None: ...

class RequestReversal(_message.Message):
    __slots__ = ("reversal_id", "exchange_id", "minutes")
    REVERSAL_ID_FIELD_NUMBER: _ClassVar[int]
    EXCHANGE_ID_FIELD_NUMBER: _ClassVar[int]
    MINUTES_FIELD_NUMBER: _ClassVar[int]
    reversal_id: str
    exchange_id: str
    minutes: int
    def __init__(self, reversal_id: _Optional[str] = ..., exchange_id: _Optional[str] = ..., minutes: _Optional[int] = ...) -> None: ...

class ReversalReceipt(_message.Message):
    __slots__ = ("reversal_id", "exchange_id", "debtor", "creditor", "minutes", "captured_at")
    REVERSAL_ID_FIELD_NUMBER: _ClassVar[int]
    EXCHANGE_ID_FIELD_NUMBER: _ClassVar[int]
    DEBTOR_FIELD_NUMBER: _ClassVar[int]
    CREDITOR_FIELD_NUMBER: _ClassVar[int]
    MINUTES_FIELD_NUMBER: _ClassVar[int]
    CAPTURED_AT_FIELD_NUMBER: _ClassVar[int]
    reversal_id: str
    exchange_id: str
    debtor: str
    creditor: str
    minutes: int
    captured_at: _timestamp_pb2.Timestamp
    def __init__(self, reversal_id: _Optional[str] = ..., exchange_id: _Optional[str] = ..., debtor: _Optional[str] = ..., creditor: _Optional[str] = ..., minutes: _Optional[int] = ..., captured_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class DeclineReversal(_message.Message):
    __slots__ = ("reversal_id", "exchange_id")
    REVERSAL_ID_FIELD_NUMBER: _ClassVar[int]
    EXCHANGE_ID_FIELD_NUMBER: _ClassVar[int]
    reversal_id: str
    exchange_id: str
    def __init__(self, reversal_id: _Optional[str] = ..., exchange_id: _Optional[str] = ...) -> None: ...

class OpenDispute(_message.Message):
    __slots__ = ("dispute_id", "exchange_id", "code", "minutes", "receipt")
    DISPUTE_ID_FIELD_NUMBER: _ClassVar[int]
    EXCHANGE_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    MINUTES_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    dispute_id: str
    exchange_id: str
    code: str
    minutes: int
    receipt: ReceiptLine
    def __init__(self, dispute_id: _Optional[str] = ..., exchange_id: _Optional[str] = ..., code: _Optional[str] = ..., minutes: _Optional[int] = ..., receipt: _Optional[_Union[ReceiptLine, _Mapping]] = ...) -> None: ...

class AnswerDispute(_message.Message):
    __slots__ = ("dispute_id", "code", "minutes", "receipt")
    DISPUTE_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    MINUTES_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    dispute_id: str
    code: str
    minutes: int
    receipt: ReceiptLine
    def __init__(self, dispute_id: _Optional[str] = ..., code: _Optional[str] = ..., minutes: _Optional[int] = ..., receipt: _Optional[_Union[ReceiptLine, _Mapping]] = ...) -> None: ...

class JudgeDispute(_message.Message):
    __slots__ = ("dispute_id", "minutes", "is_agreed")
    DISPUTE_ID_FIELD_NUMBER: _ClassVar[int]
    MINUTES_FIELD_NUMBER: _ClassVar[int]
    IS_AGREED_FIELD_NUMBER: _ClassVar[int]
    dispute_id: str
    minutes: int
    is_agreed: bool
    def __init__(self, dispute_id: _Optional[str] = ..., minutes: _Optional[int] = ..., is_agreed: _Optional[bool] = ...) -> None: ...

class Noted(_message.Message):
    __slots__ = ("about",)
    ABOUT_FIELD_NUMBER: _ClassVar[int]
    about: str
    def __init__(self, about: _Optional[str] = ...) -> None: ...

class ReceiptSummary(_message.Message):
    __slots__ = ("count", "minutes", "merkle_root")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    MINUTES_FIELD_NUMBER: _ClassVar[int]
    MERKLE_ROOT_FIELD_NUMBER: _ClassVar[int]
    count: int
    minutes: int
    merkle_root: bytes
    def __init__(self, count: _Optional[int] = ..., minutes: _Optional[int] = ..., merkle_root: _Optional[bytes] = ...) -> None: ...

class ReceiptLine(_message.Message):
    __slots__ = ("id", "kind", "debtor", "creditor", "minutes", "captured_at", "refers_to", "pass_id")
    ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    DEBTOR_FIELD_NUMBER: _ClassVar[int]
    CREDITOR_FIELD_NUMBER: _ClassVar[int]
    MINUTES_FIELD_NUMBER: _ClassVar[int]
    CAPTURED_AT_FIELD_NUMBER: _ClassVar[int]
    REFERS_TO_FIELD_NUMBER: _ClassVar[int]
    PASS_ID_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    kind: str
    debtor: str
    creditor: str
    minutes: int
    captured_at: _timestamp_pb2.Timestamp
    refers_to: bytes
    pass_id: bytes
    def __init__(self, id: _Optional[bytes] = ..., kind: _Optional[str] = ..., debtor: _Optional[str] = ..., creditor: _Optional[str] = ..., minutes: _Optional[int] = ..., captured_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., refers_to: _Optional[bytes] = ..., pass_id: _Optional[bytes] = ...) -> None: ...

class CompareReceipts(_message.Message):
    __slots__ = ("day", "we_owe", "you_owe", "after")
    DAY_FIELD_NUMBER: _ClassVar[int]
    WE_OWE_FIELD_NUMBER: _ClassVar[int]
    YOU_OWE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    day: int
    we_owe: ReceiptSummary
    you_owe: ReceiptSummary
    after: bytes
    def __init__(self, day: _Optional[int] = ..., we_owe: _Optional[_Union[ReceiptSummary, _Mapping]] = ..., you_owe: _Optional[_Union[ReceiptSummary, _Mapping]] = ..., after: _Optional[bytes] = ...) -> None: ...

class ReceiptsCompared(_message.Message):
    __slots__ = ("day", "we_owe", "you_owe", "lines", "is_cut")
    DAY_FIELD_NUMBER: _ClassVar[int]
    WE_OWE_FIELD_NUMBER: _ClassVar[int]
    YOU_OWE_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    IS_CUT_FIELD_NUMBER: _ClassVar[int]
    day: int
    we_owe: ReceiptSummary
    you_owe: ReceiptSummary
    lines: _containers.RepeatedCompositeFieldContainer[ReceiptLine]
    is_cut: bool
    def __init__(self, day: _Optional[int] = ..., we_owe: _Optional[_Union[ReceiptSummary, _Mapping]] = ..., you_owe: _Optional[_Union[ReceiptSummary, _Mapping]] = ..., lines: _Optional[_Iterable[_Union[ReceiptLine, _Mapping]]] = ..., is_cut: _Optional[bool] = ...) -> None: ...

class FetchReceipts(_message.Message):
    __slots__ = ("ids",)
    IDS_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, ids: _Optional[_Iterable[bytes]] = ...) -> None: ...

class ReceiptsFound(_message.Message):
    __slots__ = ("lines", "proofs")
    LINES_FIELD_NUMBER: _ClassVar[int]
    PROOFS_FIELD_NUMBER: _ClassVar[int]
    lines: _containers.RepeatedCompositeFieldContainer[ReceiptLine]
    proofs: _containers.RepeatedCompositeFieldContainer[Signed]
    def __init__(self, lines: _Optional[_Iterable[_Union[ReceiptLine, _Mapping]]] = ..., proofs: _Optional[_Iterable[_Union[Signed, _Mapping]]] = ...) -> None: ...

class Refusal(_message.Message):
    __slots__ = ("code", "detail")
    CODE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    code: str
    detail: str
    def __init__(self, code: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...
