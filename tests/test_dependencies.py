"""Locked dependencies: complete, hashed, and without a known hole that nobody has accepted."""

from __future__ import annotations

import re
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
LOCK = (ROOT / "deploy" / "requirements.lock").read_text(encoding="utf-8")
ADVISORIES = yaml.safe_load((ROOT / "deploy" / "advisories.yaml").read_text(encoding="utf-8"))
EXTRAS = ("oidc", "postgres", "redis", "fast", "otel")
LONGEST_DAYS = 184  # that an exception is believed without another look
SEVERE = {"high", "critical"}


def locked(text: str = LOCK) -> dict[str, str]:
    """Versions by name."""
    pins = re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE)
    return {canonicalize_name(name): version for name, version in pins}


def unexplained(versions: dict[str, str], advisories: list[dict[str, Any]]) -> list[str]:
    """Ids of severe advisories that a version is affected by and nobody has accepted."""
    return [
        one["id"] for one in advisories
        if one["severity"] in SEVERE and "accepted" not in one
        and (version := versions.get(one["package"]))
        and SpecifierSet(one["affected"]).contains(version, prereleases=True)
    ]  # fmt: skip


def test_every_locked_package_is_one_version_with_hashes() -> None:
    entries = [e for e in re.split(r"\n(?=\S)", LOCK.strip()) if not e.startswith("#")]
    assert len(entries) > 100
    for entry in entries:
        assert re.match(r"[\w.-]+==[\w.+!-]+ ", entry), entry[:60]
        assert "--hash=sha256:" in entry, entry[:60]


def test_the_lock_meets_what_the_package_declares() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(line for name in EXTRAS for line in extras[name])]
    versions = locked()
    for requirement in map(Requirement, wanted):
        version = versions.get(canonicalize_name(requirement.name))
        assert version is not None, f"run make lock: {requirement.name} is missing"
        assert requirement.specifier.contains(version), f"run make lock: {requirement}"


def test_no_locked_version_has_a_severe_hole_that_nobody_has_accepted() -> None:
    assert unexplained(locked(), ADVISORIES) == []


@pytest.mark.parametrize("advisory", ADVISORIES, ids=lambda one: str(one["id"]))
def test_an_advisory_holds_and_an_exception_is_dated_and_short(advisory: dict[str, Any]) -> None:
    SpecifierSet(advisory["affected"])
    assert advisory["severity"] in {"low", "medium", *SEVERE}
    if accepted := advisory.get("accepted"):
        since, until = accepted["since"], accepted["until"]
        assert isinstance(since, date)
        assert 0 < (until - since).days <= LONGEST_DAYS
        assert len(accepted["why"].split()) > 10


def test_an_old_version_would_be_found() -> None:
    assert unexplained({"torch": "2.5.1", "gradio": "6.15"}, ADVISORIES) == [
        "GHSA-j36p-7w88-g82j", "CVE-2025-32434",
    ]  # fmt: skip
    assert unexplained({"chromadb": "1.5.9"}, ADVISORIES) == []
