"""Not one packet off the list: every way we know of to lead a run astray, and where it ended.

The forbidden server is a sink on 127.0.0.2: whatever reaches it is counted. Nothing in here leaves this machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from captures.errors import ConfigError, TargetRefused
from captures.records import Origin
from replayer.safety import AllowList, Gate, is_loopback, is_special, parse_target, resolve_by_system
from replayer.targets import TargetSpec
from replayer.wire.kinds import WireKind
from tests.fakes_server import read_head, serving
from tests.replayer.asking import AskingWire, Outcome, run, target_at
from tests.replayer.listening import Listener

BOTH = pytest.mark.parametrize("kind", list(WireKind), ids=lambda kind: kind.value)
FORBIDDEN = "127.0.0.2"
LISTED = Origin("http", "staging.example", 80)


class Sink:
    """Counts what connects to the forbidden address."""

    def __init__(self) -> None:
        self.n_connects = 0
        self.port = 0
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Sink:
        self._server = await asyncio.start_server(self._accept, FORBIDDEN, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_exc: object) -> None:
        assert self._server is not None
        self._server.close()

    async def _accept(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.n_connects += 1
        writer.close()


@BOTH
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["http://{}/", "//{}/", "http://127.0.0.1@{}/", "https://{}/"])
def test_a_redirect_is_an_answer_and_is_followed_nowhere(kind: WireKind, status: int, location: str) -> None:
    async def main() -> tuple[Outcome, int]:
        async with Sink() as sink:
            where = location.format(f"{FORBIDDEN}:{sink.port}").encode()

            async def lead_astray(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await read_head(reader)
                writer.write(b"HTTP/1.1 %d Moved\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % (status, where))
                await writer.drain()
                await reader.read()

            async with serving(lead_astray) as port, AskingWire(kind) as wire:
                return await wire.asker(target_at(port)).asked(), sink.n_connects

    outcome, n_connects = run(main)
    assert (outcome.status, n_connects) == (status, 0)


@BOTH
@pytest.mark.parametrize("location", ["ws://{}/", "//{}/", "/elsewhere"])
def test_a_websocket_follows_no_redirect_either(kind: WireKind, location: str) -> None:
    n_requests: list[bytes] = []

    async def main() -> tuple[Any, int]:
        async with Sink() as sink:
            where = location.format(f"{FORBIDDEN}:{sink.port}").encode()

            async def lead_astray(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                n_requests.append(await read_head(reader))
                writer.write(b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % where)
                await writer.drain()
                await reader.read()

            async with serving(lead_astray) as port, AskingWire(kind) as wire:
                listener = Listener()
                listener.user_number = 0  # type: ignore[attr-defined]
                wire.wire.open_socket(listener, target_at(port), b"/ws", [], (), offers_deflate=False)
                return await listener.next(), sink.n_connects

    told, n_connects = run(main)
    assert told == ("refused", "status_302", 302) and n_connects == 0 and len(n_requests) == 1


@BOTH
@pytest.mark.parametrize(
    "path",
    [
        "//{}/x",  # a host by the rules of relative URLs
        "http://{}/x",  # absolute-form, as to a proxy
        "/../../{}",
        "/\\{}/x",
        "@{}/x",
    ],
)
def test_whatever_the_recorded_path_says_the_request_goes_to_the_target_as_it_is(kind: WireKind, path: str) -> None:
    seen: list[bytes] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await read_head(reader))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()
        await reader.read()

    async def main() -> tuple[Outcome, int, bytes]:
        async with Sink() as sink, serving(take) as port, AskingWire(kind) as wire:
            target = path.format(f"{FORBIDDEN}:{sink.port}").encode()
            outcome = await wire.asker(target_at(port)).asked(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % target)
            return outcome, sink.n_connects, target

    outcome, n_connects, target = run(main)
    assert outcome.status == 204 and n_connects == 0
    assert seen[0].startswith(b"GET " + target + b" HTTP/1.1\r\n")


@BOTH
def test_a_host_header_leads_nowhere(kind: WireKind) -> None:
    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()
        await reader.read()

    async def main() -> tuple[Outcome, int]:
        async with Sink() as sink, serving(take) as port, AskingWire(kind) as wire:
            request = b"GET / HTTP/1.1\r\nHost: %s:%d\r\n\r\n" % (FORBIDDEN.encode(), sink.port)
            return await wire.asker(target_at(port)).asked(request), sink.n_connects

    outcome, n_connects = run(main)
    assert (outcome.status, n_connects) == (204, 0)


@BOTH
def test_a_name_that_changes_its_mind_leads_nowhere(kind: WireKind) -> None:
    """DNS rebinding: the first answer was checked, and there is no second question."""
    asked: list[str] = []

    def rebinding(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else [FORBIDDEN]

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()

    async def main() -> int:
        async with Sink() as sink, serving(take) as port, AskingWire(kind) as wire:
            spec = Gate(resolve=rebinding).admit(Origin("http", "staging.example", port))
            for _ in range(3):
                assert (await wire.asker(spec).asked()).status == 204
            return sink.n_connects

    assert run(main) == 0 and asked == ["staging.example"]


def test_one_forbidden_address_among_good_ones_refuses_the_host() -> None:
    for addresses in (["127.0.0.1", "10.1.2.3"], ["::1", "2001:db8::1"], ["127.0.0.1", "::ffff:10.1.2.3"]):
        with pytest.raises(TargetRefused):
            Gate(resolve=lambda host, port, found=addresses: found).admit(LISTED)  # type: ignore[misc]


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1@staging.example",
        "http://127.0.0.1:80@staging.example",
        "http://127.0.0.1\\@staging.example",
        "http://staging.example#@127.0.0.1",
        "http://staging.example?@127.0.0.1",
        "http://127.0.0.1%2f@staging.example",
        "http://127.0.0.1\t.staging.example",
        "//staging.example",
        "http:staging.example",
        "http:///staging.example",
        "file://staging.example/etc",
        "http://[::1%25eth0]",
        "http://１２７。０。０。１@x",
    ],
)
def test_targets_that_read_in_two_ways_are_refused_as_text(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_target(text)


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "169.254.43518",  # two and three parts of an IPv4 address
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "2852039166",
        "::ffff:169.254.169.254",
        "::ffff:a9fe:a9fe",
        "fe80::a9fe:a9fe",
    ],
)
def test_every_spelling_of_the_metadata_service_is_refused(host: str) -> None:
    """Even where the host as written is on the allow-list: numbers are read by the system, asking nobody."""
    target = Origin("http", host, 80)
    with pytest.raises(TargetRefused):
        Gate().admit(target)
    listed = AllowList(typed=frozenset({host}))
    addresses = resolve_by_system(host, 80)
    if host not in addresses:
        with pytest.raises(TargetRefused, match="address of no server"):
            Gate(allow=listed).admit(target)


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",  # AWS, Google, Azure, OpenStack
        "169.254.170.2",  # AWS, containers
        "fd00:ec2::254",  # AWS over IPv6
        "100.100.100.200",  # Alibaba Cloud
        "168.63.129.16",  # Azure
        "192.0.0.192",  # Oracle Cloud
        "::ffff:169.254.169.254",  # IPv4-mapped
        "64:ff9b::a9fe:a9fe",  # NAT64
        "2002:a9fe:a9fe::1",  # 6to4
        "::169.254.169.254",  # IPv4-compatible
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "ff02::1",
        "255.255.255.255",
    ],
)
def test_addresses_of_no_server_are_known_in_every_dress(address: str) -> None:
    assert is_special(address)
    gate = Gate(allow=AllowList(typed=frozenset({LISTED.host})), resolve=lambda host, port: [address])
    with pytest.raises(TargetRefused, match="address of no server"):
        gate.admit(LISTED)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "10.1.2.3", "192.0.2.7", "2001:db8::1", "64:ff9b::a01:203"])
def test_addresses_of_servers_are_no_special_ones(address: str) -> None:
    assert not is_special(address)


def test_a_target_without_addresses_is_not_taken_for_loopback() -> None:
    """Behind a proxy a name may have no address here: it must count as far away."""
    assert not is_loopback([TargetSpec(scheme="https", host="staging.example", port=443, addresses=(), via=0)])
