"""Sentences and search terms, for languages with and without spaces between words."""

from __future__ import annotations

import logging
import re
import unicodedata
from functools import lru_cache

import jieba

from knowledge.hanzi import simplified

jieba.setLogLevel(logging.WARNING)

# Raise it when texts are cut into other words, so that kept terms are made anew.
TOKENS = 3

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_CJK_RUN = re.compile(f"[{_CJK}]+")
_LETTER = rf"(?![{_CJK}])[^\W_]"
_WORD = re.compile(rf"[{_CJK}]+|(?:{_LETTER})+(?:['’.,](?:{_LETTER})+)*")
# Customers who write Spanish leave them out.
_ACUTE = str.maketrans("áéíóú", "aeiou")
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|approx|incl|excl|max|min|no|vs|mr|mrs|ms|dr|st|ca|bzw|z\.b)|\b[a-z])\.$",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"'”’)\]]*\s+|(?<=[。！？；])[”’」』）]*\s*|\n+")
# Words too common to tell one passage from another; questions are full of them.
STOPWORDS_EN = frozenset(
    """a an and any are as at be been but by can could did do does for from get give had has have
    hello hi how i if in into is it its just let me my no not of off on or our out please so some
    than thank thanks that the their them then there these they this those to too up us was we were
    what when where which who whom whose why will with would you your yours am im ive id theres
    also about tell know want need like""".split()
)
STOPWORDS_ZH = frozenset(
    """的 了 吗 呢 啊 吧 呀 我 你 您 他 她 它 我们 你们 他们 是 在 有 和 与 或 就 都 也 还 很 请
    请问 什么 怎么 怎样 如何 哪 哪里 哪些 多少 几 多久 多长 时间 为什么 可以 能 能否 会 要 想 这
    那 这个 那个 个 把 被 给 对 从 到 向 让 一下 一个 你好 您好 谢谢 麻烦 如果 已经 不 没 没有
    以 及 等 之 其 为""".split()
)
STOPWORDS = STOPWORDS_EN | STOPWORDS_ZH


def is_cjk(text: str) -> bool:
    """True when at least a third of the letters are Chinese or Japanese characters."""
    if text.isascii():
        return False
    characters = sum(map(len, _CJK_RUN.findall(text)))
    return characters > 0 and characters * 3 >= sum(map(str.isalpha, text))


def split_sentences(text: str) -> list[str]:
    """Cut text into sentences; line breaks and CJK full stops end one, abbreviations do not."""
    sentences: list[str] = []
    start = 0
    for match in _SENTENCE_END.finditer(text):
        piece = text[start : match.start()]
        if "\n" not in match.group() and _ABBREVIATION.search(piece):
            continue
        end = match.start() + len(match.group().rstrip())
        if text[start:end].strip():
            sentences.append(text[start:end].strip())
        start = match.end()
    if text[start:].strip():
        sentences.append(text[start:].strip())
    return sentences


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """Fold a Latin-script word to a crude stem, so that "returns" and "returned" meet.

    A suffix stripper in the spirit of Harman's S-stemmer ("How effective is suffixing?", 1991),
    plus -ed and -ing; wrong stems are harmless as long as both sides get the same one.
    """
    word = word.casefold().replace("’", "'").removesuffix("'s")
    if not word.isascii() or not word.isalpha() or len(word) < 4:
        return word
    for suffix, replacement in (
        ("sses", "ss"), ("ies", "y"), ("ing", ""), ("ied", "y"), ("ed", ""), ("es", ""), ("s", ""),
    ):  # fmt: skip
        if word.endswith(suffix) and len(word) - len(suffix) >= 3 and not word.endswith("ss"):
            word = word[: -len(suffix)] + replacement
            break
    if len(word) > 4 and word[-1] == word[-2] and word[-1] not in "lsz":
        word = word[:-1]
    return word.removesuffix("e") if len(word) > 4 else word


def with_plain_numbers(text: str) -> str:
    """Text in its compatibility form (NFKC), where full-width digits are plain ones.

    A Chinese comma still ends a number: its plain form would join two, as in 减100，10月.
    """
    return unicodedata.normalize("NFKC", text.replace("，", "， "))


def words(text: str) -> list[str]:
    """Lower-cased words in order; runs of Chinese or Japanese are cut by jieba."""
    found: list[str] = []
    for token in _WORD.findall(simplified(unicodedata.normalize("NFKC", text))):
        if _CJK_RUN.match(token):
            found.extend(jieba.lcut_for_search(token))
        else:
            found.append(token.casefold().translate(_ACUTE))
    return found


def word_spans(text: str) -> list[tuple[int, int]]:
    """Where the words of text begin and end, in characters; Chinese and Japanese ones as jieba cuts
    them."""
    spans: list[tuple[int, int]] = []
    for match in _WORD.finditer(text):
        if _CJK_RUN.match(match.group()):
            cuts = jieba.tokenize(match.group())
            spans += [(match.start() + a, match.start() + b) for _, a, b in cuts]
        else:
            spans.append(match.span())
    return spans


def search_terms(text: str) -> list[str]:
    """Terms for lexical retrieval: stems of words, and for CJK also character pairs.

    Pairs make up for a segmentation that differs between question and passage.
    """
    normal = simplified(unicodedata.normalize("NFKC", text))
    terms = [stem(word) for word in words(normal) if word not in STOPWORDS]
    for run in _CJK_RUN.findall(normal):
        terms.extend(run[i : i + 2] for i in range(len(run) - 1))
    return terms


def content_words(text: str) -> list[str]:
    """Stems of the words that carry meaning, without the character pairs of `search_terms`."""
    return [stem(word) for word in words(text) if word not in STOPWORDS and word.strip()]
