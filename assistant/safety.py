"""The safety stage: messages that are empty, unreadable, too long, or give orders to the assistant.

It returns a verdict with evidence and never rewrites text. The patterns follow garak's payload
families (promptinject, dan, system-prompt leaks); they are one layer, the boundary is that a reply
says nothing but what its evidence supports.
"""

from __future__ import annotations

import re
import unicodedata

from assistant.types import Concern

_INJECTION = re.compile(
    r"\b(?:ignore|disregard|forget|override|bypass)\b[^.?!\n]{0,40}"
    r"\b(?:previous|prior|above|earlier|preceding|all|any|your|the)\b[^.?!\n]{0,30}"
    r"\b(?:instructions?|prompts?|guidelines|directions|programming|training|restrictions)\b"
    r"|\b(?:reveal|show|print|repeat|output|leak|display|tell me)\b[^.?!\n]{0,30}"
    r"\b(?:system|initial|hidden|developer|original)\s+(?:prompt|instructions?|message)\b"
    r"|\byou are now\b[^.?!\n]{0,60}\b(?:mode|dan|unrestricted|jailbroken|no longer|free)\b"
    r"|\b(?:developer|dan|god|jailbreak|sudo|admin) mode\b"
    r"|\bpretend (?:to be|you are|that you)\b[^.?!\n]{0,60}"
    r"\b(?:no|without|unrestricted|rules|evil)\b"
    r"|<\|?(?:im_start|im_end|system|endoftext)\|?>|\[/?INST\]|<<SYS>>"
    r"|(?:忽略|无视|忘记|忘掉)[^。?!\n]{0,12}(?:之前|以上|上面|所有|先前|前面)[^。?!\n]{0,10}"
    r"(?:指令|规则|提示|要求|设定)"
    r"|(?:输出|告诉我|显示|泄露|重复)[^。?!\n]{0,10}(?:系统提示|提示词|初始指令)"
    r"|(?:开发者|越狱|无限制)模式",
    re.IGNORECASE,
)


def clean(text: str) -> str:
    """Text that every later stage can hold: no surrogates, no control or invisible characters."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    kept = (
        c if c in "\n\t" or unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Co", "Cn"} else " "
        for c in unicodedata.normalize("NFC", text)
    )
    return re.sub(r"[ \t]+", " ", "".join(kept)).strip()


class Safety:
    """Inspects a cleaned utterance."""

    def __init__(self, max_characters: int = 2000) -> None:
        self.max_characters = max_characters

    def inspect(self, text: str) -> Concern | None:
        """What stops the turn here, or None."""
        if not text:
            return Concern("empty")
        if len(text) > self.max_characters:
            return Concern("too_long", f"{len(text)} characters")
        if not any(c.isalnum() for c in text):
            return Concern("unreadable", text[:40])
        if match := _INJECTION.search(unicodedata.normalize("NFKC", text)):
            return Concern("injection", match.group())
        return None
