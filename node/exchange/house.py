"""What exchange handlers need of the node beyond what every slice gets."""

from typing import Protocol, cast

from node.kernel.errors import DomainError
from node.kernel.messages import Sealer
from node.web.session import Connection, House


class NotJoined(DomainError):
    code = "exchange.not_joined"
    message = "This community has not joined a district yet: there is nobody to exchange with."


class TradingHouse(House, Protocol):
    """A node that can deal with other communities."""

    @property
    def sealer(self) -> Sealer | None: ...
    @property
    def debt_limit_minutes(self) -> int: ...

    def neighbours(self) -> list[tuple[str, str]]:
        """Ids and names of the other communities."""
        ...


def trading_house(request: Connection) -> TradingHouse:
    """The node this request came to."""
    return cast(TradingHouse, request.app.state.node)


def sealer_of(node: TradingHouse) -> Sealer:
    """Who signs for us; raises NotJoined where nobody can."""
    if node.sealer is None:
        raise NotJoined
    return node.sealer
