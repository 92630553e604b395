"""Settings of what is kept: where, for how long, and how its backups are sealed."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from assistant.errors import SettingsError

# NIST SP 800-63B-4, section 3.1.1.2: at least so many where a passphrase is all that protects.
LEAST_PASSPHRASE = 15


class StoreSettings(BaseModel):
    """Where conversations are kept, and for how long; without days, until somebody deletes them.

    What was said is worth keeping for a shorter time than what it counts for in the analytics.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(
        "",
        description="Database, as postgresql://user:password@host/name; empty:"
        " conversations.sqlite in the home.",
    )
    words_days: float | None = Field(
        None,
        gt=0,
        description="Days after its last use for which the words of a conversation, its notes and"
        " whom it was with are kept; its outcomes, times and verdicts stay.",
    )
    conversations_days: float | None = Field(
        None, gt=0, description="Days after its last use for which anything of it is kept."
    )

    @model_validator(mode="after")
    def _words_first(self) -> StoreSettings:
        words, whole = self.words_days, self.conversations_days
        if words is not None and whole is not None and words > whole:
            raise ValueError("words_days must not exceed conversations_days")
        return self


class SharedSettings(BaseModel):
    """What several processes that serve one shop share beside the database and the home."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    redis: str = Field(
        "",
        description="Where they meet, as redis://:password@host:6379/0 (the extra `redis`); empty:"
        " there is one process.",
    )
    prefix: str = Field(
        "frontdesk", pattern=r"^[\w.-]{1,64}$", description="Of its keys; another for each shop."
    )


class BackupSettings(BaseModel):
    """The passphrase that backups are sealed with; whoever has lost it has lost them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    passphrase: SecretStr = Field(
        SecretStr(""), description=f"At least {LEAST_PASSPHRASE} characters; or use a file."
    )
    passphrase_file: Path | None = Field(None, description="File whose first line it is.")

    def secret(self) -> str:
        """The passphrase. Raises SettingsError when there is none, or one that is too short."""
        found = self.passphrase.get_secret_value()
        if self.passphrase_file:
            try:
                found = (self.passphrase_file.read_text("utf-8").splitlines() or [""])[0]
            except (OSError, UnicodeDecodeError) as error:
                raise SettingsError(f"passphrase file {self.passphrase_file}: {error}") from error
        if len(found) < LEAST_PASSPHRASE:
            raise SettingsError(
                f"a backup needs a passphrase of at least {LEAST_PASSPHRASE} characters: give"
                " --passphrase-file, or set FRONTDESK_BACKUP__PASSPHRASE"
            )
        return found
