"""How long somebody waits for a turn."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Patience:
    """`until` is when a reply has to be there and `since` when the waiting began, on the monotonic
    clock; `gone` is set when nobody waits for it any more. What takes long looks at it and ends
    early."""

    until: float = math.inf
    gone: bool = False
    since: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """How long somebody has waited by now."""
        return time.monotonic() - self.since

    @property
    def is_over(self) -> bool:
        """Whether to stop now."""
        return self.gone or time.monotonic() >= self.until
