"""Before a run: health is waited for, proxies are found, one connection is made, and what is wrong is said."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Sequence

import pytest

from captures.errors import ConfigError, TargetRefused, TargetUnreachable
from captures.records import Origin
from captures.units import NS_PER_MS, NS_PER_S
from replayer.caveats import caveats
from replayer.proxies import parse_proxy_choice
from replayer.reach import ProxySpec, Reach, TlsSettings
from replayer.reaching import HealthUrl, parse_health, welcome, with_proxies
from replayer.targets import TargetSpec
from replayer.wire.health import wait_for_health
from replayer.wire.kinds import WireKind
from tests.fakes_server import Serve, answering, closed_port, read_head
from tests.faults.background import served
from tests.faults.network import full_accept_queue
from tests.faults.tls import Authority, hang_up, make_authority, never_answer, server_context, speak_plain
from tests.replayer.asking import target_at

TARGET = Origin("http", "127.0.0.1", 8000)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("/health", "http://127.0.0.1:8000/health"),
        ("/", "http://127.0.0.1:8000/"),
        ("http://127.0.0.1:9000/ready?deep=1", "http://127.0.0.1:9000/ready?deep=1"),
        ("https://staging.example", "https://staging.example/"),
    ],
)
def test_the_url_of_wait_is_a_path_of_the_target_or_a_whole_one(text: str, url: str) -> None:
    assert str(parse_health(text, TARGET)) == url


@pytest.mark.parametrize("text", ["", "health", "//staging.example/x", "ftp://127.0.0.1/", "http://u:p@127.0.0.1/x"])
def test_any_other_url_of_wait_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--wait"):
        parse_health(text, TARGET)


def recovering(n_failing: int, heads: list[bytes]) -> Serve:
    """A server that is not healthy for its first requests."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            heads.append(await read_head(reader))
            status = b"503 Starting" if len(heads) <= n_failing else b"204 Fine"
            writer.write(b"HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n" % status)
            await writer.drain()

    return serve


def test_health_is_waited_for_until_it_answers_well() -> None:
    heads: list[bytes] = []
    with served(recovering(2, heads)) as port:
        spec = target_at(port)
        health = HealthUrl(origin=Origin("http", "localhost", port), path="/health?deep=1")
        wait_for_health(health, spec, TlsSettings(), headers=[(b"Authorization", b"Basic eA==")], wait_ns=30 * NS_PER_S)
    assert len(heads) == 3 and heads[0].startswith(b"GET /health?deep=1 HTTP/1.1\r\n")
    assert b"authorization: basic ea==" in heads[0].lower() and b"host: localhost:%d" % port in heads[0].lower()


@pytest.mark.parametrize(
    ("serve", "seen"),
    [
        (answering(*[b"HTTP/1.1 503 Starting\r\nContent-Length: 0\r\n\r\n"] * 9), "it answered 503"),
        # No redirect is followed: a login page is not health.
        (answering(*[b"HTTP/1.1 302 F\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n"] * 9), "it answered 302"),
        (answering(b"", close=True), "disconnected"),
    ],
)
def test_health_that_does_not_come_is_unreachable_and_says_what_was_seen(serve: Serve, seen: str) -> None:
    with served(serve) as port:
        health = HealthUrl(origin=Origin("http", "localhost", port), path="/health")
        with pytest.raises(TargetUnreachable, match=seen):
            wait_for_health(health, target_at(port), TlsSettings(), wait_ns=300 * NS_PER_MS)


def test_health_over_tls_is_verified(authority: Authority) -> None:
    with served(recovering(0, []), tls=server_context(authority)) as port:
        spec = target_at(port, scheme="https")
        health = HealthUrl(origin=Origin("https", "localhost", port), path="/health")
        wait_for_health(health, spec, TlsSettings(ca_file=authority.ca_file), wait_ns=NS_PER_S)
        with pytest.raises(TargetUnreachable, match="certificate verify failed"):
            wait_for_health(health, spec, TlsSettings(), wait_ns=0)


@pytest.mark.parametrize(
    ("serve", "flaw", "trusts", "said"),
    [
        (None, {}, False, "add --ca FILE, or --insecure"),
        (None, {"host": "other.example"}, True, "for another name"),
        (None, {"expired": True}, True, "has expired"),
        (speak_plain, None, True, "does not speak TLS on this port"),
        (never_answer, None, True, "did not answer the TLS hello"),
        (hang_up, None, True, "ended as eof"),
    ],
)
def test_a_target_that_lets_nobody_in_says_which_option_mends_it(
    authority: Authority, serve: Serve | None, flaw: dict[str, object] | None, trusts: bool, said: str
) -> None:
    context: ssl.SSLContext | None = None if flaw is None else server_context(authority, **flaw)  # type: ignore[arg-type]
    reach = Reach(tls=TlsSettings(ca_file=authority.ca_file if trusts else None))
    with served(serve or never_answer, tls=context) as port:
        timeout_ns = 150 * NS_PER_MS if serve is never_answer else 20 * NS_PER_S
        with pytest.raises(TargetUnreachable, match=said):
            welcome(target_at(port, scheme="https"), reach, timeout_ns=timeout_ns)


def test_a_welcome_tells_the_protocol_and_sends_nothing(authority: Authority) -> None:
    received: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        received.append(await reader.read())

    with served(listen, tls=server_context(authority, alpn=("h2", "http/1.1"))) as port:
        reach = Reach(tls=TlsSettings(ca_file=authority.ca_file))
        assert welcome(target_at(port, scheme="https"), reach, timeout_ns=20 * NS_PER_S) == "h2"
    assert not any(received)


def test_nobody_waits_longer_than_the_deadline() -> None:
    with full_accept_queue() as port:
        started_s = time.monotonic()
        with pytest.raises(TargetUnreachable, match="connect_timeout"):
            welcome(target_at(port, scheme="https"), Reach(), timeout_ns=150 * NS_PER_MS)
        assert 0.15 <= time.monotonic() - started_s < 15
    with pytest.raises(TargetUnreachable, match="connect_refused"):
        welcome(target_at(closed_port(), scheme="https"), Reach(), timeout_ns=NS_PER_S)


def resolving(**names: list[str]) -> object:
    def resolve(host: str, port: int) -> Sequence[str]:
        if host not in names:
            raise OSError("no such name")
        return names[host]

    return resolve


def test_each_proxy_is_resolved_once_and_targets_point_at_it() -> None:
    choice = parse_proxy_choice("env:P", {"P": "http://u:p@proxy"})
    targets = (target_at(1), target_at(2, host="pinned"), target_at(3, scheme="https"))
    reached, proxies = with_proxies(targets, choice, resolving(proxy=["10.9.9.9"]), pinned=frozenset({"pinned"}))  # type: ignore[arg-type]
    assert [target.via for target in reached] == [0, -1, 0]
    assert proxies == (ProxySpec(host="proxy", port=80, addresses=("10.9.9.9",), authorization=b"Basic dTpw"),)


def test_a_proxy_that_cannot_be_is_refused() -> None:
    choice = parse_proxy_choice("env:P", {"P": "http://proxy"})
    with pytest.raises(TargetUnreachable, match="the name of the proxy"):
        with_proxies([target_at(1)], choice, resolving())  # type: ignore[arg-type]
    with pytest.raises(TargetRefused, match="address of no proxy"):
        with_proxies([target_at(1)], choice, resolving(proxy=["169.254.169.254"]))  # type: ignore[arg-type]


SHOP = Origin("https", "shop.example", 443)


@pytest.mark.parametrize(
    ("target", "reach", "wire", "said"),
    [
        ("https", Reach(), WireKind.FAST, []),
        ("https", Reach(tls=TlsSettings(insecure=True)), WireKind.FAST, ["not verified"]),
        ("https", Reach(tls=TlsSettings(resumes=False)), WireKind.FAST, ["every TLS handshake was a full one"]),
        ("https", Reach(tls=TlsSettings(cert_file="c.pem")), WireKind.FAST, ["same client certificate"]),
        ("http", Reach(tls=TlsSettings(insecure=True)), WireKind.FAST, ["recorded with TLS and replayed without"]),
        ("https", Reach(), WireKind.REFERENCE, ["every TLS handshake is a full one"]),
    ],
)
def test_the_report_names_what_a_browser_would_have_done_otherwise(
    target: str, reach: Reach, wire: WireKind, said: list[str]
) -> None:
    found = caveats([SHOP], [target_at(1, scheme=target)], reach, wire)
    assert len(found) == len(said) and all(words in sentence for words, sentence in zip(said, found, strict=True))


def test_the_report_names_the_proxy_and_the_addresses_given_by_hand() -> None:
    proxy = ProxySpec(host="proxy.example", port=3128, addresses=("10.9.9.9",), authorization=b"Basic hunter2")
    spec = TargetSpec(scheme="https", host="staging.example", port=443, addresses=(), via=0)
    found = caveats([SHOP, SHOP], [spec, spec], Reach(proxies=(proxy,)), WireKind.FAST, ["api.example"])
    assert len(found) == 2 and "proxy.example:3128" in found[0] and "api.example" in found[1]
    assert "hunter2" not in " ".join(found)


def test_a_page_recorded_without_tls_is_slower_with_it() -> None:
    (sentence,) = caveats([TARGET], [target_at(1, scheme="https")], Reach(), WireKind.FAST)
    assert "recorded without TLS" in sentence
