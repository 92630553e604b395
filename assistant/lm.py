"""Drafts written by a language model: a base and its promoted adapter, on one of the engines.

The model reads placeholders in place of e-mail addresses, order and card numbers, as it did in
training, and they are put back into what it says.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from assistant.engine import Engine, Sampling, Wanted
from assistant.errors import GenerationError
from assistant.generation import Drafts
from assistant.grounding import GroundingCheck
from assistant.model_settings import ModelSettings
from assistant.types import DraftSentence, Evidence, GeneratorName, Question
from finetune.registry import (
    INT8_ENGINE,
    BaseModelError,
    Prompt,
    PromptTemplate,
    Turn,
    has_weights,
    resolve_base,
    titled,
    validate_adapter,
    validate_base,
)
from knowledge.pii import Masker
from knowledge.segment import split_sentences

log = logging.getLogger(__name__)

_MARK = re.compile(r"\s*\[(\d{1,2})\]")
_MARKS_AFTER_STOP = re.compile(r"([.!?。！？])((?:\s*\[\d{1,2}\])+)")
_HALF_MARK = re.compile(r"\[\d{0,2}$")


class LanguageModel:
    """Writes replies, the likeliest words or, with `sampling`, others."""

    name: GeneratorName = "lm"

    def __init__(
        self,
        engine: Engine,
        template: PromptTemplate,
        settings: ModelSettings,
        sampling: Sampling | None = None,
    ) -> None:
        self.engine = engine
        self.template = template
        self.settings = settings
        self.sampling = sampling
        self._ends = engine.vocabulary.ends(template)

    def generate(self, question: Question, evidence: Sequence[Evidence]) -> Drafts:
        """Yield sentences as they are finished. Raises GenerationError.

        Closing the iterator, `timeout_seconds` from its start, or the end of the question's
        patience ends the generation.
        """
        masker = Masker()
        passages = [masker.mask(titled(e.title, e.text)) for e in evidence]
        past = [
            Turn("customer" if m.role == "customer" else "agent", masker.mask(m.text))
            for m in question.history
        ]
        quotes = [masker.mask(e.pointed or e.quote) for e in evidence]
        prompt = self.read(passages, past, masker.mask(question.text), quotes)
        with closing(self.engine.write(self._wanted(prompt, question))) as pieces:
            said: set[str] = set()
            for sentence in _sentences(self._reply(pieces)):
                if sentence in said:  # a model that has begun to repeat itself adds nothing
                    return
                said.add(sentence)
                read = evidence[: len(prompt.passages)]
                draft = _draft(masker.restore(sentence), read, prompt.text)
                if draft.text:
                    yield draft

    def read(
        self,
        passages: Sequence[str],
        past: Sequence[Turn],
        question: str,
        quotes: Sequence[str] = (),
    ) -> Prompt:
        """The prompt within its budget."""
        vocabulary, settings = self.engine.vocabulary, self.settings
        room = min(settings.prompt_tokens, self.engine.positions - settings.max_new_tokens)
        return self.template.fit(
            passages, past, question, lambda t: len(vocabulary.ids(t)), room, quotes
        )

    def close(self) -> None:
        """Let go of the model."""
        self.engine.close()

    def _wanted(self, prompt: Prompt, question: Question) -> Wanted:
        patience = question.patience
        deadline = min(time.monotonic() + self.settings.timeout_seconds, patience.until)
        limit, end = self.settings.max_new_tokens, self.template.reply_end
        return Wanted(
            prompt.text, end, self._ends, limit, deadline, self.sampling, patience, question.tally
        )

    def _reply(self, pieces: Iterable[str]) -> Iterator[str]:
        """The text up to the reply's end."""
        end = self.template.reply_end
        text, sent = "", 0
        for piece in pieces:
            text += piece
            if not text.strip():
                continue
            cut = text.find(end, len(text) - len(text.lstrip()))
            # Hold back what may be the beginning of the end marker.
            safe = cut if cut >= 0 else max(sent, len(text) - len(end) + 1)
            yield text[sent:safe]
            sent = safe
            if cut >= 0:
                return
        yield text[sent:]


class BestOf:
    """Has several replies written and gives the one that its evidence supports best; the first of
    equals. Chosen by a verifier: Cobbe et al., "Training verifiers to solve math word problems",
    arXiv 2110.14168."""

    name: GeneratorName = "lm"

    def __init__(self, generators: Sequence[LanguageModel], check: GroundingCheck) -> None:
        self.generators = generators
        self.check = check

    def generate(self, question: Question, evidence: Sequence[Evidence]) -> Drafts:
        """The sentences of the best reply, when all are written. Raises GenerationError."""
        with ThreadPoolExecutor(len(self.generators)) as pool:
            replies = pool.map(lambda g: list(g.generate(question, evidence)), self.generators)
            yield from max(replies, key=lambda reply: self._support(reply, evidence))

    def close(self) -> None:
        """Let go of the model, which they share."""
        self.generators[0].close()

    def _support(
        self, reply: Sequence[DraftSentence], evidence: Sequence[Evidence]
    ) -> tuple[int, int]:
        """Sentences before the first that is not supported, and fewer left out after it."""
        supported = [self.check.check(sentence, evidence).supported for sentence in reply]
        shown = supported.index(False) if False in supported else len(supported)
        return shown, shown - len(supported)


def load_language_model(
    settings: ModelSettings,
    adapter: Path | None,
    engines: Path,
    threads: int,
    check: GroundingCheck,
) -> LanguageModel | BestOf:
    """The generator that the settings name, with an adapter's folder if there is one.

    Raises GenerationError when base or adapter is missing, unsafe, or not made for the other.
    """
    try:
        base = resolve_base(settings.base, weights=not settings.is_remote)
        validate_base(base, weights=not settings.is_remote)
        # Of a base that only a server has, its owner has to know what the adapter was trained on.
        known = base if has_weights(base) else None
        manifest = validate_adapter(adapter, known) if adapter else None
        evaluated = manifest.engine if manifest else None
        engine = _engine(settings, base, adapter, engines, threads, evaluated)
    except Exception as error:  # whatever a library makes of a bad folder
        raise GenerationError(f"the language model cannot be loaded: {error}") from error
    template = manifest.template if manifest else engine.vocabulary.template()
    first = LanguageModel(engine, template, settings)
    if settings.candidates == 1:
        return first
    others = [
        LanguageModel(engine, template, settings, Sampling())
        for _ in range(settings.candidates - 1)
    ]
    return BestOf([first, *others], check)


def _engine(
    settings: ModelSettings,
    base: Path,
    adapter: Path | None,
    engines: Path,
    threads: int,
    evaluated: str | None,
) -> Engine:
    """The server that the settings name; or the engine that an adapter was evaluated on, of a bare
    base the fastest there is. Each of those takes seconds to import.
    """
    if settings.is_remote:
        from assistant.server_engine import ServerEngine

        if evaluated:
            log.info("%s was evaluated on %s, and is served by a server", adapter, evaluated)
        return ServerEngine(settings, base, adapter.name if adapter else "")
    name = evaluated or settings.engine
    if settings.engine not in {"auto", name}:
        raise GenerationError(
            f"the adapter was evaluated on {name}; evaluate it with --engine {settings.engine}"
        )
    if name in {"auto", INT8_ENGINE}:
        try:
            from assistant.int8_engine import Int8Engine, has_gpu

            if name == INT8_ENGINE or not has_gpu():
                return Int8Engine(base, adapter, engines, threads)
        except (ImportError, BaseModelError) as error:
            if name == INT8_ENGINE:
                raise
            log.warning("%s; serving the base in 4 bits, which is slower", error)
    from assistant.transformers_engine import TransformersEngine

    return TransformersEngine(base, adapter)


def _sentences(pieces: Iterable[str]) -> Iterator[str]:
    """Cut a stream into sentences; marks behind a full stop belong to the sentence it ends."""
    text = ""
    for piece in pieces:
        text = _MARKS_AFTER_STOP.sub(r"\2\1", text + piece)
        found = split_sentences(text)
        if len(found) < 2:
            continue
        # The last may go on; the one before it too, if a mark that belongs to it has only begun.
        keep = 2 if _HALF_MARK.fullmatch(found[-1]) or _MARK.fullmatch(found[-1]) else 1
        if finished := found[:-keep]:
            yield from finished
            text = text[text.rindex(found[-keep]) :]
    yield from split_sentences(_MARKS_AFTER_STOP.sub(r"\2\1", text))


def _draft(sentence: str, evidence: Sequence[Evidence], prompt: str) -> DraftSentence:
    """The sentence without its marks; the first mark that names evidence says what it rests on."""
    numbers = [int(mark) for mark in _MARK.findall(sentence)]
    known = [evidence[n - 1].id for n in numbers if 1 <= n <= len(evidence)]
    text = _MARK.sub("", sentence).strip()
    return DraftSentence(text, known[0] if known else None, prompt=prompt)
