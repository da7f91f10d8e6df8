"""Addresses that the server gives: all of them, or the segment and the field of one."""

from __future__ import annotations

from typing import Any

import pytest

from replayer.plan.compile import compile_plan
from replayer.plan.records import Plan, Script
from tests.fakes_captures import Tape, capture_of
from tests.fakes_plans import Player

SIGNED = "/storage/u1/fe7d32144ebd5dbe.txt?X-Expires=1764400000&X-Signature=a4981129c0ffee00a4981129c0ffee00"
LIVE = "/storage/u9/aa.txt?X-Expires=1999999999&X-Signature=other"


def _compiled(tape: Tape) -> tuple[Plan, Script, Player]:
    plan = compile_plan(capture_of(tape))
    return plan, plan.scripts[0], Player(plan.scripts[0])


# The answer, recorded and live · what is asked for then · with the live answer.
GIVEN: list[tuple[Any, Any, str, str]] = [
    ({"url": f"http://shop.example:8000{SIGNED}"}, {"url": f"https://cdn.test{LIVE}"}, SIGNED, LIVE),
    ({"url": SIGNED}, {"url": LIVE}, SIGNED, LIVE),
    ({"links": {"self": "/orders/17#top"}}, {"links": {"self": "/orders/3"}}, "/orders/17", "/orders/3"),
    ({"href": "/orders/17"}, {"href": "/orders/208"}, "/orders/17/lines", "/orders/208/lines"),
    ({"next": "/feed?cursor=Zk93aLq2"}, {"next": "/feed?cursor=b"}, "/feed?cursor=Zk93aLq2", "/feed?cursor=b"),
    ({"next": "/feed?cursor=Zk93aLq2"}, {"next": "/feed?cursor=b"}, "/news?cursor=Zk93aLq2", "/news?cursor=b"),
]


@pytest.mark.parametrize(("shown", "live", "asked", "expected"), GIVEN)
def test_an_address_in_an_answer_is_followed(shown: Any, live: Any, asked: str, expected: str) -> None:
    tape = Tape()
    tape.post("/uploads", send_json={}, answer_json=shown)
    tape.request("PUT", asked, data=b"hello")
    _, script, player = _compiled(tape)
    player.answer(script.steps[0], document=live)
    assert player.target(script.steps[1]) == expected.encode()


def test_an_absolute_redirect_is_followed_with_all_its_fields() -> None:
    tape = Tape()
    tape.get("/login", status=302, headers=[("Location", "http://shop.example:8000/cb?state=ab&n=7")])
    tape.get("/cb?state=ab&n=7", html="<p>welcome</p>")
    _, script, player = _compiled(tape)
    player.answer(script.steps[0], headers=((b"location", b"https://live.test/cb?state=zz&n=12"),))
    assert player.target(script.steps[1]) == b"/cb?state=zz&n=12"


def test_a_form_says_where_it_goes_in_references_of_html() -> None:
    action = "/auth?session_code=q8Zr5TnX1&amp;tab=k2"
    tape = Tape()
    tape.get("/login", html=f'<form method="post" action="{action}"><input name="username"></form>')
    tape.post("/auth?session_code=q8Zr5TnX1&tab=k2", form="username=bo", status=302)
    _, script, player = _compiled(tape)
    player.answer(script.steps[0], body=b'<form method="post" action="/auth?session_code=L1&amp;tab=z"><input>')
    assert player.target(script.steps[1]) == b"/auth?session_code=L1&tab=z"


def test_a_fixed_address_stays() -> None:
    tape = Tape()
    tape.get("/menu", answer_json={"help": "/help/contact", "items": ["/a/b", "/c"]})
    tape.get("/help/contact", html="<p>help</p>")
    _, script, _ = _compiled(tape)
    assert script.slots == ()


def test_the_next_page_of_a_link_header_is_asked_for() -> None:
    feed = "http://shop.example:8000/feed"
    link = f'<{feed}?after=3d65c7d190b2&limit=10>; rel="next", <{feed}>; rel="first"'
    tape = Tape()
    tape.get("/feed", headers=[("Link", link)], answer_json=[1])
    tape.get("/feed?after=3d65c7d190b2&limit=10", answer_json=[2])
    _, script, player = _compiled(tape)
    player.answer(script.steps[0], headers=((b"link", b'<https://live.test/feed?after=zz&limit=10>; rel="next"'),))
    assert player.target(script.steps[1]) == b"/feed?after=zz&limit=10"
