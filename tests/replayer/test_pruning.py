"""Leaving assets out of a plan keeps what the other steps need."""

from __future__ import annotations

from dataclasses import replace

from captures.records import Origin
from replayer.plan.records import (
    Extractor,
    Plan,
    RequestTemplate,
    Route,
    RouteKind,
    Script,
    SocketScript,
    Source,
    Step,
    StepKind,
)
from replayer.pruning import without_assets

MS = 1_000_000
DOCUMENT, ASSET, API, SOCKET = range(4)
ROUTES = (
    Route(name="GET /", kind=RouteKind.DOCUMENT, origin=0, n_recorded=1),
    Route(name="GET /app.js", kind=RouteKind.ASSET, origin=0, n_recorded=2),
    Route(name="GET /api", kind=RouteKind.API, origin=0, n_recorded=1),
    Route(name="WS /ws", kind=RouteKind.SOCKET, origin=0, n_recorded=1),
)
GET = RequestTemplate(method=b"GET", target=(b"/",), headers=())


def request(index: int, route: int, at_ms: int, *, needs: tuple[int, ...] = (), think_ms: int = 0) -> Step:
    return Step(
        index=index,
        kind=StepKind.REQUEST,
        route=route,
        origin=0,
        at_ns=at_ms * MS,
        duration_ns=10 * MS,
        needs=needs,
        think_ns=think_ms * MS,
        request=GET,
    )


# document 0–10 ms → script 20–30 → style 40–50 → api 60–70 → socket 80–90 → send 100, answered at 110
STEPS = (
    request(0, DOCUMENT, 0),
    request(1, ASSET, 20, needs=(0,), think_ms=10),
    request(2, ASSET, 40, needs=(1,), think_ms=10),
    request(3, API, 60, needs=(2,), think_ms=10),
    Step(index=4, kind=StepKind.CONNECT, route=SOCKET, origin=0, at_ns=80 * MS, needs=(3,), think_ns=7, socket=0),
    Step(index=5, kind=StepKind.SEND, route=SOCKET, origin=0, at_ns=100 * MS, needs=(4,), socket=0, reply=6),
    Step(index=6, kind=StepKind.RECEIVE, route=SOCKET, origin=0, at_ns=110 * MS, needs=(5,), socket=0, reply_to=5),
)
SCRIPT = Script(
    session=0,
    start_ns=0,
    duration_ns=110 * MS,
    steps=STEPS,
    slots=(),
    sockets=(SocketScript(route=SOCKET, connect=4),),
)
PLAN = Plan(
    capture_sha256="0" * 64,
    origins=(Origin("http", "127.0.0.1", 80),),
    routes=ROUTES,
    message_kinds=(),
    scripts=(SCRIPT,),
)


def test_assets_go_and_the_rest_is_numbered_again() -> None:
    (script,) = without_assets(PLAN).scripts
    assert [step.route for step in script.steps] == [DOCUMENT, API, SOCKET, SOCKET, SOCKET]
    assert [step.index for step in script.steps] == [0, 1, 2, 3, 4]
    assert [step.needs for step in script.steps] == [(), (0,), (1,), (2,), (3,)]
    assert script.sockets[0].connect == 2
    assert (script.steps[3].reply, script.steps[4].reply_to) == (4, 3)


def test_who_waited_for_an_asset_waits_for_what_the_asset_waited_for() -> None:
    (script,) = without_assets(PLAN).scripts
    assert script.steps[1].think_ns == 50 * MS, "from the document's end at 10 ms to the recorded send at 60 ms"
    assert script.steps[2].think_ns == 7, "untouched where nothing needed was left out"


def test_an_asset_that_others_take_a_value_from_stays() -> None:
    extractor = Extractor(slot=0, source=Source.TEXT, left=b"build=", right=b";")
    steps = (STEPS[0], replace(STEPS[1], extractors=(extractor,)), *STEPS[2:])
    (script,) = without_assets(replace(PLAN, scripts=(replace(SCRIPT, steps=steps),))).scripts
    assert [step.route for step in script.steps] == [DOCUMENT, ASSET, API, SOCKET, SOCKET, SOCKET]
    assert script.steps[2].needs == (1,)


def test_a_plan_without_assets_stays_as_it_is() -> None:
    bare = without_assets(PLAN)
    assert without_assets(bare) == bare
