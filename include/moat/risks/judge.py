"""Find the risks of a document and apply its source's policy."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from moat.errors import RiskFound
from moat.records import Block, Document
from moat.risks import characters, injection, personal, secrets
from moat.risks.found import Find
from moat.source import RiskAction, Risks

FAMILIES = ("personal", "secrets", "hidden", "injection")


@dataclass(frozen=True, slots=True)
class Judged:
    """A document after its policy, with the count of each finding: "personal:EMAIL_ADDRESS" -> 3."""

    document: Document
    metadata: tuple[str, ...]
    found: Counter[str]

    @property
    def risks(self) -> tuple[str, ...]:
        """Findings as recorded: "personal:EMAIL_ADDRESS=3"."""
        return tuple(f"{kind}={n}" for kind, n in sorted(self.found.items()))


def hidden_in(parsed: Document) -> tuple[Document, Counter[str]]:
    """Count what is hidden in a parsed document, before clean removes hidden characters.

    Returns the document without the variation selectors that clean leaves, and counts by "family:kind" of what is
    hidden, and of every risk in what hidden characters spell.
    """
    found = _hidden(parsed)
    said = characters.said("\n".join(_texts(parsed)))
    found.update(f"{family}:{one.kind}" for family, one in _finds(said, "hidden"))
    return _plain(parsed), found


def judge(document: Document, metadata: tuple[str, ...], hidden: Counter[str], policy: Risks) -> Judged:
    """Count every risk in a cleaned document, and redact what the policy says.

    `hidden` is the count by `hidden_in`. Raises RiskFound, with kinds and counts, if the policy quarantines a family that
    was found.
    """
    document, metadata, in_text = _redacted(document, metadata, policy)
    found = hidden + in_text
    if refused := {kind: n for kind, n in found.items() if _answer(policy, kind) == "quarantine"}:
        raise RiskFound(
            f"it holds {', '.join(f'{kind} ({n:,})' for kind, n in sorted(refused.items()))}, which the source's Risks "
            "set aside: mend the document, or allow, redact or hold the kind"
        )
    return Judged(document, metadata, found)


def families(risks: Sequence[str]) -> dict[str, Counter[str]]:
    """Group a document's recorded risks by family: counts by kind."""
    by_family: dict[str, Counter[str]] = {}
    for told in risks:
        name, _, n = told.rpartition("=")
        family, _, kind = name.partition(":")
        by_family.setdefault(family, Counter())[kind] += int(n)
    return by_family


def redacted(text: str, policy: Risks) -> str:
    """Return a text without what the policy redacts or quarantines."""
    finds = (one for family, one in _finds(text, "shown") if getattr(policy, family) in ("redact", "quarantine"))
    return _without(text, list(finds))


def word(kind: str) -> str:
    """The text that replaces what was redacted."""
    return f"[redacted: {kind}]"


def _answer(policy: Risks, kind: str) -> RiskAction:
    found: RiskAction = getattr(policy, kind.partition(":")[0])
    return found


def _texts(document: Document) -> Iterator[str]:
    yield document.title
    yield from (block.text for block in document.blocks)


def _hidden(parsed: Document) -> Counter[str]:
    """Count what a parsed document hides from people, by how."""
    found = Counter(f"hidden:{block.hidden}" for block in parsed.blocks if block.hidden)
    for text in _texts(parsed):
        found.update({f"hidden:{kind}": n for kind, n in characters.count(text).items()})
    return found


def _plain(parsed: Document) -> Document:
    """Remove the hidden characters that clean leaves."""
    blocks = tuple(replace(b, text=characters.without_selectors(b.text)) for b in parsed.blocks)
    return replace(parsed, title=characters.without_selectors(parsed.title), blocks=blocks)


def _finds(text: str, seen: injection.Seen) -> list[tuple[str, Find]]:
    """Find everything in a text; secrets first, which name shared places."""
    if not text.strip():
        return []
    found = [("secrets", one) for one in secrets.find(text)]
    found += [("personal", one) for one in personal.find(text)]
    return found + [("injection", one) for one in injection.find(text, seen)]


def _redacted(
    document: Document, metadata: tuple[str, ...], policy: Risks
) -> tuple[Document, tuple[str, ...], Counter[str]]:
    """Redact a document by its policy, and count all that was found."""
    counts, blocks, in_key = Counter[str](), list[Block](), False
    for block in document.blocks:
        text, in_key = _block(block, in_key, policy, counts)
        if block.hidden and policy.hidden == "redact":
            continue  # dropped, after its findings were counted
        if text.strip():
            blocks.append(block if text == block.text else replace(block, text=text))
    # Title and metadata mostly repeat the text, so what is found in both counts once.
    of_title, of_values = Counter[str](), Counter[str]()
    title, _ = _block(Block(kind="heading", text=document.title), False, policy, of_title)
    values = tuple(_value(told, policy, of_values) for told in metadata)
    counts |= of_title | of_values
    return replace(document, title=title, blocks=tuple(blocks)), values, counts


def _value(told: str, policy: Risks, counts: Counter[str]) -> str:
    """Redact the value of a "name=value" of the source."""
    name, equals, value = told.partition("=")
    text, _ = _block(Block(kind="text", text=value), False, policy, counts)
    return f"{name}{equals}{text}"


def _block(block: Block, in_key: bool, policy: Risks, counts: Counter[str]) -> tuple[str, bool]:
    """Redact a block's text; also return whether a private key continues after it."""
    end, in_key = secrets.inside_key(block.text, in_key)
    text = block.text[end:] if policy.secrets == "redact" else block.text  # the key was replaced where it began
    places = _finds(text, "hidden" if block.hidden else "shown")
    counts.update(f"{family}:{one.kind}" for family, one in places)
    out = [one for family, one in places if getattr(policy, family) == "redact"]
    return _without(text, out), in_key or secrets.opens_key(text)


def _without(text: str, found: list[Find]) -> str:
    """Replace every find; overlapping finds are replaced as one, named by the longest."""
    parts, at = list[str](), 0
    merged = list[Find]()
    for one in sorted(found):
        if merged and one.start < merged[-1].end:
            last = merged[-1]
            longer = max(last, one, key=lambda f: f.end - f.start)
            merged[-1] = Find(last.start, max(last.end, one.end), longer.kind)
        else:
            merged.append(one)
    for one in merged:
        parts += [text[at : one.start], word(one.kind)]
        at = one.end
    return "".join([*parts, text[at:]])
