"""Nothing acknowledged is lost to kill -9: a child acknowledges on a pipe until it is killed."""

import subprocess
import sys

from sqlalchemy import select

from node.kernel.db import open_engine
from tests.node.kernel.notes import Note, Notes

ACKNOWLEDGED_MIN = 300
KILLS = 2


def test_nothing_acknowledged_is_lost(database_url: str) -> None:
    engine = open_engine(database_url)
    for _ in range(KILLS):
        Notes.metadata.drop_all(engine)
        Notes.metadata.create_all(engine)
        command = [sys.executable, "-m", "tests.node.kernel.acknowledging", database_url]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        with child.stdout:
            heard = [child.stdout.readline() for _ in range(ACKNOWLEDGED_MIN)]
            child.kill()
            heard += child.stdout.readlines()
        child.wait(timeout=30)
        acknowledged = {int(line) for line in heard if line.endswith("\n")}
        with engine.connect() as connection:
            stored = set(connection.scalars(select(Note.number)))
        assert len(acknowledged) >= ACKNOWLEDGED_MIN
        assert acknowledged - stored == set()
    engine.dispose()
