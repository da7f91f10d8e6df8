"""How large answers and messages were, on the average: what a replay's are compared with. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from captures.records import Exchange, Message
from replayer.plan.records import MessageKind, Route

_DEPTH = 3
_NOT_MODIFIED = 304
"""Users ask without the recorded cache's condition, so they get the whole."""


def items_of(document: Any, depth: int = _DEPTH) -> int:
    """Return how many elements the arrays of a document have, those inside of arrays left out.

    Worked: ``{"rows": [{"tags": [1, 2]}, {}], "page": {"links": [1]}}`` has 3.
    """
    if type(document) is list:
        return len(document)
    if type(document) is not dict or not depth:
        return 0
    return sum(items_of(value, depth - 1) for value in document.values() if type(value) in (list, dict))


def with_sizes(routes: Sequence[Route], answers: Iterable[tuple[int, Exchange, int, int]]) -> tuple[Route, ...]:
    """Return routes with the mean sizes of their successes.

    Args:
        answers: number of the route, the exchange, the decoded size of its body, and the items in it, below 0 where
            nobody knows.
    """
    found: dict[int, list[tuple[int, int, int]]] = {}
    for route, exchange, n_bytes, n_items in answers:
        status = exchange.status or 0
        if exchange.socket is None and 200 <= status < 400 and status != _NOT_MODIFIED and n_bytes >= 0:
            found.setdefault(route, []).append((exchange.response_body.size_bytes, n_bytes, n_items))
    return tuple(_sized(route, found.get(number, ())) for number, route in enumerate(routes))


def _sized(route: Route, answers: Sequence[tuple[int, int, int]]) -> Route:
    items = [n_items for _, _, n_items in answers if n_items >= 0]
    return replace(
        route,
        mean_wire_bytes=round(_mean([wire for wire, _, _ in answers])),
        mean_decoded_bytes=round(_mean([decoded for _, decoded, _ in answers])),
        mean_items=round(_mean(items), 3),
    )


def with_message_sizes(
    kinds: Sequence[MessageKind], messages: Iterable[tuple[int, Message]], items: Sequence[float]
) -> tuple[MessageKind, ...]:
    """Return kinds of messages with their mean sizes.

    Args:
        messages: with the number of their kind.
        items: by kind, the mean number of items.
    """
    sizes: dict[int, list[int]] = {}
    for kind, message in messages:
        sizes.setdefault(kind, []).append(message.size_bytes or len(message.data))
    return tuple(
        replace(kind, mean_bytes=round(_mean(sizes.get(number, ()))), mean_items=round(items[number], 3))
        for number, kind in enumerate(kinds)
    )


def _mean(sizes: Sequence[int]) -> float:
    return sum(sizes) / len(sizes) if sizes else 0.0
