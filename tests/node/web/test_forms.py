"""A form keeps what was typed and says beside each field what is wrong with it."""

from uuid import UUID

import pytest

from node.kernel.errors import BadInput, WrongState
from node.residents import rules
from node.web.forms import Form


def test_what_fits_is_typed() -> None:
    form = Form.of({"title": " Lamp ", "minutes": "45", "kind": "lift", "csrf": "x"})
    assert form.text("title") == "Lamp"
    assert form.integer("minutes", least=15, most=60) == 45
    assert form.choice("kind", ("lift", "other")) == "lift"
    assert not form.errors
    assert "csrf" not in form.values


@pytest.mark.parametrize("text", ["", "x", "4.5", "-", "--1", "14", "61", "٤٥", "9" * 6000])
def test_a_number_that_does_not_fit(text: str) -> None:
    form = Form.of({"minutes": text})
    assert form.integer("minutes", least=15, most=60) == 15
    assert "minutes" in form.errors


def test_texts_and_choices_that_do_not_fit() -> None:
    form = Form.of({"long": "x" * 5, "short": "x", "kind": "rocket"})
    form.text("missing")
    form.text("long", most=4)
    form.text("short", least=2)
    form.choice("kind", ("lift",))
    form.text("optional", least=0)
    assert set(form.errors) == {"missing", "long", "short", "kind"}


def test_refusals_find_their_field() -> None:
    form = Form.of({})
    form.check("pin", lambda: rules.check_pin("123456"))
    form.refuse(BadInput(field="phone", problem="give 5 to 15 digits"), "pin")
    form.refuse(WrongState(what="#1", state="pending", needed="completed"), "status")
    assert set(form.errors) == {"pin", "phone", "status"}


def test_the_form_brings_the_id_it_creates() -> None:
    assert Form.of({"form_id": str(UUID(int=7))}).id == UUID(int=7)
    assert Form.of({"form_id": "7"}).id.version == 7
