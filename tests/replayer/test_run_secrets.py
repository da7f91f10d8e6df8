"""Secrets of a run reach no output: what the target mints, identities, header values, in every coding."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import msgpack
import pytest

from analysis.runfile import FrameReader
from tests.captures.planted import CLASSES, bodies, codings
from tests.commands import run_rushhour
from tests.fakes_captures import Tape
from tests.ground import Asked, Peer, Told, replayed, serving, write_capture

pytestmark = pytest.mark.process

RECORDED = {name: secrets.token_hex(16) for name in ("access_token", "csrf", "sid", "ticket", "key")}


class Minting:
    """A target that mints secrets, fails in every way it can, and repeats its secrets while it does.

    Attributes:
        minted: everything it made up that is secret.
    """

    def __init__(self) -> None:
        self.minted: set[str] = set()
        self._bodies: list[tuple[str, bytes]] = []
        for key, make, _ in CLASSES.values():
            value = self._new(make())
            self._bodies += bodies(key, value).values()
        self._n = 0

    def _new(self, value: str = "") -> str:
        value = value or secrets.token_hex(16)
        self.minted.add(value)
        return value

    def __call__(self, asked: Asked) -> Told:
        if asked.path == "/api/login":
            answer = {name: self._new() for name in ("access_token", "csrf", "ticket")}
            cookie = f"sid={self._new()}; Path=/"
            headers = (("Set-Cookie", cookie), ("X-Api-Key", self._new()))
            return Told(body=json.dumps({**answer, "item": "item-4711"}).encode(), headers=headers)
        self._n += 1
        content_type, body = self._bodies[self._n % len(self._bodies)]
        told = Told(body=body, content_type=content_type, status=(200, 500, 302, 403, 429)[self._n % 5])
        told.headers = (
            ("Retry-After", self._new()),
            ("Location", f"/next?token={self._new()}"),
            ("X-Session", self._new()),
            ("WWW-Authenticate", f'Bearer error="{self._new()}"'),
        )
        if self._n % 7 == 0:
            told.content_type = f"text/{self._new()}; charset={self._new()}"
        return told

    async def serve_socket(self, peer: Peer, _asked: Asked) -> None:
        await peer.receive()
        peer.send({"type": "error", "token": self._new()})
        peer.send(self._new().encode())
        peer.close(4001, self._new())


def visit(path: Path) -> Path:
    tape = Tape()
    answer = {name: RECORDED[name] for name in ("access_token", "csrf", "ticket")} | {"item": "item-4711"}
    headers = [("Set-Cookie", f"sid={RECORDED['sid']}; Path=/"), ("X-Api-Key", RECORDED["key"])]
    typed = {"user": "{{input.user}}", "password": "{{input.password}}"}
    tape.post("/api/login", send_json=typed, answer_json=answer, headers=headers)
    sent = [("Authorization", f"Bearer {RECORDED['access_token']}"), ("Cookie", f"sid={RECORDED['sid']}")]
    for number in range(30):
        tape.get(f"/api/part{number}?csrf={RECORDED['csrf']}", sent=sent, answer_json={"rows": [number]})
    body = {"csrf": RECORDED["csrf"], "item": "item-4711"}
    tape.post("/api/orders", sent=[*sent, ("X-Api-Key", RECORDED["key"])], send_json=body, answer_json={"ok": True})
    messages = [(20, ">", {"type": "hello", "id": 1}), (30, "<", {"type": "ack", "id": 1})]
    tape.socket(f"/ws?ticket={RECORDED['ticket']}", [*messages], close_ms=60)
    return write_capture(path, tape)


def outputs_of(directory: Path, printed: dict[str, str]) -> Iterator[tuple[str, bytes]]:
    for path in directory.rglob("*"):
        if path.name == "run.rush":
            frames = [body for _, body in FrameReader(path).frames()]
            yield "run.rush", msgpack.packb(frames) + repr(frames).encode()
        elif path.is_file():
            yield path.name, path.read_bytes()
    for name, text in printed.items():
        yield name, text.encode()


def test_no_secret_of_a_run_reaches_an_output(tmp_path: Path) -> None:
    target, user, password = Minting(), f"ann-{secrets.token_hex(4)}", f"pw-{secrets.token_hex(6)}"
    header = f"hv-{secrets.token_hex(12)}"
    environment = {"RUSHHOUR_USER": user, "RUSHHOUR_PASSWORD": password, "GATE_KEY": header}
    with serving(target, target.serve_socket) as ground:
        _, summary, told = replayed(
            visit(tmp_path / "visit.rush"),
            ground.url,
            *("--users", "2", "--speed", "5", "--max-failures", "100", "--allow-lag", "--log-level", "debug"),
            *("--header", "X-Gate=env:GATE_KEY", "--format", "junit", "--format", "markdown", "--format", "csv"),
            env=environment,
        )
        sent = {value for asked in ground.asked for value in (*asked.headers.values(), asked.body.decode())}
    assert any(password in text for text in sent) and header in sent, "they were really sent"
    assert any(token in text for token in target.minted for text in sent), "and so were tokens of the target"
    run = str(tmp_path / "run")
    printed = {"replay": told}
    for command in (("errors", run), ("errors", run, "--json"), ("report", run), ("report", run, "--json")):
        done = run_rushhour(*command, "--log-level", "debug", cwd=tmp_path)
        printed[" ".join((command[0], *command[2:]))] = done.stdout + done.stderr
    assert len(summary["failures"]) > 5, "there is evidence to search"
    assert any(example["slots"] for group in summary["failures"] for example in group["examples"])
    needles = {coded for value in {*target.minted, user, password, header} for coded in codings(value)}
    found = {
        name: [needle for needle in needles if needle in text] for name, text in outputs_of(tmp_path / "run", printed)
    }
    written = {"run.rush", "summary.json", "report.html", "junit.xml", "summary.md", "series.csv"}
    assert set(found) >= written | printed.keys()
    assert not any(found.values()), found
