"""HTML elements from Python values; everything that is not ``Html`` already is made printable and escaped. Pure."""

from __future__ import annotations

import html

from analysis.report.text import printable


class Html(str):
    """Markup that was built here and is not escaped again."""

    __slots__ = ()


def escape(value: object) -> Html:
    """Return a value as markup: text is made printable and escaped, ``Html`` stays as it is."""
    return value if isinstance(value, Html) else Html(html.escape(printable(value), quote=True))


def join(*children: object) -> Html:
    """Return several children as one piece; None is left out."""
    return Html("".join(escape(child) for child in children if child is not None))


def tag(name: str, *children: object, **attributes: object) -> Html:
    """Return an element. ``class_`` becomes ``class``, ``data_value`` becomes ``data-value``; None leaves one out."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{written}>{join(*children)}</{name}>")
