"""A golden on disk: one folder that holds everything a check needs, and that people can read in a review.

============================ =========================================================================
``NAME.rush``                the capture; exactly one
``scenario.toml``            how the smoke loads the target, as ``rushhour replay --scenario`` reads it
``thresholds.toml``          what the smoke is held to (optional, the defaults hold without it)
``rules.toml``               how the capture is to be understood (optional)
``policy.toml``              what else is secret, or is none (optional)
``users.csv``                who the users are (optional: the environment, or ``--identities``)
``users.template.csv``       the columns that are asked for, without values (optional)
============================ =========================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from captures.errors import ConfigError

CAPTURE_SUFFIX = ".rush"
BEFORE_SUFFIX = ".before"
"""Of the capture that an update replaced."""
SCENARIO, THRESHOLDS, RULES, POLICY = "scenario.toml", "thresholds.toml", "rules.toml", "policy.toml"
USERS, USERS_TEMPLATE = "users.csv", "users.template.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """A golden; files that it does not have are None."""

    directory: Path
    capture: Path
    scenario: Path | None
    thresholds: Path | None
    rules: Path | None
    policy: Path | None
    users: Path | None

    @property
    def before(self) -> Path:
        """Where an update puts the capture that it replaced."""
        return self.capture.with_name(self.capture.name + BEFORE_SUFFIX)

    @property
    def template(self) -> Path:
        """Where the columns of the identities stand."""
        return self.directory / USERS_TEMPLATE


def open_golden(directory: Path) -> Golden:
    """Find the parts of a golden.

    Raises:
        ConfigError: it is no directory, or holds no capture, or several.
    """
    if not directory.is_dir():
        raise ConfigError(f"{directory} is no directory", "a golden is a folder that holds one capture")
    captures = sorted(directory.glob(f"*{CAPTURE_SUFFIX}"))
    if len(captures) != 1:
        found = ", ".join(path.name for path in captures) or "none"
        raise ConfigError(f"{directory} holds {len(captures)} captures ({found})", "a golden holds exactly one")

    def there(name: str) -> Path | None:
        path = directory / name
        return path if path.is_file() else None

    return Golden(
        directory=directory,
        capture=captures[0],
        scenario=there(SCENARIO),
        thresholds=there(THRESHOLDS),
        rules=there(RULES),
        policy=there(POLICY),
        users=there(USERS),
    )
