"""Text that gives orders to a program, hidden from people or not.

OWASP LLM01, indirect prompt injection. A page is looked at as a program reads it (see
`knowledge.disguise`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Container, Iterable, Sequence

from knowledge.disguise import hides_letters, plainly
from knowledge.inspection.reading import PairReader, statements
from knowledge.inspection.screen import Screen
from knowledge.types import Chunk, Document, Finding, Seen

_BLUNT = re.compile(
    r"\b(?:ignore|disregard|forget|override)\b[^.\n]{0,40}\b(?:previous|prior|above|earlier|all|your)"
    r"\b[^.\n]{0,30}\b(?:instructions?|rules?|prompts?|guidelines?|directions?)"
    r"|\b(?:system|developer)\s+prompt\b|<\|?(?:im_start|system|assistant)\|?>|\[/?INST\]"
    r"|\byou are now\b|\b(?:assistant|chatbot|ai|llm|language model)s?\b"
    r"|忽略|无视|系统提示|你现在是|助手|机器人|大模型|人工智能|智能体|(?<![A-Za-z])AI(?![A-Za-z])",
    re.IGNORECASE,
)
# What needs no reading: to forget what it was told, and what to say instead, in one sentence.
_PLAIN = re.compile(
    r"\b(?:ignore|disregard|forget|override)\b[^.\n]{0,30}\b(?:previous|prior|above|earlier|your)\b"
    r"[^.\n]{0,20}\b(?:instructions?|rules?|prompts?|guidelines?)\b.{0,60}"
    r"\b(?:say|tell|reply|answer|respond|claim|promise|reveal|output|refund|offer|grant|give)\b"
    r"|(?:忽略|无视|忘记)[^。\n]{0,12}(?:之前|以上|上述|上面|先前)[^。\n]{0,12}(?:指令|规则|提示|要求|设定)"
    r".{0,30}(?:回答|回复|答复|告诉|声称|输出|承诺|退款)",
    re.IGNORECASE,
)


def may_be_orders(text: str) -> bool:
    """Whether a text holds words that orders to a program are often made of."""
    return _BLUNT.search(text) is not None


def plain_order(text: str) -> str:
    """The words of a text that are an order beyond doubt, or nothing."""
    match = _PLAIN.search(text)
    return match.group() if match else ""


def orders_asked(chunk: Chunk, said: Sequence[str]) -> tuple[str, str]:
    """(question, text): do these statements of the chunk give orders to a program?"""
    return f"orders: {plainly(chunk.title_path[0])}", " ".join(said)


def plain_statements(chunk: Chunk) -> list[str]:
    """The chunk's title and statements as a program reads them."""
    title = plainly(" - ".join(chunk.title_path))
    return [title, *(s for s in statements(plainly(chunk.text)) if s)]


def around(said: Sequence[str], place: int) -> list[str]:
    """A statement with its neighbours."""
    return list(said[max(0, place - 1) : place + 2])


class Orders:
    """Finds passages that give orders: the screen says which sentences are read."""

    def __init__(self, reader: PairReader, screen: Screen, limit: float, sure: float) -> None:
        self.reader = reader
        self.screen = screen
        self.limit = limit
        self.sure = sure

    def find(
        self, chunks: Iterable[Chunk], hidden: Sequence[Document], seen: Seen
    ) -> list[Finding]:
        """A finding a passage, blocking or, from `limit` to `sure`, a notice; `hidden` are the
        documents that hide text. What changed documents said before is not read again."""
        held = list(chunks)
        known = {(c.document_id, s) for c in seen.cleared("injected") for s in plain_statements(c)}
        pages = [Chunk("", d.id, (d.title,), d.hidden, "", "") for d in hidden]
        hiding = {
            d.id: quote
            for d, (quote, score) in zip(hidden, self._orders(pages, known), strict=True)
            if score >= self.sure
        }
        found: list[Finding] = []
        for chunk, (quote, score) in zip(held, self._orders(held, known), strict=True):
            severity = "blocking"
            if score >= self.sure:
                detail = f"{chunk.id}: text that gives orders to an assistant: {quote!r}"
            elif hides_letters(chunk.indexed_text):
                detail = f"{chunk.id}: characters that a reader cannot see part its words"
            elif chunk.document_id in hiding:
                quote = hiding[chunk.document_id]
                detail = f"{chunk.id}: its page hides orders to an assistant: {quote!r}"
            elif quote:
                severity = "notice"
                detail = f"{chunk.id}: may give orders to an assistant: {quote!r}"
            else:
                continue
            sources, quotes = (chunk.source,), (quote,) if quote else ()
            found.append(Finding("injected", severity, sources, detail, (chunk.id,), quotes))
        return found

    def _orders(
        self, chunks: Sequence[Chunk], known: Container[tuple[str, str]]
    ) -> list[tuple[str, float]]:
        """For each chunk the words that may give orders to a program, and how surely they do."""
        said = [plain_statements(c) for c in chunks]
        flat = [
            (n, place)
            for n, (chunk, lines) in enumerate(zip(chunks, said, strict=True))
            for place, line in enumerate(lines)
            if (chunk.document_id, line) not in known
        ]
        passes = self.screen.passes([said[n][place] for n, place in flat])
        asked = [
            (n, place)
            for (n, place), passed in zip(flat, passes, strict=True)
            if passed or may_be_orders(said[n][place])
        ]
        pairs = [orders_asked(chunks[n], around(said[n], place)) for n, place in asked]
        plain = [next(filter(None, map(plain_order, lines)), "") for lines in said]
        found = [(quote, math.inf if quote else -math.inf) for quote in plain]
        readings = self.reader.read_pairs(pairs)
        for (n, _), (_, text), reading in zip(asked, pairs, readings, strict=True):
            if reading.relevance >= max(self.limit, found[n][1]):
                found[n] = text[slice(*reading.span)], reading.relevance
        return found


def hidden_texts(documents: Iterable[Document]) -> list[Finding]:
    """Pages that hold text which is not shown, such as white on white or a comment."""
    found = []
    for d in documents:
        if d.hidden.strip():
            quote = plainly(d.hidden[:400])[:200]
            detail = f"{d.id} holds text that its readers do not see: {quote!r}"
            found.append(Finding("hidden", "notice", (d.source,), detail, (f"{d.id}#0",), (quote,)))
    return found
