"""Every slice's tables, imported in one place, so that migrations and tests know them all."""

from types import ModuleType

import node.acts.model
import node.council.model
import node.council.model_secret
import node.exchange.model
import node.forecast.model
import node.ledger.model
import node.notices.model
import node.outbox.model
import node.points.model
import node.repairs.model
import node.residents.model
import node.settlement.model
import node.timebank.calls
import node.timebank.model

ALL: tuple[ModuleType, ...] = (
    node.acts.model,
    node.council.model,
    node.council.model_secret,
    node.exchange.model,
    node.forecast.model,
    node.ledger.model,
    node.notices.model,
    node.outbox.model,
    node.points.model,
    node.repairs.model,
    node.residents.model,
    node.settlement.model,
    node.timebank.calls,
    node.timebank.model,
)
