"""Notices to the community's own gateway for SMS and WeChat: one signed POST for each message.

    POST <url>
    Content-Type: application/json
    Idempotency-Key: <id>                    the same message again carries the same id
    Linli-Timestamp: <seconds since 1970>    refuse what is older than five minutes
    Linli-Signature: sha256=<hex>            HMAC-SHA256(secret, timestamp + "." + body)

    {"id": "…", "channel": "sms", "to": "13900000001", "text": "…"}

Any 2xx answer means taken. 408, 425, 429 and 5xx are tried again; other answers are final.
"""

import http.client
import json
import urllib.error
import urllib.request
from typing import Any

from node.kernel.ports import Clock
from node.notices.rules import signature
from node.notices.sending import Failed, Message
from node.notices.settings import Webhook

TRY_AGAIN = frozenset({408, 425, 429})


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect would carry an address to somebody whom the operator did not name."""

    def redirect_request(self, *_arguments: Any, **_named: Any) -> None:
        return None


class WebhookSender:
    """Hands each message to the gateway that the operator named."""

    def __init__(self, settings: Webhook, *, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._opener = urllib.request.build_opener(_NoRedirects)

    def send(self, message: Message) -> None:
        """One POST; its answer's status decides."""
        body = json.dumps(
            {
                "id": str(message.id),
                "channel": message.channel.value,
                "to": message.address,
                "text": message.text,
            },
            ensure_ascii=False,
        ).encode()
        timestamp = str(int(self._clock.now().timestamp()))
        signed = signature(self._settings.secret.encode(), timestamp=timestamp, body=body)
        request = urllib.request.Request(  # noqa: S310 (settings.load took http and https alone)
            self._settings.url,
            data=body,
            headers={
                "Content-Type": "application/json",
                "Idempotency-Key": str(message.id),
                "Linli-Timestamp": timestamp,
                "Linli-Signature": signed,
            },
        )
        try:
            with self._opener.open(request, timeout=self._settings.timeout_seconds):
                return
        except urllib.error.HTTPError as answer:
            is_final = answer.code < 500 and answer.code not in TRY_AGAIN
            raise Failed(f"webhook_{answer.code}", is_final=is_final) from answer
        except (OSError, http.client.HTTPException) as problem:
            raise Failed("webhook_unreachable") from problem
