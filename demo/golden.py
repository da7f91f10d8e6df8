"""Records ``captures/golden/demo/market.rush`` again: ``python -m demo.golden``, in Chromium, from the seeded demo."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import click

from captures.errors import ConfigError, ReplayError, RushhourError

GOLDEN = Path(__file__).resolve().parent.parent / "captures" / "golden" / "demo" / "market.rush"
MAX_BYTES = 200_000
SECONDS = 10.0


def make_golden(out: Path) -> int:
    """Record the golden capture and put it in its place whole, or not at all.

    Returns:
        Its size in bytes.

    Raises:
        ConfigError: there is no Chromium.
        ReplayError: the recording is too large.
    """
    from demo.server import running_target
    from demo.showing import has_browser, record_visit
    from demo.target.settings import Settings

    if not has_browser():
        raise ConfigError("a golden capture is recorded in Chromium, and there is none", "install chromium")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as directory, running_target(Settings()) as target:
        fresh = Path(directory) / out.name
        record_visit(target.url, fresh, seconds=SECONDS, in_browser=True)
        size_bytes = fresh.stat().st_size
        if size_bytes > MAX_BYTES:
            raise ReplayError(f"the capture has {size_bytes} bytes, more than {MAX_BYTES}", "shorten the visit")
        fresh.chmod(0o644)
        os.replace(fresh, out)
    return size_bytes


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--out", type=click.Path(path_type=Path), default=GOLDEN, show_default=True)
def main(out: Path) -> None:
    """Record the demo's golden capture again; the tests replay it."""
    try:
        size_bytes = make_golden(out)
    except RushhourError as exc:
        raise click.ClickException(str(exc)) from exc
    click.echo(f"{out}: {size_bytes} bytes")


if __name__ == "__main__":
    main()
