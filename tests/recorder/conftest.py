"""One CA for all recordings of these tests, away from the user's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.recorder.servers import Site, http_server, socket_server


@pytest.fixture(scope="session", autouse=True)
def state_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The state directory in which mitmproxy's CA is made once."""
    path = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(path))
        yield path


@pytest.fixture
def site() -> Iterator[Site]:
    """An HTTP/1.1 server."""
    with http_server() as site:
        yield site


@pytest.fixture
def sockets() -> Iterator[Site]:
    """A WebSocket server."""
    with socket_server() as site:
        yield site


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """The CA of servers with TLS."""
    return trustme.CA()


@pytest.fixture(scope="session")
def authority_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its certificate."""
    path = tmp_path_factory.mktemp("upstream") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path
