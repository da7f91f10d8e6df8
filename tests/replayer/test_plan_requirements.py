"""The ``[[require]]`` tables of a rules file: read, written back, refused with a sentence, and put into a plan."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
import tomli_w

from captures.errors import ConfigError
from captures.records import Origin
from replayer.plan.codec import plan_from_bytes, plan_to_bytes
from replayer.plan.records import (
    Demand,
    Expectation,
    MessageKind,
    Plan,
    RequestTemplate,
    Route,
    RouteKind,
    Script,
    Step,
    StepKind,
)
from replayer.plan.requirements import requirements_from, requirements_to, with_requirements

RULES = """
[[require]]
route = "WS /ws/market"
message = "snapshot"
required = ["quotes", "page/next"]
min_items = { quotes = 1, "rows/0/cells" = 2 }
max_bytes = 1_000_000

[[require]]
route = "WS /ws/market"
except = ["status"]
max_bytes = 2000
severity = "warn"

[[require]]
route = "GET /api/quotes"
required = ["tick"]
"""


def _plan() -> Plan:
    kinds = [("snapshot", False), ("status", False), ("subscribe", True)]
    request = RequestTemplate(method=b"GET", target=(b"/api/quotes",), headers=())
    return Plan(
        capture_sha256="",
        origins=(Origin(scheme="http", host="a.example", port=80),),
        routes=(
            Route(name="WS /ws/market", kind=RouteKind.SOCKET, origin=0, n_recorded=1),
            Route(name="GET /api/quotes", kind=RouteKind.API, origin=0, n_recorded=1),
        ),
        message_kinds=tuple(
            MessageKind(name=name, route=0, value=name, is_sent=is_sent, n_recorded=1) for name, is_sent in kinds
        ),
        scripts=(
            Script(
                session=1,
                start_ns=0,
                duration_ns=1,
                steps=(Step(index=0, kind=StepKind.REQUEST, route=1, origin=0, at_ns=0, request=request),),
                slots=(),
                sockets=(),
            ),
        ),
    )


def _read(text: str) -> Any:
    return requirements_from(tomllib.loads(text)["require"])


def test_rules_are_put_where_they_belong() -> None:
    plan = with_requirements(_plan(), _read(RULES))
    snapshot, status, subscribe = (kind.expectation for kind in plan.message_kinds)
    assert snapshot.max_bytes == 1_000_000
    assert snapshot.demands == (
        Demand(path=("quotes",)),
        Demand(path=("page", "next")),
        Demand(path=("quotes",), min_items=1),
        Demand(path=("rows", 0, "cells"), min_items=2),
        Demand(max_bytes=2000, is_warning=True),
    )
    assert status == subscribe == Expectation()
    assert plan.scripts[0].steps[0].expectation.demands == (Demand(path=("tick",)),)
    assert plan_from_bytes(plan_to_bytes(plan)) == plan


def test_what_is_written_reads_back_the_same() -> None:
    requirements = _read(RULES)
    assert _read(tomli_w.dumps({"require": requirements_to(requirements)})) == requirements


# Tables that are refused, and what the sentence must name.
REFUSED = [
    ('message = "snapshot"', r"number 1 names no route"),
    ('route = "GET /x"\nsize = 1', r"number 1 has no key size"),
    ('route = "GET /x"\nrequired = "tick"', r"required is no list of texts"),
    ('route = "GET /x"\nmin_items = { quotes = -1 }', r"min_items is no table"),
    ('route = "GET /x"\nmax_bytes = 0', r"max_bytes = 0"),
    ('route = "GET /x"\nseverity = "loud"', r"severity 'loud'"),
]


@pytest.mark.parametrize(("table", "sentence"), REFUSED)
def test_a_table_that_is_wrong_is_named_with_its_key(table: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        _read("[[require]]\n" + table)


# Rules about what the plan does not have.
FOREIGN = [
    ('route = "GET /nowhere"', r"GET /nowhere, which the plan does not have.*it has WS /ws/market, GET /api/quotes"),
    ('route = "WS /ws/market"\nmessage = "depth"', r"message depth.*the server sent snapshot, status there"),
    ('route = "WS /ws/market"\nexcept = ["subscribe"]', r"message subscribe"),
    ('route = "GET /api/quotes"\nmessage = "tick"', r"message tick.*the server sent no messages there"),
]


@pytest.mark.parametrize(("table", "sentence"), FOREIGN)
def test_a_rule_for_what_does_not_exist_is_refused(table: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=rf"(?s){sentence}"):
        with_requirements(_plan(), _read("[[require]]\n" + table))
