"""Every fault of the fault server on both wires: each ends, in time, in its own class."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl

import pytest

from replayer import failures
from replayer.reach import Reach, TlsSettings
from replayer.targets import TargetSpec
from replayer.wire.causes import classify
from replayer.wire.kinds import WireKind
from tests.fakes_server import Serve, answering, closed_port, serving
from tests.faults.http import FAULTS, Fault
from tests.faults.network import full_accept_queue, no_descriptors_left
from tests.faults.tls import (
    Authority,
    hang_up,
    make_authority,
    never_answer,
    refuse_version,
    reset_hello,
    server_context,
    speak_plain,
)
from tests.replayer.asking import AskingWire, Outcome, run, target_at

SHORT_S = 0.15
BOTH = pytest.mark.parametrize("kind", list(WireKind), ids=lambda kind: kind.value)


def asked(
    kind: WireKind,
    target: TargetSpec,
    *,
    reach: Reach | None = None,
    connect_s: float = 20.0,
    request_s: float = 20.0,
) -> Outcome:
    async def main() -> Outcome:
        async with AskingWire(kind, reach) as wire:
            return await wire.asker(target).asked(connect_s=connect_s, request_s=request_s)

    outcome = run(main)
    assert isinstance(outcome, Outcome)
    return outcome


def asked_of(kind: WireKind, serve: Serve, *, request_s: float = 20.0) -> Outcome:
    async def main() -> Outcome:
        async with serving(serve) as port, AskingWire(kind) as wire:
            return await wire.asker(target_at(port)).asked(request_s=request_s)

    outcome = run(main)
    assert isinstance(outcome, Outcome)
    return outcome


@BOTH
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_every_fault_of_an_answer_ends_in_its_class(kind: WireKind, fault: Fault) -> None:
    outcome = asked_of(kind, fault.serve, request_s=SHORT_S if fault.is_timed else 20.0)
    assert outcome.failure == fault.failure
    assert failures.is_known(outcome.failure)


@BOTH
def test_a_closed_port_is_a_refused_connection(kind: WireKind) -> None:
    assert asked(kind, target_at(closed_port())).failure == failures.CONNECT_REFUSED


@BOTH
def test_a_full_accept_queue_ends_by_the_connect_deadline(kind: WireKind) -> None:
    with full_accept_queue() as port:
        assert asked(kind, target_at(port), connect_s=SHORT_S).failure == failures.CONNECT_TIMEOUT


@BOTH
def test_the_second_address_is_tried_where_the_first_refuses(kind: WireKind) -> None:
    async def main() -> Outcome:
        server = answering(b"HTTP/1.1 204 No Content\r\n\r\n")
        async with serving(server) as port, AskingWire(kind) as wire:
            target = TargetSpec(scheme="http", host="localhost", port=port, addresses=("127.0.0.3", "127.0.0.1"))
            return await wire.asker(target).asked()

    outcome = run(main)
    assert isinstance(outcome, Outcome) and outcome.status == 204


@BOTH
def test_without_descriptors_the_failure_is_ours(kind: WireKind) -> None:
    async def main() -> Outcome:
        async with serving(answering()) as port, AskingWire(kind) as wire:
            asker = wire.asker(target_at(port))
            with no_descriptors_left():
                return await asker.asked()

    outcome = run(main)
    assert isinstance(outcome, Outcome) and outcome.failure == failures.LOCAL_RESOURCE


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@BOTH
@pytest.mark.parametrize(
    ("serve", "failure"),
    [
        (speak_plain, failures.TLS_PROTOCOL),
        (refuse_version, failures.TLS_PROTOCOL),
        (hang_up, failures.EOF),
        (reset_hello, failures.RESET),
        (never_answer, failures.TIMEOUT_TLS),
    ],
)
def test_every_fault_of_a_handshake_ends_in_its_class(kind: WireKind, serve: Serve, failure: str) -> None:
    async def main() -> Outcome:
        async with serving(serve) as port, AskingWire(kind) as wire:
            target = target_at(port, scheme="https")
            return await wire.asker(target).asked(connect_s=SHORT_S if failure == failures.TIMEOUT_TLS else 20)

    outcome = run(main)
    assert isinstance(outcome, Outcome) and outcome.failure == failure


@BOTH
@pytest.mark.parametrize(
    ("flaw", "trusts", "failure"),
    [
        ({"host": "other.example"}, True, failures.TLS_WRONG_HOST),
        ({"expired": True}, True, failures.TLS_EXPIRED),
        ({}, False, failures.TLS_UNKNOWN_CA),
        ({"for_clients": True}, True, failures.TLS_CERTIFICATE),
        ({}, True, ""),
    ],
)
def test_every_flaw_of_a_certificate_ends_in_its_class(
    kind: WireKind, authority: Authority, flaw: dict[str, object], trusts: bool, failure: str
) -> None:
    context: ssl.SSLContext = server_context(authority, **flaw)  # type: ignore[arg-type]
    reach = Reach(tls=TlsSettings(ca_file=authority.ca_file if trusts else None))

    async def main() -> Outcome:
        server = answering(b"HTTP/1.1 204 No Content\r\n\r\n")
        async with serving(server, tls=context) as port, AskingWire(kind, reach) as wire:
            return await wire.asker(target_at(port, scheme="https")).asked()

    outcome = run(main)
    assert isinstance(outcome, Outcome) and outcome.failure == failure


def test_a_name_that_is_none_is_a_failure_of_its_resolution() -> None:
    with pytest.raises(OSError) as caught:
        socket.getaddrinfo("no.address", 80, flags=socket.AI_NUMERICHOST)  # Refused by the resolver, asking nobody.
    assert classify(caught.value) == failures.DNS


@pytest.mark.parametrize(
    ("number", "failure"),
    [
        (errno.EADDRNOTAVAIL, failures.LOCAL_RESOURCE),
        (errno.EADDRINUSE, failures.LOCAL_RESOURCE),
        (errno.EMFILE, failures.LOCAL_RESOURCE),
        (errno.ENETUNREACH, failures.CONNECT_UNREACHABLE),
        (errno.EHOSTUNREACH, failures.CONNECT_UNREACHABLE),
        (errno.ETIMEDOUT, failures.CONNECT_TIMEOUT),
        (errno.EPIPE, failures.RESET),
    ],
)
def test_errors_of_the_kernel_have_their_class(number: int, failure: str) -> None:
    assert classify(OSError(number, os.strerror(number))) == failure


def test_the_taxonomy_is_closed() -> None:
    assert all(failures.is_known(name) for name in (*failures.FIXED, "status_503", "ws_close_1006"))
    assert not any(failures.is_known(name) for name in ("unknown", "", "status_", "status_x", "503"))


def test_a_wire_that_is_left_gives_up_what_is_under_way() -> None:
    async def main() -> tuple[int, int]:
        with full_accept_queue() as port:
            async with AskingWire() as wire:
                asker = wire.asker(target_at(port))
                wire.wire.dial(asker, asker.target, lambda failure: asker.told.put_nowait(("failed", failure)))
                await asyncio.sleep(0)
            return asker.told.qsize(), wire.connections.n

    assert run(main) == (0, 0)
