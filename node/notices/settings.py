"""Which providers the operator connected: DIR/notices.toml, read at start, with its secrets.

Without the file the inbox is all there is. docs/operations.md shows one whole file.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from node.notices.refusals import BadChannels
from node.notices.rules import Channel

FILE_NAME = "notices.toml"
SECRET_LENGTH_MIN = 16

Port = Annotated[int, msgspec.Meta(ge=1, le=65_535)]
Seconds = Annotated[float, msgspec.Meta(ge=1, le=60)]


class Mail(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An SMTP server that takes our e-mail."""

    host: str
    sender: str  # such as house@example.org
    port: Port = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""  # empty: the server asks for none
    password: str = ""
    timeout_seconds: Seconds = 10.0


class Webhook(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The community's own gateway for SMS and WeChat, at an address it runs or rents."""

    url: str
    secret: str
    channels: tuple[Literal["sms", "wechat"], ...] = ("sms", "wechat")
    timeout_seconds: Seconds = 10.0


class Providers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that is connected."""

    site: str = ""  # the pages' address as residents reach it, for links in messages
    mail: Mail | None = None
    webhook: Webhook | None = None

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The ways that residents can choose here."""
        mail = (Channel.EMAIL,) if self.mail else ()
        hook = tuple(Channel(name) for name in self.webhook.channels) if self.webhook else ()
        return mail + hook


def load(directory: Path) -> Providers:
    """What the operator connected; raises BadChannels with what is wrong in the file."""
    file = directory / FILE_NAME
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
        providers = msgspec.convert(content, Providers)
    except FileNotFoundError:
        return Providers()
    except (OSError, ValueError) as problem:
        raise BadChannels(file=str(file), problem=str(problem)) from problem
    if (hook := providers.webhook) is not None:
        if urlsplit(hook.url).scheme not in ("http", "https") or not urlsplit(hook.url).hostname:
            raise BadChannels(file=str(file), problem="webhook.url is no http(s) address")
        if len(hook.secret) < SECRET_LENGTH_MIN:
            raise BadChannels(
                file=str(file), problem=f"webhook.secret has under {SECRET_LENGTH_MIN} characters"
            )
    if (mail := providers.mail) is not None and mail.user and mail.security == "none":
        raise BadChannels(file=str(file), problem="a password is not sent without TLS")
    return providers
