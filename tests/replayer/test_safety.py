"""Where a run may go."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence

import pytest

from captures.errors import ConfigError, TargetRefused, TargetUnreachable
from captures.records import Origin
from captures.units import NS_PER_MS, NS_PER_S
from replayer.safety import (
    AllowList,
    Gate,
    check_writes,
    is_loopback,
    parse_host,
    parse_map,
    parse_resolve,
    parse_target,
    probe,
    resolve_by_system,
)
from replayer.targets import TargetSpec

STAGING = frozenset({"staging.example"})


def gate(addresses: Sequence[str] = ("10.1.2.3",), **lists: frozenset[str]) -> Gate:
    return Gate(allow=AllowList(**lists), resolve=lambda host, port: addresses)


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("http://127.0.0.1:8000", Origin("http", "127.0.0.1", 8000)),
        ("http://127.0.0.1:8000/", Origin("http", "127.0.0.1", 8000)),
        ("HTTPS://Staging.Example", Origin("https", "staging.example", 443)),
        ("http://staging.example.", Origin("http", "staging.example", 80)),  # the root dot is not another host
        ("http://[::1]:9", Origin("http", "::1", 9)),
        ("http://bücher.example", Origin("http", "xn--bcher-kva.example", 80)),
    ],
)
def test_a_target_is_scheme_host_and_port(text: str, origin: Origin) -> None:
    assert parse_target(text) == origin


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("localhost:8000", "not an http or https URL"),
        ("127.0.0.1:8000", "not an http or https URL"),
        ("ftp://127.0.0.1", "not an http or https URL"),
        ("", "not an http or https URL"),
        ("http://", "not an http or https URL"),
        ("http://127.0.0.1:8000/api", "has a path"),
        ("http://127.0.0.1:8000?x=1", "has a path"),
        ("http://127.0.0.1:8000#top", "has a path"),
        ("http://ada:secret@127.0.0.1", "user"),
        ("http://staging\\@prod.example/", "backslash"),
        ("http://127.0.0.1:99999", "not a URL"),
        ("http://127.0.0.1:0", "port 0"),
        ("http://a b", "not a host"),
        ("http://a%2eb", "not a host"),
        ("http://:80", "not a host"),
    ],
)
def test_anything_else_in_a_target_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        parse_target(text)


def test_no_error_repeats_a_password() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_target("http://ada:hunter2@127.0.0.1")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "0x7f000001", "2130706433", "::1", "::ffff:127.0.0.1", "localhost"]
)
def test_every_spelling_of_loopback_is_allowed(host: str) -> None:
    admitted = Gate().admit(Origin("http", host, 80))
    assert is_loopback([admitted])


@pytest.mark.parametrize("addresses", [["10.1.2.3"], ["::ffff:10.1.2.3"], ["127.0.0.1", "10.1.2.3"], ["0.0.0.0"]])
def test_what_is_not_loopback_alone_needs_the_allow_list(addresses: list[str]) -> None:
    target = Origin("http", "staging.example", 80)
    with pytest.raises(TargetRefused, match="--allow-target staging.example"):
        gate(addresses).admit(target)


def test_the_allow_list_lets_a_host_pass_with_all_its_addresses() -> None:
    target = Origin("http", "staging.example", 80)
    for admitted in (gate(typed=STAGING).admit(target), gate(configured=STAGING).admit(target)):
        assert admitted == TargetSpec(scheme="http", host="staging.example", port=80, addresses=("10.1.2.3",))


def test_a_recorded_host_needs_the_command_line() -> None:
    target = Origin("https", "staging.example", 443)
    with pytest.raises(TargetRefused, match=r"recorded from staging\.example"):
        gate(configured=STAGING, recorded=STAGING).admit(target)
    assert gate(typed=STAGING, recorded=STAGING).admit(target).addresses == ("10.1.2.3",)
    assert gate(["127.0.0.1"], recorded=STAGING).admit(target).addresses == ("127.0.0.1",)


@pytest.mark.parametrize("address", ["169.254.169.254", "fe80::1", "224.0.0.1", "0.0.0.0", "255.255.255.255"])
def test_addresses_of_no_server_are_refused_even_for_a_listed_host(address: str) -> None:
    with pytest.raises(TargetRefused, match="address of no server"):
        gate([address], typed=STAGING).admit(Origin("http", "staging.example", 80))


def unknown_name(host: str, port: int) -> Sequence[str]:
    raise socket.gaierror(-3, "Temporary failure in name resolution")


def test_a_name_without_address_is_refused_unless_it_is_allowed() -> None:
    target = Origin("http", "staging.example", 80)
    with pytest.raises(TargetRefused):
        Gate(resolve=unknown_name).admit(target)
    with pytest.raises(TargetUnreachable, match="has no address"):
        Gate(allow=AllowList(typed=STAGING), resolve=unknown_name).admit(target)


def test_resolve_pins_a_host_and_the_address_is_checked_like_any_other() -> None:
    target = Origin("http", "staging.example", 80)
    assert Gate(pinned={"staging.example": "127.0.0.1"}, resolve=unknown_name).admit(target).addresses == ("127.0.0.1",)
    with pytest.raises(TargetRefused):
        Gate(pinned={"staging.example": "10.1.2.3"}, resolve=unknown_name).admit(target)


def test_the_system_names_each_address_once() -> None:
    addresses = resolve_by_system("localhost", 80)
    assert len(addresses) == len(set(addresses)) > 0


def test_options_that_name_hosts_are_read_strictly() -> None:
    assert parse_host("Staging.Example.") == "staging.example"
    assert parse_host("[::1]") == "::1"
    assert parse_resolve("Staging.Example=[::1]") == ("staging.example", "::1")
    assert parse_map("https://api.shop.example=http://127.0.0.1:9") == (
        Origin("https", "api.shop.example", 443),
        Origin("http", "127.0.0.1", 9),
    )
    for parse, text in (
        (parse_host, "http://staging.example"),
        (parse_host, "staging.example:80"),
        (parse_resolve, "staging.example=other.example"),
        (parse_resolve, "staging.example"),
        (parse_map, "https://api.shop.example"),
        (parse_map, "api=http://127.0.0.1"),
    ):
        with pytest.raises(ConfigError):
            parse(text)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        yield server


def target_at(port: int, *addresses: str) -> TargetSpec:
    return TargetSpec(scheme="http", host="localhost", port=port, addresses=addresses or ("127.0.0.1",))


def test_the_probe_connects_and_sends_nothing(listener: socket.socket) -> None:
    probe(target_at(listener.getsockname()[1]), timeout_ns=NS_PER_S)
    connection, _ = listener.accept()
    with connection:
        assert connection.recv(1) == b""


def test_the_probe_puts_the_address_that_accepts_first(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    assert probe(target_at(port, "127.0.0.2", "127.0.0.1"), timeout_ns=NS_PER_S).addresses == ("127.0.0.1", "127.0.0.2")


def test_a_closed_port_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(TargetUnreachable, match="refused"):
        probe(target_at(port), timeout_ns=NS_PER_S)


def test_waiting_tries_until_somebody_accepts(monkeypatch: pytest.MonkeyPatch, listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    connect, attempts = socket.create_connection, []

    def refuse_twice(address: tuple[str, int], timeout: float) -> socket.socket:
        attempts.append(address)
        if len(attempts) < 3:
            raise ConnectionRefusedError(111, "Connection refused")
        return connect(address, timeout)

    monkeypatch.setattr(socket, "create_connection", refuse_twice)
    probe(target_at(port), timeout_ns=NS_PER_S, wait_ns=30 * NS_PER_S)
    assert len(attempts) == 3
    attempts.clear()
    with pytest.raises(TargetUnreachable):
        probe(target_at(port), timeout_ns=NS_PER_S, wait_ns=50 * NS_PER_MS)
    assert len(attempts) == 1


def test_many_users_write_to_loopback_or_on_request_only() -> None:
    here, there = target_at(80), target_at(80, "10.1.2.3")
    routes = ["POST /api/orders"]
    check_writes([here], users=9, unsafe_routes=routes, allow_writes=False)
    check_writes([there], users=1, unsafe_routes=routes, allow_writes=False)
    check_writes([there], users=9, unsafe_routes=[], allow_writes=False)
    check_writes([there], users=9, unsafe_routes=routes, allow_writes=True)
    with pytest.raises(TargetRefused, match=r"POST /api/orders.*--allow-writes"):
        check_writes([here, there], users=9, unsafe_routes=routes, allow_writes=False)
