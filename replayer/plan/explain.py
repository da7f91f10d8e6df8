"""Says why a plan is as it is, as a document and as text. Values are shortened: plans are shown to people. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from captures.units import format_duration
from captures.view.terminal import printable
from replayer.plan.codec import plan_sha256
from replayer.plan.compile import Compiled
from replayer.plan.evidence import Consumer, Left, Literal, ScriptEvidence, SlotEvidence
from replayer.plan.records import Plan, Refresh, RouteKind, Script, Slot, SlotKind, Step
from replayer.plan.scoring import total
from replayer.plan.unbound import what_of

_SHOWN_CHARS = 8
_MAX_CONSUMERS = 12
_MAX_REASONS = 6

_WHY = {
    Left.CREDENTIAL: "typed by a person; every user sends the recorded value",
    Left.TYPED: 'perhaps typed, and sent by every user; where it must be unique: use = "input:COLUMN" in the rules',
    Left.UNBOUND: "looks minted, but nothing showed it before: recorded before the start, or computed by the page",
    Left.UNLIKELY: "the server had shown it, but too little speaks for more than coincidence",
    Left.CONSTANT: "stands in a script of the page, or several sessions sent the same",
}


def shortened(value: bytes) -> str:
    """Return the beginning of a value and its length; short values whole."""
    text = "".join(c if c.isprintable() else "·" for c in value.decode("utf-8", "replace"))
    return text if len(text) <= _SHOWN_CHARS + 4 else f"{text[:_SHOWN_CHARS]}… ({len(text)})"


# The document.


def to_document(compiled: Compiled) -> dict[str, Any]:
    """Return everything that was decided, as one JSON document."""
    plan = compiled.plan
    return {
        "capture_sha256": plan.capture_sha256,
        "plan_sha256": plan_sha256(plan),
        "origins": [str(origin) for origin in plan.origins],
        "dropped_origins": dict(plan.dropped_origins),
        "routes": [
            {
                "name": route.name,
                "kind": route.kind.value,
                "origin": str(plan.origins[route.origin]),
                "recorded": route.n_recorded,
            }
            for route in plan.routes
        ],
        "message_kinds": [
            {
                "name": kind.name,
                "route": plan.routes[kind.route].name,
                "sent": kind.is_sent,
                "recorded": kind.n_recorded,
            }
            for kind in plan.message_kinds
        ],
        "sessions": [
            _script_document(plan, script, evidence)
            for script, evidence in zip(plan.scripts, compiled.evidence, strict=True)
        ],
    }


def _script_document(plan: Plan, script: Script, evidence: ScriptEvidence) -> dict[str, Any]:
    return {
        "session": script.session,
        "start_s": script.start_ns / 1e9,
        "duration_s": script.duration_ns / 1e9,
        "steps": [_step_document(plan, script, step, evidence) for step in script.steps],
        "slots": [_slot_document(script, each) for each in evidence.slots],
        "literals": [_literal_document(literal) for literal in evidence.literals],
        "cookies_from_before": [cookie.name.decode("latin-1") for cookie in script.cookies],
        "responders": list(_responders(plan, script)),
        "heartbeats": list(_heartbeats(plan, script)),
        "refreshes": [_refresh_document(plan, script, refresh) for refresh in script.refreshes],
        "notes": evidence.notes,
    }


def _step_document(plan: Plan, script: Script, step: Step, evidence: ScriptEvidence) -> dict[str, Any]:
    document: dict[str, Any] = {
        "step": step.index,
        "kind": step.kind.name.lower(),
        "what": what_of(plan, step),
        "exchange": step.exchange,
        "at_s": step.at_ns / 1e9,
        "duration_s": step.duration_ns / 1e9,
        "think_s": step.think_ns / 1e9,
        "needs": [{"step": need, "why": why} for need, why in evidence.reasons[step.index]],
        "writes": step.is_unsafe,
        "extracts": [script.slots[extractor.slot].name for extractor in step.extractors],
    }
    if step.pairing is not None:
        document["pairing"] = {
            "rule": step.pairing.rule,
            "support": step.pairing.support,
            "send_path": list(step.pairing.send_path),
            "reply_path": list(step.pairing.reply_path),
        }
    return document


def _slot_document(script: Script, evidence: SlotEvidence) -> dict[str, Any]:
    slot = script.slots[evidence.slot]
    return {
        "slot": evidence.slot,
        "name": slot.name,
        "kind": slot.kind.value,
        "detail": slot.detail,
        "recorded": shortened(slot.recorded),
        "producer": {"step": evidence.producer, "place": evidence.place} if evidence.place else None,
        "others": list(evidence.others),
        "consumers": [
            {
                "step": consumer.step,
                "place": consumer.place,
                "score": total(consumer.terms),
                "evidence": [{"term": term, "points": points} for term, points in consumer.terms],
            }
            for consumer in evidence.consumers
        ],
    }


def _literal_document(literal: Literal) -> dict[str, Any]:
    return {
        "step": literal.step,
        "place": literal.place,
        "value": shortened(literal.value) if literal.why is not Left.CREDENTIAL else f"({len(literal.value)})",
        "why": literal.why.value,
        "shown": literal.shown,
        "score": total(literal.terms),
        "evidence": [{"term": term, "points": points} for term, points in literal.terms],
    }


def _responders(plan: Plan, script: Script) -> Iterator[dict[str, Any]]:
    for socket in script.sockets:
        for responder in socket.responders:
            yield {
                "route": plan.routes[socket.route].name,
                "answers": plan.message_kinds[responder.message_kind].name,
                "repeats": [script.slots[extractor.slot].name for extractor in responder.extractors],
            }


def _heartbeats(plan: Plan, script: Script) -> Iterator[dict[str, Any]]:
    for socket in script.sockets:
        for ticker in socket.tickers:
            yield {
                "route": plan.routes[socket.route].name,
                "says": plan.message_kinds[ticker.message_kind].name,
                "every_s": ticker.every_ns / 1e9,
                "answer": plan.message_kinds[ticker.reply_kind].name if ticker.reply_kind >= 0 else None,
                "recorded": ticker.n_recorded,
            }


def _refresh_document(plan: Plan, script: Script, refresh: Refresh) -> dict[str, Any]:
    return {
        "slots": [script.slots[slot].name for slot in refresh.slots],
        "steps": list(refresh.steps),
        "chains": [[what_of(plan, script.steps[step]) for step in chain.steps] for chain in refresh.chains],
    }


# Text.


def render_plan(compiled: Compiled, console: Console) -> None:
    """Print the explanation."""
    plan = compiled.plan
    console.print(_summary(plan))
    console.print(_routes(plan))
    for script, evidence in zip(plan.scripts, compiled.evidence, strict=True):
        console.print()
        for part in _script_parts(plan, script, evidence):
            console.print(part)


def _summary(plan: Plan) -> Table:
    n_steps = sum(len(script.steps) for script in plan.scripts)
    lines = {
        "plan": plan_sha256(plan)[:16],
        "sessions": f"{len(plan.scripts)} with {n_steps} steps",
        "target": f"{plan.origins[0]} is what --target replaces" if plan.origins else "nothing was recorded",
        "mapped": ", ".join(map(str, plan.origins[1:])),
        "left out": ", ".join(f"{origin} ({count})" for origin, count in plan.dropped_origins),
    }
    return _grid(lines)


def _grid(lines: dict[str, str]) -> Table:
    table = Table.grid(padding=(0, 2))
    for name, value in lines.items():
        if value:
            table.add_row(Text(name, style="dim"), Text(printable(value), overflow="fold"))
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _shown(plan: Plan, step: Step) -> str:
    return printable(what_of(plan, step))


def _routes(plan: Plan) -> Table:
    table = _table("route", "kind", "recorded", "writes")
    unsafe = {step.route for script in plan.scripts for step in script.steps if step.is_unsafe}
    for number, route in enumerate(plan.routes):
        if route.kind is not RouteKind.ASSET:
            writes = "yes" if number in unsafe else ""
            table.add_row(Text(printable(route.name)), route.kind.value, str(route.n_recorded), writes)
    n_assets = sum(route.n_recorded for route in plan.routes if route.kind is RouteKind.ASSET)
    if n_assets:
        table.add_row(Text("images, scripts, styles"), "asset", str(n_assets), "")
    return table


def _script_parts(plan: Plan, script: Script, evidence: ScriptEvidence) -> Iterator[RenderableType]:
    head = f"session {script.session}: {len(script.steps)} steps in {format_duration(script.duration_ns)}"
    yield Text(head, style="bold")
    yield _steps(plan, script, evidence)
    shown = [each for each in evidence.slots if script.slots[each.slot].kind in _EXPLAINED]
    if shown:
        yield Text("\nfilled anew for every user", style="bold")
        yield Group(*(_slot(plan, script, each) for each in shown))
    for why in Left:
        literals = [literal for literal in evidence.literals if literal.why is why]
        if literals:
            yield Text(f"\n{why.value}: {_WHY[why]}", style="bold")
            yield _literals(plan, script, literals)
    yield from _remarks(plan, script, evidence)


_EXPLAINED = (SlotKind.EXTRACTED, SlotKind.GENERATED, SlotKind.INPUT)


def _steps(plan: Plan, script: Script, evidence: ScriptEvidence) -> Table:
    table = _table("step", "at", "what", "waits for", "think")
    for step in script.steps:
        if plan.routes[step.route].kind is RouteKind.ASSET:
            continue
        reasons = [f"{need} {why}" for need, why in evidence.reasons[step.index]]
        more = [f"{len(reasons) - _MAX_REASONS} more"] if len(reasons) > _MAX_REASONS else []
        waits = "; ".join(reasons[:_MAX_REASONS] + more) or "its time"
        think = format_duration(step.think_ns) if step.needs else ""
        what = Text(_shown(plan, step))
        if step.is_unsafe:
            what.append(" (writes)", style="yellow")
        table.add_row(str(step.index), format_duration(step.at_ns), what, Text(waits), think)
    return table


def _slot(plan: Plan, script: Script, evidence: SlotEvidence) -> Text:
    slot = script.slots[evidence.slot]
    text = Text(f"  {slot.name}", style="cyan")
    recorded = f" = {shortened(slot.recorded)}" if slot.recorded and slot.kind is not SlotKind.INPUT else ""
    text.append(f"{recorded}, {_origin_of(plan, script, slot, evidence)}", style="default")
    for other in evidence.others:
        text.append(f"\n    also shown: {printable(other)}", style="dim")
    groups: dict[str, list[Consumer]] = {}
    for consumer in evidence.consumers:
        groups.setdefault(consumer.place, []).append(consumer)
    for place, consumers in groups.items():
        steps = ", ".join(str(consumer.step) for consumer in consumers[:_MAX_CONSUMERS])
        more = f" and {len(consumers) - _MAX_CONSUMERS} more" if len(consumers) > _MAX_CONSUMERS else ""
        text.append(f"\n    → {printable(place)} of step {steps}{more}", style="default")
        if terms := consumers[0].terms:
            listed = ", ".join(f"{points:+d} {term}" for term, points in terms)
            text.append(f"\n      score {total(terms)}: {printable(listed)}", style="dim")
    return text


def _origin_of(plan: Plan, script: Script, slot: Slot, evidence: SlotEvidence) -> str:
    if slot.kind is SlotKind.GENERATED:
        return f"minted by the client ({slot.detail})"
    if slot.kind is SlotKind.INPUT:
        return f"column {slot.detail} of the identities (or RUSHHOUR_{slot.detail.upper()})"
    if evidence.producer < 0:
        return f"from the message that is answered, {printable(evidence.place)}"
    return (
        f"from step {evidence.producer} ({_shown(plan, script.steps[evidence.producer])}), {printable(evidence.place)}"
    )


def _literals(plan: Plan, script: Script, literals: list[Literal]) -> Table:
    table = Table.grid(padding=(0, 2))
    counts = Counter((literal.place, literal.value, literal.shown) for literal in literals)
    for (place, value, shown), count in counts.items():
        first = next(literal for literal in literals if (literal.place, literal.value) == (place, value))
        what = _shown(plan, script.steps[first.step])
        more = f" and {count - 1} more" if count > 1 else ""
        value_text = f"({len(value)} characters)" if first.why is Left.CREDENTIAL else shortened(value)
        terms = ", ".join(f"{points:+d} {term}" for term, points in first.terms)
        table.add_row(
            Text(f"  step {first.step}{more}, {what}"),
            Text(printable(place)),
            Text(value_text),
            Text(printable(f"shown at {shown}; {terms}") if shown else "", style="dim"),
        )
    return table


def _remarks(plan: Plan, script: Script, evidence: ScriptEvidence) -> Iterator[Text]:
    pairings = Counter(
        (_shown(plan, script.steps[step.reply_to]), _shown(plan, step), step.pairing.rule, step.pairing.support)
        for step in script.steps
        if step.pairing is not None
    )
    for (sent, received, rule, support), count in pairings.items():
        yield Text(f"\npaired by {rule} ({support} pairs recorded, {count} here): {sent} → {received}")
    for responder in _responders(plan, script):
        repeats = f", repeating {', '.join(responder['repeats'])}" if responder["repeats"] else ""
        answers = printable(f"{responder['answers']} on {responder['route']}")
        yield Text(f"\nanswered whenever it comes: {answers}{repeats}")
    for heartbeat in _heartbeats(plan, script):
        says = printable(f"{heartbeat['says']} on {heartbeat['route']}")
        every = format_duration(int(heartbeat["every_s"] * 1e9))
        yield Text(f"\nsaid every {every} while the socket is open: {says} ({heartbeat['recorded']} recorded)")
    for socket in script.sockets:
        if socket.ready:
            steps = ", ".join(map(str, socket.ready))
            yield Text(f"\n{printable(plan.routes[socket.route].name)} is ready with step {steps}")
    for refresh in script.refreshes:
        names = ", ".join(script.slots[slot].name for slot in refresh.slots) or "the session's cookies"
        ways = "; else ".join(
            " → ".join(_shown(plan, script.steps[step]) for step in chain.steps) for chain in refresh.chains
        )
        yield Text(f"\nwhere {printable(names)} expired (401, 403 or a close code that says so): {ways}, then on")
    if script.cookies:
        names = ", ".join(cookie.name.decode("latin-1", "replace") for cookie in script.cookies)
        yield Text(f"\ncookies that no recorded response had set, kept as recorded: {printable(names)}")
    for note in evidence.notes:
        yield Text(f"\nnote: {printable(note)}")
