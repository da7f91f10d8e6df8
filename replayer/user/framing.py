"""Messages in their envelopes, for the virtual user: their kind, what pairs them, payloads made of parts. Pure.

Plain JSON is not opened to learn its kind (``sockets``); what stands here is for all other framings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from captures.envelopes import Framing, jupyter_framed, open_document
from replayer.plan.records import JsonPath, Step, Template
from replayer.user.render import Rendered, Values, link_template
from replayer.user.slots import to_bytes, walk


def kind_of(document: Any, place: JsonPath) -> bytes:
    """Return what stands at the place where documents name their kind, b"" where nothing does."""
    return to_bytes(walk(document, place)) or b"" if place else b""


def reply_key(payload: bytes, path: JsonPath, framing: Framing = Framing.PLAIN) -> bytes:
    """Return the value at ``path`` of a message, b"" where the path is empty or leads nowhere."""
    if not path:
        return b""
    try:
        return to_bytes(walk(open_document(framing, payload), path)) or b""
    except ValueError:
        return b""


class RenderedParts:
    """A payload of several parts with their offsets in front; renders like ``Rendered``."""

    __slots__ = ("_parts", "static")

    def __init__(self, parts: Sequence[Rendered]) -> None:
        self._parts = parts
        texts = [part.static for part in parts]
        known = [text for text in texts if text is not None]
        self.static: bytes | None = jupyter_framed(known) if len(known) == len(texts) else None

    def render(self, values: Values) -> bytes:
        """Return the bytes to send.

        Raises:
            MissingValue: a slot it uses has no value.
        """
        if self.static is not None:
            return self.static
        return jupyter_framed([part.render(values) for part in self._parts])


def rendered_payload(step: Step, constants: Mapping[int, bytes]) -> Rendered | RenderedParts:
    """Return the payload of a SEND step, ready to be rendered."""
    if not step.parts:
        return Rendered(link_template(step.payload, constants))
    segments = iter(step.payload)
    parts: list[Template] = [tuple(islice(segments, n)) for n in step.parts]
    return RenderedParts([Rendered(link_template(part, constants)) for part in parts])
