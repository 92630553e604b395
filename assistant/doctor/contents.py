"""Checks of what the home holds: knowledge, weights, adapters, the database and the accounts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, func, inspect, select
from sqlalchemy.exc import SQLAlchemyError

from assistant import migrations, tables
from assistant.database import open_engines
from assistant.doctor.findings import Finding, broken, ok, warning
from assistant.errors import AssistantError, StoreError
from assistant.settings import Settings
from assistant.switch import ModelSwitch
from finetune.registry import (
    FinetuneError,
    Registry,
    base_digest,
    has_weights,
    validate_adapter,
    validate_base,
)
from knowledge.catalogue.promoted import product_rerankers
from knowledge.check import check
from knowledge.errors import EmptyKnowledge, KnowledgeError
from knowledge.minilm import ADAPTER, ENCODER_ADAPTER, minilm_folder, verify_minilm
from knowledge.propensity.promoted import propensity_models
from knowledge.recommend.promoted import recommenders
from knowledge.versions import Versions

_EMPTY = "the database is empty; its tables are made at the first start"


class Knowledge:
    """The published version, read to its end."""

    name = "knowledge"

    def look(self, settings: Settings) -> Iterator[Finding]:
        """See Check."""
        try:
            found = check(Versions(settings.home))
        except EmptyKnowledge as error:
            yield broken("nothing is published", str(error))
            return
        except KnowledgeError as error:
            yield broken(str(error), "python -m knowledge rollback, or refresh from your sources")
            return
        for problem in found.problems[:5]:
            yield broken(problem, "python -m knowledge rollback, or refresh from your sources")
        if not found.problems:
            size = f"{found.documents} documents, {found.passages} passages"
            yield ok(f"version {found.version}: {size}")


class Encoder:
    """The encoder's weights."""

    name = "encoder"

    def look(self, settings: Settings) -> Iterator[Finding]:
        """See Check."""
        own = settings.knowledge.encoder
        if own is None:
            yield ok(f"all-MiniLM-L6-v2, sha256 {verify_minilm(minilm_folder())[:12]}")
            if not (ENCODER_ADAPTER / ADAPTER).is_file():
                yield broken(f"{ENCODER_ADAPTER} has no {ADAPTER}", "install Frontdesk again")
        elif (own / "config.json").is_file() and list(own.glob("*.safetensors")):
            yield ok(str(own))
        else:
            yield broken(
                f"{own} is no complete model folder",
                "name another as `encoder` below [knowledge], or none for the embedded one",
            )


class Adapters:
    """The language model's base and its promoted adapters; what else is trained for the home."""

    name = "adapters"

    def look(self, settings: Settings) -> Iterator[Finding]:
        """See Check."""
        yield from self._trained(settings.home)
        base = None
        if settings.model.base:
            base = base_here(settings.model.base)
            if base is None:
                yield warning(
                    f"the base {settings.model.base} is not on this machine",
                    "it is fetched at the start; where no hub can be reached, name a folder",
                )
            else:
                validate_base(base, weights=not settings.model.is_remote)
                yield ok(f"base {base.name}")
        if pause := ModelSwitch(settings.home).pause():
            who = f" by {pause.who}" if pause.who else ""
            yield warning(
                f"the language model was stopped{who}", "python -m assistant resume-model"
            )
        yield from self._promoted(settings, base)

    @staticmethod
    def _promoted(settings: Settings, base: Path | None) -> Iterator[Finding]:
        registry = Registry(settings.home)
        repair = "python -m finetune rollback, or promote it again"
        try:
            canary, current = registry.canary(), registry.current()
        except FinetuneError as error:
            yield broken(str(error), "promote an adapter again")
            return
        served = {current} if current else set()
        if canary:
            served.add(registry.folder / canary.name)
        digest = base_digest(base) if base and served and has_weights(base) else ""
        for folder in sorted(served):
            try:
                manifest = validate_adapter(folder)
            except FinetuneError as error:
                yield broken(str(error), repair)
                continue
            if digest and manifest.base_sha256 != digest:
                yield warning(
                    f"{folder.name} was trained on another base, and is not served",
                    "train one on this base, or name its own base below [model]",
                )
            else:
                yield ok(f"adapter {folder.name}")
        if not served:
            yield ok("no adapter is promoted")

    @staticmethod
    def _trained(home: Path) -> Iterator[Finding]:
        manifest = home / "intents" / "manifest.json"
        if manifest.is_file():
            try:
                json.loads(manifest.read_text(encoding="utf-8"))
                yield ok("intents trained for this home")
            except (OSError, ValueError) as error:
                yield broken(f"{manifest}: {error}", "train them again, or remove the folder")
        for models in (recommenders(home), propensity_models(home), product_rerankers(home)):
            try:
                if folder := models.current():
                    models.read(folder)
                    yield ok(f"{models.noun} {folder.name}")
            except models.error as error:
                command = models.folder.name
                yield broken(
                    str(error), f"python -m finetune rollback-{command}, or promote one again"
                )


class Database:
    """Where conversations are kept, and whether its tables are this program's."""

    name = "database"

    def look(self, settings: Settings) -> Iterator[Finding]:
        """See Check."""
        if not settings.has_store:
            yield ok("none yet; it is made at the first start")
            return
        try:
            with reading(settings, any_step=True) as connection:
                assert connection is not None
                at = migrations.revision(connection)
                bare = at is None and not inspect(connection).has_table("conversations")
        except (StoreError, SQLAlchemyError) as error:
            yield broken(
                f"it cannot be read: {' '.join(str(error).split())}",
                "SQLite: restore a backup; PostgreSQL: look at `url` below [store], and whether the"
                " server runs and lets this user in",
            )
            return
        if bare:
            yield ok(_EMPTY)
        elif at == migrations.HEAD:
            yield ok(f"at step {at}")
        elif at is None or at in migrations.steps():
            yield warning(
                f"at step {at or 'none'}, and this program's is {migrations.HEAD}",
                "it is brought up to date at the next start; take a backup before",
            )
        else:
            yield broken(
                f"at step {at}, which this program does not know",
                "install the Frontdesk that it was last opened with, or restore a backup",
            )


class Staff:
    """Whether somebody can log in, and nobody else can read what signs tokens."""

    name = "staff"

    def look(self, settings: Settings) -> Iterator[Finding]:
        """See Check."""
        secret = settings.home / "staff.json"
        if secret.is_file() and secret.stat().st_mode & 0o077:
            yield broken(f"others can read {secret}, which signs tokens", f"chmod 600 {secret}")
        staff = tables.staff.c
        query = select(staff.role, func.count(), func.min(staff.must_change))
        query = query.where(staff.disabled == 0).group_by(staff.role)
        rows = None
        with reading(settings) as connection:
            if connection is not None and connection.scalar(select(staff.id).limit(1)):
                rows = connection.execute(query).all()
        if rows is None:
            yield ok("none yet; the account admin is made at the first start")
            return
        counts = {row[0]: int(row[1]) for row in rows}
        if not counts.get("admin"):
            yield broken(
                "there is no admin who can log in", "python -m assistant user add NAME --role admin"
            )
        elif all(row[2] for row in rows if row[0] == "admin"):
            yield warning(
                "no admin has chosen a password yet",
                "log in at /operator with the one-time password, or have another made:"
                " python -m assistant user reset admin",
            )
        if counts.keys() == {"admin"}:
            yield warning(
                "there are no agents and operators",
                "give each person an account: python -m assistant user add NAME --role agent",
            )
        if counts:
            told = ", ".join(f"{n} {role}" for role, n in sorted(counts.items()))
            yield ok(told)


@contextmanager
def reading(settings: Settings, any_step: bool = False) -> Iterator[Connection | None]:
    """A connection that reads; None where there is no database yet, or (unless `any_step`) one at
    another step than this program's. Raises StoreError."""
    if not settings.has_store:
        yield None
        return
    writer, reader = open_engines(settings.store_url)
    try:
        with reader.connect() as connection:
            known = any_step or migrations.revision(connection) == migrations.HEAD
            yield connection if known else None
    finally:
        writer.dispose()
        reader.dispose()


def base_here(base: str) -> Path | None:
    """The folder of a base, if it is on this machine; nothing is fetched."""
    if (folder := Path(base)).is_dir():
        return folder
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(base, local_files_only=True))
    except HFValidationError as error:
        raise AssistantError(f"the base {base!r} is no folder and no hub id") from error
    except LocalEntryNotFoundError:
        return None
