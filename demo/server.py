"""Serves the target: ``python -m demo.server --port 8000`` for people, ``running_target`` for programs.

``running_target`` serves in a child process, which tells its port over a pipe when it listens and ends when that pipe
closes: it never outlives its parent.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING

import click
import multiprocess

from demo.target.settings import Settings, SettingsError, settings_from

if TYPE_CHECKING:
    from multiprocess.connection import Connection

HOST = "127.0.0.1"
READY_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 5.0
_BACKLOG = 4096
_MAX_DESCRIPTORS = 65_536
_MAX_MESSAGE_BYTES = 64 * 1024
_KEEP_ALIVE_S = 75


class TargetFailed(RuntimeError):
    """The target did not start, or did not listen in time."""


class TargetMissing(TargetFailed):
    """What the target is made of is not installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A target that listens.

    Attributes:
        url: ``http://127.0.0.1:PORT``.
        pid: process that serves it.
    """

    url: str
    pid: int


@contextmanager
def running_target(settings: Settings, *, port: int = 0) -> Iterator[Target]:
    """Run a target in a child process for as long as the context lasts.

    Args:
        settings: how it behaves.
        port: to listen on at 127.0.0.1, 0 for a free one.

    Raises:
        TargetMissing: Starlette or uvicorn is not installed.
        TargetFailed: it does not listen within 20 s; the text says why where that is known.
    """
    _require_installed()
    spawn = multiprocess.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_serve_for_parent, args=(settings, port, theirs), name="demo-target", daemon=True)
    with _nameless_main():
        process.start()
    theirs.close()
    try:
        yield Target(url=f"http://{HOST}:{_await_port(ours)}", pid=process.pid)
    finally:
        ours.close()
        process.join(STOP_TIMEOUT_S)
        if process.is_alive():
            process.kill()
            process.join()


def serve(settings: Settings, *, host: str, port: int, on_ready: Callable[[int], None], stop: threading.Event) -> None:
    """Serve until SIGTERM, Ctrl-C or ``stop``.

    Args:
        host: address to bind.
        port: 0 for a free one.
        on_ready: called with the port once connections are accepted.

    Raises:
        TargetMissing: Starlette or uvicorn is not installed.
        TargetFailed: the address is taken.
    """
    _require_installed()
    import uvicorn

    from demo.target.app import make_app

    class Server(uvicorn.Server):
        """uvicorn, which says when it listens and looks whether it shall stop."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            on_ready(listener.getsockname()[1])

        async def on_tick(self, counter: int) -> bool:
            return stop.is_set() or await super().on_tick(counter)

    config = uvicorn.Config(
        make_app(settings),
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        ws_max_size=_MAX_MESSAGE_BYTES,
        ws_per_message_deflate=settings.offers_deflate,
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=1,
    )
    listener = _listen(host, port)
    _raise_descriptor_limit()
    gc.collect()
    gc.freeze()
    Server(config).run(sockets=[listener])


def _require_installed() -> None:
    if not all(map(find_spec, ("starlette", "uvicorn"))):
        raise TargetMissing("the demo's target needs Starlette and uvicorn: pip install 'rushhour[demo]'")


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except (OSError, OverflowError) as exc:
        listener.close()
        raise TargetFailed(f"cannot listen on {host}:{port}: {exc}") from exc
    return listener


def _raise_descriptor_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _MAX_DESCRIPTORS)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _serve_for_parent(settings: Settings, port: int, parent: Connection) -> None:
    # Ctrl-C at the terminal is for the parent, who then stops this process in its own time.
    os.setpgrp()
    stop = threading.Event()
    threading.Thread(target=_watch, args=(parent, stop), daemon=True).start()
    try:
        serve(settings, host=HOST, port=port, on_ready=parent.send, stop=stop)
    except TargetFailed as exc:
        parent.send(str(exc))


def _watch(parent: Connection, stop: threading.Event) -> None:
    """Wait for the pipe to close, whatever became of the parent."""
    try:
        parent.recv_bytes()
    except (EOFError, OSError):
        stop.set()


@contextmanager
def _nameless_main() -> Iterator[None]:
    """Keep a spawned child from importing the parent's ``__main__`` again: a script, pytest, standard input."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _await_port(child: Connection) -> int:
    try:
        answer = child.recv() if child.poll(READY_TIMEOUT_S) else f"no word from it within {READY_TIMEOUT_S:.0f} s"
    except EOFError:
        answer = "its process ended at once"
    if not isinstance(answer, int):
        raise TargetFailed(f"the demo's target did not start: {answer}")
    return answer


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes a free one.")
@click.option("--host", default=HOST, show_default=True, help="Address to listen on.")
def main(port: int, host: str) -> None:
    """Serve the demo's stock tracker; DEMO_ variables of the environment change how it behaves."""
    shown = f"[{host}]" if ":" in host else host

    def announce(taken: int) -> None:
        click.echo(f"demo target ready at http://{shown}:{taken} pid {os.getpid()}")

    try:
        serve(settings_from(os.environ), host=host, port=port, on_ready=announce, stop=threading.Event())
    except (SettingsError, TargetFailed) as exc:
        raise click.UsageError(str(exc)) from exc
    except KeyboardInterrupt:
        raise SystemExit(128 + signal.SIGINT) from None


if __name__ == "__main__":
    main()
