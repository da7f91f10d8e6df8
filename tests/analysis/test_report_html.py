from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

import pytest
from plotly.offline import get_plotlyjs

from analysis.report.charts import MOST_BINS, bin_width_s, chart_data
from analysis.report.html import render_html
from analysis.run import Ended, Run, RunEnd
from analysis.slots import Measure
from analysis.summary import summarise
from analysis.thresholds import DEFAULTS, in_force, parse_threshold
from analysis.verdict import judge
from tests.analysis.hostile import ATTACK, a_hostile_run
from tests.analysis.runs import QUOTES, a_good_run, a_run, a_slot, measured, sessions
from tests.analysis.synthetic_run import ROUTES, facts, slots

VOID = {"meta", "img", "br", "link", "input"}


class Page(HTMLParser):
    """Reads a page: its elements, its text outside scripts, and whether every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.shown: list[str] = []
        self.scripts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == [], self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data
        elif self.open and self.open[-1] != "style":
            self.shown.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.shown)


def a_page(run: Run) -> tuple[str, Page]:
    thresholds = in_force([parse_threshold('http{route="GET /api/quotes"} p95 < 30ms')])
    text = render_html(run, summarise(run, judge(run, thresholds)))
    return text, Page(text.replace(get_plotlyjs(), "/* plotly */"))


def a_synthetic_run() -> Run:
    return a_run(list(slots()), run_facts=facts(), end=RunEnd(duration_s=96.4, ended=Ended.FINISHED))


@pytest.fixture(scope="module")
def page() -> tuple[str, Page]:
    return a_page(a_synthetic_run())


def test_the_page_is_one_file_under_six_megabytes(page: tuple[str, Page]) -> None:
    assert len(page[0].encode()) < 6_000_000


def test_the_page_loads_nothing_and_says_so_to_the_browser(page: tuple[str, Page]) -> None:
    policy = next(attrs["content"] for tag, attrs in page[1].tags if attrs.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    for tag, attrs in page[1].tags:
        assert tag not in {"link", "iframe", "object", "embed", "base"}
        assert not set(attrs) & {"src", "href", "srcset", "action"}


def test_verdict_thresholds_and_endpoints_are_readable_without_javascript(page: tuple[str, Page]) -> None:
    text = page[1].text
    for threshold in DEFAULTS:
        assert threshold.expr in text
    for route, _, _, _ in ROUTES:
        assert route in text
    for part in ("Fail", "ws.connect", "status_503", "$.rows is empty", "What ran", "Method and caveats"):
        assert part in text


def test_the_tables_sort_by_value_and_not_by_text(page: tuple[str, Page]) -> None:
    values = [attrs["data-value"] for tag, attrs in page[1].tags if tag == "td" and "data-value" in attrs]
    assert len(values) > 11 * len(ROUTES)


def test_the_charts_have_what_they_draw(page: tuple[str, Page]) -> None:
    data = json.loads(page[1].scripts[0])
    assert set(data["heat"]) == {"http", "ws.connect", "ws.ready", "ws.reply"}
    assert {row["name"] for row in data["percentiles"]} == {"http", "ws.reply"}
    assert len(data["t"]) == len(data["throughput"]["offered"]) == len(data["lag"]["p99"]) == 97


def test_nothing_from_outside_becomes_markup_or_script() -> None:
    text, page = a_page(a_hostile_run())
    assert ATTACK not in text
    assert "document.title='owned'</script>" not in text
    assert not any(tag == "img" for tag, _ in page.tags)
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)
    assert len(page.scripts) == 3
    assert "<script>document.title='owned'</script>" in page.text  # shown as it was written
    assert not {"\x1b", "\x07", "\u202e"} & set(text.replace(get_plotlyjs(), ""))
    json.loads(page.scripts[0])


@pytest.mark.parametrize(
    "run",
    [
        a_run([], end=None),
        a_run([], end=RunEnd(duration_s=0.0, ended=Ended.UNREACHABLE)),
        a_run([a_slot()], end=RunEnd(duration_s=0.2, ended=Ended.ABORTED)),
        a_good_run(end=RunEnd(duration_s=2.0, ended=Ended.INTERRUPTED, lost_workers=(0, 1))),
        a_run([a_slot({QUOTES: Measure(planned=5)}, counts=sessions(1))]),
        a_run([a_slot({QUOTES: measured(0.0, 0.0)})]),
    ],
)
def test_a_run_of_any_end_has_a_page(run: Run) -> None:
    text, page = a_page(run)
    assert len(page.scripts) == 3
    assert "nan" not in page.scripts[0].lower()


def test_a_long_run_with_many_routes_stays_small() -> None:
    run = a_run([], end=RunEnd(duration_s=7200.0, ended=Ended.FINISHED))
    latencies = [float(2**n) for n in range(14)]
    for second in range(0, 7200, 7):
        run.seconds[second] = a_slot({("http", (("kind", "api"),)): measured(*latencies)}, second=second)
    for start in range(0, 7200, 600):
        run.windows[start] = {("http", (("kind", "api"), ("route", f"GET /{n}"))): measured(5.0) for n in range(900)}
    text, page = a_page(run)
    assert len(text.encode()) < 6_000_000
    assert bin_width_s(run) == 30
    assert "and 600 more in summary.json" in page.text


def test_time_is_cut_into_bounded_columns_and_nothing_is_lost() -> None:
    run = a_synthetic_run()
    data: dict[str, Any] = chart_data(run, summarise(run, judge(run, DEFAULTS)))
    assert len(data["t"]) <= MOST_BINS
    heat = data["heat"]["http"]
    assert sum(map(sum, heat["counts"])) == sum(run.measure("http").latency.values())
    assert len(heat["edges"]) == len(heat["counts"]) + 1
    assert sum(sum(row["n"]) for row in data["errors"]) == 132
    assert heat["limits"] == [{"ms": 200.0, "stat": "p95"}]


def test_the_percentile_curve_rises_to_the_largest_value() -> None:
    run = a_good_run()
    (curve, _) = chart_data(run, summarise(run, judge(run, DEFAULTS)))["percentiles"]
    assert curve["x"] == sorted(curve["x"])
    assert curve["y"] == sorted(curve["y"])
    assert (curve["x"][-1], curve["y"][-1]) == (2000.0, 20.0)
