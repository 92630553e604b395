"""What the files in deploy/ say, read for the tests."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from assistant.settings import Settings

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
_NAME = re.compile(r"\bFRONTDESK_[A-Z0-9_]+\b")


def documents(path: Path) -> list[dict[str, Any]]:
    """The objects of a YAML file."""
    return [one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one]


def manifests() -> dict[str, dict[str, Any]]:
    """All Kubernetes objects, by "Kind/name"."""
    found = [one for path in MANIFESTS for one in documents(path)]
    return {f"{one['kind']}/{one['metadata']['name']}": one for one in found}


def setting_names() -> set[str]:
    """Names of environment variables of settings that are anywhere in deploy/."""
    texts = [p for p in DEPLOY.rglob("*") if p.is_file() and p.suffix not in (".png", ".lock")]
    names = {name for path in texts for name in _NAME.findall(path.read_text(encoding="utf-8"))}
    return names - {"FRONTDESK_IMAGE"}  # compose's own


def is_setting(name: str) -> bool:
    """Whether there is a setting that an environment variable gives a value."""
    kind: Any = Settings
    for part in name.removeprefix("FRONTDESK_").lower().split("__"):
        if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
            return False
        if part not in kind.model_fields:
            return False
        kind = kind.model_fields[part].annotation
    return True
