"""Plays the templates of a plan without a wire: slots filled from live answers by the real extractors."""

from __future__ import annotations

import json
from typing import Any

from replayer.plan.records import Codec, Plan, Script, SlotKind, Step, StepKind, Template
from replayer.user.slots import Answer, encode


class Player:
    """One user's slots.

    Attributes:
        values: by slot; slots that nothing has filled hold None.
    """

    def __init__(self, script: Script, origin: bytes = b"http://target.test:9") -> None:
        self.script = script
        self.values: list[bytes | None] = [None] * len(script.slots)
        for number, slot in enumerate(script.slots):
            if slot.kind is SlotKind.ORIGIN:
                self.fill(number, origin)
            elif slot.kind is SlotKind.COOKIE_HEADER:
                self.fill(number, b"jar=1")
            elif slot.kind is SlotKind.GENERATED:
                self.fill(number, b"minted-%d" % number)

    def fill(self, number: int, value: bytes) -> None:
        """Fill a slot, and those that are derived from it."""
        self.values[number] = value
        for derived, slot in enumerate(self.script.slots):
            source, _, codec = slot.detail.partition(":")
            if slot.kind is SlotKind.DERIVED and int(source) == number:
                self.fill(derived, encode(value, Codec(codec)))

    def fill_recorded(self) -> None:
        """Fill every slot with what was recorded."""
        for number, slot in enumerate(self.script.slots):
            if slot.kind is not SlotKind.DERIVED:
                self.fill(number, slot.recorded)

    def answer(
        self,
        step: Step,
        *,
        document: Any = None,
        body: bytes = b"",
        headers: tuple[tuple[bytes, bytes], ...] = (),
        cookies: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        """Take what a step's extractors find in a live answer; all of them must find something."""
        text = body if document is None else json.dumps(document).encode()
        answer = Answer(headers, cookies, lambda: text)
        for extractor in step.extractors:
            value = answer.find(extractor)
            assert value is not None, extractor
            self.fill(extractor.slot, value)

    def render(self, template: Template) -> bytes:
        """Render a template; every slot it uses must be filled."""
        parts = []
        for part in template:
            value = self.values[part] if isinstance(part, int) else part
            assert value is not None, self.script.slots[part] if isinstance(part, int) else part
            parts.append(value)
        return b"".join(parts)

    def target(self, step: Step) -> bytes:
        """Render the target of a request or handshake."""
        assert step.request is not None
        return self.render(step.request.target)

    def body(self, step: Step) -> bytes:
        """Render the body of a request."""
        assert step.request is not None
        return self.render(step.request.body)

    def header(self, step: Step, name: str) -> bytes | None:
        """Render one header, None where there is none."""
        assert step.request is not None
        for key, template in step.request.headers:
            if key.lower() == name.encode():
                return self.render(template)
        return None


def step_of(plan: Plan, script: Script, name: str, number: int = 0) -> Step:
    """Return a request or handshake by the name of its route."""
    kinds = (StepKind.REQUEST, StepKind.CONNECT)
    return [step for step in script.steps if step.kind in kinds and plan.routes[step.route].name == name][number]


def literals_of(plan: Plan) -> bytes:
    """Return everything that a plan sends literally, joined."""
    parts: list[bytes] = []

    def take(template: Template) -> None:
        parts.extend(part for part in template if isinstance(part, bytes))

    for script in plan.scripts:
        for cookie in script.cookies:
            take(cookie.value)
        for socket in script.sockets:
            for responder in socket.responders:
                take(responder.payload)
        for step in script.steps:
            take(step.payload)
            if step.request is not None:
                take(step.request.target)
                take(step.request.body)
                for _, template in step.request.headers:
                    take(template)
    return b"\n".join(parts)
