"""`linli-node limit` and `linli-node prove`: the operator's words about other communities."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from node.kernel.errors import BadInput
from node.kernel.files import write_file
from node.kernel.terminal import say

Directory = Annotated[Path, typer.Argument(metavar="DIR", help="The node's folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object for programs.")]
OpenNode = Callable[[Path], AbstractContextManager[Any]]
ALL = "all"


def add_to(app: typer.Typer, open_node: OpenNode) -> None:
    """Let `linli-node` say these too."""

    @app.command()
    def limit(
        directory: Directory,
        peer: Annotated[str, typer.Option(help="The community's id; all: all of them together.")],
        minutes: Annotated[int, typer.Option(min=0, help="That it may owe us at most.")],
        as_json: Json = False,
    ) -> None:
        """Set how many minutes a community, or all together, may owe this one. It is recorded."""
        from node.exchange import limits

        source = limits.ALL_PEERS if peer == ALL else peer
        with open_node(directory) as node:
            node.database.do(
                lambda session: limits.set_limit(
                    session, node.clock, peer=source, minutes=minutes, set_by="operator"
                )
            )
        sentence = f"{peer} may owe this community {minutes} minutes at most, from now on."
        say({"peer": peer, "minutes": minutes}, as_json=as_json, sentence=sentence)

    @app.command()
    def prove(
        directory: Directory,
        exchange: Annotated[str, typer.Option(help="The exchange's, gift's or reversal's id.")],
        out: Annotated[Path, typer.Option(help="The file to write.")],
        as_json: Json = False,
    ) -> None:
        """Write what proves a settled exchange; linli-sim verify-proof FILE checks it."""
        from node.settlement.proof import prove as prove_exchange

        with open_node(directory) as node:
            membership = node.membership
            if membership is None:
                raise BadInput(field="DIR", problem="this node has not joined a district")
            known = membership.directory
            with node.database.read() as session:
                proof = prove_exchange(
                    session,
                    node.community,
                    exchange_id=_uuid(exchange),
                    signing_keys={
                        member.community: member.signing_public_key for member in known.members
                    },
                    contract=known.contract_address or "",
                    chain_id=known.chain_id or 0,
                )
        write_file(out, (json.dumps(proof, indent=1) + "\n").encode())
        sentence = f"{out} proves {proof['leaf']}."
        say({"file": str(out), "leaf": proof["leaf"]}, as_json=as_json, sentence=sentence)


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise BadInput(field="--exchange", problem="this is not a UUID") from None
