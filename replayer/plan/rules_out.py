"""Writes a rules file from a compiled capture: everything that was decided, so that a person can change it. Pure.

Read back unchanged it gives the same plan, byte for byte. What is not uniform, or would change something else if it
were said aloud, stands there as a comment.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from replayer.plan.compile import Compiled
from replayer.plan.records import Plan, RouteKind
from replayer.plan.rules import VERSION, slot_id

_HEAD = """\
# Rules for {capture}: what the compiler decided. Change what is wrong, delete what you do not care about, and give the
# file to: rushhour plan FILE --rules {name}, rushhour replay FILE --rules {name}
version = {version}
"""
_REQUIRE = """\

# What answers and messages must hold beyond what was recorded:
# [[require]]
# route = {route}
# required = ["items", "items/0/id"]
# min_items = {{ items = 1 }}
# max_bytes = 1_000_000
# severity = "fail"
"""


def rules_text(compiled: Compiled, *, capture: str, name: str) -> str:
    """Return the text of a rules file.

    Args:
        compiled: with its places noted (``compile_explained(…, with_places=True)``).
        capture, name: names of the capture and of the file, for its first lines.
    """
    plan = compiled.plan
    parts = [_HEAD.format(capture=capture, name=name, version=VERSION)]
    parts += _routes(plan)
    parts += _slots(compiled)
    parts += _pairings(plan)
    apis = [route.name for route in plan.routes if route.kind is RouteKind.API]
    parts.append(_REQUIRE.format(route=_text(apis[0] if apis else "GET /api/things")))
    return "\n".join(parts)


def _text(value: str) -> str:
    """Return a TOML string; what JSON escapes, TOML escapes in the same way (TOML 1.0, "String")."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _routes(plan: Plan) -> Iterator[str]:
    writes = {step.route: step.is_unsafe for script in plan.scripts for step in script.steps}
    for number, route in enumerate(plan.routes):
        if route.kind is RouteKind.ASSET or number not in writes:
            continue
        path = route.name.split(" ")[1]
        lines = ["[[route]]", f"name = {_text(route.name)}  # recorded {route.n_recorded} times"]
        if route.kind is not RouteKind.SOCKET:
            lines += [f"# template = {_text(path)}", f"kind = {_text(route.kind.value)}"]
            lines.append(f"writes = {str(writes[number]).lower()}")
        yield "\n".join([*lines, 'play = "always"  # once, skip', ""])


def _slots(compiled: Compiled) -> Iterator[str]:
    told = {(literal.place, literal.why.value) for evidence in compiled.evidence for literal in evidence.literals}
    reasons = dict(sorted(told))
    for place, ways in sorted(compiled.places.items()):
        uses = {use for use, _ in ways}
        sources = sorted(source for use, source in ways if use == "extract")
        literal = place.partition(" | ")[2] in reasons and uses == {"literal"}
        if uses == {"literal"} and not literal:
            continue
        lines = [f"id = {_text(slot_id(place))}", f"at = {_text(place)}"]
        if len(uses) > 1 or any(use.startswith("input:") for use in uses):
            head = f"# Different values are filled differently here ({', '.join(sorted(uses))}); a rule holds for all."
            yield "\n".join([head, *(f"# {line}" for line in ("[[slot]]", *lines)), ""])
            continue
        (use,) = uses
        note = f"  # {reasons[place.partition(' | ')[2]]}" if literal else ""
        if use == "extract":
            lines.append(f"from = {_text(sources[0])}" if len(sources) == 1 else f"# shown at {'; '.join(sources)}")
        yield "\n".join(["[[slot]]", *lines, f"use = {_text(use)}{note}", ""])


def _pairings(plan: Plan) -> Iterator[str]:
    found = {}
    for script in plan.scripts:
        for step in script.steps:
            if step.pairing is None or step.reply_to < 0:
                continue
            sent = script.steps[step.reply_to]
            names = (plan.routes[step.route].name, plan.message_kinds[sent.message_kind].name)
            found[names, plan.message_kinds[step.message_kind].name] = step.pairing
    for ((route, send), reply), pairing in sorted(found.items(), key=lambda item: item[0]):
        yield "\n".join(
            [
                f"# paired by {pairing.rule}, {pairing.support} pairs recorded",
                "# [[pairing]]",
                f"# route = {_text(route)}",
                f"# send = {_text(send)}",
                f"# reply = {_text(reply)}",
                f"# send_path = {json.dumps(list(pairing.send_path), ensure_ascii=False)}",
                f"# reply_path = {json.dumps(list(pairing.reply_path), ensure_ascii=False)}",
                "",
            ]
        )
