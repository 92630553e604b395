"""Find the piece of a document that an agent's words rest on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from finetune.prompt import titled
from knowledge.chunk import chunk_document
from knowledge.language import Detector
from knowledge.load import Loader
from knowledge.segment import content_words
from knowledge.settings import KnowledgeSettings


class DocumentPassages:
    """Documents cut as the knowledge base cuts them, by document id."""

    def __init__(self, pieces: Mapping[str, Sequence[str]]) -> None:
        self._pieces = {
            identifier: [(text, frozenset(content_words(text))) for text in texts]
            for identifier, texts in pieces.items()
        }

    @classmethod
    def load(cls, sources: Sequence[Path], detector: Detector) -> DocumentPassages:
        """Read documents from files and folders. Raises SourceError when a path is missing."""
        settings = KnowledgeSettings()
        documents = Loader(detector).load(sources).documents
        return cls(
            {
                d.id: [
                    titled(" › ".join(c.title_path), c.text)
                    for c in chunk_document(d, settings.max_chunk_words, settings.overlap_sentences)
                ]
                for d in documents
            }
        )

    def lookup(self, document_id: str, said: str) -> str | None:
        """The piece of a document that shares most words with what was said, or None."""
        pieces = self._pieces.get(document_id)
        if not pieces:
            return None
        words = set(content_words(said))
        return max(pieces, key=lambda piece: len(words & piece[1]))[0]
