"""Which step waits for which: values, and the order that the browser could not have changed. Pure.

Theory of operation
-------------------
Nodes are walked in the order in which they were sent, while a heap lets earlier ones end. Where nothing else is known,
a request waits for the one that ended last before it was sent. Something else is known where

- it is a tick of a timer: its route repeats and its sends are more regular than its reactions. It waits for nothing
  but its values, and nobody waits for it.
- it was sent in one burst with others of the same page that are still in flight: they share what the first waited for.
- it is part of a page (an image, a script): it waits for the page that names it.
- it follows a redirect or a preflight: it waits for exactly that.

Messages are sent on the recorded timeline. A sent message waits for its socket and its values; for the answer to the
message before it, where it was sent right upon that; and for the message before it, where one of the two has to wait
for something, so that messages are never sent in another order.

Source: measurement.md §1.2, design §5.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from statistics import median_low

from replayer.plan.records import StepKind
from replayer.plan.values import EventRef

BURST_NS = 50_000_000
"""Requests of one burst follow each other at least this fast."""
REACTION_NS = 250_000_000
"""What is sent so soon after an answer was sent because of it: nobody types that fast."""
TIMER_TICKS = 4
_TIMER_JITTER = 5
"""A timer's gaps differ from their median by less than a fifth of it."""

_ROUND_NS = 100_000_000
_ROUND = 100
"""A gap is near a round time where it differs by less than a hundredth."""

_LAST_MESSAGES = 32
"""A close waits for so many messages; those before them are due earlier on the same clock."""


class Why(Enum):
    """Why a step waits for another."""

    VALUE = "value"
    """It uses a value of it."""
    COOKIE = "cookie"
    """It carries a cookie of it."""
    ORDER = "order"
    """That one ended last before it was sent."""
    BURST = "burst"
    """It was sent together with others, and that one ended last before the first of them."""
    PAGE = "page"
    """It is a part of that page."""
    REDIRECT = "redirect"
    PREFLIGHT = "preflight"
    SOCKET = "socket"
    """It goes over its socket."""
    ANSWER = "answer"
    """It answers that message."""
    REACTION = "reaction"
    """It was sent right upon that answer."""
    SEQUENCE = "sequence"
    """Messages of one socket keep their order."""


@dataclass(slots=True, kw_only=True)
class Node:
    """A step to be.

    Attributes:
        event: what it was compiled from.
        end_ns: None where it never ended.
        group: what repeats of it are told by: route, or kind of message.
        url: absolute, without fragment; of requests.
        referer: URL of the page that sent it, or "".
        redirect: URL that its response sent the browser to.
        preflight: of a preflight, the method it asked for.
        socket: position of the handshake, of CONNECT, SEND, RECEIVE and CLOSE.
        reply_to: event that it answers, of a RECEIVE.
        released_ns: of a stream: when the values were there that others wait for; None where nobody does.
    """

    event: EventRef
    kind: StepKind
    at_ns: int
    end_ns: int | None
    group: int
    method: str = ""
    url: str = ""
    referer: str = ""
    redirect: str = ""
    preflight: str = ""
    is_asset: bool = False
    is_document: bool = False
    socket: int = -1
    reply_to: EventRef | None = None
    released_ns: int | None = None

    @property
    def done_ns(self) -> int | None:
        """When those who wait for it go on, None where they never do."""
        return self.end_ns if self.released_ns is None else self.released_ns


Needs = dict[int, Why]


def dependencies(nodes: Sequence[Node], data: Sequence[Needs]) -> list[Needs]:
    """Return by node what it needs and why.

    Args:
        nodes: in order of ``at_ns``; all that is needed stands before what needs it.
        data: by node, the nodes whose values it uses.
    """
    timers = _timers(nodes)
    needs = [dict(each) for each in data]
    order = _Order(nodes, timers)
    for number, node in enumerate(nodes):
        if node.kind in (StepKind.REQUEST, StepKind.CONNECT):
            found = order.edge(number)
            if found is not None:
                needs[number].setdefault(*found)
    _Messages(nodes, timers, needs).link()
    for number, each in enumerate(needs):
        needs[number] = {need: why for need, why in sorted(each.items()) if _is_possible(nodes, need, number)}
    return needs


def _is_possible(nodes: Sequence[Node], need: int, number: int) -> bool:
    done_ns = nodes[need].done_ns
    return need < number and done_ns is not None and done_ns <= nodes[number].at_ns


# Timers.


def _timers(nodes: Sequence[Node]) -> set[int]:
    """Return the nodes that a timer sent."""
    groups: dict[tuple[StepKind, int, int], list[int]] = {}
    for number, node in enumerate(nodes):
        if node.kind is StepKind.SEND or (node.kind is StepKind.REQUEST and not node.is_asset):
            groups.setdefault((node.kind, node.socket, node.group), []).append(number)
    ticks: set[int] = set()
    for numbers in groups.values():
        if len(numbers) >= TIMER_TICKS:
            ticks.update(numbers[n] for n in ticks_of([nodes[number] for number in numbers]))
    return ticks


def ticks_of(nodes: Sequence[Node]) -> range:
    """Return which of a route's nodes are ticks: all or none, but for a first one that came with the page.

    A timer's sends are more regular than what passes between an end and the next send, and people set timers to round
    times: with answers that are fast and alike, that is all that tells the two apart.
    """
    pairs = list(zip(nodes, nodes[1:], strict=False))
    sends_ns = [after.at_ns - before.at_ns for before, after in pairs]
    pauses_ns = [after.at_ns - (before.end_ns or before.at_ns) for before, after in pairs]
    first_ns = sends_ns[0]
    if len(pairs) >= TIMER_TICKS:
        sends_ns, pauses_ns = sends_ns[1:], pauses_ns[1:]
    spread_ns, middle_ns = _spread(sends_ns)
    if spread_ns * _TIMER_JITTER >= middle_ns:
        return range(0)
    if nodes[0].kind is StepKind.REQUEST and _irregularity(sends_ns, pauses_ns) >= _irregularity(pauses_ns, sends_ns):
        return range(0)
    return range(int(abs(first_ns - middle_ns) > middle_ns // _ROUND), len(nodes))


def _irregularity(gaps_ns: Sequence[int], other_ns: Sequence[int]) -> int:
    """Return how far gaps are from each other, and from a round time where these or the others are near one."""
    spread_ns, middle_ns = _spread(gaps_ns)
    is_set = _is_round(middle_ns) or _is_round(_spread(other_ns)[1])
    return spread_ns + (_off_round_ns(middle_ns) if is_set else 0)


def _spread(gaps_ns: Sequence[int]) -> tuple[int, int]:
    """Return what three quarters of the gaps differ by from their median at most, and the median.

    One pause of a timer does not change them; of fewer than five gaps all count.
    """
    middle_ns = median_low(gaps_ns)
    off_ns = sorted(abs(gap - middle_ns) for gap in gaps_ns)
    return off_ns[len(off_ns) * 3 // 4], middle_ns


def _off_round_ns(gap_ns: int) -> int:
    return abs((gap_ns + _ROUND_NS // 2) % _ROUND_NS - _ROUND_NS // 2)


def _is_round(gap_ns: int) -> bool:
    return gap_ns >= _ROUND_NS and _off_round_ns(gap_ns) * _ROUND <= gap_ns


# Requests.


@dataclass(slots=True)
class _Burst:
    last_ns: int
    busy_until_ns: int
    edge: int | None


@dataclass(slots=True)
class _Order:
    """The order edges of requests and handshakes, asked for in the order of sending."""

    nodes: Sequence[Node]
    timers: set[int]
    _open: list[tuple[int, int]] = field(default_factory=list)
    _last: int | None = None
    _ended: dict[str, int] = field(default_factory=dict)
    _started: dict[str, int] = field(default_factory=dict)
    _edges: dict[int, int | None] = field(default_factory=dict)
    _redirects: dict[str, int] = field(default_factory=dict)
    _preflights: dict[tuple[str, str], int] = field(default_factory=dict)
    _bursts: dict[str, _Burst] = field(default_factory=dict)

    def edge(self, number: int) -> tuple[int, Why] | None:
        """Return what a node waits for, and why."""
        node = self.nodes[number]
        self._let_end(node.at_ns)
        found = self._known(node) if number not in self.timers else None
        if found is None and number not in self.timers:
            found = self._usual(node)
        self._edges[number] = found[0] if found else None
        self._started[node.url] = number
        if node.end_ns is not None:
            heapq.heappush(self._open, (node.end_ns, number))
        return found

    def _let_end(self, now_ns: int) -> None:
        while self._open and self._open[0][0] <= now_ns:
            number = heapq.heappop(self._open)[1]
            node = self.nodes[number]
            self._ended[node.url] = number
            if node.redirect:
                self._redirects[node.redirect] = number
            if node.preflight:
                self._preflights[node.url, node.preflight] = number
            elif number not in self.timers:
                self._last = number

    def _known(self, node: Node) -> tuple[int, Why] | None:
        redirect = self._redirects.pop(node.url, None)
        if redirect is not None:
            return redirect, Why.REDIRECT
        preflight = self._preflights.pop((node.url, node.method), None)
        if preflight is not None:
            return preflight, Why.PREFLIGHT
        if node.is_asset and node.referer in self._started:
            page = self._ended.get(node.referer)
            if page is not None:
                return page, Why.PAGE
            before = self._edges[self._started[node.referer]]
            return (before, Why.BURST) if before is not None else None
        return None

    def _usual(self, node: Node) -> tuple[int, Why] | None:
        end_ns = node.end_ns if node.end_ns is not None else node.at_ns
        burst = self._bursts.get(node.referer)
        is_joined = (
            burst is not None
            and not node.is_document
            and node.at_ns - burst.last_ns <= BURST_NS
            and node.at_ns < burst.busy_until_ns
        )
        if burst is not None and is_joined:
            burst.last_ns = node.at_ns
            burst.busy_until_ns = max(burst.busy_until_ns, end_ns)
            return (burst.edge, Why.BURST) if burst.edge is not None else None
        self._bursts[node.referer] = _Burst(node.at_ns, end_ns, self._last)
        return (self._last, Why.ORDER) if self._last is not None else None


# Messages.


@dataclass(slots=True)
class _Messages:
    """The edges of what goes over sockets."""

    nodes: Sequence[Node]
    timers: set[int]
    needs: list[Needs]
    _connects: dict[int, int] = field(default_factory=dict)
    _numbers: dict[EventRef, int] = field(default_factory=dict)
    _last_sent: dict[int, int] = field(default_factory=dict)
    _last_reply: dict[int, int] = field(default_factory=dict)
    _received: dict[tuple[int, int], int] = field(default_factory=dict)
    _loose: dict[int, set[int]] = field(default_factory=dict)

    def link(self) -> None:
        for number, node in enumerate(self.nodes):
            if node.socket < 0:
                continue
            if node.kind is StepKind.CONNECT:
                self._connects[node.socket] = number
                continue
            self._numbers[node.event] = number
            self._link(number, node)
            loose = self._loose.setdefault(node.socket, set())
            loose.difference_update(self.needs[number])
            loose.add(number)

    def _link(self, number: int, node: Node) -> None:
        connect = self._connects.get(node.socket)
        needs = self.needs[number]
        if node.kind is StepKind.RECEIVE and node.reply_to is not None:
            needs.setdefault(self._numbers[node.reply_to], Why.ANSWER)
            self._last_reply[node.socket] = number
            self._received[node.socket, node.group] = number
            return
        if node.kind is StepKind.CLOSE:
            last = sorted(self._loose.get(node.socket, ()))[-_LAST_MESSAGES:]
            needs.update((each, Why.SEQUENCE) for each in last)
        elif node.kind is StepKind.RECEIVE:
            self._link_awaited(number, node)
        else:
            self._link_sent(number, node)
        if connect is not None:
            needs.setdefault(connect, Why.SOCKET)

    def _link_awaited(self, number: int, node: Node) -> None:
        """A message that is waited for is the next of its kind after the last of these."""
        for before in (self._last_sent.get(node.socket), self._received.get((node.socket, node.group))):
            if before is not None:
                self.needs[number].setdefault(before, Why.SEQUENCE)
        self._received[node.socket, node.group] = number

    def _link_sent(self, number: int, node: Node) -> None:
        if number in self.timers:
            return
        needs = self.needs[number]
        before = self._last_sent.get(node.socket)
        reply = self._last_reply.get(node.socket)
        if before is not None and reply is not None and self.nodes[reply].reply_to == self.nodes[before].event:
            if node.at_ns - self.nodes[reply].at_ns <= REACTION_NS:
                needs.setdefault(reply, Why.REACTION)
        if before is not None and (needs or len(self.needs[before]) > 1):
            needs.setdefault(before, Why.SEQUENCE)
        self._last_sent[node.socket] = number
