"""Traditional Chinese characters to simplified ones: so the encoder and BM25 read them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import chain

from opencc import OpenCC

_FIRST = ord("㐀")  # a text without characters from here on has nothing to turn
_BLOCKS = (range(0x3400, 0xA000), range(0xF900, 0xFB00))


@cache
def _table() -> Mapping[int, str]:
    """Character by character, so that a text keeps its length and spans in it their places."""
    converter = OpenCC("t2s")
    turned = ((code, converter.convert(chr(code))) for code in chain(*_BLOCKS))
    return {code: s for code, s in turned if len(s) == 1 and s != chr(code)}


def simplified(text: str) -> str:
    """The text of the same length with its traditional characters turned into simplified ones."""
    if text.isascii() or ord(max(text)) < _FIRST:
        return text
    return text.translate(_table())
