"""Sets of ids that grow by one: a bit each where ids are dense, whatever the size of the capture. Pure."""

from __future__ import annotations

from collections.abc import Callable

_PAGE_BITS = 10
_PAGE_MASK = (1 << _PAGE_BITS) - 1


class IdSet:
    """A set of ints, in pages of 1024."""

    __slots__ = ("_pages",)

    def __init__(self, pages: dict[int, int] | None = None) -> None:
        self._pages = pages or {}

    def add(self, number: int) -> None:
        """Put an id in."""
        page = number >> _PAGE_BITS
        self._pages[page] = self._pages.get(page, 0) | 1 << (number & _PAGE_MASK)

    def __contains__(self, number: int) -> bool:
        return bool(self._pages.get(number >> _PAGE_BITS, 0) >> (number & _PAGE_MASK) & 1)

    def __len__(self) -> int:
        return sum(bits.bit_count() for bits in self._pages.values())

    def __and__(self, other: IdSet) -> IdSet:
        return self._joined(other, int.__and__)

    def __or__(self, other: IdSet) -> IdSet:
        return self._joined(other, int.__or__)

    def __sub__(self, other: IdSet) -> IdSet:
        return self._joined(other, lambda mine, theirs: mine & ~theirs)

    def _joined(self, other: IdSet, join: Callable[[int, int], int]) -> IdSet:
        mine, theirs = self._pages, other._pages
        pages = {page: join(mine.get(page, 0), theirs.get(page, 0)) for page in {**mine, **theirs}}
        return IdSet({page: bits for page, bits in pages.items() if bits})
