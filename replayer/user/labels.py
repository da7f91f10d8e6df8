"""What the series of a route are labelled with. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from replayer.plan.records import Plan


def labels_of(plan: Plan, route: int) -> dict[str, str]:
    """Return the labels of a route's series: its name, and its recorded origin where the plan has several."""
    known = plan.routes[route]
    return {"route": known.name} | ({"origin": str(plan.origins[known.origin])} if len(plan.origins) > 1 else {})


def labels_known(plan: Plan) -> Iterator[str]:
    """Yield the origins that series are labelled with; none where the plan has one."""
    if len(plan.origins) > 1:
        yield from sorted({str(plan.origins[route.origin]) for route in plan.routes})
