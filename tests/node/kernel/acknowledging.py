"""A child process that writes notes and says each number on stdout once it is answered.

`python -m tests.node.kernel.acknowledging URL`: several threads, so that commits are shared.
"""

import itertools
import sys
import threading
from functools import partial

from node.kernel.clock import SystemClock
from node.kernel.db import Database
from tests.node.kernel.notes import write_note

THREADS = 8


def main(url: str) -> None:
    database = Database(url, clock=SystemClock())
    numbers, turn = itertools.count(), threading.Lock()

    def write_on() -> None:
        while True:
            with turn:
                number = next(numbers)
            database.do(partial(write_note, number=number))
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()

    threads = [threading.Thread(target=write_on, daemon=True) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(sys.argv[1])
