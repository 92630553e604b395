"""All settings, built once at the entry point: defaults < frontdesk.toml < FRONTDESK_* < flags <
what operators have tuned in their room (tuned.json in the home).

Nothing else reads the environment. A nested field is FRONTDESK_KNOWLEDGE__MAX_CHUNK_WORDS in the
environment and `max_chunk_words` below `[knowledge]` in the file. An unknown key is an error.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)

from assistant.errors import SettingsError
from assistant.hours import Hours
from assistant.model_settings import ModelSettings
from assistant.observability_settings import (
    HealthSettings,
    ObservabilitySettings,
    from_standard,
)
from assistant.propensity_settings import PropensitySettings
from assistant.safety_settings import SafetySettings
from assistant.store_settings import BackupSettings, SharedSettings, StoreSettings
from assistant.tuned import FILE, Tuned, problems
from assistant.web_settings import OidcSettings, WebSettings
from knowledge.settings import KnowledgeSettings

_PREFIX = "FRONTDESK_"
_FILE = "frontdesk.toml"
CONVERSATIONS = "conversations.sqlite"  # in the home


class OrderSettings(BaseModel):
    """Where customers and orders are kept; without url, in records.sqlite in the home, if that is
    there (see assistant/records/)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field("", description="The shop's own system, as records/http.py asks it.")
    token: str = Field("", description="Bearer token for it.")
    timeout_seconds: float = Field(5.0, gt=0, description="Give up and hand over after this long.")
    most_without_agent: Decimal = Field(
        Decimal(300), ge=0, description="Changes worth more, in the order's currency, wait for one."
    )
    number: str = Field(
        r"(?<!\w)(?:[A-Z]{1,4}-?\d{5,12}|#\w{4,12})\b",
        description="Regular expression of an order number, in any case.",
    )

    @field_validator("number")
    @classmethod
    def _compiles(cls, number: str) -> str:
        try:
            if re.compile(number).groups:
                raise ValueError("number must have no group that captures: write (?:...)")
        except re.error as error:
            raise ValueError(f"number is no regular expression: {error}") from error
        return number


class Settings(BaseModel):
    """Everything that can be set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    home: Path = Field(Path(".frontdesk"), description="Folder that holds all state.")
    data: Path | None = Field(None, description="Public data sets, for benchmarks only.")
    shop_name: str = Field("Maplewick", description="Name the assistant gives for the shop.")
    default_language: str = Field("en", description="Reply language when none can be told.")
    answer_threshold: float = Field(
        0.6, ge=0, le=1, description="Relevance from which evidence is quoted to customers."
    )
    most_wrong: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Share of answers that may be wrong; sets the relevance above by the golden"
        " questions at each publish. Empty: the relevance above holds.",
    )
    confidence: float = Field(0.9, gt=0, lt=1, description="How sure to be of most_wrong.")
    clarify_threshold: float = Field(
        0.12, ge=0, le=1, description="Relevance from which a clarifying question is asked."
    )
    max_utterance_characters: int = Field(2000, ge=100, description="Longer messages are refused.")
    turn_seconds: float = Field(
        45.0,
        gt=0,
        description="A person takes over a message that is not answered after this long, whatever"
        " holds it up; from model.timeout_seconds on the answer is quoted.",
    )
    max_quote_words: int = Field(90, ge=10, description="Longest quotation in a reply.")
    golden: Path | None = Field(
        None, description="Questions replayed before a publish; empty: golden.jsonl in the home."
    )
    replay_questions: int = Field(
        50, ge=0, description="Most recent real questions replayed before a publish."
    )
    false_alarms: float = Field(
        0.05,
        gt=0,
        lt=1,
        description="Probability of a false alert of worse quality, at most, in four weeks.",
    )
    hours: Hours = Hours()
    knowledge: KnowledgeSettings = KnowledgeSettings()
    model: ModelSettings = ModelSettings()
    orders: OrderSettings = OrderSettings()
    propensity: PropensitySettings = PropensitySettings()
    safety: SafetySettings = SafetySettings()
    web: WebSettings = WebSettings()
    oidc: OidcSettings = OidcSettings()
    store: StoreSettings = StoreSettings()
    shared: SharedSettings = SharedSettings()
    backup: BackupSettings = BackupSettings()
    observability: ObservabilitySettings = ObservabilitySettings()
    health: HealthSettings = HealthSettings()
    _own: Settings | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _thresholds_in_order(self) -> Settings:
        if self.clarify_threshold > self.answer_threshold:
            raise ValueError("clarify_threshold must not exceed answer_threshold")
        return self

    @model_validator(mode="after")
    def _quoted_before_given_up(self) -> Settings:
        if self.model.base and self.turn_seconds <= self.model.timeout_seconds:
            raise ValueError("turn_seconds must exceed model.timeout_seconds")
        return self

    @property
    def engines(self) -> Path:
        """Where exported engines are kept."""
        return self.home / "engines"

    @property
    def store_url(self) -> str:
        """The database of the conversations."""
        return self.store.url or f"sqlite:///{self.home / CONVERSATIONS}"

    @property
    def has_store(self) -> bool:
        """Whether there is one already."""
        return bool(self.store.url) or (self.home / CONVERSATIONS).is_file()

    @property
    def own(self) -> Settings:
        """The shop's own settings: these, without what operators have tuned."""
        return self._own or self

    def tuned_by(self, tuned: Tuned) -> Settings:
        """The shop's own settings with these values instead of theirs. Raises SettingsError."""
        own = self.own
        values = tuned.less(Tuned.of(own)).values()
        if not values:
            return own
        inner = {k: v for k, v in values.items() if k in KnowledgeSettings.model_fields}
        outer = {k: v for k, v in values.items() if k not in inner}
        settings = _checked(dict(own) | outer | {"knowledge": dict(own.knowledge) | inner})
        settings._own = own
        return settings


def load_settings(
    config: Path | None = None,
    environment: Mapping[str, str] | None = None,
    **flags: Any,
) -> Settings:
    """Build the settings; flags that are None are left out. Raises SettingsError."""
    environment = os.environ if environment is None else environment
    values = from_standard(environment)
    _merge(values, _from_file(config))
    _merge(values, _from_environment(environment))
    _merge(values, {k: v for k, v in flags.items() if v is not None})
    own = _checked(values)
    tuned = Tuned.read(own.home)
    try:
        return own.tuned_by(tuned)
    except SettingsError as error:
        raise SettingsError(
            f"{own.home / FILE} does not go with the shop's own {error}; delete the file, or save "
            "other values in the operators' room"
        ) from error


def _checked(values: Mapping[str, Any]) -> Settings:
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(f"settings: {problems(error)}") from error


def _from_file(config: Path | None) -> dict[str, Any]:
    path = config or Path(_FILE)
    if not path.is_file():
        if config:
            raise SettingsError(f"{config} does not exist")
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from error


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """FRONTDESK_A__B=1 as {"a": {"b": "1"}}; pydantic turns the text into the field's type."""
    values: dict[str, Any] = {}
    for name, value in environment.items():
        if not name.startswith(_PREFIX) or not value:
            continue
        *parents, last = name.removeprefix(_PREFIX).lower().split("__")
        target = values
        for parent in parents:
            target = target.setdefault(parent, {})
        target[last] = json.loads(value) if value.startswith(("[", "{")) else value
    return values


def _merge(into: dict[str, Any], values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value
