"""Files that were cut, changed or made on purpose: a clear sentence or a good capture, within memory."""

from __future__ import annotations

import gzip
import json
import random
import tempfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from captures.convert.formats import convert_file
from captures.convert.gor import SEPARATOR
from captures.convert.spool import Spool
from captures.errors import CaptureError, RushhourError
from captures.records import EventType
from captures.sessions import load_capture
from tests.captures.convert_samples.flows import START_S, flow, socket_flow, tnetstring
from tests.captures.convert_samples.hars import document, entry, message, socket
from tests.captures.convert_samples.large import measure, mixed, write_entries, write_one_body, write_one_socket
from tests.captures.convert_samples.reading import exchange_of, imported

_MIB = 1 << 20
_GET = b"GET /a HTTP/1.1\r\nHost: a.example\r\nContent-Length: 2\r\n\r\nhi"
_OK = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"

_SAMPLES = {
    "a.har": json.dumps(
        document(
            entry(request={"postData": {"mimeType": "text/plain", "text": "é"}}),
            socket([message(1, "hi", "send"), message(2, "AP8=", opcode=2)], _webSocketClose={"code": 1000}),
        )
    ).encode(),
    "a.mitm": tnetstring(flow(1)) + tnetstring(socket_flow(2, [[1, True, b"hi", START_S + 3, False, False]])),
    "a.gor": b"1 a 1700000000000000000\n" + _GET + SEPARATOR + b"2 a 1700000000000000009 5\n" + _OK + SEPARATOR,
}

samples = pytest.mark.parametrize("name", _SAMPLES)


def _survives(directory: Path, name: str, data: bytes) -> bool:
    """Convert; True where that gave a capture. Whatever happens, nothing half-done is left."""
    source, out = directory / name, directory / "out.rush"
    source.write_bytes(data)
    out.unlink(missing_ok=True)
    try:
        convert_file(str(source), str(out))
    except RushhourError as exc:
        assert str(source) in str(exc)
        assert not out.exists()
        return False
    capture = load_capture(out)
    assert capture.complete
    out.unlink()
    return True


@samples
def test_every_truncation_is_a_sentence_or_a_capture(name: str, tmp_path: Path) -> None:
    data = _SAMPLES[name]
    survived = [_survives(tmp_path, name, data[:size]) for size in range(0, len(data) + 1, 3)]
    assert not survived[0]
    assert _survives(tmp_path, name, data)


@samples
def test_every_changed_byte_is_a_sentence_or_a_capture(name: str, tmp_path: Path) -> None:
    data, rng = _SAMPLES[name], random.Random(7)
    for at in range(0, len(data), 5):
        changed = bytearray(data)
        changed[at] = rng.choice([changed[at] ^ 0xFF, 0x22, 0x7D, 0x2D, 0x39, 0])
        _survives(tmp_path, name, bytes(changed))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def _paths(node: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(found for key, item in items for found in _paths(item, (*path, key)))]


_HAR = json.loads(_SAMPLES["a.har"])
for _key in ("session", "rule", "notes", "chunks", "target", "isOpen", "connectAfterSend"):
    _HAR["log"]["entries"][0].setdefault("_rushhour", {})[_key] = None
_HAR["log"]["_rushhour"] = {"facts": {"a": 1}, "notes": [["n", 1, 1_714_557_600_250_000_000]]}
_HAR["log"]["entries"][0]["response"]["content"]["_rushhour"] = {"isWire": True, "size": 1, "kept": 1, "hash": ""}


@given(path=st.sampled_from(_paths(_HAR)[1:]), value=_JSON)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_value_in_any_place_of_a_har_is_a_sentence_or_a_capture(
    path: tuple[str | int, ...], value: object, tmp_path: Path
) -> None:
    har = json.loads(json.dumps(_HAR))
    node = har
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    _survives(tmp_path, "any.har", json.dumps(har).encode())


@given(data=st.binary(max_size=200), name=st.sampled_from(sorted(_SAMPLES)))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_a_sentence_or_a_capture(data: bytes, name: str, tmp_path: Path) -> None:
    _survives(tmp_path, name, data)
    _survives(tmp_path, f"{name}.gz", gzip.compress(data)[: len(data) + 5])


@pytest.mark.parametrize(
    "data",
    [
        b"[" * (12 * _MIB),
        b'{"log":' * (2 * _MIB),
        b'{"log":{"entries":' + b"[" * (12 * _MIB),
        b'{"log":{"entries":[{"request":' + b'{"a":' * (2 * _MIB),
        b'{"log":{"entries":[{"a":"' + b"x" * (12 * _MIB),
        b'{"log":{"entries":[{"a":"' + b"\\" * (12 * _MIB),
        b'{"log":{"entries":[{"a":"' + b"\\u00e9" * (2 * _MIB),
        b'{"' + b"k" * (12 * _MIB),
        b'{"log":{"entries":[' + b"9" * (12 * _MIB),
        b" " * (12 * _MIB),
        b'{"log":{"entries":[' + b"0," * 200_000,
        gzip.compress(b"[" * (60 * _MIB), 1),
        gzip.compress(b'{"log":{"entries":[{"a":"' + b"x" * (60 * _MIB), 1),
    ],
    ids=range(13),
)
def test_bombs_stop_within_memory(data: bytes, tmp_path: Path) -> None:
    source = tmp_path / "bomb.har"
    source.write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(CaptureError) as caught:
            convert_file(str(source), str(tmp_path / "out.rush"))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert str(source) in str(caught.value)
    assert len(str(caught.value)) < 1000
    assert peak_bytes < 80 * _MIB
    assert not (tmp_path / "out.rush").exists()


def test_deep_nesting_in_one_entry_costs_that_entry_alone(tmp_path: Path) -> None:
    deep = "[" * _MIB + "]" * _MIB
    text = json.dumps(document(entry(_initiator="@"), entry("https://shop.example/good"))).replace('"@"', deep)
    path = tmp_path / "deep.har"
    path.write_text(text, encoding="utf-8")
    assert exchange_of(imported(path)[0]).target == "/good"


@pytest.mark.process
def test_memory_does_not_grow_with_a_har(tmp_path: Path) -> None:
    makers = (
        lambda path: write_entries(path, mixed(random.Random(1)), 40_000_000),
        lambda path: write_one_socket(path, 30_000_000, "x" * 200),
        lambda path: write_one_body(path, 60_000_000),
    )
    for make in makers:
        path = tmp_path / "large.har"
        make(path)
        _, _, rss_mib = measure(path)
        assert rss_mib < 150


def test_a_socket_too_large_for_memory_keeps_all_its_messages(tmp_path: Path) -> None:
    path = tmp_path / "socket.har"
    n_messages = write_one_socket(path, 6_000_000, "x" * 200)
    _, conversion = imported(path)
    assert conversion.counts.messages == n_messages


@given(
    st.lists(st.tuples(st.integers(-5, 5), st.binary(max_size=50), st.booleans()), max_size=60), st.integers(1, 4000)
)
@settings(max_examples=60, deadline=None)
def test_what_is_spooled_comes_back_in_order_whatever_the_memory(
    items: list[tuple[int, bytes, bool]], run_bytes: int
) -> None:
    rows = [(time, data * (1000 if is_large else 1)) for time, data, is_large in items]
    with Spool(tempfile.gettempdir(), run_bytes=run_bytes) as spool:
        for number, (time, data) in enumerate(rows):
            spool.add((time, number, 0), EventType.RESPONSE_BODY, time, 1, number, {"data": data})
        found = [(t_ns, exchange, fields["data"]) for _, t_ns, _, exchange, fields in spool.rows()]
    expected = sorted(((time, number, data) for number, (time, data) in enumerate(rows)), key=lambda row: row[:2])
    assert found == expected
