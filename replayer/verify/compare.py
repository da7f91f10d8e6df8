"""One step, live against recorded: status, content type, body, extractors; every difference with its reason. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from captures.leaves import html_leaves
from replayer.plan.records import Extractor, Slot
from replayer.user.checks import media_type
from replayer.user.inspection import is_login_page
from replayer.verify.reasons import Facts, reason
from replayer.verify.records import Aspect, Difference, Live, RawDifference, Recorded
from replayer.verify.shapes import differences

Show = Callable[[str, Any], str]
"""Makes a live or recorded value fit to be shown under its key: redacted, shortened."""
Parse = Callable[[bytes], Any]

_NOT_MODIFIED = 304


def compared(recorded: Recorded, live: Live, facts: Facts, *, show: Show, parse: Parse) -> list[Difference]:
    """Return the differences of one answer or message that came.

    Args:
        show: as it may be printed.
        parse: undoes the envelope of a message; raises ValueError where the text is no JSON.
    """
    found = [*_of_status(recorded, live, facts), *_of_type(recorded, live)]
    if live.body is None or recorded.body is None:
        return found
    wrong = any(not difference.is_explained for difference in found)
    return found + ([] if wrong else list(_of_body(recorded, live, facts, show, parse)))


def _of_status(recorded: Recorded, live: Live, facts: Facts) -> Iterator[Difference]:
    if recorded.status == live.status:
        return
    why = ""
    if recorded.status == _NOT_MODIFIED and live.status == 200:
        why = "asked without the condition of the recorded cache"
    elif live.status in facts.expectation.statuses:
        why = "the recording has this status too for the route"
    yield Difference(aspect=Aspect.STATUS, recorded=str(recorded.status), live=str(live.status), reason=why)


def _of_type(recorded: Recorded, live: Live) -> Iterator[Difference]:
    old, new = (media_type(each.content_type.encode("latin-1", "replace")).decode() for each in (recorded, live))
    if old == new or recorded.status != live.status:
        return
    is_login = live.body is not None and is_login_page(live.body)
    yield Difference(
        aspect=Aspect.CONTENT_TYPE, recorded=old, live=f"{new}, a page that asks for a password" if is_login else new
    )


def _of_body(recorded: Recorded, live: Live, facts: Facts, show: Show, parse: Parse) -> Iterator[Difference]:
    old_text, new_text = recorded.body or b"", live.body or b""
    if bool(old_text) != bool(new_text):
        sizes = [f"{len(text)} bytes" for text in (old_text, new_text)]
        why = "" if old_text else "it came in addition; nothing that was recorded is missing"
        yield Difference(aspect=Aspect.BODY, recorded=sizes[0], live=sizes[1], reason=why)
        return
    try:
        old = parse(old_text)
    except (ValueError, RecursionError):
        yield from _of_text(recorded, old_text, new_text)
        return
    try:
        new = parse(new_text)
    except (ValueError, RecursionError):
        what = "a page that asks for a password" if is_login_page(new_text) else f"{len(new_text)} bytes that are none"
        yield Difference(aspect=Aspect.BODY, recorded="JSON", live=what)
        return
    for difference in differences(old, new):
        yield _shown(difference, facts, show)


def _shown(difference: RawDifference, facts: Facts, show: Show) -> Difference:
    key = next((each for each in reversed(difference.path) if isinstance(each, str)), "")
    return Difference(
        aspect=difference.aspect,
        place="/".join(map(str, difference.path)),
        recorded="" if difference.aspect is Aspect.ADDED else show(key, difference.recorded),
        live="" if difference.aspect is Aspect.MISSING else show(key, difference.live),
        reason=reason(difference, facts),
    )


def _of_text(recorded: Recorded, old: bytes, new: bytes) -> Iterator[Difference]:
    """Pages are compared by the named fields of their forms; other texts are what they are."""
    if "html" not in recorded.content_type:
        return
    names = [{str(leaf.path[0]) for leaf in html_leaves(text)} for text in (old, new)]
    for name in sorted(names[0] - names[1]):
        yield Difference(aspect=Aspect.MISSING, place=name, recorded="a named element of the page")


def of_extractors(extractors: Sequence[Extractor], slots: Sequence[Slot], live: Live) -> Iterator[Difference]:
    """Yield the slots that a step should have filled and did not."""
    for extractor in extractors:
        if live.found.get(extractor.slot) is None:
            path = "/".join(map(str, extractor.path))
            where = f"{extractor.source.value} {extractor.name or path}".strip()
            yield Difference(
                aspect=Aspect.EXTRACTOR, place=slots[extractor.slot].name, recorded=where, live="nothing is there"
            )


def plain_json(text: bytes) -> Any:
    """Parse a body that is in no envelope."""
    return json.loads(text)
