"""The prompt: passages, history and question as one string, the same in training and serving.

Customers' words and passages never reach the model as markers: whatever looks like a reserved
string in them is broken up before it is rendered.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import Literal

Role = Literal["customer", "agent"]

PASSAGE, CUSTOMER, AGENT = "<|passage|>", "<|customer|>", "<|agent|>"
END, PAD, QUOTE = "<|end|>", "<|pad|>", "<|quote|>"
MARKERS = (PASSAGE, CUSTOMER, AGENT, END, PAD, QUOTE)
_MIN_PASSAGE_CHARACTERS = 40
_MIN_QUESTION_CHARACTERS = 20


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a dialogue."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the model reads, and the passages that found room in it, numbered from 1."""

    text: str
    passages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """How a turn is written for one base model; kept in the adapter's manifest.

    `passage`, `customer`, `agent` and `quote` hold `{text}` (and `{number}` of a passage); a reply
    starts after `reply_start` and ends with `reply_end`. A quote is what the reader points at in a
    passage; "" for a model that was taught without. `reserved` strings never come from text.
    """

    opening: str = ""
    passage: str = PASSAGE + "[{number}] {text}\n"
    customer: str = CUSTOMER + "{text}" + END + "\n"
    agent: str = AGENT + "{text}" + END + "\n"
    reply_start: str = AGENT
    reply_end: str = END
    reserved: tuple[str, ...] = MARKERS
    quote: str = ""

    @classmethod
    def for_vocabulary(
        cls, vocabulary: Container[str], opening: str = "", special: Sequence[str] = ()
    ) -> PromptTemplate:
        """The template that suits a tokenizer: role tokens, ChatML, or plain words.

        `opening` is the tokenizer's begin-of-text token, if it has one; `special` lists its
        special tokens, which are reserved.
        """
        if AGENT in vocabulary and END in vocabulary:
            return cls(
                opening=opening,
                reserved=(*dict.fromkeys((*MARKERS, *special)),),
                quote=QUOTE + "[{number}] {text}\n" if QUOTE in vocabulary else "",
            )
        if "<|im_start|>" in vocabulary:
            start, end = "<|im_start|>", "<|im_end|>"
            return cls(
                opening=opening,
                passage=start + "system\n[{number}] {text}" + end + "\n",
                customer=start + "user\n{text}" + end + "\n",
                agent=start + "assistant\n{text}" + end + "\n",
                reply_start=start + "assistant\n",
                reply_end=end,
                reserved=(*dict.fromkeys((start, end, *special)),),
                quote=start + "system\nSee [{number}]: {text}" + end + "\n",
            )
        return cls(
            opening=opening,
            passage="Source [{number}]: {text}\n\n",
            customer="Customer: {text}\n",
            agent="Agent: {text}\n",
            reply_start="Agent:",
            reply_end="\n",
            reserved=(*special, "Customer:", "Agent:", "Source ["),
            quote="See [{number}]: {text}\n",
        )

    def clean(self, text: str) -> str:
        """Text without reserved strings: each is broken by a space after its first character."""
        for marker in self.reserved:
            if marker in text:
                text = text.replace(marker, f"{marker[0]} {marker[1:]}" if marker[1:] else "")
        return text.strip()

    def reply(self, text: str) -> str:
        """A reply as it follows `reply_start` in training."""
        return self.clean(text) + self.reply_end

    def render(
        self,
        passages: Sequence[str],
        history: Sequence[Turn],
        question: str,
        quotes: Sequence[str] = (),
    ) -> str:
        """The whole prompt, up to and including `reply_start`; `quotes` are those of the passages,
        "" where there is none."""
        turns = (*history, Turn("customer", question))
        pointed = self._numbered(self.quote, quotes) if self.quote else ""
        return self._body(passages, turns) + pointed + self.reply_start

    def render_dialogue(self, passages: Sequence[str], turns: Sequence[Turn]) -> str:
        """A finished dialogue, for pre-training."""
        return self._body(passages, turns)

    def fit(
        self,
        passages: Sequence[str],
        history: Sequence[Turn],
        question: str,
        count_tokens: Callable[[str], int],
        max_tokens: int,
        quotes: Sequence[str] = (),
    ) -> Prompt:
        """The prompt within max_tokens: old turns go first, then the last passages, then text.

        The last two turns and the best passage are worth more than all before and after them.
        The question keeps its end, where customers ask what they want.
        """
        kept, past = list(passages), list(history)
        while (
            count_tokens(text := self.render(kept, past, question, quotes[: len(kept)]))
            > max_tokens
        ):
            if len(past) > 2:
                past.pop(0)
            elif len(kept) > 1:
                kept.pop()
            elif past:
                past.pop(0)
            elif kept and len(kept[0]) > _MIN_PASSAGE_CHARACTERS:
                kept[0] = kept[0][: len(kept[0]) * 3 // 4]
            elif kept:
                kept.clear()
            elif len(question) > _MIN_QUESTION_CHARACTERS:
                question = question[len(question) // 4 :]
            else:
                break
        return Prompt(text, tuple(kept))

    def _body(self, passages: Sequence[str], turns: Sequence[Turn]) -> str:
        pieces = [self.opening, self._numbered(self.passage, passages)]
        for turn in turns:
            wrapped = self.customer if turn.role == "customer" else self.agent
            pieces.append(wrapped.replace("{text}", self.clean(turn.text)))
        return "".join(pieces)

    def _numbered(self, pattern: str, texts: Sequence[str]) -> str:
        """The texts, each with its number from 1; empty ones are left out."""
        # `replace`, not `format`: a template from a file must not reach into objects.
        return "".join(
            pattern.replace("{number}", str(number)).replace("{text}", self.clean(text))
            for number, text in enumerate(texts, start=1)
            if text
        )


def titled(title: str, text: str) -> str:
    """A passage as the model reads it: its title, then its text."""
    return f"{title}: {text}" if title else text
