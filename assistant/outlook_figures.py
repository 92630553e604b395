"""How the conversations of customers with different outlooks went, side by side.

It is there to see that nobody is served worse: the rates of the bands should be alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from assistant import tables
from assistant.conversations import Conversation, Conversations
from assistant.episodes import Episode
from assistant.propensity import BANDS, Outlook
from assistant.shares import Share
from knowledge.propensity.model import Band

_MOST = 2000  # conversations that are looked at, the latest


@dataclass(frozen=True, slots=True)
class BandFigures:
    """Conversations whose customers are in a band, and how many customers that are; `hard` of those
    that had their 24 hours of silence were confirmed as resolved, `handed_off` of all went to a
    person, and `waited` is the mean of the seconds until one wrote, None where none was waited for.
    """

    band: Band
    customers: int
    conversations: int
    hard: Share
    handed_off: Share
    waited: float | None


def figures_by_band(
    episodes: Iterable[Episode],
    store: Conversations,
    look: Callable[[Conversation], Outlook | None],
) -> tuple[BandFigures, ...]:
    """The figures of each band; of nobody with an outlook, nothing."""
    episodes = [e for e in episodes if e.fate != "small_talk"]
    known = _identified(store, min((e.began for e in episodes), default=0.0))
    talks: dict[Band, list[Episode]] = {band: [] for band in BANDS}
    people: dict[Band, set[str]] = {band: set() for band in BANDS}
    for episode in episodes:
        conversation = known.get(episode.conversation_id)
        if conversation and (outlook := look(conversation)):
            talks[outlook.band].append(episode)
            people[outlook.band].add(str(conversation.customer_id))
    if not any(talks.values()):
        return ()
    return tuple(_figures(band, talks[band], len(people[band])) for band in BANDS)


def _identified(store: Conversations, since: float) -> dict[str, Conversation]:
    """The latest conversations since then whose customers are known, by their ids."""
    columns = tables.conversations.c
    query = (
        select(tables.conversations)
        .where(columns.updated >= since, columns.customer_id.is_not(None))
        .order_by(columns.updated.desc())
        .limit(_MOST)
    )
    with store.readers.connect() as connection:
        rows = connection.execute(query).mappings()
        return {str(row["id"]): Conversation(**row) for row in rows}


def _figures(band: Band, episodes: Sequence[Episode], customers: int) -> BandFigures:
    settled = [e.fate for e in episodes if e.settled]
    waited = [e.waited for e in episodes if e.waited is not None]
    return BandFigures(
        band,
        customers,
        len(episodes),
        Share(settled.count("hard"), len(settled)),
        Share(sum(bool(e.handoff) for e in episodes), len(episodes)),
        sum(waited) / len(waited) if waited else None,
    )
