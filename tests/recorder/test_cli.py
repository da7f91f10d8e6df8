"""What ``rushhour record`` refuses, and how it shows what it does."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest
from rich.console import Console

from captures.errors import ConfigError
from recorder.authority import open_authority
from recorder.board import Board
from recorder.browser import VARIABLE
from recorder.checks import checks
from recorder.counts import Counts
from recorder.options import RecordOptions
from recorder.proxy import addon_path
from tests.commands import run_rushhour

WITHOUT_MITMPROXY = (
    sys.executable,
    "-c",
    "import sys; sys.modules['mitmproxy'] = None; from rushhour import main; main()",
)
NO_PROGRAMS = {"PATH": "", VARIABLE: "", "DISPLAY": "", "WAYLAND_DISPLAY": ""}

# Arguments · environment · what stderr must say.
REFUSALS = [
    (["ftp://a"], {}, "'ftp://a' cannot be recorded"),
    (["localhost:8000"], {}, "write it as http://"),
    (["http://a", "-o", "taken"], {}, "taken exists and is not overwritten"),
    (["http://a", "-o", "nowhere/a.rush"], {}, "is not a directory"),
    (["http://a", "--duration", "soon"], {}, "is not a duration"),
    (["http://a", "--max-body", "much"], {}, "is not a size"),
    (["http://a", "--scope", "a b"], {}, "is not a host"),
    (["http://a", "--sessions", "0"], {}, "--sessions 0"),
    (["http://a", "--upstream-ca", "nowhere.pem"], {}, "nowhere.pem"),
    ([], {}, "URL"),
    (["http://a", "--reverse", "http://b"], {}, "leave URL out"),
    (["--reverse", "http://b/path"], {}, "has a path"),
    (["--reverse", "http://b", "--listen", "there"], {}, "--listen 'there'"),
    (["--reverse", "http://b", "--headless"], {}, "bring their own browsers"),
    (["--reverse", "http://b", "--upstream-proxy", "http://c:1"], {}, "drop one of them"),
    (["http://a", "--listen", "127.0.0.1:1"], {}, "--listen goes with --reverse"),
    (["http://a", "--rotate", "often"], {}, "no size and no duration"),
    (["http://a", "--upstream-proxy", "http://u:p@c:1"], {}, "RUSHHOUR_UPSTREAM_PROXY_AUTH"),
    (["http://a", "--storage-state", "taken"], {}, "is not a storage state"),
    (["http://a", "--profile", "taken"], {}, "is not a directory"),
    (["http://a", "--no-browser", "--profile", "p"], {}, "nobody to log in"),
    (["http://a", "--headless"], NO_PROGRAMS, "neither Chromium nor Chrome"),
    (["http://a", "--headless"], {VARIABLE: "nowhere"}, f"{VARIABLE}=nowhere"),
]


@pytest.mark.process
@pytest.mark.parametrize(("arguments", "env", "said"), REFUSALS)
def test_bad_input_ends_with_one_sentence_and_exit_2(
    tmp_path: Path, arguments: list[str], env: dict[str, str], said: str
) -> None:
    (tmp_path / "taken").write_text("precious")
    ended = run_rushhour("record", *arguments, cwd=tmp_path, env=env)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
    assert (tmp_path / "taken").read_text() == "precious"


@pytest.mark.process
def test_without_mitmproxy_it_names_the_line_that_installs_it(tmp_path: Path) -> None:
    ended = run_rushhour("record", "http://a", "--no-browser", cwd=tmp_path, command=WITHOUT_MITMPROXY)
    assert ended.returncode == 2
    assert "pip install 'rushhour[record]'" in ended.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.process
def test_the_addons_path_is_printed_without_a_url(tmp_path: Path) -> None:
    ended = run_rushhour("record", "--addon-path", cwd=tmp_path)
    assert (ended.returncode, ended.stdout.strip()) == (0, str(addon_path()))
    assert Path(ended.stdout.strip()).is_file()


def test_the_parts_of_a_page_may_not_be_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="HOST"):
        RecordOptions(url="http://", out=tmp_path / "a.rush")


def test_a_terminal_shows_the_counts_in_place() -> None:
    screen = io.StringIO()
    with Board(Console(file=screen, force_terminal=True, width=120)) as board:
        for number in range(3):
            board.show(Counts(n_exchanges=number))
        board.say("something stays")
    assert "recording: 2 exchanges" in screen.getvalue()
    assert "something stays" in screen.getvalue()


def test_a_log_shows_a_line_now_and_then_and_never_twice_the_same() -> None:
    log = io.StringIO()
    with Board(Console(file=log, width=40)) as board:
        for number in range(100):
            board.show(Counts(n_exchanges=number))
    assert log.getvalue() == "recording: 0 exchanges, 0 sockets, 0 messages, 0 B on disk\n"


def test_the_ca_is_kept_under_the_state_directory_and_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with open_authority() as authority:
        assert authority.directory == tmp_path / "state" / "rushhour" / "ca"
        assert authority.directory.stat().st_mode & 0o777 == 0o700


def test_where_the_state_directory_cannot_be_made_the_ca_is_temporary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with open_authority() as authority:
        assert authority.directory.is_dir()
    assert not authority.directory.exists()


def test_the_doctor_hears_of_mitmproxy_browser_and_ca(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv(VARIABLE, raising=False)
    with open_authority() as authority:
        os.chmod(authority.directory, 0o755)
    found = {check.name: check for check in checks()}
    assert found["mitmproxy"].ok
    assert not found["browser"].ok
    assert "apt-get install chromium" in found["browser"].fix
    assert not found["recorder CA"].ok
    assert found["recorder CA"].fix == f"chmod 700 {authority.directory}"
