"""A HAR in a zip archive, with its bodies beside it there; and archives that are made to do harm."""

from __future__ import annotations

import hashlib
import json
import random
import zipfile
from pathlib import Path

import pytest

from captures.convert import attachments
from captures.convert.formats import convert_file
from captures.convert.tape import KEPT_BYTES
from captures.errors import CaptureError, ConfigError
from captures.records import Peer
from tests.captures.convert_samples.hars import document, entry, message
from tests.captures.convert_samples.reading import exchange_of, exchanges_of, imported

BODY = b'{"rows": [1, 2, 3]}'
NAME = f"{hashlib.sha1(BODY).hexdigest()}.json"
ATTACHED = entry(response={"content": {"size": len(BODY), "mimeType": "application/json", "_file": NAME}})
MIB = 1024 * 1024


def archive(path: Path, har: str | bytes, files: dict[str, bytes] | None = None, *, name: str = "har.har") -> Path:
    """A zip archive as Playwright writes it: the bodies first, the HAR last."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for file_name, data in (files or {}).items():
            made.writestr(file_name, data)
        made.writestr(name, har)
    return path


@pytest.mark.parametrize("file_name", ["login.har.zip", "login.zip", "login.har"])
@pytest.mark.parametrize("member", ["har.har", "login.har"])
def test_har_and_bodies_are_read_out_of_the_archive(file_name: str, member: str, tmp_path: Path) -> None:
    source = archive(tmp_path / file_name, json.dumps(document(ATTACHED)), {NAME: BODY}, name=member)
    capture, conversion = imported(source)
    assert exchange_of(capture).response_body.data == BODY and conversion.not_held == []


def test_the_messages_of_a_socket_are_read_out_of_the_archive(tmp_path: Path) -> None:
    lines = [message(number, f"tick {number}", kind="receive") for number in range(3)]
    name = f"{hashlib.md5(b'socket').hexdigest()}.jsonl"
    content = {"size": 0, "mimeType": "x-unknown", "_file": name}
    upgrade = entry("wss://shop.example/live", response={"status": 101, "headers": [], "content": content})
    files = {name: b"\n".join(json.dumps(line).encode() for line in lines)}
    capture, _ = imported(archive(tmp_path / "a.har.zip", json.dumps(document(upgrade)), files))
    socket = exchange_of(capture).socket
    assert socket is not None
    assert [(each.data, each.sender) for each in socket.messages] == [
        (f"tick {number}".encode(), Peer.SERVER) for number in range(3)
    ]


def test_a_file_that_the_archive_lacks_costs_that_body_and_is_told_of(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"a file of the same name beside the archive is none of it")
    capture, conversion = imported(archive(tmp_path / "a.har.zip", json.dumps(document(ATTACHED))))
    assert exchange_of(capture).response_body.data == b""
    assert conversion.not_held == [
        f"bodies in files that cannot be read: 1 (first: entry 1: {NAME}: it is not in the archive)"
    ]


def test_a_name_that_leads_out_of_the_archive_is_not_looked_at(tmp_path: Path) -> None:
    outside = entry(response={"content": {"size": 9, "mimeType": "text/plain", "_file": "../../etc/passwd"}})
    har = json.dumps(document(outside))
    capture, conversion = imported(archive(tmp_path / "a.har.zip", har, {"../../etc/passwd": b"root:x:0:0"}))
    assert exchange_of(capture).response_body.data == b""
    assert "bodies in other files" in conversion.not_held[0]


def test_a_body_larger_than_what_is_kept_is_cut_and_its_size_kept(tmp_path: Path) -> None:
    body = random.Random(1).randbytes(KEPT_BYTES + 5)
    name = f"{hashlib.sha1(body).hexdigest()}.bin"
    large = entry(response={"content": {"size": len(body), "mimeType": "image/png", "_file": name}})
    capture, _ = imported(archive(tmp_path / "a.har.zip", json.dumps(document(large)), {name: body}))
    kept = exchange_of(capture).response_body
    assert (len(kept.data), kept.size_bytes) == (KEPT_BYTES, len(body)) and kept.is_cut


def refusal(source: Path) -> str:
    """What is said of an archive that is not converted; nothing is left behind."""
    out = source.with_suffix(".rush")
    with pytest.raises(CaptureError) as caught:
        convert_file(str(source), str(out))
    assert not out.exists()
    return str(caught.value)


def test_a_har_that_unpacks_for_ever_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attachments, "MAX_UNPACKED_BYTES", 4 * MIB)
    har = b'{"log":{"entries":[' + b" " * (64 * MIB) + b"]}}"
    assert "unpacks to more than" in refusal(archive(tmp_path / "bomb.har.zip", har))


def test_bodies_that_unpack_for_ever_are_stopped_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attachments, "MAX_UNPACKED_BYTES", 4 * MIB)
    har = json.dumps(document(*[ATTACHED] * 40))
    assert "unpacks to more than" in refusal(archive(tmp_path / "bomb.har.zip", har, {NAME: bytes(MIB)}))


def test_an_ordinary_archive_of_any_size_is_within_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attachments, "MAX_UNPACKED_BYTES", 1)
    entries = [entry(f"https://shop.example/items/{number}") for number in range(2000)]
    capture, _ = imported(archive(tmp_path / "a.har.zip", json.dumps(document(*entries))))
    assert len(exchanges_of(capture)) == 2000


def test_an_archive_that_lists_too_many_files_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attachments, "MAX_DIRECTORY_BYTES", 10_000)
    source = archive(tmp_path / "a.har.zip", "{}", {f"{number:040x}": b"" for number in range(500)})
    assert "lists too many files" in refusal(source)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["trace.trace", "trace.network"], "without a HAR in it"),  # Playwright's other archive
        (["a.har", "b.har"], "without a HAR in it"),
        (["deep/har.har"], "without a HAR in it"),
    ],
)
def test_an_archive_without_a_har_is_refused(names: list[str], said: str, tmp_path: Path) -> None:
    source = tmp_path / "a.har.zip"
    with zipfile.ZipFile(source, "w") as made:
        for name in names:
            made.writestr(name, "{}")
    assert said in refusal(source)


def test_every_truncation_and_flipped_byte_is_an_error_or_a_clean_import(tmp_path: Path) -> None:
    whole = archive(tmp_path / "whole.har.zip", json.dumps(document(ATTACHED)), {NAME: BODY}).read_bytes()
    source, out = tmp_path / "a.har.zip", tmp_path / "a.rush"
    for at in range(0, len(whole), 3):
        flipped = bytes([*whole[:at], whole[at] ^ 0x20, *whole[at + 1 :]])
        for data in (whole[:at], flipped):
            source.write_bytes(data)
            out.unlink(missing_ok=True)
            try:
                convert_file(str(source), str(out))
            except (CaptureError, ConfigError) as exc:
                assert str(exc).startswith(str(source))
                continue
            assert out.exists()


def test_an_encrypted_member_is_said_to_be_one(tmp_path: Path) -> None:
    source = archive(tmp_path / "a.har.zip", json.dumps(document(entry())))
    data = bytearray(source.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    source.write_bytes(data)
    assert "it is encrypted" in refusal(source)
