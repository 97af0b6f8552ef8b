"""Pages: the routes of the page (`templates/index.html`) and of its files (`static/`).

Owns the caching and the Content-Security-Policy of the page. Knows nothing of the API. The built files have fixed
names, so the page adds the hash of the build to every reference. Browsers may cache the files only under such a
reference.
"""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from flask import Blueprint, Response, g, render_template, request, send_from_directory

from web.guards import content_security_policy
from web.owner import Owners

_YEAR = 365 * 24 * 3600


def build_hash(static: Path) -> str:
    """Return the hash of the committed build from `static/build.json`, or an empty text if there is no build."""
    try:
        built = json.loads((static / "build.json").read_text("utf-8"))
    except (OSError, ValueError):
        return ""
    found = built.get("hash") if isinstance(built, dict) else None
    return found if isinstance(found, str) else ""


def pages(static: Path, owners: Owners) -> Blueprint:
    """Return the routes of the page, its files and its icon."""
    site = Blueprint("pages", __name__)
    build = build_hash(static)

    @site.get("/")
    def index() -> Response:
        nonce = secrets.token_urlsafe(16)
        response = Response(render_template("index.html", nonce=nonce, build=build))
        response.headers["Content-Security-Policy"] = content_security_policy(nonce)
        response.headers["Cache-Control"] = "no-store"
        owners.remember(response, g.owner)  # every visit renews the cookie
        return response

    @site.get("/static/<path:name>")
    def static_file(name: str) -> Response:
        response = send_from_directory(static, name)
        kept = build and request.args.get("v") == build and name != "config.js"
        response.headers["Cache-Control"] = f"public, max-age={_YEAR}, immutable" if kept else "no-cache"
        return response

    @site.get("/favicon.ico")
    def favicon() -> Response:
        return send_from_directory(static, "favicon.svg", mimetype="image/svg+xml")

    return site
