"""What a step is called, and which places nothing brings a value for. Pure; imports nothing that only shows."""

from __future__ import annotations

from replayer.plan.compile import Compiled
from replayer.plan.evidence import Left
from replayer.plan.records import Plan, Step, StepKind


def unbound_places(compiled: Compiled) -> list[str]:
    """Return the places of values that look minted and that nothing brings, with their steps' names, each once."""
    found: dict[str, None] = {}
    for script, evidence in zip(compiled.plan.scripts, compiled.evidence, strict=True):
        for literal in evidence.literals:
            if literal.why is Left.UNBOUND:
                found.setdefault(f"{what_of(compiled.plan, script.steps[literal.step])} | {literal.place}")
    return list(found)


def what_of(plan: Plan, step: Step) -> str:
    """Return what people call a step: its route, with the kind of its message."""
    name = plan.routes[step.route].name
    if step.kind is StepKind.REQUEST:
        return name
    word = step.kind.name.lower()
    if step.message_kind >= 0:
        return f"{word} {plan.message_kinds[step.message_kind].name} on {name}"
    return f"{word} {name}"
