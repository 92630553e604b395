"""How customers put things, as regular expressions in a YAML file: a mapping for each language."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import yaml

from assistant.phrases import DEFAULT


@cache
def wordings(file: Path, language: str) -> Mapping[str, re.Pattern[str]]:
    """The patterns of a language by name, for any case; a language that the file does not have gets
    the default's."""
    every = yaml.safe_load(file.read_text(encoding="utf-8"))
    held = every.get(language) or every[DEFAULT]
    return {name: re.compile(pattern, re.IGNORECASE) for name, pattern in held.items()}
