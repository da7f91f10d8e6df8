"""Routes: templated endpoints, learned from all exchanges of a capture. Pure.

A segment becomes ``{id}`` where it is digits, a uuid or hex; where the server minted it; where it differs between paths
whose answers have one and the same shape; or where ten and more words stand in one place. GraphQL and JSON-RPC are told
apart by operation.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, NamedTuple

from captures.bodies import header, media_type
from captures.records import Exchange
from replayer.plan.expectations import shape_of
from replayer.plan.records import Route, RouteKind
from replayer.plan.values import is_id_like

_MANY_WORDS = 10
_MIN_SHAPE = 3
_MAX_KEYS = 64
_ASSET_DESTINATIONS = frozenset(
    "audio audioworklet font image manifest object paintworklet script serviceworker sharedworker style track video"
    " worker xslt".split()
)
_DOCUMENT_DESTINATIONS = frozenset("document frame iframe embed fencedframe".split())
_ASSET_TYPES = re.compile(
    r"(?:image|font|audio|video)/|text/css|(?:text|application)/(?:x-)?(?:java|ecma)script|application/(?:wasm|font)"
)
_UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_GRAPHQL = re.compile(r"(?:^|[}\s])(query|mutation|subscription)\b\s*([A-Za-z_]\w*)?")
# A symbol, a country, a currency: capitals and digits, as names of resources are not written.
_SYMBOL = re.compile(r"(?=.*[A-Z])[A-Z0-9][A-Z0-9._^=-]{0,15}")
_COMMENT = re.compile(r"#[^\n]*")

Shape = tuple[str, ...]
"""Paths of an answer's keys, for comparing answers; empty where it is no JSON object."""


class Asked(NamedTuple):
    """What a route is learned from: ``path`` without query, ``ids`` the positions of segments known to be ids."""

    origin: int
    method: str
    path: str
    is_asset: bool
    shape: Shape
    ids: frozenset[int] = frozenset()


class Operation(NamedTuple):
    """A GraphQL or JSON-RPC operation; ``writes`` is None where that cannot be told."""

    name: str
    writes: bool | None


def kind_of(exchange: Exchange) -> RouteKind:
    """Return what an exchange serves, by ``Sec-Fetch-Dest``, else by the type of its answer."""
    if exchange.socket is not None:
        return RouteKind.SOCKET
    destination = (header(exchange.request_headers, b"sec-fetch-dest") or b"").decode("latin-1").lower()
    if destination in _ASSET_DESTINATIONS:
        return RouteKind.ASSET
    if destination in _DOCUMENT_DESTINATIONS:
        return RouteKind.DOCUMENT
    if destination:
        return RouteKind.API
    kind = media_type(exchange.response_headers)
    if _ASSET_TYPES.match(kind):
        return RouteKind.ASSET
    is_page = exchange.method == "GET" and kind in ("text/html", "application/xhtml+xml")
    is_scripted = header(exchange.request_headers, b"x-requested-with") is not None
    return RouteKind.DOCUMENT if is_page and not is_scripted else RouteKind.API


def is_unsafe(exchange: Exchange, operation: Operation | None) -> bool:
    """Tell whether a request writes."""
    if operation is not None and operation.writes is not None:
        return operation.writes
    return exchange.method in _UNSAFE


def shape_for_routes(document: Any) -> Shape:
    """Return the paths of a document's keys, those of the first element of arrays included."""
    shape = ["/".join(map(str, path)) for path in shape_of(document)[0]]
    if isinstance(document, dict):
        for key, value in document.items():
            if isinstance(value, list) and value and isinstance(value[0], dict):
                shape += [f"{key}[]{inner}" for inner in islice(value[0], _MAX_KEYS)]
    return tuple(sorted(shape))


class Templates:
    """Path templates by (origin, method, path)."""

    def __init__(self, rows: Iterable[Asked]) -> None:
        by_row: dict[tuple[int, str, str], list[str]] = {}
        shapes: dict[tuple[int, str, str], set[Shape]] = {}
        assets: set[tuple[int, str, str]] = set()
        for row in rows:
            key = (row.origin, row.method, row.path)
            segments = by_row.setdefault(key, _segments(row.path))
            for position in row.ids:
                segments[position + 1] = "{}"
            shapes.setdefault(key, set()).add(row.shape)
            if row.is_asset:
                assets.add(key)
        mergeable = {key: segments for key, segments in by_row.items() if key not in assets}
        for position in range(1, max((len(s) for s in mergeable.values()), default=0)):
            _merge(mergeable, shapes, position)
        self._templates = {key: _numbered(segments) for key, segments in by_row.items()}

    def path(self, origin: int, method: str, path: str) -> str:
        """Return the template of a path; one that was never learned gets its ids replaced."""
        template = self._templates.get((origin, method, path))
        return template if template is not None else path_template(path)


def path_template(path: str) -> str:
    """Return a path with its ids replaced."""
    return _numbered(_segments(path))


def _segments(path: str) -> list[str]:
    """Return the segments of a path, ``{}`` for those that are ids whatever they stand for."""
    return ["{}" if is_id_like(segment.encode("latin-1", "replace")) else segment for segment in path.split("/")]


def _merge(
    rows: dict[tuple[int, str, str], list[str]], shapes: dict[tuple[int, str, str], set[Shape]], position: int
) -> None:
    """Replace the segments at one position that vary."""
    groups: dict[tuple[int, str, tuple[str, ...]], list[tuple[int, str, str]]] = {}
    for key, segments in rows.items():
        if position < len(segments) and segments[position] not in ("", "{}"):
            around = (*segments[:position], "", *segments[position + 1 :])
            groups.setdefault((key[0], key[1], around), []).append(key)
    for keys in groups.values():
        words = {rows[key][position] for key in keys}
        n_shown = len({rows[key][position] for key in keys if shapes[key] != {()}})
        if len(words) > 1 and _vary(words, set[Shape]().union(*(shapes[key] for key in keys)), n_shown):
            for key in keys:
                rows[key][position] = "{}"


def _vary(words: set[str], shapes: set[Shape], n_shown: int) -> bool:
    """Tell whether words are ids; ``n_shown`` of them were answered with a document."""
    known = shapes - {()}
    if n_shown > 1 and len(known) == 1 and len(max(shapes)) >= _MIN_SHAPE:
        return True
    if all(_SYMBOL.fullmatch(word) for word in words) and _are_alike(known):
        return True
    return len(words) >= _MANY_WORDS and not any("." in word for word in words)


def _are_alike(shapes: set[Shape]) -> bool:
    """Tell whether answers share most of their keys: optional ones come and go."""
    common = set.intersection(*map(set, shapes)) if shapes else set()
    return all(2 * len(common) >= len(shape) for shape in shapes)


def _numbered(segments: Sequence[str]) -> str:
    out: list[str] = []
    n = 0
    for segment in segments:
        n += segment == "{}"
        out.append(segment if segment != "{}" else "{id}" if n == 1 else f"{{id{n}}}")
    return "/".join(out) or "/"


class Routes:
    """The routes of a plan, numbered in order of appearance."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[int, str], int] = {}
        self._names: list[str] = []
        self._kinds: list[RouteKind] = []
        self._counts: list[int] = []

    def number(self, origin: int, name: str, kind: RouteKind) -> int:
        """Return the number of a route and count one recorded exchange."""
        key = (origin, name)
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._kinds)
            self._names.append(name)
            self._kinds.append(kind)
            self._counts.append(0)
        self._counts[number] += 1
        return number

    def name(self, number: int) -> str:
        """Return the name of a route."""
        return self._names[number]

    def records(self) -> tuple[Route, ...]:
        """Return the routes as the plan holds them."""
        return tuple(
            Route(name=name, kind=kind, origin=origin, n_recorded=count)
            for (origin, name), kind, count in zip(self._numbers, self._kinds, self._counts, strict=True)
        )


# Operations.


def operation_of(exchange: Exchange) -> Operation | None:
    """Return the GraphQL or JSON-RPC operation of a request, None where it is neither."""
    body = exchange.request_body.data
    if not (b'"query"' in body or b'"jsonrpc"' in body or b'"operationName"' in body):
        return None
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    calls = document if isinstance(document, list) else [document]
    operations = [_operation(call) for call in calls if isinstance(call, dict)]
    known = [operation for operation in operations if operation is not None]
    if not known or len(known) != len(calls):
        return None
    if len(known) == 1:
        return known[0]
    names = "+".join(dict.fromkeys(operation.name for operation in known))
    return Operation(names[:80], any(operation.writes is not False for operation in known))


def _operation(call: dict[str, Any]) -> Operation | None:
    method = call.get("method")
    if "jsonrpc" in call and isinstance(method, str):
        return Operation(method[:80], None)
    query, name = call.get("query"), call.get("operationName")
    given = name if isinstance(name, str) else ""
    if isinstance(query, str) and "{" in query:
        return _graphql(_COMMENT.sub("", query), given)
    if given and isinstance(call.get("extensions"), dict):
        return Operation(given[:80], None)  # A persisted query: only the server knows whether it writes.
    return None


def _graphql(query: str, given: str) -> Operation:
    """Source: GraphQL specification, October 2021, §2.3: a document may hold several operations, one of them is run."""
    found = [match.groups() for match in _GRAPHQL.finditer(query)]
    chosen = next((op for op in found if op[1] == given), found[0] if found else ("query", ""))
    return Operation((given or chosen[1] or "anonymous")[:80], chosen[0] == "mutation")
