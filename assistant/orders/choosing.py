"""Which items of an order a change is about, and what each is swapped for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from assistant import phrases
from assistant.orders.slot import CHOICES, Ask
from assistant.orders.task_store import Task
from assistant.orders.telling import item_line
from assistant.orders.wishes import names, names_wholly, says
from assistant.records.changes import Case
from assistant.records.types import Item, Variant
from knowledge.segment import content_words


class Items:
    """Which items of the order; the only one that may be is not asked for."""

    name = "items"

    def __init__(self, may: str) -> None:
        self._may = may  # the field of an item that says whether it may be

    def is_open(self, task: Task, case: Case) -> bool:
        """See Slot."""
        return not task.items

    def read(self, task: Task, case: Case, text: str, language: str) -> Task:
        """See Slot."""
        usable = self._usable(case)
        if task.items and task.asked != self.name:
            return task
        named = _by_title(usable, text)
        if len(usable) == 1 or says("everything", text, language):
            return replace(task, items=_ids(named or usable))  # "both lamps" are the lamps
        exact = _as_often_as_said(usable, text)
        others = [item for item in named if item.title not in {e.title for e in exact}]
        told = self._as_asked(others, task)
        if (others and not told) or not (exact or told):
            return task
        return replace(task, items=_ids([i for i in usable if i in exact or i in told]))

    def ask(self, task: Task, case: Case, language: str) -> Ask:
        """See Slot."""
        usable = self._usable(case)
        lines = "\n".join(f"- {item_line(item)}" for item in usable)
        text = phrases.say(f"task_which_items_{task.kind}", language, number=case.order.number)
        titles = [item.title for item in usable]
        alike = len(set(titles)) < len(titles)
        offered = dict.fromkeys(item_line(item) if alike else item.title for item in usable)
        everything = phrases.say("task_everything", language)
        return Ask(f"{text}\n{lines}", (*list(offered)[: CHOICES - 1], everything))

    def _as_asked(self, named: Sequence[Item], task: Task) -> list[Item]:
        """Which of several that are called the same is asked, unless only one of a title is named.
        Of those that are the same in all it is one then, if no more is said."""
        titles = {item.title for item in named}
        if len(titles) == len(named):
            return list(named)
        single = list({item_line(item): item for item in reversed(named)}.values())[::-1]
        return single if task.asked == self.name and len(single) == len(titles) else []

    def _usable(self, case: Case) -> list[Item]:
        return [item for item in case.order.items if getattr(item, self._may)]


class Swaps:
    """What each item is swapped for, one after another."""

    name = "swaps"

    def is_open(self, task: Task, case: Case) -> bool:
        """See Slot."""
        return len(task.swaps) < len(task.items)

    def read(self, task: Task, case: Case, text: str, language: str) -> Task:
        """See Slot. Said with the wish it counts where it leaves one variant."""
        if not self.is_open(task, case):
            return task
        found = self._meant(task, case, text)
        return replace(task, swaps=(*task.swaps, found[0].id)) if len(found) == 1 else task

    def ask(self, task: Task, case: Case, language: str) -> Ask:
        """See Slot."""
        item = self._item(task, case)
        found = self._variants(task, case)
        choices = tuple(options_line(v) for v in found[:CHOICES])
        lines = "\n".join(f"- {options_line(v)}" for v in found)
        text = phrases.say("task_which_variant", language, item=item_line(item))
        return Ask(f"{text}\n{lines}", choices)

    def _meant(self, task: Task, case: Case, text: str) -> list[Variant]:
        """The variants that fit what a message names; of what it leaves open, as the item is."""
        found, item = self._variants(task, case), self._item(task, case)
        own = [v for v in case.variants.values() if v.options == item.options]
        for variant in (*found, *own):  # what it is already is refused by the rules
            if options_line(variant).casefold() == text.strip().casefold():
                return [variant]
        # What names an item asks for no option: "Wireless Earbuds", "Kit (medium, Brand C)".
        for name in (*map(item_line, case.order.items), *(i.title for i in case.order.items)):
            text = re.sub(re.escape(name), " ", text, flags=re.IGNORECASE)
        scores = [len(_named_options(v.options, text, item.options)) for v in found]
        best = max(scores, default=0)
        fit = [v for v, score in zip(found, scores, strict=True) if score == best and best]
        kept = [sum(o in item.options for o in v.options) for v in fit]
        return [v for v, same in zip(fit, kept, strict=True) if same == max(kept)]

    def _variants(self, task: Task, case: Case) -> list[Variant]:
        """What there is of the product, but for what the customer has."""
        item = self._item(task, case)
        return [
            v for v in case.variants.values()
            if v.product_id == item.product_id and v.available and v.options != item.options
        ]  # fmt: skip

    @staticmethod
    def _item(task: Task, case: Case) -> Item:
        wanted = task.items[min(len(task.swaps), len(task.items) - 1)]
        return next(item for item in case.order.items if item.id == wanted)


def options_line(variant: Variant) -> str:
    """What is chosen in a variant, in a line; its title where nothing is."""
    return ", ".join(value for _, value in variant.options) or variant.title


def _named_options(
    options: Sequence[tuple[str, str]], text: str, but: Sequence[tuple[str, str]] = ()
) -> list[tuple[str, str]]:
    """Options whose value a text names, but for those that are so already."""
    folded, said = text.casefold(), set(content_words(text))
    return [
        (name, value) for name, value in options
        if (name, value) not in but and _names_value(value, folded, said)
    ]  # fmt: skip


def _names_value(value: str, folded: str, said: set[str]) -> bool:
    words = content_words(value)
    if len(words) >= len(value.split()):
        return set(words) <= said
    # A size such as M; "Brand A", which is not any brand.
    return bool(re.search(rf"(?<!\w){re.escape(value.casefold())}(?!\w)", folded))


def _as_often_as_said(items: Sequence[Item], text: str) -> list[Item]:
    """Items that are named in full; of several that are alike as many as the text names."""
    left, found = text.casefold(), []
    for item in items:
        line = item_line(item).casefold()
        if line in left:
            left = left.replace(line, "", 1)
            found.append(item)
    return found


def _ids(items: Sequence[Item]) -> tuple[str, ...]:
    return tuple(item.id for item in items)


def _by_title(items: Sequence[Item], text: str) -> list[Item]:
    """Items whose title is named; several of one kind are told apart by what was chosen of them."""
    whole = {w for i in items if names_wholly(text, i.title) for w in content_words(i.title)}
    said = set(content_words(text))
    # "The tea kettle" is not the electric one, of whose title it says a half as well.
    named = [
        item for item in items
        if names_wholly(text, item.title)
        or (names(text, item.title) and (said & set(content_words(item.title))) - whole)
    ]  # fmt: skip
    chosen = [item for item in named if _named_options(item.options, text)]
    alike = len({item.title for item in named}) < len(named)
    return chosen if chosen and alike else named
