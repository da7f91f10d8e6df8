"""How staging is reached: TLS, credentials, proxies. Secrets come from the environment and are shown nowhere."""

from __future__ import annotations

import os
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from captures.errors import ConfigError
from replayer.options.setting import FILE, Given, setting
from replayer.proxies import ProxyChoice, ProxyMode, parse_proxy_choice
from replayer.reach import TlsSettings

CERT_PASSWORD_VARIABLE = "RUSHHOUR_CERT_PASSWORD"

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_HEADER_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_OURS = frozenset({"host", "connection", "content-length", "transfer-encoding", "upgrade", "te", "trailer", "expect"})

REACH_SETTINGS = (
    setting("--header", "headers", multiple=True, metavar="NAME=env:VAR", help="A header for every request."),
    setting("--basic-auth", metavar="env:VAR", help="Basic authentication; the variable holds USER:PASSWORD."),
    setting("--insecure", is_flag=True, help="Do not verify certificates."),
    setting("--ca", type=FILE, metavar="FILE", help="PEM file of further authorities to trust."),
    setting(
        "--cert",
        metavar="FILE[:KEY]",
        help=f"PEM file of our certificate, and its key; {CERT_PASSWORD_VARIABLE} opens the key.",
    ),
    setting(
        "--tls-resume",
        type=click.Choice(["on", "off"]),
        default="on",
        show_default=True,
        help="Whether users resume TLS sessions, as browsers do; off makes every handshake a full one.",
    ),
    setting(
        "--proxy",
        default="auto",
        show_default=True,
        metavar="auto|none|env:VAR",
        help="auto: HTTP_PROXY, HTTPS_PROXY, NO_PROXY, never for loopback. env:VAR: this one for every target.",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReachOptions:
    """How targets are reached.

    Attributes:
        headers: of ``--header``.
        authorization: value of Authorization that ``--basic-auth`` makes, or b"".
    """

    headers: tuple[tuple[bytes, bytes], ...] = field(default=(), repr=False)
    authorization: bytes = field(default=b"", repr=False)
    tls: TlsSettings = TlsSettings()
    proxy: ProxyChoice = ProxyChoice(mode=ProxyMode.NONE)

    def __post_init__(self) -> None:
        if self.tls.insecure and self.tls.ca_file is not None:
            raise ConfigError("--insecure and --ca contradict each other", "give one of them")
        if self.authorization and any(name.lower() == b"authorization" for name, _ in self.headers):
            raise ConfigError("--basic-auth and --header Authorization contradict each other", "give one of them")

    @property
    def added(self) -> tuple[tuple[bytes, bytes], ...]:
        """What is added to every request and handshake, replacing recorded headers of the same name."""
        return (*self.headers, (b"Authorization", self.authorization)) if self.authorization else self.headers

    def to_table(self) -> dict[str, Any]:
        """Return the options by their names on the command line; no value of a header, no credentials."""
        tls = self.tls
        cert = None if tls.cert_file is None else ":".join(filter(None, (tls.cert_file, tls.key_file)))
        return {
            "header": [name.decode() for name, _ in self.headers],
            "basic-auth": "given" if self.authorization else None,
            "insecure": tls.insecure,
            "ca": tls.ca_file,
            "cert": cert,
            "tls-resume": "on" if tls.resumes else "off",
            "proxy": str(self.proxy),
        }


def reach_from(given: Given) -> ReachOptions:
    """Return validated options from the command line's values.

    Raises:
        ConfigError: the first thing that cannot be.
    """
    environment = os.environ
    headers = [parse_header(text, environment) for text in given["headers"]]
    login = given["basic_auth"]
    cert_file, key_file = parse_cert(given["cert"])
    tls = TlsSettings(
        insecure=given["insecure"],
        ca_file=None if given["ca"] is None else str(Path(given["ca"]).resolve()),
        cert_file=cert_file,
        key_file=key_file,
        key_password=environment.get(CERT_PASSWORD_VARIABLE),
        resumes=given["tls_resume"] == "on",
    )
    _check_files(tls)
    return ReachOptions(
        headers=tuple(headers),
        authorization=b"" if login is None else parse_basic_auth(login, environment),
        tls=tls,
        proxy=parse_proxy_choice(given["proxy"], environment),
    )


def parse_header(text: str, environment: Mapping[str, str]) -> tuple[bytes, bytes]:
    """Read ``NAME=env:VAR``: a header whose value comes from the environment, so that no secret is in a command line.

    Raises:
        ConfigError: not of this form, a header that the wire makes itself, or the variable is not set.
    """
    name, equals, source = text.partition("=")
    if not equals or not _HEADER_NAME.fullmatch(name) or not source.startswith("env:") or source == "env:":
        raise ConfigError(f"--header {text.partition('=')[0]!r} is not NAME=env:VAR", "write X-Api-Key=env:API_KEY")
    if name.lower() in _OURS or name.lower().startswith("sec-websocket-"):
        raise ConfigError(f"--header {name} is made by the wire itself", "leave it out")
    encoded = _from_environment(source, environment, option=f"--header {name}")
    if not _HEADER_VALUE.fullmatch(encoded):
        raise ConfigError(
            f"--header {name}: the value of {source[4:]} has a line break or control character", "mend it"
        )
    return name.encode(), encoded


def parse_basic_auth(text: str, environment: Mapping[str, str]) -> bytes:
    """Read ``env:VAR``, where VAR holds ``USER:PASSWORD``; returns the value of Authorization.

    Source: RFC 7617 §2.

    Raises:
        ConfigError: not of this form, or the variable is not set or holds no colon.
    """
    if not text.startswith("env:") or text == "env:":
        raise ConfigError("--basic-auth is not env:VAR", "write --basic-auth env:STAGING_LOGIN; it holds USER:PASSWORD")
    credentials = _from_environment(text, environment, option="--basic-auth")
    if b":" not in credentials:
        raise ConfigError(f"--basic-auth: {text[4:]} has no colon", f"export {text[4:]}=USER:PASSWORD")
    return b"Basic " + b64encode(credentials)


def parse_cert(text: str | None) -> tuple[str | None, str | None]:
    """Read ``FILE[:KEY]``; returns absolute paths of certificate and key."""
    if text is None:
        return None, None
    cert, _, key = text.partition(":")
    return str(Path(cert).resolve()), str(Path(key).resolve()) if key else None


def _from_environment(source: str, environment: Mapping[str, str], *, option: str) -> bytes:
    variable = source.removeprefix("env:")
    value = environment.get(variable)
    if value is None:
        raise ConfigError(f"{option}: the variable {variable} is not set", f"export {variable} first")
    return value.encode("utf-8", "surrogateescape")


def _check_files(tls: TlsSettings) -> None:
    if tls.ca_file is not None or tls.cert_file is not None:
        from replayer.wire.contexts import check_files  # ``--help`` need not wait for it.

        check_files(tls, password_variable=CERT_PASSWORD_VARIABLE)
