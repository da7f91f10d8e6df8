"""Make the pictures of the documentation again, from a real run: ``make pictures``.

Replays the golden capture against the demo's target and photographs the report with headless Chromium.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from demo.server import running_target
from demo.target.settings import Settings
from recorder.browser import require_browser

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "captures" / "golden" / "demo" / "market.rush"
IMAGES = ROOT / "docs" / "images"
RUN_TIMEOUT_S = 120
PHOTO_TIMEOUT_S = 60
WIDTH_PX = 1280
HEIGHT_PX = 1410
# Virtual time passes as fast as the page works: enough for the charts to be drawn and to come to rest.
SETTLING_MS = 5000


def replay(directory: Path) -> Path:
    """Replay the golden capture as 150 users who arrive over 20 s, and return the report.

    Raises:
        CalledProcessError: the verdict is not a pass; a busy machine makes it invalid, so try again on a quiet one.
    """
    with running_target(Settings()) as target:
        rushhour = str(Path(sys.executable).with_name("rushhour"))
        load = ["--users", "150", "--shape", "ramp:20s", "--out", "run"]
        subprocess.run(
            [rushhour, "replay", str(GOLDEN), "--target", target.url, *load],
            cwd=directory,
            check=True,
            timeout=RUN_TIMEOUT_S,
        )
    return directory / "run" / "report.html"


def photograph(page: Path, picture: Path) -> None:
    """Write what Chromium shows of ``page`` to ``picture``, a PNG of 1280 by 1410 pixels."""
    with tempfile.TemporaryDirectory() as profile:
        flags = [
            "--headless=new",
            "--no-sandbox",
            "--hide-scrollbars",
            f"--user-data-dir={profile}",
            f"--window-size={WIDTH_PX},{HEIGHT_PX}",
            f"--virtual-time-budget={SETTLING_MS}",
            f"--screenshot={picture}",
        ]
        subprocess.run(
            [require_browser(), *flags, page.resolve().as_uri()],
            check=True,
            capture_output=True,
            timeout=PHOTO_TIMEOUT_S,
        )


def main() -> None:
    """Make every picture."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        photograph(replay(Path(directory)), IMAGES / "report.png")


if __name__ == "__main__":
    main()
