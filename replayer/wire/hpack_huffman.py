"""The string code of HPACK, read byte by byte. Pure.

The code of RFC 7541 Appendix B is canonical: codes of one length are consecutive in the order of their symbols, and
shorter codes come first. So the lengths say all, and the 257 code words need not be written down. A string is read by
an automaton whose states are the inner nodes of the code's tree and whose steps consume eight bits; its rows fill as
they are used, for real headers use few of the 65,000.

Source: RFC 7541 §5.2 (padding), Appendix B (code).
"""

from __future__ import annotations

from functools import cache

_SYMBOLS_BY_LENGTH: dict[int, bytes] = {
    5: b"012aceiost",
    6: b" %-./3456789=A_bdfghlmnpru",
    7: b":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz",
    8: b"&*,;XZ",
    10: b'!"()?',
    11: b"'+|",
    12: b"#>",
    13: b"\x00$@[]~",
    14: b"^}",
    15: b"<`{",
    19: b"\\\xc3\xd0",
    20: b"\x80\x82\x83\xa2\xb8\xc2\xe0\xe2",
    21: b"\x99\xa1\xa7\xac\xb0\xb1\xb3\xd1\xd8\xd9\xe3\xe5\xe6",
    22: b"\x81\x84\x85\x86\x88\x92\x9a\x9c\xa0\xa3\xa4\xa9\xaa\xad\xb2\xb5\xb9\xba\xbb\xbd\xbe\xc4\xc6\xe4\xe8\xe9",
    23: b"\x01\x87\x89\x8a\x8b\x8c\x8d\x8f\x93\x95\x96\x97\x98\x9b\x9d\x9e\xa5\xa6\xa8\xae\xaf\xb4\xb6\xb7\xbc\xbf\xc5"
    b"\xe7\xef",
    24: b"\t\x8e\x90\x91\x94\x9f\xab\xce\xd7\xe1\xec\xed",
    25: b"\xc7\xcf\xea\xeb",
    26: b"\xc0\xc1\xc8\xc9\xca\xcd\xd2\xd5\xda\xdb\xee\xf0\xf2\xf3\xff",
    27: b"\xcb\xcc\xd3\xd4\xd6\xdd\xde\xdf\xf1\xf4\xf5\xf6\xf7\xf8\xfa\xfb\xfc\xfd\xfe",
    28: b"\x02\x03\x04\x05\x06\x07\x08\x0b\x0c\x0e\x0f\x10\x11\x12\x13\x14\x15\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x7f"
    b"\xdc\xf9",
    30: b"\n\r\x16",
}
_EOS = 256
"""End of string: the last code of 30 bits, which no string may contain whole."""


class HuffmanError(Exception):
    """These bytes are no string of this code."""


def code_words() -> dict[int, tuple[int, int]]:
    """Return (code, length in bits) by symbol; 256 is the end of string."""
    words = {}
    code = length = 0
    for bits, symbols in _SYMBOLS_BY_LENGTH.items():
        code <<= bits - length
        length = bits
        for symbol in symbols:
            words[symbol] = (code, bits)
            code += 1
    words[_EOS] = (code, length)
    return words


class _Node:
    """An inner node of the code's tree; ``branches`` are nodes or symbols."""

    __slots__ = ("branches", "may_end", "state")

    def __init__(self) -> None:
        self.branches: list[_Node | int | None] = [None, None]
        self.may_end = False
        self.state = _State(self)


class _State(dict[int, tuple["_State", bytes]]):
    """Where in the code a string stands: by the next byte the next state and the symbols it completes."""

    __slots__ = ("node",)

    def __init__(self, node: _Node) -> None:
        super().__init__()
        self.node = node

    def __missing__(self, byte: int) -> tuple[_State, bytes]:
        node, symbols = self.node, bytearray()
        for shift in range(7, -1, -1):
            branch = node.branches[byte >> shift & 1]
            if isinstance(branch, _Node):
                node = branch
            elif branch is None or branch == _EOS:
                raise HuffmanError("the end of string stands inside a string")
            else:
                symbols.append(branch)
                node = _tree()
        step = self[byte] = (node.state, bytes(symbols))
        return step


@cache
def _tree() -> _Node:
    root = _Node()
    for symbol, (code, length) in code_words().items():
        node = root
        for shift in range(length - 1, 0, -1):
            branch = node.branches[code >> shift & 1]
            if not isinstance(branch, _Node):
                branch = node.branches[code >> shift & 1] = _Node()
            node = branch
        node.branches[code & 1] = symbol
    padded: _Node | int | None = root
    for _ in range(8):  # A string may end with up to seven ones (RFC 7541 §5.2).
        if isinstance(padded, _Node):
            padded.may_end = True
            padded = padded.branches[1]
    return root


def decode_huffman(data: bytes) -> bytes:
    """Return the string.

    Raises:
        HuffmanError: it holds the end of string, or its padding is longer than seven bits or not all ones.
    """
    state, parts = _tree().state, []
    for byte in data:
        state, symbols = state[byte]
        parts.append(symbols)
    if not state.node.may_end:
        raise HuffmanError("a string ends inside a symbol")
    return b"".join(parts)
