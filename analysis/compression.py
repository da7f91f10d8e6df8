"""Was as much compressed as in the recording? Packing is work of the server and unpacking of the browser. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from analysis.run import Run
from analysis.series import n_outcomes

_PACKED = 0.95
"""A body counts as compressed where it is smaller than this share of what it holds."""


def compression_notes(run: Run, counts: Mapping[str, int]) -> list[str]:
    """Return a sentence for each way in which the target compressed other than the recorded site did."""
    recorded = [size for size in run.facts.sizes if not size["message"] and size["decoded_bytes"]]
    n_packed = sum(size["wire_bytes"] < size["decoded_bytes"] * _PACKED for size in recorded)
    n_live, n_refused = counts.get("answers_compressed", 0), counts.get("deflate_refused", 0)
    said = []
    if n_packed and not n_live and n_outcomes(run.measure("http")):
        said.append(
            f"{n_packed} of {len(recorded)} routes were recorded with compressed answers, the target compressed none: "
            "more bytes, and no time to pack them"
        )
    if n_live and recorded and not n_packed:
        said.append(
            f"the target compressed {n_live} answers, the recorded ones were not: fewer bytes, time to pack them"
        )
    if n_refused:
        said.append(f"{n_refused} sockets came without permessage-deflate, which the recorded ones had")
    return said
