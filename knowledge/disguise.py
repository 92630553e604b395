"""Text as a program reads it: what letters, markup or code hide is made plain, to be looked at.

The one place for it: pages are looked at so before they are published, and messages before they
are answered. What is shown and stored is not changed. The disguises are those of garak's probes
`encoding`, `badchars` and `smuggling`.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import re
import unicodedata
from collections.abc import Callable
from urllib.parse import unquote

INVISIBLE = re.compile(
    r"[\u00ad\u200b\u2060-\u2064\ufeff\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]"
)
_JOINERS = re.compile(r"[\u200c\u200d]")
_OVERRIDES = re.compile(r"[\u202d\u202e\U000e0000-\U000e007f]")
_FLAGS = re.compile(r"\U0001f3f4[\U000e0030-\U000e007a]{1,6}\U000e007f")  # of England and others
_RIGHT_TO_LEFT = re.compile(r"[\u0590-\u08ff]")
_PARTED = re.compile(r"(?<=[^\W\d_])[\u200b\u2060-\u2064\ufeff]+(?=[^\W\d_])")
_MANY = 3  # a few are hints where a long word may be broken
# ASCII as tags, and bytes as selectors of variants: both can be copied and are never seen.
_TAGS = re.compile(r"[\U000e0020-\U000e007e]+")
_SELECTORS = re.compile(r"[\ufe00-\ufe0f\U000e0100-\U000e01ef]{4,}")
_SPACED = re.compile(r"(?<![^\W_])(?:[^\W\d_][\s.·_*-]{1,3}){5,200}[^\W\d_](?![^\W_])")
_ENTITY_MARKS = re.compile(r"<!--|-->|\[//\]: #")
# Of the letters that Unicode's confusables.txt calls alike, those that make whole words.
_CONFUSABLE = str.maketrans(
    "аеорсухіјѕԁԛԝһкмтвнгпиАВЕКМНОРСТУХІЈЅԌ" "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧαονρτυικεγ" "օոսհց",
    "aeopcyxijsdqwhkmtbhrnuABEKMHOPCTYXIJSG" "ABEZHIKMNOPTYXaovptuikey" "onuhg",
)  # fmt: skip
_SMALL_CAPITALS = str.maketrans("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢɡɑı", "abcdefghijklmnoprstuvwyzgai")
_WORD = re.compile(r"[^\W\d_]+")
_LEET = str.maketrans("0134578@$!|", "oieastbasil")
_DEEP = 3  # codes within codes
_FEW_PERCENTS = 2  # an address may hold some


def plainly(text: str) -> str:
    """Text in compatibility form without invisible characters and comment marks, with letters of
    other scripts that stand for Latin ones replaced, spaced letters joined, and what is encoded
    (tags, base64, hexadecimal, binary, escapes) decoded."""
    text = _smuggled(_typed(text))
    text = _JOINERS.sub("", INVISIBLE.sub("", unicodedata.normalize("NFKC", text)))
    text = _SPACED.sub(lambda m: _joined(m.group()), _unconfused(text))
    for _ in range(_DEEP):
        before = text
        for pattern, read in _CODES:
            text = pattern.sub(lambda m, read=read: read(m.group()) or m.group(), text)  # type: ignore[misc]
        if text == before:
            break
    return _ENTITY_MARKS.sub(" ", text)


def readings(text: str) -> tuple[str, ...]:
    """All that a message may be read as: plainly, without accents, with digits as letters, by
    ROT13, and backwards. Only the first is surely meant."""
    plain = plainly(text)
    bare = "".join(c for c in unicodedata.normalize("NFD", plain) if not unicodedata.combining(c))
    leet = " ".join(w.translate(_LEET) if any(map(str.isalpha, w)) else w for w in bare.split())
    return tuple(dict.fromkeys((plain, bare, leet, codecs.encode(bare, "rot13"), bare[::-1])))


def hides_letters(text: str) -> bool:
    """Whether characters that cannot be seen turn a text round or part its words."""
    text = _FLAGS.sub("", text)
    if _OVERRIDES.search(text) and not _RIGHT_TO_LEFT.search(text):
        return True
    return len(_PARTED.findall(text)) >= _MANY


def _typed(text: str) -> str:
    """What is left when each backspace has taken the character before it."""
    if "\b" not in text:
        return text
    kept: list[str] = []
    for c in text:
        if c != "\b":
            kept.append(c)
        elif kept:
            kept.pop()
    return "".join(kept)


def _smuggled(text: str) -> str:
    """Text with the letters that tags and variation selectors stand for."""
    text = _TAGS.sub(
        lambda m: "".join(chr(ord(c) - 0xE0000) for c in m.group()), _FLAGS.sub("", text)
    )
    return _SELECTORS.sub(lambda m: _readable(bytes(map(_byte, m.group()))) or m.group(), text)


def _byte(selector: str) -> int:
    code = ord(selector)
    return code - 0xFE00 if code < 0xE0100 else code - 0xE0100 + 16


def _unconfused(text: str) -> str:
    """Words of letters that look like Latin ones in Latin, where a word or the text around it has
    others: a Russian text stays Russian."""
    if text.isascii():
        return text
    letters = sum(map(str.isalpha, text))
    is_latin = 2 * sum(c.isascii() and c.isalpha() for c in text) >= letters

    def folded(match: re.Match[str]) -> str:
        word = match.group()
        latin = word.translate(_SMALL_CAPITALS).translate(_CONFUSABLE)
        meant = is_latin or any(c.isascii() or ord(c) in _SMALL_CAPITALS for c in word)
        return latin if latin != word and latin.isascii() and meant else word

    return _WORD.sub(folded, text)


def _joined(spaced: str) -> str:
    """Letters with something between them; a wider gap than usual parts words."""
    letters = re.findall(r"[^\W\d_]", spaced)
    gaps = re.findall(r"[\s.·_*-]+", spaced)
    if any(letter > "\u2e80" for letter in letters):
        return spaced
    usual = min(map(len, gaps))
    return "".join(
        letter + (" " if n < len(gaps) and len(gaps[n]) > usual else "")
        for n, letter in enumerate(letters)
    )


def _readable(code: bytes) -> str:
    """The text that bytes hold, or an empty one."""
    try:
        text = code.decode()
    except UnicodeDecodeError:
        return ""
    readable = all(c.isprintable() or c.isspace() for c in text)
    return text if readable and (" " in text or not text.isascii()) else ""


def _base64(token: str) -> str:
    """Also of what was encoded more than once."""
    standard = token.rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        code = base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
        return _readable(code) or (_base64(code.decode("ascii")) if code else "")
    except (binascii.Error, ValueError):
        return ""


def _hexadecimal(token: str) -> str:
    return _readable(bytes.fromhex("".join(re.findall("[0-9a-fA-F]{2}", token))))


def _binary(token: str) -> str:
    return _readable(bytes(int(octet, 2) for octet in re.findall("[01]{8}", token)))


def _percent(token: str) -> str:
    return unquote(token) if token.count("%") > _FEW_PERCENTS else ""


def _escapes(token: str) -> str:
    """Of JavaScript and Python (\\x69), and of HTML (&#105;)."""
    codes = re.findall(r"\\[ux]([0-9a-fA-F]{2,4})|&#x([0-9a-fA-F]+)|&#(\d+)", token)
    numbers = [int(escaped or entity, 16) if not plain else int(plain)
               for escaped, entity, plain in codes]  # fmt: skip
    return "".join(chr(n) for n in numbers if n < 0x110000)


_CODES: tuple[tuple[re.Pattern[str], Callable[[str], str]], ...] = (
    (re.compile(r"(?<!\w)(?:[01]{8}[\s,]?){4,}(?!\w)"), _binary),
    (re.compile(r"(?<!\w)(?:(?:0x|\\x)?[0-9a-fA-F]{2}[\s:,]?){8,}(?!\w)"), _hexadecimal),
    (re.compile(r"(?<![\w+/-])[A-Za-z0-9+/_-]{16,}={0,2}(?![\w+/-])"), _base64),
    (re.compile(r"\S+"), _percent),
    (re.compile(r"(?:\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}){4,}"), _escapes),
    (re.compile(r"(?:&#(?:x[0-9a-fA-F]{1,6}|\d{1,7});?){4,}"), _escapes),
)
