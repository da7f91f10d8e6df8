"""The house of design §1: which room may import what, and how large a room may be."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import rushhour
from tests.commands import ROOT

# Package · what it may import of ours, itself included.
STOREYS = {
    "captures": {"captures"},
    "analysis": {"analysis", "captures"},
    "recorder": {"recorder", "analysis", "captures"},
    "replayer": {"replayer", "analysis", "captures"},
    "demo": {"demo", "recorder", "replayer", "analysis", "captures"},
    "golden": {"golden", "recorder", "replayer", "analysis", "captures"},
}

# Rooms that decide: told the time, the random generator and the bytes, so that tests need neither loop nor sleep.
PURE = (
    "analysis/evaluate.py",
    "analysis/histogram.py",
    "analysis/merge.py",
    "analysis/series.py",
    "analysis/slotcodec.py",
    "analysis/slots.py",
    "analysis/earliersteps.py",
    "analysis/steplog.py",
    "analysis/storedslots.py",
    "analysis/summary.py",
    "analysis/thresholds.py",
    "analysis/verdict.py",
    "analysis/progress.py",
    "analysis/report/columns.py",
    "analysis/report/endpoints.py",
    "analysis/report/facts.py",
    "analysis/report/failures.py",
    "analysis/report/moments.py",
    "analysis/report/percentiles.py",
    "analysis/report/played.py",
    "analysis/report/plot.py",
    "analysis/report/recovery.py",
    "analysis/report/scale.py",
    "analysis/report/sockets.py",
    "analysis/report/stack.py",
    "analysis/report/table.py",
    "analysis/report/verdicts.py",
    "analysis/report/waterfalls.py",
    "analysis/report/markup.py",
    "analysis/report/text.py",
    "analysis/pacing.py",
    "analysis/storms.py",
    "analysis/report/storms.py",
    "analysis/verification.py",
    "captures/format/codec.py",
    "captures/format/idset.py",
    "captures/leaves.py",
    "captures/edit/mover.py",
    "captures/edit/patterns.py",
    "captures/edit/selection.py",
    "captures/view/timeline.py",
    "captures/view/timeline_draft.py",
    "captures/errors.py",
    "captures/format/framing.py",
    "captures/records.py",
    "captures/units.py",
    "recorder/translate.py",
    "golden/causes.py",
    "golden/differences.py",
    "replayer/load/**/*.py",
    "replayer/plan/**/*.py",
    "replayer/pool/assignment.py",
    "replayer/pool/protocol.py",
    "replayer/speaking.py",
    "replayer/user/**/*.py",
    "replayer/wire/hpack*.py",
    "replayer/wire/http2_*.py",
    "replayer/wire/deflate.py",
    "replayer/wire/frames*.py",
    "replayer/wire/sse.py",
    "replayer/wire/websocket_handshake.py",
)
IMPURE = {
    "asyncio",
    "multiprocess",
    "random",
    "select",
    "selectors",
    "signal",
    "socket",
    "ssl",
    "subprocess",
    "threading",
    "time",
    "uvloop",
}

# What only an adapter may import · the adapters.
ADAPTERS = {
    "mitmproxy": ("recorder/addon.py",),
    "httptools": ("replayer/wire/",),
    "ssl": ("replayer/wire/",),
    "asyncio": ("replayer/wire/", "replayer/pool/", "demo/"),
    "uvloop": ("replayer/wire/", "replayer/pool/", "demo/"),
    "websockets": ("replayer/wire/", "demo/"),
    "httpx": ("replayer/wire/", "demo/"),
    "multiprocess": ("replayer/pool/", "demo/"),
    "starlette": ("demo/",),
    "uvicorn": ("demo/",),
    "pickle": (),
}
# Names that say nothing about what is inside.
EMPTY_NAMES = {"common", "helper", "helpers", "manager", "misc", "tools", "util", "utils"}
MAX_LINES = 500


def _modules() -> list[Path]:
    return sorted(path for package in STOREYS for path in (ROOT / package).rglob("*.py"))


def _named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _imports(node: ast.AST) -> Iterator[str]:
    """Yield what a module imports when it runs, wherever the import stands; imports for type checkers are none."""
    match node:
        case ast.Import(names=names):
            yield from (alias.name for alias in names)
        case ast.ImportFrom(module=str(module), level=0):
            yield module
        case ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=branch):
            yield from _imports(ast.Module(body=branch, type_ignores=[]))
        case _:
            for child in ast.iter_child_nodes(node):
                yield from _imports(child)


def _roots(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in _imports(ast.parse(path.read_text(encoding="utf-8")))}


modules = pytest.mark.parametrize("path", _modules(), ids=_named)


@modules
def test_imports_go_down_and_never_sideways(path: Path) -> None:
    ours = {*STOREYS, "rushhour", "tests", "benchmarks"}
    allowed = STOREYS[path.relative_to(ROOT).parts[0]]
    assert _roots(path) & ours <= allowed


@pytest.mark.parametrize("path", sorted((ROOT / "demo" / "target").rglob("*.py")), ids=_named)
def test_the_demos_target_imports_nothing_of_ours(path: Path) -> None:
    imported = set(_imports(ast.parse(path.read_text(encoding="utf-8"))))
    strays = {name for name in imported if name.partition(".")[0] in STOREYS and not name.startswith("demo.target")}
    assert not strays


@modules
def test_only_adapters_import_what_they_adapt(path: Path) -> None:
    strays = {name for name in _roots(path) & ADAPTERS.keys() if not _named(path).startswith(ADAPTERS[name])}
    assert not strays


@modules
def test_a_room_is_small_and_named_for_what_it_does(path: Path) -> None:
    assert path.read_text(encoding="utf-8").count("\n") <= MAX_LINES
    assert path.stem not in EMPTY_NAMES


@pytest.mark.parametrize("path", [path for path in _modules() if path.name == "__init__.py"], ids=_named)
def test_importing_a_package_runs_nothing(path: Path) -> None:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    assert all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in body)


@pytest.mark.parametrize("pattern", PURE)
def test_pure_rooms_import_no_clock_no_chance_and_no_socket(pattern: str) -> None:
    found = list(ROOT.glob(pattern))
    assert found
    assert not {(_named(path), name) for path in found for name in _roots(path) & IMPURE}


@pytest.mark.parametrize("name", rushhour.COMMANDS)
def test_every_command_of_the_table_exists(name: str) -> None:
    module, attribute, short_help = rushhour.COMMANDS[name]
    command = getattr(importlib.import_module(module), attribute)
    assert isinstance(command, click.Command)
    assert command.name == name
    assert short_help.endswith(".")


def test_import_probe_sees_lazy_imports_and_skips_those_for_types() -> None:
    source = "if TYPE_CHECKING:\n    import random\nelse:\n    import time\ndef f():\n    from socket import socket\n"
    assert set(_imports(ast.parse(source))) == {"time", "socket"}
