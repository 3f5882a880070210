"""`linli-node pass-over` and `rotate-settlement-key`: the operator's words about the chain."""

import json
from pathlib import Path
from typing import Annotated

import typer

from node.exchange.commands import Directory, Json, OpenNode
from node.kernel.errors import BadInput
from node.kernel.files import write_file
from node.kernel.terminal import say

ROUND_BYTES = 32


def add_to(app: typer.Typer, open_node: OpenNode) -> None:
    """Let `linli-node` say these too."""

    @app.command(name="pass-over")
    def pass_over(
        directory: Directory,
        round_id: Annotated[str, typer.Option("--round", help="The batch's round id, 0x….")],
        as_json: Json = False,
    ) -> None:
        """Let the chain watch go past a settled batch that this node cannot book.

        Only where the district agrees how it came about: the chain has moved our balance, our
        books have not, and audit says so from then on.
        """
        from node.settlement import watch

        with open_node(directory) as node:
            node.database.do(
                lambda session: watch.pass_over(session, node.clock, round_id=_bytes(round_id))
            )
        sentence = f"The batch of round {round_id} will be passed over; audit will say so."
        say({"passed_over": round_id}, as_json=as_json, sentence=sentence)

    @app.command(name="rotate-settlement-key")
    def rotate_settlement_key(
        directory: Directory,
        out: Annotated[
            Path | None, typer.Option(help="The file to write, for the district's office.")
        ] = None,
        is_last: Annotated[
            bool, typer.Option("--finish", help="The office has done it: use the new key.")
        ] = False,
        as_json: Json = False,
    ) -> None:
        """Change the key that signs settlements: --out FILE, hand FILE to the office, --finish.

        FILE holds no secret. The node goes on signing with the old key until it is finished and
        started again.
        """
        from node.member import open_chain
        from node.settlement import rotation

        if is_last == (out is not None):
            raise BadInput(field="--out", problem="say either --out FILE or --finish")
        with open_node(directory) as node:
            membership = node.membership
            member = membership and membership.directory.member(node.community)
            chain = open_chain(node.settings, membership) if membership else None
            if membership is None or member is None or chain is None:
                raise BadInput(field="DIR", problem="this node settles on no chain")
            position = chain.position(member.number)
            if out is None:
                address = rotation.adopt(membership.keys, signer_on_chain=position.signer)
                sentence = f"{address} signs for this community once the node is started again."
            else:
                made = rotation.consent(
                    membership.keys,
                    number=member.number,
                    sequence=position.sequence,
                    now=node.clock.now(),
                    contract=chain.contract_address,
                    chain_id=membership.directory.chain_id or 0,
                )
                write_file(out, (json.dumps(made, indent=1) + "\n").encode())
                address = made["new_signer"]
                sentence = f"Hand {out} to the office within 7 days; then say --finish."
        say({"signer": address, "is_in_use": is_last}, as_json=as_json, sentence=sentence)


def _bytes(text: str) -> bytes:
    try:
        found = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        found = b""
    if len(found) != ROUND_BYTES:
        raise BadInput(field="--round", problem="0x and 64 hexadecimal digits")
    return found
