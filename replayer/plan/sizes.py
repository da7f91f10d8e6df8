"""How large answers and messages were, on the average: what a replay's are compared with. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from captures.records import Exchange, Message
from replayer.plan.records import MessageKind, Route


def with_sizes(routes: Sequence[Route], answers: Iterable[tuple[int, Exchange, int]]) -> tuple[Route, ...]:
    """Return routes with the mean sizes of their successes.

    Args:
        answers: number of the route, the exchange, and the decoded size of its body, below 0 where nobody knows.
    """
    wire: dict[int, list[int]] = {}
    decoded: dict[int, list[int]] = {}
    for route, exchange, n_bytes in answers:
        if exchange.socket is None and exchange.status is not None and 200 <= exchange.status < 300 and n_bytes >= 0:
            wire.setdefault(route, []).append(exchange.response_body.size_bytes)
            decoded.setdefault(route, []).append(n_bytes)
    return tuple(
        replace(route, mean_wire_bytes=_mean(wire.get(number)), mean_decoded_bytes=_mean(decoded.get(number)))
        for number, route in enumerate(routes)
    )


def with_message_sizes(
    kinds: Sequence[MessageKind], messages: Iterable[tuple[int, Message]]
) -> tuple[MessageKind, ...]:
    """Return kinds of messages with their mean sizes; ``messages`` come with the number of their kind."""
    sizes: dict[int, list[int]] = {}
    for kind, message in messages:
        sizes.setdefault(kind, []).append(message.size_bytes or len(message.data))
    return tuple(replace(kind, mean_bytes=_mean(sizes.get(number))) for number, kind in enumerate(kinds))


def _mean(sizes: Sequence[int] | None) -> int:
    return round(sum(sizes) / len(sizes)) if sizes else 0
