"""The page in a real browser: no complaint on its console, every state drawn, nothing fetched, nothing too wide."""

from __future__ import annotations

import re
import struct
import subprocess
import zlib
from pathlib import Path

import pytest

from analysis.report.html import render_html
from analysis.run import Ended, Run, RunEnd
from analysis.summary import summarise
from analysis.thresholds import DEFAULTS, in_force, parse_threshold
from analysis.verdict import judge
from recorder.browser import require_browser
from tests.analysis.hostile import a_hostile_run
from tests.analysis.runs import a_run, a_slot
from tests.analysis.synthetic_run import facts, recorded, slots
from tests.analysis.test_storms import a_storm, stormy_run

pytestmark = pytest.mark.browser

DARK = "--blink-settings=preferredColorScheme=0"
TRY = """<script>
const stack = document.querySelector(".stack");
const before = stack.querySelector("[data-s]").textContent;
for (let i = 0; i < 41; i++) stack.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
const at = stack.querySelector(".now").textContent;
const under = Array.from(stack.querySelectorAll("[data-s]"), (b) => b.textContent).join("|");
stack.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" }));
const after = stack.querySelector("[data-s]").textContent;
const table = document.querySelector("#endpoints table");
const heads = Array.from(table.querySelectorAll("th button"));
const first = () => table.tBodies[0].rows[0].cells[0].dataset.value;
heads.find((b) => b.textContent === "p95").click();
const slowest = first();
heads[0].click();
document.title = JSON.stringify({ before, at, under, after, slowest, alphabetical: first() });
</script>"""


def browse(directory: Path, url: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Open a page without a window and wait until it has nothing left to do."""
    command = [
        require_browser(),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--enable-logging=stderr",
        "--virtual-time-budget=4000",
        f"--user-data-dir={directory / 'profile'}",
        *options,
        url,
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


def complaints(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def page_of(run: Run, directory: Path, *expressions: str) -> Path:
    thresholds = in_force([parse_threshold(text) for text in expressions]) if expressions else DEFAULTS
    path = directory / "report.html"
    path.write_text(render_html(run, summarise(run, judge(run, thresholds))), encoding="utf-8")
    return path


def a_synthetic_run(lost: tuple[int, ...] = ()) -> Run:
    end = RunEnd(duration_s=96.4, ended=Ended.FINISHED, lost_workers=lost)
    run = a_run(list(slots()), run_facts=facts(), end=end)
    run.recorded = recorded()
    return run


def colors_of(png: bytes) -> int:
    """Return how many different pixels the rows of a PNG hold (its filters are left in place: blank stays blank)."""
    assert png.startswith(b"\x89PNG")
    at, packed, width = 8, b"", 0
    while at < len(png):
        length, kind = struct.unpack_from("!I4s", png, at)
        body = png[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            width = struct.unpack_from("!I", body)[0]
        if kind == b"IDAT":
            packed += body
        at += 12 + length
    raw = zlib.decompress(packed)
    assert width
    return len({raw[i : i + 3] for i in range(0, len(raw), 3)})


@pytest.mark.parametrize(
    ("word", "run", "expressions", "options"),
    [
        ("Pass", a_synthetic_run(), (), ("--window-size=1280,2400",)),
        ("Fail", a_synthetic_run(), ("http p95 < 60ms",), ("--window-size=500,2400", DARK)),
        ("Invalid", a_synthetic_run(lost=(1,)), (), ("--window-size=1280,2400", DARK)),
        ("Fail", stormy_run(a_storm(96, 4)), ("storm.recovery p95 < 60s",), ("--window-size=500,2400",)),
    ],
    ids=["pass", "fail", "invalid", "storm"],
)
def test_every_state_is_drawn_and_the_console_is_silent(
    tmp_path: Path, word: str, run: Run, expressions: tuple[str, ...], options: tuple[str, ...]
) -> None:
    page, picture = page_of(run, tmp_path, *expressions), tmp_path / "page.png"
    assert f"<title>{word} ·" in page.read_text(encoding="utf-8")
    done = browse(tmp_path, page.as_uri(), f"--screenshot={picture}", *options)
    assert complaints(done) == []
    assert colors_of(picture.read_bytes()) > 150


@pytest.mark.parametrize("run", [a_hostile_run(), a_run([a_slot()])], ids=["hostile", "nearly empty"])
def test_whatever_was_recorded_stays_text(tmp_path: Path, run: Run) -> None:
    done = browse(tmp_path, page_of(run, tmp_path).as_uri(), "--dump-dom")
    assert complaints(done) == []
    title = re.search(r"<title>(.*?)</title>", done.stdout)
    assert title is not None
    assert title[1] != "owned"
    assert "data-ready=" in done.stdout[:400]


def test_the_cursor_reads_all_charts_and_the_table_sorts(tmp_path: Path) -> None:
    page = page_of(a_synthetic_run(), tmp_path)
    page.write_text(page.read_text(encoding="utf-8") + TRY, encoding="utf-8")
    done = browse(tmp_path, page.as_uri(), "--dump-dom")
    assert complaints(done) == []
    title = re.search(r"<title>(.*?)</title>", done.stdout)
    assert title is not None
    assert '"before":"240 at most","at":"40 s","under":"240|960|240|' in title[1]
    assert '"after":"240 at most","slowest":"POST /api/login","alphabetical":"GET /"' in title[1]


def test_nothing_is_wider_than_a_phone(tmp_path: Path) -> None:
    page_of(a_synthetic_run(), tmp_path)
    frame = tmp_path / "phone.html"
    frame.write_text(
        "<iframe id=f src=report.html style='width:390px;height:2000px;border:0'></iframe><script>"
        "onload = () => setTimeout(() => { const page = f.contentDocument.documentElement;"
        "document.title = 'width ' + page.scrollWidth + ' charts ' + page.dataset.ready }, 1000)</script>"
    )
    done = browse(tmp_path, frame.as_uri(), "--dump-dom", "--allow-file-access-from-files")
    assert "<title>width 390 charts 9</title>" in done.stdout
