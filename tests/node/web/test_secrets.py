"""Nothing that opens a door, and nobody's name, number or words, is ever logged.

Method: a whole session at a real process, with everything that can be got wrong on the way; then
its log is searched for each secret and each word that was sent or handed out.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.node.commands import Served, linli, make_node, serving_node

pytestmark = pytest.mark.processes

NAME, PHONE, PIN, WRONG_PIN = "Lin Meihua", "13977770001", "804217", "113355"
WORDS = "the key lies under the flower pot"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    directory = make_node(tmp_path / "plum")
    person = ["--name", NAME, "--phone", PHONE, "--role", "operator", "--pin"]
    assert linli("node", "resident", "add", directory, *person, stdin=f"{PIN}\n").status == 0
    with serving_node(directory) as served:
        yield served


def test_a_whole_session_leaves_no_secret_in_the_log(served: Served) -> None:
    base, secrets = served.ready["http"], [PIN, WRONG_PIN, served.tokens["clerk"]]
    with httpx.Client(base_url=base, trust_env=False) as client:
        client.get("/sign-in")
        for pin in (WRONG_PIN, PIN):
            secrets.append(_csrf(client))
            form = {"csrf": _csrf(client), "phone": PHONE, "pin": pin}
            client.post("/sign-in", data=form)
        secrets += [value for name, value in client.cookies.items() if name != "linli_language"]
        form = {"csrf": _csrf(client), "title": WORDS, "description": WORDS, "location": WORDS}
        client.post("/repairs/new", data=form)
        client.post("/repairs/new", data={"csrf": "forged", "title": WORDS})
        body = {"phone": PHONE, "pin": PIN}
        token = client.post("/api/sessions", json=body).json()["token"]
        headers = {"Authorization": f"Bearer {token}"}
        client.post("/api/repairs", json={"title": WORDS}, headers=headers)
        client.post("/api/repairs", content=b"{not json", headers=headers)
        client.get("/api/repairs/9999999", headers={"Authorization": f"Bearer {token}x"})
        client.get("/api/passes/not-a-uuid", headers=headers)
        secrets.append(token)
    assert served.terminate() == 0
    said = served.said
    assert [secret for secret in secrets if len(secret) > 5 and secret in said] == []
    assert [word for word in (NAME, PHONE, WORDS) if word in said] == []
    assert all(json.loads(line) for line in said.splitlines() if line.startswith("{"))


def _csrf(client: httpx.Client) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', client.get("/sign-in").text)
    return found.group(1) if found else ""
