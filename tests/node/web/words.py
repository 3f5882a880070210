"""Every English sentence of the pages, and which of them nobody has translated yet."""

import ast
import importlib
import pkgutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from babel.messages.extract import extract_from_dir

import node
from node.kernel.errors import REFUSALS
from node.web import language

ROOT = Path(node.__file__).parent
KEYWORDS = {"_": None, "gettext": None, "ngettext": (2,)}
METHODS = [
    ("**.py", "python"),
    ("**/templates/**.html", "jinja2"),
    ("**/templates/**.svg", "jinja2"),
]
# said by commands, never on a page
TERMINAL = ("enrolment.", "settlement.", "node.", "kernel.database")


@cache
def sentences() -> tuple[tuple[str, str], ...]:
    """(where it stands, the sentence) for each string that a reader may see."""
    return tuple(_found())


def _found() -> Iterator[tuple[str, str]]:
    options = {path: {"newstyle_gettext": "true"} for path, _ in METHODS}
    found = extract_from_dir(ROOT, METHODS, options, keywords=KEYWORDS)
    for name, line, message, _comments, _context in found:
        for text in message if isinstance(message, tuple) else (message,):
            if text:
                yield f"{name}:{line}", text
    yield from _problems()
    _load_all()
    for code, refusal in sorted(REFUSALS.items()):
        if refusal.__module__.startswith("node.") and not code.startswith(TERMINAL):
            yield code, refusal.message


def untranslated() -> list[tuple[str, str]]:
    """The sentences a Chinese reader would get in English."""
    words = language.load()
    return [(place, text) for place, text in sentences() if not words.get(text)]


def _problems() -> Iterator[tuple[str, str]]:
    """What stands behind a field that was filled in wrongly: BadInput(…, problem="…")."""
    for path in sorted(ROOT.glob("*/*.py")):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "BadInput":
                for word in call.keywords:
                    if word.arg == "problem" and isinstance(word.value, ast.Constant):
                        yield f"{path.parent.name}/{path.name}:{call.lineno}", str(word.value.value)


def _load_all() -> None:
    for module in pkgutil.walk_packages(node.__path__, "node."):
        if not module.name.startswith("node.migrations."):
            importlib.import_module(module.name)
