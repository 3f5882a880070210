"""QR codes as SVG, for pages and slips; the drawing library is loaded with the first of them."""

import io

from markupsafe import Markup

BORDER_MODULES = 3
PAPER = "#ffffff"  # dark on white also in dark mode: scanners need it


def svg(text: str, *, error: str = "m", scale: int | None = None) -> Markup:
    """A picture of `text`; with `scale` pixels a module, else as large as the page lets it be.

    `error` is the share that may be unreadable: "l" 7 %, "m" 15 % (ISO/IEC 18004).
    """
    import segno

    drawn = io.BytesIO()
    segno.make(text, error=error).save(
        drawn,
        kind="svg",
        scale=scale or 1,
        border=BORDER_MODULES,
        light=PAPER,
        xmldecl=False,
        omitsize=scale is None,
    )
    return Markup(drawn.getvalue().decode())  # noqa: S704  # drawn by us


def data_uri(text: str) -> str:
    """The same for the `src` of an image."""
    import segno

    return segno.make(text, error="m").svg_data_uri(scale=4, border=4, light=PAPER)
