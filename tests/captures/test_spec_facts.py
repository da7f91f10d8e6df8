"""SPEC.md names every fact and every note that the code writes, and none that it does not."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace

from captures.convert.formats import convert_file
from captures.edit.composition import EditOptions, edit
from captures.edit.patterns import choice_of, session_test
from captures.edit.selection import Selection
from captures.format.reader import open_capture
from captures.format.recover import recover
from captures.records import Anchor
from captures.redact.files import redact_file
from captures.redact.policy import Policy
from captures.redact.redactor import NOTE, Redactor
from recorder.parts import Parts
from recorder.rotation import Rotation
from recorder.settings import facts_of
from tests.captures.convert_samples.hars import entry, write_har
from tests.captures.recording import Tape
from tests.captures.samples import corrupted
from tests.captures.test_spec import SPEC
from tests.commands import ROOT

# Whose keys are somebody else's: the facts of sources, and what was asked of an edit.
_FOREIGN = {"facts", "done", "capture"}


def table(section: str) -> dict[str, str]:
    """A table of the page: what stands in its first column, and the rest of each row."""
    text = SPEC.partition(f"\n### {section}")[2].partition("\n## ")[0].partition("\n### ")[0]
    found: dict[str, str] = {}
    for cell, rest in re.findall(r"^\| (`.*?) \| (.*) \|$", text, re.MULTILINE):
        found |= dict.fromkeys(re.findall(r"`(\w+)`", cell), rest)
    return found


def keys_in(value: object) -> Iterator[str]:
    """All keys inside a fact."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield key
            if key not in _FOREIGN:
                yield from keys_in(inner)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from keys_in(item)


def captures_of_every_kind(directory: Path) -> Iterator[Path]:
    """Recorded, recorded in parts, imported, exported and imported, damaged and recovered, redacted, edited, merged."""
    recorded, har, imported = directory / "recorded.rush", directory / "in.har", directory / "imported.rush"
    with Tape(recorded) as tape:
        tape.ask("/a")
    yield recorded
    rotation = Rotation(size_bytes=1 << 20, age_ns=0)
    anchor = Anchor(wall_ns=1, monotonic_ns=1)
    Parts(directory / "part.rush", facts={}, anchor=anchor, rotation=rotation).close()
    yield directory / "part-0001.rush"
    version = {"name": "Chrome", "version": "131"}
    write_har(har, entry(), entry(started="2024-05-01T10:00:01.250Z"), browser=version)
    convert_file(str(har), str(imported))
    yield imported
    convert_file(str(recorded), str(directory / "out.har"))
    convert_file(str(directory / "out.har"), str(directory / "again.rush"))
    yield directory / "again.rush"
    damaged, recovered = directory / "damaged.rush", directory / "recovered.rush"
    damaged.write_bytes(corrupted(recorded.read_bytes(), recorded.stat().st_size - 40))
    recover(damaged, recovered)
    yield recovered
    redact_file(str(imported), str(directory / "redacted.rush"), Redactor(Policy(), bytes(32)))
    yield directory / "redacted.rush"
    merged = directory / "merged.rush"
    everything = Selection(sessions=choice_of(["1"], session_test))
    edit(EditOptions(sources=(str(damaged), str(imported)), out=str(merged), selection=everything))
    yield merged


def test_every_fact_that_is_written_stands_in_the_page(tmp_path: Path) -> None:
    described = table("3.1 Facts")
    written: set[str] = set()
    for path in captures_of_every_kind(tmp_path):
        with open_capture(path) as reader:
            facts = {name: value for name, value in reader.header.items() if name not in ("anchor", "format")}
        assert facts.keys() <= described.keys(), path
        for name, value in facts.items():
            inner = set(keys_in(value))
            assert inner <= set(re.findall(r"`(\w+)`", described[name])), (path, name)
            written |= {name, *inner}
    chosen = SimpleNamespace(rushhour_url="", rushhour_scope=[], rushhour_max_body=0)
    recorded = facts_of(chosen, "12.2.3")
    assert recorded.keys() <= described.keys()
    written |= recorded.keys()
    assert described.keys() - written == set(), "the page names a fact that nobody writes"


def notes_in(source: Path) -> Iterator[str]:
    """Names of notes that a module writes: by a helper, as keyword of an event, or in a dict of its fields."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            callee = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            names = [keyword.value for keyword in node.keywords if keyword.arg == "name"]
            is_event = any(isinstance(arg, ast.Attribute) and arg.attr == "NOTE" for arg in node.args)
            if callee == "_note":
                names = node.args[:1]
            elif callee == "append" and isinstance(node.args[0], ast.List) and ast.unparse(node.func) == "notes.append":
                # ``[name, value, time]``, as HARs list them.
                names = node.args[0].elts[:1]
            elif not is_event:
                names = []
            yield from (str(name.value) for name in names if isinstance(name, ast.Constant))
        elif isinstance(node, ast.Dict):
            keys = [key.value for key in node.keys if isinstance(key, ast.Constant)]
            pairs = dict(zip(keys, node.values, strict=False))
            if (
                tuple(pairs) == ("name", "value")
                and isinstance(pairs["name"], ast.Constant)
                and source.name != "devtools.py"
            ):
                yield str(pairs["name"].value)


def test_the_notes_in_the_page_are_those_that_the_code_writes() -> None:
    sources = [path for room in ("captures", "recorder") for path in (ROOT / room).rglob("*.py")]
    written = {name for source in sources for name in notes_in(source)} | {NOTE}
    assert set(table("3.2 Notes")) == written
