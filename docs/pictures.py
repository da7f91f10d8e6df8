"""Make the pictures of the documentation again, from real runs: ``make pictures`` (three minutes).

Four runs of the golden capture against the demo's target, each with another verdict, photographed with headless
Chromium in two widths and both themes. Pixels are few on purpose: a picture stays under 200 kB.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from demo.server import running_target
from demo.target.settings import Settings, settings_from
from recorder.browser import require_browser

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = "captures/golden/demo/market.rush"
SCENARIOS = "demo/scenarios"
IMAGES = ROOT / "docs" / "images"
RUN_TIMEOUT_S = 180
MOST_TRIES = 5
PHOTO_TIMEOUT_S = 60
SETTLING_MS = 2000
"""Virtual time, which passes as fast as the page works."""
WIDTHS_PX = {1280: 1080, 390: 1500}
"""How wide a page is, and how much of it is shown."""
DARK = "--blink-settings=preferredColorScheme=0"
BIG_BYTES = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A run worth a picture.

    Attributes:
        exit_code: of its verdict; anything else and there is no picture.
        load: what ``rushhour replay`` is told.
        target: how the demo's target behaves.
        hidden: what is left out (CSS selectors), so that what the picture is about is on it.
    """

    exit_code: int
    load: tuple[str, ...]
    target: dict[str, str] = field(default_factory=dict)
    hidden: tuple[str, ...] = ("#what",)


_CROWD = (GOLDEN, "--identities", f"{SCENARIOS}/users.csv")
STATES = {
    "pass": State(exit_code=0, load=(*_CROWD, "--users", "120", "--shape", "ramp:20s")),
    "fail": State(
        exit_code=1,
        load=(*_CROWD, "--users", "100", "--shape", "ramp:15s", "--threshold", "http p95 < 100ms"),
        target={"DEMO_ERROR_RATE": "0.04", "DEMO_LATENCY": "110ms"},
    ),
    "invalid": State(exit_code=4, load=(*_CROWD, "--users", "1500", "--shape", "burst:2s", "--workers", "1")),
    "storm": State(
        exit_code=0,
        load=("--scenario", f"{SCENARIOS}/reconnect-storm-short.toml"),
        hidden=(".thresholds", "#what", "#time", "#percentiles", "#endpoints", "#sockets"),
    ),
}


def replay(name: str, state: State, directory: Path) -> Path:
    """Replay what a state needs, and return the report; a busy machine makes a run invalid, so it has several tries.

    Raises:
        SystemExit: the verdict was always another one.
    """
    for attempt in range(MOST_TRIES):
        run = directory / f"{name}-{attempt}"
        rushhour = str(Path(sys.executable).with_name("rushhour"))
        with running_target(settings_from(state.target) if state.target else Settings()) as target:
            command = [rushhour, "replay", *state.load, "--target", target.url, "--out", str(run)]
            done = subprocess.run(command, cwd=ROOT, timeout=RUN_TIMEOUT_S)
        if done.returncode == state.exit_code:
            return run / "report.html"
    raise SystemExit(f"{name}: exit code {done.returncode}, not {state.exit_code}; try again on a quiet machine")


def photograph(report: Path, state: State, width_px: int, picture: Path, *options: str) -> None:
    """Write what Chromium shows of the top of a report to ``picture``."""
    height_px = WIDTHS_PX[width_px]
    page = report.with_name("photographed.html")
    rule = "".join(f"{selector} {{ display: none }}" for selector in state.hidden)
    page.write_text(report.read_text(encoding="utf-8").replace("</style>", f"{rule}</style>", 1), encoding="utf-8")
    with tempfile.TemporaryDirectory() as profile:
        flags = [
            "--headless=new",
            "--no-sandbox",
            "--hide-scrollbars",
            f"--user-data-dir={profile}",
            f"--window-size={width_px},{height_px}",
            f"--virtual-time-budget={SETTLING_MS}",
            f"--screenshot={picture}",
            *options,
        ]
        subprocess.run(
            [require_browser(), *flags, page.resolve().as_uri()],
            check=True,
            capture_output=True,
            timeout=PHOTO_TIMEOUT_S,
        )


def main() -> None:
    """Make every picture, or those of the states that are named."""
    wanted = sys.argv[1:] or list(STATES)
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        for name in wanted:
            report = replay(name, STATES[name], Path(directory))
            for width_px in WIDTHS_PX:
                for theme, options in (("light", ()), ("dark", (DARK,))):
                    picture = IMAGES / f"report-{name}-{width_px}-{theme}.png"
                    photograph(report, STATES[name], width_px, picture, *options)
                    if picture.stat().st_size > BIG_BYTES:
                        raise SystemExit(f"{picture.name} is {picture.stat().st_size:,} bytes: show less of the page")


if __name__ == "__main__":
    main()
