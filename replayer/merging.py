"""Several plans as one, for populations that play different captures or different parts of one. Pure.

Origins, routes and message kinds are unified by what they are, so that a route that two populations play is measured
as one; scripts follow each other in the order of the plans. What no script uses is left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

from captures.records import Origin
from replayer.plan.records import (
    Expectation,
    MessageKind,
    Plan,
    Responder,
    Route,
    RouteKind,
    Script,
    Slot,
    SlotKind,
    SocketScript,
    Step,
    Ticker,
)

T = TypeVar("T")


def merge_plans(plans: Sequence[Plan]) -> Plan:
    """Return one plan with the scripts of all, one after the other.

    Its first origin is the first plan's page. The digest of the capture is that of the captures, in order.
    """
    merger = _Merger()
    scripts = tuple(script for plan in plans for script in merger.scripts(plan))
    dropped = dict(pair for plan in reversed(plans) for pair in plan.dropped_origins)
    digests = list(dict.fromkeys(plan.capture_sha256 for plan in plans))
    return replace(
        plans[0],
        capture_sha256=digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest(),
        origins=tuple(merger.origins),
        routes=tuple(merger.routes.values()),
        message_kinds=tuple(merger.kinds.values()),
        scripts=scripts,
        dropped_origins=tuple(sorted((name, n) for name, n in dropped.items() if name not in merger.origin_names())),
    )


class _Merger:
    def __init__(self) -> None:
        self.origins: list[Origin] = []
        self.routes: dict[tuple[int, str, RouteKind], Route] = {}
        self.kinds: dict[tuple[int, str, bool], MessageKind] = {}

    def origin_names(self) -> set[str]:
        return set(map(str, self.origins))

    def scripts(self, plan: Plan) -> Iterable[Script]:
        origins = [_number(self.origins, origin) for origin in plan.origins]
        used = {step.route for script in plan.scripts for step in script.steps}
        used |= {socket.route for script in plan.scripts for socket in script.sockets}
        routes = {
            number: self._route(replace(route, origin=origins[route.origin]))
            for number, route in enumerate(plan.routes)
            if number in used
        }
        kinds = {
            number: self._kind(replace(kind, route=routes[kind.route]))
            for number, kind in enumerate(plan.message_kinds)
            if kind.route in routes
        }
        return [_Renumbered(origins, routes, kinds).script(script) for script in plan.scripts]

    def _route(self, route: Route) -> int:
        key = (route.origin, route.name, route.kind)
        known = self.routes.get(key)
        n_recorded = route.n_recorded if known is None else max(route.n_recorded, known.n_recorded)
        self.routes[key] = replace(route, n_recorded=n_recorded)
        return list(self.routes).index(key)

    def _kind(self, kind: MessageKind) -> int:
        key = (kind.route, kind.value, kind.is_sent)
        known = self.kinds.get(key)
        if known is not None:
            expectation = _common(known.expectation, kind.expectation)
            kind = replace(kind, n_recorded=max(kind.n_recorded, known.n_recorded), expectation=expectation)
        self.kinds[key] = kind
        return list(self.kinds).index(key)


class _Renumbered:
    """One plan's numbers of origins, routes and message kinds, and what they become."""

    def __init__(self, origins: Sequence[int], routes: dict[int, int], kinds: dict[int, int]) -> None:
        self._origins = origins
        self._routes = routes
        self._kinds = {-1: -1, **kinds}

    def script(self, script: Script) -> Script:
        return replace(
            script,
            steps=tuple(map(self._step, script.steps)),
            slots=tuple(map(self._slot, script.slots)),
            sockets=tuple(map(self._socket, script.sockets)),
        )

    def _step(self, step: Step) -> Step:
        return replace(
            step,
            route=self._routes[step.route],
            origin=self._origins[step.origin],
            message_kind=self._kinds[step.message_kind],
        )

    def _slot(self, slot: Slot) -> Slot:
        if slot.kind is not SlotKind.ORIGIN:
            return slot
        number, _, form = slot.detail.partition(":")
        return replace(slot, detail=f"{self._origins[int(number)]}:{form}")

    def _socket(self, socket: SocketScript) -> SocketScript:
        return replace(
            socket,
            route=self._routes[socket.route],
            responders=tuple(map(self._responder, socket.responders)),
            tickers=tuple(map(self._ticker, socket.tickers)),
            pushes=tuple(self._kinds[kind] for kind in socket.pushes if kind in self._kinds),
        )

    def _responder(self, responder: Responder) -> Responder:
        return replace(responder, message_kind=self._kinds[responder.message_kind])

    def _ticker(self, ticker: Ticker) -> Ticker:
        return replace(ticker, message_kind=self._kinds[ticker.message_kind], reply_kind=self._kinds[ticker.reply_kind])


def _number(known: list[T], item: T) -> int:
    if item not in known:
        known.append(item)
    return known.index(item)


def _common(one: Expectation, other: Expectation) -> Expectation:
    """Return what holds for the examples of both: where they differ, the weaker of the two."""
    if one == other:
        return one
    defaults = Expectation()
    weaker: dict[str, Any] = {
        item.name: getattr(one, item.name)
        if getattr(one, item.name) == getattr(other, item.name)
        else getattr(defaults, item.name)
        for item in fields(Expectation)
    }
    return Expectation(
        **weaker
        | {
            "statuses": tuple(sorted({*one.statuses, *other.statuses})) if one.statuses and other.statuses else (),
            "min_bytes": min(one.min_bytes, other.min_bytes),
            "max_bytes": max(one.max_bytes, other.max_bytes),
            "required": tuple(path for path in one.required if path in other.required),
            "non_empty": tuple(path for path in one.non_empty if path in other.non_empty),
        }
    )
