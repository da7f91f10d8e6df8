"""Several people on one port: who is who, and why."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captures.assembly import Assembler
from captures.records import Session
from recorder.notices import Kind
from tests.recorder.conversations import Conversation

ANN, BOB = "a1b2c3d4e5f6a7b8c9d0", "0d9c8b7a6f5e4d3c2b1a"
TOKENS = ("eyJhbGciOi.J1c2VyIjoxfQ.abc123", "eyJhbGciOi.J1c2VyIjoyfQ.def456", "eyJhbGciOi.J1c2VyIjozfQ.ghi789")
CHROME, FIREFOX = "Chrome/156", "Firefox/150"
NAVIGATION = ("Sec-Fetch-Mode", "navigate")


class Crowd(Conversation):
    """Several browsers that talk through one port."""

    def __init__(self) -> None:
        super().__init__(by_identity=True)
        self._n_flows = 0

    def visit(
        self,
        connection: str,
        *headers: tuple[str, str],
        agent: str = CHROME,
        gives: Sequence[tuple[str, str]] = (),
        body: object = None,
        **changes: object,
    ) -> int:
        """Send a request over a connection and answer it; give the number of its exchange."""
        self._n_flows += 1
        flow_id = f"f{self._n_flows}"
        told = [("User-Agent", agent), *headers]
        encoded = tuple((name.encode(), value.encode()) for name, value in told)
        self.ask(flow_id, connection, headers=encoded, **changes)
        self.asked(flow_id)
        answer = [("Content-Type", "application/json"), *gives]
        self.answer(flow_id, headers=tuple((name.encode(), value.encode()) for name, value in answer))
        self.answered(flow_id, json.dumps(body).encode())
        return self._n_flows

    def arrive(self, *connections: str, peer: str = "10.0.0.1") -> None:
        """Open connections from one address."""
        for number, connection in enumerate(connections):
            told = {"connection_id": connection, "listener": 9000, "peer": f"{peer}:{50_000 + number}"}
            self.say(Kind.CONNECTED, **told)

    def sessions(self) -> list[Session]:
        """What a reader makes of it."""
        assembler = Assembler()
        for event in self.events:
            assembler.add(event)
        return assembler.sessions()

    def groups(self) -> list[list[int]]:
        """Exchanges of each session."""
        return [[exchange.id for exchange in session.exchanges] for session in self.sessions()]


def cookie(value: str, name: str = "sid") -> tuple[str, str]:
    return ("Cookie", f"theme=dark; {name}={value}")


def sets(value: str, rest: str = "; Path=/; HttpOnly") -> list[tuple[str, str]]:
    return [("Set-Cookie", f"sid={value}{rest}")]


def bearer(token: str) -> tuple[str, str]:
    return ("Authorization", f"Bearer {token}")


def test_one_browser_with_many_connections_is_one_session() -> None:
    crowd = Crowd()
    crowd.arrive("a", "b", "c")
    crowd.visit("a", NAVIGATION, gives=sets(ANN))
    crowd.visit("b", cookie(ANN))
    crowd.visit("c", ("Sec-Fetch-Site", "cross-site"))
    (session,) = crowd.sessions()
    assert len(session.exchanges) == 3
    assert session.rule == "cookie, peer"
    assert crowd.translator.counts.n_sessions == 1


def test_two_browsers_of_one_machine_are_told_apart_by_the_cookies_they_were_given() -> None:
    crowd = Crowd()
    crowd.arrive("a1", "b1", "a2", "b2")
    first = crowd.visit("a1", NAVIGATION, gives=sets(ANN))
    second = crowd.visit("b1", NAVIGATION, gives=sets(BOB))
    third = crowd.visit("a2", cookie(ANN))
    fourth = crowd.visit("b2", cookie(BOB))
    assert crowd.groups() == [[first, third], [second, fourth]]


def test_people_are_told_apart_by_address_and_browser_where_nothing_else_is_known() -> None:
    crowd = Crowd()
    crowd.arrive("a", "b")
    crowd.arrive("c", peer="10.0.0.2")
    for connection, agent in (("a", CHROME), ("b", FIREFOX), ("c", CHROME)):
        crowd.visit(connection, agent=agent)
    assert crowd.groups() == [[1], [2], [3]]
    assert {session.rule for session in crowd.sessions()} == {"peer"}


def test_a_connection_moves_to_its_person_when_it_shows_a_cookie_later() -> None:
    crowd = Crowd()
    crowd.arrive("a", "b", "late")
    crowd.visit("a", NAVIGATION, gives=sets(ANN))
    crowd.visit("b", NAVIGATION, gives=sets(BOB))
    anonymous = crowd.visit("late")
    assert anonymous in crowd.groups()[1]
    known = crowd.visit("late", cookie(ANN))
    assert crowd.groups() == [[1, anonymous, known], [2]]


def test_a_token_that_an_answer_handed_out_belongs_to_who_got_it() -> None:
    crowd = Crowd()
    crowd.arrive("a", "b", "api-b", "api-a")
    crowd.visit("a", body={"token": TOKENS[0]})
    crowd.visit("a", bearer(TOKENS[0]))
    crowd.visit("b", agent=FIREFOX, body={"token": TOKENS[1]})
    crowd.visit("api-b", bearer(TOKENS[1]), agent=FIREFOX)
    crowd.visit("api-a", bearer(TOKENS[0]))
    assert crowd.groups() == [[1, 2, 5], [3, 4]]
    assert "token" in crowd.sessions()[0].rule


def test_a_token_that_was_renewed_is_the_same_person() -> None:
    crowd = Crowd()
    crowd.arrive("a", "b")
    crowd.visit("a", bearer(TOKENS[0]), body={"access_token": TOKENS[2]})
    crowd.visit("b", bearer(TOKENS[2]))
    assert crowd.groups() == [[1, 2]]


def test_another_token_from_the_same_machine_is_another_person() -> None:
    crowd = Crowd()
    crowd.arrive("a", "b")
    crowd.visit("a", bearer(TOKENS[0]))
    crowd.visit("b", bearer(TOKENS[1]))
    assert crowd.groups() == [[1], [2]]


def test_a_public_key_that_all_show_joins_nobody() -> None:
    crowd = Crowd()
    crowd.arrive("a", "b", "c")
    for connection, mine in (("a", ANN), ("b", BOB), ("c", ANN)):
        crowd.visit(connection, bearer(TOKENS[0]), cookie(mine))
    assert crowd.groups() == [[1, 3], [2]]


def test_a_cookie_that_changes_on_one_connection_is_still_one_person() -> None:
    crowd = Crowd()
    crowd.arrive("a", "b")
    crowd.visit("a", cookie(ANN), gives=sets(BOB))
    crowd.visit("a", cookie(BOB))
    # Sent before the new cookie came, arrived after it.
    crowd.visit("b", cookie(ANN))
    assert crowd.groups() == [[1, 2, 3]]


@pytest.mark.parametrize("deletion", ["; Max-Age=0", "; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "; Max-Age=-1"])
def test_who_logs_out_stays_who_they_are(deletion: str) -> None:
    crowd = Crowd()
    crowd.arrive("a", "b")
    crowd.visit("a", NAVIGATION, gives=sets(ANN))
    crowd.visit("a", cookie(ANN), gives=sets("gone", deletion))
    crowd.visit("b", NAVIGATION)
    assert crowd.groups() == [[1, 2, 3]]


def test_two_that_turn_out_to_be_one_are_bound_again() -> None:
    crowd = Crowd()
    crowd.arrive("a")
    crowd.arrive("b", "c", peer="10.0.0.2")
    crowd.visit("a", cookie(ANN, "visitor_token"))
    crowd.visit("b", bearer(TOKENS[0]))
    assert len(crowd.groups()) == 2
    crowd.visit("c", cookie(ANN, "visitor_token"), bearer(TOKENS[0]))
    assert crowd.groups() == [[1, 2, 3]]
    assert crowd.translator.counts.n_sessions == 1


def test_behind_another_proxy_the_people_of_one_connection_are_told_apart() -> None:
    crowd = Crowd()
    crowd.arrive("a")
    for address in ("192.0.2.1", "192.0.2.2, 10.0.0.9", "192.0.2.1"):
        crowd.visit("a", ("X-Forwarded-For", address))
    crowd.visit("a", ("Forwarded", 'by=10.0.0.9;for="192.0.2.2"'))
    assert crowd.groups() == [[1, 3], [2, 4]]


def test_users_that_the_proxy_knows_are_sessions_whatever_they_show() -> None:
    crowd = Crowd()
    crowd.arrive("a", "b", "c")
    for connection, user in (("a", "ann"), ("b", "bob"), ("c", "ann")):
        crowd.visit(connection, cookie(ANN), browser=(connection, "", "", user))
    assert crowd.groups() == [[1, 3], [2]]
    assert {session.rule for session in crowd.sessions()} == {"proxy user"}


def test_a_socket_whose_first_message_names_a_token_moves_to_its_owner() -> None:
    crowd = Crowd()
    crowd.arrive("a", "b", "socket")
    crowd.visit("a", bearer(TOKENS[0]))
    crowd.visit("b", bearer(TOKENS[1]))
    headers = ((b"User-Agent", CHROME.encode()), (b"Upgrade", b"websocket"))
    crowd.ask("s", "socket", headers=headers)
    crowd.asked("s")
    crowd.answer("s", 101)
    crowd.answered("s", b"", is_upgrade=True)
    crowd.say(Kind.SOCKET, flow_id="s", extensions=b"", subprotocol=b"")
    assert crowd.groups() == [[1], [2, 3]]
    crowd.message("s", json.dumps({"type": "hello", "payload": {"authorization": f"Bearer {TOKENS[0]}"}}).encode())
    assert crowd.groups() == [[1, 3], [2]]


Step = tuple[int, int, bool]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.booleans()), min_size=1, max_size=40))
def test_whatever_the_order_browsers_with_cookies_are_never_mixed(steps: list[Step]) -> None:
    crowd = Crowd()
    names = [f"{person}-{number}" for person in range(4) for number in range(3)]
    crowd.arrive(*names)
    whose: dict[int, int] = {}
    for person, number, shows in steps:
        value = f"c0ffee{person}abcdef{person}0123456789"
        headers = [cookie(value)] if shows else []
        whose[crowd.visit(f"{person}-{number}", *headers)] = person
    used = {(person, number) for person, number, shows in steps if shows}
    for group in crowd.groups():
        sure = {whose[at] for at in group if steps[at - 1][:2] in used}
        assert len(sure) <= 1


def test_a_client_that_keeps_no_cookies_is_not_taken_for_many() -> None:
    crowd = Crowd()
    crowd.arrive("a", "b", "c")
    for connection, value in (("a", ANN), ("b", BOB), ("c", "fedcba98765432101234")):
        crowd.visit(connection, gives=sets(value))
    assert crowd.groups() == [[1, 2, 3]]


# What a request without the cookie says of itself · whether it can be from who holds it.
BARE = [
    ((), False),
    ((("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Mode", "cors")), False),
    ((("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "cors")), True),
    ((("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Dest", "manifest")), True),
    ((("Access-Control-Request-Method", "PUT"), ("Origin", "https://shop.example")), True),
    ((("Referer", "https://other.example/"),), True),
    ((("Referer", "https://shop.example:8080/"),), False),
]


@pytest.mark.parametrize(("headers", "is_same"), BARE)
def test_who_keeps_cookies_shows_them_where_a_browser_would(
    headers: tuple[tuple[str, str], ...], is_same: bool
) -> None:
    crowd = Crowd()
    crowd.arrive("a", "b")
    crowd.visit("a", gives=sets(ANN))
    crowd.visit("a", cookie(ANN))
    crowd.visit("b", *headers)
    assert (crowd.groups() == [[1, 2, 3]]) is is_same


def test_in_one_session_per_port_nothing_is_guessed() -> None:
    talk = Conversation()
    talk.connect("a")
    talk.connect("b")
    talk.ask("f1", "a", headers=((b"Cookie", f"sid={ANN}".encode()),))
    talk.ask("f2", "b", headers=((b"Cookie", f"sid={BOB}".encode()),))
    bound = [event.fields for event in talk.events if "rule" in event.fields]
    assert bound == [{"session": 1, "rule": "listener"}] * 2
