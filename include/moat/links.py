"""Links that a person can open, made of an address with `{key}` in it."""

import re
from urllib.parse import quote, urlencode, urlsplit

KEY = "{key}"
LONGEST = 2_000  # characters of an address
PAGES = "plugin/moat"  # where Airflow serves the pages
WEB = re.compile(r"https?://[\w.:\[\]-]+(?:[/?#][\w.~:/?#\[\]@!$&'()*+,;=%-]*)?", re.ASCII)


def wrong_link(template: str) -> str:
    """What is wrong with an address of documents; empty if it can be filled in."""
    if template.count(KEY) != 1 or re.search(r"[{}]", template.replace(KEY, "")):
        return "it needs {key} once, where the document's key goes, and no other braces"
    if len(template) > LONGEST or not re.fullmatch(r"[!-~]+", template):
        return f"an address has at most {LONGEST:,} characters of ASCII and no space: percent-encode it"
    try:
        parts = urlsplit(template)
        host = parts.hostname if parts.port is None or parts.port > 0 else None
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https") or "\\" in template:
        return "it must begin with https:// or http:// and the name of a host"
    if KEY in parts.netloc or "@" in parts.netloc:
        return "a host has no user and no {key} in it: nobody else may choose where people are led"
    return ""


def page(base: str, view: str, **given: str | int) -> str:
    """Address of a page about the knowledge base in Airflow's UI.

    Args:
        base: Where people reach Airflow; empty: an address for a text that Airflow itself shows.
        view: Name of the page, such as `load` or `incident`.
        given: What it shows, such as `load=7`.
    """
    asked = f"{PAGES}?{urlencode({'view': view, **given}, quote_via=quote)}"
    return f"{base.rstrip('/')}/{asked}" if base else asked


def link_of(template: str | None, key: str, uri: str) -> str | None:
    """The link to a document: the address with its key, or its own URI where that is one of the web.

    The key is percent-encoded; a `/` in it stays one in a path. None where there is no link, or where a browser
    would take the key for a step up in the path.
    """
    if not template:
        return uri if WEB.fullmatch(uri) else None
    path = not re.search(r"[?#]", template[: template.index(KEY)])
    if path and {".", ".."} & set(key.split("/")):
        return None
    return template.replace(KEY, quote(key, safe="/" if path else ""))
