"""An office's folder as every command opens it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from coordinator.settings import Office, Place, read_office
from node.kernel.clock import SystemClock
from node.kernel.db import Database

Directory = Annotated[
    Path, typer.Argument(metavar="DIR", help="The office's folder: keys, database, models.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object for programs.")]


@contextmanager
def opened(directory: Path) -> Iterator[tuple[Place, Office, Database]]:
    """The office in DIR and its database, closed again at the end."""
    from coordinator.app import open_database  # the web framework: only once it is needed

    place = Place(directory)
    office = read_office(place)
    database = open_database(place, SystemClock())
    try:
        yield place, office, database
    finally:
        database.close()
