"""Turn Markdown into the markup of a page, so that one walk reads both."""

import html
import re
from typing import Any, cast

FRONT_MATTER = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)\r?\n(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL)
TITLE = re.compile(r"^title:[ \t]*(?:\"([^\"\n]+)\"|'([^'\n]+)'|([^\s\"'|>\[{#][^\n#]*))[ \t]*$", re.MULTILINE)
TAG = re.compile(r"<(/?)([A-Za-z][\w.:-]*)((?:[^<>\"']|\"[^\"]*\"|'[^']*')*)>|<(?!!--|!\[CDATA|\?|![A-Za-z])")
REMARK = re.compile(r"<!--.*?-->", re.DOTALL)
CLOSING = re.compile(r"</([A-Za-z][\w-]*)\s*>")
# GitHub shows these as text, and unclosed they would swallow the rest of the document.
RAW = {"title", "textarea", "style", "xmp", "iframe", "noembed", "noframes", "script", "plaintext", "select", "option",
       "html", "head", "body", "frameset", "frame", "base", "template", "noscript", "svg", "math"}  # fmt: skip
VOID = {"area", "base", "col", "embed", "input", "link", "meta", "param", "source", "track", "frame", "basefont"}
UNCLOSED = {"br", "hr", "wbr", "img", "p", "li", "dt", "dd", "tr", "td", "th", "thead", "tbody", "tfoot", "summary"}
NEWER = {"bdi", "data", "dialog", "main", "picture", "search", "slot", "template", "nobr", "rtc", "rb"}
DEEPEST = 40  # marks of quotes and items on one line that are told apart
MARK = r"[ \t]*(?:>|(?:[-+*]|\d{1,9}[.)])(?=[ \t]))"
DEEP = re.compile(rf"^((?:{MARK}){{{DEEPEST}}})(?:{MARK})+", re.MULTILINE)
INDENTED = re.compile(r"^( {200}) +", re.MULTILINE)
MOST_NESTING = 240  # of tokens; markdown-it leaves out what is deeper, and an item takes two


def front_matter(text: str) -> tuple[str, str, str | None]:
    """Split Markdown into its front matter, its text, and the title that the front matter states."""
    found = FRONT_MATTER.match(text)
    if not found or ":" not in found[1]:
        return "", text, None
    title = TITLE.search(found[1])
    return found[1], text[found.end() :], next(filter(None, title.groups())).strip() if title else None


def markup_of(text: str) -> tuple[str, list[str]]:
    """Return Markdown (CommonMark, GitHub's tables and strikethrough) as markup, and link targets that nothing uses."""
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"maxNesting": MOST_NESTING}).enable(["table", "strikethrough"])
    _keep_footnotes(reader)
    _keep_cells(reader)
    rules: dict[str, Any] = cast(Any, reader.renderer).rules
    rules["fence"] = _fence
    rules["html_block"] = rules["html_inline"] = _html
    flat = INDENTED.sub(r"\1", DEEP.sub(r"\1", text))
    env: dict[str, Any] = {"closed": {name.lower() for name in CLOSING.findall(flat)}}
    made = reader.render(flat, env)
    used = set(re.findall(r'(?:href|src)="([^"]*)"', made))
    references = env.get("references", {}).values()
    unused = [link["href"] for link in references if html.escape(link["href"]) not in used]
    return f"<html><body>{made}</body></html>", unused


def _keep_footnotes(reader: Any) -> None:
    """Keep `[^1]: text` as text; to CommonMark it is the target of a link, if it is one word."""
    from markdown_it.rules_block import reference

    def rule(state: Any, start: int, end: int, silent: bool) -> bool:
        at = state.bMarks[start] + state.tShift[start]
        return not state.src.startswith("[^", at) and reference(state, start, end, silent)

    reader.block.ruler.at("reference", rule)


def _keep_cells(reader: Any) -> None:
    """Keep cells past the last column in it; GitHub shows nothing of them."""
    from markdown_it.rules_block.table import escapedSplit, getLine, table

    def rule(state: Any, start: int, end: int, silent: bool) -> bool:
        first = len(state.tokens)
        if not table(state, start, end, silent):
            return False
        line, cells = 0, list[Any]()
        for token in state.tokens[first:]:
            if token.type == "tr_open":
                line, cells = (token.map or [start])[0], []
            elif token.type == "inline":
                cells.append(token)
            elif token.type == "tr_close" and line > start and cells:
                there = escapedSplit(getLine(state, line).strip().removeprefix("|").removesuffix("|"))
                cells[-1].content = " ".join([cells[-1].content, *map(str.strip, there[len(cells) :])]).strip()
        return True

    reader.block.ruler.at("table", rule, {"alt": ["paragraph", "reference"]})


def _fence(tokens: list[Any], at: int, options: Any, env: Any) -> str:
    """A fence keeps its lines and what they say of its language."""
    token = tokens[at]
    opened = f"{token.markup}{token.info}".rstrip()
    return f"<pre>\n{html.escape(f'{opened}{chr(10)}{token.content}{token.markup}')}</pre>\n"


def _html(tokens: list[Any], at: int, options: Any, env: Any) -> str:
    """Markup in Markdown, in which only tags of HTML are tags: `<stdin>` and `List<String>` are text."""
    content = tokens[at].content
    parts = re.split(f"({REMARK.pattern})", content, flags=re.DOTALL)
    unclosed = [part if part.startswith("<!--") else _tags(part, env["closed"]) for part in parts]
    made = "".join(unclosed)
    if "<!--" in made and not REMARK.search(made):
        made = made.replace("<!--", "&lt;!--")
    return made


def _tags(text: str, closed: set[str]) -> str:
    from lxml.html.defs import tags

    def kept(match: re.Match[str]) -> str:
        if match[2] is None:
            return "&lt;" + match[0][1:]
        name, closing, given = match[2].lower(), match[1], match[3].strip(" /")
        known = name in tags or name in NEWER or ":" in name
        placeholder = not closing and not given and (name in VOID or (name not in closed and name not in UNCLOSED))
        if not known or placeholder or (name in RAW and name not in closed):
            return "&lt;" + match[0][1:]
        return match[0]

    return TAG.sub(kept, text)
