"""Tell the main part of a page from what leads around in it."""

import re
from typing import Any

PARTS = {"main", "article", "section", "aside"}  # whose header and footer are their own
LEADING = re.compile(
    r"(?:^|[\s_-])(?:bread-?crumbs?|skip-?(?:link|nav|to-content)"
    r"|(?:cookie|consent|gdpr)s?[_-]?(?:banner|notice|consent|bar|popup|modal|overlay|law|message|dialog))(?:$|[\s_-])",
    re.IGNORECASE,
)
WHOLE = {"html", "body", "main", "article"}


def is_main(element: Any) -> bool:
    """Whether an element holds the main part of its page."""
    return element.tag in ("main", "article") or element.get("role") == "main"


def has_main(tree: Any) -> bool:
    """Whether a page says which part is its main one."""
    return next(tree.iter("main", "article"), None) is not None or bool(tree.xpath("boolean(//*[@role='main'])"))


def is_navigation(element: Any, inside: bool) -> bool:
    """Whether an element leads around in the site; `inside` a part of the page with a header of its own."""
    tag, role = element.tag, element.get("role")
    if tag in WHOLE:
        return False
    site = tag in ("header", "footer") or role in ("banner", "contentinfo")
    marks = f"{element.get('class') or ''} {element.get('id') or ''}"
    leads = tag == "nav" or role == "navigation" or (len(marks) > 1 and bool(LEADING.search(marks)))
    if not leads and (inside or not site):
        return False
    if has_main_inside(element):
        return False
    return leads or not _has_the_title(element)


def has_main_inside(element: Any) -> bool:
    """Whether the main part of the page stands in an element."""
    return any(is_main(inner) for inner in element.iter("*") if inner is not element)


def _has_the_title(header: Any) -> bool:
    """Whether a site's header holds the only first heading of the page."""
    if next(header.iter("h1"), None) is None:
        return False
    root = header.getroottree().getroot()
    return sum(1 for _ in root.iter("h1")) == sum(1 for _ in header.iter("h1"))
