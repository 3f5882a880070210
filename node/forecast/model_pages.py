"""The models that came from the district, their cards, and the operator's way back."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from litestar import Response, get, post
from litestar.response import Redirect

from node.forecast import registry, rules
from node.forecast.model import FederatedModel
from node.kernel.errors import DomainError
from node.residents.rules import Role
from node.web import language
from node.web.forms import Form
from node.web.language import gettext as _
from node.web.layout import page
from node.web.session import AnyRequest, house, require

ROWS_MAX = 10  # of a table that came with a card
NEWEST = "newest"


class Accuracy(NamedTuple):
    """How far a model missed under one strength of noise, as its card says."""

    epsilon: str
    error: str


class ModelRow(NamedTuple):
    """One model as the page shows it."""

    sha256: str
    received_at: datetime
    rounds: str
    communities: str
    epsilon: str
    is_used: bool


class PromiseShown(NamedTuple):
    """What is promised about privacy, in the reader's language."""

    unit: str
    epsilon: float
    delta: float
    words: Sequence[str]
    not_covered: Sequence[str]
    accountant: str


@get("/forecast/models")
async def show(request: AnyRequest) -> Response[str]:
    """Every model that came, which one is used, and how to go back to an earlier one."""
    return _show(request, Form())


@post("/forecast/models")
async def choose(request: AnyRequest) -> Response[Any]:
    """The operator holds on to one model, or lets the newest be used again."""
    require(request, Role.OPERATOR)
    node, form = house(request), await Form.read(request)
    wanted = form.text("sha256", most=64)
    sha256 = None if wanted == NEWEST else wanted
    try:
        await node.database.run(
            lambda session: registry.choose(session, node.clock, choice_id=form.id, sha256=sha256)
        )
    except DomainError as refusal:
        form.refuse(refusal, "sha256")
        return _show(request, form, status=422)
    return Redirect("/forecast/models", status_code=303)


def promise(content: Any) -> PromiseShown | None:
    """A promise as it was computed; None where there is none, or it is not one we can show."""
    tongue = language.language.get()
    try:
        rules.check_promise(content)
    except DomainError:
        return None
    return PromiseShown(
        unit=_units().get(content["unit"], content["unit"]),
        epsilon=float(content["epsilon"]),
        delta=float(content["delta"]),
        words=content["words"][tongue],
        not_covered=content["not_covered"][tongue],
        accountant=content["accountant"],
    )


def accuracies(card: Mapping[str, Any]) -> list[Accuracy]:
    """Measured accuracy at several epsilons, where the office sent it with the card."""
    table = card.get("accuracy_by_epsilon")
    rows = table if isinstance(table, list) else []
    return [
        Accuracy(
            epsilon=_("no noise") if row["epsilon"] is None else f"{row['epsilon']:g}",
            error=f"{row['total_mae']:.3f}",
        )
        for row in rows[:ROWS_MAX]
        if isinstance(row, dict)
        and isinstance(row.get("total_mae"), int | float)
        and isinstance(row.get("epsilon"), int | float | None)
    ]


def _show(request: AnyRequest, form: Form, *, status: int = 200) -> Response[str]:
    who = require(request)
    with house(request).database.read() as session:
        used, held = registry.in_use(session), registry.chosen(session)
        rows = [_row(model, used) for model in registry.models(session)]
        card = registry.card_of(used) if used else {}
    return page(
        request,
        "forecast/models.html",
        status=status,
        form=form,
        rows=rows,
        is_held=held is not None,
        newest=NEWEST,
        promise=promise(card.get("privacy")),
        accuracies=accuracies(card),
        takes_part=house(request).settings.training,
        may_choose=who.has(Role.OPERATOR) and not who.acting_for,
    )


def _row(model: FederatedModel, used: FederatedModel | None) -> ModelRow:
    card = registry.card_of(model)
    privacy = card.get("privacy")
    epsilon = privacy.get("epsilon") if isinstance(privacy, dict) else None
    return ModelRow(
        sha256=model.sha256,
        received_at=model.received_at,
        rounds=_number(card.get("rounds")),
        communities=_number(card.get("nodes")),
        epsilon=f"{epsilon:g}" if isinstance(epsilon, int | float) else "–",
        is_used=used is not None and used.sha256 == model.sha256,
    )


def _units() -> dict[str, str]:
    return {
        "one request": _("one request"),
        "everything one community has": _("everything one community has"),
    }


def _number(value: Any) -> str:
    return str(value) if type(value) is int else "–"


routes = [show, choose]
