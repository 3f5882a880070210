"""`make screenshots`: the main pages as a resident sees them, for the READMEs; small files.

Chinese, a telephone of 360 pixels and one desk's screen; the same village as in the tests.
"""

import sys
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from tests.browser.village import Village, chromium, served, village, visit

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"
TELEPHONE, DESK = {"width": 360, "height": 740}, {"width": 1100, "height": 760}
COLOURS_MAX = 64  # of a picture: enough for flat pages, and a third of the bytes


class Shot(NamedTuple):
    """One picture: whose page, where, and how it is looked at."""

    name: str
    role: str
    path: str
    is_wide: bool = False
    is_big: bool = False
    is_dark: bool = False


SHOTS = (
    Shot("home", "resident", "/"),
    Shot("home-large", "resident", "/", is_big=True),
    Shot("home-dark", "resident", "/", is_dark=True),
    Shot("report", "resident", "/repairs/new"),
    Shot("repair", "resident", "/repairs/1"),
    Shot("points", "resident", "/points"),
    Shot("hours", "resident", "/timebank/statement"),
    Shot("ballot", "resident", "/council"),
    Shot("inbox", "resident", "/inbox"),
    Shot("desk", "clerk", "/", is_wide=True),
    Shot("work", "property", "/repairs/work", is_wide=True),
    Shot("first-steps", "operator", "/first-steps", is_wide=True),
)


def take(place: Village, site: str, browser: Any, shot: Shot) -> bytes:
    """The picture as a PNG of few colours."""
    context = visit(
        browser,
        site,
        place.cookies(shot.role),
        is_big=shot.is_big,
        viewport=DESK if shot.is_wide else TELEPHONE,
        color_scheme="dark" if shot.is_dark else "light",
    )
    page = context.new_page()
    page.goto(site + shot.path, wait_until="load")
    if shot.name == "ballot":
        page.click("main a:has-text('充电位')")
    picture = Image.open(BytesIO(page.screenshot()))
    context.close()
    small, made = BytesIO(), picture.convert("RGB").quantize(COLOURS_MAX)
    made.save(small, "PNG", optimize=True)
    return small.getvalue()


def main() -> None:
    """Write every picture into docs/screenshots."""
    FOLDER.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as directory,
        village(Path(directory) / "node") as place,
        served(place) as site,
        chromium() as browser,
    ):
        for shot in SHOTS:
            content = take(place, site, browser, shot)
            (FOLDER / f"{shot.name}.png").write_bytes(content)
            sys.stdout.write(f"docs/screenshots/{shot.name}.png {len(content) // 1_000} kB\n")


if __name__ == "__main__":
    main()
