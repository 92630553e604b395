"""`python -m assistant`.

What stops the language model is started without the libraries that the other commands need: on a
machine that is busy they take many seconds to load.
"""

from __future__ import annotations

import sys

URGENT = frozenset({"pause-model", "resume-model"})


def main() -> None:
    """Run the command that the first argument names."""
    if URGENT.intersection(sys.argv[1:2]):
        from assistant.model_commands import model_app

        model_app()
        return
    from assistant.commands import app

    app()


if __name__ == "__main__":
    main()
