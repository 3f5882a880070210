"""Every page that a reader can reach: the site's own routes, and what their links lead to."""

import re
from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

from litestar.routes import HTTPRoute

from tests.browser.village import Village

PER_ROUTE_MAX = 4  # different things behind one route, such as repairs at different steps
NOT_PAGES = ("/api/", "/static/", "/livez", "/readyz", "/metrics")
_LINK = re.compile(r'<a [^>]*href="([^"#]+)')
_CHANGING = re.compile(r'value="[^"]*"|[0-9a-f]{8}-[0-9a-f-]{27}|\?v=[0-9a-f]+|\d\d:\d\d')


def patterns(place: Village) -> dict[str, re.Pattern[str]]:
    """Each GET route of the site that is not for programs, with what matches it."""
    found = {}
    for route in place.client.app.routes:
        if isinstance(route, HTTPRoute) and "GET" in route.methods:
            path = route.path_format
            if not path.startswith(NOT_PAGES):
                parts = re.split(r"\{[^}]*\}", path)
                found[path] = re.compile("[^/]+".join(map(re.escape, parts)) + "/?")
    return found


def pages(place: Village, role: str) -> Iterator[tuple[str, str]]:
    """(path, what stands there without all that changes by itself) for one reader.

    The frame around a page is the same on each, so it counts on the home page alone.
    """
    known, reached = patterns(place), dict.fromkeys(patterns(place), 0)
    waiting = [path for path in known if "{" not in path]
    asked = set(waiting)
    place.client.cookies.clear()
    for name, value in (place.cookies(role) | {"linli_language": "zh"}).items():
        place.client.cookies.set(name, value)
    while waiting:
        path = waiting.pop(0)
        answer = place.client.get(path, follow_redirects=False)
        is_page = answer.headers.get("content-type", "").startswith("text/html")
        assert answer.status_code < 500, f"{role} {path}: {answer.status_code}"
        if not is_page or answer.status_code not in (200, 403):
            continue
        text = answer.text.partition("<main")[2] if path != "/" else answer.text
        yield path, _CHANGING.sub("", text.replace(path, ""))
        for link in _LINK.findall(answer.text):
            target = urlsplit(urljoin(path, link.replace("&amp;", "&"))).path
            route = next((name for name, shape in known.items() if shape.fullmatch(target)), None)
            if target not in asked and route and reached[route] < PER_ROUTE_MAX:
                reached[route] += 1
                asked.add(target)
                waiting.append(target)
    place.client.cookies.clear()
