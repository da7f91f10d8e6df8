"""Parts of captures, and several of them as one plan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from captures.records import Origin
from captures.sessions import load_capture
from replayer.merging import merge_plans
from replayer.plan.compile import compile_plan
from replayer.plan.records import Expectation, Plan, RouteKind, Slot, SlotKind, StepKind
from replayer.pruning import Keep, Only, keeping, without_closing

GOLDEN = Path("captures/golden/demo/market.rush")


@pytest.fixture(scope="module")
def market() -> Plan:
    return compile_plan(load_capture(GOLDEN))


def played(plan: Plan) -> list[tuple[str, str, str]]:
    script = plan.scripts[-1]
    return [(step.kind.name, plan.routes[step.route].name, plan.routes[step.route].kind.value) for step in script.steps]


def test_sockets_alone_bring_the_login_that_hands_out_their_ticket(market: Plan) -> None:
    kept = keeping(market, Keep(only=Only.WS))
    steps = played(kept.plan)
    assert kept.along == ("POST /api/login",)
    assert steps[0] == ("REQUEST", "POST /api/login", "along")
    assert {kind for kind, _, _ in steps[1:]} == {"CONNECT", "SEND", "RECEIVE", "CLOSE"}
    assert kept.plan.scripts[0].steps[1].needs == (0,)


def test_requests_alone_have_no_socket(market: Plan) -> None:
    kept = keeping(market, Keep(only=Only.HTTP))
    assert {kind for kind, _, _ in played(kept.plan)} == {"REQUEST"}
    assert kept.along == () and kept.plan.scripts[0].sockets == ()


def test_a_route_brings_the_whole_chain_of_its_values(market: Plan) -> None:
    kept = keeping(market, Keep(routes=("GET /api/orders/{id}",)))
    names = [name for _, name, _ in played(kept.plan)]
    assert names == ["POST /api/login", "GET /orders/new", "POST /api/orders", "GET /api/orders/{id}"]
    assert kept.along == ("GET /orders/new", "POST /api/login", "POST /api/orders")


def test_messages_are_chosen_by_kind_with_their_replies(market: Plan) -> None:
    (sent,) = {kind.name for kind in market.message_kinds if kind.is_sent and kind.name.startswith("sub")}
    kept = keeping(market, Keep(only=Only.WS, messages=(sent,)))
    kinds = [kind for kind, _, _ in played(kept.plan)]
    assert kinds.count("SEND") == kinds.count("RECEIVE") == 3
    script = kept.plan.scripts[0]
    assert all(script.steps[step.reply].reply_to == step.index for step in script.steps if step.kind is StepKind.SEND)


def test_what_matches_nothing_is_named(market: Plan) -> None:
    kept = keeping(market, Keep(routes=("GET /nowhere", "GET /api/*"), sessions=(1, 77)))
    assert kept.unmatched == ("route 'GET /nowhere'", "session 77")
    assert keeping(market, Keep()).plan is market


def test_users_who_stay_do_not_close_their_sockets(market: Plan) -> None:
    assert "CLOSE" in {kind for kind, _, _ in played(market)}
    staying = without_closing(market)
    assert "CLOSE" not in {kind for kind, _, _ in played(staying)}
    assert len(staying.scripts[0].steps) == len(market.scripts[0].steps) - 1


def test_a_plan_merged_with_nothing_plays_the_same(market: Plan) -> None:
    alone = merge_plans([market])
    assert played(alone) == played(market)
    assert {route.name for route in alone.routes} == {route.name for route in market.routes}


def test_parts_of_one_capture_share_what_is_the_same(market: Plan) -> None:
    sockets = keeping(market, Keep(only=Only.WS)).plan
    merged = merge_plans([sockets, market])
    assert len(merged.scripts) == 2 and merged.origins == market.origins
    assert merged.capture_sha256 == market.capture_sha256
    assert played(merged) == played(market)
    assert played(replace(merged, scripts=merged.scripts[:1])) == played(sockets)
    keys = [(route.name, route.kind) for route in merged.routes]
    assert len(set(keys)) == len(keys) and ("POST /api/login", RouteKind.ALONG) in keys
    kinds = [(kind.route, kind.value, kind.is_sent) for kind in merged.message_kinds]
    assert len(set(kinds)) == len(kinds)
    for script in merged.scripts:
        for socket in script.sockets:
            assert all(merged.message_kinds[r.message_kind].name == "ping" for r in socket.responders)


def test_another_capture_brings_its_own_origin_and_its_slots_follow(market: Plan) -> None:
    script = market.scripts[0]
    moved = replace(script, slots=(*script.slots, Slot(name="page", kind=SlotKind.ORIGIN, detail="0:origin")))
    other = replace(market, origins=(Origin("https", "other.example", 443),), scripts=(moved,), capture_sha256="f" * 64)
    merged = merge_plans([market, other])
    assert [str(origin) for origin in merged.origins] == [str(market.origins[0]), "https://other.example"]
    assert {step.origin for step in merged.scripts[1].steps} == {1}
    assert merged.scripts[1].slots[-1].detail == "1:origin"
    assert merged.capture_sha256 not in (market.capture_sha256, other.capture_sha256)
    assert len(merged.routes) == 2 * len(merge_plans([market]).routes)


def test_messages_that_two_captures_expect_differently_are_held_to_what_both_saw(market: Plan) -> None:
    narrow = Expectation(min_bytes=5, max_bytes=10, required=(("a",), ("b",)))
    wide = Expectation(min_bytes=7, max_bytes=90, required=(("b",), ("c",)))
    plans = [
        replace(market, message_kinds=tuple(replace(kind, expectation=e) for kind in market.message_kinds))
        for e in (narrow, wide)
    ]
    merged = merge_plans(plans)
    assert {kind.expectation for kind in merged.message_kinds} == {
        Expectation(min_bytes=5, max_bytes=90, required=(("b",),))
    }
