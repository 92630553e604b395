"""Put the knowledge base together from a home folder and settings."""

from __future__ import annotations

from pathlib import Path

from knowledge import places
from knowledge.catalogue.promoted import served_reranker
from knowledge.catalogue.reranker import ProductReranker
from knowledge.cross_encoder import CrossEncoder
from knowledge.encoder import Encoder, load_encoder
from knowledge.extraction import Limits as ReadingLimits
from knowledge.inspection.inspector import Inspector, TrainedInspector
from knowledge.language import Detector
from knowledge.load import Loader
from knowledge.ray_embedding import RayEmbedding
from knowledge.refresh import Refresher, Rehearse
from knowledge.rerank import CALIBRATION, Calibration, CrossEncoderReranker
from knowledge.retrieve import KnowledgeBase
from knowledge.settings import KnowledgeSettings
from knowledge.types import Progress, Rehearsal
from knowledge.versions import Versions

WEIGHTS = Path(__file__).parent / "weights"


def open_knowledge(home: Path, engines: Path, settings: KnowledgeSettings) -> KnowledgeBase:
    """The knowledge base in home; exported engines are kept in engines."""
    folder = WEIGHTS / "reranker"
    reranker = CrossEncoderReranker(
        CrossEncoder(folder, engines, settings.threads),
        Calibration.load(folder / CALIBRATION),
    )
    encoder = load_encoder(settings.encoder, engines, settings.threads)
    places.load()
    detector = Detector()
    detector.load()
    return KnowledgeBase(Versions(home), encoder, detector, reranker, settings)


def open_product_reranker(
    home: Path, engines: Path, settings: KnowledgeSettings
) -> ProductReranker:
    """What reads a search beside the products found: the home's own, or the shipped one."""
    return ProductReranker(served_reranker(home), engines, settings.threads)


def open_refresher(
    home: Path,
    engines: Path,
    settings: KnowledgeSettings,
    progress: Progress,
    rehearse: Rehearse = lambda version: Rehearsal(),
    inspector: Inspector | None = None,
) -> Refresher:
    """The refresher for home; `rehearse` puts questions to a new version, `inspector`
    is another than the one that is shipped."""
    encoder = load_encoder(settings.encoder, engines, settings.threads, bulk=True)
    limits = ReadingLimits(
        settings.max_file_bytes, settings.max_read_seconds, settings.max_read_memory_bytes
    )
    loader = Loader(Detector(), limits)
    inspector = inspector or open_inspector(encoder, engines, settings)
    embedding = RayEmbedding(encoder, engines, settings) if settings.embedding == "ray" else None
    return Refresher(
        Versions(home), loader, encoder, inspector, settings, progress, rehearse, embedding
    )


def open_inspector(
    encoder: Encoder,
    engines: Path,
    settings: KnowledgeSettings,
    folder: Path = WEIGHTS / "inspector",
) -> TrainedInspector:
    """The inspector in folder: by default the one that is shipped."""
    reader = CrossEncoder(folder, engines, settings.threads, bulk=True)
    return TrainedInspector(reader, encoder, folder, settings.most_comparisons)
