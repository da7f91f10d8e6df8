"""Local addresses: a dialer that has run out of ports goes on from the next address of this machine."""

from __future__ import annotations

import asyncio
import errno
import sys

import pytest

from replayer import failures
from replayer.reach import Reach
from replayer.targets import TargetSpec
from replayer.wire.connect import Dialer, StrayConnection
from replayer.wire.sources import N_LOOPBACK_SOURCES, Sources
from tests.fakes_server import serving
from tests.replayer.asking import AskingWire, run, target_at

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only on Linux is all of 127.0.0.0/8 this machine's")

_NOT_OURS = "192.0.2.1"
"""Documentation address (RFC 5737): no machine's, so bind(2) says EADDRNOTAVAIL, as where ports have run out."""
_RAN_OUT = OSError(errno.EADDRNOTAVAIL, "no port left")


async def tell_peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    peer = writer.get_extra_info("peername")[0].encode()
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(peer) + peer)
    await writer.drain()
    await reader.read()


def seen_from(*sources: str) -> list[tuple[bytes, str]]:
    """Return what a server saw, or how it failed, for two connections in turn."""

    async def main() -> list[tuple[bytes, str]]:
        async with serving(tell_peer) as port, AskingWire(reach=Reach(sources=sources)) as wire:
            outcomes = [await wire.asker(target_at(port)).asked() for _ in range(2)]
        return [(outcome.body, outcome.failure) for outcome in outcomes]

    seen = run(main)
    assert isinstance(seen, list)
    return seen


def test_a_source_that_has_no_port_left_gives_way_to_the_next() -> None:
    assert seen_from(_NOT_OURS, "127.0.0.9") == [(b"127.0.0.9", "")] * 2


def test_when_the_last_source_has_no_port_left_the_failure_is_ours() -> None:
    assert seen_from(_NOT_OURS) == [(b"", failures.LOCAL_RESOURCE)] * 2


def test_the_system_chooses_until_ports_run_out_and_then_loopback_goes_on() -> None:
    sources = Sources()
    assert sources.source_for("127.0.0.1") is None
    assert sources.has_more_after(None, "127.0.0.1", _RAN_OUT)
    assert sources.source_for("127.0.0.1") == "127.0.0.2"
    assert sources.source_for("192.0.2.7") is None  # No other target is connected to from loopback.
    assert sources.has_more_after(None, "127.0.0.1", _RAN_OUT)  # Who failed before it moved on tries again.
    assert sources.source_for("127.0.0.1") == "127.0.0.2"
    for _ in range(N_LOOPBACK_SOURCES - 1):
        assert sources.has_more_after(sources.source_for("127.0.0.1"), "127.0.0.1", _RAN_OUT)
    assert not sources.has_more_after(sources.source_for("127.0.0.1"), "127.0.0.1", _RAN_OUT)


@pytest.mark.parametrize(("address", "number"), [("127.0.0.1", errno.ECONNREFUSED), ("192.0.2.7", errno.EADDRNOTAVAIL)])
def test_other_failures_and_other_targets_change_no_source(address: str, number: int) -> None:
    sources = Sources()
    assert not sources.has_more_after(None, address, OSError(number, ""))
    assert sources.source_for("127.0.0.1") is None


def test_a_connection_that_stands_elsewhere_than_checked_is_an_error_of_ours() -> None:
    """0.0.0.0 connects to 127.0.0.1: what was checked is not what is used, and not a byte is sent."""
    received: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        received.append(await reader.read())

    async def main() -> None:
        async with serving(listen) as port:
            errors: list[BaseException] = []
            dialer = Dialer(asyncio.get_running_loop(), Reach(), errors.append)
            told: list[str] = []
            spec = TargetSpec(scheme="http", host="x", port=port, addresses=("0.0.0.0",))
            attempt = dialer.dial(asyncio.Protocol(), spec, told.append)
            await asyncio.wait({attempt.task})
            await asyncio.sleep(0)
            assert [type(exc) for exc in errors] == [StrayConnection] and told == [] and not attempt.is_open
            await dialer.aclose()

    run(main)
    assert received in ([], [b""])
