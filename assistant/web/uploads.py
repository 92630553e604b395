"""Documents that operators upload: kept in home/documents/uploads under names made here."""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import anyio
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from assistant.errors import AssistantError
from assistant.web.auth import Session
from knowledge.formats import FORMATS

PATH = "/operator/uploads"
_MAX_STEM = 60
_COMPRESSION = re.compile(r"\.(gz|zst)$")


class UploadError(AssistantError):
    """A document was not taken; `status` is the HTTP status that says so."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class AuditLog(Protocol):
    """Where it is written down who did what."""

    def log(self, who: str, what: str, detail: str = "") -> None:
        """Append an entry."""


@dataclass(frozen=True, slots=True)
class Upload:
    """An uploaded document; `modified` in nanoseconds since 1970."""

    name: str
    bytes: int
    modified: int

    @property
    def seconds(self) -> float:
        """When it was uploaded, in seconds since 1970."""
        return self.modified / 1e9


class Uploads:
    """The folder of uploaded documents."""

    def __init__(self, home: Path, max_bytes: int) -> None:
        self.folder = home.resolve() / "documents" / "uploads"
        self.max_bytes = max_bytes

    def all(self) -> tuple[Upload, ...]:
        """The documents by name; half-received ones are hidden files."""
        if not self.folder.is_dir():
            return ()
        found = (
            (p.name, p.stat())
            for p in sorted(self.folder.iterdir())
            if p.is_file() and not p.name.startswith(".")
        )
        return tuple(Upload(name, stat.st_size, stat.st_mtime_ns) for name, stat in found)

    async def receive(self, name: str, parts: AsyncIterator[bytes]) -> tuple[Upload, bool]:
        """Keep a document as it comes in; also tells whether it replaced one.

        A file becomes visible whole or not at all. Raises UploadError.
        """
        target = self.folder / server_name(name)
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / f".{secrets.token_hex(8)}.partial"
        try:
            await self._write(partial, parts)
            replaced = target.exists()
            partial.replace(target)
        except OSError as error:
            raise UploadError(f"cannot be kept: {error.strerror}", 507) from error
        finally:
            partial.unlink(missing_ok=True)
        stat = target.stat()
        return Upload(target.name, stat.st_size, stat.st_mtime_ns), replaced

    def delete(self, name: str) -> bool:
        """Delete a document; only names that are listed are touched."""
        if name not in {upload.name for upload in self.all()}:
            return False
        (self.folder / name).unlink(missing_ok=True)
        return True

    async def _write(self, path: Path, parts: AsyncIterator[bytes]) -> None:
        received = 0
        async with await anyio.open_file(path, "xb") as file:
            async for part in parts:
                received += len(part)
                if received > self.max_bytes:
                    raise UploadError(f"is larger than {self.max_bytes:,} bytes", 413)
                await file.write(part)
        if not received:
            raise UploadError("is empty", 422)


def server_name(original: str) -> str:
    """A safe name for a browser's file name: letters, digits and hyphens, then the extension.

    The same name gives the same one, so that a new edition of a document replaces the old one;
    the stem is the document's id. Raises UploadError for a format that cannot be read.
    """
    name = unicodedata.normalize("NFKC", original).casefold().replace("\\", "/").split("/")[-1]
    compression = _COMPRESSION.search(name)
    bare = name[: compression.start()] if compression else name
    kind = next((known for known in FORMATS if bare.endswith(known)), None)
    if kind is None:
        raise UploadError(f"this format cannot be read (use {', '.join(sorted(FORMATS))})", 415)
    stem = re.sub(r"[\W_]+", "-", bare.removesuffix(kind)).strip("-")[:_MAX_STEM].strip("-")
    return f"{stem or 'document'}{kind}{compression.group() if compression else ''}"


def upload_routes(uploads: Uploads, audit: AuditLog) -> APIRouter:
    """PUT /operator/uploads?name=FILE with the document as the body: no form to take apart."""
    routes = APIRouter(include_in_schema=False)

    @routes.put(PATH)
    async def put(request: Request, name: str = "") -> Response:
        session: Session | None = getattr(request.state, "staff", None)
        if session is None or not session.may("operator"):
            return JSONResponse({"error": "log in first"}, 401)
        try:
            if int(request.headers.get("content-length") or 0) > uploads.max_bytes:
                raise UploadError(f"is larger than {uploads.max_bytes:,} bytes", 413)
            upload, replaced = await uploads.receive(name, request.stream())
        except UploadError as error:
            return JSONResponse({"error": str(error)}, error.status)
        except ClientDisconnect:
            return Response(status_code=499)  # nobody reads it; nothing was kept
        audit.log(session.name, "upload", upload.name)
        return JSONResponse({"name": upload.name, "bytes": upload.bytes, "replaced": replaced}, 201)

    return routes
