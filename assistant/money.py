"""Amounts of money in a customer's language."""

from __future__ import annotations

from decimal import Decimal

from babel.numbers import format_currency

from assistant import phrases

# English with pounds and the day before the month, which nobody misreads.
_LOCALES = {"en": "en_GB"}


def locale_of(language: str) -> str:
    """The locale of a language, the default's where the assistant does not speak it."""
    spoken = language if language in phrases.languages() else phrases.DEFAULT
    return _LOCALES.get(spoken, spoken)


def written(amount: Decimal, currency: str, language: str, is_round: bool = False) -> str:
    """An amount in a currency (ISO 4217); `is_round` leaves pence out where there are none."""
    whole = is_round and amount == amount.to_integral_value()
    if not currency:
        return f"{amount.normalize():f}" if whole else f"{amount:f}"
    if not whole:
        return str(format_currency(amount, currency, locale=locale_of(language)))
    return str(
        format_currency(
            amount, currency, "¤#,##0", locale=locale_of(language), currency_digits=False
        )
    )
