"""Which session an event belongs to, one case per rule of ``captures.bindings``."""

from __future__ import annotations

from captures.bindings import Bindings


def test_one_listener_and_no_binding_is_session_1() -> None:
    bindings = Bindings()
    bindings.open_connection(1, "127.0.0.1:9000")
    bindings.open_connection(2, "127.0.0.1:9000")
    assert [bindings.session_of(1, 5), bindings.session_of(2, 0), bindings.session_of(7, 0)] == [1, 1, 1]
    assert bindings.rule_of(1) == "single"


def test_nothing_at_all_is_session_1() -> None:
    assert Bindings().session_of(3, 4) == 1
    assert Bindings().rule_of(1) == "single"


def test_several_listeners_are_one_session_each_in_order_of_appearance() -> None:
    bindings = Bindings()
    for connection, listener in enumerate([9002, 9001, 9002], start=1):
        bindings.open_connection(connection, listener)
    assert [bindings.session_of(connection, 0) for connection in (1, 2, 3)] == [1, 2, 1]
    assert bindings.rule_of(2) == "listener"


def test_a_connection_that_was_bound_late_keeps_its_binding() -> None:
    bindings = Bindings()
    bindings.open_connection(1, "a")
    bindings.open_connection(2, "a")
    bindings.bind(2, 0, 7, "cookie")
    bindings.bind(2, 0, 8, "cookie")
    assert bindings.session_of(2, 99) == 8
    assert bindings.rule_of(8) == "cookie"


def test_an_unbound_connection_follows_the_lowest_session_of_its_listener() -> None:
    bindings = Bindings()
    for connection in (1, 2, 3):
        bindings.open_connection(connection, "a")
    bindings.bind(2, 0, 6, "cookie")
    bindings.bind(3, 0, 5, "cookie")
    assert bindings.session_of(1, 0) == 5


def test_an_exchange_may_be_bound_apart_from_its_connection() -> None:
    bindings = Bindings()
    bindings.open_connection(1, "a")
    bindings.bind(1, 0, 1, "cookie")
    bindings.bind(1, 4, 2, "cookie")
    assert [bindings.session_of(1, 3), bindings.session_of(1, 4), bindings.session_of(1, 5)] == [1, 2, 1]


def test_an_unbound_exchange_follows_the_bound_ones_of_its_connection() -> None:
    bindings = Bindings()
    bindings.open_connection(1, "a")
    bindings.open_connection(2, "a")
    bindings.bind(1, 4, 1, "cookie")
    bindings.bind(2, 5, 2, "cookie")
    assert bindings.session_of(2, 6) == 2


def test_a_listener_without_bindings_gets_a_session_of_its_own() -> None:
    bindings = Bindings()
    bindings.open_connection(1, "a")
    bindings.open_connection(2, "b")
    bindings.bind(1, 0, 1, "listener")
    assert bindings.session_of(2, 0) == 2
    assert bindings.rule_of(2) == "listener"


def test_bindings_made_again_from_their_history_are_equal() -> None:
    bindings = Bindings()
    for connection in (1, 2):
        bindings.open_connection(connection, "a")
    for connection, exchange, session in [(1, 0, 3), (2, 9, 4), (1, 0, 2), (2, 9, 1)]:
        bindings.bind(connection, exchange, session, f"rule {session}")
    again = Bindings()
    again.listeners.update(bindings.listeners)
    for bound in bindings.history():
        again.bind(*bound)
    assert again.rules == bindings.rules
    keys = [(connection, exchange) for connection in (1, 2, 3) for exchange in (0, 8, 9)]
    assert [again.session_of(*key) for key in keys] == [bindings.session_of(*key) for key in keys]
