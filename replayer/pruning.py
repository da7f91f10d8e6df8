"""Leaving steps out of a compiled plan without breaking what the others need. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from fnmatch import fnmatchcase

from replayer.plan.records import (
    Plan,
    Refresh,
    Route,
    RouteKind,
    Script,
    SlotKind,
    SocketScript,
    Step,
    StepKind,
    Template,
)
from replayer.user.ending import closing_steps, slots_in

_OF_SOCKETS = frozenset({StepKind.CONNECT, StepKind.SEND, StepKind.RECEIVE, StepKind.CLOSE})


class Only(Enum):
    """Which half of a capture is played."""

    WS = "ws"
    HTTP = "http"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """What of a capture is played; what that needs comes along.

    Attributes:
        only: sockets or requests alone, None is both.
        routes: names or patterns (``GET /api/*``) of routes; empty is all.
        messages: names or patterns of sent message kinds; empty is all.
        sessions: numbers of recorded sessions; empty is all.
    """

    only: Only | None = None
    routes: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    sessions: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A plan with less in it.

    Attributes:
        along: names of routes that were not asked for, but bring values that the others need.
        unmatched: patterns and sessions that match nothing.
    """

    plan: Plan
    along: tuple[str, ...] = ()
    unmatched: tuple[str, ...] = ()


def without_assets(plan: Plan) -> Plan:
    """Return the plan without requests for images, scripts and styles; those that other steps take values from stay."""
    return replace(plan, scripts=tuple(without_steps(script, _assets_of(plan, script)) for script in plan.scripts))


def without_closing(plan: Plan) -> Plan:
    """Return the plan without the steps that would end users who are to stay."""
    return replace(plan, scripts=tuple(without_steps(script, closing_steps(script)) for script in plan.scripts))


def keeping(plan: Plan, keep: Keep) -> Kept:
    """Return the plan with what is asked for, and what that needs: producers of values and cookies, and connects.

    Requests that only came along are measured apart, as routes of the kind ``along``.
    """
    if keep == Keep():
        return Kept(plan=plan)
    chosen = [script for script in plan.scripts if not keep.sessions or script.session in keep.sessions]
    along_route = {number: len(plan.routes) + number for number in range(len(plan.routes))}
    scripts, along = [], set[int]()
    for script in chosen:
        asked = {step.index for step in script.steps if _is_asked(plan, keep, step)}
        kept = _with_needs(script, asked)
        extra = {index for index in kept - asked if script.steps[index].kind is StepKind.REQUEST}
        along |= {script.steps[index].route for index in extra}
        steps = (replace(s, route=along_route[s.route]) if s.index in extra else s for s in script.steps)
        scripts.append(without_steps(replace(script, steps=tuple(steps)), frozenset(range(len(script.steps))) - kept))
    twins = tuple(replace(route, kind=_along(route)) for route in plan.routes)
    kept_plan = replace(plan, scripts=tuple(s for s in scripts if s.steps), routes=(*plan.routes, *twins))
    names = tuple(sorted(plan.routes[number].name for number in along))
    return Kept(plan=kept_plan, along=names, unmatched=tuple(_unmatched(plan, keep)))


def without_steps(script: Script, dropped: Collection[int]) -> Script:
    """Drop steps and number the rest again; who needed a dropped step needs what that one needed.

    A socket whose CONNECT is dropped must lose all its steps; it goes too.
    """
    if not dropped:
        return script
    needs: list[frozenset[int]] = []
    for step in script.steps:
        inherited = (needs[need] if need in dropped else frozenset({need}) for need in step.needs)
        needs.append(frozenset().union(*inherited))
    number = {step.index: n for n, step in enumerate(step for step in script.steps if step.index not in dropped)}
    left = [socket_number for socket_number, socket in enumerate(script.sockets) if socket.connect in number]
    sockets = {old: new for new, old in enumerate(left)}
    steps = tuple(
        replace(
            step,
            index=number[step.index],
            needs=tuple(sorted(number[need] for need in needs[step.index])),
            think_ns=_think_ns(script, step, needs[step.index]),
            socket=sockets.get(step.socket, -1),
            reply=number.get(step.reply, -1),
            reply_to=number.get(step.reply_to, -1),
        )
        for step in script.steps
        if step.index not in dropped
    )
    return replace(
        script,
        steps=steps,
        sockets=tuple(_renumbered_socket(script.sockets[old], number) for old in left),
        refreshes=tuple(_renumbered_refreshes(script.refreshes, number)),
    )


def _renumbered_socket(socket: SocketScript, number: dict[int, int]) -> SocketScript:
    ready = tuple(number[step] for step in socket.ready if step in number)
    return replace(socket, connect=number[socket.connect], ready=ready)


def _renumbered_refreshes(refreshes: Iterable[Refresh], number: dict[int, int]) -> Iterable[Refresh]:
    """Keep the chains that are whole, and the credentials that still have one and a step that carries them."""
    for refresh in refreshes:
        steps = tuple(number[step] for step in refresh.steps if step in number)
        chains = tuple(
            replace(chain, steps=tuple(number[step] for step in chain.steps))
            for chain in refresh.chains
            if all(step in number for step in chain.steps)
        )
        if steps and chains:
            yield replace(refresh, steps=steps, chains=chains)


def _assets_of(plan: Plan, script: Script) -> frozenset[int]:
    return frozenset(
        step.index
        for step in script.steps
        if step.kind is StepKind.REQUEST and plan.routes[step.route].kind is RouteKind.ASSET and not step.extractors
    )


def _is_asked(plan: Plan, keep: Keep, step: Step) -> bool:
    if keep.only is not None and (step.kind in _OF_SOCKETS) is not (keep.only is Only.WS):
        return False
    if keep.routes and not _matches(plan.routes[step.route].name, keep.routes):
        return False
    if not keep.messages or step.kind is StepKind.REQUEST:
        return True
    return step.kind is StepKind.SEND and _matches(plan.message_kinds[step.message_kind].name, keep.messages)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(name == pattern or fnmatchcase(name, pattern) for pattern in patterns)


def _unmatched(plan: Plan, keep: Keep) -> Iterable[str]:
    routes = [route.name for route in plan.routes]
    kinds = [kind.name for kind in plan.message_kinds if kind.is_sent]
    sessions = {script.session for script in plan.scripts}
    yield from (f"route {pattern!r}" for pattern in keep.routes if not any(_matches(n, [pattern]) for n in routes))
    yield from (f"message {pattern!r}" for pattern in keep.messages if not any(_matches(n, [pattern]) for n in kinds))
    yield from (f"session {number}" for number in keep.sessions if number not in sessions)


def _with_needs(script: Script, asked: Collection[int]) -> frozenset[int]:
    """Add, until nothing is missing, what brings the values, cookies and sockets that the steps need."""
    producers: dict[int, set[int]] = {}
    for step in script.steps:
        for extractor in step.extractors:
            producers.setdefault(extractor.slot, set()).add(step.index)
    kept: set[int] = set()
    open_steps = set(asked)
    while open_steps:
        kept |= open_steps
        needed = {index for step in open_steps for index in _needs_of(script, script.steps[step], producers)}
        open_steps = needed - kept
    return frozenset(kept)


def _needs_of(script: Script, step: Step, producers: dict[int, set[int]]) -> set[int]:
    used = slots_in(step) | _slots_of_socket(script, step)
    used |= {
        int(script.slots[slot].detail.partition(":")[0]) for slot in used if script.slots[slot].kind is SlotKind.DERIVED
    }
    needed = {index for slot in used for index in producers.get(slot, ())}
    if any(script.slots[slot].kind is SlotKind.COOKIE_HEADER for slot in used):
        needed |= {earlier.index for earlier in script.steps[: step.index] if earlier.sets_cookies}
    if step.socket >= 0:
        needed.add(script.sockets[step.socket].connect)
        needed |= {each.index for each in script.steps if each.kind is StepKind.CLOSE and each.socket == step.socket}
    needed |= {index for index in (step.reply, step.reply_to) if index >= 0}
    needed |= {
        index
        for refresh in script.refreshes
        if step.index in refresh.steps
        for chain in refresh.chains[:1]
        for index in chain.steps
    }
    return needed


def _slots_of_socket(script: Script, step: Step) -> set[int]:
    """The slots of what goes out by itself on the socket that a step opens."""
    if step.kind is not StepKind.CONNECT:
        return set()
    socket = script.sockets[step.socket]
    own = {extractor.slot for responder in socket.responders for extractor in responder.extractors}
    templates: list[Template] = [responder.payload for responder in socket.responders]
    templates += [ticker.payload for ticker in socket.tickers]
    return {part for template in templates for part in template if isinstance(part, int)} - own


def _along(route: Route) -> RouteKind:
    return route.kind if route.kind is RouteKind.ASSET else RouteKind.ALONG


def _think_ns(script: Script, step: Step, needs: Collection[int]) -> int:
    if needs == frozenset(step.needs):
        return step.think_ns
    ends_ns = (script.steps[need].at_ns + script.steps[need].duration_ns for need in needs)
    return max(0, step.at_ns - max(ends_ns, default=step.at_ns))
