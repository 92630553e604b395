"""A message without its salutation and signature: who asks says nothing of what is asked.

Only what cannot be part of a question goes: a greeting, a name that somebody gives as theirs, and a
closing on a line of its own with a name below it. Words about oneself stay, since "I'm a student"
may be what an answer depends on; they go only where nothing is found with them, and no page speaks
of such people.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from knowledge.places import countries_in, with_countries
from knowledge.segment import content_words, is_cjk, split_sentences

_WORD = r"[^\W\d_](?:[^\W\d_]|['’-])*"
_CAPITAL = r"(?:(?-i:[A-ZÀ-ÖØ-ÞĀ-Ž])(?:[^\W\d_]|['’-])*|[\u4e00-\u9fff]{2,4})"
_NAME = rf"{_CAPITAL}(?: {_CAPITAL}){{0,4}}"
_FULL_NAME = rf"(?:{_CAPITAL}(?: {_CAPITAL}){{1,4}}|[\u4e00-\u9fff]{{2,4}})"
_GREETING = (
    r"(?:hi|hello|hey|good (?:morning|afternoon|evening|day)|guten (?:morgen|tag|abend)|hallo|moin"
    r"|servus|grüezi|grüß gott|hola|buen(?:os|as)? (?:días|dias|tardes|noches|día|dia)|buenas"
    r")(?: there| all| everyone| zusammen| a todos)?"
    rf"|(?:dear|sehr geehrtes?|liebes?|estimad[oa]s?) {_WORD}(?: {_WORD}){{0,3}}(?=,)"
    r"|(?:客服)?(?:你们?好|您好|哈喽|嗨)"
)
_END = r"[.,!:;。，！；、…\s]+"
_STOP = r"\s*[.,!:;。，！；、\n]\s*"  # a name ends where the sentence does
_INTRODUCTION = (
    r"(?:my name|this is|it['’]s|i['’]?m|i am|mein name|ich|hier|me llamo|mi nombre|soy|我)"
)
_OPENING = re.compile(
    rf"^\s*(?:(?:{_GREETING})(?:{_STOP}|{_END}(?={_INTRODUCTION})))?"
    rf"(?:(?:my name is|mein name ist|ich hei(?:ß|ss)e|me llamo|mi nombre es) {_NAME}{_STOP}"
    rf"|(?:我叫|我的名字[是叫]) ?(?:[\u4e00-\u9fff]{{2,6}}|{_NAME}){_STOP}"
    rf"|我是 ?(?-i:(?=[A-Z])){_FULL_NAME}{_STOP}"
    rf"|(?<=[.,!\s])(?:i am|i['’]?m|this is|it['’]s|ich bin|hier ist|soy) {_FULL_NAME}{_STOP}"
    rf"|(?<=[.,!\s]){_FULL_NAME} (?:here|speaking|hier|am apparat){_STOP})?",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    r"\n[ \t]*(?:(?:(?:kind|best|warm)(?:est)? )?(?:regards|wishes)|best|cheers"
    r"|(?:(?:many )?thanks|thank you)(?: in advance)?|(?:yours )?(?:sincerely|faithfully|truly)"
    r"|(?:mit )?(?:freundlich|lieb|best|viel|herzlich)en? grü(?:ß|ss)en?|mfg|(?:vielen )?dank|danke"
    r"|(?:un )?saludos?(?: cordial(?:es)?)?|(?:muchas )?gracias|atentamente"
    r"|谢谢|多谢|此致|敬上)"
    rf"[ .,!。，！]*(?:\s*{_NAME}[.!]?)?\s*$",
    re.IGNORECASE,
)


_SELF = re.compile(
    r"(?:i['’]?m|i am|as an?|i use|i have|ich bin|ich sitze|als|soy|voy en|como)\b"
    r"|tengo (?=\d+ años)|(?:我是|我坐|我信|作为|我听|我看|我今年)"
    r"|我(?=[\d一二三四五六七八九十]+岁)",
    re.IGNORECASE,
)
# From 21 on, where nothing is forbidden any more: what a child may do decides answers.
_YEARS = r"(?:2[1-9]|[3-9]\d|1\d\d|[二三四五六七八九]十[一二三四五六七八九]?)"
_AGE = re.compile(
    rf"^(?:i['’]?m|i am|ich bin) {_YEARS}(?: years old| jahre alt|(?= ?(?:and\b|und\b|[.,!])))"
    rf"|\b{_YEARS}[- ]years?[- ]old\b|^tengo {_YEARS} años\b|{_YEARS}岁",
    re.IGNORECASE,
)
# A passage that has a condition of age, or may have: then a customer's own says something.
_AGES = re.compile(
    r"\b(?:age[ds]?|years old|(?:under|over)[- ]\d\ds|\d\d (?:or|and) (?:over|older|under)|adults?"
    r"|minors?|pensioners?|seniors?|alters?|jahre alt|volljährig|minderjährig|senioren"
    r"|edad|(?:mayor|menor)(?:es)? de \d\d|jubilad[oa]s?)\b"
    r"|\d岁|年龄|成年|老年|老人",
    re.IGNORECASE,
)
_ASKS = re.compile(r"[?？]|吗|呢")
_DIGIT = re.compile(r"\d|[一二三四五六七八九十]")


def without_courtesies(text: str) -> str:
    """The text without its salutation and signature; unchanged where nothing would be left, as a
    greeting may be all that is said."""
    bare = _CLOSING.sub("", text)
    bare = bare[_OPENING.match(bare).end() :].strip()  # type: ignore[union-attr]
    return bare if content_words(bare) else text


def without_self_description(text: str, passages: Sequence[str], language: str = "") -> str:
    """The text without sentences in which somebody says what they are, as far as no passage speaks
    of that: what the shop's pages never mention is no condition in them. Empty where nothing goes
    or nothing is left. Numbers and places stay, for they decide answers, but for a grown-up's age
    where no passage has a condition of age."""
    ages_count = any(map(_AGES.search, passages))
    known = {word for passage in passages for word in content_words(passage)}

    def is_aside(sentence: str) -> bool:
        if not _SELF.match(sentence) or _ASKS.search(sentence):
            return False
        bare = sentence if ages_count else _AGE.sub("", sentence)
        if _DIGIT.search(bare) or countries_in(with_countries(sentence), language):
            return False
        said = content_words(sentence)
        of_age = set(said) - set(content_words(bare))
        unknown = sum(word not in known or word in of_age for word in said)
        return 2 * unknown > len(said)

    sentences = split_sentences(text)
    kept = [s for s in sentences if not is_aside(s)]
    left = ("" if is_cjk(text) else " ").join(kept)
    return left if len(kept) < len(sentences) and content_words(left) else ""
