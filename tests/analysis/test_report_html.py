from __future__ import annotations

import json
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from analysis.baseline import Baseline
from analysis.comparison import Comparison, decide_time
from analysis.outputs import rebuild_outputs, write_outputs
from analysis.report.columns import MOST_COLUMNS, columns_of
from analysis.report.html import render_html
from analysis.report.moments import marks_of, moments_of
from analysis.report.percentiles import curve_of, interval_of
from analysis.run import Ended, Run, RunEnd
from analysis.series import Unit, latency_of, n_errors, n_mismatched, steps_of
from analysis.slots import Measure
from analysis.summary import summarise
from analysis.thresholds import DEFAULTS, in_force, parse_threshold
from analysis.verdict import judge
from tests.analysis.hostile import ATTACK, a_hostile_run
from tests.analysis.runs import QUOTES, a_good_run, a_run, a_slot, measured, sessions
from tests.analysis.synthetic_run import ROUTES, facts, recorded, slots, write

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
    return text, Page(text)


def a_synthetic_run() -> Run:
    run = a_run(list(slots()), run_facts=facts(), end=RunEnd(duration_s=96.4, ended=Ended.FINISHED))
    run.recorded = recorded()
    return run


@pytest.fixture(scope="module")
def page() -> tuple[str, Page]:
    return a_page(a_synthetic_run())


def test_the_page_is_one_small_file(page: tuple[str, Page]) -> None:
    assert len(page[0].encode()) < 400_000


def test_the_page_loads_nothing_and_says_so_to_the_browser(page: tuple[str, Page]) -> None:
    policy = next(attrs["content"] for tag, attrs in page[1].tags if attrs.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    for tag, attrs in page[1].tags:
        assert tag not in {"link", "iframe", "object", "embed", "base"}
        assert not set(attrs) & {"src", "srcset", "action"}
        assert (attrs.get("href") or "#").startswith("#")


def test_verdict_thresholds_and_endpoints_are_readable_without_javascript(page: tuple[str, Page]) -> None:
    text = page[1].text
    for threshold in DEFAULTS:
        assert threshold.expr in text
    for route, _, _, _ in ROUTES:
        assert route in text
    for part in ("Fail", "ws.connect", "status_503", "$.rows is empty", "What ran", "Method and caveats"):
        assert part in text
    for part in ("Slowest session", "Median session", "Failed session", "recording", "status 200, application/json"):
        assert part in text


def test_the_sections_stand_in_the_order_in_which_people_ask(page: tuple[str, Page]) -> None:
    anchors = [attrs["id"] for tag, attrs in page[1].tags if tag == "section"]
    assert anchors == [
        "verdict",
        "what",
        "time",
        "percentiles",
        "endpoints",
        "sockets",
        "sessions",
        "failures",
        "method",
    ]
    links = [attrs["href"] for tag, attrs in page[1].tags if tag == "a"]
    assert links == [f"#{anchor}" for anchor in anchors[1:]]


def test_charts_are_drawn_without_javascript(page: tuple[str, Page]) -> None:
    paths = [attrs for tag, attrs in page[1].tags if tag == "path"]
    kinds = {(attrs["class"] or "").split(" ")[0] for attrs in paths}
    assert {"grid", "line", "area", "rule", *(f"heat{level}" for level in range(1, 7))} <= kinds
    assert not any("…" in (attrs["d"] or "") for attrs in paths)


def test_the_tables_sort_by_value_and_not_by_text(page: tuple[str, Page]) -> None:
    values = [attrs["data-value"] for tag, attrs in page[1].tags if tag == "td" and "data-value" in attrs]
    assert len(values) > 11 * len(ROUTES)


def test_the_cursor_finds_a_value_for_every_legend_entry(page: tuple[str, Page]) -> None:
    data = json.loads(page[1].scripts[0])
    assert data["time"]["n"] == 97
    assert {len(values) for values in data["time"]["series"].values()} == {97}
    named = {attrs["data-s"] for tag, attrs in page[1].tags if tag == "b" and "data-s" in attrs}
    curves = {name for each in data["curves"].values() for name in each}
    assert named == set(data["time"]["series"]) | curves


def test_nothing_from_outside_becomes_markup_or_script() -> None:
    text, page = a_page(a_hostile_run())
    assert ATTACK not in text
    assert "document.title='owned'</script>" not in text
    assert not any(tag == "img" for tag, _ in page.tags)
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)
    assert len(page.scripts) == 2
    assert "<script>document.title='owned'</script>" in page.text  # shown as it was written
    assert not {"\x1b", "\x07", "\u202e"} & set(text)
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
    assert len(page.scripts) == 2
    assert "nan" not in page.scripts[0].lower()


def test_a_long_run_with_many_routes_stays_small() -> None:
    run = a_run([], end=RunEnd(duration_s=7200.0, ended=Ended.FINISHED))
    latencies = [float(2**n) for n in range(14)]
    for second in range(0, 7200, 7):
        run.seconds[second] = a_slot({("http", (("kind", "api"),)): measured(*latencies)}, second=second)
    for start in range(0, 7200, 600):
        run.windows[start] = {("http", (("kind", "api"), ("route", f"GET /{n}"))): measured(5.0) for n in range(900)}
    text, page = a_page(run)
    assert len(text.encode()) < 2_000_000
    assert columns_of(run).width_s == 30
    assert "and 600 more in summary.json" in page.text


def test_time_is_cut_into_bounded_columns_and_nothing_is_lost() -> None:
    run = a_synthetic_run()
    columns = columns_of(run)
    assert len(columns) <= MOST_COLUMNS
    heat = columns.heat("http")
    assert heat is not None
    assert sum(map(sum, heat.counts)) == sum(run.measure("http").latency.values())
    assert len(heat.edges) == len(heat.counts) + 1
    steps = steps_of(run.whole.measures)
    assert sum(sum(values) for _, values in columns.errors()) == n_errors(steps) + n_mismatched(steps) > 100


def test_a_limit_near_the_measured_times_is_within_the_heatmap() -> None:
    columns = columns_of(a_good_run())
    tops = [heat.edges[-1] for limits in ((), (110.0,), (900.0,)) if (heat := columns.heat("http", limits))]
    assert tops[0] < 110 <= tops[1]
    assert tops[2] == tops[0]


def test_the_percentile_curve_rises_to_the_largest_value() -> None:
    curve = curve_of(latency_of(a_good_run().measure("http")))
    xs, ms = [x for x, _ in curve], [y for _, y in curve]
    assert (xs, ms) == (sorted(xs), sorted(ms))
    assert curve[-1] == (2000.0, 20.0)


def test_the_interval_of_a_quantile_is_that_of_order_statistics() -> None:
    times = latency_of(measured(*[5.0] * 1000))
    assert interval_of(times, 0.95) == pytest.approx((0.9365, 0.9635), abs=1e-4)


def test_a_comparison_with_a_baseline_is_shown_where_it_belongs() -> None:
    compared = decide_time(
        Comparison(
            subject="http p95",
            unit=Unit.MS,
            base=(50.0,),
            runs=(71.0,),
            base_value=50.0,
            run_value=71.0,
            change=0.42,
            low=0.3,
            high=0.5,
            tolerance=0.2,
            floor=5.0,
        )
    )
    run = a_synthetic_run()
    verdict = judge(run, DEFAULTS, baseline=Baseline(runs=({"path": "base"},), comparisons=(compared,)))
    page = Page(render_html(run, summarise(run, verdict)))
    assert page.text.count("+42 %") == 2
    assert "Against the baseline" in page.text
    assert any(attrs.get("class") == "forest regressed" for _, attrs in page.tags)


def test_moments_stand_on_the_time_axis() -> None:
    slots_of = [
        a_slot({QUOTES: measured(5.0)}, second=second, lag_ms=90 if second in (3, 4) else 0.1) for second in range(10)
    ]
    run = a_run(slots_of, run_facts=facts(options={"shape": "burst:2s"}))
    columns = columns_of(run)
    moments = moments_of(summarise(run, judge(run, DEFAULTS)), columns)
    assert [(each.kind, each.at_s, each.until_s) for each in moments] == [("burst", 2.0, None), ("doubt", 3, 5)]
    assert [(mark.at, mark.until) for mark in marks_of(moments, columns)] == [(0.2, None), (0.3, 0.5)]


def test_the_distribution_of_the_baseline_lies_beside_that_of_the_run(tmp_path: Path) -> None:
    for name in ("base", "run"):
        write(tmp_path / name)
    base = [tmp_path / "base"]
    write_outputs(tmp_path / "run", DEFAULTS, baseline=base)
    shutil.rmtree(tmp_path / "base")
    rebuild_outputs(tmp_path / "run")
    page = Page((tmp_path / "run" / "report.html").read_text(encoding="utf-8"))
    curves = json.loads(page.scripts[0])["curves"]["http"]
    assert curves["http.2"] == curves["http.0"]
    assert page.text.count("baseline") > 2
    assert "latency" not in json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))["baseline"]
