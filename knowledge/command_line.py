"""What the command lines of the three packages share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer


@contextmanager
def one_line_errors(*known: type[Exception], interrupted: str = "interrupted") -> Iterator[None]:
    """Turn known errors, and an interruption, into one line on stderr and exit code 1."""
    handled: tuple[type[Exception], ...] = (*known, OSError, MemoryError)
    try:
        yield
    except handled as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        typer.echo(f"error: {reason}", err=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        typer.echo(interrupted, err=True)
        raise typer.Exit(1) from None
