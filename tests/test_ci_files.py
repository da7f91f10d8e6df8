"""The ready files for CI systems and containers: every step runs in a clean clone, every file is valid."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.commands import ROOT

CI = ROOT / "docs" / "ci"
WORKFLOWS = sorted(CI.glob("github-*.yml"))
PORT = "8000"
STEP_TIMEOUT_S = 150
# A busy machine may find itself too slow; what counts is that a step comes to a verdict and leaves its files.
VERDICTS = {0, 1, 4, 5}
_EXPRESSION = re.compile(r"\$\{\{\s*(?:[\w.]+\s*\|\|\s*'(?P<default>[^']*)'|(?P<name>[\w.]+))\s*\}\}")


def read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = YAML(typ="safe").load(path)
    return document


def jobs_of(path: Path) -> list[dict[str, Any]]:
    return list(read(path)["jobs"].values())


class Clone:
    """A clean clone in a directory of its own, with an environment in which nothing is installed yet."""

    def __init__(self, directory: Path, environment: Path, home: Path) -> None:
        self.directory = directory
        self._home = home
        self._path = f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}"

    def run(self, script: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        """Run the text of a step as the runner does; nothing that it left running outlives it."""
        # Subtle: pip reads this variable the wrong way round, 0 means no isolation.
        offline = {"PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_INDEX": "1", "PIP_QUIET": "1"}
        own = {"PATH": self._path, "HOME": str(self._home), "XDG_CACHE_HOME": str(self._home / "cache")}
        with (self._home / "out").open("w") as out, (self._home / "err").open("w") as err:
            process = subprocess.Popen(
                ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", script],
                cwd=self.directory,
                env=os.environ | offline | own | env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
            try:
                code = process.wait(STEP_TIMEOUT_S)
            finally:
                self._end(process)
        texts = ((self._home / name).read_text() for name in ("out", "err"))
        return subprocess.CompletedProcess(script, code, *texts)

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> None:
        """End what is left of the step's own process group."""
        try:
            os.killpg(process.pid, signal.SIGTERM)
        except ProcessLookupError:
            return


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone of what is committed; what it depends on is borrowed from this environment."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is no checkout, there is nothing to clone")
    home = tmp_path_factory.mktemp("runner")
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(home / "work")], check=True, timeout=60)
    venv.create(home / "venv", with_pip=False)
    (site,) = (home / "venv").glob("lib/python*/site-packages")
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return Clone(home / "work", home / "venv", home)


@pytest.fixture(scope="module")
def port() -> str:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return str(server.getsockname()[1])


def _evaluated(value: object, port: str) -> str:
    """Evaluate the expressions that the files use, as on a push, in a repository without secrets."""
    text = _EXPRESSION.sub(lambda found: found["default"] or "", str(value))
    assert "${{" not in text, f"the test does not know this expression: {text}"
    return text.replace(PORT, port)


def _steps(job: dict[str, Any]) -> Iterator[str]:
    for step in job["steps"]:
        if "run" in step:
            yield step["run"]


QUICK = {
    "github-smoke": {"DURATION": "3s", "WARMUP": "1s"},
    "github-nightly": {
        "SCENARIOS": "baseline",
        "WARMUP": "1s",
        "OPTIONS": "--users 5 --for 3s --allow-lag",
        "GITHUB_SHA": "4f2a91c",
    },
}


def _run_steps(clone: Clone, name: str, port: str, *, first: int = 0) -> int:
    """Run the steps of a workflow from a number on, and return how the last one ended."""
    (job,) = jobs_of(clone.directory / "docs" / "ci" / f"{name}.yml")
    env = {name: _evaluated(value, port) for name, value in job["env"].items()} | QUICK[name]
    code = 0
    for script in list(_steps(job))[first:]:
        ended = clone.run(script, env)
        code = ended.returncode
        assert code in (VERDICTS if "rushhour" in script else {0}), f"{script}\n{ended.stdout}\n{ended.stderr}"
    return code


def _check_run(run: Path, code: int) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads((run / "summary.json").read_text())
    assert summary["exit_code"] == code
    assert (run / "report.html").is_file()
    assert (run / "junit.xml").is_file()
    return summary


@pytest.mark.process
def test_every_step_of_the_smoke_runs_in_a_clean_clone(clone: Clone, port: str) -> None:
    code = _run_steps(clone, "github-smoke", port)
    _check_run(clone.directory / "runs" / "smoke", code)


@pytest.mark.process
def test_every_step_of_the_nightly_runs_and_a_good_night_is_the_baseline_of_the_next(clone: Clone, port: str) -> None:
    code = _run_steps(clone, "github-nightly", port)
    run, nights = clone.directory / "runs" / "baseline", clone.directory / "trend" / "baseline"
    assert not _check_run(run, code)["baseline"]["runs"]
    kept = list(nights.iterdir())
    assert len(kept) == (code == 0), "a night that failed is no baseline"
    if code == 0:
        heads, night = (clone.directory / "trend" / "baseline.csv").read_text().splitlines()
        assert "commit" in heads.split(",")
        assert "4f2a91c" in night.split(",")
    shutil.rmtree(run)
    code = _run_steps(clone, "github-nightly", port, first=1)
    assert len(_check_run(run, code)["baseline"]["runs"]) == len(kept)


@pytest.mark.process
def test_the_script_of_gitlab_runs_in_a_clean_clone(clone: Clone, port: str) -> None:
    job = read(clone.directory / "docs" / "ci" / "gitlab-ci.yml")["rushhour"]
    env = {name: _evaluated(value, port).replace("$$", "$") for name, value in job["variables"].items()}
    env |= {"OPTIONS": "--users 5 --for 3s", "WARMUP": "1s", "GITLAB_CI": "true"}
    install, replay = (clone.run(script, env) for script in job["script"])
    assert install.returncode == 0, install.stderr
    assert replay.returncode in VERDICTS, replay.stderr
    assert (clone.directory / job["artifacts"]["reports"]["junit"]).is_file()


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_keeps_its_reports_also_of_a_failure_and_can_be_started_by_hand(path: Path) -> None:
    document = read(path)
    assert "workflow_dispatch" in document["on"]
    assert document["permissions"] == {"contents": "read"}
    for job in jobs_of(path):
        uploads = [step for step in job["steps"] if step.get("uses", "").startswith("actions/upload-artifact@")]
        assert uploads
        assert all(step["if"] == "always()" and "runs/" in step["with"]["path"] for step in uploads)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_no_step_pastes_an_expression_into_its_script(path: Path) -> None:
    assert not [script for job in jobs_of(path) for script in _steps(job) if "${{" in script]


def test_the_smoke_runs_on_pushes_to_the_default_branch_with_10_users_for_30_s() -> None:
    document = read(CI / "github-smoke.yml")
    (job,) = jobs_of(CI / "github-smoke.yml")
    assert document["on"]["push"] == {"branches": ["main"]}
    assert "--users 10" in "".join(_steps(job))
    assert _evaluated(job["env"]["DURATION"], PORT) == "30s"


def test_the_nightly_names_every_full_scenario_of_the_demo() -> None:
    (job,) = jobs_of(CI / "github-nightly.yml")
    scenarios = {path.stem for path in (ROOT / "demo" / "scenarios").glob("*.toml")}
    full = {name for name in scenarios if not name.endswith("-short")} - {"smoke"}
    assert set(_evaluated(job["env"]["SCENARIOS"], PORT).split()) == full


# Compose files.

COMPOSE = sorted(ROOT.glob("docker-compose*.yml"))


@pytest.mark.process
@pytest.mark.skipif(
    shutil.which("docker-compose") is None, reason="docker-compose is not installed: apt-get install it"
)
@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.stem)
def test_docker_compose_takes_the_file(path: Path, tmp_path: Path) -> None:
    # Subtle: it imports what Debian brings for its own Python, so this environment's variables stay out.
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "RUSHHOUR_USER": "a", "RUSHHOUR_PASSWORD": "b"}
    checked = subprocess.run(
        ["docker-compose", "-f", str(path), "config"],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    without = {name: value for name, value in env.items() if not name.startswith("RUSHHOUR_")}
    refused = subprocess.run(
        ["docker-compose", "-f", str(path), "config"],
        env=without,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (refused.returncode != 0) == ("RUSHHOUR_PASSWORD" in path.read_text())


def test_the_load_test_in_containers_waits_for_health_and_cannot_write_captures() -> None:
    document = read(ROOT / "docker-compose.test.yml")
    services = document["services"]
    assert set(services) == {"target", "replayer", "results"}
    assert [network["name"] for network in document["networks"].values()] == ["rushhour-test"]
    assert all(set(service["networks"]) == set(document["networks"]) for service in services.values())
    assert services["target"]["healthcheck"]["test"]
    assert services["replayer"]["depends_on"] == {"target": {"condition": "service_healthy"}}
    assert [volume for volume in services["replayer"]["volumes"] if ":/captures" in volume][0].endswith(":ro")
    assert all(value.startswith("${") for value in services["replayer"]["environment"].values())


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.stem)
def test_no_port_is_published_beyond_this_machine(path: Path) -> None:
    ports = [port for service in read(path)["services"].values() for port in service.get("ports", [])]
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_replayers_command_line_exists() -> None:
    text = (ROOT / "docker-compose.test.yml").read_text()
    options = set(re.findall(r" (--[a-z-]+)", text[text.index("exec rushhour replay") : text.index("results:", 1500)]))
    shown = subprocess.run(
        [str(Path(sys.executable).with_name("rushhour")), "replay", "-h"], capture_output=True, text=True, check=True
    ).stdout
    assert options
    assert all(option in shown for option in options)
