"""The command ``rushhour record``."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from captures.errors import ConfigError, ExitCode
from captures.units import parse_duration_ns

if TYPE_CHECKING:
    from recorder.board import Board
    from recorder.options import RecordOptions
    from recorder.reverse import Listen

EPILOG = """\b
Examples:
  rushhour record http://localhost:8000/ -o market.rush
  rushhour record https://staging.example.com/ --scope api.example.net
  rushhour record http://localhost:8000/ --headless --duration 10s
  rushhour record http://localhost:8000/ --no-browser
  rushhour record https://staging.example.com/ --storage-state login.json
  rushhour record --reverse https://staging.example.com --listen 127.0.0.1:8443 --rotate 1h
  mitmdump -s "$(rushhour record --addon-path)" --set rushhour_out=market.rush
"""


def _print_addon_path(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from recorder.proxy import addon_path

        click.echo(addon_path())
        ctx.exit()


@click.command(epilog=EPILOG, short_help="Record a browser session into a capture.")
@click.argument("url", required=False)
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Capture to write. [default: HOST-TIME.rush]")
@click.option("--headless", is_flag=True, help="Run the browser without a window.")
@click.option("--no-browser", is_flag=True, help="Start no browser: print the proxy's address and how to trust its CA.")
@click.option("--duration", metavar="DUR", help="Stop after this long, such as 30s or 5m.")
@click.option("--browser-arg", "browser_args", metavar="ARG", multiple=True, help="Argument for the browser (many).")
@click.option("--scope", metavar="HOST", multiple=True, help="Record this host and its subdomains too (many).")
@click.option("--sessions", metavar="N", type=int, default=1, show_default=True, help="Browsers, one session each.")
@click.option("--max-body", metavar="SIZE", default="16MiB", show_default=True, help="Bytes kept of each body.")
@click.option("--insecure", is_flag=True, help="Do not check the certificates of the recorded servers.")
@click.option("--upstream-ca", type=click.Path(path_type=Path, dir_okay=False, exists=True), metavar="FILE",
              help="Trust this CA for the recorded servers.")  # fmt: skip
@click.option("--upstream-proxy", metavar="URL", default="",
              help="Go through this proxy; its user is $RUSHHOUR_UPSTREAM_PROXY_AUTH (USER:PASSWORD).")  # fmt: skip
@click.option("--profile", type=click.Path(path_type=Path), metavar="DIR",
              help="Use and keep this browser profile (made if missing), for single sign-on.")  # fmt: skip
@click.option("--storage-state", type=click.Path(path_type=Path), metavar="FILE",
              help="Begin with the cookies and localStorage that Playwright saved.")  # fmt: skip
@click.option("--reverse", metavar="URL", help="Stand for this site, for people with browsers of their own.")
@click.option("--listen", metavar="HOST:PORT", help="Where --reverse is visited. [default: 127.0.0.1:8443]")
@click.option("--rotate", metavar="SIZE|DUR", multiple=True,
              help="Go on in another file after 1GiB or 1h: FILE-0001.rush and so on (many).")  # fmt: skip
@click.option("--no-redact", is_flag=True, help="Write secrets as they are: the capture is a credential then.")
@click.option("--policy", type=click.Path(path_type=Path), metavar="FILE",
              help="What else is secret, or is none: a TOML file, see rushhour redact -h.")  # fmt: skip
@click.option("--redact-key", type=click.Path(path_type=Path), metavar="FILE",
              help="Keep the stand-ins' key here (made if missing), to link captures.")  # fmt: skip
@click.option("--addon-path", is_flag=True, is_eager=True, expose_value=False, callback=_print_addon_path,
              help="Print the path of the mitmproxy addon, for a proxy of your own.")  # fmt: skip
def record(
    url: str | None,
    out: Path | None,
    headless: bool,
    no_browser: bool,
    duration: str | None,
    browser_args: tuple[str, ...],
    scope: tuple[str, ...],
    sessions: int,
    max_body: str,
    insecure: bool,
    upstream_ca: Path | None,
    upstream_proxy: str,
    profile: Path | None,
    storage_state: Path | None,
    reverse: str | None,
    listen: str | None,
    rotate: tuple[str, ...],
    no_redact: bool,
    policy: Path | None,
    redact_key: Path | None,
) -> None:
    """Record what a browser does at URL, HTTP and WebSocket, until it closes or Ctrl-C.

    Recorded are the host of URL on any port and its registrable domain; everything else passes through untouched and
    is listed at the end. The browser's profile is thrown away, unless --profile names one. Secrets are replaced before
    anything is written; what somebody typed becomes columns of FILE.identities.csv.
    """
    from recorder.login import Login
    from recorder.options import RecordOptions, Redaction, Upstream, Visit, check_url
    from recorder.rotation import parse_rotation
    from recorder.sizes import parse_size_bytes

    page = check_url(_page(url, reverse))
    is_visited = no_browser or (reverse is not None and not headless)
    visit = Visit.SOMEONE if is_visited else Visit.HEADLESS if headless else Visit.WINDOW
    options = RecordOptions(
        url=page,
        out=out or _default_out(page),
        visit=visit,
        duration_ns=parse_duration_ns(duration) if duration is not None else None,
        browser_args=browser_args,
        scope=scope,
        sessions=sessions,
        max_body_bytes=parse_size_bytes(max_body),
        upstream=Upstream(is_verified=not insecure, ca_file=upstream_ca, proxy=upstream_proxy),
        redaction=Redaction(is_on=not no_redact, policy=policy, key_file=redact_key),
        login=Login(profile=profile, state=storage_state),
        listen=_listen(listen, reverse),
        rotation=parse_rotation(rotate),
    )
    raise SystemExit(int(_run(options)))


def _page(url: str | None, reverse: str | None) -> str:
    if url is not None and reverse is not None:
        raise ConfigError("--reverse names the site that is recorded", "leave URL out")
    page = url if url is not None else reverse
    if page is None:
        raise click.MissingParameter(param_type="argument", param_hint="'URL'")
    return page


def _listen(listen: str | None, reverse: str | None) -> Listen | None:
    from recorder.reverse import parse_listen

    if reverse is None:
        if listen is not None:
            raise ConfigError("--listen goes with --reverse only", "browsers find the proxy's address by themselves")
        return None
    return parse_listen(listen or "127.0.0.1:8443")


def _run(options: RecordOptions) -> ExitCode:
    from rich.console import Console

    from recorder.board import Board
    from recorder.record import Watcher
    from recorder.record import record as run
    from recorder.sayings import farewell, greeting

    with Board(Console(stderr=True)) as board:

        def greet(addresses: tuple[str, ...], certificate: Path) -> None:
            for line in greeting(options, addresses, certificate):
                board.say(line)

        def warn(text: str) -> None:
            board.say(f"nothing more is recorded: {text}; the proxy works on, stop when you like")

        with _one_interrupt(board):
            result = run(options, watcher=Watcher(on_ready=greet, on_counts=board.show, on_trouble=warn))
    for line in farewell(options, result):
        click.echo(line)
    return ExitCode.INVALID if result.sealed_early else ExitCode.PASS


@contextmanager
def _one_interrupt(board: Board) -> Iterator[None]:
    """Make the first Ctrl-C or SIGTERM a clean stop, and keep further ones from disturbing it."""
    is_stopping = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal is_stopping
        if not is_stopping:
            is_stopping = True
            raise KeyboardInterrupt
        board.say("stopping: the capture is being sealed")

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _default_out(url: str) -> Path:
    host = urlsplit(url).hostname or "capture"
    return Path(f"{host.replace(':', '_')}-{time.strftime('%Y%m%d-%H%M%S')}.rush")
