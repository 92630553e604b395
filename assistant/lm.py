"""Drafts written by a language model in this process: a 4-bit base and its promoted adapter.

The adapter is never merged into the 4-bit weights, so what was evaluated is what is served. The
model reads placeholders in place of e-mail addresses, order and card numbers, as it did in
training, and they are put back into what it says.
"""

from __future__ import annotations

import logging
import queue
import re
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    StoppingCriteria,
    StoppingCriteriaList,
    TextIteratorStreamer,
)

from assistant.errors import GenerationError
from assistant.settings import ModelSettings
from assistant.types import DraftSentence, Evidence, GeneratorName, Question
from finetune.registry import (
    NF4,
    Prompt,
    PromptTemplate,
    Turn,
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


class TransformersGenerator:
    """Generates greedily with transformers, one reply at a time; the rest wait their turn."""

    name: GeneratorName = "lm"

    def __init__(self, base: str | Path, adapter: Path | None, settings: ModelSettings) -> None:
        """Load the base (a folder or hub id) in NF4, and the adapter's folder if there is one.

        Raises GenerationError when either is missing, unsafe, or not made for the other.
        """
        self.settings = settings
        try:
            folder = resolve_base(base)
            validate_base(folder)
            manifest = validate_adapter(adapter, folder) if adapter else None
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder)
            self._model = _load(folder, adapter)
        except Exception as error:  # whatever a library makes of a bad folder
            raise GenerationError(f"the language model cannot be loaded: {error}") from error
        self.template = manifest.template if manifest else self._usual_template()
        # A tokenizer shared by threads fails with "Already borrowed" (transformers#47085), and two
        # generations at once would each take twice as long.
        self._busy = threading.Lock()

    def generate(self, question: Question, evidence: Sequence[Evidence]) -> Iterator[DraftSentence]:
        """Yield sentences as they are finished. Raises GenerationError.

        Closing the iterator, or `timeout_seconds` from its start, ends the generation.
        """
        masker = Masker()
        passages = [masker.mask(titled(e.title, e.text)) for e in evidence]
        past = [
            Turn("customer" if m.role == "customer" else "agent", masker.mask(m.text))
            for m in question.history
        ]
        run = _Run(self, passages, past, masker.mask(question.text))
        run.thread.start()
        try:
            said: set[str] = set()
            for sentence in _sentences(run.pieces()):
                if sentence in said:  # a model that has begun to repeat itself adds nothing
                    return
                said.add(sentence)
                draft = _draft(masker.restore(sentence), evidence[: run.passages_read])
                if draft.text:
                    yield draft
        finally:
            run.stop.set()

    def read(self, passages: Sequence[str], past: Sequence[Turn], question: str) -> Prompt:
        """The prompt within its budget; call it only while holding the model."""
        positions = int(getattr(self._model.config, "max_position_embeddings", 0) or 10**9)
        room = min(self.settings.prompt_tokens, positions - self.settings.max_new_tokens)

        def count(text: str) -> int:
            return len(self._tokenizer(text, add_special_tokens=False)["input_ids"])

        return self.template.fit(passages, past, question, count, room)

    def write(self, prompt: Prompt, streamer: TextIteratorStreamer, stop: StoppingCriteria) -> None:
        """Generate into the streamer; call it only while holding the model."""
        inputs = self._tokenizer(prompt.text, add_special_tokens=False, return_tensors="pt")
        end = self._tokenizer.convert_tokens_to_ids(self.template.reply_end)
        ends = {end, self._tokenizer.eos_token_id} - {None, self._tokenizer.unk_token_id}
        with torch.inference_mode():
            self._model.generate(
                input_ids=inputs["input_ids"].to(self._model.device),
                attention_mask=inputs["attention_mask"].to(self._model.device),
                max_new_tokens=self.settings.max_new_tokens,
                do_sample=False,
                eos_token_id=sorted(ends) or None,
                pad_token_id=self._tokenizer.pad_token_id or min(ends, default=0),
                stopping_criteria=StoppingCriteriaList([stop]),
                streamer=streamer,
            )

    def _usual_template(self) -> PromptTemplate:
        return PromptTemplate.for_vocabulary(
            self._tokenizer.get_vocab(),
            self._tokenizer.bos_token or "",
            self._tokenizer.all_special_tokens,
        )

    def new_streamer(self) -> TextIteratorStreamer:
        """A streamer that gives up waiting: a dead thread would else hang its reader (#22576)."""
        return TextIteratorStreamer(
            self._tokenizer,
            skip_prompt=True,
            timeout=self.settings.timeout_seconds,
            skip_special_tokens=True,
        )

    def acquire(self, seconds: float) -> bool:
        """Wait for the model; False when it stayed busy."""
        return self._busy.acquire(timeout=max(0.0, seconds))

    def release(self) -> None:
        """Let the next one have the model."""
        self._busy.release()


class _Run:
    """One generation in its thread. The thread holds the model, not its reader, who may stall."""

    def __init__(
        self, owner: TransformersGenerator, passages: list[str], past: list[Turn], question: str
    ) -> None:
        self.owner = owner
        self.stop = threading.Event()
        self.passages_read = 0
        self.thread = threading.Thread(target=self._work, name="lm", daemon=True)
        self._asked = (passages, past, question)
        self._deadline = time.monotonic() + owner.settings.timeout_seconds
        self._error: BaseException | None = None
        self._streamer = owner.new_streamer()

    def pieces(self) -> Iterator[str]:
        """Text as it comes, up to the reply's end. Raises GenerationError."""
        end = self.owner.template.reply_end
        text, sent = "", 0
        try:
            for piece in self._streamer:
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
        except queue.Empty:
            raise GenerationError("the language model did not answer in time") from None
        if self._error is not None:
            raise GenerationError(f"the language model failed: {self._error}") from self._error
        if time.monotonic() >= self._deadline:
            raise GenerationError("the language model did not finish in time")
        yield text[sent:]

    def _work(self) -> None:
        held = False
        try:
            held = self.owner.acquire(self._deadline - time.monotonic())
            if not held:
                raise TimeoutError("it was busy for too long")
            prompt = self.owner.read(*self._asked)
            self.passages_read = len(prompt.passages)
            self.owner.write(prompt, self._streamer, _StopWhen(self.stop, self._deadline))
        except BaseException as error:  # out of memory included: its reader must hear of it
            self._error = error
        finally:
            if held:
                self.owner.release()
            self._streamer.text_queue.put(self._streamer.stop_signal)


class _StopWhen(StoppingCriteria):  # type: ignore[misc]
    """Ends a generation between two tokens: when nobody listens any more, or at the deadline."""

    def __init__(self, stop: threading.Event, deadline: float) -> None:
        self.stop = stop
        self.deadline = deadline

    def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> torch.Tensor:
        done = self.stop.is_set() or time.monotonic() >= self.deadline
        return torch.full((input_ids.shape[0],), done, device=input_ids.device)


def _load(folder: Path, adapter: Path | None) -> Any:
    """The base in NF4, what is left in float32 (a GPU: bfloat16), and the adapter beside it."""
    gpu = torch.cuda.is_available()
    dtype = torch.bfloat16 if gpu else torch.float32
    model: Any = AutoModelForCausalLM.from_pretrained(
        folder,
        quantization_config=BitsAndBytesConfig(  # type: ignore[no-untyped-call]
            **NF4, bnb_4bit_compute_dtype=dtype
        ),
        dtype=dtype,
        device_map={"": 0 if gpu else "cpu"},
        use_safetensors=True,
    )
    if adapter:
        from peft import PeftModel  # seconds to import, and a bare base does without

        model = PeftModel.from_pretrained(model, adapter)
    return model.eval()


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


def _draft(sentence: str, evidence: Sequence[Evidence]) -> DraftSentence:
    """The sentence without its marks; the first mark that names evidence says what it rests on."""
    numbers = [int(mark) for mark in _MARK.findall(sentence)]
    known = [evidence[n - 1].id for n in numbers if 1 <= n <= len(evidence)]
    return DraftSentence(_MARK.sub("", sentence).strip(), known[0] if known else None)
