"""Leaving steps out of a compiled plan without breaking what the others need. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from replayer.plan.records import Plan, RouteKind, Script, Step, StepKind


def without_assets(plan: Plan) -> Plan:
    """Return the plan without requests for images, scripts and styles; those that other steps take values from stay."""
    return replace(plan, scripts=tuple(_without(script, _assets_of(plan, script)) for script in plan.scripts))


def _assets_of(plan: Plan, script: Script) -> frozenset[int]:
    return frozenset(
        step.index
        for step in script.steps
        if step.kind is StepKind.REQUEST and plan.routes[step.route].kind is RouteKind.ASSET and not step.extractors
    )


def _without(script: Script, dropped: Collection[int]) -> Script:
    """Drop steps and number the rest again; who needed a dropped step needs what that one needed."""
    if not dropped:
        return script
    needs: list[frozenset[int]] = []
    for step in script.steps:
        inherited = (needs[need] if need in dropped else frozenset({need}) for need in step.needs)
        needs.append(frozenset().union(*inherited))
    number = {step.index: n for n, step in enumerate(step for step in script.steps if step.index not in dropped)}
    steps = tuple(
        replace(
            step,
            index=number[step.index],
            needs=tuple(sorted(number[need] for need in needs[step.index])),
            think_ns=_think_ns(script, step, needs[step.index]),
            reply=number.get(step.reply, -1),
            reply_to=number.get(step.reply_to, -1),
        )
        for step in script.steps
        if step.index not in dropped
    )
    sockets = tuple(replace(socket, connect=number[socket.connect]) for socket in script.sockets)
    return replace(script, steps=steps, sockets=sockets)


def _think_ns(script: Script, step: Step, needs: Collection[int]) -> int:
    if needs == frozenset(step.needs):
        return step.think_ns
    ends_ns = (script.steps[need].at_ns + script.steps[need].duration_ns for need in needs)
    return max(0, step.at_ns - max(ends_ns, default=step.at_ns))
