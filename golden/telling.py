"""Puts the sentence of a check beside the job where GitHub Actions runs it."""

from __future__ import annotations

import os

import click

from analysis.ci import is_github
from analysis.report.annotations import annotation
from golden.causes import Cause
from golden.check import Checked
from golden.folder import Golden


def tell_github(result: Checked, golden: Golden) -> None:
    """Print one annotation on stderr; nothing elsewhere."""
    if not is_github(os.environ):
        return
    level = "notice" if result.finding.cause is Cause.AS_RECORDED else "error"
    click.echo(annotation(level, f"Golden {golden.directory.name}", result.sentence(golden)), err=True)
