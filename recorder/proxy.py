"""mitmdump as a child process, with the addon in it.

Two pipes hold the family together. Status lines come out of the first, from the addon and from the writer's process,
until the last of them is gone. The second is the proxy's lifeline: it stops in good order when its other end closes, so
it never outlives the one who started it.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO
from urllib.parse import urlsplit

from captures.errors import ConfigError, ReplayError
from recorder.authority import Authority, making
from recorder.options import RecordOptions
from recorder.reverse import Listen, site_of
from recorder.status import Status, Word

HOST = "127.0.0.1"
START_TIMEOUT_S = 45.0
STOP_TIMEOUT_S = 60.0
POLL_S = 1.0
KILL_TIMEOUT_S = 5.0
_ATTEMPTS = 3
_LOG_TAIL_BYTES = 2000
_MITMDUMP = "from mitmproxy.tools.main import mitmdump; mitmdump()"


def addon_path() -> Path:
    """Path of the addon, for ``mitmdump -s``."""
    return Path(__file__).resolve().with_name("addon.py")


def require_mitmproxy() -> None:
    """Raise where the proxy is not installed.

    Raises:
        ConfigError: naming the line that installs it.
    """
    if importlib.util.find_spec("mitmproxy") is None:
        raise ConfigError("recording needs mitmproxy, which is not installed", "pip install 'rushhour[record]'")


class Proxy:
    """A running proxy that records.

    Args:
        options: the recording.
        authority: its CA.
        on_status: called for each status line, from a thread of the proxy's own.

    Attributes:
        ports: one listening port per session, on 127.0.0.1.
    """

    def __init__(self, options: RecordOptions, authority: Authority, on_status: Callable[[Status], None]) -> None:
        require_mitmproxy()
        self._options = options
        self._authority = authority
        self._on_status = on_status
        self._is_ready = threading.Event()
        self._refusal = ""
        self._log: IO[bytes] = TemporaryFile("a+b")
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._lifeline_fd = -1
        self._heard_s = 0.0
        self.ports: tuple[int, ...] = ()

    @property
    def addresses(self) -> tuple[str, ...]:
        """One proxy address per session, as clients want it; with a reverse proxy the address to visit."""
        if (listen := self._options.listen) is not None:
            return (f"{urlsplit(self._options.url).scheme}://{listen.address}",)
        return tuple(f"http://{HOST}:{port}" for port in self.ports)

    @property
    def pid(self) -> int:
        """Process id of mitmdump, 0 before the start."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Start, and wait until the proxy listens and the capture is open.

        Raises:
            ConfigError: the capture cannot be written.
            ReplayError: it does not come up; with the end of its log.
        """
        with making(self._authority):
            for _ in range(_ATTEMPTS):
                self._launch()
                is_ready = self._wait_until_ready()
                if is_ready and not self._refusal:
                    return
                self._end()
                if self._refusal:
                    raise ConfigError(self._refusal)
                if b"address already in use" not in self._log_tail().lower():
                    break
        tail = self._log_tail().decode(errors="replace").strip()
        raise ReplayError("the recording proxy does not start", tail or "run rushhour doctor")

    def has_ended(self) -> bool:
        """Tell whether the proxy is gone, or was never there."""
        return self._process is None or self._process.poll() is not None

    def stop(self) -> None:
        """Let the proxy stop in good order and the writer seal the capture; by force where that takes too long."""
        self._end()
        self._log.close()

    def _launch(self) -> None:
        listen = self._options.listen
        self.ports = _free_ports(self._options.sessions) if listen is None else (_checked_port(listen),)
        status_fd, status_out = os.pipe()
        lifeline_in, self._lifeline_fd = os.pipe()
        self._process = subprocess.Popen(
            self._command(status_out, lifeline_in),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            pass_fds=(status_out, lifeline_in),
            start_new_session=True,
        )
        os.close(status_out)
        os.close(lifeline_in)
        self._reader = threading.Thread(
            target=self._read_status, args=(status_fd,), name="rushhour-status", daemon=True
        )
        self._reader.start()

    def _end(self) -> None:
        if self._process is None or self._reader is None:
            return
        os.close(self._lifeline_fd)
        for number, timeout_s in ((None, STOP_TIMEOUT_S), (signal.SIGTERM, KILL_TIMEOUT_S), (signal.SIGKILL, None)):
            if number is not None:
                self._process.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout_s)
                break
        self._await_writer(self._reader)
        self._process = None

    def _await_writer(self, reader: threading.Thread) -> None:
        """The writer may have a long capture to go over again; it tells its counts meanwhile."""
        self._heard_s = time.monotonic()
        while reader.is_alive() and time.monotonic() - self._heard_s < STOP_TIMEOUT_S:
            reader.join(POLL_S)

    def _command(self, status_fd: int, lifeline_fd: int) -> list[str]:
        options = self._options
        settings = {
            "confdir": str(self._authority.directory),
            "anticache": "true",
            "validate_inbound_headers": "false",
            "connection_strategy": "eager",
            "keep_host_header": "true",
            "ssl_insecure": "false" if options.upstream.is_verified else "true",
            "rushhour_out": str(options.out.absolute()),
            "rushhour_url": options.url,
            "rushhour_max_body": str(options.max_body_bytes),
            "rushhour_redact": "true" if options.redaction.is_on else "false",
            "rushhour_policy": _path_text(options.redaction.policy),
            "rushhour_redact_key": _path_text(options.redaction.key_file),
            "rushhour_sessions": "identity" if options.by_identity else "port",
            "rushhour_status_fd": str(status_fd),
            "rushhour_lifeline_fd": str(lifeline_fd),
        }
        if options.upstream.ca_file is not None:
            settings["ssl_verify_upstream_trusted_ca"] = str(options.upstream.ca_file.absolute())
        pairs = [f"{name}={value}" for name, value in settings.items()]
        pairs += [f"rushhour_scope={host}" for host in options.scope]
        pairs += [f"rushhour_rotate={text}" for text in options.rotation.texts]
        modes = [part for mode in self._modes() for part in ("--mode", mode)]
        sets = [part for pair in pairs for part in ("--set", pair)]
        return [sys.executable, "-P", "-c", _MITMDUMP, "-q", *modes, *sets, "-s", str(addon_path())]

    def _modes(self) -> list[str]:
        options = self._options
        if options.listen is not None:
            return [f"reverse:{site_of(options.url)}@{options.listen.address}"]
        kind = f"upstream:{options.upstream.proxy}" if options.upstream.proxy else "regular"
        return [f"{kind}@{HOST}:{port}" for port in self.ports]

    def _wait_until_ready(self) -> bool:
        waited_s = 0.0
        while waited_s < START_TIMEOUT_S and not self.has_ended():
            if self._is_ready.wait(0.1):
                return True
            waited_s += 0.1
        return self._is_ready.is_set()

    def _read_status(self, fd: int) -> None:
        with open(fd, "rb") as lines:
            for line in lines:
                self._heard_s = time.monotonic()
                status = Status.from_line(line)
                if status.word is Word.SEALED and not self._is_ready.is_set():
                    self._refusal = status.text
                if status.word in (Word.READY, Word.SEALED):
                    self._is_ready.set()
                self._on_status(status)

    def _log_tail(self) -> bytes:
        size = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, size - _LOG_TAIL_BYTES))
        return self._log.read()


def _path_text(path: Path | None) -> str:
    return "" if path is None else str(path.absolute())


def _checked_port(listen: Listen) -> int:
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    try:
        socket.create_server((listen.host, listen.port), family=family).close()
    except OSError as exc:
        raise ConfigError(f"--listen {listen.address}: {exc.strerror or exc}", "choose another address") from exc
    return listen.port


def _free_ports(count: int) -> tuple[int, ...]:
    """Find ports that nobody listens on now; all are held until all are found, so they differ."""
    sockets = [socket.create_server((HOST, 0)) for _ in range(count)]
    ports = tuple(sock.getsockname()[1] for sock in sockets)
    for sock in sockets:
        sock.close()
    return ports
