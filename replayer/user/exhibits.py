"""What is kept of a failed step for people: its request, its slots, what was recorded there. Pure.

Nothing leaves the worker in clear that a capture would not hold in clear: values of slots that the recording's policy
replaced, that come from headers, cookies or identities, whose name is telling or that look like tokens become
stand-ins, equal ones the same; all other text goes through the default policy. The key is the run's, and is not kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING

from captures.redact.censor import Censor
from captures.redact.detect import form_of, is_random
from captures.redact.inputs import PLACEHOLDER
from captures.redact.policy import Class, Policy
from captures.redact.prose import Prose
from captures.redact.pseudonyms import Pseudonyms, is_stand_in
from captures.redact.structure import Structure
from replayer import failures
from replayer.plan.records import Plan, Script, Slot, SlotKind, Source, Step, StepKind, Template

if TYPE_CHECKING:
    from replayer.user.link import LinkedScript

BODY_CHARS = 200
VALUE_CHARS = 60
_SLOT = "{{input.slot_%d}}"
_NUMBERED = re.compile(r"_\d+$")
_HIDDEN_KINDS = frozenset({SlotKind.INPUT, SlotKind.COOKIE_HEADER})
_HIDDEN_SOURCES = frozenset({Source.HEADER, Source.COOKIE})


class Exhibits:
    """Makes what is kept; one for all users of a worker.

    Args:
        key: of the run.
    """

    def __init__(self, plan: Plan, key: bytes) -> None:
        self._plan = plan
        self._pseudonyms = Pseudonyms(blake2b(key, digest_size=32, person=b"exhibits").digest())
        self._censor = Censor(Policy(), self._pseudonyms, trusts_marks=True)
        self._prose = Prose(self._censor)
        self._structure = Structure(self._censor, self._prose)
        self._requests: dict[tuple[int, int], str] = {}
        self._hidden: dict[int, frozenset[int]] = {}

    def request(self, script: Script, step: Step) -> str:
        """Return what a step sends, with the names of its slots."""
        key = (id(script), step.index)
        if key not in self._requests:
            self._requests[key] = self._request(script, step)
        return self._requests[key]

    def _request(self, script: Script, step: Step) -> str:
        route = self._plan.routes[step.route].name
        if step.request is not None:
            method = "WS" if step.kind is StepKind.CONNECT else step.request.method.decode("latin-1")
            head = f"{method} {self._told(script, step.request.target, self._structure.url)}"
            body = self._told(script, step.request.body, lambda text: self._structure.body(b"", text))
            return f"{head} {body}".rstrip()
        kind = self._plan.message_kinds[step.message_kind].name if step.message_kind >= 0 else ""
        payload = self._told(script, step.payload, self._structure.message)
        return " ".join(part for part in (route, step.kind.name.lower(), kind, payload) if part)

    def _told(self, script: Script, template: Template, redact: Callable[[bytes], bytes]) -> str:
        """Return a template without secrets; slots are written as placeholders, which no redaction touches."""
        parts = [part if isinstance(part, bytes) else (_SLOT % part).encode() for part in template]
        text = redact(b"".join(parts)).decode("utf-8", "backslashreplace")
        text = text.replace("%7B%7B", "{{").replace("%7D%7D", "}}")
        named = PLACEHOLDER.sub(lambda found: _named(script, found[1]), text.encode()).decode()
        return named if len(named) <= BODY_CHARS else f"{named[:BODY_CHARS]}… ({len(named)} characters)"

    def slots(self, script: LinkedScript, step: Step, values: Sequence[bytes | None]) -> tuple[tuple[str, str], ...]:
        """Return the slots of a step: their names, and what they hold as far as it may be shown."""
        found = {}
        for number in _slots_of(step):
            slot = script.script.slots[number]
            if slot.kind is SlotKind.DERIVED:
                number = int(slot.detail.partition(":")[0])
                slot = script.script.slots[number]
            if slot.kind is not SlotKind.ORIGIN:
                found[slot.name] = self._shown(script.script, number, values[number])
        return tuple(found.items())

    def _shown(self, script: Script, number: int, value: bytes | None) -> str:
        if value is None:
            return "(empty)"
        slot = script.slots[number]
        if self._is_secret(script, number, slot, value):
            value = self._pseudonyms.of(value, form_of(value))
        else:
            value = self._prose.redacted(value)
        text = value.decode("utf-8", "backslashreplace")
        return text if len(text) <= VALUE_CHARS else f"{text[:VALUE_CHARS]}… ({len(text)} characters)"

    def _is_secret(self, script: Script, number: int, slot: Slot, value: bytes) -> bool:
        hidden = self._hidden.get(id(script))
        if hidden is None:
            hidden = self._hidden[id(script)] = frozenset(
                extractor.slot
                for step in script.steps
                for extractor in step.extractors
                if extractor.source in _HIDDEN_SOURCES
            )
        rule = self._censor.policy.of_key(_NUMBERED.sub("", slot.name))
        is_telling = slot.kind in _HIDDEN_KINDS or number in hidden or rule.klass is not Class.KEEP
        return is_telling or is_stand_in(slot.recorded) or is_random(value)

    def recorded(self, script: Script, step: Step) -> str:
        """Say what the recording shows of a step."""
        after = f"after {step.duration_ns / 1e6:.3g} ms"
        match step.kind:
            case StepKind.REQUEST if step.kept_open:
                return f"a stream, open for {step.duration_ns / 1e9:.3g} s"
            case StepKind.REQUEST:
                route, expectation = self._plan.routes[step.route], step.expectation
                statuses = " or ".join(map(str, expectation.statuses))
                parts = [f"status {statuses}" if statuses else "", expectation.content_type.decode("latin-1")]
                size = f"{route.mean_decoded_bytes} bytes" if route.mean_decoded_bytes else ""
                return ", ".join(part for part in (*parts, size, after) if part)
            case StepKind.CONNECT:
                return f"status 101, {after}; {_end_of(script, step.socket)}"
            case StepKind.RECEIVE:
                kind = self._plan.message_kinds[step.message_kind].name if step.message_kind >= 0 else "a message"
                rule = f", paired by {step.pairing.rule}, {step.pairing.support} pairs" if step.pairing else ""
                return f"{kind} {after if step.reply_to < 0 else _reply_after(script, step)}{rule}"
            case StepKind.CLOSE:
                return f"closed with {step.close_code}"
            case _:
                return "sent"


def said(failure: str, status: int, took_ns: int) -> str:
    """Say what was seen instead of an answer."""
    if status:
        return f"status {status}"
    if failure.startswith("ws_close_"):
        return f"closed by the server with {failure.rpartition('_')[2]}"
    if failure in failures.TIMEOUTS:
        return f"nothing within {took_ns / 1e6:.0f} ms"
    return failure.replace("_", " ")


def _end_of(script: Script, number: int) -> str:
    socket = script.sockets[number]
    return f"closed by the {'server' if socket.closed_by_server else 'client'} with {socket.close_code}"


def _reply_after(script: Script, step: Step) -> str:
    return f"after {(step.at_ns - script.steps[step.reply_to].at_ns) / 1e6:.3g} ms"


def _named(script: Script, placeholder: bytes) -> bytes:
    number = placeholder.removeprefix(b"slot_")
    if not number.isdigit() or int(number) >= len(script.slots):
        return b"{" + placeholder + b"}"
    slot = script.slots[int(number)]
    if slot.kind is SlotKind.DERIVED:
        slot = script.slots[int(slot.detail.partition(":")[0])]
    return b"{" + slot.name.encode() + b"}"


def _slots_of(step: Step) -> Iterable[int]:
    templates = [step.payload]
    if step.request is not None:
        offered = step.request.subprotocol_templates
        headers = [value for _, value in step.request.headers]
        templates = [step.request.target, *headers, step.request.body, *offered]
    return dict.fromkeys(part for template in templates for part in template if isinstance(part, int))
