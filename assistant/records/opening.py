"""Which system keeps customers and orders, by the settings."""

from __future__ import annotations

from assistant.records.seam import Records
from assistant.records.sqlite import FILE, SqliteRecords
from assistant.settings import Settings


def open_records(settings: Settings) -> Records | None:
    """The shop's own system, or the home's file of orders; None where there is neither."""
    own, file = settings.orders, settings.home / FILE
    if own.url:
        from assistant.records.http import HttpRecords  # its library takes a while to import

        return HttpRecords(own.url, own.token, own.timeout_seconds)
    return SqliteRecords(file) if file.is_file() else None
