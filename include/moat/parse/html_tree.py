"""Build the tree of a page, whether it is HTML or XHTML, well-formed or not."""

import html
import re
from typing import Any

XML_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
DOCTYPE = re.compile(r"<!DOCTYPE[^>\[]*>", re.IGNORECASE)
NAMED = re.compile(r"&(?!amp;|lt;|gt;|quot;|apos;|#)[A-Za-z][A-Za-z0-9]*;")
BARE_TAG = re.compile(r"</?(?:div|span|font|b|i|u|em|strong|p|blockquote|section|center)\s*>", re.IGNORECASE)
ANY_TAG = re.compile(r"<(script|style)\b.*?</\1\s*>|<!--.*?-->|<[^>]*>", re.IGNORECASE | re.DOTALL)
EPUB_TYPE = "{http://www.idpf.org/2007/ops}type"


def tree_of(markup: str) -> Any:
    """Return the root element of markup; tags are in lower case and without a namespace.

    Markup that is nested past the depth that libxml2 takes loses tags, never text.
    """
    markup = markup.replace("\0", "\ufffd")
    head = markup[:1000]
    if (XML_DECLARATION.match(head) or "http://www.w3.org/1999/xhtml" in head) and "<!ENTITY" not in markup:
        root = _xhtml(markup)
        if root is not None:
            return root
    markup = XML_DECLARATION.sub("", markup)
    root, whole = _html(markup)
    for tags in (BARE_TAG, ANY_TAG):
        if not whole:
            root, whole = _html(tags.sub(" ", markup))
    return root


def _html(markup: str) -> tuple[Any, bool]:
    import lxml.html
    from lxml import etree

    parser = lxml.html.HTMLParser(encoding="utf-8", huge_tree=True)
    # A paragraph at the end, so that a page of nothing but a comment is a page too.
    try:
        root = lxml.html.document_fromstring(markup.encode("utf-8", "replace") or b"<p>", parser=parser)
    except (etree.ParserError, ValueError):
        root = lxml.html.document_fromstring(b"<p>", parser=lxml.html.HTMLParser(encoding="utf-8"))
        return root, True
    return root, not any("xcessive depth" in entry.message for entry in parser.error_log)


def _xhtml(markup: str) -> Any:
    """Root of well-formed XHTML; None for any other, which a parser of HTML must mend."""
    from lxml import etree

    plain = DOCTYPE.sub("", XML_DECLARATION.sub("", markup), count=1)
    plain = NAMED.sub(lambda match: html.escape(html.unescape(match[0]), quote=False), plain)
    parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_pis=True, strip_cdata=True)
    try:
        root = etree.fromstring(plain.encode("utf-8", "replace"), parser)
    except etree.XMLSyntaxError:
        return None
    for element in root.iter(etree.Element):
        element.tag = element.tag.rpartition("}")[2].lower()
        if kind := element.attrib.pop(EPUB_TYPE, None):
            element.set("epub-type", kind)
    return root


def epub_type(element: Any) -> str:
    """What an e-book says that an element is, such as "footnote" or "toc"."""
    return element.get("epub:type") or element.get("epub-type") or ""
