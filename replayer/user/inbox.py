"""What is known of the messages that a server sends over one socket of a script, by what names their kind. Pure.

Linked once per script and worker: the path of every message is one search, one lookup and a few attributes. Sockets
that speak plain JSON are searched for their discriminator; other framings are opened.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from captures.envelopes import Framing
from replayer.plan.records import Expectation, Plan, Responder, Script, Template
from replayer.user.inspection import Inspection, has_inside, inspection_of
from replayer.user.meter import Recorder
from replayer.user.pushes import PushMeter
from replayer.user.render import Rendered, link_template

SEARCHED_BYTES = 4096
"""How far into a message its discriminator is looked for."""

NEVER_RECORDED = "(never recorded)"
"""What messages of unknown kinds are counted under."""

Search = Callable[[bytes, int, int], re.Match[bytes] | None]


class LinkedResponder(NamedTuple):
    """A heartbeat that is answered at once, made ready for one run."""

    responder: Responder
    payload: Rendered
    generated: tuple[tuple[int, str], ...]


class MessageFacts:
    """What a user looks at when a message of one kind arrives.

    Attributes:
        kind: number of the message kind.
        recorder: where messages of the kind are counted.
        inspection: what is expected of the inside, None where nothing is.
        min_bytes, max_bytes: allowed size.
        push: what is measured where the server pushes the kind, None where it does not.
    """

    __slots__ = ("expectation", "inspection", "kind", "max_bytes", "min_bytes", "push", "recorder", "responders")

    def __init__(
        self,
        kind: int,
        recorder: Recorder,
        expectation: Expectation,
        responders: tuple[LinkedResponder, ...],
        push: PushMeter | None,
    ) -> None:
        self.kind = kind
        self.recorder = recorder
        self.expectation = expectation
        self.inspection: Inspection | None = inspection_of(expectation) if has_inside(expectation) else None
        self.min_bytes = expectation.min_bytes
        self.max_bytes = expectation.max_bytes
        self.responders = responders
        self.push = push


class Inbox(NamedTuple):
    """One socket of a script.

    Attributes:
        facts: by the value of the discriminator.
        search: finds that value in plain JSON, None where there is no discriminator or another framing.
        strangers: where messages of kinds that were never recorded are counted.
        pushed: kinds that the server pushed over the recorded socket.
        measures_pushes: some kind of message that may come over it is pushed.
        greeting: where the server's first message is timed, None where it did not speak first.
    """

    facts: dict[bytes, MessageFacts]
    search: Search | None
    framing: Framing
    strangers: Recorder
    pushed: tuple[int, ...] = ()
    measures_pushes: bool = False
    greeting: Recorder | None = None


def inbox_of(
    plan: Plan,
    script: Script,
    number: int,
    *,
    recorders: list[Recorder],
    pushes: Sequence[PushMeter | None],
    strangers: Recorder,
    greeting: Recorder,
    constants: Mapping[int, bytes],
    generated_by: Callable[[Template], tuple[tuple[int, str], ...]],
) -> Inbox:
    """Link what the server sends over a socket.

    Args:
        recorders, pushes: by message kind; strangers: for all other messages.
        greeting: where the first message of a server that speaks first is timed.
        constants: values of the slots that are the same for every user.
        generated_by: the GENERATED slots of a template.
    """
    socket = script.sockets[number]
    responders = [
        LinkedResponder(each, Rendered(link_template(each.payload, constants)), generated_by(each.payload))
        for each in socket.responders
    ]
    facts = {}
    for kind, described in enumerate(plan.message_kinds):
        if described.route == socket.route and not described.is_sent:
            mine = tuple(each for each in responders if each.responder.message_kind == kind)
            facts[described.value.encode()] = MessageFacts(
                kind, recorders[kind], described.expectation, mine, pushes[kind]
            )
    is_searched = socket.framing is Framing.PLAIN and bool(socket.discriminator)
    search = _discriminator(str(socket.discriminator[-1])) if is_searched else None
    measures_pushes = any(each.push is not None for each in facts.values())
    return Inbox(
        facts, search, socket.framing, strangers, socket.pushes, measures_pushes, greeting if socket.greets else None
    )


@lru_cache(maxsize=256)
def _discriminator(key: str) -> Search:
    """A search for ``"key": "value"`` or ``"key": 42``; group 1 is the value as written."""
    return re.compile(rb'"%s"\s*:\s*"?([^",}\]\s]*)' % re.escape(key.encode())).search
