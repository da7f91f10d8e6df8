"""Says which value a step lacked and who should have brought it. Pure."""

from __future__ import annotations

from replayer.plan.records import Plan, Script, SlotKind


def lacking(plan: Plan, script: Script, slot: int) -> str:
    """Return ``access_token, of step 6 (POST /api/login)``: the slot that has no value, and its producer."""
    found = script.slots[slot] if slot < len(script.slots) else None
    if found is not None and found.kind is SlotKind.DERIVED:
        slot = int(found.detail.partition(":")[0])
        found = script.slots[slot]
    if found is None:
        return ""
    if found.kind is SlotKind.INPUT:
        return f"{found.name}, column {found.detail} of the identities"
    for step in script.steps:
        if any(extractor.slot == slot for extractor in step.extractors):
            message = f" {plan.message_kinds[step.message_kind].name}" if step.message_kind >= 0 else ""
            return f"{found.name}, of step {step.index} ({plan.routes[step.route].name}{message})"
    return found.name
