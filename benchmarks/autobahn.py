"""Run every case of an Autobahn fuzzing server against our WebSocket and print what it says.

The server is not ours and needs Python 2.7: ``wstest -m fuzzingserver`` (autobahntestsuite 0.8.2), or the image
``crossbario/autobahn-testsuite``. It judges; we echo: ``python -m benchmarks.autobahn 127.0.0.1:9001``.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from typing import Any

import uvloop

from replayer.wire.tally import Tally
from replayer.wire.websocket import WebSocketConnection

_AGENT = "rushhour"
_CASE_S = 120.0


class _Echo:
    """Answers every message with itself; keeps the last."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, echoes: bool) -> None:
        self.ended: asyncio.Future[str] = loop.create_future()
        self.last = b""
        self._echoes = echoes

    def socket_opened(self, connection: WebSocketConnection, end_ns: int) -> None:
        """Wait for messages."""

    def socket_refused(self, connection: WebSocketConnection, failure: str, status: int, end_ns: int) -> None:
        self.ended.set_result(failure)

    def message_received(self, connection: WebSocketConnection, data: bytes, end_ns: int, *, is_text: bool) -> None:
        self.last = data
        if self._echoes:
            connection.send(data, is_text=is_text)

    def socket_closed(self, connection: WebSocketConnection, code: int, end_ns: int) -> None:
        self.ended.set_result("")


async def _play(host: str, port: int, target: str, *, echoes: bool) -> bytes:
    loop = asyncio.get_running_loop()
    owner = _Echo(loop, echoes=echoes)
    connection = WebSocketConnection(
        owner,
        host=host,
        port=port,
        is_secure=False,
        target=target.encode(),
        headers=[],
        subprotocols=(),
        offers_deflate=True,
        tally=Tally(),
    )
    await loop.create_connection(lambda: connection, host, port)
    failure = await asyncio.wait_for(owner.ended, _CASE_S)
    if failure:
        raise SystemExit(f"{target}: {failure}")
    return owner.last


async def _run(host: str, port: int) -> int:
    n_cases = int(await _play(host, port, "/getCaseCount", echoes=False))
    behaviours: dict[str, Counter[str]] = {}
    failed = []
    for number in range(1, n_cases + 1):
        info = json.loads(await _play(host, port, f"/getCaseInfo?case={number}", echoes=False))
        await _play(host, port, f"/runCase?case={number}&agent={_AGENT}", echoes=True)
        verdict: dict[str, Any] = json.loads(
            await _play(host, port, f"/getCaseStatus?case={number}&agent={_AGENT}", echoes=False)
        )
        group = info["id"].partition(".")[0]
        behaviours.setdefault(group, Counter())[verdict["behavior"]] += 1
        if verdict["behavior"] not in ("OK", "INFORMATIONAL", "NON-STRICT", "UNIMPLEMENTED"):
            failed.append(f"{info['id']} {verdict['behavior']}: {info['description'].strip()[:100]}")
    await _play(host, port, f"/updateReports?agent={_AGENT}", echoes=False)
    for group in sorted(behaviours, key=int):
        print(group, dict(behaviours[group]))  # noqa: T201
    print("all", dict(sum(behaviours.values(), Counter())))  # noqa: T201
    print(*failed, sep="\n")  # noqa: T201
    return len(failed)


def main() -> None:
    """Read HOST:PORT from the command line; end with 1 where a case failed."""
    host, _, port = sys.argv[1].partition(":")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(min(1, runner.run(_run(host, int(port)))))


if __name__ == "__main__":
    main()
