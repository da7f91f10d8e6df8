"""A target for tests that leave it as it was, and visitors to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from demo.server import running_target
from demo.target.settings import NS_PER_MS, Settings
from tests.demo.visitors import Visitor, visiting


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    """Give the address of a target with quick ticks, shared by all tests that change nothing in it."""
    with running_target(Settings(tick_ns=20 * NS_PER_MS)) as target:
        yield target.url


@pytest.fixture
def visitor(url: str) -> Iterator[Visitor]:
    """Give a visitor who has not logged in."""
    with visiting(url) as visitor:
        yield visitor
