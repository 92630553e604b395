"""Mount the staff's pages: /login, /desk for agents and /operator for knowledge operators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr
from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse
from starlette.responses import Response

from assistant.gaps import find_gaps
from assistant.service import ChatService
from assistant.settings import Settings
from assistant.web.auth import Passwords, Role, Sessions, StaffFile
from assistant.web.chat import theme
from assistant.web.desk import build_desk
from assistant.web.gate import AREAS, Gate
from assistant.web.login import login_app
from assistant.web.publishing import Publisher
from assistant.web.room.documents import (
    DocumentsPanel,
    HistoryPanel,
    PublishingPanel,
    UploadsPanel,
)
from assistant.web.room.gaps import GapsPanel
from assistant.web.room.page import OperatorPage, build_operator_page
from assistant.web.room.panel import Panel
from assistant.web.staff_html import style
from assistant.web.uploads import Uploads, upload_routes


def mount_staff(app: FastAPI, settings: Settings, service: ChatService, staff: StaffFile) -> None:
    """Add the staff's pages to an application, behind a gate that asks for a log-in.

    Passwords that the settings leave out are made and written to stderr once.
    """
    passwords = Passwords(settings.web, staff)
    sessions = Sessions(staff, passwords, settings.web.session_hours)
    audit = service.conversations
    uploads = Uploads(settings.home, settings.knowledge.max_file_bytes)
    publisher = Publisher(settings, uploads, audit)
    panels: list[Panel] = [
        UploadsPanel(uploads),
        DocumentsPanel(uploads, audit),
        PublishingPanel(publisher),
        HistoryPanel(publisher, audit),
        GapsPanel(lambda: find_gaps(audit, service.assistant.encoder)),
    ]
    page = OperatorPage(panels, sessions)
    app.add_middleware(Gate, sessions=sessions, entrance=login_app(passwords, sessions))
    app.include_router(upload_routes(uploads, audit))
    _mount(app, "/desk", build_desk(service, sessions), sessions)
    _mount(app, "/operator", build_operator_page(page), sessions)


def _mount(app: FastAPI, path: str, blocks: gr.Blocks, sessions: Sessions) -> None:
    @app.get(path, include_in_schema=False)
    def with_slash() -> Response:
        return RedirectResponse(f"{path}/", 303)

    options: dict[str, Any] = {"footer_links": [], "run_history": False, "ssr_mode": False}
    gr.mount_gradio_app(
        app,
        blocks,
        path=path,
        auth_dependency=_who(sessions, AREAS[path]),
        show_error=False,
        theme=theme(),
        head=f"<style>{style()}</style>",
        **options,
    )


def _who(sessions: Sessions, role: Role) -> Callable[[Request], str | None]:
    """Gradio asks again, behind the gate: should one lock fail, the other holds."""

    def who(request: Request) -> str | None:
        session = sessions.read(request.cookies)
        return session.name if session and session.role == role else None

    return who
