"""The page of ``inspect --html`` in a real browser: no complaint on its console, bars where their times are."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from captures.cli import inspect
from tests.captures.samples import message, request, response, socket_open, write
from tests.demo.devtools import open_tab

S = 1_000_000_000
MARKUP = "<script>document.title='owned'</script>"

pytestmark = [pytest.mark.browser, pytest.mark.process]

# Of each row: where its bar begins and ends, as shares of the chart.
BARS = """[...document.querySelectorAll('details')].map(row => {
  const chart = row.querySelector('.chart').getBoundingClientRect()
  const ends = [...row.querySelectorAll('.chart *')].map(part => part.getBoundingClientRect()).filter(box => box.width)
  const left = Math.min(...ends.map(box => box.left)), right = Math.max(...ends.map(box => box.right))
  return [(left - chart.left) / chart.width, (right - chart.left) / chart.width]
})"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """Ten seconds: a request for the first half, one for the second, a socket all the time; markup in a target."""
    specs = [
        *request(0, 1, 1, f"/first?{MARKUP}"),
        *response(5 * S, 1, 1),
        *request(5 * S, 1, 2, "/second"),
        *response(10 * S, 1, 2),
        *socket_open(0, 2, 3),
        *(message(number * S, 2, 3, b"tick") for number in range(1, 10)),
    ]
    capture, out = tmp_path / "a.rush", tmp_path / "a.html"
    write(capture, sorted(specs, key=lambda spec: spec[1]))
    done = CliRunner().invoke(inspect, [str(capture), "--html", str(out)])
    assert done.exit_code == 0, done.output
    return out


def test_the_page_opens_without_a_complaint_and_shows_its_rows(page: Path) -> None:
    with open_tab(page.as_uri(), width=1200, height=800) as tab:
        tab.until("document.readyState === 'complete' && document.querySelectorAll('details').length === 3")
        bars = tab.evaluate(BARS)
        tab.evaluate("document.querySelector('summary').click()")
        tab.until("document.querySelector('details').open")
        details = tab.evaluate("document.querySelector('details dl').getBoundingClientRect().height")
        is_wider = tab.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        n_fetched = tab.evaluate("performance.getEntriesByType('resource').length")
        title, words = tab.evaluate("document.title"), tab.evaluate("document.body.innerText")
    assert tab.complaints == []
    first, second, third = sorted(bars, key=lambda bar: (bar[0] > 0.4, bar[1]))
    assert first == pytest.approx([0.0, 0.5], abs=0.02) and third == pytest.approx([0.5, 1.0], abs=0.02)
    assert second[0] == pytest.approx(0.0, abs=0.02) and second[1] > 0.85
    assert details > 0 and not is_wider and n_fetched == 0
    assert title == "a.rush" and MARKUP in words, "markup out of a capture is text"
