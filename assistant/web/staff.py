"""Mount the staff's pages: /login, /desk and /bench for agents, /operator for operators."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import gradio as gr
from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse
from starlette.responses import Response

from assistant.accounts import FIRST, Accounts
from assistant.audit import AuditTrail
from assistant.gaps import find_gaps
from assistant.golden import GoldenSet
from assistant.outlook_building import build_outlooks
from assistant.outlooks import no_outlook
from assistant.passwords import Passwords
from assistant.roles import Role
from assistant.service import ChatService
from assistant.settings import Settings
from assistant.testbench import TestBench
from assistant.variants import Variants
from assistant.web.adapters import Adapters
from assistant.web.auth import Sessions, StaffFile
from assistant.web.chat import theme
from assistant.web.desk import build_desk
from assistant.web.gate import AREAS, Gate
from assistant.web.golden_trial import GoldenTrial
from assistant.web.login import Entrance, Provider, login_app
from assistant.web.oidc import START, Oidc, oidc_routes
from assistant.web.polling import calm
from assistant.web.publishing import Publisher
from assistant.web.room.adapters import AdaptersPanel, CanaryPanel
from assistant.web.room.analytics import AnalyticsPanel, analytics_routes
from assistant.web.room.audit import AuditFindPanel, AuditPanel, audit_routes
from assistant.web.room.bench import bench_panels, bench_routes
from assistant.web.room.curated import (
    CuratedNewPanel,
    CuratedPanel,
    CuratedTryPanel,
    detected,
)
from assistant.web.room.dial import DialPanel
from assistant.web.room.documents import (
    DocumentsPanel,
    HistoryPanel,
    PublishingPanel,
    UploadsPanel,
)
from assistant.web.room.gaps import GapsPanel
from assistant.web.room.page import RoomPage, build_room_page
from assistant.web.room.panel import Panel
from assistant.web.room.search import GoldenPanel, SearchPanel
from assistant.web.room.switch import SwitchPanel
from assistant.web.room.users import ROOM, UsersNewPanel, UsersPanel
from assistant.web.staff_html import style
from assistant.web.tuning import Tuner
from assistant.web.uploads import Uploads, upload_routes


def mount_staff(app: FastAPI, settings: Settings, service: ChatService, staff: StaffFile) -> None:
    """Add the staff's pages to an application, behind a gate that asks for a log-in."""
    audit = service.conversations
    accounts = Accounts(audit, Passwords(), settings.shop_name)
    sessions = Sessions(audit, settings.web.session_hours, settings.web.idle_minutes)
    _announce_first(accounts)
    uploads = Uploads(settings.home, settings.knowledge.max_file_bytes)
    # What is tuned is read by the refresh itself, and may have changed by then.
    publisher = Publisher(settings.own, uploads, audit)
    adapters = Adapters(settings, service)
    golden_trial = GoldenTrial(Tuner(service))
    outlooks = build_outlooks(settings, audit)
    look = outlooks.peek if outlooks else no_outlook
    analytics = AnalyticsPanel(
        audit, settings, look=look, worked_out=lambda: outlooks.worked_out if outlooks else 0
    )
    audit_log = AuditPanel(AuditTrail(audit), settings.hours.zone)
    panels: list[Panel] = [
        UploadsPanel(uploads),
        DocumentsPanel(uploads, audit),
        PublishingPanel(publisher),
        HistoryPanel(publisher, audit),
        GapsPanel(lambda: find_gaps(audit, service.assistant.encoder)),
        CuratedPanel(service.curated),
        CuratedNewPanel(service.curated, lambda text: detected(service.assistant, text)),
        CuratedTryPanel(service.curated, lambda: service.assistant),
        analytics,
        SearchPanel(golden_trial),
        GoldenPanel(golden_trial),
        DialPanel(lambda: service.assistant.settings, audit),
        SwitchPanel(settings, audit),
        AdaptersPanel(adapters),
        CanaryPanel(adapters),
        AuditFindPanel(audit_log.trail, audit_log.zone),
        audit_log,
    ]
    panels += [UsersNewPanel(accounts), UsersPanel(accounts, sessions)]
    page = RoomPage(panels, sessions, "operator", "operator_title", only={ROOM: "admin"})
    bench = TestBench(Variants(settings, lambda: service.assistant), GoldenSet(settings))
    bench_page = RoomPage(bench_panels(bench, service), sessions, "agent", "bench_title")
    entrance = _entrance(settings, accounts, sessions, staff)
    app.add_middleware(Gate, sessions=sessions, entrance=entrance)
    app.include_router(upload_routes(uploads, audit))
    app.include_router(analytics_routes(analytics))
    app.include_router(audit_routes(audit_log))
    app.include_router(bench_routes(bench))
    _mount(app, "/desk", build_desk(service, sessions, look), sessions)
    _mount(app, "/bench", build_room_page(bench_page), sessions)
    _mount(app, "/operator", build_room_page(page), sessions)


def _announce_first(accounts: Accounts) -> None:
    """Tell the one-time password of the first admin, once, to whoever starts the server."""
    if password := accounts.make_first():
        told = f"Frontdesk made the account {FIRST}; its one-time password, shown only now"
        print(f"{told}: {password}", file=sys.stderr)


def _entrance(
    settings: Settings, accounts: Accounts, sessions: Sessions, staff: StaffFile
) -> FastAPI:
    """The log-in, with the company's own where the settings name it."""
    if not settings.oidc.discovery:
        return login_app(Entrance(accounts, sessions))
    oidc = Oidc(settings.oidc, staff.secret)
    entrance = Entrance(accounts, sessions, Provider(settings.oidc.name, START))
    routes = login_app(entrance)
    routes.include_router(oidc_routes(oidc, entrance))
    return routes


def _mount(app: FastAPI, path: str, blocks: gr.Blocks, sessions: Sessions) -> None:
    @app.get(path, include_in_schema=False)
    def with_slash() -> Response:
        return RedirectResponse(f"{path}/", 303)

    options: dict[str, Any] = {"footer_links": [], "run_history": False, "ssr_mode": False}
    gr.mount_gradio_app(
        app,
        calm(blocks),
        path=path,
        auth_dependency=_who(sessions, AREAS[path]),
        show_error=False,
        theme=theme(),
        head=f"<style>{style()}</style>",
        **options,
    )


def _who(sessions: Sessions, role: Role) -> Callable[[Request], Awaitable[str | None]]:
    """Gradio asks again, behind the gate: should one lock fail, the other holds."""

    async def who(request: Request) -> str | None:
        session = await anyio.to_thread.run_sync(sessions.read, request.cookies)
        return session.name if session and session.may(role) else None

    return who
