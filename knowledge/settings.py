"""Settings of the knowledge base, nested in the assistant's."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class KnowledgeSettings(BaseModel):
    """How documents are cut, embedded and found."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: Path | None = Field(
        None, description="Folder of a sentence-transformers model; empty: the embedded MiniLM."
    )
    max_chunk_words: int = Field(90, ge=20, description="Words in a chunk (CJK: 1.6 characters).")
    overlap_sentences: int = Field(1, ge=0, description="Sentences repeated in the next chunk.")
    candidates: int = Field(40, ge=5, description="Chunks each retriever hands to fusion.")
    rerank_passages: int = Field(3, ge=1, description="Passages that the reranker reads.")
    most_comparisons: int = Field(
        400, ge=0, description="Pairs of passages, and of documents, compared in a refresh."
    )
    keep_versions: int = Field(10, ge=2, description="Published versions kept for rollback.")
    max_file_bytes: int = Field(50_000_000, ge=1_000, description="A larger file is rejected.")
    max_read_seconds: float = Field(60, gt=0, description="A file that takes longer is rejected.")
    max_read_memory_bytes: int = Field(
        1_500_000_000, ge=300_000_000, description="Memory of the process that reads files."
    )
    chroma: str = Field(
        "",
        pattern=r"^(https?://[^/?#]+)?$",
        description="Chroma server (`chroma run`) on a private network that holds the vectors, as"
        " http://host:8000; empty: files in the home.",
    )
    threads: int = Field(2, ge=1, description="Threads of the encoder's engine.")
    embedding: Literal["process", "ray"] = Field(
        "process", description="What embeds new passages in a refresh: its process, or Ray."
    )
    embedding_workers: int = Field(
        2, ge=1, description="Workers of Ray, with so many threads each as set above."
    )
    ray_address: str = Field(
        "", description="A cluster, as host:6379; empty: on this machine, for the refresh alone."
    )

    @model_validator(mode="after")
    def _candidates_cover_reranking(self) -> KnowledgeSettings:
        if self.rerank_passages > self.candidates:
            raise ValueError("rerank_passages must not exceed candidates")
        return self
