"""Browsers that are somebody before they open the page: a kept profile, a login that Playwright saved."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from captures.errors import ConfigError, ReplayError
from recorder.browser import Visitor
from recorder.counts import Counts
from recorder.devtools import Devtools
from recorder.login import Login, StorageState, read_state
from recorder.options import RecordOptions, Redaction, Visit
from recorder.record import record
from tests.recorder.reading import Recorded, recorded
from tests.recorder.servers import HOST, http_server

SECOND_NS = 1_000_000_000
PAGE = """<!doctype html><title>who</title><link rel="icon" href="data:,"><script>
const before = localStorage.getItem('name');
localStorage.setItem('name', 'kept by the profile');
fetch('/who/' + before).then(() => fetch('/cookie')).then(() => fetch('/done'));
document.cookie = 'left=behind; Max-Age=3600';
</script>"""
STATE = {
    "cookies": [
        {
            "name": "sid",
            "value": "from-a-file",
            "domain": HOST,
            "path": "/",
            "expires": -1,
            "httpOnly": True,
            "secure": False,
            "sameSite": "Lax",
        }
    ],
    "origins": [{"origin": "ORIGIN", "localStorage": [{"name": "name", "value": "o'\"</script>\u2028"}]}],
}


def _stop_after(n_exchanges: int) -> Callable[[Counts], None]:
    stopped: list[Counts] = []

    def on_counts(counts: Counts) -> None:
        if counts.n_exchanges >= n_exchanges and not stopped:
            stopped.append(counts)
            os.kill(os.getpid(), signal.SIGINT)

    return on_counts


def _record(url: str, out: Path, login: Login) -> Recorded:
    options = RecordOptions(
        url=url,
        out=out,
        visit=Visit.HEADLESS,
        duration_ns=60 * SECOND_NS,
        login=login,
        redaction=Redaction(is_on=False),
    )
    return recorded(record(options, on_counts=_stop_after(4)).path)


@pytest.mark.browser
@pytest.mark.process
def test_a_saved_login_is_there_when_the_page_opens(tmp_path: Path) -> None:
    with http_server(page=PAGE) as site:
        state = tmp_path / "login.json"
        state.write_text(json.dumps(STATE).replace("ORIGIN", site.url))
        found = _record(f"{site.url}/page", tmp_path / "a.rush", Login(state=state))
    assert found.capture.complete
    first = found.exchanges[0]
    assert first.path == "/page"
    assert (b"Cookie", b"sid=from-a-file") in first.request_headers
    assert found.only("/cookie").response_body.data == b"sid=from-a-file; left=behind"
    # Its storage was filled without a request that the site could have seen.
    assert [exchange.path for exchange in found.exchanges].count("/") == 0
    assert found.only("/who/o'%22%3C/script%3E%E2%80%A8").status == 200


@pytest.mark.browser
@pytest.mark.process
def test_a_profile_is_used_again_and_kept(tmp_path: Path) -> None:
    profile = tmp_path / "profile"
    with http_server(page=PAGE) as site:
        first = _record(f"{site.url}/page", tmp_path / "a.rush", Login(profile=profile))
        second = _record(f"{site.url}/page", tmp_path / "b.rush", Login(profile=profile))
    assert first.only("/who/null").status == 200
    assert second.only("/who/kept%20by%20the%20profile").status == 200
    assert second.only("/cookie").response_body.data == b"left=behind"


def test_a_profile_needs_its_own_key_ring_and_no_cache() -> None:
    common = {"program": "chromium", "url": "http://a/", "proxy": "127.0.0.1:1", "spki": "x=", "is_headless": True}
    kept = Visitor(**common, profile=Path("/home/ann/chrome")).command("/tmp/x")  # type: ignore[arg-type]
    assert {"--user-data-dir=/home/ann/chrome", "--disk-cache-dir=/tmp/x"} <= set(kept)
    assert not {"--password-store=basic", "--disable-extensions"} & set(kept)
    thrown_away = Visitor(**common).command("/tmp/x")  # type: ignore[arg-type]
    assert {"--user-data-dir=/tmp/x", "--password-store=basic", "--disable-extensions"} <= set(thrown_away)


# What the file holds.
BROKEN = [
    b"",
    b"[]",
    b"\xff",
    b'{"cookies": {}}'.replace(b"{}", b"[1]"),
    b'{"cookies": [{"name": "sid", "value": "SECRET"}]}',
    b'{"cookies": [{"name": "a", "value": 1, "domain": "a", "path": "/"}]}',
    b'{"origins": [{"localStorage": []}]}',
    b"[" * 100_000,
]


@pytest.mark.parametrize("text", BROKEN)
def test_what_is_no_storage_state_is_refused_without_a_word_of_it(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "login.json"
    path.write_bytes(text)
    with pytest.raises(ConfigError, match="is not a storage state") as refusal:
        Login(state=path)
    assert "SECRET" not in str(refusal.value)


def test_what_a_storage_state_has_besides_is_named(tmp_path: Path) -> None:
    path = tmp_path / "login.json"
    cookie = {"name": "a", "value": "1", "domain": "a", "path": "/", "partitionKey": "https://b"}
    origin = {"origin": "https://a", "localStorage": [], "indexedDB": [{"name": "db"}]}
    path.write_text(json.dumps({"cookies": [cookie], "origins": [origin]}))
    assert read_state(path).left_out == ("1 of IndexedDB", "the partition of 1 cookies")


def test_a_missing_storage_state_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        Login(state=tmp_path / "nowhere.json")


def test_only_one_login_and_only_for_a_browser_of_ours(tmp_path: Path) -> None:
    (tmp_path / "login.json").write_text("{}")
    with pytest.raises(ConfigError, match="give one of them"):
        Login(profile=tmp_path, state=tmp_path / "login.json")
    with pytest.raises(ConfigError, match="nobody to log in"):
        RecordOptions(
            url="http://a", out=tmp_path / "a.rush", visit=Visit.SOMEONE, login=Login(state=tmp_path / "login.json")
        )
    with pytest.raises(ConfigError, match="cannot be open twice"):
        RecordOptions(url="http://a", out=tmp_path / "a.rush", sessions=2, login=Login(profile=tmp_path))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the lock is looked up in /proc")
def test_a_profile_that_is_open_is_refused(tmp_path: Path) -> None:
    lock = tmp_path / "SingletonLock"
    lock.symlink_to(f"{socket.gethostname()}-{os.getpid()}")
    with pytest.raises(ConfigError, match="is open in another browser"):
        Login(profile=tmp_path)
    lock.unlink()
    lock.symlink_to(f"{socket.gethostname()}-999999999")
    assert Login(profile=tmp_path).is_given


class Pipe:
    """The browser's end of a DevTools pipe, held by the test."""

    def __init__(self) -> None:
        self.answer_fd, self.told_fd = os.pipe()
        self.asked_fd, self.ask_fd = os.pipe()

    def close(self) -> None:
        for fd in (self.answer_fd, self.told_fd, self.asked_fd, self.ask_fd):
            if fd >= 0:
                os.close(fd)


def test_a_browser_that_refuses_dies_or_is_silent_is_an_error() -> None:
    state = StorageState(cookies=({"name": "a", "value": "SECRET", "domain": "a", "path": "/"},))
    for answer, said in ((b'{"id": 1, "error": {"message": "Invalid cookie fields"}}\0', "Invalid cookie fields"),
                         (None, "ended"), (b'{"method": "noise"}\0', "does not answer")):  # fmt: skip
        pipe = Pipe()
        if answer is None:
            os.close(pipe.told_fd)
            pipe.told_fd = -1
        else:
            os.write(pipe.told_fd, answer)
        with pytest.raises(ReplayError, match=said) as refusal:
            Devtools(pipe.answer_fd, pipe.ask_fd, timeout_s=0.1).log_in(state, "http://a/")
        assert "SECRET" not in str(refusal.value)
        pipe.close()
