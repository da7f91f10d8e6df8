"""Which file becomes which, by the suffixes of their names; and the conversions themselves."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from enum import Enum
from importlib import metadata
from pathlib import Path
from typing import Any

from captures.convert.gor import GorImport
from captures.convert.har_in import HarImport
from captures.convert.har_out import HarExport
from captures.convert.inputs import Input
from captures.convert.losses import Losses
from captures.convert.mitm import MitmImport
from captures.convert.spool import Spool
from captures.convert.tape import Counts, Tape
from captures.errors import ConfigError
from captures.format.reader import open_capture, sha256_of
from captures.units import NS_PER_S

log = logging.getLogger(__name__)

CONVERSION_SCHEMA = 1


class Format(Enum):
    """Formats, by the suffix of their files."""

    RUSH = ".rush"
    HAR = ".har"
    MITM = ".mitm"
    GOR = ".gor"


_IMPORTS = (Format.HAR, Format.MITM, Format.GOR)
_POSSIBLE = "possible are .har, .mitm and .gor (also as .gz, .har also as .zip) to .rush, and .rush to .har"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """What a conversion did.

    Attributes:
        source, out: as they were named.
        facts: what the source says about itself.
        not_held: what did not get into ``out``, one sentence per kind.
        damage: what is wrong with the source, one sentence each; the rest of it was converted.
    """

    source: str
    source_format: Format
    out: str
    out_format: Format
    facts: dict[str, object]
    counts: Counts
    not_held: list[str]
    damage: list[str]

    def to_document(self) -> dict[str, Any]:
        """As one JSON-able document."""
        return {
            "schema": CONVERSION_SCHEMA,
            "source": {
                "path": self.source,
                "format": self.source_format.value[1:],
                "size_bytes": os.path.getsize(self.source),
                **{name: value for name, value in self.facts.items() if name in ("creator", "browser", "sha256")},
            },
            "out": {
                "path": self.out,
                "format": self.out_format.value[1:],
                "size_bytes": os.path.getsize(self.out),
            },
            "url": self.facts.get("url") or "",
            "sessions": len(self.counts.sessions),
            "exchanges": self.counts.exchanges,
            "sockets": self.counts.sockets,
            "messages": self.counts.messages,
            "duration_s": (self.counts.last_ns - self.counts.first_ns) / NS_PER_S,
            "complete": not self.damage,
            "damage": self.damage,
            "not_held": self.not_held,
        }


def convert_file(source: str, out: str) -> Conversion:
    """Convert ``source`` to ``out``; the suffixes decide.

    Raises:
        ConfigError: the suffixes do not go together, ``out`` exists or cannot be written.
        CaptureError: ``source`` cannot be read or is not what its suffix says.
        CaptureSealed: the disk filled up while a capture was written; what was written is kept.
    """
    source_format, out_format = formats_of(source, out)
    if os.path.lexists(out):
        raise ConfigError(f"{out} exists already", "nothing is overwritten: choose another OUT")
    directory = os.path.dirname(out) or "."
    if not os.path.isdir(directory):
        raise ConfigError(f"{out} cannot be written: there is no directory {directory}", "make it, or choose another")
    with Spool(directory) as spool:
        run = _export if out_format is Format.HAR else _import
        return run(source, source_format, out, spool)


def formats_of(source: str, out: str) -> tuple[Format, Format]:
    """The formats of a pair of names.

    Raises:
        ConfigError: that conversion does not exist.
    """
    # Playwright calls an archive what it is told to: ``login.har.zip`` or ``login.zip``.
    is_archive = source.lower().endswith(".zip")
    source_format = Format.HAR if is_archive else _format_of(source.lower().removesuffix(".gz"))
    out_format = _format_of(out)
    is_import = source_format in _IMPORTS and out_format is Format.RUSH
    is_export = source_format is Format.RUSH and out_format is Format.HAR
    if source_format is None or out_format is None or not (is_import or is_export):
        names = f"{Path(source).suffix or Path(source).name} to {Path(out).suffix or Path(out).name}"
        raise ConfigError(f"there is no conversion of {names}", _POSSIBLE)
    return source_format, out_format


def _format_of(name: str) -> Format | None:
    suffix = Path(name).suffix.lower()
    return next((known for known in Format if known.value == suffix), None)


def _import(source: str, source_format: Format, out: str, spool: Spool) -> Conversion:
    losses, tape = Losses(), Tape(spool)
    damage: list[str] = []
    with Input(source, may_be_archive=source_format is Format.HAR) as file:
        if source_format is Format.HAR:
            facts = HarImport(file, tape, losses).run()
        else:
            importer = MitmImport(file, tape, losses) if source_format is Format.MITM else GorImport(file, tape, losses)
            facts, damage = importer.run(), importer.damage
    facts["sha256"] = sha256_of(source)
    origin = {"file": os.path.basename(source), **facts}
    counts = tape.write_capture(
        out,
        {
            "tool": "rushhour",
            "version": version(),
            "command": "convert",
            "url": facts["url"],
            "converted_from": origin,
            "not_held": losses.sentences(),
            "damage": damage,
        },
    )
    return Conversion(
        source=source,
        source_format=source_format,
        out=out,
        out_format=Format.RUSH,
        facts=facts,
        counts=counts,
        not_held=losses.sentences(),
        damage=damage,
    )


def _export(source: str, source_format: Format, out: str, spool: Spool) -> Conversion:
    losses = Losses()
    with open_capture(source) as reader:
        export = HarExport(reader, spool, losses, version())
        export.run(out)
        facts = {**reader.header, "sha256": sha256_of(source)}
        return Conversion(
            source=source,
            source_format=source_format,
            out=out,
            out_format=Format.HAR,
            facts=facts,
            counts=export.counts,
            not_held=losses.sentences(),
            damage=reader.damage,
        )


def version() -> str:
    """Of this program, or an empty string where it is not installed."""
    try:
        return metadata.version("rushhour")
    except metadata.PackageNotFoundError:
        return ""
