"""One rival's knowledge base through the same job; see README.md. Run in the rivals' environment.

    python main.py langchain|llamaindex|haystack < job.json > result.json

job: {"corpus", "changed", "questions", "encoder", "threads"}; the corpora are JSON Lines of
{"id", "title", "text"}. result: seconds of the first ingest, of a refresh with nothing new and of
one with the changed corpus (null where it would only embed everything again), how many texts the
last one embedded, how many old texts it left and new ones it lacks, and the ids of the five nearest
passages for each question.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Protocol

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("ANONYMIZED_TELEMETRY", "False")

Row = dict[str, str]


class Counted:
    """A sentence-transformers model that counts what it embeds."""

    def __init__(self, folder: str) -> None:
        from sentence_transformers import SentenceTransformer

        self.model = SentenceTransformer(folder, device="cpu")
        self.count = 0

    def embed(self, texts: list[str]) -> list[list[float]]:
        self.count += len(texts)
        vectors = self.model.encode(texts, batch_size=32, normalize_embeddings=True)
        return vectors.tolist()


class Rival(Protocol):
    def ingest(self, rows: list[Row]) -> None: ...

    def texts(self) -> dict[str, str]: ...

    def nearest(self, question: str) -> list[str]: ...


def page(row: Row) -> str:
    return f"{row['title']}\n{row['text']}"


class LangChain:
    """`index` in its full mode with a record manager on SQLite."""

    def __init__(self, folder: Path, encoder: Counted) -> None:
        from langchain_chroma import Chroma
        from langchain_classic.indexes import SQLRecordManager
        from langchain_core.embeddings import Embeddings

        class Adapter(Embeddings):
            def embed_documents(self, texts: list[str]) -> list[list[float]]:
                return encoder.embed(texts)

            def embed_query(self, text: str) -> list[float]:
                return encoder.embed([text])[0]

        self.embed_query = Adapter().embed_query
        self.store = Chroma(
            "passages",
            Adapter(),
            str(folder / "chroma"),
            collection_metadata={"hnsw:space": "cosine"},
        )
        self.records = SQLRecordManager("passages", db_url=f"sqlite:///{folder}/records.sqlite")
        self.records.create_schema()

    def ingest(self, rows: list[Row]) -> None:
        from langchain_core.documents import Document
        from langchain_core.indexing import index

        documents = [Document(page(r), metadata={"source": r["id"]}) for r in rows]
        index(
            documents, self.records, self.store, cleanup="full", source_id_key="source",
            key_encoder="sha256",
        )  # fmt: skip

    def texts(self) -> dict[str, str]:
        held = self.store.get(include=["documents", "metadatas"])
        return {
            i: f"{m['source']}\n{d}"
            for i, m, d in zip(held["ids"], held["metadatas"], held["documents"], strict=True)
        }

    def nearest(self, question: str) -> list[str]:
        return [d.metadata["source"] for d in self.store.similarity_search(question, k=5)]

    def exact(self, questions: list[str]) -> list[list[str]]:
        """The five nearest by the vectors that were stored, without an index."""
        import numpy as np

        held = self.store.get(include=["embeddings", "metadatas"])
        vectors = np.array(held["embeddings"], dtype=np.float32)
        asked = np.array([self.embed_query(q) for q in questions], dtype=np.float32)
        rows = np.argsort(-(asked @ vectors.T), axis=1)[:, :5]
        return [[held["metadatas"][n]["source"] for n in row] for row in rows]


class LlamaIndex:
    """An ingestion pipeline with a document store that upserts and deletes."""

    def __init__(self, folder: Path, encoder: Counted) -> None:
        import chromadb
        from llama_index.core.embeddings import BaseEmbedding
        from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
        from llama_index.core.node_parser import SentenceSplitter
        from llama_index.core.storage.docstore import SimpleDocumentStore
        from llama_index.vector_stores.chroma import ChromaVectorStore

        class Adapter(BaseEmbedding):
            def _get_text_embedding(self, text: str) -> list[float]:
                return encoder.embed([text])[0]

            def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
                return encoder.embed(texts)

            def _get_query_embedding(self, query: str) -> list[float]:
                return encoder.embed([query])[0]

            async def _aget_query_embedding(self, query: str) -> list[float]:
                return encoder.embed([query])[0]

        client = chromadb.PersistentClient(str(folder / "chroma"))
        self.collection = client.create_collection("passages", metadata={"hnsw:space": "cosine"})
        self.encoder = encoder
        self.pipeline = IngestionPipeline(
            # Without a splitter it stores nothing on a refresh; no passage is long enough to split.
            transformations=[SentenceSplitter(chunk_size=2048), Adapter(embed_batch_size=32)],
            docstore=SimpleDocumentStore(),
            docstore_strategy=DocstoreStrategy.UPSERTS_AND_DELETE,
            vector_store=ChromaVectorStore(chroma_collection=self.collection),
        )

    def ingest(self, rows: list[Row]) -> None:
        from llama_index.core import Document

        documents = [
            Document(
                text=page(r), id_=r["id"], metadata={"source": r["id"]},
                excluded_embed_metadata_keys=["source"],
            )
            for r in rows
        ]  # fmt: skip
        # Its Chroma store hands over all nodes of a run at once, more than Chroma takes; but a run
        # deletes what is not among its documents, so a larger corpus cannot be cut into several.
        self.pipeline.run(documents=documents)

    def texts(self) -> dict[str, str]:
        held = self.collection.get(include=["documents", "metadatas"])
        return {
            i: f"{m['source']}\n{d}"
            for i, m, d in zip(held["ids"], held["metadatas"], held["documents"], strict=True)
        }

    def nearest(self, question: str) -> list[str]:
        found = self.collection.query(query_embeddings=self.encoder.embed([question]), n_results=5)
        return [m["source"] for m in found["metadatas"][0]]


class Haystack:
    """A document store that overwrites."""

    def __init__(self, folder: Path, encoder: Counted) -> None:
        from haystack_integrations.document_stores.chroma import ChromaDocumentStore

        self.store = ChromaDocumentStore(
            persist_path=str(folder / "chroma"), distance_function="cosine"
        )
        self.encoder = encoder

    def ingest(self, rows: list[Row]) -> None:
        from haystack import Document
        from haystack.document_stores.types import DuplicatePolicy

        vectors = self.encoder.embed([page(r) for r in rows])
        documents = [
            Document(id=r["id"], content=page(r), embedding=v, meta={"source": r["id"]})
            for r, v in zip(rows, vectors, strict=True)
        ]
        self.store.write_documents(documents, policy=DuplicatePolicy.OVERWRITE)

    def texts(self) -> dict[str, str]:
        return {d.id: f"{d.meta['source']}\n{d.content}" for d in self.store.filter_documents()}

    def nearest(self, question: str) -> list[str]:
        found = self.store.search_embeddings(self.encoder.embed([question]), top_k=5)[0]
        return [d.meta["source"] for d in found]


RIVALS = {"langchain": LangChain, "llamaindex": LlamaIndex, "haystack": Haystack}


def read(path: str) -> list[Row]:
    with Path(path).open(encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def timed(rival: Rival, rows: list[Row]) -> float:
    started = time.monotonic()
    rival.ingest(rows)
    return round(time.monotonic() - started, 3)


def main() -> None:
    name = sys.argv[1]
    job: dict[str, Any] = json.load(sys.stdin)
    import torch

    torch.set_num_threads(job["threads"])
    encoder = Counted(job["encoder"])
    encoder.embed(["warm up"])
    rows, changed = read(job["corpus"]), read(job["changed"])
    result: dict[str, Any] = {"noop": None, "refresh": None}
    with tempfile.TemporaryDirectory() as folder:
        rival: Rival = RIVALS[name](Path(folder), encoder)
        result["first"] = timed(rival, rows)
        result["nearest"] = [rival.nearest(q) for q in job["questions"]]
        if isinstance(rival, LangChain):
            result["exact"] = rival.exact(job["questions"])
        if name != "haystack":  # it embeds everything again before its policy applies
            result["noop"] = timed(rival, rows)
            encoder.count = 0
            result["refresh"] = timed(rival, changed)
            result["embedded"] = encoder.count
            held = set(rival.texts().values())
            wanted = {f"{r['id']}\n{page(r)}" for r in changed}
            result["stale"], result["missing"] = len(held - wanted), len(wanted - held)
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
