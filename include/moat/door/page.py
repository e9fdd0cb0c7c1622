"""The door's search page: one file of HTML, whose own script and style alone may run."""

import base64
import hashlib
import re
from functools import cache
from importlib.resources import files

from fastapi import FastAPI, Response


def add_page(app: FastAPI) -> None:
    """Serve the page at the door's root."""
    html, policy = page()

    @app.get("/", include_in_schema=False)
    async def root() -> Response:
        return Response(html, media_type="text/html; charset=utf-8", headers={"content-security-policy": policy})


@cache
def page() -> tuple[str, str]:
    """The page, and the content security policy that names its script and style by their hashes."""
    html = files("moat.door").joinpath("page.html").read_text("utf-8")
    script, style = (_hash(_inside(html, tag)) for tag in ("script", "style"))
    policy = (
        f"default-src 'none'; script-src '{script}'; style-src '{style}'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    )
    return html, policy


def _inside(html: str, tag: str) -> str:
    (found,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
    return str(found)


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
