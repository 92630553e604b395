"""Clean what was said in dialogues: markup, quoted mail and signatures, lines that say nothing.

Mail is taken apart by mail-parser-reply, near-duplicates are found by MinHash (Broder, "On the
resemblance and containment of documents", 1997) as datasketch has it.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

import nh3
import yaml
from datasketch import MinHash, MinHashLSH
from mailparser_reply import EmailReplyParser

from finetune.prompt import Turn
from knowledge.segment import is_cjk, split_sentences, words

_MARKUP = re.compile(r"</?[a-zA-Z][^<>]*>|&(?:[a-z]{2,8}|#\d{2,5});")
_BREAKS = re.compile(r"<(?:br|/p|/div|/li|/tr|/h\d)\b[^<>]*>\s*", re.IGNORECASE)
# Something quoted below a reply, or a line that only mail has.
_MAIL = re.compile(
    r"^(?:>|-- ?$|_{5,}|-{5,}|(?:From|Von|De|发件人)[:：] )|(?:wrote|schrieb|escribió):\s*$",
    re.MULTILINE,
)
_CLOSING = re.compile(
    r"^(?:(?:best|kind|warm) regards|regards|sincerely|mit freundlichen grüßen|viele grüße|"
    r"saludos(?: cordiales)?|atentamente|此致)\b",
    re.IGNORECASE | re.MULTILINE,
)
_LANGUAGES = ["en", "de", "es", "fr", "it", "zh"]
_LONG_WORDS = 8  # shorter lines are a manner of speaking
_LEAST_DIALOGUES, _COMMON_SHARE = 20, 0.3
_LEAST_LENGTH = 40  # words of a dialogue; shorter ones are alike by nature
_SHINGLE, _HASHES = 3, 128
_CANDIDATES, _ALIKE = 0.7, 0.9  # Jaccard: from which a sketch hardly misses one, and what counts
_ABUSE = Path(__file__).with_name("abuse.yaml")


def plain(text: str) -> str:
    """Text without markup, quoted mail and signature; blank lines at most one in a row."""
    if _MARKUP.search(text):
        text = html.unescape(nh3.clean(_BREAKS.sub("\n", text), tags=set()))
    if _MAIL.search(text) or _CLOSING.search(text):
        replies = EmailReplyParser(languages=_LANGUAGES).read(text=text).replies
        text = replies[0].body if replies and replies[0].body.strip() else text
    lines = (" ".join(line.split()) for line in text.replace("\xa0", " ").splitlines())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


class Boilerplate:
    """Long sentences that agents say in so many dialogues that they answer nothing: disclaimers,
    opening hours below every mail."""

    def __init__(self, dialogues: Iterable[Sequence[Turn]]) -> None:
        counts: Counter[str] = Counter()
        total = 0
        for turns in dialogues:
            total += 1
            said = (t.text for t in turns if t.role == "agent")
            counts.update({key for text in said for s in _sentences(text) if (key := _key(s))})
        least = max(_LEAST_DIALOGUES, _COMMON_SHARE * total)
        self.lines = frozenset(key for key, count in counts.items() if count >= least)

    def without(self, turn: Turn) -> Turn:
        """The turn, of an agent, without them."""
        if turn.role != "agent" or not self.lines:
            return turn
        kept = [
            " ".join(s for s in split_sentences(line) if _key(s) not in self.lines)
            for line in turn.text.splitlines()
        ]
        return Turn(turn.role, "\n".join(filter(None, kept)))


class NearDuplicates:
    """Dialogues that differ from an earlier one in a few words only."""

    def __init__(self) -> None:
        self._index = MinHashLSH(threshold=_CANDIDATES, num_perm=_HASHES)
        self._shingles: list[frozenset[tuple[str, ...]]] = []

    def seen(self, turns: Iterable[Turn]) -> bool:
        """Whether an earlier dialogue is nearly the same; if not, this one is remembered."""
        said = [w for t in turns for w in words(t.text)]
        if len(said) < _LEAST_LENGTH:
            return False
        shingles = frozenset(tuple(said[n : n + _SHINGLE]) for n in range(len(said) - _SHINGLE + 1))
        sketch = MinHash(num_perm=_HASHES)
        sketch.update_batch([" ".join(s).encode() for s in sorted(shingles)])
        alike = (self._shingles[n] for n in self._index.query(sketch))
        if any(len(shingles & o) >= _ALIKE * len(shingles | o) for o in alike):
            return True
        self._index.insert(len(self._shingles), sketch)
        self._shingles.append(shingles)
        return False


def before_abuse(turns: Sequence[Turn]) -> Sequence[Turn]:
    """The turns up to the first in which an agent insults a customer."""
    for n, turn in enumerate(turns):
        if turn.role == "agent" and insults(turn.text):
            return turns[:n]
    return turns


def insults(text: str) -> bool:
    """Whether a text holds a word that no agent says to a customer."""
    latin, chinese = _abuse()
    return any(w in latin for w in words(text)) or any(w in text for w in chinese)


@cache
def _abuse() -> tuple[frozenset[str], frozenset[str]]:
    listed: Mapping[str, str] = yaml.safe_load(_ABUSE.read_text(encoding="utf-8"))
    every = {word for text in listed.values() for word in text.split()}
    return frozenset(w for w in every if not is_cjk(w)), frozenset(w for w in every if is_cjk(w))


def _sentences(text: str) -> Iterable[str]:
    return (s for line in text.splitlines() for s in split_sentences(line))


def _key(sentence: str) -> str:
    """What a long sentence is counted by, or nothing."""
    said = words(sentence)
    return " ".join(said) if len(said) >= _LONG_WORDS else ""
