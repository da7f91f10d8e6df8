"""The wheel, installed outside the checkout: complete, free of tests, and at home among packages of the same names."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from demo.server import Target
from tests.commands import ROOT, run_rushhour

pytestmark = pytest.mark.process

PACKAGES = ("analysis", "captures", "demo", "golden", "recorder", "replayer")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a copy of the checkout, so that nothing is built inside it."""
    copy = tmp_path_factory.mktemp("source") / "rushhour"
    copy.mkdir()
    for name in (*PACKAGES, "rushhour.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE", "tests"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy / name)
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--wheel-dir",
        ".",
    ]
    subprocess.run([*build, "./rushhour"], cwd=copy.parent, check=True, capture_output=True, timeout=120)
    (built,) = copy.parent.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def command(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The ``rushhour`` of an environment that holds the wheel; what it depends on is borrowed from this one."""
    home = tmp_path_factory.mktemp("installed")
    venv.create(home, with_pip=False)
    python = str(home / "bin" / "python")
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True, capture_output=True, timeout=120)
    (site,) = home.glob("lib/python*/site-packages")
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return [str(home / "bin" / "rushhour")]


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A directory with somebody else's packages of our names, which must never be imported."""
    for name in PACKAGES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise SystemExit('foreign {name} was imported')\n")
    return tmp_path


def test_the_wheel_holds_what_it_needs_and_no_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {*PACKAGES, "rushhour.py", "rushhour-0.1.0.dist-info"}
    assert not [name for name in names if "test" in name]
    shipped = {path.relative_to(ROOT).as_posix() for package in PACKAGES for path in _shipped(ROOT / package)}
    assert shipped <= set(names)


def _shipped(package: Path) -> list[Path]:
    return [path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts]


def test_the_base_never_pulls_mitmproxy(wheel: Path) -> None:
    (metadata,) = [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".dist-info/METADATA")]
    required = [
        line
        for line in zipfile.ZipFile(wheel).read(metadata).decode().splitlines()
        if line.startswith("Requires-Dist:") and "mitmproxy" in line
    ]
    assert required
    assert all('extra == "record"' in line for line in required)


def test_it_says_its_version_among_foreign_packages(command: list[str], foreign: Path) -> None:
    assert run_rushhour("--version", cwd=foreign, command=command).stdout == "rushhour 0.1.0\n"


def test_the_golden_capture_is_replayed_by_workers_among_foreign_packages(
    command: list[str], foreign: Path, golden: Path, demo_target: Target
) -> None:
    capture = _installed(command) / golden.relative_to(ROOT)
    arguments = ["replay", str(capture), "--target", demo_target.url, "--users", "2", "--workers", "2", "--speed", "10"]
    generous = ["--threshold", "http p95 < 5s", "--threshold", "session complete >= 100%", "--allow-lag"]
    ended = run_rushhour(
        *arguments, *generous, "--out", "run", cwd=foreign, command=command, env={"PYTHONPATH": str(foreign)}
    )
    summary = json.loads((foreign / "run" / "summary.json").read_text())
    assert summary["users"]["completed"] == 2, ended.stderr
    assert summary["totals"]["failed"] == 0
    assert (foreign / "run" / "report.html").is_file()


@pytest.mark.browser
def test_the_demo_runs_among_foreign_packages(command: list[str], foreign: Path) -> None:
    ended = run_rushhour("demo", cwd=foreign, command=command, env={"PYTHONPATH": str(foreign)})
    assert "Traceback" not in ended.stderr
    (summary_file,) = foreign.rglob("summary.json")
    summary = json.loads(summary_file.read_text())
    assert summary["users"]["completed"] == summary["users"]["planned"] > 1
    assert summary["totals"]["failed"] == 0
    assert ended.returncode == summary["exit_code"]


def _installed(command: list[str]) -> Path:
    (site,) = Path(command[0]).parent.parent.glob("lib/python*/site-packages")
    assert (site / "rushhour.py").is_file()
    assert os.path.commonpath([site, ROOT]) != str(ROOT)
    return site
