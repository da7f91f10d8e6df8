"""A visit, by Chromium and by the script: the page works, and both cause the same traffic."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from captures.errors import ConfigError, ReplayError
from captures.sessions import load_capture
from demo.server import running_target
from demo.showing import record_visit
from demo.target.faults import Faults
from demo.target.settings import NS_PER_S, Feed, Settings
from tests.demo.devtools import Tab, open_tab

pytestmark = pytest.mark.process

POLLED = ("/api/foreign-flow", "/api/indices")
_STATE = "document.documentElement.dataset.autoplay"


def _ledger(url: str) -> dict[str, Any]:
    body: dict[str, Any] = httpx.get(f"{url}/admin/ledger", trust_env=False).json()
    return body


def _routes(ledger: dict[str, Any]) -> Counter[str]:
    return Counter({f"{row['method']} {row['route']} {row['status']}": row["n"] for row in ledger["counts"]})


def _without_polls(routes: Counter[str]) -> Counter[str]:
    return Counter({route: n for route, n in routes.items() if not any(path in route for path in POLLED)})


def _text(tab: Tab, selector: str) -> str:
    return str(tab.evaluate(f"document.querySelector('{selector}').textContent"))


def test_a_scripted_visit_is_recorded_whole(tmp_path: Path) -> None:
    with running_target(Settings()) as target:
        counts = record_visit(target.url, tmp_path / "visit.rush", seconds=5, in_browser=False)
        ledger = _ledger(target.url)
    assert counts.n_exchanges == ledger["seen"] == ledger["answered"]
    assert (counts.n_sockets, ledger["sockets"]["opened"], ledger["sockets"]["open"]) == (1, 1, 0)
    assert counts.n_messages == ledger["sockets"]["sent"] + ledger["sockets"]["received"]
    capture = load_capture(tmp_path / "visit.rush")
    assert capture.complete
    assert len(capture.sessions) == 1


def test_a_scripted_visit_says_what_the_target_did_wrong(tmp_path: Path) -> None:
    with (
        running_target(Settings(faults=Faults(refuses_upgrades=True))) as target,
        pytest.raises(ReplayError, match="503"),
    ):
        record_visit(target.url, tmp_path / "visit.rush", seconds=4, in_browser=False)


@pytest.mark.browser
def test_chromium_and_the_script_ask_for_the_same_things(tmp_path: Path) -> None:
    seen = []
    for in_browser in (True, False):
        with running_target(Settings()) as target:
            record_visit(target.url, tmp_path / f"{in_browser}.rush", seconds=5, in_browser=in_browser)
            ledger = _ledger(target.url)
            seen.append(_routes(ledger))
            assert ledger["sockets"]["open"] == 0
    assert _without_polls(seen[0]) == _without_polls(seen[1])
    assert all(abs(seen[0][f"GET {path} 200"] - seen[1][f"GET {path} 200"]) <= 1 for path in POLLED)


@pytest.mark.browser
def test_the_page_shows_the_market_and_complains_about_nothing(tmp_path: Path) -> None:
    with running_target(Settings()) as target, open_tab(f"{target.url}/?autoplay=1&seconds=6") as tab:
        tab.until(f"{_STATE} === 'waiting'")
        tab.until("document.querySelector('#orders .tag')?.textContent === 'filled'")
        assert tab.evaluate("document.querySelectorAll('#quotes tr').length") == 24
        assert tab.evaluate("document.querySelectorAll('.index').length") == 4
        assert tab.evaluate("document.querySelectorAll('#flow .bar').length") == 6
        assert tab.evaluate("document.querySelectorAll('#book .level').length") == 10
        assert _text(tab, "#pill-text").startswith("live")
        assert _text(tab, "#orders div").startswith("Buy250 BRK at 12.00")
        tab.screenshot(tmp_path / "page.png")
        assert (tmp_path / "page.png").stat().st_size > 50_000
        tab.until(f"{_STATE} === 'done'")
        assert tab.evaluate("document.getElementById('goodbye').hidden") is False
        assert tab.complaints == []
        assert _ledger(target.url)["sockets"]["open"] == 0


@pytest.mark.browser
def test_the_page_refreshes_its_tokens_before_they_end() -> None:
    with (
        running_target(Settings(token_ttl_ns=2 * NS_PER_S)) as target,
        open_tab(f"{target.url}/?autoplay=1&seconds=6") as tab,
    ):
        tab.until(f"{_STATE} === 'done'")
        routes = _routes(_ledger(target.url))
    assert routes["POST /api/refresh 200"] >= 2
    assert all(route.endswith((" 200", " 201", " 101")) for route in routes)


@pytest.mark.browser
def test_the_page_says_so_when_the_password_is_wrong_or_the_feed_is_empty() -> None:
    with running_target(Settings(feed=Feed.EMPTY)) as target, open_tab(target.url) as tab:
        tab.until("document.readyState === 'complete'")
        sign_in = "f => {{ f.user.value = 'demo001'; f.password.value = {}; f.requestSubmit(); }}"
        tab.evaluate(f"({sign_in.format(repr('wrong'))})(document.getElementById('login-form').elements.user.form)")
        tab.until("document.getElementById('login-error').textContent.includes('wrong password')")
        good = repr("paper-lantern-42")
        tab.evaluate(f"({sign_in.format(good)})(document.getElementById('login-form').elements.user.form)")
        tab.until("document.getElementById('no-quotes').hidden === false")


@pytest.mark.browser
def test_the_page_comes_back_when_its_socket_is_lost() -> None:
    with (
        running_target(Settings(faults=Faults(refuses_upgrades=True))) as target,
        open_tab(f"{target.url}/?autoplay=1&seconds=8") as tab,
    ):
        tab.until("document.getElementById('pill').dataset.state === 'lost'")
        httpx.post(f"{target.url}/admin/faults", json={"refuse_upgrades": False}, trust_env=False)
        tab.until("document.getElementById('pill').dataset.state === 'live'")


def test_a_capture_is_never_overwritten(tmp_path: Path) -> None:
    taken = tmp_path / "visit.rush"
    taken.touch()
    with pytest.raises(ConfigError, match="exists"):
        record_visit("http://127.0.0.1:9", taken, seconds=4, in_browser=False)
