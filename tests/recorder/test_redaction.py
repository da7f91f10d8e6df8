"""Recordings through a real mitmdump: no secret of the demo's login reaches the disk, and the plan stays the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from captures.errors import ConfigError
from captures.format.reader import open_capture
from captures.records import Exchange
from captures.redact.files import redact_file
from captures.redact.policy import Policy
from captures.redact.redactor import Redactor
from captures.redact.scan import scan
from captures.sessions import load_capture
from demo.scripted import USER, visit
from demo.server import running_target
from demo.target.accounts import PASSWORD
from demo.target.settings import Settings
from recorder.counts import Counts
from recorder.options import RecordOptions, RecordResult, Redaction
from recorder.record import record
from recorder.summary import inputs, told
from replayer.plan.compile import compile_plan
from replayer.plan.records import Plan, SlotKind
from tests.captures.planted import written
from tests.captures.test_redact_corpus import everything_in
from tests.recorder.reading import recorded
from tests.recorder.servers import Site

pytestmark = pytest.mark.process
SECONDS = 4.0


@dataclass(slots=True, kw_only=True)
class Heard:
    """A recording of the demo's login, and the secrets that passed, as the client saw them."""

    path: Path
    result: RecordResult
    secrets: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def clear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's visit, recorded without redaction."""
    path = tmp_path_factory.mktemp("clear") / "clear.rush"
    with running_target(Settings()) as target:
        options = RecordOptions(url=target.url, out=path, redaction=Redaction(is_on=False))
        record(options, drive=lambda proxy, _: visit(target.url, proxy=proxy, password=PASSWORD, seconds=SECONDS))
    return path


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Heard:
    """The demo's login and an order, recorded as by default."""
    path = tmp_path_factory.mktemp("redacted") / "market.rush"
    secrets = [PASSWORD, USER]

    def drive(proxy: str, _: Path) -> None:
        with httpx.Client(base_url=target.url, proxy=proxy, trust_env=False) as client:
            grant = client.post("/api/login", json={"user": USER, "password": PASSWORD}).json()
            secrets.extend(grant[name] for name in ("access_token", "refresh_token", "ws_ticket"))
            secrets.extend(client.cookies.values())
            client.headers["Authorization"] = f"Bearer {grant['access_token']}"
            client.get("/api/quotes")
            form = client.get("/orders/new").text
            csrf = form.partition('name="csrf" value="')[2].partition('"')[0]
            secrets.append(csrf)
            client.post("/api/orders", headers={"X-CSRF-Token": csrf}, json={"symbol": "BRK"})
            fresh = client.post("/api/refresh", data={"refresh_token": grant["refresh_token"]}).json()
            secrets.extend(fresh[name] for name in ("access_token", "refresh_token", "ws_ticket"))

    with running_target(Settings()) as target:
        result = record(RecordOptions(url=target.url, out=path), drive=drive)
    return Heard(path=path, result=result, secrets=secrets)


def test_no_secret_of_a_login_is_in_the_file(heard: Heard) -> None:
    data = everything_in(heard.path)
    assert len(heard.secrets) == 10
    assert not [secret for secret in heard.secrets for text in written(secret) if len(text) > 6 and text in data]
    with open_capture(heard.path) as reader:
        assert not scan(reader, Policy()).leftovers
        assert reader.complete


def test_what_was_typed_are_inputs_and_their_names_stand_beside_the_file(heard: Heard) -> None:
    login = next(exchange for exchange in recorded(heard.path).exchanges if exchange.path == "/api/login")
    assert json.loads(login.request_body.data) == {"user": "{{input.user}}", "password": "{{input.password}}"}
    assert heard.result.columns == ("user", "password")
    assert Path(f"{heard.path}.identities.csv").read_text() == "user,password\n"
    assert any("user, password" in line for line in inputs(str(heard.path), heard.result.columns))


def test_the_end_of_a_recording_tells_what_was_replaced(heard: Heard) -> None:
    counts = heard.result.counts
    assert counts.n_secrets >= 10 and counts.n_credentials >= 2 and counts.n_late == 0
    assert any(line.startswith("replaced before it was written: ") for line in told(counts, {}, "x"))
    assert not any("replaced" in line for line in told(Counts(), {}, "x"))


def test_a_recording_in_clear_says_so_in_its_header(clear: Path) -> None:
    assert load_capture(clear).header["redaction"] is None
    assert PASSWORD.encode() in everything_in(clear)


def test_a_redacted_capture_compiles_to_the_same_plan(clear: Path, tmp_path: Path) -> None:
    out = tmp_path / "redacted.rush"
    redact_file(str(clear), str(out), Redactor(Policy(), bytes(range(32)), trusts_marks=True))
    before, after = load_capture(clear), load_capture(out)
    assert [_traffic(exchange) for exchange in _exchanges(before.sessions)] == [
        _traffic(exchange) for exchange in _exchanges(after.sessions)
    ]
    assert _structure(compile_plan(after)) == _structure(compile_plan(before))


def _exchanges(sessions: list) -> Iterator[Exchange]:  # type: ignore[type-arg]
    for session in sessions:
        yield from session.exchanges


def _traffic(exchange: Exchange) -> tuple[object, ...]:
    messages = [(m.t_ns, m.sender, m.size_bytes) for m in exchange.socket.messages] if exchange.socket else []
    names = [name for name, _ in exchange.request_headers]
    return (
        exchange.id,
        exchange.method,
        exchange.path,
        exchange.status,
        exchange.start_ns,
        exchange.end_ns,
        names,
        messages,
    )


def _structure(plan: Plan) -> list[object]:
    """Everything but values: routes, steps, needs, the slots of templates, extractors, expectations of shape."""
    (script,) = plan.scripts
    inputs = {str(number) for number, slot in enumerate(script.slots) if slot.kind is SlotKind.INPUT}
    # What was typed is a slot only where it is a placeholder.
    names = {
        number: slot.name
        for number, slot in enumerate(script.slots)
        if slot.kind is not SlotKind.INPUT
        and not (slot.kind is SlotKind.DERIVED and slot.detail.partition(":")[0] in inputs)
    }

    def slots(template: tuple[bytes | int, ...]) -> list[str]:
        return [names[part] for part in template if isinstance(part, int) and part in names]

    steps: list[object] = []
    for step in script.steps:
        request = step.request
        steps += [
            (step.kind, step.route, step.needs, step.think_ns, slots(step.payload)),
            [(names[e.slot], e.source, e.name, e.path, e.codec) for e in step.extractors],
            (step.expectation.required, step.expectation.non_empty),
            (slots(request.target), slots(request.body)) if request else None,
            [(name, slots(template)) for name, template in request.headers] if request else None,
        ]
    kinds = [(script.slots[number].kind, name) for number, name in names.items()]
    routes = [(route.name, route.kind, route.n_recorded) for route in plan.routes]
    return [routes, kinds, steps, [(kind.name, kind.n_recorded) for kind in plan.message_kinds]]


def test_a_policy_and_a_key_file_reach_the_writer(tmp_path: Path, site: Site) -> None:
    policy, key = tmp_path / "p.toml", tmp_path / "key"
    policy.write_text('name = "mine"\n[add]\nkeys = ["loyalty"]\n')
    targets = []
    for name in ("a", "b"):
        out = tmp_path / f"{name}.rush"
        options = RecordOptions(url=site.url, out=out, redaction=Redaction(policy=policy, key_file=key))
        record(options, drive=lambda proxy, _: httpx.get(f"{site.url}/x?loyalty=gold-4711", proxy=proxy) and None)
        found = recorded(out)
        targets.append(found.only("/x").target)
        told_of = found.capture.header["redaction"]
        assert isinstance(told_of, dict) and told_of["policy"] == "mine"
    assert targets[0] == targets[1] != "/x?loyalty=gold-4711"


def test_wrong_options_are_refused_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text("[add]\nkeyz = []")
    with pytest.raises(ConfigError, match="line 2: 'keyz' is not known"):
        Redaction(policy=tmp_path / "p.toml")
    with pytest.raises(ConfigError, match="--no-redact"):
        Redaction(is_on=False, key_file=tmp_path / "key")
