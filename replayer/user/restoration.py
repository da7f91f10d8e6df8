"""What a user who lost a socket sends again before the socket is what it was. Pure: read from the script alone.

How a client comes back cannot be seen in a recording in which it never had to. What is certain:

* What a **handshake** carries comes from somewhere. Values that another request fetched for it (a ticket, a session id)
  are fetched again, because such values are good once; a login is not done again, because a client that keeps its
  tokens does not: a request with credentials of the identities is a login. Neither is a page loaded again.
* A socket's first messages, sent at once when it opened and each at once after the answer to the last, are the
  client's code and not its user: they make the **opening**. Later messages of the same kinds (another subscription)
  are part of the socket's state too. All of them are sent again, in order; what writes is not.
* Where the script itself comes back to the same route with a value that a message of the earlier socket carried, that
  is a **resume token**: then that later handshake and opening are played, with the token of the latest message.

``COLD`` goes the whole way again: every request that the handshake had waited for, assets left out, and of those that
write only the ones that bring a value.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from captures.units import NS_PER_S
from replayer.plan.records import Extractor, Plan, RouteKind, Script, SlotKind, Step, StepKind, Template

OPENING_PAUSE_NS = NS_PER_S
"""A message that follows the last one on its socket within so long was sent by the client's code, not by its user."""
_CLOCKS = frozenset({"epoch_s", "epoch_ms", "iso", "uuid7"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Restoration:
    """What is sent again for one socket of a script.

    Attributes:
        connect: CONNECT step whose handshake is sent.
        fetches: REQUEST steps before it, in order, with ``resume``.
        bootstrap: REQUEST steps before it, in order, with ``cold``.
        renewal: REQUEST steps before it where the last handshake was refused with 401 or 403.
        resumes: ``connect`` is another step than the socket's own, and brings a resume token.
        opening: SEND steps that follow a handshake that ``resumes``; else those that were sent are sent again.
        kinds: message kinds that are part of the socket's state.
        tokens: by message kind of the server, what is read of every message because a handshake needs the latest.
        clocks: slots of the handshake that the client's clock mints, made again for every attempt.
    """

    connect: int
    fetches: tuple[int, ...] = ()
    bootstrap: tuple[int, ...] = ()
    renewal: tuple[int, ...] = ()
    resumes: bool = False
    opening: tuple[int, ...] = ()
    kinds: frozenset[int] = frozenset()
    tokens: dict[int, tuple[Extractor, ...]] = field(default_factory=dict)
    clocks: tuple[int, ...] = ()


def restorations_of(plan: Plan, script: Script) -> tuple[Restoration, ...]:
    """Return what is sent again, by socket of the script."""
    reading = _Reading(plan, script)
    return tuple(reading.restoration(number) for number in range(len(script.sockets)))


class _Reading:
    """One script, with its uses and sources of values looked up once."""

    def __init__(self, plan: Plan, script: Script) -> None:
        self._plan = plan
        self._script = script
        self._renewing = {index for refresh in script.refreshes for chain in refresh.chains for index in chain.steps}
        self._uses = [self._slots_of(step) for step in script.steps]

    def restoration(self, number: int) -> Restoration:
        socket = self._script.sockets[number]
        resumed = self._resumed(number)
        connect = self._script.steps[socket.connect if resumed is None else self._script.sockets[resumed].connect]
        opening = self._opening(number if resumed is None else resumed)
        wanted = self._uses[connect.index] | {slot for step in opening for slot in self._uses[step.index]}
        return Restoration(
            connect=connect.index,
            fetches=self._fetches(connect),
            bootstrap=self._bootstrap(self._script.steps[socket.connect]),
            renewal=self._renewal(connect.index),
            resumes=resumed is not None,
            opening=tuple(step.index for step in opening) if resumed is not None else (),
            kinds=frozenset(step.message_kind for step in opening),
            tokens=self._tokens(wanted, socket.route),
            clocks=tuple(sorted(slot for slot in self._uses[connect.index] if self._is_clock(slot))),
        )

    def _resumed(self, number: int) -> int | None:
        """The first later socket of the route whose beginning uses a value of an earlier one's messages."""
        sockets = self._script.sockets
        for later in range(number + 1, len(sockets)):
            if sockets[later].route == sockets[number].route:
                beginning = [self._script.steps[sockets[later].connect], *self._opening(later)]
                uses = {slot for step in beginning for slot in self._uses[step.index]}
                if self._received(uses, sockets[later].route, before=sockets[later].connect):
                    return later
        return None

    def _opening(self, number: int) -> list[Step]:
        steps = [step for step in self._script.steps if step.socket == number]
        connect = self._script.steps[self._script.sockets[number].connect]
        latest_ns, opening = connect.at_ns + connect.duration_ns, []
        for step in steps:
            if step.kind is StepKind.SEND:
                if step.at_ns - latest_ns > OPENING_PAUSE_NS:
                    break
                if not step.is_unsafe:
                    opening.append(step)
            latest_ns = max(latest_ns, step.at_ns)
        return opening

    def _fetches(self, connect: Step) -> tuple[int, ...]:
        before = self._needed_by(connect)
        fetched = {producer.index for producer in self._producers(self._uses[connect.index], before)}
        fetched = {index for index in fetched if self._is_fetched_again(self._script.steps[index])}
        # What stands between such a request and the handshake and uses its value belongs to it: a poll by session id.
        values = {e.slot for index in fetched for e in self._script.steps[index].extractors}
        between = {i for i in before if fetched and i > min(fetched) and self._uses[i] & values}
        return self._played(fetched | {i for i in between if self._is_fetched_again(self._script.steps[i])})

    def _is_fetched_again(self, step: Step) -> bool:
        is_page = self._plan.routes[step.route].kind in (RouteKind.DOCUMENT, RouteKind.ASSET)
        return not is_page and not self._is_login(step) and step.index not in self._renewing

    def _bootstrap(self, connect: Step) -> tuple[int, ...]:
        before = self._needed_by(connect)
        wanted = set(self._uses[connect.index]) | {slot for index in before for slot in self._uses[index]}
        bringing = {step.index for step in self._producers(wanted, before)}
        kept = {
            index
            for index in before
            if self._plan.routes[self._script.steps[index].route].kind is not RouteKind.ASSET
            and (index in bringing or self._is_login(self._script.steps[index]) or self._is_read(index))
        }
        return self._played(kept)

    def _is_read(self, index: int) -> bool:
        return not self._script.steps[index].is_unsafe

    def _renewal(self, connect: int) -> tuple[int, ...]:
        for refresh in self._script.refreshes:
            if connect in refresh.steps and refresh.chains:
                return self._played(refresh.chains[0].steps)
        return ()

    def _played(self, indexes: Iterable[int]) -> tuple[int, ...]:
        steps = (self._script.steps[index] for index in sorted(indexes))
        return tuple(step.index for step in steps if step.kind is StepKind.REQUEST and not step.kept_open)

    def _tokens(self, slots: set[int] | frozenset[int], route: int) -> dict[int, tuple[Extractor, ...]]:
        tokens: dict[int, tuple[Extractor, ...]] = {}
        for step in self._received(slots, route, before=len(self._script.steps)):
            found = tuple(e for e in step.extractors if e.slot in slots)
            tokens[step.message_kind] = tokens.get(step.message_kind, ()) + found
        return tokens

    def _received(self, slots: set[int] | frozenset[int], route: int, *, before: int) -> list[Step]:
        """RECEIVE steps on a route's sockets that fill one of these slots."""
        return [
            step
            for step in self._script.steps[:before]
            if step.kind is StepKind.RECEIVE
            and self._script.sockets[step.socket].route == route
            and any(e.slot in slots for e in step.extractors)
        ]

    def _needed_by(self, connect: Step) -> set[int]:
        """All steps that had to end before the handshake could be sent."""
        needed: set[int] = set()
        open_steps = list(connect.needs)
        while open_steps:
            index = open_steps.pop()
            if index not in needed:
                needed.add(index)
                open_steps += self._script.steps[index].needs
        return needed

    def _producers(self, slots: set[int] | frozenset[int], among: set[int]) -> list[Step]:
        return [
            step
            for step in self._script.steps
            if step.index in among and any(extractor.slot in slots for extractor in step.extractors)
        ]

    def _is_login(self, step: Step) -> bool:
        return any(self._script.slots[slot].kind is SlotKind.INPUT for slot in self._uses[step.index])

    def _is_clock(self, slot: int) -> bool:
        found = self._script.slots[slot]
        return found.kind is SlotKind.GENERATED and found.detail in _CLOCKS

    def _slots_of(self, step: Step) -> frozenset[int]:
        """Every slot that a step uses, the sources of derived ones among them."""
        used: set[int] = set()
        for template in _templates_of(step):
            for part in template:
                if isinstance(part, int):
                    used |= {part, self._source_of(part)}
        return frozenset(used)

    def _source_of(self, slot: int) -> int:
        found = self._script.slots[slot]
        return int(found.detail.partition(":")[0]) if found.kind is SlotKind.DERIVED else slot


def _templates_of(step: Step) -> Sequence[Template]:
    if step.request is None:
        return (step.payload,)
    request = step.request
    return (request.target, request.body, *(value for _, value in request.headers), *request.subprotocol_templates)
