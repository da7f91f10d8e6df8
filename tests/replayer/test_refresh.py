"""Credentials that expire: what the plan says about them, and one user whose server takes them away."""

from __future__ import annotations

import json
from typing import Any

import pytest

from analysis.slots import SecondSlot
from captures.records import Peer
from replayer.plan.compile import compile_plan
from replayer.plan.records import Plan
from replayer.user.expiry import EXPIRED_CODES, expiry_codes
from replayer.user.steps import User
from tests.fakes_captures import Tape, capture_of
from tests.fakes_port import FakeConnection, FakePort, FakeSocket, Reply, user_of

FIRST = "Zx81kQpTeyW0mBv7_JrXa-99sLwQ"
SECOND = "aK3xP9mQ2rT7vZ5cD8fG1hJ4kL6n"
REFRESH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822c"
CSRF = "5e884898da28047151d0e56f8dc629275e884898da280471"


def _bearer(token: str) -> list[tuple[str, str]]:
    return [("Authorization", f"Bearer {token}")]


def _shop() -> Tape:
    """A login, three requests 100 ms apart with its token, a page with a CSRF token, a write with both."""
    tape = Tape()
    tape.post("/login", send_json={"user": "ann", "password": "x"}, answer_json={"token": FIRST})
    for number in range(3):
        tape.get(f"/api/{'abc'[number]}", at_ms=100 + 100 * number, sent=_bearer(FIRST), answer_json={"ok": True})
    tape.get("/form", at_ms=400, sent=_bearer(FIRST), html=f'<input type="hidden" name="csrf" value="{CSRF}">')
    tape.post(
        "/orders", at_ms=500, sent=[*_bearer(FIRST), ("X-CSRF-Token", CSRF)], send_json={"n": 1}, answer_json={"x": 1}
    )
    return tape


class Server:
    """Gives out tokens that die after so many uses; CSRF tokens die with the token that asked for them."""

    def __init__(self, n_uses: int, *, refuses_login_after: int = 1000) -> None:
        self.n_uses = n_uses
        self.n_logins = 0
        self.refuses_login_after = refuses_login_after
        self.left = 0
        self.log: list[str] = []

    def __call__(self, data: bytes, connection: FakeConnection) -> Reply:
        head = data.decode()
        target = head.split(" ")[1]
        self.log.append(target)
        if target == "/login":
            self.n_logins += 1
            if self.n_logins > self.refuses_login_after:
                return Reply(status=403, body=b'{"error": "no"}')
            self.left = self.n_uses
            return Reply(body=json.dumps({"token": f"live-{self.n_logins}"}).encode())
        if f"Bearer live-{self.n_logins}\r\n" not in head or not self.left:
            return Reply(status=401)
        self.left -= 1
        if target == "/form":
            page = f'<input type="hidden" name="csrf" value="csrf-{self.n_logins}">'
            return Reply(body=page.encode(), content_type=b"text/html")
        if target == "/orders" and f"X-CSRF-Token: csrf-{self.n_logins}\r\n" not in head:
            return Reply(status=403)
        return Reply(body=b'{"ok": true, "x": 1}')


def _played(plan: Plan, server: Server) -> tuple[SecondSlot, FakePort]:
    port = FakePort(answer=server)
    user = user_of(plan, port, inputs={"user": "ann", "password": "x"})
    user.start(port.clock_ns)
    port.play()
    assert user.is_over
    return user._run.meter.take_slot(0, {}, 0), port


def _refreshed(slot: SecondSlot) -> int:
    return sum(m.ok for key, m in slot.measures.items() if key[0] == "refresh")


def test_the_plan_names_each_credential_and_the_way_to_a_fresh_one() -> None:
    (script,) = compile_plan(capture_of(_shop())).scripts
    ways = {script.slots[r.slots[0]].name: (r.steps, [c.steps for c in r.chains]) for r in script.refreshes}
    assert ways == {"token": ((1, 2, 3, 4, 5), [(0,)]), "csrf": ((5,), [(0, 4)])}


def test_an_expired_token_is_got_anew_once_and_no_step_fails() -> None:
    server = Server(n_uses=2)
    slot, _ = _played(compile_plan(capture_of(_shop())), server)
    assert server.n_logins == 3, "the token lives for two uses, and the five steps need three"
    assert _refreshed(slot) == 2 + 1, "two more logins, and the form once more for its CSRF token"
    measures = [m for key, m in slot.measures.items() if key[0] == "http"]
    assert not any(m.errors for m in measures)
    assert slot.counts["sessions_completed"] == 1 and "correlation_misses" not in slot.counts


def test_a_step_that_was_refused_keeps_its_first_intended_start() -> None:
    server = Server(n_uses=1)
    plan = compile_plan(capture_of(_shop()))
    slot, _ = _played(plan, server)
    (again,) = [m for key, m in slot.measures.items() if key[0] == "http" and ("route", "GET /api/b") in key[1]]
    assert again.ok == 1
    assert again.latency_max_us >= 30_000, "refused 10 ms, login 10 ms, again 10 ms"


def test_a_token_that_never_worked_is_no_expired_one() -> None:
    server = Server(n_uses=0)
    slot, _ = _played(compile_plan(capture_of(_shop())), server)
    assert server.n_logins == 1 and not _refreshed(slot)
    assert sum(m.errors.get("status_401", 0) for m in slot.measures.values()) == 5 - 1, "the fifth lacks its CSRF token"


def test_where_no_way_leads_to_a_fresh_one_the_steps_have_failed() -> None:
    server = Server(n_uses=2, refuses_login_after=1)
    slot, _ = _played(compile_plan(capture_of(_shop())), server)
    assert slot.counts["refreshes_failed"] >= 1 and "refreshes" not in slot.counts
    http = [m for key, m in slot.measures.items() if key[0] == "http"]
    assert sum(m.errors.get("status_401", 0) for m in http) == 2
    planned = sum(m.planned for m in http)
    assert planned == sum(m.ok + sum(m.errors.values()) for m in http) + slot.counts.get("not_sent:producer_failed", 0)


def test_a_recorded_refresh_is_preferred_and_its_token_rotates() -> None:
    tape = Tape()
    tape.post(
        "/login",
        send_json={"user": "a", "password": "x"},
        answer_json={"access_token": FIRST, "refresh_token": REFRESH},
    )
    tape.get("/api/a", sent=_bearer(FIRST), answer_json={"ok": True})
    tape.post(
        "/token",
        send_json={"refresh_token": REFRESH},
        answer_json={"access_token": SECOND, "refresh_token": REFRESH[::-1]},
    )
    tape.get("/api/b", sent=_bearer(SECOND), answer_json={"ok": True})
    (script,) = compile_plan(capture_of(tape)).scripts
    refresh = script.refreshes[0]
    assert [chain.steps for chain in refresh.chains] == [(2,), (0,)]
    names = {script.slots[e.slot].name: e.path for e in script.steps[2].extractors}
    assert names["refresh_token"] == ("refresh_token",), "the next refresh uses the token that this one brought"


def test_one_recorded_401_does_not_make_it_right_for_the_others() -> None:
    tape = Tape()
    tape.get("/api/me", status=401)
    tape.post("/login", send_json={"user": "a", "password": "x"}, answer_json={"token": FIRST})
    tape.get("/api/me", sent=_bearer(FIRST), answer_json={"name": "ann"})
    (script,) = compile_plan(capture_of(tape)).scripts
    assert 401 in script.steps[0].expectation.statuses
    assert script.steps[2].expectation.statuses == (200,)


def _with_sockets() -> Plan:
    """The shop, and two sockets that the token opens, one after the other."""
    tape = _shop()
    for at_ms in (700, 1500):
        tape.socket(f"/ws?token={FIRST}", [(20, "<", {"type": "hi"})], at_ms=at_ms, close_ms=600)
    return compile_plan(capture_of(tape))


class RefusingPort(FakePort):
    """Refuses a socket whose token is not the server's present one."""

    def open_socket(self, owner: Any, *arguments: Any, **options: Any) -> FakeSocket:
        server = self.answer
        assert isinstance(server, Server)
        target: bytes = arguments[1]
        if target.endswith(b"live-%d" % server.n_logins) and server.left:
            return super().open_socket(owner, *arguments, **options)
        socket = FakeSocket(self, owner, target, arguments[2])
        self.sockets.append(socket)
        self.call_at(self.clock_ns, lambda _, due: owner.socket_refused(socket, "ws_refused", 401, due), None)
        return socket


def _started(port: FakePort, plan: Plan) -> User:
    user = user_of(plan, port, inputs={"user": "ann", "password": "x"})
    user.start(port.clock_ns)
    return user


def test_a_socket_that_is_refused_opens_with_a_fresh_token() -> None:
    server = Server(n_uses=5)  # used up by the five requests before the first socket
    port = RefusingPort(answer=server)
    user = _started(port, _with_sockets())
    port.play()
    slot = user._run.meter.take_slot(0, {}, 0)
    assert [socket.target.rpartition(b"=")[2] for socket in port.sockets] == [b"live-1", b"live-2", b"live-2"]
    connects = [m for key, m in slot.measures.items() if key[0] == "ws.connect"]
    assert sum(m.ok for m in connects) == 2 and not any(m.errors for m in connects)


def test_a_close_code_that_says_unauthorized_brings_a_fresh_token_for_the_next_socket() -> None:
    server = Server(n_uses=1000)
    port = RefusingPort(answer=server)
    user = _started(port, _with_sockets())
    port.play(until_ms=1000 + 900)
    port.sockets[0].end(4401)
    port.play()
    assert server.n_logins == 2
    assert port.sockets[-1].target.endswith(b"live-2")
    slot = user._run.meter.take_slot(0, {}, 0)
    drops = [m for key, m in slot.measures.items() if key[0] == "ws.lifetime"]
    assert sum(sum(m.errors.values()) for m in drops) == 1, "the socket was lost all the same"


def _closed_by_server(code: int, *, gets_a_fresh_token: bool) -> Plan:
    """A login, a socket that the server ends, a refresh, and two more sockets of the same route."""
    tape = Tape()
    answer = {"access_token": FIRST, "refresh_token": REFRESH}
    tape.post("/login", send_json={"user": "a", "password": "x"}, answer_json=answer)
    says = [(20.0, "<", {"type": "hi"})]
    tape.socket(f"/ws?token={FIRST}", says, at_ms=100, close_ms=200, closed_by=Peer.SERVER, close_code=code)
    if gets_a_fresh_token:
        renewed = {"access_token": SECOND, "refresh_token": REFRESH[::-1]}
        tape.post("/token", at_ms=400, send_json={"refresh_token": REFRESH}, answer_json=renewed)
    token = SECOND if gets_a_fresh_token else FIRST
    for at_ms in (600, 1800):
        tape.socket(f"/ws?token={token}", says, at_ms=at_ms, close_ms=1000)
    return compile_plan(capture_of(tape))


@pytest.mark.parametrize(
    ("code", "gets_a_fresh_token", "is_own"), [(4123, True, True), (4123, False, False), (1011, True, False)]
)
def test_the_code_of_an_application_is_known_by_what_its_client_did_next(
    code: int, gets_a_fresh_token: bool, is_own: bool
) -> None:
    (script,) = _closed_by_server(code, gets_a_fresh_token=gets_a_fresh_token).scripts
    assert expiry_codes(script) == (EXPIRED_CODES | {code} if is_own else EXPIRED_CODES)


def test_the_code_of_an_application_brings_a_fresh_token_for_the_next_socket() -> None:
    asked: list[bytes] = []

    def answer(data: bytes, _connection: FakeConnection) -> Reply:
        asked.append(data.split(b" ")[1])
        tokens = {"access_token": f"live-{len(asked)}", "refresh_token": f"again-{len(asked)}"}
        return Reply(body=json.dumps(tokens).encode())

    port = FakePort(answer=answer)
    _started(port, _closed_by_server(4123, gets_a_fresh_token=True))
    port.play(until_ms=1000 + 900)
    assert asked == [b"/login", b"/token"] and len(port.sockets) == 2
    port.sockets[1].end(4123)
    port.play()
    assert asked == [b"/login", b"/token", b"/token"]
    assert port.sockets[-1].target.endswith(b"live-3")
