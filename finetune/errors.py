"""Errors of fine-tuning.

FinetuneError
├── RecipeError     a recipe cannot be read, or its values do not fit each other or the run
├── DataError       a source or a prepared folder is missing, unreadable or changed
├── BaseModelError  the base model is missing, unsafe to load, or cannot be loaded
├── AdapterError    an adapter folder is incomplete, unsafe, or made for another base
└── GateError       an adapter has not earned promotion
"""


class FinetuneError(Exception):
    """Root of this package's errors; the message says what repairs it."""


class RecipeError(FinetuneError):
    """A recipe is unreadable, unknown keys included, or asks for the impossible."""


class DataError(FinetuneError):
    """Dialogues or a prepared folder cannot be used."""


class BaseModelError(FinetuneError):
    """The base model's folder is missing, incomplete or unsafe."""


class AdapterError(FinetuneError):
    """An adapter's folder must not be loaded."""


class GateError(FinetuneError):
    """The adapter is not better than what it would replace, or was never evaluated."""
