"""What the text of a GraphQL operation says about the values that go with it: names of arguments, ids inside. Pure.

A variable is called as its author likes; the argument that it fills has the name that the server knows. Some clients
write values into the text instead.

Source: GraphQL specification, October 2021, §2.6 (arguments), §2.9 (values), §2.10 (variables).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from captures.leaves import JsonPath, Leaf

_ARGUMENT = re.compile(rb"([A-Za-z_]\w*)\s*:\s*\$([A-Za-z_]\w*)")
_VALUE = re.compile(rb'([A-Za-z_]\w*)(?:\s|\\n)*:(?:\s|\\n)*(?:\\"([^"\\]{1,200})\\"|(\d{1,18})(?![\w.]))')


def arguments_of(leaves: Iterable[Leaf]) -> dict[JsonPath, str]:
    """Return by path of a variable, among a request's leaves, the name of the argument that it fills."""
    names: dict[JsonPath, str] = {}
    for leaf in leaves:
        if leaf.path[-1:] == ("query",) and b"$" in leaf.value:
            place = (*leaf.path[:-1], "variables")
            names |= {(*place, variable): name for variable, name in argument_names(leaf.value).items()}
    return names


def argument_names(text: bytes) -> dict[str, str]:
    """Return by variable the first argument that it fills: ``setQty(lineId: $l)`` is ``{"l": "lineId"}``."""
    names: dict[str, str] = {}
    for argument, variable in _ARGUMENT.findall(text):
        names.setdefault(variable.decode(), argument.decode())
    return names


def literal_arguments(text: bytes) -> Iterator[tuple[str, int, int]]:
    r"""Yield name and place of the texts and numbers that stand in an operation as it is written inside of JSON.

    Worked: ``{cart(id:\"7\"){id}}`` has an ``id`` at 10 to 11.
    """
    for match in _VALUE.finditer(text):
        group = 2 if match[2] is not None else 3
        yield match[1].decode(), *match.span(group)
