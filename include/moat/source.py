"""What a DAG file declares: a source, whole, checked when the file is parsed.

Nothing here touches a system or imports one's library: every task pays for what a DAG file imports.
"""

import re
from typing import Literal

from moat.access.rules import AccessFiles, AccessRule, Columns, Groups, ObjectTags, Public
from moat.declarations import declared, declared_whole
from moat.readers.local_files import LocalFiles
from moat.readers.reader import Reader
from moat.readers.s3_objects import S3Objects
from moat.readers.warehouse_rows import WarehouseRows

__all__ = [
    "AccessFiles",
    "Chunking",
    "Columns",
    "Golden",
    "Groups",
    "Limits",
    "LocalFiles",
    "ObjectTags",
    "Public",
    "Risks",
    "S3Objects",
    "Source",
    "WarehouseRows",
]

NAME = re.compile(r"^[a-z][a-z0-9_]{0,63}$")
RESERVED = ("verify", "list")  # what stands after `moat erase` where a source's name does


@declared
class Chunking:
    """How documents are cut: in tokens of the embedding model, heading path included."""

    target_tokens: int = 200
    overlap_tokens: int = 20

    def wrong(self) -> list[str]:
        if self.target_tokens < 32:
            return [f"target_tokens={self.target_tokens}: at least 32"]
        if not 0 <= self.overlap_tokens <= self.target_tokens // 2:
            return [f"overlap_tokens={self.overlap_tokens}: from 0 to half of target_tokens, {self.target_tokens // 2}"]
        return []


@declared
class Limits:
    """What the gate allows. A ratio is from 0 to 1."""

    min_documents: int = 0  # a listing with fewer holds
    max_vanished_ratio: float = 0.3  # of the visible documents that one load may remove
    max_failed_ratio: float = 0.1  # of the documents of one load that may end in quarantine
    max_garbled_ratio: float = 0.2  # of a load's documents that may have characters which were lost, or decoded wrongly
    max_duplicate_ratio: float = 0.2  # of a load's chunks that may repeat another's text
    max_identical_vectors_ratio: float = 0.02  # of a load's texts whose vector equals another text's
    max_widened_documents: int = (
        1_000  # that more people may read from one reading on; that one becomes public always holds
    )
    max_access_age_hours: float = 24.0  # after its access could last be read a source's documents are masked
    max_tokens: int | None = None  # that one load may give to the model; more waits for a person, before any is
    max_cost: float | None = None  # of one load, in the currency of MOAT_COST_PER_MILLION_TOKENS

    @property
    def budget(self) -> bool:
        """Whether a load has to ask before it embeds more than it may."""
        return self.max_tokens is not None or self.max_cost is not None

    def wrong(self) -> list[str]:
        found = [
            f"{name}={getattr(self, name)}: 0 or more"
            for name in ("min_documents", "max_widened_documents")
            if getattr(self, name) < 0
        ]
        if self.max_access_age_hours <= 0:
            found.append(f"max_access_age_hours={self.max_access_age_hours}: more than 0")
        budget = {"max_tokens": self.max_tokens, "max_cost": self.max_cost}
        found += [f"{name}={value}: more than 0" for name, value in budget.items() if value is not None and value <= 0]
        shares = ("vanished", "failed", "garbled", "duplicate", "identical_vectors")
        ratios = [f"max_{what}_ratio" for what in shares]
        wrong = [name for name in ratios if not 0 <= getattr(self, name) <= 1]
        return found + [f"{name}={getattr(self, name)}: from 0 to 1, such as 0.3 for 30 %" for name in wrong]


RiskAction = Literal["allow", "redact", "hold", "quarantine"]


@declared
class Risks:
    """What becomes of a document with something in it that should not reach a model, by family.

    `allow` counts it, `redact` takes it out before the text is cut into chunks, `hold` lets the load wait for
    a person, `quarantine` sets the document aside. Reports give kinds and counts, never the value.
    """

    personal: RiskAction = "allow"  # names of people's accounts, cards, phones, mail: presidio's patterns
    secrets: RiskAction = "redact"  # keys, tokens and passwords: detect-secrets
    hidden: RiskAction = "redact"  # what a person would not see: CSS, colour, zero-width, bidi, Unicode tags
    injection: RiskAction = "hold"  # words that speak to a model instead of a reader

    def wrong(self) -> list[str]:
        return []


@declared
class Golden:
    """Questions with the documents that must answer them: a YAML file of {question, documents}, each with an `asker` or none."""

    file: str
    k: int = 5
    min_recall: float = 0.8

    def wrong(self) -> list[str]:
        found = [] if self.file else ["file is empty"]
        found += [] if self.k > 0 else [f"k={self.k}: 1 or more"]
        return found + ([] if 0 <= self.min_recall <= 1 else [f"min_recall={self.min_recall}: from 0 to 1"])


@declared_whole
class Source:
    """A source: where its documents are, who may read them, what its loads must keep.

    Raises DeclarationError that names the source, each wrong field and what is allowed.
    """

    name: str
    reader: Reader
    access: AccessRule
    chunking: Chunking = Chunking()
    limits: Limits = Limits()
    risks: Risks = Risks()
    golden: Golden | None = None
    owner: str = "moat"
    description: str = ""
    directory: str = ""  # whose groups the access rule's bare group names are; empty: the company's own names

    def wrong(self) -> list[str]:
        found = []
        if not NAME.match(self.name):
            found.append(f"name={self.name!r}: small letters, digits and _, beginning with a letter, at most 64")
        if self.name in RESERVED:
            found.append(f"name={self.name!r}: `moat erase {self.name}` is a command; choose another")
        if self.directory and not NAME.match(self.directory):
            found.append(f"directory={self.directory!r}: the name of a Directory, small letters, digits and _")
        if self.access.needs not in self.reader.offers:
            fits = ", ".join(
                rule.__name__
                for rule in (Groups, Public, Columns, AccessFiles, ObjectTags)
                if rule.needs in self.reader.offers
            )
            found.append(
                f"access={type(self.access).__name__} needs {self.access.needs}, which {type(self.reader).__name__} does not have; it takes {fits}"
            )
        for part in ("reader", "access", "chunking", "limits", "risks", "golden"):
            value = getattr(self, part)
            found += [f"{part}.{words}" for words in (value.wrong() if value is not None else ())]
        return found
