"""Put the outlooks together: the promoted model of a home, its records and its conversations."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from assistant.conversations import Conversation, Conversations
from assistant.episodes import Episode
from assistant.outlook_figures import BandFigures, figures_by_band
from assistant.outlooks import Outlooks
from assistant.propensity import Embed, Outlook, Propensity
from assistant.records.opening import open_records
from assistant.settings import Settings
from knowledge.encoder import Encoder, Vectors, load_encoder


def build_propensity(settings: Settings, store: Conversations) -> Propensity | None:
    """What works outlooks out; None where the shop keeps no orders. The encoder is loaded when a
    model reads titles, and not before."""
    records = open_records(settings)
    if records is None or not settings.propensity.shown:
        return None
    return Propensity(settings.home, settings.propensity, records, store, _embed(settings))


def build_outlooks(settings: Settings, store: Conversations) -> Outlooks | None:
    """The same for pages."""
    propensity = build_propensity(settings, store)
    return Outlooks(propensity) if propensity else None


def outlook_figures(
    settings: Settings, store: Conversations, episodes: Sequence[Episode]
) -> tuple[BandFigures, ...]:
    """The figures by band, worked out now; nothing without a promoted model.

    Raises RecordsError.
    """
    propensity = build_propensity(settings, store)
    if propensity is None or not propensity.served:
        return ()

    def look(conversation: Conversation) -> Outlook | None:
        return propensity.outlook(conversation.customer_id, conversation.created)

    return figures_by_band(episodes, store, look)


def _embed(settings: Settings) -> Embed:
    """The embedded encoder, which the model was trained with, whatever the settings say."""

    @cache
    def encoder() -> Encoder:
        return load_encoder(None, settings.engines, settings.knowledge.threads)

    def embed(texts: Sequence[str]) -> Vectors:
        return encoder().embed(texts)

    return embed
