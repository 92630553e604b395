"""Which language a text is in, or that it cannot be told.

Order of evidence: the script (Han, kana, hangul, Thai ... decide alone), then lingua, with
langdetect as a second voice where lingua is unsure, then the conversation so far. langdetect alone
gets half of short Chinese messages wrong and is 70 times slower (benchmarks/RESULTS.md).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from langdetect import DetectorFactory, LangDetectException, detect_langs
from lingua import IsoCode639_1, Language, LanguageDetector, LanguageDetectorBuilder

DetectorFactory.seed = 0  # langdetect samples; unseeded it changes its answer between calls

# Languages that customers of European, American and Asian shops write in. Those that share a script
# with others are told apart by lingua.
LATIN = (
    "en", "de", "fr", "es", "it", "pt", "nl", "pl", "sv", "da", "tr", "vi", "id", "ms", "tl", "cs",
    "ro", "hu",
)  # fmt: skip
CYRILLIC = ("ru", "uk")
ARABIC = ("ar", "fa")
_SCRIPTS: tuple[tuple[tuple[str, ...], re.Pattern[str]], ...] = tuple(
    (languages, re.compile(f"[{letters}]"))
    for languages, letters in (
        (("ja",), r"\u3040-\u30ff"),
        (("ko",), r"\uac00-\ud7af\u1100-\u11ff"),
        (("zh",), r"\u3400-\u4dbf\u4e00-\u9fff"),
        (("th",), r"\u0e00-\u0e7f"),
        (("he",), r"\u0590-\u05ff"),
        (("el",), r"\u0370-\u03ff"),
        (("hi",), r"\u0900-\u097f"),
        (("bn",), r"\u0980-\u09ff"),
        (("ta",), r"\u0b80-\u0bff"),
        (ARABIC, r"\u0600-\u06ff"),
        (CYRILLIC, r"\u0400-\u04ff"),
    )
)
_HEAVY = frozenset({"zh", "ja", "ko"})  # a character says about as much as four Latin letters
# Order numbers, links and product codes say nothing about the language.
_NEUTRAL = re.compile(r"https?://\S+|\S+@\S+|\b[A-Z]{1,4}-?\d[\w-]*\b|[\d\W_]+", re.UNICODE)
_SURE = 0.55
_SURE_SHORT = 0.8
_SHORT_LETTERS = 12
# What a second detector that names the same language raises a confidence to.
_AGREED = 0.6
_AGREED_SHORT = 0.8
_AGREED_FROM = 0.4  # of a short message; a guess that many languages share stays one
_ENOUGH = 800  # characters that settle the language; detectors take seconds over 100 kB
# Detectors take "hello" or "ok thanks" for anything; function and greeting words are safer.
_TELLTALE_EN = frozenset(
    """the is my what how can you where do does i to of and when it are not have your for a please
    hello hi hey thanks thank yes no order return refund help why was will would which cancel
    shipping delivery money back""".split()
)


@dataclass(frozen=True, slots=True)
class Detection:
    """`language` is an ISO 639-1 code, or "" for an abstention; `confidence` is 0 to 1."""

    language: str
    confidence: float


@lru_cache(maxsize=1)
def _lingua() -> LanguageDetector:
    codes = (*LATIN, *CYRILLIC, *ARABIC)
    languages = [Language.from_iso_code_639_1(IsoCode639_1.from_str(code)) for code in codes]
    builder = LanguageDetectorBuilder.from_languages(*languages)
    return builder.with_preloaded_language_models().build()  # on all cores, not one by one


@dataclass(frozen=True, slots=True)
class _Script:
    """The languages written in the script of a text, its letters, and how sure that is."""

    languages: tuple[str, ...]
    letters: re.Pattern[str]
    confidence: float


def _script(text: str) -> _Script | None:
    """None for Latin, and where there is no letter.

    A script other than Latin decides when its letters carry at least a third, as in
    "iPhone 什么时候到".
    """
    letters = sum(c.isalpha() for c in text)
    for languages, pattern in _SCRIPTS:
        found = len(pattern.findall(text))
        weight = 4 * found if languages[0] in _HEAVY else found
        if letters and found and weight * 3 >= letters - found + weight:
            return _Script(languages, pattern, min(1.0, 0.7 + 0.3 * found / letters))
    return None


class Detector:
    """Detects the language of customers' messages and of documents. Thread-safe."""

    def load(self) -> None:
        """Read the models now, two seconds' work, rather than in a customer's first turn."""
        _lingua()

    def detect(self, text: str, previous: str = "") -> Detection:
        """Language of a message; `previous` is the conversation's, kept where text is unclear.

        Abstains (language "") when neither text nor conversation tells.
        """
        text = text[:_ENOUGH]
        script = _script(text)
        if script and len(script.languages) == 1:
            return Detection(script.languages[0], script.confidence)
        languages = script.languages if script else LATIN
        plain = _NEUTRAL.sub(" ", text).strip()
        if script:
            plain = " ".join(w for w in plain.split() if script.letters.search(w))
        letters = sum(c.isalpha() for c in plain)
        if letters < 2:
            return Detection(previous, 0.5 if previous else 0.0)
        short = letters < _SHORT_LETTERS
        found = self._told_apart(plain, languages, short)
        needed = _SURE_SHORT if short else _SURE
        if found.language == previous or found.confidence >= needed:
            return found
        if script:  # it is one of these few, whatever was spoken before
            likely = previous if previous in languages else languages[0]
            return Detection(likely, 0.5)
        return Detection(previous, 0.5) if previous else Detection("", found.confidence)

    def of_document(self, text: str) -> str:
        """Language of a whole document, or "" when it cannot be told."""
        found = self.detect(text)
        return found.language if found.confidence >= _SURE_SHORT else ""

    def _told_apart(self, plain: str, languages: tuple[str, ...], short: bool) -> Detection:
        """Which of the languages of one script it is."""
        tokens = plain.casefold().split()
        english = sum(token in _TELLTALE_EN for token in tokens) / len(tokens)
        if english >= 0.5:
            return Detection("en", max(0.8, english))
        for value in _lingua().compute_language_confidence_values(plain):
            if (code := value.language.iso_code_639_1.name.lower()) in languages:
                # lingua adds up in changing order; rounded, a text has the same confidence again
                confidence = round(value.value, 6)
                break
        if confidence < (_SURE_SHORT if short else _SURE):
            from_on, raised = (_AGREED_FROM, _AGREED_SHORT) if short else (0.0, _AGREED)
            if confidence >= from_on and self._langdetect(plain).language == code:
                confidence = max(confidence, raised)
        return Detection(code, confidence)

    @staticmethod
    def _langdetect(plain: str) -> Detection:
        try:
            best = detect_langs(plain)[0]
        except (LangDetectException, IndexError):
            return Detection("", 0.0)
        return Detection(best.lang.split("-")[0], best.prob)
