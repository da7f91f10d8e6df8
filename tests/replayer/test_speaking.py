"""Which HTTP a run speaks: what was recorded, what is offered, what was asked for; and a whole replay over HTTP/2."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from captures.errors import ConfigError
from captures.records import Origin
from captures.sessions import load_capture
from replayer.options.wire import HttpVersion
from replayer.plan.compile import compile_plan
from replayer.speaking import differences, recorded_http, spoken_to, versions
from replayer.stored_plans import facts_of_capture
from replayer.targets import TargetSpec
from tests.commands import ROOT, run_rushhour
from tests.replayer.nginx import Nginx, needs_nginx, running_nginx
from tests.replayer.shop import ANSWERS, N_REQUESTS, write_visit

SECURE = TargetSpec(scheme="https", host="shop.test", port=443, addresses=("10.0.0.7",))
LOCAL = TargetSpec(scheme="http", host="localhost", port=80, addresses=("127.0.0.1",))
REMOTE = TargetSpec(scheme="http", host="shop.test", port=80, addresses=("10.0.0.7",))


@pytest.mark.parametrize(("version", "spoken"), [("HTTP/1.1", "1.1"), ("HTTP/2.0", "2"), ("h2", "2"), ("HTTP/3", "2")])
def test_capture_knows_what_was_spoken_to_each_origin(tmp_path: Path, version: str, spoken: str) -> None:
    capture = load_capture(write_visit(tmp_path / "visit.rush", http_version=version))
    plan = compile_plan(capture)
    assert recorded_http(plan, capture) == recorded_http(plan, facts_of_capture(capture)) == (spoken,)


@pytest.mark.parametrize(
    ("wish", "recorded", "target", "alpn", "spoken"),
    [
        (HttpVersion.AUTO, "2", SECURE, "h2", "2"),
        (HttpVersion.AUTO, "2", SECURE, "http/1.1", "1.1"),
        (HttpVersion.AUTO, "2", SECURE, "", "1.1"),
        (HttpVersion.AUTO, "1.1", SECURE, "h2", "1.1"),  # As recorded, although there is more.
        (HttpVersion.AUTO, "2", LOCAL, "h2", "1.1"),  # Without TLS nothing is offered.
        (HttpVersion.HTTP_1_1, "2", SECURE, "h2", "1.1"),
        (HttpVersion.HTTP_2, "1.1", SECURE, "h2", "2"),
        (HttpVersion.HTTP_2, "1.1", LOCAL, "", "2"),
    ],
)
def test_version_is_as_recorded_where_it_is_offered_or_as_asked_for(
    wish: HttpVersion, recorded: str, target: TargetSpec, alpn: str, spoken: str
) -> None:
    (settled,) = spoken_to([target], [recorded], wish, lambda _: alpn)
    assert settled == replace(target, http=spoken)


@pytest.mark.parametrize(("target", "alpn"), [(SECURE, "http/1.1"), (SECURE, ""), (REMOTE, "")])
def test_http_2_that_cannot_be_is_refused_before_the_run(target: TargetSpec, alpn: str) -> None:
    with pytest.raises(ConfigError, match="--http 2"):
        spoken_to([target], ["2"], HttpVersion.HTTP_2, lambda _: alpn)


def test_target_of_several_origins_is_asked_once_and_only_where_it_matters() -> None:
    asked: list[TargetSpec] = []

    def negotiate(target: TargetSpec) -> str:
        asked.append(target)
        return "h2"

    settled = spoken_to([SECURE, LOCAL, SECURE], ["2", "1.1", "2"], HttpVersion.AUTO, negotiate)
    assert [target.http for target in settled] == ["2", "1.1", "2"] and asked == [SECURE]


def test_label_of_a_report_names_each_version_once() -> None:
    assert versions([SECURE, replace(SECURE, http="2"), LOCAL]) == "1.1, 2"


def test_difference_from_the_recording_is_a_sentence() -> None:
    origins = [Origin("https", "a.example", 443), Origin("https", "b.example", 443)]
    (sentence,) = differences(origins, ["2", "1.1"], [SECURE, SECURE])
    assert sentence.startswith("https://a.example was recorded over HTTP/2 and replayed over HTTP/1.1: ")


def shop_locations() -> str:
    """Return nginx locations that answer like the recorded shop."""
    return "\n".join(
        f"location = {path} {{ default_type {media_type}; return 200 '{body.decode()}'; }}"
        for path, (media_type, body) in ANSWERS.items()
    )


def replayed(nginx: Nginx, capture: Path, out: Path, *options: str) -> tuple[Counter[str], list[str]]:
    """Return what nginx saw of a replay in which every step was right, however fast, and the notes of its report."""
    before = Counter(nginx.log())
    command = ["replay", str(capture), "--target", nginx.url, "--ca", nginx.ca_file, "--out", str(out)]
    done = run_rushhour(*command, "--users", "3", "--speed", "10", "--workers", "1", *options, cwd=ROOT)
    assert "Traceback" not in done.stderr
    summary: dict[str, Any] = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert summary["totals"]["ok"] == summary["totals"]["planned"] == 3 * N_REQUESTS, summary["totals"]
    return Counter(nginx.log()) - before, summary["notes"]


@needs_nginx
@pytest.mark.process
def test_visit_recorded_over_http_2_is_replayed_over_it_and_over_http_1_with_a_caveat(tmp_path: Path) -> None:
    capture = write_visit(tmp_path / "visit.rush", http_version="HTTP/2.0")
    for name in ("leaving", "staying"):
        (tmp_path / name).mkdir()
    with running_nginx(tmp_path / "leaving", locations=shop_locations(), keepalive_requests=3) as nginx:
        fast, notes = replayed(nginx, capture, tmp_path / "fast")
    assert sum(fast.values()) == 3 * N_REQUESTS, "each once, with a goodbye after every third"
    assert all(line.startswith("HTTP/2.0 ") for line in fast) and not [note for note in notes if "HTTP/" in note]
    with running_nginx(tmp_path / "staying", locations=shop_locations()) as nginx:
        reference, _ = replayed(nginx, capture, tmp_path / "reference", "--wire", "reference")
        older, notes = replayed(nginx, capture, tmp_path / "older", "--http", "1.1")
    assert reference == fast, "the library's HTTP/2 says what ours says"
    assert older == Counter({line.replace("HTTP/2.0", "HTTP/1.1"): n for line, n in fast.items()})
    assert [note for note in notes if "recorded over HTTP/2 and replayed over HTTP/1.1" in note]
