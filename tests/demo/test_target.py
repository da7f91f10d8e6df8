"""The REST side over real sockets."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest

from demo.server import TargetFailed, running_target
from demo.target.accounts import PASSWORD
from demo.target.app import make_app
from demo.target.faults import Faults
from demo.target.market import SYMBOLS
from demo.target.settings import NS_PER_MS, NS_PER_S, Feed, Settings
from tests.demo.visitors import ORDER, Visitor, visiting

pytestmark = pytest.mark.process


def test_a_person_logs_in_looks_around_orders_and_reads_the_order_back(visitor: Visitor) -> None:
    answer = visitor.log_in()
    grant = answer.json()
    assert len({grant["access_token"], grant["refresh_token"], grant["ws_ticket"]}) == 3
    assert grant["expires_in"] == 300
    assert "httponly" in answer.headers["set-cookie"].lower()
    assert [row["symbol"] for row in visitor.get("/api/quotes").json()["quotes"]] == list(SYMBOLS)
    assert visitor.get("/api/quotes/KIT").json()["name"] == "Kite Telecom"
    assert visitor.get("/api/indices").json()["indices"]
    assert visitor.get("/api/foreign-flow").json()["foreign"]
    placed = visitor.place(visitor.csrf())
    assert placed.status_code == 201
    read = visitor.get(placed.headers["location"]).json()
    assert read | {"status": ""} == placed.json() | {"status": ""}
    assert {name: read[name] for name in ORDER} == ORDER


@pytest.mark.parametrize(
    "path", ["/api/quotes", "/api/quotes/KIT", "/api/indices", "/api/foreign-flow", "/orders/new", "/api/orders/1"]
)
def test_strangers_and_made_up_tokens_are_turned_away(visitor: Visitor, path: str) -> None:
    assert visitor.get(path).status_code == 401
    answer = visitor.client.get(path, headers={"Authorization": "Bearer made-up", "Cookie": "session=made-up"})
    assert answer.status_code == 401
    assert answer.json()["error"]


@pytest.mark.parametrize(
    ("user", "password"), [("demo000", PASSWORD), ("admin", PASSWORD), ("demo001", "wrong"), ("", "")]
)
def test_a_wrong_login_is_refused(visitor: Visitor, user: str, password: str) -> None:
    assert visitor.log_in(user, password).status_code == 401


def test_one_account_may_log_in_many_times_at_once(url: str) -> None:
    with visiting(url) as one, visiting(url) as other:
        one.log_in("demo005")
        other.log_in("demo005")
        assert one.grant["access_token"] != other.grant["access_token"]
        assert one.get("/api/quotes").status_code == other.get("/api/quotes").status_code == 200


def test_an_order_needs_the_csrf_token_of_its_own_session(url: str) -> None:
    with visiting(url) as one, visiting(url) as other:
        one.log_in()
        other.log_in()
        assert one.place("").status_code == 403
        assert one.place(other.csrf()).status_code == 403
        assert one.place(one.csrf()).status_code == 201
        csrf = one.csrf()
        one.client.cookies.clear()
        assert one.place(csrf).status_code == 403


def test_the_csrf_token_may_come_as_a_field_of_a_form(visitor: Visitor) -> None:
    visitor.log_in()
    answer = visitor.client.post("/api/orders", data=ORDER | {"csrf": visitor.csrf()})
    assert answer.status_code == 201
    assert answer.json()["quantity"] == 250


def test_an_order_is_nobody_elses_to_read(url: str) -> None:
    with visiting(url) as one, visiting(url) as other:
        one.log_in("demo007")
        other.log_in("demo007")
        path = one.place(one.csrf()).headers["location"]
        assert one.get(path).status_code == 200
        assert other.get(path).status_code == 404


@pytest.mark.parametrize(
    "changes",
    [{"symbol": "???"}, {"side": "hold"}, {"quantity": 0}, {"quantity": 1.5}, {"price": "cheap"}, {"price": 1e999}],
)
def test_an_order_that_makes_no_sense_is_refused_with_the_field_named(
    visitor: Visitor, changes: dict[str, object]
) -> None:
    visitor.log_in()
    fields = {name: str(value) for name, value in (ORDER | changes).items()}
    answer = visitor.client.post("/api/orders", data=fields | {"csrf": visitor.csrf()})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith(next(iter(changes)))


@pytest.mark.parametrize(("body", "status"), [(b"", 400), (b"[1]", 400), (b"[" * 60_000, 400), (b"x" * 70_000, 413)])
def test_a_body_that_cannot_be_read_is_refused(visitor: Visitor, body: bytes, status: int) -> None:
    assert visitor.client.post("/api/login", content=body).status_code == status


def test_what_is_not_there_is_404_and_the_wrong_method_405(visitor: Visitor) -> None:
    assert visitor.get("/nowhere").status_code == 404
    assert visitor.get("/api/login").status_code == 405
    visitor.log_in()
    assert visitor.get("/api/quotes/NONE").status_code == 404


def test_the_page_brings_all_it_needs_itself(visitor: Visitor) -> None:
    page = visitor.get("/")
    names = [part.split('"')[0] for part in page.text.split('"/page/')[1:]]
    assert set(names) == {"icon.svg", "style.css", "market.js", "app.js", "visitor.js"}
    assert all(visitor.get(f"/page/{name}").status_code == 200 for name in names)
    assert "//" not in page.text
    assert PASSWORD not in page.text


def test_too_many_requests_of_one_token_are_told_when_to_come_again() -> None:
    with running_target(Settings(rate_limit_per_s=5.0)) as target, visiting(target.url) as one:
        one.log_in()
        answers = [one.get("/api/quotes") for _ in range(14)]
        assert [answer.status_code for answer in answers].count(200) in range(10, 14)
        limited = answers[-1]
        assert limited.status_code == 429
        assert int(limited.headers["retry-after"]) >= 1
        with visiting(target.url) as other:
            other.log_in()
            assert other.get("/api/quotes").status_code == 200


def test_the_rate_limit_can_be_switched_off() -> None:
    with running_target(Settings(rate_limit_per_s=None)) as target, visiting(target.url) as one:
        one.log_in()
        assert {one.get("/api/indices").status_code for _ in range(300)} == {200}


def test_tokens_expire_and_a_refresh_brings_fresh_ones() -> None:
    with running_target(Settings(token_ttl_ns=NS_PER_S)) as target, visiting(target.url) as one:
        one.log_in()
        spent = one.grant["refresh_token"]
        assert one.get("/api/quotes").status_code == 200
        while one.get("/api/quotes").status_code == 200:
            time.sleep(0.05)
        assert one.get("/api/quotes").status_code == 401
        assert one.refresh().status_code == 200
        assert one.get("/api/quotes").status_code == 200
        assert one.client.post("/api/refresh", json={"refresh_token": spent}).status_code == 401
        assert one.place(one.csrf()).status_code == 201


def test_without_auth_nothing_is_asked_for() -> None:
    with running_target(Settings(asks_for_login=False)) as target, visiting(target.url) as one:
        assert one.get("/api/quotes").status_code == 200
        assert one.get("/orders/new").status_code == 200
        placed = one.place("")
        assert placed.status_code == 201
        assert one.get(placed.headers["location"]).status_code == 200
        assert one.log_in("demo001", "anything").status_code == 200
        assert one.place(one.csrf()).status_code == 201


@pytest.mark.parametrize("feed", [Feed.EMPTY, Feed.FROZEN])
def test_a_feed_may_be_empty_or_frozen(feed: Feed) -> None:
    with running_target(Settings(feed=feed, tick_ns=10 * NS_PER_MS)) as target, visiting(target.url) as one:
        one.log_in()
        first = one.get("/api/quotes").json()
        time.sleep(0.1)
        assert one.get("/api/quotes").json() == first
        assert bool(first["quotes"]) is (feed is Feed.FROZEN)


def test_two_targets_of_one_seed_quote_the_same_at_the_same_tick() -> None:
    seen: list[dict[int, object]] = []
    for _ in range(2):
        with running_target(Settings(seed=3, tick_ns=10 * NS_PER_MS)) as target, visiting(target.url) as one:
            one.log_in()
            bodies = [one.get("/api/quotes").json() for _ in range(120)]
            seen.append({body["tick"]: body["quotes"] for body in bodies})
    common = seen[0].keys() & seen[1].keys()
    assert common
    assert all(seen[0][tick] == seen[1][tick] for tick in common)


def test_the_ledger_balances_with_what_was_sent_even_where_it_was_refused() -> None:
    with running_target(Settings()) as target, visiting(target.url) as one:
        one.get("/api/quotes")
        one.log_in("demo009")
        for _ in range(5):
            one.get("/api/quotes/KIT")
        one.get("/nowhere")
        with pytest.raises(Exception, match="401"), one.socket("made-up"):
            pass
        with one.socket():
            pass
        ledger = one.get("/admin/ledger").json()
        counts = {(row["method"], row["route"], row["status"]): row["n"] for row in ledger["counts"]}
        assert counts == {
            ("GET", "/api/quotes", 401): 1,
            ("POST", "/api/login", 200): 1,
            ("GET", "/api/quotes/{symbol}", 200): 5,
            ("GET", "(none)", 404): 1,
            ("WS", "/ws/market", 401): 1,
            ("WS", "/ws/market", 101): 1,
        }
        assert ledger["seen"] == ledger["answered"] == 10
        assert [entry["id"] for entry in ledger["entries"]] == list(range(1, 11))
        assert {entry["user"] for entry in ledger["entries"][1:7]} == {"demo009"}
        assert one.get("/admin/ledger?since=8&limit=1").json()["entries"][0]["id"] == 9
        assert one.client.post("/admin/ledger/reset").json()["seen"] == 0


def test_faults_are_read_from_the_start_and_changed_by_the_admin() -> None:
    with running_target(Settings(faults=Faults(latency_ns=200 * NS_PER_MS))) as target, visiting(target.url) as one:
        one.log_in()
        slow = one.get("/api/quotes").elapsed
        changed = one.client.post("/admin/faults", json={"latency": "0", "error_rate": "1"}).json()
        assert (changed["latency_ns"], changed["error_rate"]) == (0, 1.0)
        failed = one.get("/api/quotes")
        assert failed.status_code == 500
        assert failed.elapsed < slow
        assert one.get("/").status_code == 200
        one.client.post("/admin/faults", json={"error_rate": 0, "stall": "400ms"})
        stalled = one.get("/api/quotes").elapsed
        assert stalled > 5 * one.get("/api/quotes").elapsed


def test_the_error_rate_is_kept_and_the_same_for_the_same_seed() -> None:
    def statuses() -> list[int]:
        settings = Settings(faults=Faults(error_rate=0.3), asks_for_login=False, rate_limit_per_s=None)
        with running_target(settings) as target, visiting(target.url) as one:
            return [one.get("/api/indices").status_code for _ in range(200)]

    first = statuses()
    assert 30 <= first.count(500) <= 90
    assert statuses() == first


@pytest.mark.parametrize("fields", [{"latency": "300"}, {"error_rate": 2}, {"stall": "x@1s"}, {"speed": 1}])
def test_a_fault_that_cannot_be_read_is_refused(visitor: Visitor, fields: dict[str, object]) -> None:
    before = visitor.get("/admin/faults").json()
    assert visitor.client.post("/admin/faults", json=fields).status_code == 400
    assert visitor.get("/admin/faults").json() == before


@pytest.mark.parametrize(
    ("peer", "status"), [("127.0.0.1", 200), ("::1", 200), ("10.1.2.3", 403), ("::ffff:10.1.2.3", 403), ("x", 403)]
)
def test_admin_routes_are_for_peers_on_this_machine_only(peer: str, status: int) -> None:
    assert asyncio.run(_statuses_for(peer)) == [status] * 4


async def _statuses_for(peer: str) -> list[int]:
    """Ask every admin route as that peer would; no packet is sent."""
    transport = httpx.ASGITransport(make_app(Settings()), client=(peer, 50_000))
    headers = {"X-Forwarded-For": "127.0.0.1"}
    async with httpx.AsyncClient(transport=transport, base_url="http://demo", headers=headers) as client:
        answers = [
            await client.get("/admin/ledger"),
            await client.get("/admin/faults"),
            await client.post("/admin/faults", json={}),
            await client.post("/admin/ledger/reset"),
        ]
    return [answer.status_code for answer in answers]


def test_a_port_that_is_taken_is_said_plainly(url: str) -> None:
    port = httpx.URL(url).port or 0
    with pytest.raises(TargetFailed, match=f"127.0.0.1:{port}"), running_target(Settings(), port=port):
        pass
