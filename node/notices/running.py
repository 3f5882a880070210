"""Starts what carries notices out of the house: for `linli-node serve`."""

import asyncio
from pathlib import Path

from node.notices import sending, settings
from node.notices.rules import Channel
from node.notices.sending import Sender, Sending
from node.notices.settings import Providers


def start(node: Sending, directory: Path) -> "asyncio.Task[None]":
    """A task that sends for as long as it lives; raises BadChannels before anything starts."""
    providers = settings.load(directory)
    carried = sending.send_for_ever(node, senders(node, providers), site=providers.site)
    return asyncio.create_task(carried)


def senders(node: Sending, providers: Providers) -> dict[Channel, Sender]:
    """A sender for each way that the operator connected; what it needs is loaded only then."""
    found: dict[Channel, Sender] = {}
    if providers.mail is not None:
        from node.notices.mail import MailSender

        found[Channel.EMAIL] = MailSender(providers.mail)
    if providers.webhook is not None:
        from node.notices.webhook import WebhookSender

        hook = WebhookSender(providers.webhook, clock=node.clock)
        found |= {Channel(name): hook for name in providers.webhook.channels}
    return found
