"""Chrome leaves credentials out of a HAR unless it is told not to: an import of such a file says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.captures.convert_samples.hars import entry, write_har
from tests.captures.convert_samples.reading import imported

BY_SCRIPT: dict[str, Any] = {"_initiator": {"type": "script"}}
REFUSED = {"status": 401, "content": {"size": 0, "mimeType": "x-unknown"}}


def said(path: Path, *entries: dict[str, Any], creator: str = "WebInspector") -> list[str]:
    """What an import says of sanitized HARs."""
    _, conversion = imported(write_har(path / "one.har", *entries, creator=creator))
    return [sentence for sentence in conversion.not_held if "sanitized" in sentence]


def test_a_sanitized_har_is_said_to_be_one_and_how_to_get_another(tmp_path: Path) -> None:
    (sentence,) = said(tmp_path, entry(**BY_SCRIPT), entry(response=REFUSED, **BY_SCRIPT))
    assert sentence.startswith("requests without cookies and authorization") and sentence.endswith(": 2")
    assert "Allow to generate HAR with sensitive data" in sentence


@pytest.mark.parametrize(
    "headed",
    [
        {"request": {"headers": [{"name": "Cookie", "value": "sid=1"}]}},
        {"request": {"headers": [{"name": "authorization", "value": "Bearer x"}]}},
        {"request": {"headers": [], "cookies": [{"name": "sid", "value": "1"}]}},
        {"response": {"headers": [{"name": "set-cookie", "value": "sid=1; Path=/"}]}},
    ],
)
def test_one_credential_anywhere_shows_that_it_is_not(headed: dict[str, Any], tmp_path: Path) -> None:
    assert said(tmp_path, entry(**BY_SCRIPT), entry(**BY_SCRIPT, **headed), entry(**BY_SCRIPT)) == []


@pytest.mark.parametrize("creator", ["Firefox", "Playwright", "Charles Proxy", "rushhour"])
def test_others_leave_nothing_out(creator: str, tmp_path: Path) -> None:
    assert said(tmp_path, entry(**BY_SCRIPT), creator=creator) == []
