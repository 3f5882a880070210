"""`linli-district`: what a district officer can say to the office."""

import asyncio
import importlib.util
import json
import secrets
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from coordinator import directory as facts
from coordinator import enrolment, training_cli
from coordinator.authority import Authority, create_authority, load_authority
from coordinator.folder import Directory, Json, opened
from coordinator.keys import create_relay_key
from coordinator.overview import overview, round_row
from coordinator.refusals import NoAddress, OfficeExists, OfficeUnreadable
from coordinator.settings import (
    DEBT_LIMIT_MINUTES_MAX,
    DEFAULT_CHAIN_ID,
    DEFAULT_DEBT_LIMIT_MINUTES,
    DEFAULT_PORTS,
    LOOPBACK,
    Address,
    Office,
    Place,
    Settings,
    read_office,
    write_office,
)
from node.kernel.clock import SystemClock
from node.kernel.db import Database
from node.kernel.errors import BadInput
from node.kernel.files import private_folder, write_new_file
from node.kernel.terminal import run, say

SECRET_BYTES = 32
NAME_CHARACTERS_MAX = 60
COLLECT_SECONDS = 3_600
SIGNING_SECONDS = 3_600
WAIT_SECONDS = 900
NO_TRAINING = "none"

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="The district's office: who belongs, who trains, who owes whom. It holds no resident's "
    "data.\n\nFirst time: init, serve, deploy. Then for each community: invite, wait for its "
    "request, approve. Every period: settle; every week: train.",
)

CommunityId = Annotated[
    str, typer.Option("--community", metavar="ID", help="The community's id, as in its invitation.")
]

training_cli.add_to(app)


def _where(purpose: str) -> str:
    return f"HOST:PORT; default {LOOPBACK}:{DEFAULT_PORTS[purpose]}, port 0: any free one."


@app.command()
def init(
    directory: Directory,
    name: Annotated[str, typer.Option(help="The district's name, as communities read it.")],
    rpc: Annotated[
        str, typer.Option(metavar="URL", help="JSON-RPC of the chain; left out: no settlement.")
    ] = "",
    chain_id: Annotated[int, typer.Option(help="Which chain must answer there.", min=1)] = (
        DEFAULT_CHAIN_ID
    ),
    debt_limit_minutes: Annotated[
        int,
        typer.Option(
            help="How much a new community may owe all others, in minutes.",
            min=0,
            max=DEBT_LIMIT_MINUTES_MAX,
        ),
    ] = DEFAULT_DEBT_LIMIT_MINUTES,
    as_json: Json = False,
) -> None:
    """Make a new office in DIR: its certificate authority, its relay key, its empty database.

    DIR/keys/ca.key is the district's identity: keep a copy where nobody else reads it.
    """
    from coordinator.app import open_database

    if not name.strip() or len(name) > NAME_CHARACTERS_MAX:
        raise BadInput(field="--name", problem=f"1-{NAME_CHARACTERS_MAX} characters, please")
    place, clock = Place(directory), SystemClock()
    if place.configuration.exists():
        raise OfficeExists(directory=str(directory))
    try:
        private_folder(directory)
        private_folder(place.keys)
    except OSError as error:
        raise OfficeUnreadable(path=str(directory), problem=error.strerror or "") from error
    if not place.authority_certificate.exists():
        create_authority(
            key_path=place.authority_key,
            certificate_path=place.authority_certificate,
            name=name.strip(),
            now=clock.now(),
        )
    address = create_relay_key(place.relay_key)
    open_database(place, clock).close()
    office = Office(
        name=name.strip(),
        rpc_url=rpc or None,
        chain_id=chain_id,
        debt_limit_minutes=debt_limit_minutes,
    )
    if not write_new_file(
        place.configuration, write_office(office)
    ):  # last: it makes the rest count
        raise OfficeExists(directory=str(directory))
    root = x509.load_pem_x509_certificate(place.authority_certificate.read_bytes())
    made = {
        "directory": str(directory),
        "name": office.name,
        "relay_address": address,
        "authority_sha256": root.fingerprint(hashes.SHA256()).hex(),
    }
    sentence = (
        f"{directory} is the office of {office.name} now.\n"
        f"Give gas money to {address} if your chain asks for it. Next: linli-district serve."
    )
    say(made, as_json=as_json, sentence=sentence)


@app.command()
def serve(
    directory: Directory,
    enrol: Annotated[str, typer.Option(help=f"For communities that join. {_where('enrol')}")] = "",
    member: Annotated[str, typer.Option(help=f"For enrolled nodes. {_where('member')}")] = "",
    http: Annotated[str, typer.Option(help=f"The dashboard. {_where('http')}")] = "",
    superlink: Annotated[
        str, typer.Option(help=f"Training; 'none' to offer none. {_where('superlink')}")
    ] = "",
    public_host: Annotated[
        str, typer.Option(help="The name or address by which nodes reach this machine.")
    ] = "",
) -> None:
    """Serve until stopped. Nodes go on by themselves while the office is away."""
    from coordinator.app import OfficeServer, chain_opener
    from coordinator.app import serve as serve_office

    place = Place(directory)
    office = read_office(place)
    remembered = _remembered(directory)
    settings = Settings(
        place=place,
        office=office,
        enrol=_address("enrol", enrol, remembered),
        member=_address("member", member, remembered),
        http=_address("http", http, remembered),
        superlink=(
            None
            if superlink == NO_TRAINING or importlib.util.find_spec("flwr") is None
            else _address("superlink", superlink, remembered)
        ),
        public_host=public_host or None,
    )
    open_chain = chain_opener(office.rpc_url) if office.rpc_url else None
    server = OfficeServer(settings, clock=SystemClock(), open_chain=open_chain)
    asyncio.run(
        serve_office(server, lambda ready: typer.echo(json.dumps(ready, ensure_ascii=False)))
    )


@app.command()
def invite(
    directory: Directory,
    community: CommunityId,
    name: Annotated[str, typer.Option(help="The community's name, as its neighbours read it.")],
    days: Annotated[int, typer.Option(help="For how many days it is good.", min=1, max=90)] = 7,
    as_json: Json = False,
) -> None:
    """Write an invitation: a text to hand to one community's operator. It serves once."""
    with opened(directory) as (place, office, database):
        with database.read() as session:
            address = facts.fact(session, facts.ENROL_ADDRESS)
        if not address:
            raise NoAddress()
        secret = secrets.token_urlsafe(SECRET_BYTES)
        invitation = database.do(
            lambda session: enrolment.invite(
                session,
                SystemClock(),
                community_id=community,
                name=name,
                secret=secret,
                lifetime=timedelta(days=days),
            )
        )
        text = enrolment.invitation_text(
            address=address,
            ca_pem=place.authority_certificate.read_text(encoding="ascii"),
            secret=secret,
            community_id=community,
            district=office.name,
        )
    until = invitation.expires_at
    made = {"invitation": text, "community": community, "expires_at": until.isoformat()}
    sentence = f"{text}\n\nGood until {until:%Y-%m-%d %H:%M} UTC, for {community}, once."
    say(made, as_json=as_json, sentence=sentence)


@app.command()
def approve(
    directory: Directory,
    community: Annotated[
        str, typer.Option("--community", metavar="ID", help="Which community to admit.")
    ] = "",
    everyone: Annotated[bool, typer.Option("--all", help="Admit all that wait.")] = False,
    as_json: Json = False,
) -> None:
    """Admit a community that has sent its request: certificate, place in the directory, number."""
    if bool(community) == everyone:
        raise BadInput(field="--community", problem="name one community, or say --all")
    with opened(directory) as (place, _, database):
        authority = load_authority(
            key_path=place.authority_key, certificate_path=place.authority_certificate
        )
        with database.read() as session:
            chosen = enrolment.waiting(session) if everyone else [community]
        numbers = {one: _approved(database, authority, one) for one in chosen}
    names = ", ".join(numbers) or "Nobody waits; nothing"
    say({"approved": numbers}, as_json=as_json, sentence=f"{names} approved.")


def _approved(database: Database, authority: Authority, community_id: str) -> int | None:
    approved = database.do(
        lambda session: enrolment.approve(
            session, SystemClock(), authority, community_id=community_id
        )
    )
    return approved.number


@app.command()
def revoke(directory: Directory, community: CommunityId, as_json: Json = False) -> None:
    """Shut a community out, for good: its certificates and invitations end now."""
    with opened(directory) as (_, _, database):
        database.do(
            lambda session: enrolment.revoke(session, SystemClock(), community_id=community)
        )
    sentence = f"{community} is revoked. Its debts stay on the chain."
    say({"revoked": community}, as_json=as_json, sentence=sentence)


@app.command()
def deploy(directory: Directory, as_json: Json = False) -> None:
    """Put the settlement contract on the chain, once. Interrupted? Say the same again."""
    from coordinator.deploying import deploy as deploy_contract

    with opened(directory) as (place, office, database):
        address, is_new = deploy_contract(database, SystemClock(), place=place, office=office)
    sentence = f"The contract stands at {address}." + ("" if is_new else " It stood there before.")
    say({"contract": address, "chain_id": office.chain_id}, as_json=as_json, sentence=sentence)


@app.command()
def upgrade(
    directory: Directory,
    old: Annotated[
        str, typer.Option("--from", metavar="0xADDRESS", help="The contract that is left.")
    ],
    as_json: Json = False,
) -> None:
    """Move to a new settlement contract: the old one ends, every balance stands on the new one.

    Nodes follow by themselves. Interrupted? Say the same again.
    """
    from coordinator.upgrading import upgrade as move_on

    with opened(directory) as (place, office, database):
        address, count = move_on(database, place=place, office=office, old_address=old)
    sentence = f"{count} communities stand on {address} now, each with the balance it had."
    done = {"contract": address, "from": old, "communities": count}
    say(done, as_json=as_json, sentence=sentence)


@app.command(name="rotate-key")
def rotate_key(
    directory: Directory,
    consent: Annotated[
        Path, typer.Option(help="What linli-node rotate-settlement-key --out wrote.")
    ],
    as_json: Json = False,
) -> None:
    """Put a community's new settlement key in place; its old and its new key have signed for it."""
    from coordinator.rotating import read_consent, rotate

    said = read_consent(consent)
    with opened(directory) as (place, office, database):
        community = rotate(database, place=place, office=office, consent=said)
    sentence = f"{community} settles as {said.new_signer} now. It has to say --finish."
    done = {"community": community, "signer": said.new_signer}
    say(done, as_json=as_json, sentence=sentence)


@app.command()
def settle(
    directory: Directory,
    collect_seconds: Annotated[
        int, typer.Option(help="How long communities may take to state positions.", min=1)
    ] = COLLECT_SECONDS,
    signing_seconds: Annotated[
        int, typer.Option(help="How long they may take to sign.", min=1)
    ] = SIGNING_SECONDS,
    wait_seconds: Annotated[int, typer.Option(help="How long to wait here.", min=1)] = WAIT_SECONDS,
    as_json: Json = False,
) -> None:
    """Settle what communities owe each other, in one transaction; who is silent is left out."""
    from coordinator.waiting import settle as settle_and_wait

    with opened(directory) as (place, _, database):
        row = round_row(
            settle_and_wait(
                database,
                SystemClock(),
                place,
                collect_seconds=collect_seconds,
                signing_seconds=signing_seconds,
                wait_seconds=wait_seconds,
            )
        )
    sentence = (
        f"Round {row['round']} is {row['state']}: {row['minutes']} minutes between "
        f"{row['communities']} communities, {row['transaction'] or 'no transaction'}."
    )
    say(row, as_json=as_json, sentence=sentence)


@app.command()
def status(directory: Directory, as_json: Json = False) -> None:
    """The district at a glance: communities, trainings, rounds, batches."""
    from coordinator.app import is_served

    with opened(directory) as (place, office, database):
        with database.read() as session:
            seen = overview(session, district=office.name, now=SystemClock().now())
        seen["serving"] = is_served(place)
    lines = [f"{office.name}: {'serving' if seen['serving'] else 'not serving'}"]
    lines += [
        f"  {one['id']} ({one['name']}): {one['state']}, {'here' if one['is_here'] else 'away'}"
        for one in seen["communities"]
    ]
    lines += [f"  {one} waits for approval" for one in seen["waiting"]]
    say(seen, as_json=as_json, sentence="\n".join(lines))


def _remembered(directory: Path) -> dict[str, str]:
    """The addresses of the last time, so that invitations and nodes find the office again."""
    with opened(directory) as (_, _, database), database.read() as session:
        return {purpose: facts.fact(session, f"{purpose}_listen") for purpose in DEFAULT_PORTS}


def _address(purpose: str, asked: str, remembered: dict[str, str]) -> Address:
    text = asked or remembered[purpose] or f"{LOOPBACK}:{DEFAULT_PORTS[purpose]}"
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise BadInput(field=f"--{purpose}", problem=f"HOST:PORT, not {text}")
    return Address(host, int(port))


def main() -> None:
    """The command's entry point."""
    run(app)


if __name__ == "__main__":
    main()
