from __future__ import annotations

import io

import pytest
from rich.console import Console

from analysis.evaluate import Outcome
from analysis.live import LiveView, progress_line
from analysis.progress import ProgressModel
from analysis.slots import SecondSlot
from analysis.thresholds import DEFAULTS, Threshold, parse_threshold
from tests.analysis.runs import ASSET, QUOTES, REPLY, a_slot, measured, sessions
from tests.analysis.synthetic_run import facts, slots

HOSTILE = "\x1b]0;owned\x07[bold]\u202e"


def a_console(*, is_terminal: bool, width: int = 80) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, force_terminal=is_terminal, width=width, height=40, color_system=None), out


def a_model(*expressions: str, **changes: object) -> ProgressModel:
    return ProgressModel(facts(**changes), [parse_threshold(text) for text in expressions])


def outcomes(model: ProgressModel) -> list[Outcome]:
    return [light.outcome for light in model.lights(5.0)]


def test_figures_are_of_the_last_ten_seconds() -> None:
    model = a_model()
    for second in range(30):
        latency_ms = 500.0 if second < 20 else 20.0
        model.update(a_slot({QUOTES: measured(*[latency_ms] * 50), REPLY: measured(5.0)}, second=second))
    progress = model.progress(30.0)
    assert progress.http.rate_per_s == 50
    assert progress.http.quantiles_ms[2] == pytest.approx(20.0, rel=0.01)
    assert progress.replies.rate_per_s == 1


def test_assets_stay_out_of_the_headline() -> None:
    model = a_model()
    model.update(a_slot({QUOTES: measured(5.0), ASSET: measured(*[1.0] * 9)}))
    assert model.progress(1.0).http.rate_per_s == 1


def test_a_slot_that_comes_twice_counts_once() -> None:
    model = a_model("http errors < 1%")
    slot = a_slot({QUOTES: measured(errors={"reset": 3})}, counts=sessions(2))
    assert model.update(slot)
    assert not model.update(slot)
    assert model.progress(1.0).errors == (("reset", 3),)
    assert model.progress(1.0).sessions_started == 2


def test_gauges_sum_the_newest_value_of_every_worker() -> None:
    model = a_model()
    for worker, second, users in ((0, 1, 5), (0, 2, 7), (1, 1, 30)):
        model.update(SecondSlot(worker=worker, second=second, gauges={"users_active": users}))
    assert model.progress(3.0).users_active == 37


def test_progress_against_the_plan_ends_at_the_whole() -> None:
    model = a_model(duration_planned_s=100.0)
    assert [model.progress(now).done_ratio for now in (-0.5, 25.0, 130.0)] == [0.0, 0.25, 1.0]
    assert a_model(duration_planned_s=0.0).progress(25.0).done_ratio is None


def test_lights_follow_what_their_threshold_selects() -> None:
    model = a_model(
        "http p95 < 200ms", 'http{route="GET /app.js"} p95 < 1ms', "ws.reply p99 < 1s", "verify mismatch < 1%"
    )
    slot = a_slot({QUOTES: measured(*[20.0] * 300, mismatches={"status": 9}), ASSET: measured(*[5.0] * 300)})
    slot.counts["verify_checked"] = 300
    model.update(slot)
    assert outcomes(model) == [Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.FAIL]


def test_sessions_that_play_on_do_not_break_their_threshold() -> None:
    model = a_model("session complete >= 99%")
    model.update(a_slot(counts={"sessions_started": 50, "sessions_completed": 10}))
    assert outcomes(model) == [Outcome.PASS]
    model.update(a_slot(counts={"sessions_failed": 10}, second=1))
    assert outcomes(model) == [Outcome.FAIL]


@pytest.mark.parametrize(
    ("expression", "now_s", "n", "is_broken"),
    [
        ("http p95 < 10ms", 60, 500, False),  # nothing about abort
        ("http p95 < 10ms; abort", 1, 500, True),
        ("http p95 < 10ms; abort; after 10s", 9, 500, False),  # too early
        ("http p95 < 10ms; abort; after 10s", 10, 500, True),
        ("http p95 < 10ms; abort; min_samples 501", 60, 500, False),  # not enough samples
        ("http p95 < 10ms; abort; min_samples 500", 60, 500, True),
        ("http p95 < 10ms; abort", 60, 1, False),  # one sample proves nothing
        ("http p95 < 10ms; abort", 60, 199, False),  # few samples, by the rules of a p95
        ("http p95 < 90ms; abort", 60, 500, False),  # it holds
    ],
)
def test_a_threshold_ends_the_run_once_it_may_and_is_surely_broken(
    expression: str, now_s: float, n: int, is_broken: bool
) -> None:
    model = a_model(expression)
    model.update(a_slot({QUOTES: measured(*[20.0] * n)}))
    broken = model.broken(now_s)
    assert isinstance(broken, Threshold) is is_broken


def test_no_terminal_gets_one_line_every_ten_seconds() -> None:
    console, out = a_console(is_terminal=False)
    view = LiveView(facts(), DEFAULTS, console)
    for slot in slots(n_workers=2, n_seconds=31):
        view.update(slot)
    for quarter in range(4 * 31):
        view.tick(quarter / 4)
    view.close()
    lines = out.getvalue().splitlines()
    assert [line.split("  ")[0] for line in lines] == ["10 s", "20 s", "30 s"]
    assert all("req/s" in line and "p95" in line for line in lines)


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_view_fits_its_terminal(width: int) -> None:
    console, out = a_console(is_terminal=True, width=width)
    view = LiveView(facts(), DEFAULTS, console)
    view.tick(0.0)
    for slot in slots(n_workers=2, n_seconds=40):
        view.update(slot)
    view.tick(40.0)
    text = out.getvalue()
    view.close()
    assert "users" in text
    assert "http p95 < 200ms" in text
    plain = [line for line in text.replace("\r", "\n").split("\n") if "\x1b" not in line]
    assert max(len(line) for line in plain) <= width


def test_names_from_outside_do_not_steer_the_terminal() -> None:
    for is_terminal in (True, False):
        console, out = a_console(is_terminal=is_terminal)
        view = LiveView(facts(target=HOSTILE), DEFAULTS, console)
        view.update(a_slot({QUOTES: measured(errors={HOSTILE: 3})}))
        view.tick(10.0)
        text = out.getvalue()
        view.close()
        assert "\x1b]0;" not in text
        assert "\u202e" not in text


def test_closing_twice_or_before_the_first_picture_is_fine() -> None:
    console, _ = a_console(is_terminal=True)
    view = LiveView(facts(), DEFAULTS, console)
    view.close()
    view.tick(1.0)
    view.close()
    view.close()


def test_the_line_of_a_run_that_measured_nothing_yet() -> None:
    assert "p95 –" in progress_line(a_model().progress(0.0))
