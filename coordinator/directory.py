"""The list of communities that every node holds, and what the office knows about itself."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator.model import Community, CommunityState, OfficeFact

VERSION = "directory_version"
CONTRACT_ADDRESS = "contract_address"
CHAIN_ID = "chain_id"
ENROL_ADDRESS = "enrol_address"
MEMBER_ADDRESS = "member_address"
HTTP_ADDRESS = "http_address"
SUPERLINK_ADDRESS = "superlink_address"
BUNDLE_SHA256 = "bundle_sha256"  # of the training app that nodes will be asked to run
PUBLISHED = frozenset({CONTRACT_ADDRESS, CHAIN_ID, MEMBER_ADDRESS, SUPERLINK_ADDRESS})


@dataclass(frozen=True)
class Listing:
    """What a directory says, before it is written down and signed."""

    version: int
    members: tuple[Community, ...]
    contract_address: str
    chain_id: int
    member_address: str
    superlink_address: str


def listing(session: Session) -> Listing:
    """The directory as it stands: every community that was ever approved."""
    members = session.scalars(
        select(Community).where(Community.number.is_not(None)).order_by(Community.number)
    )
    return Listing(
        version=version(session),
        members=tuple(members),
        contract_address=fact(session, CONTRACT_ADDRESS),
        chain_id=int(fact(session, CHAIN_ID) or 0),
        member_address=fact(session, MEMBER_ADDRESS),
        superlink_address=fact(session, SUPERLINK_ADDRESS),
    )


def active_members(session: Session) -> list[Community]:
    """The communities that take part, by number."""
    return list(
        session.scalars(
            select(Community)
            .where(Community.state == CommunityState.ACTIVE)
            .order_by(Community.number)
        )
    )


def version(session: Session) -> int:
    """How often the directory has changed."""
    return int(fact(session, VERSION) or 0)


def changed(session: Session) -> None:
    """Let every node hear that there is a newer directory."""
    _set(session, VERSION, str(version(session) + 1))


def fact(session: Session, name: str) -> str:
    """A fact about the office, empty while unknown."""
    found = session.get(OfficeFact, name)
    return found.value if found else ""


def learn(session: Session, **facts: str) -> None:
    """Remember facts about the office; a published one that changes is a new directory."""
    news = {name: value for name, value in facts.items() if fact(session, name) != value}
    for name, value in news.items():
        _set(session, name, value)
    if PUBLISHED & news.keys():
        changed(session)


def _set(session: Session, name: str, value: str) -> None:
    found = session.get(OfficeFact, name)
    if found is None:
        session.add(OfficeFact(name=name, value=value))
        session.flush()
    else:
        found.value = value
