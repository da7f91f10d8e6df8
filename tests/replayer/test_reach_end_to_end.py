"""The command against targets that are hard to reach: what it sends, what it says, and that it ends in time."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.commands import run_rushhour
from tests.fakes_server import Serve, answering, read_head
from tests.faults.background import served
from tests.faults.network import full_accept_queue
from tests.faults.proxy import leading_to
from tests.faults.tls import Authority, make_authority, never_answer, server_context
from tests.faults.witness import Seen, Witness
from tests.replayer.nginx import needs_nginx, running_nginx
from tests.replayer.shop import ANSWERS, N_REQUESTS, write_visit

pytestmark = pytest.mark.process

SECRET = "hunter2-in-no-file"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


def shop(seen: Seen) -> bytes:
    """Answer as the recorded shop did."""
    media_type, body = ANSWERS[seen.line.split(b" ")[1].decode().partition("?")[0]]
    return b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s" % (
        media_type.encode(),
        len(body),
        body,
    )


def replayed(tmp_path: Path, url: str, *options: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Replay the visit as fast as it goes."""
    visit = tmp_path / "visit.rush"
    if not visit.exists():
        write_visit(visit)
    always = ("--pacing", "asap", "--workers", "1", "--allow-lag", "--out", str(tmp_path / "run"))
    done = run_rushhour("replay", str(visit), "--target", url, *always, *options, cwd=tmp_path, env=env)
    assert "Traceback" not in done.stderr
    return done


def summary_of(tmp_path: Path) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))
    return summary


def test_staging_behind_tls_and_a_password_is_reached_and_no_secret_is_left(
    tmp_path: Path, authority: Authority
) -> None:
    witness = Witness(shop)
    with served(witness.serve, tls=server_context(authority)) as port:
        done = replayed(
            tmp_path,
            f"https://localhost:{port}",
            *("--users", "5", "--ca", authority.ca_file, "--basic-auth", "env:LOGIN", "--header", "X-Key=env:KEY"),
            *("--wait", "20s:/api/quotes"),
            LOGIN=f"ada:{SECRET}",
            KEY=SECRET,
        )
    assert done.returncode == 0, done.stderr
    requests = [dict(seen.headers) for seen in witness.requests]
    assert len(requests) == 5 * N_REQUESTS + 1  # and one look at its health
    assert all(headers[b"x-key"] == SECRET.encode() for headers in requests)
    assert all(headers[b"authorization"].startswith(b"Basic ") for headers in requests)
    summary = summary_of(tmp_path)
    counts = summary["counts"]
    assert counts["tls_full"] >= 5 and counts["tls_full"] + counts.get("tls_resumed", 0) == counts["connects"]
    assert any("TLS handshakes" in note for note in summary["notes"])
    left = [path for path in (tmp_path / "run").iterdir() if SECRET.encode() in path.read_bytes()]
    assert not left and SECRET not in done.stdout + done.stderr and "YWRhOm" not in json.dumps(summary)


def test_a_certificate_that_is_not_trusted_stops_before_a_request_and_says_how_to_go_on(
    tmp_path: Path, authority: Authority
) -> None:
    witness = Witness(shop)
    with served(witness.serve, tls=server_context(authority)) as port:
        done = replayed(tmp_path, f"https://localhost:{port}")
        assert done.returncode == 3 and "--ca FILE, or --insecure" in done.stderr and not witness.requests
        assert replayed(tmp_path, f"https://localhost:{port}", "--insecure", "--tls-resume", "off").returncode == 0
    notes = " ".join(summary_of(tmp_path)["notes"])
    assert "certificates were not verified" in notes and "every TLS handshake was a full one" in notes


def test_a_proxy_that_was_asked_for_carries_the_run_and_is_named(tmp_path: Path) -> None:
    witness, heads = Witness(shop), list[bytes]()
    with served(witness.serve) as port, served(leading_to(port, heads)) as proxy:
        url = f"http://localhost:{port}"
        done = replayed(tmp_path, url, "--proxy", "env:MINE", MINE=f"http://ada:{SECRET}@127.0.0.1:{proxy}")
    assert done.returncode == 0, done.stderr
    assert len(witness.requests) == N_REQUESTS
    assert all(head.split(b" ")[1].startswith(url.encode() + b"/") for head in heads)
    assert any("through the proxy 127.0.0.1" in note for note in summary_of(tmp_path)["notes"])
    assert SECRET not in done.stdout + done.stderr + json.dumps(summary_of(tmp_path))


async def _drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the page; of everything else send a byte now and then, or nothing."""
    while True:
        head = await read_head(reader)
        if head.startswith(b"GET / "):
            writer.write(shop(Seen(line=b"GET / HTTP/1.1", headers=(), body=b"")))
        elif head.startswith(b"POST "):
            await reader.read()
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.02)


def test_a_target_that_drips_or_holds_ends_the_run_by_its_deadlines(tmp_path: Path) -> None:
    with served(_drip) as port:
        done = replayed(tmp_path, f"http://127.0.0.1:{port}", "--request-timeout", "200ms", "--users", "3")
    summary = summary_of(tmp_path)
    assert done.returncode == 1 and summary["verdict"] == "fail"
    assert summary["totals"]["errors"] == {"timeout_request": 9} and summary["totals"]["ok"] == 3
    assert summary["users"]["failed"] == 3 and summary["duration_s"] < 20


def test_failures_in_a_row_end_a_user_visibly(tmp_path: Path) -> None:
    with served(answering(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", close=True)) as port:
        done = replayed(tmp_path, f"http://127.0.0.1:{port}", "--max-failures", "2")
    summary = summary_of(tmp_path)
    assert done.returncode == 1 and summary["users"]["failed"] == 1
    assert summary["totals"]["errors"] == {"status_500": 2} and sum(summary["totals"]["not_sent"].values()) == 2


@pytest.mark.parametrize("serve", [None, never_answer])
def test_a_target_that_accepts_nobody_or_says_nothing_is_unreachable_in_time(
    tmp_path: Path, serve: Serve | None
) -> None:
    if serve is None:
        with full_accept_queue() as port:
            done = replayed(tmp_path, f"http://127.0.0.1:{port}", "--connect-timeout", "200ms")
        assert done.returncode == 3 and "timed out" in done.stderr
        return
    with served(serve) as port:
        done = replayed(tmp_path, f"https://localhost:{port}", "--connect-timeout", "200ms")
    assert done.returncode == 3 and "did not answer the TLS hello" in done.stderr


_LOCATIONS = "".join(
    f"location = {path} {{ default_type {media_type}; return 200 '{body.decode()}'; }}\n"
    for path, (media_type, body) in ANSWERS.items()
)


@needs_nginx
def test_both_wires_ask_an_http2_server_the_same(tmp_path: Path) -> None:
    logs: list[list[str]] = []
    for wire in ("fast", "reference"):
        (root := tmp_path / wire).mkdir()
        with running_nginx(root, locations=_LOCATIONS) as nginx:
            write_visit(root / "visit.rush", http_version="HTTP/2.0")
            # Subtle: the reference wire is right, but slow; by its own words its latencies are not comparable.
            options = ("--wire", wire, "--users", "2", "--threshold", "http p95 < 5s")
            done = replayed(root, nginx.url, "--ca", nginx.ca_file, *options)
            assert done.returncode == 0, done.stderr
            logs.append(sorted(nginx.log()))
    assert logs[0] == logs[1] and len(logs[0]) == 2 * N_REQUESTS
    assert all(line.startswith("HTTP/2.0 ") for line in logs[0])
