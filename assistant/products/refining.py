"""Follow-ups to a search: "under 50", "in blue as well", "show me more", a chip taken away."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from assistant import phrases
from assistant.products.searches import Search
from assistant.products.telling import label_of
from assistant.wordings import wordings
from knowledge.catalogue.types import Constraint, Wanted
from knowledge.segment import content_words

_FILE = Path(__file__).with_suffix(".yaml")


def refined(search: Search, said: Wanted, text: str, language: str) -> Search | None:
    """The search that a message makes of the last one; None when it is about something else. `said`
    is what the message alone asks for."""
    if gone := _taken_away(search, text):
        return Search(search.wanted.without(gone), search.currency)
    words = wordings(_FILE, language)
    if words["more"].search(text):
        return replace(search, page=search.page + 1)
    if not said.constraints or content_words(words["refers"].sub(" ", said.text)):
        return None
    kinds = {c.value for c in search.wanted.of("category")}
    if any(c.value not in kinds for c in said.of("category") if not c.negated):
        return None  # another kind of thing: a search of its own
    beside = bool(words["also"].search(text))
    return Search(_merged(search.wanted, said, beside), search.currency)


def _taken_away(search: Search, text: str) -> Constraint | None:
    """The constraint whose chip a customer has taken away, whatever language it was shown in."""
    for language in phrases.languages():
        for constraint in search.wanted.constraints:
            label = label_of(constraint, search.currency, language)
            if text.strip() == phrases.say("products_without", language, what=label):
                return constraint
    return None


def _merged(before: Wanted, said: Wanted, beside: bool) -> Wanted:
    """What was wanted, with what is said now in the place of what was said of the same."""
    new = {(c.field, c.negated) for c in said.constraints}
    kept = [c for c in before.constraints if beside or (c.field, c.negated) not in new]
    # "Not red" takes the place of "red".
    refused = {(c.field, c.value) for c in said.constraints if c.negated}
    kept = [c for c in kept if c.negated or (c.field, c.value) not in refused]
    return Wanted(tuple(dict.fromkeys((*kept, *said.constraints))), before.text)
