"""The smallest table: what the kernel's tests write, with no feature of the node in the way."""

from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Notes(DeclarativeBase):
    """A metadata of its own, so that no node has this table."""


class Note(Notes):
    """A number, once."""

    __tablename__ = "note"
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    text: Mapped[str]


def write_note(session: Session, number: int) -> int:
    session.add(Note(number=number, text="x"))
    session.flush()
    return number
