"""What is found of risks in a document, and what its source's policy does about it, before the text is cut into chunks."""

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
    """A document as it may go on, and how often what was found in it: "personal:EMAIL_ADDRESS" -> 3."""

    document: Document
    metadata: tuple[str, ...]
    found: Counter[str]

    @property
    def risks(self) -> tuple[str, ...]:
        return tuple(f"{kind}={n}" for kind, n in sorted(self.found.items()))


def hidden_in(parsed: Document) -> tuple[Document, Counter[str]]:
    """Count what is hidden in a document as it was parsed, before clean takes hidden characters out.

    Returns the document without the variation selectors that clean leaves, and counts by "family:kind": of what is
    hidden, and of every risk in what hidden characters say.
    """
    found = _hidden(parsed)
    said = characters.said("\n".join(_texts(parsed)))
    found.update(f"{family}:{one.kind}" for family, one in _finds(said, "hidden"))
    return _plain(parsed), found


def judge(document: Document, metadata: tuple[str, ...], hidden: Counter[str], policy: Risks) -> Judged:
    """Count every risk in a cleaned document, and take out what the policy says.

    `hidden` is what `hidden_in` counted. Raises RiskFound, with kinds and counts, where a family with something
    found is answered by quarantine.
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
    """Kinds and counts by family, from a document's risks as they are recorded."""
    by_family: dict[str, Counter[str]] = {}
    for told in risks:
        name, _, n = told.rpartition("=")
        family, _, kind = name.partition(":")
        by_family.setdefault(family, Counter())[kind] += int(n)
    return by_family


def word(kind: str) -> str:
    """What stands where something was taken out."""
    return f"[redacted: {kind}]"


def _answer(policy: Risks, kind: str) -> RiskAction:
    found: RiskAction = getattr(policy, kind.partition(":")[0])
    return found


def _texts(document: Document) -> Iterator[str]:
    yield document.title
    yield from (block.text for block in document.blocks)


def _hidden(parsed: Document) -> Counter[str]:
    """What is hidden from people in a document as it was parsed, by how."""
    found = Counter(f"hidden:{block.hidden}" for block in parsed.blocks if block.hidden)
    for text in _texts(parsed):
        found.update({f"hidden:{kind}": n for kind, n in characters.count(text).items()})
    return found


def _plain(parsed: Document) -> Document:
    """The document without what clean leaves of hidden characters."""
    blocks = tuple(replace(b, text=characters.without_selectors(b.text)) for b in parsed.blocks)
    return replace(parsed, title=characters.without_selectors(parsed.title), blocks=blocks)


def _finds(text: str, seen: injection.Seen) -> list[tuple[str, Find]]:
    """Everything in a text, by family; secrets first: where two find the same place, it is named by what stands first."""
    if not text.strip():
        return []
    found = [("secrets", one) for one in secrets.find(text)]
    found += [("personal", one) for one in personal.find(text)]
    return found + [("injection", one) for one in injection.find(text, seen)]


def _redacted(
    document: Document, metadata: tuple[str, ...], policy: Risks
) -> tuple[Document, tuple[str, ...], Counter[str]]:
    """The document with everything taken out that is to be, and all that was found in it."""
    counts, blocks, in_key = Counter[str](), list[Block](), False
    for block in document.blocks:
        text, in_key = _block(block, in_key, policy, counts)
        if block.hidden and policy.hidden == "redact":
            continue  # what it said is counted
        if text.strip():
            blocks.append(block if text == block.text else replace(block, text=text))
    # A title is mostly a heading once more, and metadata repeats the text: what is found in both is one find.
    of_title, of_values = Counter[str](), Counter[str]()
    title, _ = _block(Block(kind="heading", text=document.title), False, policy, of_title)
    values = tuple(_value(told, policy, of_values) for told in metadata)
    counts |= of_title | of_values
    return replace(document, title=title, blocks=tuple(blocks)), values, counts


def _value(told: str, policy: Risks, counts: Counter[str]) -> str:
    """A "name=value" of the source with its value redacted."""
    name, equals, value = told.partition("=")
    text, _ = _block(Block(kind="text", text=value), False, policy, counts)
    return f"{name}{equals}{text}"


def _block(block: Block, in_key: bool, policy: Risks, counts: Counter[str]) -> tuple[str, bool]:
    """A block's text with what the policy redacts replaced, and whether a private key goes on after it."""
    end, in_key = secrets.inside_key(block.text, in_key)
    text = block.text[end:] if policy.secrets == "redact" else block.text  # the key's word stands where it began
    places = _finds(text, "hidden" if block.hidden else "shown")
    counts.update(f"{family}:{one.kind}" for family, one in places)
    out = [one for family, one in places if getattr(policy, family) == "redact"]
    return _without(text, out), in_key or secrets.opens_key(text)


def _without(text: str, found: list[Find]) -> str:
    """The text with every find replaced by a word for it; what overlaps goes as one, named by the longest."""
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
