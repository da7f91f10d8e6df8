"""Steps left out of a compiled plan: routes that a rule skips or plays once, and everything that writes. Pure.

The evidence is numbered again with the steps, so that an explanation speaks of the plan as it is played.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from replayer.plan.evidence import ScriptEvidence
from replayer.plan.records import Plan, Script, SlotKind, Step, StepKind
from replayer.plan.rules import Play, RouteRule, Rules
from replayer.pruning import without_steps

if TYPE_CHECKING:
    from replayer.plan.compile import Compiled


def played(compiled: Compiled, plays: Mapping[int, RouteRule], rules: Rules) -> Compiled:
    """Return a plan without what the rules skip.

    Args:
        plays: by route, what is not played always.

    Raises:
        ConfigError: a step that is left out brings a value that another one needs.
    """
    if not plays:
        return compiled
    scripts, evidence = [], []
    for script, each in zip(compiled.plan.scripts, compiled.evidence, strict=True):
        dropped = _dropped(script, plays)
        _check(compiled.plan, script, dropped, plays, rules)
        scripts.append(without_steps(script, dropped))
        evidence.append(_renumbered(each, script, dropped))
    return replace(compiled, plan=replace(compiled.plan, scripts=tuple(scripts)), evidence=tuple(evidence))


def read_only(plan: Plan) -> tuple[Plan, tuple[str, ...]]:
    """Return the plan without steps that write, and the names of the routes that write and stay.

    Those stay that bring a credential: a login. What needs a value of a step that is left out is left out with it.
    """
    kept: dict[str, None] = {}
    scripts = []
    for script in plan.scripts:
        dropped = _writing(script)
        for step in script.steps:
            if step.is_unsafe and step.index not in dropped:
                kept.setdefault(plan.routes[step.route].name)
        scripts.append(without_steps(script, dropped))
    return replace(plan, scripts=tuple(scripts)), tuple(kept)


def _writing(script: Script) -> set[int]:
    """Return the steps that write, but for those that bring credentials, with all that needs their values."""
    logins = {step for refresh in script.refreshes for chain in refresh.chains for step in chain.steps}
    dropped = {step.index for step in script.steps if step.is_unsafe and step.index not in logins}
    brought = {e.slot for step in script.steps if step.index not in dropped for e in step.extractors}
    sources = {n: int(s.detail.partition(":")[0]) for n, s in enumerate(script.slots) if s.kind is SlotKind.DERIVED}
    sockets: set[int] = set()
    for step in script.steps:
        used = {sources.get(slot, slot) for slot in slots_of(step)}
        lacks = any(script.slots[n].kind is SlotKind.EXTRACTED and _is_lost(script, n, brought) for n in used)
        if step.index in dropped or lacks or step.socket in sockets or step.reply_to in dropped:
            dropped.add(step.index)
            brought -= {e.slot for e in step.extractors}
            if step.kind is StepKind.CONNECT:
                sockets.add(step.socket)
    return dropped


def _is_lost(script: Script, slot: int, brought: Collection[int]) -> bool:
    """Responders fill their slots themselves, and optional ones hold something anyway."""
    own = {e.slot for socket in script.sockets for responder in socket.responders for e in responder.extractors}
    return slot not in brought and slot not in own and not script.slots[slot].is_optional


def slots_of(step: Step) -> set[int]:
    """Return the slots that a step is rendered with."""
    request = step.request
    if request is None:
        return {part for part in step.payload if isinstance(part, int)}
    templates = [request.target, request.body, *(value for _, value in request.headers), *request.subprotocol_templates]
    return {part for template in templates for part in template if isinstance(part, int)}


def compiled_read_only(compiled: Compiled) -> Compiled:
    """Return a plan without steps that write, with its evidence; what writes and stays is noted."""
    plan, kept = read_only(compiled.plan)
    evidence = []
    for before, each in zip(compiled.plan.scripts, compiled.evidence, strict=True):
        renumbered = _renumbered(each, before, _writing(before))
        notes = [f"{name} writes, and stays because others need what it brings" for name in kept]
        evidence.append(replace(renumbered, notes=[*renumbered.notes, *notes]))
    return replace(compiled, plan=plan, evidence=tuple(evidence))


def _dropped(script: Script, plays: Mapping[int, RouteRule]) -> set[int]:
    seen: set[int] = set()
    dropped = set()
    sockets = set()
    for step in script.steps:
        rule = plays.get(step.route)
        if rule is None:
            continue
        is_start = step.kind in (StepKind.REQUEST, StepKind.CONNECT)
        is_left_out = rule.play is Play.SKIP or step.route in seen if is_start else step.socket in sockets
        if is_left_out:
            dropped.add(step.index)
            sockets |= {step.socket} - {-1}
        elif is_start:
            seen.add(step.route)
    return dropped


def _check(plan: Plan, script: Script, dropped: Collection[int], plays: Mapping[int, RouteRule], rules: Rules) -> None:
    used = {slot for step in script.steps if step.index not in dropped for slot in slots_of(step)}
    used |= {int(script.slots[n].detail.partition(":")[0]) for n in used if script.slots[n].kind is SlotKind.DERIVED}
    for step in script.steps:
        needed = [script.slots[e.slot].name for e in step.extractors if step.index in dropped and e.slot in used]
        if needed:
            rule = plays[step.route]
            name = plan.routes[step.route].name
            hint = "skip those that use it as well, or bind them with a [[slot]] rule"
            raise rules.wrong(rule.line, f"{name} (step {step.index}) brings {needed[0]}, which is needed", hint)


def _renumbered(evidence: ScriptEvidence, script: Script, dropped: Collection[int]) -> ScriptEvidence:
    if not dropped:
        return evidence
    numbers = {step.index: n for n, step in enumerate(step for step in script.steps if step.index not in dropped)}
    numbers[-1] = -1
    return replace(
        evidence,
        slots=[
            replace(
                each,
                producer=numbers.get(each.producer, -1),
                consumers=[replace(c, step=numbers[c.step]) for c in each.consumers if c.step in numbers],
            )
            for each in evidence.slots
        ],
        literals=[replace(each, step=numbers[each.step]) for each in evidence.literals if each.step in numbers],
        reasons=[
            tuple((numbers[need], why) for need, why in reasons if need in numbers)
            for step, reasons in enumerate(evidence.reasons)
            if step not in dropped
        ],
    )
