"""Panels of the test bench: what to ask of whom, how far it is, and the replies side by side."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.responses import Response

from assistant.conversations import Conversations
from assistant.errors import AssistantError
from assistant.service import ChatService
from assistant.testbench import (
    MOST_CASES,
    MOST_CHARACTERS,
    BenchError,
    BenchRun,
    Case,
    Expected,
    TestBench,
    cases_of,
    golden_question,
)
from assistant.types import WordWeight
from assistant.variants import QUOTING, SERVED, Variant, VariantError, VersionChoice
from assistant.web.auth import Session
from assistant.web.room.bench_view import shown
from assistant.web.room.panel import Detail, Done, Notice, Panel
from assistant.web.staff_html import Words, render, staff_texts
from finetune.registry import AdapterError

PAGE = 10  # comparisons shown at once: a trace is long
DOWNLOAD = "/bench/comparison.json"
_MAX_CUSTOMER = 64
_MAX_WORDS = 2000
Side = Literal["a", "b"]


class BenchForm:
    """What to ask of whom. It never changes by itself, for somebody may be writing in it."""

    name, room = "bench_form", "bench"

    def __init__(self, bench: TestBench, audit: Conversations) -> None:
        self.bench, self.audit = bench, audit

    def state(self) -> Hashable:
        """See Panel."""
        return ()

    def render(self, words: Words) -> str:
        """See Panel."""
        versions = self.bench.variants.versions()
        damaged = ""
        try:
            adapters = self.bench.variants.adapters()
        except AdapterError as error:
            adapters, damaged = [], str(error)
        return render(
            "bench_form.html",
            words=words,
            versions=[(v.name, _label(v, words)) for v in versions],
            waiting=next((v.name for v in versions if v.waiting), SERVED),
            adapters=adapters if self.bench.variants.settings.model.base else [],
            damaged=damaged,
            quoting=QUOTING,
            most_cases=MOST_CASES,
            most_characters=MOST_CHARACTERS,
            most_customer=_MAX_CUSTOMER,
        )

    def act(self, detail: Detail, session: Session) -> Done | None:
        """See Panel."""
        match detail:
            case {"act": "bench_run", "cases": str(text)}:
                try:
                    return Done(self._start(detail, cases_of(text), session))
                except BenchError as error:
                    return Done(Notice(f"bench_{error.kind}", error.detail))
                except VariantError as error:
                    return Done(Notice(f"bench_no_{error.kind}", error.name))
        return None

    def _start(self, detail: Detail, cases: Sequence[Case], session: Session) -> Notice:
        a, b = _variant(detail, "a"), _variant(detail, "b")
        if not self.bench.start(a, b, cases, session.name):
            return Notice("bench_busy")
        named = {a.customer, b.customer, *(c.customer for c in cases)} - {""}
        if named:  # their records may be seen
            self.audit.log(session.name, "bench", "as " + ", ".join(sorted(named)))
        return Notice()


class BenchProgress:
    """How far the run is, and the button that stops it."""

    name, room = "bench_progress", "bench"

    def __init__(self, bench: TestBench) -> None:
        self.bench = bench

    def state(self) -> Hashable:
        """See Panel."""
        run = self.bench.last
        return (run.number, run.stage, len(run.results)) if run else ()

    def render(self, words: Words) -> str:
        """See Panel."""
        run = self.bench.last
        problem = run.problem if run else None
        refusal = Notice()
        if isinstance(problem, VariantError):
            refusal = Notice(f"bench_no_{problem.kind}", problem.name)
        return render(
            "bench_progress.html", words=words, run=run, refusal=refusal, problem=str(problem or "")
        )

    def act(self, detail: Detail, session: Session) -> Done | None:
        """See Panel."""
        if detail.get("act") != "bench_stop":
            return None
        self.bench.stop()
        return Done()


class BenchResults:
    """The replies side by side, a page of them at a time."""

    name, room = "bench_results", "bench"

    def __init__(
        self,
        bench: TestBench,
        audit: Conversations,
        word_weights: Callable[[str, str], Sequence[WordWeight]],
    ) -> None:
        self.bench, self.audit = bench, audit
        self._word_weights = word_weights

    def state(self) -> Hashable:
        """The first page fills while the run goes on, and all is shown anew when it has ended."""
        run = self.bench.last
        return (run.number, run.running, len(run.results[:PAGE])) if run else ()

    def render(self, words: Words) -> str:
        """See Panel."""
        run = self.bench.last
        return self._page(run, words) if run and run.results else ""

    def act(self, detail: Detail, session: Session) -> Done | None:
        """See Panel."""
        if detail.get("act") not in ("bench_show", "bench_save"):
            return None
        run, words = self.bench.last, staff_texts(session.language)
        if run is None or detail.get("run") != str(run.number):
            return Done(Notice("bench_gone"))
        only, page = detail.get("only") == "differ", max(0, _number(detail.get("page")))
        if detail["act"] == "bench_show":
            return Done(html=self._page(run, words, page, only))
        index = _number(detail.get("index"))
        notice = self._save(run, index, detail, session)
        return Done(notice, self._page(run, words, page, only, (index, notice)))

    def _page(
        self,
        run: BenchRun,
        words: Words,
        page: int = 0,
        only: bool = False,
        said: tuple[int, Notice] = (-1, Notice()),
    ) -> str:
        """A page of the comparisons, all or those that differ; `said` is of the one at an index."""
        chosen = [n for n, c in enumerate(run.results) if c.differs or not only]
        last = max(0, (len(chosen) - 1) // PAGE)
        page = min(page, last)
        rows = chosen[page * PAGE : (page + 1) * PAGE]
        return render(
            "bench_results.html",
            words=words,
            run=run,
            counts=run.counts(),
            rows=[shown(n, run.results[n], self._word_weights) for n in rows],
            page=page,
            last=last,
            only=only,
            said=said,
            download=DOWNLOAD,
            quoting=QUOTING,
            expected=get_args(Expected),
            most_words=_MAX_WORDS,
        )

    def _save(self, run: BenchRun, index: int, detail: Detail, session: Session) -> Notice:
        """Put a case into the golden set."""
        expected = next((e for e in get_args(Expected) if e == detail.get("expected")), None)
        words = str(detail.get("words", ""))[:_MAX_WORDS]
        if expected is None or not 0 <= index < len(run.results):
            return Notice("bench_unclear")
        side: Literal[0, 1] = 1 if detail.get("side") == "b" else 0
        try:
            question = golden_question(run.results[index], side, expected, words)
            if not self.bench.golden.add(question):
                return Notice("bench_known")
        except BenchError as error:
            return Notice(f"bench_{error.kind}", error.detail)
        except AssistantError as error:
            return Notice("bench_unsaved", str(error))
        self.audit.log(session.name, "golden", f"{expected}: {question.text}")
        return Notice("bench_saved")


def bench_panels(bench: TestBench, service: ChatService) -> list[Panel]:
    """The panels of the page; the served assistant's router explains the intents."""
    audit = service.conversations
    return [
        BenchForm(bench, audit),
        BenchProgress(bench),
        BenchResults(
            bench, audit, lambda text, intent: service.assistant.router.word_weights(text, intent)
        ),
    ]


def bench_routes(bench: TestBench) -> APIRouter:
    """GET /bench/comparison.json: all of the latest run."""
    routes = APIRouter(include_in_schema=False)

    @routes.get(DOWNLOAD)
    def comparison(request: Request) -> Response:
        session: Session | None = getattr(request.state, "staff", None)
        if session is None or not session.may("agent"):
            return JSONResponse({"error": "log in first"}, 401)
        run = bench.last
        if run is None:
            return JSONResponse({"error": "nothing was compared yet"}, 404)
        name = f'attachment; filename="comparison-{run.number}.json"'
        return JSONResponse(run.as_json(), headers={"content-disposition": name})

    return routes


def _variant(detail: Detail, side: Side) -> Variant:
    """The variant that the form names; what is not there is what is served."""
    version, adapter, customer = (
        str(detail.get(f"{side}_{field}", "")) for field in ("version", "adapter", "customer")
    )
    return Variant(version, adapter, customer.strip()[:_MAX_CUSTOMER])


def _number(value: Any) -> int:
    """A number that the page has sent back; -1 when it is none."""
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,6}", value) else -1


def _label(version: VersionChoice, words: Words) -> str:
    """A version by its date; in a list of choices there is no place for the browser's own zone."""
    at = f"{datetime.fromtimestamp(version.created, UTC):%Y-%m-%d %H:%M} UTC · "
    state = "served" if version.served else "waiting" if version.waiting else ""
    told = f" ({words[f'bench_version_{state}']})" if state else ""
    return (at if version.created else "") + version.name + told
