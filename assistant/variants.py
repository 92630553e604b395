"""Assistants to compare: any version of the knowledge base with any promoted adapter.

Each is the served assistant with another knowledge base or generator, and shares all else with it.
What is loaded is kept for the next comparison, but only a little of it: an index of a version takes
as much memory as the served one, and a language model more than all the rest.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from assistant.build import knowledge_of
from assistant.dial import threshold_of
from assistant.errors import AssistantError
from assistant.generation import Generator, QuotingComposer
from assistant.memory import holds_another
from assistant.pipeline import Assistant
from assistant.settings import Settings
from assistant.skills import KnowledgeSkill
from finetune.registry import AdapterError, Registry, resolve_base
from knowledge.retrieve import KnowledgeBase
from knowledge.store import MANIFEST
from knowledge.versions import Pinned, Versions

if TYPE_CHECKING:
    from assistant.lm import BestOf, LanguageModel

SERVED, QUOTING = "", "quote"
MOST_VERSIONS, MOST_MODELS = 3, 2
Refusal = Literal["empty", "version", "adapter", "base", "memory"]


class VariantError(AssistantError):
    """A variant cannot be had: nothing is published (`empty`), there is no such version or adapter,
    no base is set for adapters, or there is too little memory for another model."""

    def __init__(self, kind: Refusal, name: str = "") -> None:
        super().__init__(f"{kind}: {name}")
        self.kind = kind
        self.name = name


@dataclass(frozen=True, slots=True)
class Variant:
    """What to ask: a version (by default the published one), an adapter's name, QUOTING or what
    is served, and the customer who asks."""

    version: str = SERVED
    adapter: str = SERVED
    customer: str = ""


@dataclass(frozen=True, slots=True)
class VersionChoice:
    """A version that may be asked; `created` in seconds since 1970, 0 where it is not known."""

    name: str
    created: float
    served: bool
    waiting: bool


class Variants:
    """Makes the assistant of a variant out of the one that customers get, which `served` gives.
    Only one thread may do so at a time."""

    def __init__(self, settings: Settings, served: Callable[[], Assistant]) -> None:
        self.settings = settings
        self._served = served
        self._pointer = Versions(settings.home)
        self._registry = Registry(settings.home)
        self._versions: OrderedDict[str, KnowledgeBase] = OrderedDict()
        self._models: OrderedDict[str, LanguageModel | BestOf] = OrderedDict()

    def versions(self) -> list[VersionChoice]:
        """All whole versions, newest first."""
        served, waiting = self._pointer.served(), self._pointer.prepared()
        return [
            VersionChoice(n, _created(self._pointer.folder / n), n == served, n in waiting)
            for n in reversed(self._pointer.complete())
        ]

    def adapters(self) -> list[str]:
        """Names of the promoted adapters, oldest first. Raises AdapterError when one is damaged."""
        return list(self._registry.list())

    def resolve(self, variant: Variant) -> Variant:
        """The variant with the version that is published now, if it names none.

        Raises VariantError where it cannot be had; loads nothing.
        """
        version = variant.version or self._pointer.served()
        if not version:
            raise VariantError("empty")
        if not self.has(version):
            raise VariantError("version", version)
        if variant.adapter not in (SERVED, QUOTING):
            self._check_adapter(variant.adapter)
        return replace(variant, version=version)

    def has(self, version: str) -> bool:
        """Whether there still is such a version: one may be purged or pruned at any time."""
        return version in self._pointer.complete()

    def assistant(self, variant: Variant) -> Assistant:
        """The assistant of a resolved variant; takes seconds, with an adapter's model minutes.

        Raises VariantError, KnowledgeError, GenerationError.
        """
        self._forget_purged()
        assistant = copy(self._served())
        knowledge = self._knowledge(variant.version, assistant)
        settings, folder = assistant.settings, knowledge.versions.current_folder()
        skill = KnowledgeSkill(knowledge, settings, lambda: threshold_of(settings, folder))
        assistant.skills = {**assistant.skills, "knowledge": skill}
        assistant.names = knowledge.mentions
        if variant.adapter != SERVED:
            assistant.generator = self._generator(variant.adapter)
        return assistant

    def _knowledge(self, version: str, served: Assistant) -> KnowledgeBase:
        if version not in self._versions:
            shared = knowledge_of(served)
            knowledge = KnowledgeBase(
                Pinned(self._pointer, version), shared.encoder, shared.detector, shared.reranker,
                shared.settings,
            )  # fmt: skip
            knowledge.index()
            self._versions[version] = knowledge
        self._versions.move_to_end(version)
        while len(self._versions) > MOST_VERSIONS:
            self._versions.popitem(last=False)[1].close()
        return self._versions[version]

    def _generator(self, adapter: str) -> Generator:
        if adapter == QUOTING:
            return QuotingComposer()
        if adapter not in self._models:
            self._check_adapter(adapter)
            while len(self._models) >= MOST_MODELS:
                self._models.popitem(last=False)[1].close()
            self._models[adapter] = self._load(adapter)
        self._models.move_to_end(adapter)
        return self._models[adapter]

    def _load(self, adapter: str) -> LanguageModel | BestOf:
        # torch and transformers take seconds to import; quoting alone does not need them.
        from assistant.lm import load_language_model

        settings, model = self.settings, self.settings.model
        if not model.is_remote and not holds_another(resolve_base(model.base)):
            raise VariantError("memory", adapter)
        return load_language_model(
            model, self._registry.folder / adapter, settings.engines,
            settings.knowledge.threads, self._served().grounding,
        )  # fmt: skip

    def _check_adapter(self, name: str) -> None:
        if not self.settings.model.base:
            raise VariantError("base", name)
        try:
            known = name in self.adapters()
        except AdapterError:
            known = False
        if not known:
            raise VariantError("adapter", name)

    def _forget_purged(self) -> None:
        """Let go of versions that are gone, whose text may have been withdrawn."""
        for name in [n for n in self._versions if not self.has(n)]:
            self._versions.pop(name).close()


def _created(folder: Path) -> float:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return datetime.fromisoformat(manifest["created"]).timestamp()
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0
