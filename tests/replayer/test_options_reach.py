"""Options that say how staging is reached: secrets come from the environment, and nothing repeats them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from captures.errors import ConfigError
from captures.records import Origin
from replayer.options.reach import CERT_PASSWORD_VARIABLE, ReachOptions, parse_basic_auth, parse_cert, parse_header
from replayer.proxies import ProxyMode, parse_proxy, parse_proxy_choice
from replayer.reach import TlsSettings, reach_from_body, reach_to_body
from replayer.wire.contexts import check_files
from tests.faults.tls import make_authority

checked = partial(check_files, password_variable=CERT_PASSWORD_VARIABLE)
STAGING = Origin("https", "staging.example", 443)


def test_a_header_takes_its_value_from_the_environment() -> None:
    assert parse_header("X-Api-Key=env:KEY", {"KEY": "s3cret=="}) == (b"X-Api-Key", b"s3cret==")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("X-Api-Key=hunter2", "is not NAME=env:VAR"),  # a literal secret is not for command lines
        ("X-Api-Key", "is not NAME=env:VAR"),
        ("X Api=env:KEY", "is not NAME=env:VAR"),
        ("X-Api-Key=env:", "is not NAME=env:VAR"),
        ("Host=env:KEY", "made by the wire"),
        ("sec-websocket-key=env:KEY", "made by the wire"),
        ("X-Api-Key=env:MISSING", "MISSING is not set"),
        ("X-Api-Key=env:EVIL", "line break"),
    ],
)
def test_any_other_header_is_refused_without_repeating_its_value(text: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint) as caught:
        parse_header(text, {"KEY": "1", "EVIL": "hunter2\r\nX: y"})
    assert "hunter2" not in str(caught.value)


def test_basic_authentication_is_the_header_of_the_rfc() -> None:
    # RFC 7617 §2: Aladdin with the password "open sesame".
    value = parse_basic_auth("env:LOGIN", {"LOGIN": "Aladdin:open sesame"})
    assert value == b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    options = ReachOptions(headers=((b"X-A", b"1"),), authorization=value)
    assert options.added == ((b"X-A", b"1"), (b"Authorization", value))
    assert options.to_table()["basic-auth"] == "given" and options.to_table()["header"] == ["X-A"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("user:hunter2", "is not env:VAR"),
        ("env:", "is not env:VAR"),
        ("env:MISSING", "MISSING is not set"),
        ("env:NO_COLON", "has no colon"),
    ],
)
def test_any_other_basic_authentication_is_refused_without_repeating_it(text: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint) as caught:
        parse_basic_auth(text, {"NO_COLON": "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_two_authorizations_contradict_each_other() -> None:
    with pytest.raises(ConfigError, match="contradict"):
        ReachOptions(headers=((b"authorization", b"x"),), authorization=b"Basic eA==")
    with pytest.raises(ConfigError, match="--insecure and --ca"):
        ReachOptions(tls=TlsSettings(insecure=True, ca_file="ca.pem"))


def test_no_secret_is_shown_by_what_holds_it() -> None:
    options = ReachOptions(
        headers=((b"X-Key", b"hunter2"),),
        authorization=b"Basic hunter2",
        tls=TlsSettings(key_password="hunter2"),
        proxy=parse_proxy_choice("env:P", {"P": "http://u:hunter2@proxy.example:3128"}),
    )
    proxy = options.proxy.for_target(STAGING)
    assert "hunter2" not in repr(options) + repr(options.to_table()) + repr(proxy)
    assert proxy is not None and proxy.authorization == b"Basic dTpodW50ZXIy"


def test_a_certificate_may_stand_beside_its_key_or_in_one_file(tmp_path: Path) -> None:
    authority = make_authority(tmp_path)
    both = tmp_path / "both.pem"
    both.write_bytes(Path(authority.client_cert_file).read_bytes() + Path(authority.client_key_file).read_bytes())
    for text in (f"{authority.client_cert_file}:{authority.client_key_file}", str(both)):
        cert, key = parse_cert(text)
        checked(TlsSettings(cert_file=cert, key_file=key))
    assert parse_cert(None) == (None, None)


def test_the_key_of_a_certificate_may_be_encrypted(tmp_path: Path) -> None:
    leaf = trustme.CA().issue_cert("tester@example.org")
    key = serialization.load_pem_private_key(leaf.private_key_pem.bytes(), None)
    cipher = serialization.BestAvailableEncryption(b"hunter2")
    form = serialization.PrivateFormat.PKCS8
    locked = tmp_path / "locked.pem"
    locked.write_bytes(leaf.cert_chain_pems[0].bytes() + key.private_bytes(serialization.Encoding.PEM, form, cipher))
    checked(TlsSettings(cert_file=str(locked), key_password="hunter2"))
    for password in (None, "wrong"):
        with pytest.raises(ConfigError, match="RUSHHOUR_CERT_PASSWORD"):
            checked(TlsSettings(cert_file=str(locked), key_password=password))


def test_files_that_are_none_are_refused_before_the_run(tmp_path: Path) -> None:
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    for settings, option in (
        (TlsSettings(ca_file=str(text)), "--ca"),
        (TlsSettings(ca_file=str(tmp_path / "none.pem")), "--ca"),
        (TlsSettings(cert_file=str(text)), "--cert"),
    ):
        with pytest.raises(ConfigError, match=option):
            checked(settings)


_VARIABLES = {
    "HTTP_PROXY": "http://plain.example:3128",
    "https_proxy": "secure.example:8080",
    "HTTPS_PROXY": "http://never.example",
    "NO_PROXY": "internal.example, .corp.example,10.0.0.0/8,*.wild.example,pinned.example:8443",
}


@pytest.mark.parametrize(
    ("target", "proxy"),
    [
        (STAGING, "secure.example"),  # lower case before upper case
        (Origin("http", "staging.example", 80), "plain.example"),
        (Origin("http", "127.0.0.1", 80), None),  # loopback never, unless asked for
        (Origin("https", "localhost", 443), None),
        (Origin("http", "app.localhost", 80), None),
        (Origin("http", "::1", 80), None),
        (Origin("https", "internal.example", 443), None),
        (Origin("https", "api.internal.example", 443), None),
        (Origin("https", "notinternal.example", 443), "secure.example"),
        (Origin("https", "x.corp.example", 443), None),
        (Origin("https", "10.20.30.40", 443), None),
        (Origin("https", "11.20.30.40", 443), "secure.example"),
        (Origin("https", "a.wild.example", 443), None),
        (Origin("https", "pinned.example", 8443), None),
        (Origin("https", "pinned.example", 443), "secure.example"),
    ],
)
def test_the_standard_variables_choose_the_proxy(target: Origin, proxy: str | None) -> None:
    found = parse_proxy_choice("auto", _VARIABLES).for_target(target)
    assert (found and found.host) == proxy


def test_a_proxy_that_was_asked_for_takes_everything_and_none_takes_nothing() -> None:
    loopback = Origin("http", "127.0.0.1", 8000)
    asked = parse_proxy_choice("env:MINE", {"MINE": "proxy.example:81", **_VARIABLES})
    for target in (loopback, STAGING):
        found = asked.for_target(target)
        assert found is not None and (found.host, found.port) == ("proxy.example", 81)
    none = parse_proxy_choice("none", _VARIABLES)
    assert none.mode is ProxyMode.NONE and none.for_target(STAGING) is None


def test_a_variable_that_nobody_uses_may_hold_anything() -> None:
    choice = parse_proxy_choice("auto", {"HTTPS_PROXY": "socks5://u:hunter2@x"})
    assert choice.for_target(Origin("https", "127.0.0.1", 443)) is None
    with pytest.raises(ConfigError, match="HTTPS_PROXY is not an http proxy") as caught:
        choice.for_target(STAGING)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "http://", "https://proxy.example", "http://x:port", "http://[::1"])
def test_what_is_no_proxy_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="P is not"):
        parse_proxy(text, "P")


@pytest.mark.parametrize("text", ["proxy.example:3128", "env:", "env:MISSING", ""])
def test_a_proxy_is_never_written_in_the_command_line(text: str) -> None:
    with pytest.raises(ConfigError, match="--proxy"):
        parse_proxy_choice(text, {})


def test_what_a_worker_is_told_survives_its_journey() -> None:
    choice = ReachOptions(tls=TlsSettings(ca_file="ca.pem", cert_file="c", key_file="k", resumes=False))
    from replayer.reach import ProxySpec, Reach

    reach = Reach(
        tls=choice.tls, proxies=(ProxySpec(host="p", port=1, addresses=("127.0.0.1",)),), sources=("127.0.0.2",)
    )
    assert reach_from_body(reach_to_body(reach)) == reach
