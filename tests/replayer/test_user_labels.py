"""The series of routes: their origin tells them apart where a plan has several."""

from __future__ import annotations

from dataclasses import replace

import pytest

from captures.records import Origin
from replayer.plan.records import Plan, RequestTemplate, Route, RouteKind, Step, StepKind
from replayer.user.labels import labels_known, labels_of
from tests.fakes_port import FakePort, plan_of, user_of

PAGE = Origin(scheme="https", host="shop.example", port=443)
API = Origin(scheme="https", host="api.example", port=8443)


def a_plan(*origins: Origin) -> Plan:
    request = RequestTemplate(method=b"GET", target=(b"/items",), headers=())
    steps = [
        Step(index=n, kind=StepKind.REQUEST, route=n, origin=n, at_ns=0, request=request) for n in range(len(origins))
    ]
    routes = tuple(Route(name="GET /items", kind=RouteKind.API, origin=n, n_recorded=1) for n in range(len(origins)))
    return replace(plan_of(*steps), routes=routes, origins=origins)


@pytest.mark.parametrize(
    ("origins", "labels"),
    [
        ((PAGE,), [{"route": "GET /items"}]),
        (
            (PAGE, API),
            [
                {"route": "GET /items", "origin": "https://shop.example"},
                {"route": "GET /items", "origin": "https://api.example:8443"},
            ],
        ),
    ],
)
def test_only_a_plan_of_several_origins_labels_with_them(
    origins: tuple[Origin, ...], labels: list[dict[str, str]]
) -> None:
    plan = a_plan(*origins)
    assert [labels_of(plan, route) for route in range(len(origins))] == labels
    assert list(labels_known(plan)) == sorted(each["origin"] for each in labels if "origin" in each)


def test_one_route_of_two_origins_is_two_series() -> None:
    port = FakePort()
    user = user_of(a_plan(PAGE, API), port)
    user.start(port.clock_ns)
    port.play()
    measures = user._run.meter.take_slot(0, {}, 0).measures
    found = {dict(labels)["origin"]: measure.ok for (name, labels), measure in measures.items() if name == "http"}
    assert found == {"https://shop.example": 1, "https://api.example:8443": 1}
