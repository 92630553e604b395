"""Which language a text is in, or that it cannot be told.

Order of evidence: the script (Han, kana, hangul, Cyrillic ... decide alone), then lingua, with
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

# Languages that customers of European, American and Asian shops write in.
LATIN = ("en", "de", "fr", "es", "it", "pt", "nl", "pl", "sv", "da", "tr", "vi", "id", "cs", "ro")
_SCRIPTS = (
    ("ja", re.compile(r"[\u3040-\u30ff]")),
    ("ko", re.compile(r"[\uac00-\ud7af\u1100-\u11ff]")),
    ("zh", re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")),
    ("th", re.compile(r"[\u0e00-\u0e7f]")),
    ("he", re.compile(r"[\u0590-\u05ff]")),
    ("el", re.compile(r"[\u0370-\u03ff]")),
    ("hi", re.compile(r"[\u0900-\u097f]")),
    ("ar", re.compile(r"[\u0600-\u06ff]")),
    ("ru", re.compile(r"[\u0400-\u04ff]")),
)
# Order numbers, links and product codes say nothing about the language.
_NEUTRAL = re.compile(r"https?://\S+|\S+@\S+|\b[A-Z]{1,4}-?\d[\w-]*\b|[\d\W_]+", re.UNICODE)
_SURE = 0.55
_SURE_SHORT = 0.8
_AGREED = 0.6  # two detectors naming the same language are sure enough for a whole sentence
_SHORT_LETTERS = 12
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
    languages = [Language.from_iso_code_639_1(IsoCode639_1.from_str(code)) for code in LATIN]
    builder = LanguageDetectorBuilder.from_languages(*languages)
    return builder.with_preloaded_language_models().build()  # on all cores, not one by one


def _script(text: str) -> Detection | None:
    """Decide by script when letters outside the Latin alphabet carry at least a third."""
    letters = sum(c.isalpha() for c in text)
    for language, pattern in _SCRIPTS:
        found = len(pattern.findall(text))
        # A Han character says about as much as four Latin letters: "iPhone 什么时候到" is Chinese.
        weight = 4 * found if language in {"zh", "ja", "ko"} else found
        if found and weight * 3 >= letters - found + weight:
            return Detection(language, min(1.0, 0.7 + 0.3 * found / letters))
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
        if script := _script(text):
            return script
        plain = _NEUTRAL.sub(" ", text).strip()
        letters = sum(c.isalpha() for c in plain)
        if letters < 2:
            return Detection(previous, 0.5 if previous else 0.0)
        found = self._latin(plain)
        needed = _SURE_SHORT if letters < _SHORT_LETTERS else _SURE
        if found.language == previous or found.confidence >= needed:
            return found
        return Detection(previous, 0.5) if previous else Detection("", found.confidence)

    def of_document(self, text: str) -> str:
        """Language of a whole document, or "" when it cannot be told."""
        found = self.detect(text)
        return found.language if found.confidence >= _SURE_SHORT else ""

    def _latin(self, plain: str) -> Detection:
        tokens = plain.casefold().split()
        english = sum(token in _TELLTALE_EN for token in tokens) / len(tokens)
        if english >= 0.5:
            return Detection("en", max(0.8, english))
        values = _lingua().compute_language_confidence_values(plain)
        best = values[0]
        # lingua adds up in changing order; rounded, the same text has the same confidence
        code, confidence = best.language.iso_code_639_1.name.lower(), round(best.value, 6)
        if confidence < _SURE:
            second = self._langdetect(plain)
            if second.language == code:
                confidence = max(confidence, _AGREED)
        return Detection(code, confidence)

    @staticmethod
    def _langdetect(plain: str) -> Detection:
        try:
            best = detect_langs(plain)[0]
        except (LangDetectException, IndexError):
            return Detection("", 0.0)
        return Detection(best.lang.split("-")[0], best.prob)
