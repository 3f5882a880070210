"""The composition root: a node is its settings, clock, database, neighbours and slices."""

from collections.abc import Sequence
from typing import Any

from litestar import Litestar
from sqlalchemy.orm import Session

from node import migrations
from node.acts import api as acts_api
from node.acts import pages as acts_pages
from node.council import api as council_api
from node.council import pages as council_pages
from node.enrolment.directory import Membership, load_membership
from node.exchange import api as exchange_api
from node.exchange import limits
from node.exchange import pages as exchange_pages
from node.exchange.home import SETTLED
from node.forecast import api as forecast_api
from node.forecast import pages as forecast_pages
from node.health import pages as health_pages
from node.kernel.db import Database
from node.kernel.messages import Sealer
from node.kernel.ports import Clock
from node.ledger import service as ledger
from node.ledger.model import Unit
from node.notices import api as notices_api
from node.notices import pages as notices_pages
from node.outbox import api as left_api
from node.outbox import pages as left_pages
from node.peer.book import KnownPeer, PeerBook
from node.peer.seal import Ed25519Sealer
from node.points import api as points_api
from node.points import pages as points_pages
from node.points import service as points
from node.reactions import REACTIONS
from node.repairs import api as repairs_api
from node.repairs import pages as repairs_pages
from node.residents import api as residents_api
from node.residents import pages as residents_pages
from node.settings import Settings
from node.timebank import api as timebank_api
from node.timebank import pages as timebank_pages
from node.web import layout

POSITION_MAX = 1_000_000_000  # minutes on the chain, either way

_SLICES: Sequence[Any] = (
    residents_api,
    residents_pages,
    repairs_api,
    repairs_pages,
    points_api,
    points_pages,
    timebank_api,
    timebank_pages,
    council_api,
    council_pages,
    exchange_api,
    exchange_pages,
    forecast_api,
    forecast_pages,
    notices_api,
    notices_pages,
    left_api,
    left_pages,
    acts_api,
    acts_pages,
    health_pages,
)


class Node:
    """One community's node, ready to be served, asked, or driven by a simulation."""

    def __init__(self, settings: Settings, *, clock: Clock) -> None:
        migrations.check(settings.database_url)
        self.settings = settings
        self.clock = clock
        self.database = Database(settings.database_url, clock=clock, reactions=REACTIONS)
        self.book = PeerBook()
        self.membership: Membership | None = None
        self.sealer: Sealer | None = None
        self.database.do(self._prepare)
        if (membership := load_membership(settings.directory)) is not None:
            self.use(membership)

    @property
    def name(self) -> str:
        """The community's name, as residents read it."""
        return self.settings.name

    @property
    def community(self) -> str:
        """The community's id in its district; empty before it has joined one."""
        return self.membership.community if self.membership else ""

    @property
    def debt_limit_minutes(self) -> int:
        """How much this community may owe others, on the chain and before it."""
        return self.settings.debt_limit_minutes

    def neighbours(self) -> list[tuple[str, str]]:
        """Ids and names of the other communities that take part."""
        return [(peer.community, peer.name) for peer in self.book.all()]

    def use(self, membership: Membership) -> None:
        """From now on we are this member, and these are our neighbours."""
        self.membership = membership
        self.sealer = Ed25519Sealer(membership.community, membership.keys.signing)
        others = [
            member
            for member in membership.directory.members
            if member.community != membership.community
        ]
        self.book.replace(
            KnownPeer(
                member.community,
                member.name,
                member.peer_address,
                member.certificate_name,
                member.signing_public_key,
            )
            for member in others
            if not member.is_revoked
        )
        names = [member.community for member in others]
        self.database.do(lambda session: self._open_clearing(session, names))

    def web(self) -> Litestar:
        """The site: every slice's pages and API."""
        routes = [route for part in _SLICES for route in part.routes]
        cards = [part.card for part in _SLICES if hasattr(part, "card")]
        return layout.app(self, routes, cards)

    def close(self) -> None:
        """Finish what is queued and let go of the database."""
        self.database.close()

    def _prepare(self, session: Session) -> None:
        points.prepare(session, self.clock)
        limits.keep_own(session, self.clock, minutes=self.settings.debt_limit_minutes)
        ledger.open_account(
            session,
            account_id=ledger.house_account(SETTLED, Unit.MINUTES),
            unit=Unit.MINUTES,
            kind="house",
            owner=SETTLED,
            floor=-POSITION_MAX,
        )

    def _open_clearing(self, session: Session, communities: Sequence[str]) -> None:
        for community in communities:
            ledger.open_account(
                session,
                account_id=ledger.clearing_account(community),
                unit=Unit.MINUTES,
                kind=ledger.CLEARING,
                owner=community,
                floor=-self.settings.peer_limit_minutes,
            )
