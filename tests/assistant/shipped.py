"""Where the shipped models lie."""

from pathlib import Path

import assistant

_PACKAGE = Path(assistant.__file__).parent
STARTER = _PACKAGE / "weights" / "starter"
MAPLEWICK = _PACKAGE / "demo" / "weights" / "maplewick"
