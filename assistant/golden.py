"""The shop's golden questions: what is known of their answers, and adding one to them."""

from __future__ import annotations

import json
import os
import shutil
import threading
from typing import Any

from assistant.errors import AssistantError
from assistant.replay import ReplayQuestion, golden_questions
from assistant.settings import Settings

_PACKED = frozenset({".gz", ".zst"})


class GoldenSet:
    """The file of questions that are asked again before a publish."""

    def __init__(self, settings: Settings) -> None:
        self.path = (settings.golden or settings.home / "golden.jsonl").resolve()
        self._lock = threading.Lock()

    def questions(self) -> dict[str, ReplayQuestion]:
        """The questions by their text in one line; none where there is no file yet.

        Raises AssistantError when the file is none of golden questions.
        """
        found = golden_questions(self.path) if self.path.is_file() else []
        return {one_line(q.text): q for q in reversed(found)}

    def add(self, question: ReplayQuestion) -> bool:
        """Append a question; False when its text is there already, whatever is expected of it.

        Raises AssistantError when the file cannot be read or written.
        """
        with self._lock:
            if one_line(question.text) in self.questions():
                return False
            if self.path.suffix in _PACKED:
                raise AssistantError(f"{self.path} is packed; unpack it to add to it")
            try:
                self._append(_line(question).encode())
            except OSError as error:
                raise AssistantError(f"{self.path} cannot be written: {error.strerror}") from error
            return True

    def _append(self, line: bytes) -> None:
        """A kill at any moment leaves the old file or the new one. Raises OSError."""
        exists = self.path.is_file()
        if exists and not os.access(self.path, os.W_OK):  # which replacing it would get round
            raise PermissionError(0, "it is read-only")
        old = self.path.read_bytes() if exists else b""
        joint = b"\n" if old and not old.endswith(b"\n") else b""
        partial = self.path.with_name(f"{self.path.name}.{os.getpid()}.partial")
        try:
            with partial.open("wb") as file:
                file.write(old + joint + line)
                file.flush()
                os.fsync(file.fileno())
            if exists:
                shutil.copymode(self.path, partial)
            partial.replace(self.path)
        finally:
            partial.unlink(missing_ok=True)


def one_line(text: str) -> str:
    """A question as two of them are compared: spaces and line breaks do not count."""
    return " ".join(text.split())


def _line(question: ReplayQuestion) -> str:
    row: dict[str, Any] = {"text": question.text, "answerable": question.answerable}
    row |= {"relevant": question.relevant, "facts": question.facts}
    kept = {key: value for key, value in row.items() if value not in (None, ())}
    return json.dumps(kept, ensure_ascii=False) + "\n"
