"""What an operator should know about documents before they are published.

A blocking finding quarantines the passages it names: text that gives orders to the assistant, or
that a reader of the page would not see, has no place in an answer (OWASP LLM01, indirect
injection; research anchors: garak, promptfoo).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date

from knowledge.types import Chunk, Document, Finding

_ORDERS = re.compile(
    r"\b(?:ignore|disregard|forget|override)\b[^.\n]{0,40}\b(?:previous|prior|above|earlier|all|your)"
    r"\b[^.\n]{0,30}\b(?:instructions?|rules?|prompts?|guidelines?|directions?)"
    r"|\b(?:system|developer)\s+prompt\b|<\|?(?:im_start|system|assistant)\|?>|\[/?INST\]"
    r"|\byou are now\b[^.\n]{0,40}\b(?:assistant|ai|bot|model|mode)\b"
    r"|\bas an? (?:ai|language model)\b[^.\n]{0,40}\bmust\b"
    r"|\b(?:assistant|chatbot|ai|llm)s?\b[^.\n]{0,30}\b(?:must|should|shall)\b[^.\n]{0,30}"
    r"\b(?:reply|respond|answer|say|tell|output|reveal)\b"
    r"|忽略[^。\n]{0,12}(?:之前|以上|上述|所有|先前)[^。\n]{0,12}(?:指令|规则|提示|要求)"
    r"|(?:系统提示词|你现在是一个?不受限)",
    re.IGNORECASE,
)
_INVISIBLE = re.compile(
    r"[\u200b\u2060\u2062-\u2064\ufeff\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]"
)


def inspect_chunks(chunks: Iterable[Chunk]) -> list[tuple[Finding, Chunk]]:
    """Blocking findings, each with the chunk to quarantine."""
    found = []
    for chunk in chunks:
        if match := _ORDERS.search(chunk.indexed_text):
            kind, detail = (
                "instructions",
                f"text that gives orders to an assistant: {match.group()!r}",
            )
        elif _INVISIBLE.search(chunk.indexed_text):
            kind, detail = "invisible", "characters that a reader cannot see"
        else:
            continue
        finding = Finding(kind, "blocking", (chunk.source,), f"{chunk.id}: {detail}", chunk.id)
        found.append((finding, chunk))
    return found


def inspect_documents(documents: Sequence[Document], today: date) -> list[Finding]:
    """Warnings: documents out of force, and the same text under two ids."""
    findings = [
        Finding("expired", "warning", (d.source,), f"{d.id} was valid until {d.valid_until}")
        for d in documents
        if d.valid_until and d.valid_until < today
    ]
    same: dict[str, list[Document]] = defaultdict(list)
    for document in documents:
        same["".join(document.text.split()).casefold()].append(document)
    for group in same.values():
        if len(group) > 1:
            ids = ", ".join(d.id for d in group)
            sources = tuple(d.source for d in group)
            findings.append(Finding("duplicate", "warning", sources, f"same text: {ids}"))
    return findings
