"""What ``rushhour record`` says at its beginning and at its end."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from captures.redact.inputs import IDENTITIES_SUFFIX
from recorder.login import read_state
from recorder.options import RecordOptions, RecordResult, Visit
from recorder.summary import inputs, left_out, next_commands, told, warnings


def greeting(options: RecordOptions, addresses: Sequence[str], certificate: Path) -> Iterator[str]:
    """Say where to go, and whom to trust."""
    if not options.redaction.is_on:
        yield f"NOT REDACTED: passwords and tokens go into {options.out} as they are; keep it like a password"
    if options.visit is not Visit.SOMEONE:
        yield f"recording {options.url} into {options.out}; close the browser or press Ctrl-C to stop"
        yield from _login(options)
        return
    yield f"recording {options.url} into {options.out}; press Ctrl-C to stop"
    if options.listen is not None:
        yield from _reverse(options, addresses[0], certificate)
        return
    for address in addresses:
        yield f"proxy:   {address}   (set it for HTTP and HTTPS, for localhost too)"
    yield f"trust:   {certificate}"
    yield f"  curl:    curl --proxy {addresses[0]} --cacert {certificate} {options.url}"
    yield from _trust()


def _reverse(options: RecordOptions, address: str, certificate: Path) -> Iterator[str]:
    yield f"visit:   {address}/   in place of {options.url}"
    if options.listen is not None and not options.listen.is_loopback:
        yield f"         whoever reaches {options.listen.address} reaches the site through it, and is recorded"
    yield "         links with the site's own address in a page's text lead past the recorder"
    if address.startswith("https:"):
        yield f"trust:   {certificate}"
        yield f"  curl:    curl --cacert {certificate} {address}/"
        yield from _trust()


def _trust() -> Iterator[str]:
    yield "  firefox: Settings, Certificates, View Certificates, Authorities, Import"
    yield "  system:  copy it to /usr/local/share/ca-certificates/rushhour.crt, then update-ca-certificates"


def _login(options: RecordOptions) -> Iterator[str]:
    if options.login.profile is not None:
        yield f"the profile {options.login.profile} is used and kept; what its service workers hold is not asked for"
    if options.login.state is not None:
        for what in read_state(options.login.state).left_out:
            yield f"not brought back from {options.login.state}: {what}"


def farewell(options: RecordOptions, result: RecordResult) -> Iterator[str]:
    """Say what was recorded, what was not, and what to type next."""
    path = str(result.path)
    if not result.is_kept:
        yield f"nothing was recorded: no request to the host of {options.url} came through; {path} was not kept"
        yield from warnings(result.counts)
        yield from left_out(result.left_out)
        yield f"next: rushhour record {shlex.quote(options.url)} once more, and use the page while it runs"
        return
    yield from told(result.counts, result.left_out, path)
    if len(result.paths) > 1:
        yield f"in {len(result.paths)} files, each complete by itself: {result.paths[0]} to {result.paths[-1]}"
    is_written = Path(f"{options.out}{IDENTITIES_SUFFIX}").exists()
    yield from inputs(str(options.out), result.columns, is_written=is_written)
    if result.sealed_early:
        yield f"the capture ends early: {result.sealed_early}"
        yield f"what is in it can be read; if it is damaged: rushhour recover {shlex.quote(path)} -o recovered.rush"
    yield "next:"
    identities = f"{options.out}{IDENTITIES_SUFFIX}" if result.columns else ""
    for command in next_commands(path, options.url, identities):
        yield f"  {command}"
