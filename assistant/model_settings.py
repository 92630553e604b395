"""Settings of the language model, and of a server that runs it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from assistant.errors import SettingsError


class ServerSettings(BaseModel):
    """A server with OpenAI's completions API that runs the language model, with promoted adapters
    below their names (see deploy/model-server.md); without url the model runs in this process."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field("", description="Where the API begins: https://models.example.com/v1.")
    kind: Literal["openai", "vllm", "llama.cpp"] = Field(
        "openai",
        description="What it is: vllm and llama.cpp take the prompt as the model's own tokens, any"
        " other takes it as text.",
    )
    model: str = Field("", description="Name of the base there; empty: as in model.base.")
    adapters: dict[str, str] = Field(
        {}, description="Names there of promoted adapters that have other names there than here."
    )
    api_key: SecretStr = Field(
        SecretStr(""), description="Bearer token for it; best left to the environment or a file."
    )
    api_key_file: Path | None = Field(None, description="File that holds it, on a line.")
    ca_file: Path | None = Field(
        None, description="PEM file of the authority that vouches for it, if that is your own."
    )
    connect_seconds: float = Field(3.0, gt=0, description="Longest wait for a connection.")
    read_seconds: float = Field(15.0, gt=0, description="Longest silence before it counts as hung.")
    retries: int = Field(
        2, ge=0, le=5, description="How often it is asked again before the first word."
    )
    most_failures: int = Field(
        3, ge=1, description="Replies that may fail in a row; then it is left alone for a while."
    )
    rest_seconds: float = Field(
        20.0, gt=0, description="How long it is left alone, and answers are quoted."
    )

    @field_validator("url")
    @classmethod
    def _is_address(cls, url: str) -> str:
        parts = urlsplit(url)
        if url and (parts.scheme not in {"http", "https"} or not parts.hostname):
            raise ValueError(f"{url!r} is no address: https://host:port/v1")
        if parts.username or parts.query or parts.fragment:
            raise ValueError("url holds no user, query or fragment; the key is api_key")
        return url.rstrip("/")

    @model_validator(mode="after")
    def _one_key(self) -> ServerSettings:
        if self.api_key_file and self.api_key.get_secret_value():
            raise ValueError("api_key and api_key_file exclude each other")
        return self

    @property
    def is_plain(self) -> bool:
        """Whether others could listen: plain HTTP to another machine."""
        parts = urlsplit(self.url)
        return parts.scheme == "http" and parts.hostname not in {"localhost", "127.0.0.1", "::1"}

    @property
    def key(self) -> str:
        """The key; "" where none is needed. Raises SettingsError."""
        key = self.api_key.get_secret_value()
        if self.api_key_file:
            try:
                key = self.api_key_file.read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise SettingsError(f"api_key_file: {self.api_key_file} cannot be read") from error
        # A library would quote a header that it cannot send, key and all.
        if not re.fullmatch(r"[!-~]*", key):
            raise SettingsError("api_key holds what no key does, such as a space or a line's end")
        return key


class ModelSettings(BaseModel):
    """The language model; without a base the assistant answers by quoting."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str = Field(
        "",
        description="Folder or hub id of a causal LM (with a server its tokenizer is enough);"
        " empty: quoting only.",
    )
    max_new_tokens: int = Field(160, ge=8, description="Longest reply, in tokens.")
    prompt_tokens: int = Field(1500, ge=128, description="Longest prompt, in tokens.")
    timeout_seconds: float = Field(30.0, gt=0, description="Give up and quote after this long.")
    engine: Literal["auto", "transformers-nf4", "ctranslate2-int8"] = Field(
        "auto",
        description="What writes replies; auto: what the adapter was evaluated on, or the"
        " fastest that is installed.",
    )
    candidates: int = Field(
        1, ge=1, le=16, description="Replies to write, of which the best supported is shown."
    )
    server: ServerSettings = ServerSettings()

    @model_validator(mode="after")
    def _server_or_engine(self) -> ModelSettings:
        if self.server.url and self.engine != "auto":
            raise ValueError("engine is for a model in this process; leave it out, or server.url")
        if self.server.url and not self.base:
            raise ValueError("server.url needs a base: prompts are measured with its tokenizer")
        return self

    @property
    def is_remote(self) -> bool:
        """Whether a server runs the model."""
        return bool(self.server.url)
