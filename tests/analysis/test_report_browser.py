"""The page in a real browser: no complaint on its console, every chart drawn, nothing fetched."""

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
from analysis.thresholds import DEFAULTS
from analysis.verdict import judge
from recorder.browser import require_browser
from tests.analysis.hostile import a_hostile_run
from tests.analysis.runs import a_run, a_slot
from tests.analysis.synthetic_run import facts, slots

pytestmark = pytest.mark.browser


def browse(directory: Path, url: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Open a page without a window and wait until it has nothing left to do."""
    command = [
        require_browser(),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--enable-logging=stderr",
        "--virtual-time-budget=8000",
        f"--user-data-dir={directory / 'profile'}",
        *options,
        url,
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


def page_of(run: Run, directory: Path) -> Path:
    path = directory / "report.html"
    path.write_text(render_html(run, summarise(run, judge(run, DEFAULTS))), encoding="utf-8")
    return path


def a_synthetic_run() -> Run:
    return a_run(list(slots()), run_facts=facts(), end=RunEnd(duration_s=96.4, ended=Ended.FINISHED))


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
    ("run", "n_charts"),
    [(a_synthetic_run(), 7), (a_hostile_run(), 7), (a_run([a_slot()]), 3)],
    ids=["synthetic", "hostile", "nearly empty"],
)
def test_every_chart_is_drawn_and_the_console_is_silent(tmp_path: Path, run: Run, n_charts: int) -> None:
    done = browse(tmp_path, page_of(run, tmp_path).as_uri(), "--dump-dom")
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
    assert f'data-charts="{n_charts}"' in done.stdout[:400]
    title = re.search(r"<title>(.*?)</title>", done.stdout)
    assert title is not None
    assert title[1] != "owned"


@pytest.mark.parametrize("options", [(), ("--blink-settings=preferredColorScheme=0",)], ids=["light", "dark"])
def test_the_page_is_not_blank(tmp_path: Path, options: tuple[str, ...]) -> None:
    picture = tmp_path / "page.png"
    browse(
        tmp_path,
        page_of(a_synthetic_run(), tmp_path).as_uri(),
        f"--screenshot={picture}",
        "--window-size=1280,2400",
        *options,
    )
    assert colors_of(picture.read_bytes()) > 300


def test_nothing_is_wider_than_a_phone(tmp_path: Path) -> None:
    page_of(a_synthetic_run(), tmp_path)
    frame = tmp_path / "phone.html"
    frame.write_text(
        "<iframe id=f src=report.html style='width:390px;height:2000px;border:0'></iframe><script>"
        "onload = () => setTimeout(() => { const page = f.contentDocument.documentElement;"
        "document.title = 'width ' + page.scrollWidth + ' charts ' + page.dataset.charts }, 3000)</script>"
    )
    done = browse(tmp_path, frame.as_uri(), "--dump-dom", "--allow-file-access-from-files")
    assert "<title>width 390 charts 7</title>" in done.stdout
