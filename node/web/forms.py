"""A posted form: typed values, or each problem beside its field and the words as they were typed.

    form = await Form.read(request)
    minutes = form.integer("minutes", least=15, most=480)
    title = form.text("title", most=120)
    if form.errors: return page(request, "timebank/request.html", form=form, status=422)
    await house(request).database.run(lambda session: …, form.id …)   # form.id makes a repeat safe

An empty form to show first: `Form()`.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar
from uuid import UUID

from node.kernel.errors import BadInput, DomainError
from node.kernel.ids import new_id
from node.web.language import gettext as _
from node.web.language import sentence
from node.web.session import AnyRequest

T = TypeVar("T")
TEXT_LENGTH_MAX = 4_000
_INTEGER = re.compile(r"-?[0-9]{1,12}")


@dataclass
class Form:
    """What was typed (`values`), what is wrong with it (`errors`), and the id it creates under."""

    values: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    id: UUID = field(default_factory=new_id)

    @classmethod
    async def read(cls, request: AnyRequest) -> "Form":
        posted = await request.form()
        values = {name: value for name, value in posted.items() if isinstance(value, str)}
        return cls.of(values)

    @classmethod
    def of(cls, values: Mapping[str, str]) -> "Form":
        form = cls(values=dict(values))
        try:
            form.id = UUID(form.values.pop("form_id", ""))
        except ValueError:
            form.id = new_id()
        form.values.pop("csrf", None)
        return form

    def text(self, name: str, *, least: int = 1, most: int = TEXT_LENGTH_MAX) -> str:
        """The field without spaces around it; `least=0` allows an empty one."""
        value = self.values.get(name, "").strip()
        if not value and least:
            self.errors[name] = _("Please fill this in.")
        elif len(value) < least:
            self.errors[name] = _("At least %(least)s characters, please.") % {"least": least}
        elif len(value) > most:
            self.errors[name] = _("At most %(most)s characters, please.") % {"most": most}
        return value

    def integer(self, name: str, *, least: int, most: int) -> int:
        """A whole number from `least` to `most`; `least` where it was not one."""
        value = self.values.get(name, "").strip()
        number = int(value) if _INTEGER.fullmatch(value) else None
        if number is None or not least <= number <= most:
            bounds = {"least": least, "most": most}
            self.errors[name] = _("A number from %(least)s to %(most)s, please.") % bounds
            return least
        return number

    def choice(self, name: str, options: Iterable[str]) -> str:
        """One of the options; the first where it was none of them."""
        value, known = self.values.get(name, ""), list(options)
        if value not in known:
            self.errors[name] = _("Please choose one.")
            return known[0]
        return value

    def check(self, name: str, rule: Callable[[], T]) -> T | None:
        """What a rule makes of it; the rule's refusal goes beside the field."""
        try:
            return rule()
        except DomainError as refusal:
            self.refuse(refusal, name)
            return None

    def refuse(self, refusal: DomainError, name: str) -> None:
        """Put a refusal beside the field it is about."""
        if isinstance(refusal, BadInput):
            self.errors[str(refusal.details["field"])] = _(str(refusal.details["problem"]))
        else:
            self.errors[name] = sentence(refusal)
