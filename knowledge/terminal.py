"""What the command line shows people: progress on stderr, reports and differences on stdout."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from knowledge.diff import DocumentChange
from knowledge.types import Finding, RefreshReport
from knowledge.types import Progress as RefreshProgress

_errors = Console(stderr=True)
_EDIT_SIGNS = {"removed": ("[-", "-]", "red"), "added": ("{+", "+}", "green")}


class _Rate(ProgressColumn):
    """How many are done a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed else "")


@contextmanager
def progress_bar() -> Iterator[RefreshProgress]:
    """A bar on stderr for each stage, with its rate and the time left; off a terminal a line for
    each stage that has ended."""
    columns = (
        TextColumn("{task.description:7}"), BarColumn(), MofNCompleteColumn(), _Rate(),
        TimeRemainingColumn(),
    )  # fmt: skip
    terminal = sys.stderr.isatty()
    with Progress(*columns, console=_errors, disable=not terminal) as bars:
        tasks: dict[str, TaskID] = {}

        def show(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)
            if done == total and not terminal:
                _errors.print(f"{stage} {done} of {total}", highlight=False)

        yield show


def print_report(report: RefreshReport) -> None:
    """What a refresh did, for people."""
    state = "published" if report.published else "not published"
    typer.echo(
        f"{report.version or 'new version'} {state}: "
        f"{report.added} added, {report.changed} changed, "
        f"{report.removed} removed, {report.unchanged} unchanged documents; "
        f"{report.passages} passages; {report.seconds:.1f} s"
    )
    for rejection in report.rejected:
        typer.echo(f"  rejected {rejection.source}: {rejection.reason}")
    for finding in report.findings:
        if finding.severity != "notice":
            _print_finding(finding)
    if notices := sum(f.severity == "notice" for f in report.findings):
        typer.echo(f"  {notices} notices, of what may be; --json shows them")
    for remark in report.remarks:
        typer.echo(f"  {remark}")
    for answer in report.answers:
        verdict = f" ({answer['verdict']})" if answer["verdict"] else ""
        typer.echo(f"  another answer{verdict}: {answer['question']}")
        for when in ("before", "after"):
            cites = ", ".join(answer[when]["cites"]) or answer[when]["outcome"]
            typer.echo(f"    {when} [{cites}] {' '.join(answer[when]['text'].split())[:160]}")


def _print_finding(finding: Finding) -> None:
    """A line; of a contradiction both sides, one below the other."""
    if finding.kind != "contradiction":
        typer.echo(f"  {finding.severity} {finding.kind}: {finding.detail}")
        return
    typer.echo(f"  {finding.severity} {finding.kind}:")
    for passage, quote in zip(finding.passages, finding.quotes, strict=True):
        typer.echo(f"    {passage}: {' '.join(quote.split())}")


def print_change(change: DocumentChange) -> None:
    """Removed words in red and struck out, added ones in green; signs too, where colour is lost."""
    typer.echo(f"{change.kind} {change.id}: {change.title}")
    for name, was, now in change.fields:
        typer.echo(f"  {name}: {was or '(none)'} -> {now or '(none)'}")
    for passage in change.passages:
        typer.echo(f"  {passage.kind} {passage.title}")
        text = ""
        for edit in passage.edits:
            before, after, colour = _EDIT_SIGNS.get(edit.kind, ("", "", ""))
            shown = f"{before}{edit.text}{after}"
            text += typer.style(shown, fg=colour) if colour else shown
        for line in text.splitlines():
            typer.echo(f"    {line}")
