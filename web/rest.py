"""REST API: the routes under `/api` for the menu, stories, drafts, export and import.

Owns the routes and the limits of their bodies. Knows nothing of the storage of stories, which is the library's work.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from flask import Blueprint, Response, g, request

from stories.errors import Refused
from web import checks, payloads
from web.payloads import Payload, parse

if TYPE_CHECKING:
    from generator.library.library import Library
    from generator.models.menu import Menu

MAX_JSON_BYTES = 8_000_000  # a beginning of 1 MiB with every character escaped
MAX_IMPORT_BYTES = 64_000_000
_FORMAT = re.compile(r"[a-z0-9]{1,16}")


def _body(shape: type[Payload]) -> dict[str, Any]:
    """Return the fields of the request's JSON body that are present. Raise Refused if the body is invalid."""
    try:
        data = json.loads(request.get_data() or b"{}")
    except (ValueError, RecursionError) as error:
        raise Refused("invalid", "The body must be JSON.") from error
    return payloads.given(parse(shape, data, "The body"))


def rest(library: Library, menu: Menu) -> Blueprint:
    """Return the routes. `library` answers for stories and drafts, `menu` for the models."""
    api = Blueprint("api", __name__, url_prefix="/api")

    @api.before_request
    def bound() -> None:
        request.max_content_length = MAX_IMPORT_BYTES if request.path.endswith("/import") else MAX_JSON_BYTES
        for name, value in (request.view_args or {}).items():
            checks.ID.parse(value, name)

    @api.after_request
    def uncached(response: Response) -> Response:
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    @api.get("/models")
    def models() -> dict[str, Any]:
        shown: dict[str, Any] = menu.as_json()
        return shown

    _story_routes(api, library)
    _draft_routes(api, library)
    return api


def _story_routes(api: Blueprint, library: Library) -> None:
    @api.get("/stories")
    def list_stories() -> dict[str, Any]:
        return library.stories(g.owner)

    @api.post("/stories")
    def create_story() -> tuple[dict[str, Any], int]:
        return library.create_story(g.owner, _body(payloads.CreateStoryRequest)), 201

    @api.get("/stories/<story>")
    def get_story(story: str) -> dict[str, Any]:
        return library.story(g.owner, story)

    @api.patch("/stories/<story>")
    def rename_story(story: str) -> dict[str, Any]:
        return library.rename_story(g.owner, story, _body(payloads.RenameStoryRequest)["title"])

    @api.delete("/stories/<story>")
    def delete_story(story: str) -> tuple[str, int]:
        library.delete_story(g.owner, story)
        return "", 204

    @api.post("/stories/import")
    def import_story() -> tuple[dict[str, Any], int]:
        file = request.files.get("file")
        data = request.get_data() if file is None else file.read()
        name = request.args.get("filename") if file is None else file.filename
        return library.import_story(g.owner, data, None if name is None else checks.NAME.parse(name, "filename")), 201


def _draft_routes(api: Blueprint, library: Library) -> None:
    @api.post("/stories/<story>/drafts")
    def create_draft(story: str) -> tuple[dict[str, Any], int]:
        return library.create_draft(g.owner, story, _body(payloads.CreateDraftRequest)), 201

    @api.delete("/drafts/<draft>")
    def delete_draft(draft: str) -> tuple[str, int]:
        library.delete_draft(g.owner, draft)
        return "", 204

    @api.get("/drafts/<draft>/history")
    def history(draft: str) -> dict[str, Any]:
        return library.history(g.owner, draft)

    @api.get("/drafts/<draft>/export")
    def export(draft: str) -> Response:
        wanted = request.args.get("format", "txt")
        if not _FORMAT.fullmatch(wanted):
            raise Refused("invalid", "The export format is unknown. Choose another format.")
        data, mimetype, name = library.export(g.owner, draft, wanted)
        headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"}
        return Response(data, mimetype=mimetype, headers=headers)
