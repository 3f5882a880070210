"""Linli on a telephone's home screen: the manifest, the worker, and a page for being offline.

Also /design: the parts of which every page is made, as they look now.
"""

from pathlib import Path
from typing import Any

import msgspec
from litestar import Response, get

from node.web.forms import Form
from node.web.language import gettext as _
from node.web.layout import Link, asset, page
from node.web.session import AnyRequest, house

_WORKER = Path(__file__).parent / "worker.js"
THEME_COLOUR, PAPER_COLOUR = "#9a3524", "#fbf7f0"  # --accent and --paper of linli.css


@get("/manifest.webmanifest", include_in_schema=False)
async def manifest(request: AnyRequest) -> Response[bytes]:
    """What a telephone needs to know to put the community on its home screen."""
    name = house(request).name
    known = {
        "name": name,
        "short_name": name[:12],
        "start_url": "/",
        "scope": "/",
        "display": "standalone",
        "background_color": PAPER_COLOUR,
        "theme_color": THEME_COLOUR,
        "icons": [
            {"src": asset("icon.svg"), "sizes": "any", "type": "image/svg+xml", "purpose": "any"},
        ],
        "shortcuts": [
            {"name": _("Report a repair"), "url": "/repairs/new"},
            {"name": _("Messages"), "url": "/inbox"},
        ],
    }
    return Response(msgspec.json.encode(known), media_type="application/manifest+json")


@get("/worker.js", include_in_schema=False)
async def worker() -> Response[bytes]:
    """The worker that shows /offline when there is no net; it keeps no page with anybody's data."""
    return Response(_WORKER.read_bytes(), media_type="text/javascript")


@get("/offline", include_in_schema=False)
async def offline(request: AnyRequest) -> Response[str]:
    """What a reader sees without a net: where help is all the same."""
    return page(request, "offline.html")


@get("/design", include_in_schema=False)
async def design(request: AnyRequest) -> Response[str]:
    """The design on one page: colours, type, and each part with the words that make it."""
    form = Form({"name": "", "kind": "lift", "text": ""}, {"name": _("Please fill this in.")})
    shown: dict[str, Any] = {
        "form": form,
        "colours": ("paper", "sheet", "ink", "soft", "line", "accent", "good", "warn", "bad"),
        "links": [Link("/design", _("Report a repair")), Link("/design", _("My requests"))],
    }
    return page(request, "design.html", **shown)


routes = [manifest, worker, offline, design]
